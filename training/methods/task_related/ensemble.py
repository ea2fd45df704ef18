"""An ensemble: classifiers that are there, made one by what they say.

    p(y | x) = combine( p_1(y | x), …, p_M(y | x) )              :mod:`training.ensembles.combining`

Members are whatever tells the same classes apart on the same kind of data: networks of different
architectures, the same network from several seeds [0], or the snapshots of one run with a cyclic
learning rate [1]. Each sees an example in its own way.

- [0] Lakshminarayanan, Pritzel & Blundell, 2017, "Simple and Scalable Predictive Uncertainty
  Estimation using Deep Ensembles", https://arxiv.org/abs/1612.01474
- [1] Huang et al., 2017, "Snapshot Ensembles: Train 1, Get M for Free",
  https://arxiv.org/abs/1704.00109

Details people get wrong: two members with the same classes may have them in another order; what is
fitted is fitted on the validation split, which chose the members' weights too, and is judged on the
test split alone; a member that learned from examples of the test split makes every figure too good.

``docs/methods/ensemble.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.durable import sweep
from training.ensembles.combining import Combined, combine
from training.ensembles.examples import Shown, read_shown
from training.ensembles.folder import EnsembleConfig, read_ensemble, write_ensemble
from training.ensembles.judging import judge
from training.ensembles.members import Member, as_member, open_member
from training.ensembles.overlap import overlap
from training.ensembles.spec import FITTED, MEMBERS, Combination, EnsembleSpec
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.evaluation.classification import Probabilities
from training.evaluation.classification_report import classification_report
from training.events import EventLog
from training.features.cache import Cached, cached_features
from training.methods.contract import WorkMethod
from training.report import describe_dataset, write_report
from training.settings import spec_sha256
from training.version import code_version

#: The scores that the card has.
TOLD = ("accuracy", "macro_f1", "loss")


@dataclass
class _Predicted:
    """What the members said, by member and split, and what it cost."""

    of: dict[tuple[int, str], Cached] = field(default_factory=dict)

    def told(self, shown: Shown, members: Sequence[Member], split: str) -> npt.NDArray[np.float32]:
        """Log probabilities [members, rows, classes], classes in the data's order."""
        return np.stack(
            [
                self.of[member.number, split].values[:, member.order(shown.names)]
                for member in members
            ]
        )

    def cost(self) -> dict[str, Any]:
        found = self.of.values()
        return {
            "computed_s": round(sum(one.seconds for one in found if not one.hit), 3),
            "saved_s": round(sum(one.seconds for one in found if one.hit), 3),
        }

    def cache(self, member: Member) -> dict[str, str]:
        """``hit`` or ``miss`` of each split."""
        return {
            split: "hit" if one.hit else "miss"
            for (number, split), one in self.of.items()
            if number == member.number
        }


