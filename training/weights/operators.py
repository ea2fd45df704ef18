"""What can be done to a tensor on its way into another model: a few exact steps, as data.

A step is a line of a plan, so that a copy can be shown before it is made, repeated, and proved: the
proof hashes the steps' result, computed once more from the source, against what was written. All of
it is NumPy, on one tensor at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Transpose(_Frozen):
    """Swap the axes of a matrix: PyTorch's [out, in] ↔ [in, out]."""

    op: Literal["transpose"] = "transpose"


class Slice(_Frozen):
    """Keep ``start … stop − 1`` of an axis."""

    op: Literal["slice"] = "slice"
    axis: int
    start: int = 0
    stop: int


class Split(_Frozen):
    """Keep one of equal parts of an axis: the query out of query, key and value in one matrix."""

    op: Literal["split"] = "split"
    axis: int
    part: int
    parts: int


class Tile(_Frozen):
    """Repeat an axis from its beginning until it is ``to`` long, then divide by ``divide``.

    With ``divide`` the number of copies of each entry (1 where it is an output): Net2Net [0].

    - [0] Chen et al., 2016, https://arxiv.org/abs/1511.05641
    """

    op: Literal["tile"] = "tile"
    axis: int
    to: int
    #: Divide each entry by how often it occurs: for an axis that is summed over.
    divide: bool = False


class Scale(_Frozen):
    """Multiply by a number."""

    op: Literal["scale"] = "scale"
    factor: float


class Interpolate(_Frozen):
    """Stretch an axis linearly, its ends kept: learned positions for a longer or shorter text."""

    op: Literal["interpolate"] = "interpolate"
    axis: int
    to: int


class InterpolateGrid(_Frozen):
    """Stretch a square grid of positions in both directions; ``prefix`` entries before it stay.

    For a vision transformer's positions, [1 + side², width] or [1, 1 + side², width].
    """

    op: Literal["interpolate_grid"] = "interpolate_grid"
    axis: int
    prefix: int
    to: int


class Tokens(_Frozen):
    """Rows by token string: each row of the result is the mean of some of the source's rows.

    ``rows[r]`` are the source's rows of the token with id r, one where both vocabularies have it,
    its parts' where only the new one does; empty rows are left to the new model's own values.
    """

    op: Literal["tokens"] = "tokens"
    rows: tuple[tuple[int, ...], ...]


Step = Annotated[
    Transpose | Slice | Split | Tile | Scale | Interpolate | InterpolateGrid | Tokens,
    Field(discriminator="op"),
]


def shape_after(shape: Sequence[int], steps: Sequence[Any]) -> tuple[int, ...]:
    """The shape that steps make of a shape, without any tensor.

    Raises:
        ValueError: A step that does not fit.
    """
    now = list(shape)
    for step in steps:
        match step:
            case Transpose():
                if len(now) != 2:
                    raise ValueError(f"{now} is no matrix")
                now.reverse()
            case Slice():
                if not 0 <= step.start < step.stop <= now[step.axis]:
                    raise ValueError(f"{step.start}…{step.stop} of {now[step.axis]}")
                now[step.axis] = step.stop - step.start
            case Split():
                if now[step.axis] % step.parts or not 0 <= step.part < step.parts:
                    raise ValueError(f"{now[step.axis]} in {step.parts} parts")
                now[step.axis] //= step.parts
            case Tile():
                if step.to < now[step.axis]:
                    raise ValueError(f"{now[step.axis]} to {step.to}")
                now[step.axis] = step.to
            case Interpolate():
                now[step.axis] = step.to
            case InterpolateGrid():
                side(now[step.axis] - step.prefix)
                now[step.axis] = step.prefix + step.to**2
            case Tokens():
                now[0] = len(step.rows)
    return tuple(now)


def side(count: int) -> int:
    """Side of a square grid.

    Raises:
        ValueError: It is not square.
    """
    root = round(count**0.5)
    if count < 1 or root * root != count:
        raise ValueError(f"{count} is not a square")
    return root


def apply(array: np.ndarray, steps: Sequence[Any]) -> np.ndarray:
    """The result of the steps, in the array's own type.

    What only moves values keeps them bit for bit; means, divisions and interpolations are computed
    in float32 and rounded once.
    """
    for step in steps:
        array = _OPERATIONS[type(step)](array, step)
    return array


def _transpose(array: np.ndarray, _step: Transpose) -> np.ndarray:
    return array.T


def _slice(array: np.ndarray, step: Slice) -> np.ndarray:
    place = [slice(None)] * array.ndim
    place[step.axis] = slice(step.start, step.stop)
    return array[tuple(place)]


def _split(array: np.ndarray, step: Split) -> np.ndarray:
    size = array.shape[step.axis] // step.parts
    return _slice(array, Slice(axis=step.axis, start=step.part * size, stop=(step.part + 1) * size))


def _tile(array: np.ndarray, step: Tile) -> np.ndarray:
    import numpy as np

    size = array.shape[step.axis]
    index = np.arange(step.to) % size
    found = np.take(array, index, step.axis)
    if not step.divide:
        return found
    counts = np.bincount(index, minlength=size)[index].astype(np.float32)
    shape = [1] * array.ndim
    shape[step.axis] = step.to
    return (found.astype(np.float32) / counts.reshape(shape)).astype(array.dtype)


def _scale(array: np.ndarray, step: Scale) -> np.ndarray:
    import numpy as np

    return (array.astype(np.float32) * np.float32(step.factor)).astype(array.dtype)


def _interpolate(array: np.ndarray, step: Interpolate) -> np.ndarray:
    return _stretched(array, step.axis, step.to).astype(array.dtype)


def _stretched(array: np.ndarray, axis: int, to: int) -> np.ndarray:
    """float32; the first and the last entry stay the first and the last."""
    import numpy as np

    size = array.shape[axis]
    places = np.linspace(0, size - 1, to) if to > 1 else np.zeros(1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, size - 1)
    shape = [1] * array.ndim
    shape[axis] = to
    share = (places - low).astype(np.float32).reshape(shape)
    values = array.astype(np.float32)
    return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share


def _interpolate_grid(array: np.ndarray, step: InterpolateGrid) -> np.ndarray:
    import numpy as np

    axis, ours = step.axis, side(array.shape[step.axis] - step.prefix)
    kept = _slice(array, Slice(axis=axis, start=0, stop=step.prefix)) if step.prefix else None
    grid = _slice(array, Slice(axis=axis, start=step.prefix, stop=array.shape[axis]))
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    grid = grid.reshape(*before, ours, ours, *after)
    grid = _stretched(_stretched(grid, axis, step.to), axis + 1, step.to)
    grid = grid.reshape(*before, step.to**2, *after).astype(array.dtype)
    return grid if kept is None else np.concatenate([kept, grid], axis)


def _tokens(array: np.ndarray, step: Tokens) -> np.ndarray:
    import numpy as np

    found = np.zeros((len(step.rows), *array.shape[1:]), array.dtype)
    single = [(row, sources[0]) for row, sources in enumerate(step.rows) if len(sources) == 1]
    if single:
        rows, sources = zip(*single, strict=True)
        found[list(rows)] = array[list(sources)]
    for row, several in enumerate(step.rows):
        if len(several) > 1:
            found[row] = array[list(several)].astype(np.float32).mean(0).astype(array.dtype)
    return found


_OPERATIONS: Mapping[type, Any] = {
    Transpose: _transpose,
    Slice: _slice,
    Split: _split,
    Tile: _tile,
    Scale: _scale,
    Interpolate: _interpolate,
    InterpolateGrid: _interpolate_grid,
    Tokens: _tokens,
}
