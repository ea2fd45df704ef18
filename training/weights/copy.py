"""Carries out a transfer plan, and proves that what was copied equals its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from training.errors import TrainingError
from training.weights.header import TensorInfo
from training.weights.operators import Interpolate, InterpolateGrid, Scale, Tile, Tokens, apply
from training.weights.plan import Part, Plan, Row
from training.weights.tensors import NUMPY_TYPES, LazyTensors, MappedTensors, tensor_hash

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
#: Steps that may give other values than the source has.
_COMPUTING = (Tile, Scale, Interpolate, InterpolateGrid, Tokens)
#: Conversions that lose nothing; every other change of type is refused.
_EXACT = {
    (np.dtype("float16"), np.dtype("float32")),
    (_BFLOAT16, np.dtype("float32")),
}


@dataclass(frozen=True)
class Proof:
    """That one part of a tensor equals its source, or the result of the plan's steps on it.

    Attributes:
        target: Name in the new model.
        source: Name in the source.
        at: Index of the part's first value in the new tensor.
        shape: Of the part.
        as_is: Whether the values are the source's own, merely placed or turned; else computed.
        blake3: Hash of the new values' raw bytes, in the new model's type.
        source_blake3: Hash of what the steps give once more, from the source read anew.
    """

    target: str
    source: str
    at: tuple[int, ...]
    shape: tuple[int, ...]
    as_is: bool
    blake3: str
    source_blake3: str

    @property
    def equal(self) -> bool:
        return self.blake3 == self.source_blake3


@dataclass(frozen=True)
class Verification:
    """The proofs of a copy, one for each tensor with anything from the source."""

    proofs: list[Proof] = field(default_factory=list)

    @property
    def different(self) -> list[str]:
        """Names of the tensors that do not equal their source."""
        return [proof.target for proof in self.proofs if not proof.equal]

    @property
    def exact(self) -> bool:
        return not self.different

    def to_json(self) -> dict[str, Any]:
        return {"exact": self.exact, "proofs": [asdict(proof) for proof in self.proofs]}

    def require_exact(self) -> None:
        """Raises ``copy_not_exact`` unless every copied tensor equals its source."""
        if different := self.different:
            raise TrainingError("copy_not_exact", name=different[0], count=len(different))


def apply_plan(
    plan: Plan,
    source: Mapping[str, np.ndarray],
    initial: Mapping[str, np.ndarray],
    dtype: np.dtype | type | None = None,
) -> LazyTensors:
    """The new model's tensors, by name.

    Args:
        plan: What to do.
        source: The source's tensors.
        initial: Starting values of (at least) the tensors that are not wholly copied.
        dtype: Type of the result. ``None``: the source's, if all that is copied has the same one,
            so that a copy has the very bytes of its source; else float32.

    Returns:
        A mapping that makes each array when it is looked up; a whole copy in the source's own type
        is the source's array itself, not a copy of it.

    Raises:
        ValueError: A conversion that would lose something.
    """
    wanted = np.dtype(dtype) if dtype is not None else _common_type(plan, source)
    return LazyTensors(
        {row.target: _maker(row, source, initial, wanted) for row in plan.rows},
        {row.target: (wanted, row.shape) for row in plan.rows},
    )


def verbatim(plan: Plan, source: MappedTensors) -> dict[str, TensorInfo]:
    """The new tensors that are a source's tensor byte for byte, and where its bytes lie."""
    wanted = _common_type(plan, source)
    found = {}
    for row in plan.rows:
        if row.action == "copy" and not row.parts[0].steps:
            info = source.infos[row.parts[0].source]
            if NUMPY_TYPES[info.dtype] == wanted:
                found[row.target] = info
    return found


def verify(
    plan: Plan,
    source: Mapping[str, np.ndarray],
    result: Mapping[str, np.ndarray],
    *,
    known: Mapping[str, tuple[str, str]] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Verification:
    """Compare every part that was copied with the source, by BLAKE3.

    Args:
        plan: What was done.
        source: The source's tensors, read anew.
        result: The new model's tensors as they are now: read back from the file that was written,
            or from the variables of a model.
        known: Hashes of whole tensors that need not be taken again: by the new name, what was read
            back of the file that was written, and what the source had when it was stored.
        progress: Told the share of the new model's values that have been gone through, 0..1.
    """
    proofs, known = [], known or {}
    done, total = 0, plan.parameters_total
    for row in plan.rows:
        if progress is not None:
            progress(done / total)
        done += row.parameters
        for part in row.parts:
            if row.target in known:
                hashes = known[row.target]
                proofs.append(Proof(row.target, part.source, part.at, part.shape, True, *hashes))
                continue
            have = result[row.target][part.place]
            want = _made(part, source, have.dtype)
            mask = _known_rows(part)
            if mask is not None:
                have, want = have[mask], want[mask]
            proofs.append(
                Proof(
                    row.target,
                    part.source,
                    part.at,
                    part.shape,
                    not any(isinstance(step, _COMPUTING) for step in part.steps),
                    tensor_hash(have),
                    tensor_hash(want),
                )
            )
    return Verification(proofs)


def _maker(
    row: Row,
    source: Mapping[str, np.ndarray],
    initial: Mapping[str, np.ndarray],
    dtype: np.dtype,
) -> Callable[[], np.ndarray]:
    def make() -> np.ndarray:
        if len(row.parts) == 1 and row.parts[0].shape == row.shape and row.whole:
            return _made(row.parts[0], source, dtype)
        if row.fill == "zeros":
            whole = np.zeros(row.shape, dtype)
        elif sum(prod(part.shape) for part in row.parts) == row.parameters and row.whole:
            whole = np.empty(row.shape, dtype)
        else:
            # Random values: rounding them to a smaller type loses nothing that anyone chose.
            whole = np.array(initial[row.target]).astype(dtype, copy=False)
        for part in row.parts:
            made, mask = _made(part, source, dtype), _known_rows(part)
            if mask is None:
                whole[part.place] = made
            else:
                whole[part.place][mask] = made[mask]
        return whole

    return make


def _made(part: Part, source: Mapping[str, np.ndarray], dtype: np.dtype) -> np.ndarray:
    """What the plan's steps make of a source tensor."""
    return apply(_converted(source[part.source], dtype), part.steps)


def _known_rows(part: Part) -> np.ndarray | None:
    """With rows by token: which of them the source has anything for; None: all."""
    for step in part.steps:
        if isinstance(step, Tokens) and not all(step.rows):
            return np.array([bool(rows) for rows in step.rows])
    return None


def _common_type(plan: Plan, source: Mapping[str, np.ndarray]) -> np.dtype:
    types = {source[part.source].dtype for row in plan.rows for part in row.parts}
    return types.pop() if len(types) == 1 else np.dtype("float32")


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.dtype == dtype:
        return array
    if (array.dtype, dtype) not in _EXACT:
        raise ValueError(f"{array.dtype} to {dtype} would not be exact")
    return array.astype(dtype)