def work(spec: EnsembleSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Let every member predict, combine what they say, judge it beside them.

    Writes ``report.json``, and ``checkpoint/`` unless an ensemble that is there is judged.

    Args:
        spec: Data, members, combination.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase`` and ``log``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``member_*``, ``ensemble_*``, ``stacking_lacks_class``, ``split_missing``,
            ``dataset_*``, ``table_*``, ``disk_full_writing``.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    members, kind, classes, ready = _members(spec)
    shown = read_shown(Path(spec.data.path), members)
    split = _scored_split(shown, kind, ready)
    fitted_on = "validation" if ready is None and kind in FITTED else None
    predicted = _predict(
        spec, shown, members, [one for one in (fitted_on, split) if one], out, events
    )
    _tell(events, "combination")
    combined = ready or _combined(spec, shown, members, predicted, fitted_on)
    told = predicted.told(shown, members, split)
    found = _judged(spec, shown, combined, classes or shown.names, told, split, events)
    data = describe_dataset(Path(spec.data.path))
    result = {"report": "report.json"}
    if ready is None:
        events.emit("phase", name="saving", fraction=None, detail="checkpoint")
        card = _write(spec, out, shown, members, combined, found, data, split)
        result["result"] = "checkpoint"
    else:
        card = read_ensemble(Path(spec.checkpoint)).card
    write_report(
        out,
        METHOD.name,
        spec,
        time.monotonic() - started,
        {
            "seed": spec.seed,
            "data": data,
            "parents": card["parents"],
            "weights_sha256": card["weights_sha256"],
            "combination": _described(kind, combined),
            "fitted_on": None
            if fitted_on is None
            else {"split": fitted_on, "examples": len(shown.split(fitted_on))},
            "members": [
                {
                    **_about(member),
                    "scores": scores,
                    "cache": predicted.cache(member),
                    "overlap": overlap(shown, split, member, data, _trained_on(spec, member)),
                }
                for member, scores in zip(members, found.pop("member_scores"), strict=True)
            ],
            **found,
            "predicting": predicted.cost(),
        },
    )
    return result


def _members(
    spec: EnsembleSpec,
) -> tuple[list[Member], Combination, list[str], Combined | None]:
    """The members, how they are combined, and of an ensemble that is there its classes in the
    order of what was fitted, and the combination itself."""
    if spec.checkpoint:
        ensemble = read_ensemble(Path(spec.checkpoint))
        members = [
            as_member(checkpoint, number, one.inputs)
            for number, (checkpoint, one) in enumerate(
                zip(ensemble.members, ensemble.config.members, strict=True), start=1
            )
        ]
        config = ensemble.config
        return members, config.combination, config.classes, ensemble.combined
    members = [
        open_member(Path(one.checkpoint), number, spec)
        for number, one in enumerate(spec.members, start=1)
    ]
    return members, spec.combination, [], None


def _scored_split(shown: Shown, kind: Combination, ready: Combined | None) -> str:
    """The split that is scored: the test's, or the validation's where nothing is fitted on it."""
    if "test" in shown.splits:
        return "test"
    if ready is None and kind in FITTED:
        raise TrainingError("ensemble_needs_test", field="combination")
    shown.split("validation")
    return "validation"


def _predict(
    spec: EnsembleSpec,
    shown: Shown,
    members: Sequence[Member],
    splits: Sequence[str],
    out: Path,
    events: EventLog,
) -> _Predicted:
    """What each member says of each split; a model is built only for what is not in the cache."""
    root, found, ready = Path(spec.cache) if spec.cache else out / "cache", _Predicted(), False

    def compute(member: Member, split: str) -> npt.NDArray[np.float32]:
        nonlocal ready
        if not ready:
            events.emit("phase", name="loading", fraction=None, detail="TensorFlow")
            from training.engine.devices import configure, default_threads

            configure(spec.devices, default_threads())
            ready = True
        detail = f"{member.number}/{len(members)}, {split}"
        events.emit("phase", name="predicting", fraction=0.0, detail=detail)
        told = shown.log_probabilities(
            member, split, spec.batch_size, partial(_telling, events, detail)
        )
        gc.collect()
        return told

    for member in members:
        for split in splits:
            parts = {
                "weights": member.checkpoint.weights_sha256,
                "what": "log probabilities of the classes",
                **shown.key(member, split),
            }
            found.of[member.number, split] = cached_features(
                root, parts, partial(compute, member, split)
            )
    return found


def _telling(events: EventLog, detail: str, fraction: float) -> None:
    events.emit("phase", name="predicting", fraction=round(fraction, 4), detail=detail)


def _tell(events: EventLog, what: str) -> None:
    events.emit("phase", name="evaluating", fraction=None, detail=what)


def _combined(
    spec: EnsembleSpec,
    shown: Shown,
    members: Sequence[Member],
    predicted: _Predicted,
    fitted_on: str | None,
) -> Combined:
    if fitted_on is None:
        nothing = np.zeros((len(members), 0, len(shown.names)), np.float32)
        labels = np.zeros(0, np.int64)
        made: Combined = combine(spec.combination, nothing, labels, shown.names, spec.seed)
        return made
    told, rows = predicted.told(shown, members, fitted_on), shown.split(fitted_on)
    made = combine(spec.combination, told, rows.labels, shown.names, spec.seed)
    return made


def _judged(
    spec: EnsembleSpec,
    shown: Shown,
    combined: Combined,
    classes: Sequence[str],
    told: npt.NDArray[np.float32],
    split: str,
    events: EventLog,
) -> dict[str, Any]:
    """The report's scores: of the ensemble, what it must beat, and its members.

    ``classes`` are in the order of what was fitted, ``told`` in the data's, as all that is
    reported.
    """
    there = [shown.names.index(name) for name in classes]
    back = [classes.index(name) for name in shown.names]
    ours = combined.predict(told[..., there])[:, back]
    _tell(events, "baselines")
    scored, train = shown.split(split), shown.split("train")
    predicted: dict[str, Probabilities] = {"model": ours, **shown.baselines(split, spec.seed)}
    report = classification_report(
        shown.kind, split, train, scored, shown.names, predicted, spec.seed
    )
    alone = [np.exp(one.astype(np.float64)) for one in told]
    alone = [one / one.sum(1, keepdims=True) for one in alone]
    return report | judge(ours, alone, scored.labels, shown.names, spec.seed)


def _write(
    spec: EnsembleSpec,
    out: Path,
    shown: Shown,
    members: Sequence[Member],
    combined: Combined,
    found: dict[str, Any],
    data: dict[str, Any],
    split: str,
) -> dict[str, Any]:
    scores = found["scores"]["model"]
    return write_ensemble(
        out / "checkpoint",
        EnsembleConfig(
            kind=shown.kind,  # type: ignore[arg-type]
            classes=shown.names,
            combination=combined.kind,
            chosen=combined.head.chosen if combined.head is not None else 0.0,
            target=shown.target,
            members=[member.config() for member in members],
        ),
        combined,
        [member.checkpoint for member in members],
        {
            "made_by": {
                "command": "run",
                "code_version": code_version(),
                "spec_sha256": spec_sha256(spec),
                "seed": spec.seed,
            },
            "data": data,
            "scores": {f"{split}_{name}": scores[name] for name in TOLD},
        },
    )


def _described(kind: Combination, combined: Combined) -> dict[str, Any]:
    return {
        "kind": kind,
        "weights": None if combined.weights is None else [float(one) for one in combined.weights],
        "chosen": None if combined.head is None else combined.head.chosen,
    }


def _about(member: Member) -> dict[str, Any]:
    one = member.config()
    return {
        "number": member.number,
        "architecture": one.architecture,
        "parameters": one.parameters,
        "weights_sha256": one.weights_sha256,
        "inputs": one.inputs.model_dump(exclude_none=True),
    }


def _trained_on(spec: EnsembleSpec, member: Member) -> list[Path]:
    if spec.checkpoint:
        return []
    return [Path(one) for one in spec.members[member.number - 1].trained_on]


METHOD: Final = WorkMethod(
    name="ensemble",
    family="task_related",
    title=_("Ensemble"),
    summary=_(
        "Let several classifiers answer as one: by the mean of what they say, by weights, or by a "
        "small model on top of them (stacking)."
    ),
    data=("labelled_text", "labelled_image", "table"),
    backbones=MEMBERS,
    settings=EnsembleSpec,
    example={
        "data": {"path": "DATASET"},
        "members": [{"checkpoint": "CHECKPOINT"}, {"checkpoint": "ANOTHER"}],
    },
    checkpoints=("checkpoint",),
    work=work,
)
