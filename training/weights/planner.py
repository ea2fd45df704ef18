"""Makes a transfer plan: finds for every tensor of a new model what it is made of.

Tensors are matched by what they are, never by order (models with two layers swapped would load by
order without a word): a person's rules come first, then the exact name, then equal block and role,
whatever the names and layouts of the two architectures. What could be meant is shown as a
suggestion and never copied on a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import prod
from typing import Any

from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.registry import BACKBONES
from training.errors import TrainingError
from training.weights.blocks import block_by_name, layer_number, natural_key
from training.weights.fitting import QKV, CannotFit, Fitter, TokenRows
from training.weights.operators import (
    Interpolate,
    InterpolateGrid,
    Slice,
    Split,
    Tile,
    Tokens,
    Transpose,
)
from training.weights.plan import Action, LeftBehind, Part, Plan, Reason, Row
from training.weights.plan_settings import PlanSettings
from training.weights.rules import Applied

#: What the architectures call the same setting.
_ACTIVATION = ("activation_function", "activation", "hidden_act")


def make_plan(
    target: BackboneConfig,
    source: BackboneConfig,
    source_shapes: Mapping[str, Sequence[int]],
    *,
    same_tokenizer: bool = True,
    token_rows: TokenRows | None = None,
    reinitialise: Sequence[str] = (),
    settings: PlanSettings | None = None,
    kept: bool = False,
) -> Plan:
    """Decide for every tensor of the new model where it comes from.

    Args:
        target: The new model.
        source: The source's configuration.
        source_shapes: Its tensors' shapes by name, from the file's header or the card.
        same_tokenizer: Whether a row of both embeddings means the same token.
        token_rows: Where it does not: how rows correspond.
        reinitialise: Names or patterns (``transformer.h.3.*``, ``*.mlp.*``; the prefix
            ``transformer.`` may be left out) of tensors that start afresh.
        settings: What happens to what does not simply fit, and a person's rules.
        kept: Whether the new model has values of its own, which stay where nothing is copied.

    Raises:
        TrainingError: ``pattern_matches_nothing``, ``rule_unreadable``, ``rule_matches_nothing``,
            ``rule_two_sources``, ``rule_does_not_fit``.
    """
    return _Planner(
        target,
        source,
        {name: tuple(shape) for name, shape in source_shapes.items()},
        same_tokenizer,
        token_rows,
        settings or PlanSettings(),
        kept,
        reinitialise,
    ).plan()


@dataclass
class _Planner:
    """One plan in the making; see :func:`make_plan` for the fields."""

    target: BackboneConfig
    source: BackboneConfig
    available: dict[str, tuple[int, ...]]
    same_tokenizer: bool
    token_rows: TokenRows | None
    settings: PlanSettings
    kept: bool
    reinitialise: Sequence[str]

    def __post_init__(self) -> None:
        # In the model's order. Tensors that the configuration does not name come last; they have no
        # role, and are matched by name alone.
        known = {spec.name: spec for spec in self.source.tensors() if spec.name in self.available}
        self.sources = known | {
            name: TensorSpec(name, shape, "normal", block=block_by_name(name))
            for name, shape in self.available.items()
            if name not in known
        }
        self.targets = {spec.name: spec for spec in self.target.tensors()}
        self.by_role = {
            (spec.block, spec.role): spec for spec in self.sources.values() if spec.role
        }
        # Names say what a tensor without a role is, but only within one architecture.
        self.tails = _tails(self.targets.values())
        self.by_tail = {}
        if type(self.source) is type(self.target):
            tails = _tails(self.source.tensors())
            self.by_tail = {(known[name].block, tails[name]): name for name in known}
        self.fitter = Fitter(
            self.target,
            self.source,
            self.available,
            same_tokenizer=self.same_tokenizer,
            token_rows=self.token_rows,
            settings=self.settings,
        )
        self.rules = Applied(self.settings.rules, self.reinitialise, self.targets, self.sources)

    # --- the whole ---------------------------------------------------------------------------

    def plan(self) -> Plan:
        rows = [self._row(spec) for spec in self.targets.values()]
        used = {name for row in rows for name in row.sources}
        taken = _Taken.of(rows, self.sources)
        left_behind = [
            LeftBehind(
                source=name, shape=shape, block=block, reason=self._why_left(name, block, taken)
            )
            for name, shape in self.available.items()
            if name not in used
            for block in [self.sources[name].block]
        ]
        sizes: dict[str, int] = {}
        for spec in self.sources.values():
            sizes[spec.block] = sizes.get(spec.block, 0) + spec.size
        return Plan(
            rows=rows,
            left_behind=sorted(left_behind, key=lambda item: natural_key(item.source)),
            notes=self._notes(rows) if used else [Reason(code="nothing_copied")],
            source_blocks=sizes,
        )

    def _row(self, spec: TensorSpec) -> Row:
        frozen = spec.name in self.rules.frozen

        def row(reason: Reason, **values: Any) -> Row:
            values.setdefault("action", "keep" if self.kept else "initialise")
            return Row(
                target=spec.name,
                shape=spec.shape,
                block=spec.block,
                reason=reason,
                frozen=frozen,
                **values,
            )

        if spec.name in self.rules.afresh:
            return row(Reason(code="asked", params={"pattern": self.rules.afresh[spec.name]}))
        found, reason = self._find(spec)
        if not found:
            if reason.code == "layer_identity" and _writes_residual(spec):
                return row(reason, action="grow", fill="zeros")
            return row(reason)
        try:
            fitted = self.fitter.fit(spec, found)
        except CannotFit as problem:
            if spec.name in self.rules.tensors:
                raise TrainingError(
                    "rule_does_not_fit",
                    field="rules",
                    rule=self.rules.tensors[spec.name][1].text,
                    source=found[0].name,
                    target=spec.name,
                    reason=problem.reason.sentence,
                ) from None
            return row(problem.reason)
        parts = tuple(fitted.parts)
        return row(fitted.reason or reason, action=_action(parts, spec), parts=parts)

    # --- which source ------------------------------------------------------------------------

    def _find(self, spec: TensorSpec) -> tuple[list[TensorSpec], Reason]:
        """The source tensors that a new tensor is made of, and why; none: why not."""
        if spec.name in self.rules.tensors:
            source, rule = self.rules.tensors[spec.name]
            return [source], Reason(code="rule", params={"rule": rule.text})
        if spec.block in self.rules.blocks:
            block, rule = self.rules.blocks[spec.block]
            found = self._same_work(block, spec)
            why = Reason(code="rule", params={"rule": rule.text})
            return found, why if found else Reason(code="not_in_source")
        return self._find_unruled(spec)

    def _find_unruled(self, spec: TensorSpec) -> tuple[list[TensorSpec], Reason]:
        block = self._source_block(spec.block)
        if block == spec.block and spec.name in self.rules.free:
            return [self.rules.free[spec.name]], Reason(code="same_name")
        head = self.source.TIED.get(spec.name)
        if head is not None and head in self.rules.free and spec.name not in self.available:
            return [self.rules.free[head]], Reason(code="head_from_embedding")
        if block is None:
            if self.settings.new_layers == "identity":
                return [], Reason(code="layer_identity")
            return [], Reason(code="layer_added", params={"layers": self.source.layers})
        found = [one for one in self._same_work(block, spec) if one.name in self.rules.free]
        if found and block != spec.block:
            return found, Reason(code="layer_from", params={"layer": block.split(".")[-1]})
        if found:
            names = ", ".join(one.name for one in found)
            return found, Reason(code="same_role", params={"source": names})
        if candidates := self._candidates(spec, block):
            return [], Reason(code="ambiguous", params={"names": ", ".join(candidates)})
        return [], Reason(code="not_in_source")

    def _source_block(self, block: str) -> str | None:
        """The source's block for one of the new model's; None: it is a new layer."""
        number = layer_number(block)
        if number is None:
            return block
        found = self._source_layer(number)
        # A layer that rules have put elsewhere is not here as well.
        return found if found in self.rules.free_blocks else None

    def _source_layer(self, number: int) -> str | None:
        block, ours, theirs = f"layer.{number}", self.target.layers, self.source.layers
        if self.settings.layers == "first" or not theirs:
            return block if number < theirs else None
        if ours <= theirs:
            return f"layer.{number * theirs // ours}"
        place = -(-number * theirs // ours)
        return f"layer.{place}" if place * ours // theirs == number and place < theirs else None

    def _same_work(self, block: str, spec: TensorSpec) -> list[TensorSpec]:
        """Tensors of a source's block that do the work of a new one, in one matrix or in three."""
        if not spec.role:
            name = self.by_tail.get((block, self.tails[spec.name]))
            return [self.sources[name]] if name in self.sources else []

        def at(role: str) -> list[TensorSpec]:
            one = self.by_role.get((block, role))
            return [] if one is None else [one]

        if same := at(spec.role):
            return same
        kind = spec.role.rpartition(".")[2]
        if spec.role.startswith("attention.qkv."):
            three = [one for name in QKV for one in at(f"attention.{name}.{kind}")]
            return three if len(three) == len(QKV) else []
        if spec.role.startswith(tuple(f"attention.{name}." for name in QKV)):
            return at(f"attention.qkv.{kind}")
        return []

    def _candidates(self, spec: TensorSpec, block: str) -> list[str]:
        """Tensors of another architecture's block that have the shape and no role known to us."""
        if spec.role and type(self.source) is type(self.target):
            return []
        return [
            one.name
            for one in self.rules.free.values()
            if one.block == block
            and one.name not in self.targets
            and not (one.role and spec.role)
            and one.shape in (spec.shape, spec.shape[::-1])
        ][:3]

    # --- what else to say --------------------------------------------------------------------

    def _why_left(self, name: str, block: str, taken: _Taken) -> Reason:
        number = layer_number(block)
        if number is not None and number >= self.target.layers:
            return Reason(code="layer_dropped", params={"layers": self.target.layers})
        if name in self.target.TIED and name not in self.targets:
            return Reason(code="head_tied")
        if number is not None and block not in taken.blocks and block in taken.into:
            return Reason(code="layer_not_taken")
        if other := taken.by_name.get(name):
            return Reason(code="place_taken", params={"source": other[0]})
        return Reason(code="not_used" if name in self.targets else "not_in_target")

    def _notes(self, rows: list[Row]) -> list[Reason]:
        """What makes equal weights compute something else, and what one should know."""
        notes = []
        if type(self.source) is not type(self.target):
            names = {
                side: BACKBONES[config.architecture].title
                for side, config in (("source", self.source), ("target", self.target))
            }
            notes.append(Reason(code="architecture_differs", params=names))
        else:
            notes += self._settings_that_differ()
        # By what a row is made of: its reason may be another, as where its width is cut as well.
        moved = any(
            self.sources[name].block != row.block
            for row in rows
            if layer_number(row.block) is not None
            for name in row.sources
        )
        if moved and self.target.layers_differ:
            notes.append(Reason(code="layers_moved"))
        grown = any(row.reason.code == "layer_identity" for row in rows)
        if grown and not self.target.identity_growth:
            notes.append(Reason(code="identity_inexact"))
        if self.token_rows is not None and not self.same_tokenizer:
            same = sum(len(row) == 1 for row in self.token_rows)
            percent = round(100 * same / max(len(self.token_rows), 1))
            notes.append(Reason(code="tokens_overlap", params={"percent": percent}))
        return notes

    def _settings_that_differ(self) -> list[Reason]:
        notes = []
        heads = {"source": self.source.attention_heads, "target": self.target.attention_heads}
        if heads["source"] != heads["target"] and not self.fitter.growing:
            notes.append(Reason(code="heads_differ", params=heads))
        for name in self.target.FUNCTION:
            before, after = getattr(self.source, name), getattr(self.target, name)
            if before == after:
                continue
            code = "activation_differs" if name in _ACTIVATION else "setting_differs"
            params = {"source": before, "target": after}
            if code == "setting_differs":
                params["name"] = name
            notes.append(Reason(code=code, params=params))
        return notes


