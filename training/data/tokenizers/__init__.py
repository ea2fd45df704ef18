"""The tokenizers of every text architecture: which one a folder holds, and reading it."""

from __future__ import annotations

from pathlib import Path

from training.backbones.registry import BACKBONES
from training.data.text_tokenizer import TextTokenizer as TextTokenizer
from training.data.text_tokenizer import declared, read_object
from training.data.tokenizer import Tokenizer
from training.data.tokenizers.framed import STYLES, FramedTokenizer, Style
from training.data.tokenizers.wordpiece import WordPieceTokenizer
from training.errors import TrainingError
from training.weights.checkpoint import Checkpoint


def read_tokenizer(folder: Path, architecture: str) -> TextTokenizer:
    """The tokenizer in a folder, of the kind that its files say.

    Args:
        folder: A checkpoint's or a foreign model's.
        architecture: The model's, which decides where the files say nothing.

    Raises:
        TrainingError: ``tokenizer_*``.
    """
    folder = Path(folder)
    if not BACKBONES[architecture].writes and _is_word_piece(folder, architecture):
        return WordPieceTokenizer.load(folder)
    return read_byte_level(folder, architecture)


def tokenizer_of(checkpoint: Checkpoint) -> TextTokenizer:
    """A checkpoint's own tokenizer.

    Raises:
        TrainingError: ``tokenizer_*``.
    """
    return read_tokenizer(checkpoint.tokenizer_folder, checkpoint.config.architecture)


def read_byte_level(folder: Path, architecture: str) -> Tokenizer:
    """The same for a model that writes text, whose tokens have to stand for bytes.

    Raises:
        TrainingError: ``tokenizer_*``.
    """
    style = _style(folder, architecture)
    return FramedTokenizer.load_as(folder, style) if style else Tokenizer.load(folder)


def _is_word_piece(folder: Path, architecture: str) -> bool:
    if (folder / "tokenizer.json").is_file():
        model = read_object(folder, "tokenizer.json").get("model")
        if not isinstance(model, dict):
            raise TrainingError("tokenizer_damaged", file="tokenizer.json", detail="model")
        return model.get("type") == "WordPiece"
    # A BERT's folder without any tokenizer should be told what a BERT needs.
    return not (folder / "vocab.json").is_file() and (
        (folder / "vocab.txt").is_file() or architecture in ("bert", "distilbert")
    )


def _style(folder: Path, architecture: str) -> Style | None:
    """How texts are framed: by the class that the folder names, else as the architecture's home."""
    for name in declared(folder, "tokenizer_class"):
        if name.startswith("Roberta"):
            return STYLES["roberta"]
    if any(declared(folder, "add_bos_token", bool)):
        return STYLES["opt"]
    return STYLES.get(architecture)
