"""``python -m training transfer``: the job, from spec to proof."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.parity.text import word_pieces
from tests.small import SMALL, TOKENIZER
from training import faults
from training.backbones.bert.config import BertConfig
from training.backbones.contract import BackboneConfig
from training.backbones.opt.config import OPTConfig
from training.backbones.roberta.config import RobertaConfig
from training.backbones.vit.config import ViTConfig
from training.command_specs import CopySpec
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import read_tokenizer
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.settings import problems
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
        assert proof["blake3"] == proof["source_blake3"]
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


def test_a_kept_base_keeps_its_vocabulary_and_its_padded_rows(source: Path, tmp_path: Path) -> None:
    words = Tokenizer.train(["so it went on, and on and on"] * 3, 268)
    base = tmp_path / "base"
    padded = SMALL.model_copy(update={"vocab_size": 280})
    write_checkpoint(base, padded, initial_tensors(padded.tensors(), 9), words, {})
    run(source, tmp_path / "out", base=str(base))
    made = read_checkpoint(tmp_path / "out" / "checkpoint")
    assert made.config == padded
    assert Tokenizer.load(made.folder).sha256 == words.sha256
    name = "transformer.wte.weight"
    theirs, ours = (one.tensors()[name] for one in (read_checkpoint(base), read_checkpoint(source)))
    embedding, known = made.tensors()[name], TOKENIZER.vocabulary
    for string, number in words.vocabulary.items():
        if string in known:
            assert np.array_equal(embedding[number], ours[known[string]])
    assert np.array_equal(embedding[words.size :], theirs[words.size :])


@pytest.mark.parametrize("tokenizer", [{"kind": "gpt2"}, {"kind": "checkpoint", "checkpoint": "x"}])
def test_a_kept_base_takes_no_other_vocabulary(tokenizer: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        CopySpec.model_validate(
            {"source": {"checkpoint": "a"}, "base": "b"} | {"tokenizer": tokenizer}
        )
    (problem,) = problems(caught.value)
    assert problem.field == "tokenizer.kind"


ROWS = {"vocab_size": 272, "max_position_embeddings": 16, "num_attention_heads": 2}
OPT = OPTConfig.model_validate({**ROWS, "hidden_size": 16, "num_hidden_layers": 2, "ffn_dim": 64})
BERT = BertConfig.model_validate(
    {**ROWS, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 64}
)
VIT = ViTConfig(image_size=8, patch_size=4, width=16, depth=2, heads=2, inner=64, num_classes=3)


@pytest.mark.parametrize("target", [OPT, BERT])
def test_a_checkpoint_of_another_architecture_opens(
    source: Path, tmp_path: Path, target: BackboneConfig
) -> None:
    rates = {"attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1}
    config = tmp_path / "source" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | rates))
    run(source, tmp_path / "out", model=target.model_dump())
    made = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert made.config == target
    read = read_tokenizer(made.folder, target.architecture)
    assert read.encode_input("so it goes") == TOKENIZER.encode_input("so it goes")
    assert made.card["transfer"]["copied"] > 20


def test_an_image_s_model_has_no_tokenizer(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "out", model=VIT.model_dump())
    made = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert made.config == VIT
    assert not list(made.folder.glob("*token*")) + list(made.folder.glob("vocab*"))


def test_a_text_s_model_gets_one_though_its_source_has_none(tmp_path: Path) -> None:
    images, words = tmp_path / "images", tmp_path / "words"
    write_checkpoint(images, VIT, initial_tensors(VIT.tensors(), 1), None, {})
    write_checkpoint(words, SMALL, initial_tensors(SMALL.tensors(), 1), TOKENIZER, {})
    with pytest.raises(TrainingError) as caught:
        run(images, tmp_path / "refused", model=SMALL.model_dump())
    assert (caught.value.code, caught.value.field) == ("tokenizer_needed", "tokenizer.kind")

    chosen = {"kind": "checkpoint", "checkpoint": str(words)}
    run(images, tmp_path / "out", model=SMALL.model_dump(), tokenizer=chosen)
    made = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert Tokenizer.load(made.folder).sha256 == TOKENIZER.sha256
    assert made.config.vocabulary == TOKENIZER.size
    assert made.card["transfer"]["copied"] > 20


def test_a_tokenizer_that_could_not_be_read_again_is_refused(source: Path, tmp_path: Path) -> None:
    target = RobertaConfig.model_validate(BERT.model_dump(exclude={"architecture"}))
    with pytest.raises(TrainingError) as caught:
        run(source, tmp_path / "out", model=target.model_dump())
    assert (caught.value.code, caught.value.field) == ("tokenizer_does_not_fit", "tokenizer.kind")
    assert "RoBERTa" in str(caught.value)
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_model_whose_positions_go_by_padding_has_its_tokenizer_s(tmp_path: Path) -> None:
    words = word_pieces(lowercase=True)
    assert words.special_ids["pad_token_id"] == 0
    bert = BERT.model_copy(update={"vocab_size": words.size})
    write_checkpoint(tmp_path / "source", bert, initial_tensors(bert.tensors(), 1), words, {})
    target = RobertaConfig.model_validate(bert.model_dump(exclude={"architecture"}))
    assert target.pad_token_id == 1
    run(tmp_path / "source", tmp_path / "out", model=target.model_dump())
    made = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert made.config == target.model_copy(update={"pad_token_id": 0})
    # The first place that a token gets is the one after padding's.
    ours, theirs = made.tensors(), read_checkpoint(tmp_path / "source").tensors()
    assert np.array_equal(
        ours["roberta.embeddings.position_embeddings.weight"][1:],
        theirs["bert.embeddings.position_embeddings.weight"][:-1],
    )


def test_it_tells_how_far_it_is_and_what_will_be_trained(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TELL_S", 0)
    target = SMALL.model_copy(update={"n_positions": 24})
    settings = {"rules": ["freeze embeddings"]}
    events = run(source, tmp_path / "out", model=target.model_dump(), settings=settings)
    for name in ("copying", "verifying"):
        told = [
            event["fraction"]
            for event in events
            if event["kind"] == "phase" and event["name"] == name
        ]
        assert len(told) > 10
        assert told == sorted(told)
        assert told[0] == 0
        assert 0.9 < told[-1] <= 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    total = target.parameter_count()
    assert report["parameters"] == {"total": total, "trainable": total - (272 + 24) * 16}


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
    assert caught.value.code == "disk_full_writing"
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
