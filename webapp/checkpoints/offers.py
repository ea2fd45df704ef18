"""Every form that a checkpoint can be exported in, as the page of its exports shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from training.interop.exports import EXPORTS
from webapp.accounts.models import User
from webapp.checkpoints.models import Checkpoint, CheckpointExport
from webapp.checkpoints.services_export import problem
from webapp.jobs.selectors import error_sentence


@dataclass(frozen=True)
class Offer:
    """One form, as the page shows it.

    Attributes:
        key: Of :data:`training.interop.exports.EXPORTS`.
        title: Its name.
        opened_by: Who opens it.
        refused: Why it is not offered; empty when it is.
        expected_bytes: About how large it will be.
        export: What there is of it; None: nothing yet.
        sentence: Why it failed; empty when it did not.
    """

    key: str
    title: str
    opened_by: str
    refused: str
    expected_bytes: int
    export: CheckpointExport | None
    sentence: str

    @property
    def is_live(self) -> bool:
        return self.export is not None and self.export.job.is_live

    @property
    def proof(self) -> dict[str, Any]:
        return self.export.proof if self.export is not None else {}

    @property
    def exact(self) -> bool:
        """Whether the proof is one of equal bytes, not of equal outputs."""
        return self.proof.get("kind") == "bytes"

    @property
    def difference(self) -> str:
        """The largest difference of an output: ``2.1e-06``."""
        return f"{self.proof.get('largest_difference', 0):.1e}"

    @property
    def tolerance(self) -> str:
        return f"{self.proof.get('tolerance', 0):.0e}"

    @property
    def inputs(self) -> str:
        """``tokens int32 [batch, time]``."""
        return ", ".join(_described(given) for given in self.proof.get("inputs", []))


def offers(*, checkpoint: Checkpoint, user: User) -> list[Offer]:
    """Every form in a fixed order, with what there is of it."""
    rows = CheckpointExport.objects.for_user(user).filter(checkpoint=checkpoint)
    found = {row.format: row for row in rows.select_related("job", "owner")}
    shown = []
    for key, export in EXPORTS.items():
        row = found.get(key)
        shown.append(
            Offer(
                key=key,
                title=gettext(export.title),
                opened_by=gettext(export.opened_by),
                refused="" if row is not None else problem(checkpoint, key),
                expected_bytes=_values(checkpoint) * 4 if export.computes else checkpoint.size,
                export=row,
                sentence=error_sentence(row.job) if row is not None else "",
            )
        )
    return shown


def _values(checkpoint: Checkpoint) -> int:
    """Values of all tensors; running statistics count too."""
    return sum(math.prod(tensor["shape"]) for tensor in checkpoint.tensors)


def _described(given: dict[str, Any]) -> str:
    sizes = [
        str(size) if size is not None else axis
        for size, axis in zip(given["shape"], given["axes"], strict=True)
    ]
    return f"{given['name']} {given['dtype']} [{', '.join(sizes)}]"
