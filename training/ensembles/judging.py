"""What an ensemble is worth beside its members: gains with intervals, and where they come from.

A gain over the best member of the scored split is the hardest that can be asked for: which member
that is, nobody knew before. Intervals are paired: the same resampled examples for both sides, so
that what is hard for both does not widen them (Efron, 1979).

With a member's right and wrong answers as rows, a gain in accuracy over it is exactly

    (examples that only the ensemble has right − those that only the member has right) / all

and there is something to gain only where members disagree: Krogh & Vedelsby, 1995, "Neural Network
Ensembles, Cross Validation, and Active Learning"; Hansen & Salamon, 1990, "Neural Network
Ensembles", https://doi.org/10.1109/34.58871.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.classification import (
    INTERVAL,
    RESAMPLES,
    Labels,
    Probabilities,
    classification_scores,
    losses,
)

#: Scores of which the members' mean is told.
AVERAGED = ("accuracy", "macro_f1", "loss", "ece")


def judge(
    ensemble: Probabilities,
    members: Sequence[Probabilities],
    labels: Labels,
    names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The fields of a report that only ensembles have.

    Args:
        ensemble: What it predicts, [examples, classes].
        members: The same of each member, two or more.
        labels: The true classes.
        names: Of the classes.
        seed: Of the resampling.

    Returns:
        ``member_scores`` (of each, as a classifier's report has them), ``mean`` (of
        :data:`AVERAGED`), ``best`` (a place among the members: highest accuracy, then lowest
        loss), ``gains`` ``{over_mean, over_best: {accuracy, loss: {gain, interval}}}`` (of a loss
        how much lower it is), ``disagreement``.
    """
    scores = [classification_scores(one, labels, names, seed) for one in members]
    best = min(
        range(len(members)), key=lambda place: (-scores[place]["accuracy"], scores[place]["loss"])
    )
    right = np.stack([one.argmax(1) == labels for one in members]).astype(np.float64)
    lost = np.stack([losses(one, labels) for one in members])
    ours, our_loss = (ensemble.argmax(1) == labels).astype(np.float64), losses(ensemble, labels)
    gains = {
        "over_mean": {"accuracy": ours - right.mean(0), "loss": lost.mean(0) - our_loss},
        "over_best": {"accuracy": ours - right[best], "loss": lost[best] - our_loss},
    }
    return {
        "member_scores": scores,
        "mean": {name: float(np.mean([one[name] for one in scores])) for name in AVERAGED},
        "best": best,
        "gains": {
            side: {name: _gain(values, seed) for name, values in found.items()}
            for side, found in gains.items()
        },
        "disagreement": disagreement(ensemble, members, labels, best),
    }


def disagreement(
    ensemble: Probabilities, members: Sequence[Probabilities], labels: Labels, best: int
) -> dict[str, Any]:
    """How much members disagree, and what a gain rests on.

    Returns:
        ``pairs`` (share of examples that two members take for different classes, [members,
        members]), ``mean`` (over all pairs), ``examples`` ``{all_right, all_wrong,
        settled_right, settled_wrong}`` (counts; settled: members differ in being right, and the
        ensemble is or is not), ``gained`` and ``lost`` (examples that the ensemble alone, or the
        best member alone, has right).
    """
    said = np.stack([one.argmax(1) for one in members])
    right, ours = said == labels, ensemble.argmax(1) == labels
    pairs = [[float((one != other).mean()) for other in said] for one in said]
    above = np.triu_indices(len(said), 1)
    every, none = right.all(0), ~right.any(0)
    some = ~every & ~none
    return {
        "pairs": pairs,
        "mean": float(np.array(pairs)[above].mean()),
        "examples": {
            "all_right": int(every.sum()),
            "all_wrong": int(none.sum()),
            "settled_right": int((some & ours).sum()),
            "settled_wrong": int((some & ~ours).sum()),
        },
        "gained": int((ours & ~right[best]).sum()),
        "lost": int((~ours & right[best]).sum()),
    }


def _gain(differences: npt.NDArray[np.float64], seed: int) -> dict[str, Any]:
    """The mean of differences, and its 95 % interval by the percentile bootstrap."""
    random, count = np.random.default_rng(seed), len(differences)
    means = [differences[random.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    return {
        "gain": float(differences.mean()),
        "interval": np.percentile(means, INTERVAL).tolist(),
    }
