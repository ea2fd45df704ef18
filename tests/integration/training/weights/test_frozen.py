"""What a copy's rules froze stays as it is when the copy is trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.integration.training.tiny import finish, start, tiny_spec
from training.weights.checkpoint import read_checkpoint

FROZEN = {
    "transformer.wpe.weight",
    *(
        f"transformer.h.0.mlp.{layer}.{part}"
        for layer in ("c_fc", "c_proj")
        for part in ("weight", "bias")
    ),
}


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_frozen_tensor_is_bit_for_bit_the_same_after_training(
    finished_run: Path, tiny_dataset: Path, tmp_path: Path, decay: float
) -> None:
    copied, trained = tmp_path / "copied", tmp_path / "trained"
    rules = ["freeze h.0.mlp", "freeze wpe"]
    spec = {
        "source": {"checkpoint": str(finished_run / "checkpoint")},
        "settings": {"rules": rules},
    }
    code, errors = finish(start(spec, copied, "transfer"))
    assert code == 0, errors
    spec = tiny_spec(
        tiny_dataset,
        model=None,
        tokenizer={"kind": "source"},
        source={"checkpoint": str(copied / "checkpoint")},
        training={"weight_decay": decay},
    )
    code, errors = finish(start(spec, trained))
    assert code == 0, errors

    before, after = (
        dict(read_checkpoint(out / "checkpoint").tensors()) for out in (copied, trained)
    )
    assert before.keys() == after.keys()
    same = {name for name in before if before[name].tobytes() == after[name].tobytes()}
    assert same == FROZEN
    assert all(np.isfinite(values).all() for values in after.values())

    total = sum(values.size for values in before.values())
    counted = total - sum(before[name].size for name in FROZEN)
    for out in (copied, trained):
        report = json.loads((out / "report.json").read_text())
        assert report["parameters"] == {"total": total, "trainable": counted}


def test_a_frozen_tensor_that_starts_afresh_is_trained(
    finished_run: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    copied, trained = tmp_path / "copied", tmp_path / "trained"
    spec = {
        "source": {"checkpoint": str(finished_run / "checkpoint")},
        "settings": {"rules": ["freeze embeddings"]},
    }
    code, errors = finish(start(spec, copied, "transfer"))
    assert code == 0, errors
    source = {"checkpoint": str(copied / "checkpoint"), "reinitialise": ["transformer.wte.weight"]}
    spec = tiny_spec(tiny_dataset, model=None, tokenizer={"kind": "source"}, source=source)
    code, errors = finish(start(spec, trained))
    assert code == 0, errors

    before, after = (read_checkpoint(out / "checkpoint").tensors() for out in (copied, trained))
    assert before["transformer.wpe.weight"].tobytes() == after["transformer.wpe.weight"].tobytes()
    report = json.loads((trained / "report.json").read_text())
    frozen = before["transformer.wpe.weight"].size
    assert report["parameters"]["trainable"] == report["parameters"]["total"] - frozen
