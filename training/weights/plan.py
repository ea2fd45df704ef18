"""What a transfer plan is: for every tensor of a new model where it comes from, and why.

One row per target tensor with the action and the reason, and the source's tensors that stay
behind; :mod:`training.weights.planner` makes it. Pure Python, so that the portal can show a plan
without NumPy; a plan is JSON, and the proof of a copy refers to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from training.errors import gettext_noop as _
from training.weights.operators import Step, Tokens

PLAN_VERSION = 2

#: ``copy``: every value as it is. ``transpose``, ``split``, ``join``: every value, from another
#: layout. ``slice``: the first ones of more. ``pad``: all of them into a larger tensor, whose rest
#: is initialised. ``tile``, ``interpolate``: positions repeated or stretched. ``map_tokens``: rows
#: by token string. ``grow``: so that a larger model computes the same. ``initialise``: nothing
#: from the source. ``keep``: nothing either, and the new model has values of its own already.
Action = Literal[
    "copy",
    "transpose",
    "split",
    "join",
    "slice",
    "pad",
    "tile",
    "interpolate",
    "map_tokens",
    "grow",
    "initialise",
    "keep",
]

#: code → sentence with %-placeholders, translated where it is shown.
REASONS: dict[str, str] = {
    # of rows
    "same_name": _("The source has it under the same name, in the same shape."),
    "same_role": _("%(source)s does the same work in the source."),
    "head_from_embedding": _("The source's head is its token embedding."),
    "positions": _(
        "The source knows %(source)s positions and this model %(target)s: the first %(rows)s are "
        "copied."
    ),
    "positions_stretched": _("The source's %(source)s positions are stretched to %(target)s."),
    "positions_repeated": _("The source's %(source)s positions are repeated up to %(target)s."),
    "patch": _("Patches of %(source)s pixels are stretched to %(target)s."),
    "vocabulary": _(
        "The source knows %(source)s tokens and this model %(target)s: the first %(rows)s, which "
        "are the same in both, are copied."
    ),
    "tokens": _(
        "Rows by token: %(same)s of %(target)s tokens are in both vocabularies, %(parts)s start "
        "as the mean of their parts, %(new)s are new."
    ),
    "tokenizer_differs": _("The tokenizers differ, so a row would mean another token."),
    "asked": _("You asked that it starts afresh (%(pattern)s)."),
    "rule": _("Your rule: %(rule)s."),
    "layer_added": _("The source has %(layers)s layers; this one is new."),
    "layer_identity": _(
        "A new layer that passes on what it gets: it begins to work only as it learns."
    ),
    "layer_from": _("Taken from layer %(layer)s of the source."),
    "width_differs": _("The source is %(source)s wide and this model %(target)s."),
    "width_cut": _("%(source)s wide in the source, %(target)s here: what both have is copied."),
    "width_grown": _(
        "%(source)s wide in the source, %(target)s here: every value is used %(factor)s times, so "
        "that the larger model computes the same."
    ),
    "width_no_multiple": _(
        "%(target)s is no whole multiple of the source's %(source)s (or the heads have another "
        "size), so it cannot grow without changing what it computes."
    ),
    "width_head_tied": _(
        "%(source)s wide in the source, %(target)s here: the head is the token embedding and would "
        "sum over every copy, and no layer norm before it has a scale that could make up for it."
    ),
    "inner_width_differs": _(
        "The source's feed-forward layer is %(source)s wide and this model's %(target)s."
    ),
    "labels_differ": _("The source knows %(source)s classes and this model %(target)s."),
    "not_in_source": _("The source has no such tensor."),
    "ambiguous": _("Nothing in the source clearly is this. It could be: %(names)s. Write a rule."),
    "shape_differs": _("The source has it as %(source)s and this model as %(target)s."),
    # of tensors left behind
    "layer_dropped": _("This model has %(layers)s layers only."),
    "layer_not_taken": _("This model's layers are taken from other layers of the source."),
    "place_taken": _("Its place in this model is taken by %(source)s."),
    "head_tied": _("This model's head is its token embedding, so the source's own is not used."),
    "not_in_target": _("This model has no such tensor."),
    "not_used": _("Its place in this model starts afresh."),
    # notes on the whole
    "architecture_differs": _(
        "%(source)s and %(target)s are different architectures: equal weights need not compute "
        "the same."
    ),
    "heads_differ": _(
        "The source splits its attention into %(source)s heads and this model into %(target)s: the "
        "weights are copied, but compute something else."
    ),
    "activation_differs": _(
        "The source's activation is %(source)s and this model's %(target)s: the weights are "
        "copied, but compute something else."
    ),
    "setting_differs": _(
        "%(name)s is %(source)s in the source and %(target)s in this model: the weights are "
        "copied, but compute something else."
    ),
    "layers_moved": _(
        "In this model the same layer computes something else in another place, so that moving "
        "layers changes what it computes."
    ),
    "identity_inexact": _(
        "This architecture normalises after each half layer, so that new layers do not pass on "
        "exactly what they get."
    ),
    "tokens_overlap": _(
        "%(percent)s %% of the new vocabulary's tokens are known to the source by the same string."
    ),
    "nothing_copied": _("Nothing is copied: this is training from scratch."),
}


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(_Frozen):
    """Why: ``gettext(REASONS[code]) % params`` is the sentence."""

    code: str
    params: dict[str, Any] = {}

    @property
    def sentence(self) -> str:
        """In English."""
        return REASONS[self.code] % self.params


class Part(_Frozen):
    """A source tensor, what is done to it, and where in the new tensor the result goes.

    Attributes:
        source: Name in the source.
        source_shape: Its shape there.
        steps: In order; see :mod:`training.weights.operators`.
        at: Index of the result's first value in the new tensor.
        shape: Of the result.
    """

    source: str
    source_shape: tuple[int, ...]
    steps: tuple[Step, ...] = ()
    at: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def place(self) -> tuple[slice, ...]:
        """Where the result goes, as an index into the new tensor."""
        return tuple(
            slice(start, start + size) for start, size in zip(self.at, self.shape, strict=True)
        )


class Row(_Frozen):
    """One tensor of the new model.

    Attributes:
        target: Its name.
        shape: Its shape.
        block: The part of the model it belongs to.
        action: What happens, in a word.
        parts: What comes from the source; what they do not cover is filled.
        fill: ``own``: with the new model's own (random, or kept) values; ``zeros``.
        reason: Why this action.
        frozen: Whether training is to leave it as it is.
    """

    target: str
    shape: tuple[int, ...]
    block: str
    action: Action
    parts: tuple[Part, ...] = ()
    fill: Literal["own", "zeros"] = "own"
    reason: Reason
    frozen: bool = False

    @property
    def parameters(self) -> int:
        return prod(self.shape)

    @property
    def copied(self) -> int:
        """Parameters that come from the source."""
        total = 0
        for part in self.parts:
            values = prod(part.shape)
            for step in part.steps:
                if isinstance(step, Tokens):
                    known = sum(1 for rows in step.rows if rows)
                    values = known * prod(part.shape[1:])
            total += values
        return total

    @property
    def sources(self) -> list[str]:
        """Names of the source's tensors that something comes from."""
        return list(dict.fromkeys(part.source for part in self.parts))

    @property
    def whole(self) -> bool:
        """Whether every value comes from the source."""
        return self.copied == self.parameters


