"""GPT-2 against PyTorch's outputs, kept as small files: ``make parity`` makes them anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.parity.fixtures import OURS, REFERENCE, TEXTS, TOLERANCE, tokenizer, tokens, write_ours
from tests.parity.ours import import_folder, logits_of, same_files
from training.interop.huggingface import export
from training.weights.checkpoint import Checkpoint, read_checkpoint

THEIRS = sorted(path.name for path in (REFERENCE / "theirs").iterdir())


@pytest.mark.parametrize("name", THEIRS)
def test_a_folder_from_pytorch_gives_its_logits(name: str, tmp_path: Path) -> None:
    folder = REFERENCE / "theirs" / name
    expected = load_file(folder / "expected.safetensors")

    checkpoint = import_folder(folder, tmp_path / "out")

    difference = np.abs(logits_of(checkpoint, expected["tokens"]) - expected["logits"]).max()
    assert difference <= TOLERANCE
    # Values this large make the tolerance strict: about 1e-5 of the largest.
    assert np.abs(expected["logits"]).max() > 3


@pytest.mark.parametrize("change", ["layer_norm_epsilon", "activation_function"])
def test_the_comparison_sees_a_setting_that_is_not_honoured(change: str, tmp_path: Path) -> None:
    folder = REFERENCE / "theirs" / {"layer_norm_epsilon": "epsilon"}.get(change, "gelu")
    expected = load_file(folder / "expected.safetensors")
    checkpoint = import_folder(folder, tmp_path / "out")

    wrong = {"layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"}[change]
    config = checkpoint.config.model_copy(update={change: wrong})
    ignoring = Checkpoint(
        checkpoint.folder, config, checkpoint.card, checkpoint.infos, checkpoint.dropout
    )

    difference = np.abs(logits_of(ignoring, expected["tokens"]) - expected["logits"]).max()
    assert difference > 10 * TOLERANCE


@pytest.mark.parametrize("name", sorted(OURS))
def test_pytorch_gives_the_logits_of_a_checkpoint_that_we_wrote(name: str, tmp_path: Path) -> None:
    """PyTorch opened a folder with these very weights and this configuration (see the hashes)."""
    recorded = json.loads((REFERENCE / "ours" / "hashes.json").read_text())[name]
    card = write_ours(name, tmp_path / "checkpoint")
    assert card["weights_sha256"] == recorded["weights_sha256"]
    assert json.loads((tmp_path / "checkpoint/config.json").read_text()) == recorded["config"]

    logits = logits_of(read_checkpoint(tmp_path / "checkpoint"), tokens(OURS[name][0].vocab_size))

    expected = load_file(REFERENCE / "ours" / f"{name}.safetensors")["logits"]
    assert np.abs(logits - expected).max() <= TOLERANCE


@pytest.mark.parametrize("name", THEIRS)
def test_import_export_import_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = import_folder(REFERENCE / "theirs" / name, tmp_path / "first")
    export(first, tmp_path / "exported")
    second = import_folder(tmp_path / "exported", tmp_path / "second")

    assert second.weights_sha256 == first.weights_sha256
    assert same_files(first, second)


@pytest.mark.parametrize("name", THEIRS)
def test_an_import_has_the_bytes_of_the_foreign_folder(name: str, tmp_path: Path) -> None:
    folder = REFERENCE / "theirs" / name
    ours = import_folder(folder, tmp_path / "out").tensors()

    theirs: dict[str, np.ndarray] = {}
    for path in folder.glob("model*.safetensors"):
        theirs |= load_file(path)
    for key, array in ours.items():
        foreign = theirs[key] if key in theirs else theirs[key.removeprefix("transformer.")]
        assert array.dtype == foreign.dtype
        assert array.tobytes() == foreign.tobytes()


def test_token_ids_equal_those_of_transformers() -> None:
    assert tokenizer().encode_batch(TEXTS) == json.loads((REFERENCE / "tokens.json").read_text())