@dataclass(frozen=True)
class _Taken:
    """What rows take of the source.

    Attributes:
        blocks: The source's blocks of which anything is taken.
        into: Blocks of the new model into which anything goes.
        by_name: New tensor → the source's tensors that it is made of.
    """

    blocks: set[str]
    into: set[str]
    by_name: dict[str, list[str]]

    @classmethod
    def of(cls, rows: Sequence[Row], sources: Mapping[str, TensorSpec]) -> _Taken:
        by_name = {row.target: row.sources for row in rows}
        into = {row.block for row in rows if row.parts}
        blocks = {sources[name].block for names in by_name.values() for name in names}
        return cls(blocks, into, by_name)


def _action(parts: Sequence[Part], spec: TensorSpec) -> Action:
    """The word for what happens: the most telling of the steps."""
    steps = [step for part in parts for step in part.steps]
    if any(isinstance(step, Tokens) for step in steps):
        return "map_tokens"
    if any(isinstance(step, Interpolate | InterpolateGrid) for step in steps):
        return "interpolate"
    for tile in (step for step in steps if isinstance(step, Tile)):
        return "tile" if spec.axes[tile.axis] == "position" else "grow"
    if sum(prod(part.shape) for part in parts) < spec.size:
        return "pad"
    if any(isinstance(step, Slice) for step in steps):
        return "slice"
    if len({part.source for part in parts}) > 1:
        return "join"
    if len(parts) == 1 and any(isinstance(step, Split) for step in steps):
        return "split"
    return "transpose" if any(isinstance(step, Transpose) for step in steps) else "copy"


def _writes_residual(spec: TensorSpec) -> bool:
    """Whether it is the last of a half layer, whose zeros make the half layer add nothing."""
    return spec.role.startswith(("attention.output.", "feed_forward.out."))


def _tails(specs: Iterable[TensorSpec]) -> dict[str, str]:
    """Each tensor's name less what the names of its block's tensors all begin with."""
    blocks: dict[str, list[list[str]]] = {}
    for spec in specs:
        blocks.setdefault(spec.block, []).append(spec.name.split("."))
    found = {}
    for names in blocks.values():
        columns = zip(*(name[:-1] for name in names), strict=False)
        shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, columns))
        found.update({".".join(name): ".".join(name[shared:]) for name in names})
    return found
