"""Attention pooling: how much each place counts is learned together with the classifier.

    a_i = softmax_i(q · (x_i / σ)),   z = Σ_i a_i x_i,   p(y | x) = softmax(Wᵀ (z − μ) / s + b)

over the places i of a map, or the tokens of a text, each with C channels; one query q. It is the
attention of Ilse, Tomczak and Welling, 2018, "Attention-based Deep Multiple Instance Learning",
without the hidden layer, and the attentive probe of self-supervised learning with one head.

At q = 0 every place counts alike, so that this *is* logistic regression on the mean. There the fit
begins, at that regression's own weights, scale μ, s and strength, chosen by cross-validation before
anything of the attention has seen the labels. L-BFGS then minimises, over q, W and b,

    mean loss + ‖W‖² / (2 n strength) + γ ‖q‖² / 2

for one penalty γ after the other, the highest first, each from where the last one ended. Which of
them is taken, or whether places go on counting alike (γ = ∞), is chosen by cross-validation too:
with few examples a query finds in each of them the place that happens to fit.

Details people get wrong: a text's padding gets no weight; σ is each channel's deviation over all
places, not that of the means, which is smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.errors import TrainingError
from training.evaluation.classification import Labels

#: What all places of all examples of a split may take; pooling them needs them in memory.
MOST_BYTES = 4 << 30
#: Rows are gone through in slices of about so many bytes.
SLICE_BYTES = 32 << 20
ITERATIONS = 200
#: Penalties of the query that are tried, and how far a fit goes that only chooses.
PENALTIES = (np.inf, 10.0, 1.0, 0.1)
CHOOSING_ITERATIONS = 30

#: float32 [examples, places, channels]; NaN where a text has no token.
Sequences = npt.NDArray[np.float32]


def room_for(examples: int, places: int, channels: int) -> Sequences:
    """Where the places of so many examples go, all NaN.

    Raises:
        TrainingError: ``attention_too_large``.
    """
    size = 4 * examples * places * channels
    if size > MOST_BYTES:
        raise TrainingError(
            "attention_too_large",
            field="pooling",
            size=f"{size / (1 << 30):.1f}",
            most=MOST_BYTES >> 30,
            places=places,
        )
    return np.full([examples, places, channels], np.nan, np.float32)


def attention(values: Sequences, query: np.ndarray) -> npt.NDArray[np.float32]:
    """How much each place counts, float32 [examples, places]; 0 where there is none.

    Args:
        values: See :data:`Sequences`.
        query: [channels], the division by σ in it.
    """
    scores = values @ query.astype(np.float32)
    scores[np.isnan(scores)] = -np.inf
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def attended(values: Sequences, query: np.ndarray) -> npt.NDArray[np.float32]:
    """The weighted mean of each example's places, float32 [examples, channels]."""
    found = np.empty([len(values), values.shape[2]], np.float32)
    for rows in _slices(values):
        some = values[rows]
        found[rows] = _summed(some, attention(some, query))
    return found


def places_seen(values: Sequences, query: np.ndarray) -> float:
    """Over how many places attention is spread: e to the entropy of the weights, on average; of
    all places alike it is how many there are."""
    found = np.empty(len(values))
    for rows in _slices(values):
        weights = attention(values[rows], query)
        found[rows] = np.exp(-(weights * np.log(np.maximum(weights, 1e-30))).sum(1))
    return float(found.mean())


