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

from training.backbones.gpt2.config import GPT2Config, TensorSpec
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.interop.gpt2_config import from_huggingface, read_config_json
from training.weights.header import read_header, shapes

PLAN_VERSION = 1

EMBEDDING = "transformer.wte.weight"
POSITIONS = "transformer.wpe.weight"
HEAD = "lm_head.weight"
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
        block: ``embeddings``, ``h.0`` …, ``final_norm`` or ``head``.
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
    target: GPT2Config,
    source: GPT2Config,
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
    left_behind = [
        LeftBehind(
            source=name,
            shape=shape,
            block=block_of(name),
            reason=_why_left(name, target, {spec.name for spec in specs}),
        )
        for name, shape in available.items()
        if name not in used
    ]
    notes = _differences(target, source)
    if not used:
        notes = [Reason(code="nothing_copied")]
    return Plan(rows=rows, left_behind=sorted(left_behind, key=_natural_key), notes=notes)


def plan_from_folder(
    target: GPT2Config | None,
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
    source = from_huggingface(read_config_json(folder / "config.json"))
    tensors = read_header(folder / "model.safetensors").tensors
    return make_plan(
        target or source,
        source,
        shapes(tensors),
        same_tokenizer=same_tokenizer,
        reinitialise=reinitialise,
    )


def block_of(name: str) -> str:
    """The part of the model that a tensor belongs to."""
    if match := re.match(r"(?:transformer\.)?(h\.\d+)\.", name):
        return match[1]
    if ".ln_f." in f".{name}":
        return "final_norm"
    return "head" if name == HEAD else "embeddings"


def _row(
    spec: TensorSpec,
    pattern: str | None,
    target: GPT2Config,
    source: GPT2Config,
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
            block=block_of(spec.name),
            action=action,
            source=None if action == "initialise" else origin,
            source_shape=shape,
            rows=rows,
            copied=copied,
            reason=Reason(code=code, params=params),
        )

    origin, code = spec.name, "same_name"
    if origin == HEAD and HEAD not in available and source.tie_word_embeddings:
        origin, code = EMBEDDING, "head_from_embedding"
    shape = available.get(origin)
    if pattern is not None:
        return row("initialise", "asked", pattern=pattern)
    if shape is None:
        layer = re.match(r"transformer\.h\.(\d+)\.", spec.name)
        if layer and int(layer[1]) >= source.n_layer:
            return row("initialise", "layer_added", layers=source.n_layer)
        return row("initialise", "not_in_source")
    if origin in (EMBEDDING, HEAD) and not same_tokenizer:
        return row("initialise", "tokenizer_differs")
    if shape == spec.shape:
        return row("copy", code)
    if source.n_embd != target.n_embd:
        return row("initialise", "width_differs", source=source.n_embd, target=target.n_embd)
    if spec.name in (EMBEDDING, POSITIONS, HEAD) and shape[1:] == spec.shape[1:]:
        return row(
            "copy_rows",
            "positions" if spec.name == POSITIONS else "vocabulary",
            rows=min(shape[0], spec.shape[0]),
            source=shape[0],
            target=spec.shape[0],
        )
    if ".mlp." in spec.name and source.inner != target.inner:
        return row("initialise", "inner_width_differs", source=source.inner, target=target.inner)
    return row("initialise", "shape_differs", source=_text(shape), target=_text(spec.shape))


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


def _why_left(name: str, target: GPT2Config, wanted: set[str]) -> Reason:
    layer = re.match(r"transformer\.h\.(\d+)\.", name)
    if layer and int(layer[1]) >= target.n_layer:
        return Reason(code="layer_dropped", params={"layers": target.n_layer})
    if name == HEAD and target.tie_word_embeddings:
        return Reason(code="head_tied")
    return Reason(code="not_used" if name in wanted else "not_in_target")


def _differences(target: GPT2Config, source: GPT2Config) -> list[Reason]:
    """Settings that make equal weights compute something else."""
    notes = []
    for name, code in (
        ("n_head", "heads_differ"),
        ("activation_function", "activation_differs"),
        ("layer_norm_epsilon", "setting_differs"),
        ("scale_attn_weights", "setting_differs"),
        ("scale_attn_by_inverse_layer_idx", "setting_differs"),
    ):
        before, after = getattr(source, name), getattr(target, name)
        if before != after:
            params = {"source": before, "target": after}
            if code == "setting_differs":
                params["name"] = name
            notes.append(Reason(code=code, params=params))
    return notes


def _natural_key(item: LeftBehind) -> list[tuple[int, str]]:
    """``h.2`` before ``h.10``."""
    return [
        (int(part or 0), part) if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", item.source)
    ]


def _product(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _text(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
