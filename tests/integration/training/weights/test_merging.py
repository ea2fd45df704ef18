"""``python -m training merge`` and ``evaluate``: from spec to report, card and scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.integration.training.tiny import write_dataset
from tests.parity.text import CASES, tokenizers
from training import faults
from training.command_specs import EvaluateSpec, MergeSpec
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import tokenizer_of
from training.engine import evaluate
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.settings import problems
from training.weights import merging
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors

Write = Callable[[int], Path]
#: As the tiny run scores itself.
SCORING = {"sequence_length": 16, "batch_size": 4}


@pytest.fixture
def trained(finished_run: Path) -> Path:
    return finished_run / "checkpoint"


@pytest.fixture
def random(tmp_path: Path, trained: Path) -> Write:
    """Writes a checkpoint with the trained one's shape and tokenizer, and random weights."""
    model = read_checkpoint(trained)

    tokenizer = Tokenizer.load(trained)

    def write(seed: int) -> Path:
        folder = tmp_path / f"random-{seed}"
        tensors = initial_tensors(model.config.tensors(), seed)
        write_checkpoint(folder, model.config, tensors, tokenizer, {})
        return folder

    return write


@pytest.fixture
def other_data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "other", documents=30, seed=9)


def merge(out: Path, **values: Any) -> tuple[dict[str, Any], Checkpoint]:
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    try:
        found = merging.run(MergeSpec.model_validate(values), out, log)
    finally:
        log.close()
    assert found == {"report": "report.json", "result": "checkpoint"}
    assert not (out / "cache").exists()
    report = json.loads((out / "report.json").read_text())
    return report, read_checkpoint(out / "checkpoint", verify=True)


@pytest.mark.parametrize("name", ["wordpiece", "roberta", "opt"])
def test_an_encoder_s_or_a_framed_tokenizer_comes_along(name: str, tmp_path: Path) -> None:
    """GPT-2's reader cannot open them: texts stand between special tokens, or are word pieces."""
    tokenizer = tokenizers()[name]
    case = {"wordpiece": "bert-pooler", "roberta": "roberta-pooler", "opt": "opt-plain"}[name]
    config = CASES[case].model_copy(update={"vocab_size": tokenizer.size})
    paths = []
    for seed in (1, 2):
        paths.append(tmp_path / str(seed))
        write_checkpoint(paths[-1], config, initial_tensors(config.tensors(), seed), tokenizer, {})
    _report, merged = merge(tmp_path / "out", checkpoints=list(map(str, paths)), alpha=0.5)
    assert tokenizer_of(merged).sha256 == tokenizer.sha256
    one, two = (read_checkpoint(path).tensors() for path in paths)
    tensor = next(name for name in one if name.endswith("query.weight") or "q_proj.weight" in name)
    expected = np.float32(0.5) * one[tensor] + np.float32(0.5) * two[tensor]
    assert merged.tensors()[tensor].tobytes() == expected.tobytes()

    judged = {"data": [{"path": str(tmp_path)}]}
    with pytest.raises(TrainingError) as refused:
        merge(tmp_path / "judged", checkpoints=list(map(str, paths)), alpha=0.5, evaluate=judged)
    assert refused.value.code == "architecture_not_trained"


def loss_of(checkpoint: Path, data: Path, out: Path) -> float:
    out.mkdir()
    log = EventLog(out / "events.jsonl")
    values = {"checkpoint": str(checkpoint), "data": [{"path": str(data)}], **SCORING}
    evaluate.run(EvaluateSpec.model_validate(values), out, log)
    log.close()
    return float(json.loads((out / "report.json").read_text())["scores"][0]["loss"])