def attention_path(
    penalties: Sequence[float],
    values: Sequences,
    labels: Labels,
    start: Mapping[str, np.ndarray],
    strength: float,
    iterations: int = ITERATIONS,
) -> Iterator[dict[str, np.ndarray]]:
    """Query and classifier fitted together at each penalty, one from where the last one ended.

    Args:
        penalties: Falling; at infinity places count alike.
        values: Of the training examples.
        labels: Their classes.
        start: The regression on the means: ``mean`` and ``scale`` [channels], ``kernel``
            [channels, classes], ``bias`` [classes].
        strength: Its inverse regularisation.
        iterations: At most.

    Yields:
        ``start``'s arrays, ``kernel`` and ``bias`` fitted anew, and ``query`` [channels]; float32.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    objective = Objective(values, labels, start, strength)
    together = np.concatenate(
        [np.zeros(len(start["kernel"])), start["kernel"].ravel(), start["bias"]]
    )
    for penalty in penalties:
        if penalty < np.inf:
            objective.penalty = penalty
            with threadpool_limits(1):
                together = minimize(
                    objective,
                    together,
                    jac=True,
                    method="L-BFGS-B",
                    options={"maxiter": iterations},
                ).x
        query, kernel, bias = objective.parts(together)
        found = {"query": query * objective.unit, "kernel": kernel, "bias": bias}
        yield {**start, **{name: np.asarray(one, np.float32) for name, one in found.items()}}


class Objective:
    """What is minimised, and its gradient, over one vector: query, kernel, bias.

    Attributes:
        unit: What the query is multiplied by before a place: 1 / σ, [channels].
        penalty: γ of the module.
    """

    def __init__(
        self, values: Sequences, labels: Labels, start: Mapping[str, np.ndarray], strength: float
    ) -> None:
        self._values, self.penalty = values, 1.0
        self._mean, self._scale = start["mean"], start["scale"]
        self._channels, self._classes = start["kernel"].shape
        self._wanted = np.eye(self._classes)[labels]
        # Two columns ±w/2 stand for scikit-learn's one, w, whose penalty is ½ ‖w‖².
        self._decay = (2.0 if self._classes == 2 else 1.0) / (len(values) * strength)
        self.unit = 1 / deviations(values)

    def parts(self, together: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Query [channels], kernel [channels, classes], bias [classes]."""
        channels, classes = self._channels, self._classes
        query, kernel, bias = np.split(together, [channels, channels * (1 + classes)])
        return query, kernel.reshape(channels, classes), bias

    def __call__(self, together: np.ndarray) -> tuple[float, np.ndarray]:
        query, kernel, bias = self.parts(together)
        loss = 0.5 * (self.penalty * float(query @ query) + self._decay * float((kernel**2).sum()))
        d_query, d_kernel, d_bias = self.penalty * query, self._decay * kernel, np.zeros_like(bias)
        share = 1 / len(self._values)
        for rows in _slices(self._values):
            some = self._values[rows]
            weights = attention(some, query * self.unit)
            pooled = (_summed(some, weights) - self._mean) / self._scale
            scores = pooled @ kernel + bias
            shifted = scores - scores.max(1, keepdims=True)
            logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
            loss -= share * float((self._wanted[rows] * logs).sum())
            wrong = share * (np.exp(logs) - self._wanted[rows])
            d_kernel += pooled.T @ wrong
            d_bias += wrong.sum(0)
            d_query += self.unit * _query_gradient(some, weights, wrong @ kernel.T / self._scale)
        return loss, np.concatenate([d_query, d_kernel.ravel(), d_bias])


def deviations(values: Sequences) -> npt.NDArray[np.float64]:
    """Each channel's deviation over all places of all examples; 1 where it never changes."""
    count, first, second = 0, np.zeros(values.shape[2]), np.zeros(values.shape[2])
    centre = np.nan_to_num(values[0, 0])  # near enough the mean for the squares to be exact
    for rows in _slices(values):
        some = values[rows].reshape(-1, values.shape[2])
        some = some[~np.isnan(some[:, 0])] - centre
        count += len(some)
        first += some.sum(0, dtype=np.float64)
        second += (some.astype(np.float64) ** 2).sum(0)
    found = np.sqrt(np.maximum(second / count - (first / count) ** 2, 0))
    found[found < 1e-6] = 1.0
    return np.asarray(found)


def _summed(values: Sequences, weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.matmul(weights[:, None, :], _filled(values))[:, 0])


def _query_gradient(values: Sequences, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Of the loss by the query, [channels]; ``gradient`` is that by what was pooled."""
    filled = _filled(values)
    by_weight = np.matmul(filled, gradient.astype(np.float32)[:, :, None])[:, :, 0]
    by_score = weights * (by_weight - (weights * by_weight).sum(1, keepdims=True))
    return np.matmul(by_score[:, None, :], filled)[:, 0].sum(0, dtype=np.float64)


def _filled(values: Sequences) -> Sequences:
    return np.nan_to_num(values) if np.isnan(values[:, :, 0]).any() else values


def _slices(values: Sequences) -> Iterator[slice]:
    step = max(1, SLICE_BYTES // (4 * values.shape[1] * values.shape[2]))
    for start in range(0, len(values), step):
        yield slice(start, start + step)
