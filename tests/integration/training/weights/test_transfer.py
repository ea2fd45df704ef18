"""``python -m training transfer``: the job, from spec to proof."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.small import SMALL, TOKENIZER
from training import faults
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.spec import CopySpec
from training.weights import transfer
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.copy import apply_plan
from training.weights.initial import initial_tensors


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    write_checkpoint(folder, SMALL, initial_tensors(SMALL.tensors(), 1), TOKENIZER, {})
    return folder


def run(source: Path, out: Path, **values: Any) -> list[dict[str, Any]]:
    asked = values.pop("reinitialise", [])
    spec = CopySpec.model_validate(
        {"source": {"checkpoint": str(source), "reinitialise": asked}} | values
    )
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    try:
        assert transfer.run(spec, out, log) == {"report": "report.json", "result": "checkpoint"}
    finally:
        log.close()
    return read_events(out / "events.jsonl")[0]


def test_the_same_shape_is_exactly_equal_by_name(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out")
    before, after = read_checkpoint(source), read_checkpoint(tmp_path / "out" / "checkpoint")
    assert before.weights_sha256 == after.weights_sha256
    for name, array in before.tensors().items():
        assert array.tobytes() == after.tensors()[name].tobytes()


def test_a_deeper_model_has_its_proof_and_its_parents(source: Path, tmp_path: Path) -> None:
    target = SMALL.model_copy(update={"n_layer": 3, "n_positions": 24})
    events = run(source, tmp_path / "out", model=target.model_dump(), seed=5)

    checkpoint = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert checkpoint.config == target
    assert checkpoint.card["parents"] == [read_checkpoint(source).weights_sha256]
    new = "transformer.h.2.attn.c_attn.weight"
    assert np.array_equal(checkpoint.tensors()[new], initial_tensors(target.tensors(), 5)[new])

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["proof"]["exact"] is True
    parts = [part for row in report["plan"]["rows"] for part in row["parts"]]
    assert len(report["proof"]["proofs"]) == len(parts)
    for proof in report["proof"]["proofs"]:
        assert proof["sha256"] == proof["source_sha256"]
    stored = json.loads((tmp_path / "out" / "checkpoint" / "transfer.json").read_text())
    assert stored == {"plan": report["plan"], "proof": report["proof"]}
    event = next(event for event in events if event["kind"] == "weights")
    assert event["verified"] is True
    assert event["copied"] + event["initialised"] == len(target.tensors())
    assert event["parameters_total"] == target.parameter_count()


def test_the_tokenizer_comes_along(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out")
    assert Tokenizer.load(tmp_path / "out" / "checkpoint").sha256 == TOKENIZER.sha256


def test_parents_are_not_touched(source: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    run(source, tmp_path / "out", reinitialise=["h.1.*"])
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"reinitialise": ["h.7.*"]}, "pattern_matches_nothing", "source.reinitialise"),
        ({"reinitialise": ["*"]}, "nothing_to_copy", None),
        ({"model": {**SMALL.model_dump(), "n_embd": 32}}, "nothing_to_copy", None),
        (
            {"model": {**SMALL.model_dump(), "vocab_size": 258}},
            "vocabulary_too_small",
            "model.vocab_size",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_its_field(
    source: Path, tmp_path: Path, values: dict[str, Any], code: str, field: str | None
) -> None:
    with pytest.raises(TrainingError) as caught:
        run(source, tmp_path / "out", **values)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_copy_that_went_wrong_is_never_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(plan: Any, tensors: Any, initial: Any) -> dict[str, np.ndarray]:
        spoilt = {
            name: np.array(array) for name, array in apply_plan(plan, tensors, initial).items()
        }
        spoilt["transformer.wpe.weight"][3] = 1
        return spoilt

    monkeypatch.setattr(transfer, "apply_plan", spoil)
    with pytest.raises(TrainingError) as caught:
        run(source, tmp_path / "out", model=SMALL.model_copy(update={"n_positions": 24}))
    assert caught.value.code == "copy_not_exact"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["events.jsonl"]


def test_a_source_that_is_not_what_its_card_says_is_not_copied(
    source: Path, tmp_path: Path
) -> None:
    weights = source / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        run(source, tmp_path / "out")
    assert caught.value.code == "copy_not_exact"
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_kept_base_keeps_what_is_not_copied(source: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    write_checkpoint(base, SMALL, initial_tensors(SMALL.tensors(), 9), TOKENIZER, {})
    run(source, tmp_path / "out", base=str(base), settings={"rules": ["skip layer.1"]})
    made = read_checkpoint(tmp_path / "out" / "checkpoint")
    theirs, ours = read_checkpoint(base).tensors(), read_checkpoint(source).tensors()
    for name, array in made.tensors().items():
        assert np.array_equal(array, (theirs if ".h.1." in name else ours)[name]), name
    assert len(made.card["parents"]) == 2


def test_another_vocabulary_goes_by_token_and_freezing_is_kept(
    source: Path, tmp_path: Path
) -> None:
    words = Tokenizer.train(["so it went on, and on and on"] * 3, 272)
    other = tmp_path / "words"
    config = SMALL.model_copy(update={"vocab_size": words.size})
    write_checkpoint(other, config, initial_tensors(config.tensors(), 9), words, {})
    run(
        source,
        tmp_path / "out",
        tokenizer={"kind": "checkpoint", "checkpoint": str(other)},
        settings={"rules": ["freeze embeddings"]},
    )
    made = read_checkpoint(tmp_path / "out" / "checkpoint")
    assert Tokenizer.load(made.folder).sha256 == words.sha256
    assert made.card["frozen"] == ["transformer.wte.weight", "transformer.wpe.weight"]
    before, after = (
        one.tensors()["transformer.wte.weight"] for one in (read_checkpoint(source), made)
    )
    known = TOKENIZER.vocabulary
    kept = averaged = 0
    for string, number in words.vocabulary.items():
        if string in known:
            assert np.array_equal(after[number], before[known[string]])
            kept += 1
        else:
            parts = TOKENIZER.pieces(string)
            assert len(parts) > 1
            mean = np.mean(before[parts].astype(np.float32), 0)
            np.testing.assert_allclose(after[number], mean, rtol=1e-6, atol=1e-8)
            averaged += 1
    assert kept > 256
    assert averaged > 2


def test_a_full_disk_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_FAULT", "checkpoint.tensor:5:enospc")
    monkeypatch.setattr(faults, "_reached", {})
    with pytest.raises(TrainingError) as caught:
        run(source, tmp_path / "out")
    assert caught.value.code == "disk_full"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["events.jsonl"]


def test_the_command_needs_no_tensorflow(source: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps({"source": {"checkpoint": str(source)}}))
    code = (
        "import sys; from training.__main__ import main;"
        f"end = main(['transfer', {str(tmp_path / 'spec.json')!r},"
        f" '--out', {str(tmp_path / 'out')!r}, '--quiet']);"
        "foreign = {'tensorflow', 'keras', 'transformers', 'django', 'torch'} & set(sys.modules);"
        "sys.exit(end or (f'imported {foreign}' if foreign else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kinds = [event["kind"] for event in read_events(tmp_path / "out" / "events.jsonl")[0]]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"


def test_inspect_prints_json(source: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "training", "inspect", str(source)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] == SMALL.parameter_count()
