"""Classifiers that go together, and ensembles in any state, with a report as the engine writes."""

from __future__ import annotations

from typing import Any

from tests.factories.accounts import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_labelled
from tests.factories.heads import make_report as head_report
from tests.factories.heads import make_scores
from tests.factories.jobs import make_job
from training.backbones.bert.config import PRESETS as BERT
from training.ensembles.spec import EnsembleSpec
from webapp.checkpoints.models import Checkpoint
from webapp.ensembles.models import Ensemble
from webapp.jobs.models import State
from webapp.runs import references

#: Those of :func:`tests.factories.datasets.make_labelled`.
NAMES = ["good <b>", "bad"]


def make_classifier(cast: Cast, names: list[str] | None = None, **fields: Any) -> Checkpoint:
    """A BERT of Alice's that tells two classes apart."""
    labels = NAMES if names is None else names
    values = BERT["nano"].model_dump() | {"head": "classification", "labels": labels}
    values |= {"pooler": None}
    return make_checkpoint(cast, config=type(BERT["nano"]).model_validate(values), **fields)


def make_report(members: list[Checkpoint], **fields: Any) -> dict[str, Any]:
    """``report.json`` of an ensemble that is a little better than the best of its members."""
    base = head_report()
    for name in ("features", "control", "head"):
        base.pop(name)
    scores = {"model": make_scores(0.78)} | {
        name: base["scores"][name] for name in ("tfidf", "majority")
    }
    gain = {"gain": 0.03, "interval": [0.01, 0.05]}
    loss = {"gain": 0.02, "interval": [-0.01, 0.05]}
    count = len(members)
    return (
        base
        | {
            "method": "ensemble",
            "scores": scores,
            "combination": {"kind": "mean", "weights": [1 / count] * count, "chosen": None},
            "fitted_on": None,
            "members": [
                {
                    "number": place + 1,
                    "architecture": one.architecture,
                    "parameters": 10,
                    "weights_sha256": one.weights_sha256,
                    "inputs": {"most_tokens": 128},
                    "scores": make_scores(0.7 + 0.05 * place),
                    "cache": {"test": "hit" if place else "miss"},
                    "overlap": {"known": "same", "examples": 0},
                }
                for place, one in enumerate(members)
            ],
            "mean": {"accuracy": 0.725, "macro_f1": 0.71, "loss": 0.7, "ece": 0.06},
            "best": count - 1,
            "gains": {
                "over_mean": {"accuracy": gain, "loss": loss},
                "over_best": {"accuracy": gain, "loss": loss},
            },
            "disagreement": {
                "pairs": [[0.2 * (a != b) for b in range(count)] for a in range(count)],
                "mean": 0.2,
                "examples": {
                    "all_right": 60,
                    "all_wrong": 10,
                    "settled_right": 18,
                    "settled_wrong": 12,
                },
                "gained": 5,
                "lost": 2,
            },
            "predicting": {"computed_s": 3.0, "saved_s": 2.0},
        }
        | fields
    )


def make_ensemble(cast: Cast, **fields: Any) -> Ensemble:
    """A finished ensemble of two classifiers of Alice's; ``job`` holds fields of its job."""
    members = fields.pop("members", None) or [make_classifier(cast), make_classifier(cast)]
    version = fields.pop("version", None) or make_labelled(cast)
    job = {"kind": "ensemble", "state": State.SUCCEEDED} | fields.pop("job", {})
    report = fields.pop("report", None) or make_report(members)
    spec = EnsembleSpec.model_validate(
        {
            "data": {"path": references.write("dataset", version.pk)},
            "members": [{"checkpoint": references.write("checkpoint", one.pk)} for one in members],
            **fields.pop("spec", {}),
        }
    )
    done = job["state"] == State.SUCCEEDED
    values: dict[str, Any] = {
        "name": "Reviews, ensemble",
        "dataset_version": version,
        "job": make_job(
            cast, spec=spec.model_dump(mode="json"), report=report if done else {}, **job
        ),
        "team": cast.team,
        "owner": cast.alice,
    }
    if done:
        values |= {"accuracy": 0.78, "best_accuracy": 0.75}
    row = Ensemble.objects.create(**values | fields)
    row.members.set(members)
    return row