class LeftBehind(_Frozen):
    """One tensor of the source that nothing is taken from."""

    source: str
    shape: tuple[int, ...]
    block: str
    reason: Reason


class Coverage(_Frozen):
    """How much of a block of the new model comes from the source, and from which blocks of it."""

    block: str
    parameters: int
    copied: int
    sources: tuple[str, ...] = ()


class Plan(_Frozen):
    """What a copy will do, or has done."""

    version: Literal[2] = 2
    rows: list[Row]
    left_behind: list[LeftBehind]
    notes: list[Reason] = []
    #: The source's blocks, in its order: name, parameters.
    source_blocks: dict[str, int] = {}

    @property
    def parameters_total(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def parameters_copied(self) -> int:
        return sum(row.copied for row in self.rows)

    @property
    def share(self) -> float:
        """Share of the new model's parameters that come from the source, 0..1."""
        return self.parameters_copied / self.parameters_total

    def coverage(self, source_block: Mapping[str, str] | None = None) -> list[Coverage]:
        """Each block of the new model, in order.

        Args:
            source_block: Block of each source tensor, where it is to be told.
        """
        known = source_block or {}
        totals: dict[str, list[int]] = {}
        sources: dict[str, dict[str, None]] = {}
        for row in self.rows:
            total = totals.setdefault(row.block, [0, 0])
            total[0] += row.parameters
            total[1] += row.copied
            names = sources.setdefault(row.block, {})
            names.update(dict.fromkeys(known[name] for name in row.sources if name in known))
        return [
            Coverage(block=name, parameters=a, copied=b, sources=tuple(sources[name]))
            for name, (a, b) in totals.items()
        ]

    def counts(self) -> dict[str, int]:
        """The ``weights`` event's numbers: tensors copied (wholly or in part) and so on."""
        copied = sum(bool(row.parts) for row in self.rows)
        return {
            "copied": copied,
            "initialised": len(self.rows) - copied,
            "left_behind": len(self.left_behind),
            "parameters_copied": self.parameters_copied,
            "parameters_total": self.parameters_total,
        }

    @property
    def frozen(self) -> list[str]:
        """Names of the tensors that training is to leave as they are."""
        return [row.target for row in self.rows if row.frozen]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, with the sums that a reader would otherwise have to work out."""
        return self.model_dump(mode="json") | {
            "coverage": [block.model_dump(mode="json") for block in self.coverage()],
            "counts": self.counts(),
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Plan:
        return cls.model_validate({key: payload[key] for key in cls.model_fields if key in payload})
