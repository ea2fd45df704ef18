"""How a tensor of the source is made to fit one of a new model: the steps, or why none would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.backbones.contract import BackboneConfig, TensorSpec
from training.weights.operators import (
    Interpolate,
    InterpolateGrid,
    Scale,
    Slice,
    Split,
    Tile,
    Tokens,
    Transpose,
    shape_after,
    side,
)
from training.weights.plan import Part, Reason
from training.weights.plan_settings import PlanSettings

#: Row of the new vocabulary → rows of the source's whose mean it starts as; none: it is new.
TokenRows = Sequence[Sequence[int]]

QKV = ("query", "key", "value")


class CannotFit(Exception):
    """A source that is known and still cannot be used; the row says why."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.reason = Reason(code=code, params=params)


@dataclass
class Fitted:
    """Parts that fit their target, and what had to be done for it."""

    parts: list[Part]
    reason: Reason | None = None  # None: nothing beyond finding it


class Fitter:
    """Makes tensors of one model fit another.

    Args:
        target: The new model.
        source: The source's configuration.
        available: Its tensors' shapes by name.
        token_rows: How rows of the vocabularies correspond; None: nobody knows.
        same_tokenizer: Whether a row means the same token in both.
        settings: What happens to what does not simply fit.
    """

    def __init__(
        self,
        target: BackboneConfig,
        source: BackboneConfig,
        available: Mapping[str, tuple[int, ...]],
        *,
        same_tokenizer: bool,
        token_rows: TokenRows | None,
        settings: PlanSettings,
    ) -> None:
        self.target, self.source, self.available = target, source, available
        self.same_tokenizer, self.token_rows, self.settings = same_tokenizer, token_rows, settings
        self._before, self._after = axis_sizes(source), axis_sizes(target)

    def fit(self, spec: TensorSpec, found: list[TensorSpec]) -> Fitted:
        """Parts that make the new tensor.

        Raises:
            CannotFit: With the reason.
        """
        if len(found) > 1:
            axis = spec.axes.index("qkv")
            size = spec.shape[axis] // len(found)
            wanted = _resized(spec, axis, size)
            parts, reason = [], None
            for number, one in enumerate(found):
                fitted = self._fit_one(wanted, one, [])
                reason = reason or fitted.reason
                parts += [_moved(part, axis, number * size) for part in fitted.parts]
            return Fitted(parts, reason)
        (one,) = found
        if "qkv" in spec.axes and self.available[one.name] != spec.shape:
            return self._fit_thirds(spec, one)
        if "qkv" in one.axes and "qkv" not in spec.axes:
            half, name, *_rest = (*spec.role.split("."), "")
            if half != "attention" or name not in QKV:
                raise self._shape_differs(spec, one)
            part = QKV.index(name)
            return self._fit_one(spec, one, [Split(axis=one.axes.index("qkv"), part=part, parts=3)])
        if spec.axes[:1] == one.axes[:1] == ("position",):
            return self._fit_rows(spec, one)
        return self._fit_one(spec, one, [])

    def _fit_rows(self, spec: TensorSpec, one: TensorSpec) -> Fitted:
        """Positions by row, apart from the rows that an architecture reserves before the first."""
        have, want = self.available[one.name][0], spec.shape[0]
        start, place = self.source.position_offset, self.target.position_offset
        if start == place and (have == want or not start):
            return self._fit_one(spec, one, [])
        skipped = [Slice(axis=0, start=start, stop=have)] if start else []
        found = self._fit_one(_resized(spec, 0, want - place), one, skipped)
        parts = [_moved(part, 0, place) for part in found.parts]
        if start == place:
            reserved = _resized(spec, 0, start)
            parts = [*self._fit_one(reserved, one, [Slice(axis=0, stop=start)]).parts, *parts]
        return Fitted(parts, found.reason)

    def _fit_thirds(self, spec: TensorSpec, one: TensorSpec) -> Fitted:
        """Query, key and value in one matrix, each cut or grown on its own."""
        if "qkv" not in one.axes:
            raise self._shape_differs(spec, one)
        axis, theirs = spec.axes.index("qkv"), one.axes.index("qkv")
        size = spec.shape[axis] // 3
        parts, reason = [], None
        for number in range(3):
            split = Split(axis=theirs, part=number, parts=3)
            fitted = self._fit_one(_resized(spec, axis, size), one, [split])
            reason = reason or fitted.reason
            parts += [_moved(part, axis, number * size) for part in fitted.parts]
        return Fitted(parts, reason)

    def _fit_one(self, spec: TensorSpec, one: TensorSpec, steps: list[Any]) -> Fitted:
        shape = shape_after(self.available[one.name], steps)
        axes = tuple("heads" if axis == "qkv" and steps else axis for axis in one.axes)
        if spec.inputs and one.inputs and spec.inputs != one.inputs and len(shape) == 2:
            steps = [*steps, Transpose()]
            shape, axes = shape[::-1], axes[::-1]
        if len(shape) != len(spec.shape):
            raise self._shape_differs(spec, one)
        reason = None
        for axis, label in enumerate(spec.axes or [""] * len(shape)):
            if one.axes and shape[axis] != spec.shape[axis] and not _alike(label, axes[axis]):
                raise self._shape_differs(spec, one)
            more, why = self._fit_axis(spec, one, label, axis, shape[axis])
            steps = [*steps, *more]
            shape = shape_after(shape, more)
            reason = reason or why
        if self.growing and spec.name in (self.target.before_tied_head or ()):
            # A tied head would otherwise sum over every copy.
            steps = [*steps, Scale(factor=self._before["width"] / self._after["width"])]
        part = Part(
            source=one.name,
            source_shape=self.available[one.name],
            steps=tuple(steps),
            at=(0,) * len(shape),
            shape=shape,
        )
        return Fitted([part], reason)

    def _fit_axis(
        self, spec: TensorSpec, one: TensorSpec, label: str, axis: int, have: int
    ) -> tuple[list[Any], Reason | None]:
        """Steps along one axis, and what to say of them."""
        want = spec.shape[axis]
        if label == "vocabulary" and not self.same_tokenizer:
            if self.token_rows is None or axis != 0:
                raise CannotFit("tokenizer_differs")
            return [Tokens(rows=tuple(map(tuple, self.token_rows[:want])))], self._of_tokens(want)
        if have == want:
            return [], None
        sizes = {"source": have, "target": want}
        cut = [Slice(axis=axis, stop=want)] if want < have else []
        match label:
            case "vocabulary":
                return cut, Reason(code="vocabulary", params=sizes | {"rows": min(have, want)})
            case "position":
                return self._fit_positions(spec, axis, have, want, cut)
            case "patch":
                # The sum over a patch's pixels stays as large as it was.
                stretch = [Interpolate(axis=axis, to=want), Scale(factor=have / want)]
                return stretch, Reason(code="patch", params=sizes)
            case "label":
                raise CannotFit("labels_differ", **sizes)
            case "width" | "heads" | "inner":
                return self._fit_width(spec, label, axis, have, want, cut)
        raise self._shape_differs(spec, one)

    def _fit_positions(
        self, spec: TensorSpec, axis: int, have: int, want: int, cut: list[Any]
    ) -> tuple[list[Any], Reason]:
        sizes = {"source": have, "target": want}
        if spec.axes[0] == "one":  # a vision transformer's: its class token's first, then a square
            step = InterpolateGrid(axis=axis, prefix=1, to=side(want - 1))
            return [step], Reason(code="positions_stretched", params=sizes)
        if self.settings.positions == "interpolate":
            stretch = Interpolate(axis=axis, to=want)
            return [stretch], Reason(code="positions_stretched", params=sizes)
        if self.settings.positions == "tile" and want > have:
            return [Tile(axis=axis, to=want)], Reason(code="positions_repeated", params=sizes)
        return cut, Reason(code="positions", params=sizes | {"rows": min(have, want)})

    def _fit_width(
        self, spec: TensorSpec, label: str, axis: int, have: int, want: int, cut: list[Any]
    ) -> tuple[list[Any], Reason]:
        sizes = {"source": have, "target": want}
        if self.settings.width == "cut":
            return cut, Reason(code="width_cut", params=sizes)
        if self.settings.width == "grow" and want > have:
            if label != "inner" and (why := self._why_not_grown()):
                raise CannotFit(why, **sizes)
            step = Tile(axis=axis, to=want, divide=axis in spec.inputs)
            factor = f"{want / have:g}"
            return [step], Reason(code="width_grown", params=sizes | {"factor": factor})
        raise CannotFit("inner_width_differs" if label == "inner" else "width_differs", **sizes)

    @property
    def growing(self) -> bool:
        """Whether the residual width grows without a change of what is computed."""
        wider = self._after.get("width", 0) > self._before.get("width", 0)
        return wider and self.settings.width == "grow" and self._why_not_grown() is None

    def _why_not_grown(self) -> str | None:
        """Why the residual width cannot grow: only by a whole factor, and the heads by the same."""
        have, want = self._before.get("width"), self._after.get("width")
        ours, theirs = self.target.attention_heads, self.source.attention_heads
        if not have or not want or want % have or not ours or ours * have != (theirs or 0) * want:
            return "width_no_multiple"
        return "width_head_tied" if self.target.before_tied_head is None else None

    def _of_tokens(self, want: int) -> Reason:
        rows = list(self.token_rows or ())[:want]
        same = sum(len(row) == 1 for row in rows)
        parts = sum(len(row) > 1 for row in rows)
        return Reason(
            code="tokens",
            params={"same": same, "parts": parts, "new": want - same - parts, "target": want},
        )

    def _shape_differs(self, spec: TensorSpec, one: TensorSpec) -> CannotFit:
        return CannotFit(
            "shape_differs", source=_text(self.available[one.name]), target=_text(spec.shape)
        )


def axis_sizes(config: BackboneConfig) -> dict[str, int]:
    """What an axis counts → how many there are, where it is the same all over the model."""
    found: dict[str, set[int]] = {}
    for spec in config.tensors():
        for axis, size in zip(spec.axes, spec.shape, strict=False):
            found.setdefault(axis, set()).add(size)
    return {axis: sizes.pop() for axis, sizes in found.items() if len(sizes) == 1}


def _alike(one: str, other: str) -> bool:
    """Whether two axes count the same kind of thing."""
    return one == other or {one, other} <= {"width", "heads"}


def _resized(spec: TensorSpec, axis: int, size: int) -> TensorSpec:
    """The same tensor with another size along an axis: a third of query, key and value."""
    shape = list(spec.shape)
    shape[axis] = size
    axes = tuple("heads" if label == "qkv" else label for label in spec.axes)
    return replace(spec, shape=tuple(shape), axes=axes)


def _moved(part: Part, axis: int, offset: int) -> Part:
    at = list(part.at)
    at[axis] += offset
    return part.model_copy(update={"at": tuple(at)})


def _text(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
