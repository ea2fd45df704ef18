"""Several classifiers' probabilities, made one.

    mean      p(y|x) = Σ_m p_m(y|x) / M
    logits    p(y|x) ∝ exp( Σ_m log p_m(y|x) / M )                   the geometric mean
    weights   p(y|x) = Σ_m w_m p_m(y|x),    w ≥ 0, Σ w = 1           of the least log loss [0]
    stacking  p(y|x) = softmax( W [log p_1, …, log p_M] + b )        logistic regression [1, 2]

- [0] Breiman, 1996, "Stacked Regressions", https://doi.org/10.1007/BF00117832: why weights do
  better when they may not be negative
- [1] Wolpert, 1992, "Stacked Generalization", https://doi.org/10.1016/S0893-6080(05)80023-1
- [2] Ting & Witten, 1999, "Issues in Stacked Generalization", https://doi.org/10.1613/jair.594:
  probabilities are to be stacked, not the classes that win

Details people get wrong: weights and stacking are fitted on rows that no member learned from, and
never on those that are scored; logits of two networks differ by a constant in each row, and only
what softmax makes of them can be compared; a member that was once sure and wrong has an infinite
logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from training.ensembles.spec import Combination
from training.errors import TrainingError
from training.evaluation.classification import LEAST, Labels, Probabilities, softmax
from training.features.heads import Head, fit_head

#: Stacking sees no log probability below that of this one: beyond it a member's certainty says
#: more of its scale than of the example.
LEAST_STACKED = 1e-6
#: A weight below this is none: what the optimiser leaves of a zero.
LEAST_WEIGHT = 1e-9
#: Log probabilities of the members, float [members, rows, classes], classes in one order.
Told = npt.NDArray[Any]


@dataclass(frozen=True)
class Combined:
    """A way to combine that is ready to be used.

    Attributes:
        kind: See the module.
        weights: Of the members, float32 [members]; None for stacking.
        head: Of stacking.
    """

    kind: Combination
    weights: npt.NDArray[np.float32] | None = None
    head: Head | None = field(default=None, repr=False)

    def predict(self, told: Told) -> Probabilities:
        """Probabilities of the classes, float64 [rows, classes].

        Args:
            told: Log probabilities [members, rows, classes].
        """
        if self.head is not None:
            return self.head.predict(_side_by_side(told))
        assert self.weights is not None
        weights = self.weights.astype(np.float64) / self.weights.sum(dtype=np.float64)
        if self.kind == "logits":
            return softmax(np.einsum("m,mrc->rc", weights, told.astype(np.float64)))
        mixed = np.einsum("m,mrc->rc", weights, np.exp(told.astype(np.float64)))
        return np.asarray(mixed / mixed.sum(1, keepdims=True))

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """All that predicting needs, by name."""
        if self.head is not None:
            return {
                f"stacking.{name}": np.asarray(value, np.float32)
                for name, value in self.head.arrays.items()
            }
        assert self.weights is not None
        return {"weights": self.weights}

    @staticmethod
    def of(kind: Combination, arrays: Mapping[str, np.ndarray], chosen: float) -> Combined:
        """What :meth:`arrays` were of.

        Raises:
            KeyError: One is missing.
        """
        if kind == "stacking":
            names = ("mean", "scale", "kernel", "bias")
            own = {name: np.array(arrays[f"stacking.{name}"]) for name in names}
            return Combined(kind, head=Head("logistic", chosen, own))
        return Combined(kind, np.array(arrays["weights"]))


def combine(kind: Combination, told: Told, labels: Labels, names: Sequence[str], seed: int) -> Any:
    """Fit a combination, where there is something to fit.

    Args:
        kind: See the module.
        told: Log probabilities of the rows that are fitted on, [members, rows, classes]; of
            ``mean`` and ``logits`` only the number of members is looked at.
        labels: Their classes.
        names: Of the classes.
        seed: Of the folds by which the strength of stacking's regularisation is chosen.

    Raises:
        TrainingError: ``stacking_lacks_class``.
    """
    members = len(told)
    if kind in ("mean", "logits"):
        return Combined(kind, np.full(members, 1 / members, np.float32))
    if kind == "weights":
        return Combined(kind, fit_weights(told, labels).astype(np.float32))
    missing = sorted(set(range(len(names))) - set(labels.tolist()))
    if missing:
        raise TrainingError(
            "stacking_lacks_class", field="combination", name=str(names[missing[0]])
        )
    head = fit_head("logistic", _side_by_side(told), labels, len(names), seed)
    return Combined(kind, head=head)


def fit_weights(told: Told, labels: Labels) -> npt.NDArray[np.float64]:
    """The weights of the least log loss, a convex problem on the simplex: float64 [members].

    Args:
        told: Log probabilities [members, rows, classes].
        labels: The true classes.
    """
    from scipy.optimize import minimize

    likely = np.exp(told[:, np.arange(len(labels)), labels].astype(np.float64)).T
    likely = np.maximum(likely, LEAST)

    def loss(weights: Any) -> tuple[float, Any]:
        mixed = np.maximum(likely @ weights, LEAST)
        return float(-np.log(mixed).mean()), -(likely / mixed[:, None]).mean(0)

    count = likely.shape[1]
    found = minimize(
        loss,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 1000},
    ).x
    weights = np.where(found > LEAST_WEIGHT, found, 0.0)
    return np.asarray(weights / weights.sum())


def _side_by_side(told: Told) -> npt.NDArray[np.float32]:
    """float32 [rows, members × classes], what stacking reads."""
    clipped = np.maximum(told, np.log(LEAST_STACKED))
    return np.asarray(np.concatenate(list(clipped), axis=1), np.float32)
