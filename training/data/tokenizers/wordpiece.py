"""WordPiece: BERT's and DistilBERT's tokenizer, as Hugging Face's ``tokenizers`` has it.

- Devlin et al., 2019, "BERT", section 3: words are cut into the longest pieces that the vocabulary
  has, from the left; pieces that continue a word begin with ``##``.

Details people get wrong: accents go only together with capitals unless it is said otherwise;
Chinese characters are words of their own; a word of more than 100 characters, or with a character
that the vocabulary lacks, is one ``[UNK]``. Another implementation of the same rules was seen to
differ at accents, Hangul and ligatures, and a sentence encoder's vectors with it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.data.text_tokenizer import (
    Frame,
    TextTokenizer,
    added_tokens,
    check_places,
    declared,
    frame_of,
    pieces_of,
    pretty,
    read_object,
    read_text,
    require_known,
    special_token,
    write_files,
)
from training.errors import TrainingError

#: By ``transformers``' names.
SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}

#: Longer words are unknown as a whole; ``transformers`` has no setting for it.
LONGEST_WORD = 100

#: White space always parts words, so that a text may be cut before it.
_CUT = re.compile(r"(?<=[^ \t\n\r])(?=[ \t\n\r])")


class WordPieceTokenizer(TextTokenizer):
    """Text to ids and back.

    Args:
        vocabulary: Token string → id.
        added: ``added_tokens`` as in ``tokenizer.json``.
        names: The special tokens, by the keys of :data:`SPECIALS`.
        lowercase: Whether capitals are folded.
        strip_accents: Whether accents go; None: as capitals do.
        chinese_characters: Whether each Chinese character is a word.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        added: Sequence[Mapping[str, Any]] = (),
        *,
        names: Mapping[str, str] = SPECIALS,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        chinese_characters: bool = True,
    ) -> None:
        self.names, self.lowercase = dict(names), lowercase
        self.strip_accents, self.chinese_characters = strip_accents, chinese_characters
        listed = {token["content"]: dict(token) for token in added}
        for key, content in self.names.items():
            if content not in vocabulary:
                raise TrainingError(
                    "tokenizer_unsupported", item=key, value="-", wanted=json.dumps(content)
                )
            listed.setdefault(content, special_token(content, vocabulary[content]))
        self._pieces_known = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
        super().__init__(vocabulary, list(listed.values()))
        self.before = (vocabulary[self.names["cls_token"]],)
        self.after = self.between = (vocabulary[self.names["sep_token"]],)
        self.types_differ = True
        self.end_of_text = self.after[0]
        self._start(self._as_json())

    @classmethod
    def load(cls, folder: Path) -> WordPieceTokenizer:
        """Read ``tokenizer.json``, or ``vocab.txt`` with the settings beside it.

        Raises:
            TrainingError: ``tokenizer_missing``, ``tokenizer_too_large``, ``tokenizer_damaged`` or
                ``tokenizer_unsupported``: anything that is not WordPiece as BERT has it.
        """
        folder = Path(folder)
        names = {key: next(declared(folder, key), content) for key, content in SPECIALS.items()}
        if (folder / "tokenizer.json").is_file():
            return cls._from_json(folder, names)
        if not (folder / "vocab.txt").is_file():
            raise TrainingError("tokenizer_missing_vocabulary")
        lines = read_text(folder, "vocab.txt").split("\n")
        if not lines[-1]:
            lines.pop()
        vocabulary = {string: number for number, string in enumerate(lines)}
        if len(vocabulary) != len(lines):
            raise TrainingError("tokenizer_damaged", file="vocab.txt", detail="a line twice")
        check_places(vocabulary, [], "vocab.txt")
        return cls(
            vocabulary,
            names=names,
            lowercase=next(declared(folder, "do_lower_case", bool), True),
            strip_accents=next(declared(folder, "strip_accents", bool), None),
            chinese_characters=next(declared(folder, "tokenize_chinese_chars", bool), True),
        )

    @classmethod
    def _from_json(cls, folder: Path, names: dict[str, str]) -> WordPieceTokenizer:
        file = "tokenizer.json"
        content = read_object(folder, file)
        try:
            model, normal = content["model"], content["normalizer"]
            wanted: Frame = ((names["cls_token"],), (names["sep_token"],))
            lowercase, accents = normal["lowercase"], normal["strip_accents"]
            chinese = normal["handle_chinese_chars"]
            kind = (content.get("pre_tokenizer") or {}).get("type")
            require_known(
                [
                    ("model.type", model.get("type"), ("WordPiece",)),
                    ("model.unk_token", model["unk_token"], (names["unk_token"],)),
                    (
                        "model.continuing_subword_prefix",
                        model["continuing_subword_prefix"],
                        ("##",),
                    ),
                    (
                        "model.max_input_chars_per_word",
                        model["max_input_chars_per_word"],
                        (LONGEST_WORD,),
                    ),
                    ("normalizer", normal.get("type"), ("BertNormalizer",)),
                    ("normalizer.clean_text", normal["clean_text"], (True,)),
                    ("normalizer.lowercase", lowercase, (True, False)),
                    ("normalizer.strip_accents", accents, (None, True, False)),
                    ("normalizer.handle_chinese_chars", chinese, (True, False)),
                    ("pre_tokenizer", kind, ("BertPreTokenizer",)),
                    ("post_processor", frame_of(content.get("post_processor")), (wanted,)),
                    # transformers takes these settings from the other file where they stand there.
                    *(
                        (key, said, (value,))
                        for key, value in (
                            ("do_lower_case", lowercase),
                            ("tokenize_chinese_chars", chinese),
                            ("strip_accents", accents),
                        )
                        for said in declared(folder, key, bool)
                    ),
                ]
            )
            vocabulary, added = model["vocab"], added_tokens(content)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            detail = f"{type(error).__name__}: {error}"
            raise TrainingError("tokenizer_damaged", file=file, detail=detail) from error
        check_places(vocabulary, added, file)
        return cls(
            vocabulary,
            added,
            names=names,
            lowercase=lowercase,
            strip_accents=accents,
            chinese_characters=chinese,
        )

    @property
    def special_ids(self) -> dict[str, int]:
        return {"pad_token_id": self._vocabulary[self.names["pad_token"]]}

    @functools.cached_property
    def sha256(self) -> str:
        content = [
            sorted(self._vocabulary.items()),
            [(token["content"], token["special"]) for token in self._added],
            sorted(self.names.items()),
            [self.lowercase, self.strip_accents, self.chinese_characters],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, with special tokens; what normalising took away stays away."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def save(self, folder: Path, context: int | None = None) -> None:
        settings: dict[str, Any] = {
            "added_tokens_decoder": {
                str(token["id"]): {key: token[key] for key in token if key != "id"}
                for token in self._added
            },
            **self.names,
            "clean_up_tokenization_spaces": True,
            "do_lower_case": self.lowercase,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.chinese_characters,
            "tokenizer_class": "BertTokenizer",
        }
        if context is not None:
            settings["model_max_length"] = context
        files = {
            "tokenizer.json": pretty(self._as_json()),
            "tokenizer_config.json": pretty(settings),
            "special_tokens_map.json": pretty(self.names),
        }
        if list(self._pieces_known.values()) == list(range(len(self._pieces_known))):
            files["vocab.txt"] = "".join(f"{string}\n" for string in self._pieces_known)
        write_files(folder, files)

    def _pieces(self, text: str) -> Iterator[str]:
        return pieces_of(text, _CUT)

    def _as_json(self) -> dict[str, Any]:
        begin, end = self.names["cls_token"], self.names["sep_token"]

        def special(name: str, kind: int) -> dict[str, Any]:
            return {"SpecialToken": {"id": name, "type_id": kind}}

        single = [special(begin, 0), {"Sequence": {"id": "A", "type_id": 0}}, special(end, 0)]
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": self._added,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": self.chinese_characters,
                "strip_accents": self.strip_accents,
                "lowercase": self.lowercase,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": single,
                "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, special(end, 1)],
                "special_tokens": {
                    name: {"id": name, "ids": list(ids), "tokens": [name]}
                    for name, ids in ((begin, self.before), (end, self.after))
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": self.names["unk_token"],
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": LONGEST_WORD,
                "vocab": self._pieces_known,
            },
        }