def test_a_merge_without_data_needs_no_tensorflow(
    trained: Path, random: Write, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"checkpoints": [str(trained), str(random(1))], "alpha": 0.25}))
    code = (
        "import sys; from training.__main__ import main\n"
        f"code = main(['merge', {str(spec)!r}, '--out', {str(tmp_path / 'out')!r}, '--quiet'])\n"
        "assert not {'tensorflow', 'keras', 'transformers'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
    merged = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    one, two = (read_checkpoint(folder) for folder in (trained, random(1)))
    for name, array in merged.tensors().items():
        np.testing.assert_allclose(
            array, 0.75 * one.tensors()[name] + 0.25 * two.tensors()[name], rtol=1e-6, atol=1e-8
        )
    assert merged.card["parents"] == [one.weights_sha256, two.weights_sha256]
    assert merged.card["merge"] == {"method": "interpolate", "alpha": 0.25}
    assert merged.card["method"] == "merge"


def test_scores_are_those_of_the_run_s_report(
    finished_run: Path, trained: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    report = json.loads((finished_run / "report.json").read_text())
    found = loss_of(trained, tiny_dataset, tmp_path / "scores")
    assert found == pytest.approx(report["after"]["validation"]["loss"], rel=1e-6)


def test_the_curve_has_the_parents_at_its_ends_and_the_best_is_taken(
    trained: Path, random: Write, tiny_dataset: Path, other_data: Path, tmp_path: Path
) -> None:
    far = random(1)
    report, merged = merge(
        tmp_path / "out",
        checkpoints=[str(far), str(trained)],
        alpha=None,
        evaluate={
            "data": [
                {"path": str(tiny_dataset), "role": "target"},
                {"path": str(other_data), "role": "source"},
            ],
            "alphas": [0.5, 0.9],
            **SCORING,
        },
    )
    found = report["evaluation"]
    assert [point["alpha"] for point in found["points"]] == [0, 0.5, 0.9, 1]
    target, source = (
        [point["scores"][place]["loss"] for point in found["points"]] for place in (0, 1)
    )
    for alpha, parent in ((0, far), (-1, trained)):
        for losses, data in ((target, tiny_dataset), (source, other_data)):
            out = tmp_path / f"{parent.name}-{data.name}"
            assert losses[alpha] == pytest.approx(loss_of(parent, data, out), rel=1e-6)
    best = target.index(min(target))
    assert found["best"] == {
        "point": best,
        "target_loss": target[best],
        "source_loss": source[best],
        "source_cost": source[best] - min(source[0], source[-1]),
    }
    assert found["result"] == best
    alpha = found["points"][best]["alpha"]
    assert merged.card["merge"] == {"method": "interpolate", "alpha": alpha}
    assert merged.card["scores"]["validation_loss"] == target[best]


def test_a_greedy_soup_leaves_out_what_makes_it_worse(
    trained: Path, random: Write, tiny_dataset: Path, other_data: Path, tmp_path: Path
) -> None:
    report, merged = merge(
        tmp_path / "out",
        method="soup_greedy",
        checkpoints=[str(random(1)), str(trained), str(trained)],
        evaluate={
            "data": [
                {"path": str(other_data), "role": "source"},
                {"path": str(tiny_dataset), "role": "target"},
            ],
            **SCORING,
        },
    )
    found = report["evaluation"]
    assert report["merge"] == {"method": "soup_greedy", "kept": [1, 2]}
    assert [(step["model"], step["kept"]) for step in found["steps"]] == [
        (1, True),
        (2, True),
        (0, False),
    ]
    assert [point["models"] for point in found["points"]] == [[0], [1], [2], [1, 2], [1, 2, 0]]
    assert all(len(point["scores"]) == 2 for point in found["points"])
    assert found["result"] == 3
    # Twice the same model is that model.
    assert merged.weights_sha256 == read_checkpoint(trained).weights_sha256
    assert len(merged.card["parents"]) == 2


@pytest.mark.parametrize("greedy", [False, True])
def test_one_model_is_in_memory_at_a_time(
    greedy: bool,
    trained: Path,
    random: Write,
    tiny_dataset: Path,
    other_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []
    start, reckon = evaluate.Judge.__init__, evaluate.require_memory

    def noting(judge: evaluate.Judge, *args: Any) -> None:
        start(judge, *args)
        made.append(weakref.ref(judge._scorer.task.model))

    def reckoning(needed: int) -> None:
        alive.append(sum(model() is not None for model in made))
        reckon(needed)

    monkeypatch.setattr(evaluate.Judge, "__init__", noting)
    monkeypatch.setattr(evaluate, "require_memory", reckoning)
    data = [
        {"path": str(other_data), "role": "source"},
        {"path": str(tiny_dataset), "role": "target"},
    ]
    merge(
        tmp_path / "out",
        method="soup_greedy" if greedy else "soup_uniform",
        checkpoints=[str(random(1)), str(trained)],
        evaluate={"data": data, **SCORING},
    )
    assert alive == [0, 0]

    (tmp_path / "scores").mkdir()
    log = EventLog(tmp_path / "scores" / "events.jsonl")
    values = {"checkpoint": str(trained), "data": data, **SCORING}
    evaluate.run(EvaluateSpec.model_validate(values), tmp_path / "scores", log)
    log.close()
    assert alive == [0] * 4


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("task_arithmetic", {"scales": [0.5, 0.5]}),
        ("ties", {"keep_percent": 30.0, "scale": 0.5}),
    ],
)
def test_what_starts_from_a_base_is_scored_beside_its_parents(
    trained: Path,
    random: Write,
    tiny_dataset: Path,
    tmp_path: Path,
    method: str,
    parameters: dict[str, Any],
) -> None:
    report, merged = merge(
        tmp_path / "out",
        method=method,
        base=str(random(1)),
        checkpoints=[str(trained), str(random(2))],
        evaluate={"data": [{"path": str(tiny_dataset)}], **SCORING},
        scale=0.5,
        keep_percent=30,
    )
    assert merged.card["merge"] == {"method": method, **parameters}
    assert [point["models"] for point in report["evaluation"]["points"]] == [
        [0],
        [1],
        [2],
        [0, 1, 2],
    ]
    assert report["evaluation"]["result"] == 3
    assert len(merged.card["parents"]) == 3


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"checkpoints": ["a"]}, "checkpoints", "merge_two"),
        ({"checkpoints": ["a", "b", "c"]}, "checkpoints", "merge_two"),
        ({"checkpoints": ["a"], "method": "soup_uniform"}, "checkpoints", "merge_several"),
        ({"checkpoints": ["a"], "method": "ties"}, "base", "merge_without_base"),
        (
            {"checkpoints": ["a"], "method": "task_arithmetic", "base": "b", "scales": [1, 2]},
            "scales",
            "merge_scales",
        ),
        ({"checkpoints": ["a", "b"], "alpha": None}, "alpha", "merge_without_target"),
        ({"checkpoints": ["a", "b"], "method": "soup_greedy"}, "evaluate", "merge_without_target"),
    ],
)
def test_a_spec_that_cannot_work_is_refused_at_its_field(
    values: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        MergeSpec.model_validate(values)
    (problem,) = problems(caught.value)
    assert problem.field == field
    assert caught.value.errors()[0]["type"] == code


def test_what_was_there_stays_when_it_fails(
    trained: Path, random: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = random(1)
    monkeypatch.setattr(faults, "_reached", {})
    monkeypatch.setenv("GRAFT_FAULT", "checkpoint.tensor:3:enospc")
    with pytest.raises(TrainingError) as caught:
        merge(tmp_path / "out", checkpoints=[str(trained), str(other)])
    assert caught.value.code == "disk_full_writing"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["events.jsonl"]
    phases = [e["name"] for e in read_events(tmp_path / "out" / "events.jsonl")[0]]
    assert phases == ["loading", "merging"]
