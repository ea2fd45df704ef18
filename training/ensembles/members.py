"""Classifiers as members: which classes each tells apart, and what it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.backbones.registry import BACKBONES
from training.ensembles.folder import MemberConfig, is_ensemble
from training.ensembles.spec import MEMBERS, EnsembleSpec
from training.errors import TrainingError
from training.methods.task_related.classification_spec import classes_of
from training.predicting.inputs import InputSizes, sizes_of
from training.weights.checkpoint import Checkpoint, read_checkpoint

#: What a refusal lists of the classes that differ.
MOST_NAMED = 5


@dataclass(frozen=True)
class Member:
    """A classifier that was opened.

    Attributes:
        number: From 1, for people.
        checkpoint: It.
        classes: Names, in its own order.
        inputs: What it is shown of an example.
    """

    number: int
    checkpoint: Checkpoint
    classes: list[str]
    inputs: InputSizes

    @property
    def title(self) -> str:
        """Its architecture."""
        return BACKBONES[self.checkpoint.config.architecture].title

    @property
    def kind(self) -> str:
        """What it reads: ``text``, ``image`` or ``table``."""
        return BACKBONES[self.checkpoint.config.architecture].kind

    def order(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Where each of these classes stands in its own order."""
        return np.array([self.classes.index(name) for name in names], np.int64)

    def config(self) -> MemberConfig:
        """As an ensemble's ``config.json`` has it."""
        return MemberConfig(
            folder=f"members/{self.number - 1}",
            architecture=self.checkpoint.config.architecture,
            parameters=self.checkpoint.config.parameter_count(),
            weights_sha256=self.checkpoint.weights_sha256,
            inputs=self.inputs,
        )


def open_member(path: Path, number: int, spec: EnsembleSpec) -> Member:
    """A checkpoint as a member.

    Args:
        path: Its folder.
        number: From 1.
        spec: Says what it is shown where its card does not.

    Raises:
        TrainingError: ``member_unreadable``, ``member_is_ensemble``, ``member_without_classes``.
    """
    field = f"members.{number - 1}.checkpoint"
    try:
        if is_ensemble(path):
            raise TrainingError("member_is_ensemble", field=field, number=number)
        checkpoint = read_checkpoint(path)
    except TrainingError as error:
        if error.code == "member_is_ensemble":
            raise
        raise TrainingError(
            "member_unreadable", field=field, number=number, detail=str(error)
        ) from error
    return as_member(checkpoint, number, sizes_of(checkpoint, spec.image_px, spec.most_tokens))


def as_member(checkpoint: Checkpoint, number: int, inputs: InputSizes) -> Member:
    """The same of a checkpoint that is open.

    Raises:
        TrainingError: ``member_without_classes``.
    """
    config = checkpoint.config
    member = Member(number, checkpoint, classes_of(config, checkpoint.card), inputs)
    told = len(member.classes)
    scores = getattr(config, "num_classes", told)
    if told < 2 or scores != told or config.architecture not in MEMBERS:
        raise TrainingError(
            "member_without_classes",
            field=f"members.{number - 1}.checkpoint",
            number=number,
            architecture=member.title,
        )
    return member


def require_alike(members: Sequence[Member], kind: str, names: Sequence[str]) -> None:
    """Refuse members that read something else than the data, or know other classes.

    Classes are compared by name, whatever their order.

    Raises:
        TrainingError: ``member_of_other_data``, ``member_classes_differ``.
    """
    for member in members:
        field = f"members.{member.number - 1}.checkpoint"
        if member.kind != kind:
            raise TrainingError(
                "member_of_other_data",
                field=field,
                number=member.number,
                architecture=member.title,
            )
        extra = [name for name in member.classes if name not in set(names)]
        missing = [name for name in names if name not in set(member.classes)]
        if extra or missing:
            raise TrainingError(
                "member_classes_differ",
                field=field,
                number=member.number,
                extra=_listed(extra),
                missing=_listed(missing),
            )


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) > MOST_NAMED else ""
    return (", ".join(names[:MOST_NAMED]) or "–") + more
