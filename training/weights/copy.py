"""Carries out a transfer plan, and proves that what was copied equals its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from training.backbones.contract import BackboneConfig
from training.errors import TrainingError
from training.weights.initial import initial_tensor
from training.weights.plan import Plan, Row
from training.weights.tensors import tensor_sha256

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
#: Conversions that lose nothing; every other change of type is refused.
_EXACT = {
    (np.dtype("float16"), np.dtype("float32")),
    (_BFLOAT16, np.dtype("float32")),
}


class LazyTensors(Mapping[str, np.ndarray]):
    """Name → array, made when looked up and kept by nobody: memory holds one at a time."""

    def __init__(self, makers: Mapping[str, Callable[[], np.ndarray]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True)
class Proof:
    """That one tensor, or its first rows, equals its source.

    Attributes:
        target: Name in the new model.
        source: Name in the source.
        rows: How many rows were compared; ``None``: all of it.
        sha256: Hash of the copied values' raw bytes, in the new model's type.
        source_sha256: Hash of the source's values, converted (exactly) to that type.
    """

    target: str
    source: str
    rows: int | None
    sha256: str
    source_sha256: str

    @property
    def equal(self) -> bool:
        return self.sha256 == self.source_sha256


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


def initial_weights(config: BackboneConfig, seed: int) -> LazyTensors:
    """The random starting values of every tensor, each made when looked up."""

    def maker(index: int) -> Callable[[], np.ndarray]:
        return lambda: initial_tensor(specs[index], seed)

    specs = config.tensors()
    return LazyTensors({spec.name: maker(index) for index, spec in enumerate(specs)})


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
    return LazyTensors({row.target: _maker(row, source, initial, wanted) for row in plan.rows})


def verify(
    plan: Plan, source: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray]
) -> Verification:
    """Compare every copied tensor, or its copied rows, with the source by SHA-256.

    Args:
        plan: What was done.
        source: The source's tensors, read anew.
        result: The new model's tensors as they are now: read back from the file that was written,
            or from the variables of a model.
    """
    proofs = []
    for row in plan.rows:
        if row.action == "initialise" or row.source is None:
            continue
        have, want = result[row.target], source[row.source]
        if row.rows is not None:
            have, want = have[: row.rows], want[: row.rows]
        proofs.append(
            Proof(
                row.target,
                row.source,
                row.rows,
                tensor_sha256(have),
                tensor_sha256(_converted(want, have.dtype)),
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
        if row.source is None or row.action == "initialise":
            # Random values: rounding them to a smaller type loses nothing that anyone chose.
            return np.asarray(initial[row.target]).astype(dtype, copy=False)
        copied = _converted(source[row.source], dtype)
        if row.rows is None:
            return copied
        if row.rows == row.shape[0]:
            return copied[: row.rows]
        whole = np.asarray(initial[row.target]).astype(dtype)
        whole[: row.rows] = copied[: row.rows]
        return whole

    return make


def _common_type(plan: Plan, source: Mapping[str, np.ndarray]) -> np.dtype:
    types = {source[row.source].dtype for row in plan.rows if row.source is not None}
    return types.pop() if len(types) == 1 else np.dtype("float32")


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.dtype == dtype:
        return array
    if (array.dtype, dtype) not in _EXACT:
        raise ValueError(f"{array.dtype} to {dtype} would not be exact")
    return array.astype(dtype)
