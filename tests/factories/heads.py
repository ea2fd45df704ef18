"""Heads in any state, with a report as the engine writes it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.factories.accounts import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.datasets import make_labelled
from tests.factories.jobs import make_job
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from webapp import storage
from webapp.heads.jobs import SCORES
from webapp.heads.models import Head
from webapp.jobs.models import State
from webapp.runs import references


def make_scores(accuracy: float = 0.75, **fields: Any) -> dict[str, Any]:
    """Scores of one classifier."""
    return {
        "accuracy": accuracy,
        "macro_f1": accuracy - 0.01,
        "auc": 0.8,
        "loss": 0.6,
        "ece": 0.05,
        "examples": 100,
        "intervals": {
            "accuracy": [accuracy - 0.05, accuracy + 0.05],
            "macro_f1": [accuracy - 0.06, accuracy + 0.05],
            "auc": [0.76, 0.84],
        },
        "classes": [
            {"name": "good <b>", "precision": 0.8, "recall": 0.7, "f1": 0.747, "examples": 50},
            {"name": "bad", "precision": 0.7, "recall": 0.8, "f1": 0.747, "examples": 50},
        ],
        "confusion": [[35, 15], [10, 40]],
        "calibration": [
            {"from": 0.5, "to": 0.6, "examples": 60, "confidence": 0.55, "accuracy": 0.6},
            {"from": 0.9, "to": 1.0, "examples": 40, "confidence": 0.95, "accuracy": 0.97},
        ],
    } | fields


def make_report(**fields: Any) -> dict[str, Any]:
    """``report.json`` of a head that beat everything."""
    splits = {"train": {"texts": 171, "cache": "miss"}, "test": {"texts": 9, "cache": "miss"}}
    cost = {"splits": splits, "width": 384, "computed_s": 70.0, "saved_s": 0}
    return {
        "version": 1,
        "method": "frozen_features",
        "duration_s": 75.5,
        "classes": ["good <b>", "bad"],
        "examples": 171,
        "split": "test",
        "features": cost,
        "control": cost,
        "head": {"kind": "logistic", "chosen": 0.01},
        "scores": {
            "model": make_scores(0.75),
            "random": make_scores(0.55),
            "tfidf": make_scores(0.6),
            "majority": make_scores(0.5, auc=None),
        },
        "beaten_by": [],
        "predictions": [
            {
                "id": number,
                "label": "bad",
                "predicted": "good <b>" if number < 8 else "bad",
                "probability": 0.9,
                "loss": 2.3,
                "text": f"Text <i>{number}</i>",
            }
            for number in range(12)
        ],
    } | fields


def number_report(rmse: float = 0.8) -> dict[str, Any]:
    """What a report says of a predicted number: better than everything beside it."""
    errors = {
        "mae": 0.6,
        "r2": 0.5,
        "examples": 90,
        "intervals": {"rmse": [rmse - 0.1, rmse + 0.1]},
    }
    constant = errors | {"r2": -0.01, "pearson": None, "spearman": None}
    return {
        "target": "rating",
        "examples": 171,
        "split": "test",
        "scores": {
            "model": errors | {"rmse": rmse, "pearson": 0.912, "spearman": 0.898},
            "tfidf": errors | {"rmse": 1.25, "pearson": 0.5, "spearman": 0.5},
            "mean": constant | {"rmse": 1.5},
            "median": constant | {"rmse": 1.52},
        },
        "beaten_by": [],
        "points": [[-3.0, -2.5], [0.0, 0.25], [3.5, 2.0]],
        "predictions": [
            {"id": 7, "text": "So <dull>", "label": -3.0, "predicted": 2.125, "error": 5.125}
        ],
    }


def make_number_report(**fields: Any) -> dict[str, Any]:
    """``report.json`` of a head that predicts a number."""
    found = make_report(head={"kind": "ridge", "chosen": 10.0}) | number_report()
    del found["classes"]
    found["scores"]["random"] = found["scores"]["tfidf"] | {"rmse": 1.125}
    return found | fields


def make_map(points: list[dict[str, Any]], classes: list[str]) -> dict[str, Any]:
    """``map.json`` of these examples, in a row; each is the neighbour of those beside it."""
    last = len(points) - 1
    return {
        "version": 1,
        "classes": classes,
        "agreement": 0.625,
        "points": [
            {
                "x": place / last,
                "y": 0.5,
                "neighbours": [
                    [other, 0.9 - 0.1 * (other > place)]
                    for other in (place - 1, place + 1)
                    if 0 <= other <= last
                ],
                "predicted": classes[0],
                **point,
            }
            for place, point in enumerate(points)
        ],
    }


def make_head(cast: Cast, **fields: Any) -> Head:
    """A fitted head of Alice's; ``job`` holds fields of its job, ``report`` its report."""
    team, owner = fields.get("team", cast.team), fields.get("owner", cast.alice)
    job = {"kind": "head", "state": State.SUCCEEDED} | fields.pop("job", {})
    done = job["state"] == State.SUCCEEDED
    report = fields.pop("report", make_report())
    drawn = fields.pop("map", None)
    checkpoint = fields.pop("checkpoint", None) or make_checkpoint(cast, team=team, owner=owner)
    version = fields.pop("version", None) or make_labelled(cast, team=team, owner=owner)
    spec = FrozenFeaturesSpec.model_validate(
        {
            "data": {"path": references.write("dataset", version.pk)},
            "source": {"checkpoint": references.write("checkpoint", checkpoint.pk)},
            **fields.pop("spec", {}),
        }
    )
    values: dict[str, Any] = {
        "name": f"{checkpoint.name} → {version.dataset.name}",
        "checkpoint": checkpoint,
        "dataset_version": version,
        "job": make_job(
            cast,
            team=team,
            owner=owner,
            spec=spec.model_dump(mode="json"),
            report=report if done else {},
            **job,
        ),
        "team": team,
        "owner": owner,
    }
    if done:
        scores = report["scores"]["model"]
        values |= {name: scores[name] for name in SCORES if name in scores}
        values["manifest"] = {"head.json": {"blake3": "ab" * 32, "size": 2}}
    if drawn is not None:
        values["manifest"] |= stored({"map.json": json.dumps(drawn)})
    return Head.objects.create(**values | fields)


def stored_head(folder: Path) -> storage.Manifest:
    """A head's two files, in the store."""
    (folder / "head.json").write_text("{}")
    (folder / "head.safetensors").write_bytes(b"weights")
    return storage.store_folder(folder)


def stored(files: Mapping[str, str]) -> storage.Manifest:
    """Files in the store."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_text(content)
        return storage.store_folder(Path(folder))
