import pytest

from training.backbones.gpt2.config import PRESETS
from training.methods.self_supervised.causal_lm import scratch_twin
from training.spec import RunSpec

TRANSFER = {
    "seed": 5,
    "data": {"path": "/data"},
    "tokenizer": {"kind": "source"},
    "source": {"checkpoint": "/source"},
    "training": {"steps": 7, "warmup_steps": 2, "lora": {"rank": 2}},
}


def test_the_twin_differs_in_nothing_but_where_its_weights_come_from():
    transfer = RunSpec.model_validate(TRANSFER)
    twin = scratch_twin(transfer, PRESETS["nano"])
    assert twin.source is None
    assert twin.model == PRESETS["nano"]
    assert (twin.tokenizer.kind, twin.tokenizer.checkpoint) == ("checkpoint", "/source")
    assert twin.training.lora is None
    same = {"source", "model", "tokenizer", "training"}
    assert twin.model_dump(exclude=same) == transfer.model_dump(exclude=same)
    assert twin.training.model_dump(exclude={"lora"}) == (
        transfer.training.model_dump(exclude={"lora"})
    )


def test_only_a_transfer_has_one():
    spec = RunSpec.model_validate({"data": {"path": "x"}, "model": PRESETS["nano"].model_dump()})
    with pytest.raises(ValueError, match="transfer"):
        scratch_twin(spec, PRESETS["nano"])
