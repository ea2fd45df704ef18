"""The transfer plan: which tensor of a new model comes from where, before anything is copied.

One row per target tensor with the action and the reason, and the source's tensors that stay
behind. Pure Python (shapes come from a header or a card), so that the portal can show a plan
without NumPy; a plan is JSON, and the proof of a copy refers to it.

Tensors are matched by their exact names, never by order: models with two layers swapped would load
by order without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from training.backbones.contract import BackboneConfig, TensorSpec
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.interop.forms import read_config
from training.interop.forms.form import read_config_json
from training.weights.header import read_header, shapes

PLAN_VERSION = 1

_PREFIX = "transformer."

#: ``copy``: every value. ``copy_rows``: the first ``rows`` rows, the others initialised.
#: ``initialise``: nothing from the source.
Action = Literal["copy", "copy_rows", "initialise"]

#: code → sentence with %-placeholders, translated where it is shown.
REASONS: dict[str, str] = {
    # of rows
    "same_name": _("The source has it under the same name, in the same shape."),
    "head_from_embedding": _("The source's head is its token embedding."),
    "positions": _(
        "The source knows %(source)s positions and this model %(target)s: the first %(rows)s are "
        "copied."
    ),
    "vocabulary": _(
        "The source knows %(source)s tokens and this model %(target)s: the first %(rows)s, which "
        "are the same in both, are copied."
    ),
    "tokenizer_differs": _("The tokenizers differ, so a row would mean another token."),
    "asked": _("You asked that it starts afresh (%(pattern)s)."),
    "layer_added": _("The source has %(layers)s layers; this one is new."),
    "width_differs": _("The source is %(source)s wide and this model %(target)s."),
    "inner_width_differs": _(
        "The source's feed-forward layer is %(source)s wide and this model's %(target)s."
    ),
    "not_in_source": _("The source has no such tensor."),
    "shape_differs": _("The source has it as %(source)s and this model as %(target)s."),
    # of tensors left behind
    "layer_dropped": _("This model has %(layers)s layers only."),
    "head_tied": _("This model's head is its token embedding, so the source's own is not used."),
    "not_in_target": _("This model has no such tensor."),
    "not_used": _("Its place in this model starts afresh."),
    # notes on the whole
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


class Row(_Frozen):
    """One tensor of the new model.

    Attributes:
        target: Its name.
        shape: Its shape.
        block: The part of the model it belongs to.
        action: What happens.
        source: Name in the source, where something comes from it.
        source_shape: Shape there; also given where it is why nothing is copied.
        rows: With ``copy_rows``, how many.
        copied: Parameters that come from the source.
        reason: Why this action.
    """

    target: str
    shape: tuple[int, ...]
    block: str
    action: Action
    source: str | None = None
    source_shape: tuple[int, ...] | None = None
    rows: int | None = None
    copied: int = 0
    reason: Reason

    @property
    def parameters(self) -> int:
        return _product(self.shape)


class LeftBehind(_Frozen):
    """One tensor of the source that nothing is taken from."""

    source: str
    shape: tuple[int, ...]
    block: str
    reason: Reason


class Coverage(_Frozen):
    """How much of a block of the new model comes from the source."""

    block: str
    parameters: int
    copied: int


class Plan(_Frozen):
    """What a copy will do, or has done."""

    version: Literal[1] = 1
    rows: list[Row]
    left_behind: list[LeftBehind]
    notes: list[Reason] = []

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

    def coverage(self) -> list[Coverage]:
        """Each block of the new model, in order."""
        totals: dict[str, list[int]] = {}
        for row in self.rows:
            total = totals.setdefault(row.block, [0, 0])
            total[0] += row.parameters
            total[1] += row.copied
        return [Coverage(block=name, parameters=a, copied=b) for name, (a, b) in totals.items()]

    def counts(self) -> dict[str, int]:
        """The ``weights`` event's numbers: tensors copied (wholly or in part) and so on."""
        initialised = sum(row.action == "initialise" for row in self.rows)
        return {
            "copied": len(self.rows) - initialised,
            "initialised": initialised,
            "left_behind": len(self.left_behind),
            "parameters_copied": self.parameters_copied,
            "parameters_total": self.parameters_total,
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, with the sums that a reader would otherwise have to work out."""
        return self.model_dump(mode="json") | {
            "coverage": [block.model_dump() for block in self.coverage()],
            "counts": self.counts(),
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Plan:
        return cls.model_validate({key: payload[key] for key in cls.model_fields if key in payload})


def make_plan(
    target: BackboneConfig,
    source: BackboneConfig,
    source_shapes: Mapping[str, Sequence[int]],
    *,
    same_tokenizer: bool = True,
    reinitialise: Sequence[str] = (),
) -> Plan:
    """Decide for every tensor of the new model where it comes from.

    Args:
        target: The new model.
        source: The source's configuration.
        source_shapes: Its tensors' shapes by name, from the file's header or the card.
        same_tokenizer: Whether a row of both embeddings means the same token.
        reinitialise: Names or patterns (``transformer.h.3.*``, ``*.mlp.*``; the prefix
            ``transformer.`` may be left out) of tensors that start afresh.

    Raises:
        TrainingError: ``pattern_matches_nothing``.
    """
    available = {name: tuple(shape) for name, shape in source_shapes.items()}
    specs = target.tensors()
    afresh = _match_patterns(reinitialise, [spec.name for spec in specs])
    rows = [
        _row(spec, afresh.get(spec.name), target, source, available, same_tokenizer)
        for spec in specs
    ]
    used = {row.source for row in rows if row.action != "initialise"}
    source_blocks = blocks_of(source)
    left_behind = [
        LeftBehind(
            source=name,
            shape=shape,
            block=source_blocks.get(name) or block_by_name(name),
            reason=_why_left(
                name, source_blocks.get(name, ""), target, {spec.name for spec in specs}
            ),
        )
        for name, shape in available.items()
        if name not in used
    ]
    notes = _differences(target, source)
    if not used:
        notes = [Reason(code="nothing_copied")]
    return Plan(
        rows=rows,
        left_behind=sorted(left_behind, key=lambda item: natural_key(item.source)),
        notes=notes,
    )


def plan_from_folder(
    target: BackboneConfig | None,
    folder: Path,
    *,
    same_tokenizer: bool = True,
    reinitialise: Sequence[str] = (),
) -> Plan:
    """The plan for a source on disk, of which only ``config.json`` and the header are read.

    Args:
        target: The new model; ``None``: the same as the source.
        folder: A checkpoint.
        same_tokenizer: See :func:`make_plan`.
        reinitialise: See :func:`make_plan`.

    Raises:
        TrainingError: See :func:`make_plan`; ``config_*`` and ``weights_*`` for a damaged folder.
    """
    source = read_config(read_config_json(folder / "config.json"))
    tensors = read_header(folder / "model.safetensors").tensors
    return make_plan(
        target or source,
        source,
        shapes(tensors),
        same_tokenizer=same_tokenizer,
        reinitialise=reinitialise,
    )


def blocks_of(config: BackboneConfig) -> dict[str, str]:
    """Tensor name → the part of the model that it belongs to."""
    return {spec.name: spec.block for spec in config.tensors()}


def block_by_name(name: str) -> str:
    """The same for a tensor of an unknown model: its path up to the first number in it."""
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0] + 1] if numbers else parts[:1])


def _row(
    spec: TensorSpec,
    pattern: str | None,
    target: BackboneConfig,
    source: BackboneConfig,
    available: Mapping[str, tuple[int, ...]],
    same_tokenizer: bool,
) -> Row:
    def row(action: Action, code: str, *, rows: int | None = None, **params: Any) -> Row:
        if rows is not None:
            params["rows"] = rows
        copied = {"copy": spec.size, "initialise": 0}.get(action, (rows or 0) * spec.shape[-1])
        return Row(
            target=spec.name,
            shape=spec.shape,
            block=spec.block,
            action=action,
            source=None if action == "initialise" else origin,
            source_shape=shape,
            rows=rows,
            copied=copied,
            reason=Reason(code=code, params=params),
        )

    origin, code = spec.name, "same_name"
    if origin in source.TIED and origin not in available:
        origin, code = source.TIED[origin], "head_from_embedding"
    shape = available.get(origin)
    if pattern is not None:
        return row("initialise", "asked", pattern=pattern)
    if shape is None:
        if spec.block.startswith("layer.") and int(spec.block[6:]) >= source.layers:
            return row("initialise", "layer_added", layers=source.layers)
        return row("initialise", "not_in_source")
    if "vocabulary" in spec.axes and not same_tokenizer:
        return row("initialise", "tokenizer_differs")
    if shape == spec.shape:
        return row("copy", code)
    before, after = axis_sizes(source), axis_sizes(target)
    if before.get("width") != after.get("width"):
        there, here = before.get("width"), after.get("width")
        return row("initialise", "width_differs", source=there, target=here)
    if spec.axes[:1] in (("vocabulary",), ("position",)) and shape[1:] == spec.shape[1:]:
        return row(
            "copy_rows",
            "positions" if spec.axes[0] == "position" else "vocabulary",
            rows=min(shape[0], spec.shape[0]),
            source=shape[0],
            target=spec.shape[0],
        )
    if "inner" in spec.axes and before.get("inner") != after.get("inner"):
        there, here = before.get("inner"), after.get("inner")
        return row("initialise", "inner_width_differs", source=there, target=here)
    return row("initialise", "shape_differs", source=_text(shape), target=_text(spec.shape))


def axis_sizes(config: BackboneConfig) -> dict[str, int]:
    """What an axis counts → how many there are, where it is the same all over the model."""
    found: dict[str, set[int]] = {}
    for spec in config.tensors():
        for axis, size in zip(spec.axes, spec.shape, strict=False):
            found.setdefault(axis, set()).add(size)
    return {axis: sizes.pop() for axis, sizes in found.items() if len(sizes) == 1}


def _match_patterns(patterns: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Tensor name → the first pattern that matches it; a pattern that matches none is refused."""
    found: dict[str, str] = {}
    for pattern in patterns:
        matching = [
            name
            for name in names
            if fnmatchcase(name, pattern) or fnmatchcase(name.removeprefix(_PREFIX), pattern)
        ]
        if not matching:
            raise TrainingError(
                "pattern_matches_nothing",
                field="source.reinitialise",
                pattern=pattern,
                examples=", ".join(names[:3]),
            )
        for name in matching:
            found.setdefault(name, pattern)
    return found


def _why_left(name: str, block: str, target: BackboneConfig, wanted: set[str]) -> Reason:
    if block.startswith("layer.") and int(block[6:]) >= target.layers:
        return Reason(code="layer_dropped", params={"layers": target.layers})
    if name in target.TIED and name not in wanted:
        return Reason(code="head_tied")
    return Reason(code="not_used" if name in wanted else "not_in_target")


def _differences(target: BackboneConfig, source: BackboneConfig) -> list[Reason]:
    """Settings that make equal weights compute something else."""
    notes = []
    for name in target.FUNCTION:
        code = {"n_head": "heads_differ", "activation_function": "activation_differs"}.get(
            name, "setting_differs"
        )
        before, after = getattr(source, name), getattr(target, name)
        if before != after:
            params = {"source": before, "target": after}
            if code == "setting_differs":
                params["name"] = name
            notes.append(Reason(code=code, params=params))
    return notes


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts ``h.2`` before ``h.10``."""
    return [
        (int(part), part) if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def _product(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _text(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
