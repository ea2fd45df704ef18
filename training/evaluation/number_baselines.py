"""What predicted numbers of texts and images must beat: one number for all, words or pixels alone.

- ``mean``, ``median``: of the training split, for every example; the median is off the least on
  average, the mean in the squares.
- ``tfidf``: ridge regression on the words' TF-IDF, as :mod:`training.evaluation.baselines` has it.
- ``pixels``: ridge regression on raw pixels, each standardised.

The strength of the ridge is chosen by cross-validation on the training examples alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from training.data.labelled import Labelled
from training.data.numbers import Numbers
from training.data.pixels import raw_pixels
from training.evaluation.baselines import word_weights
from training.evaluation.choosing import Places, choose_by_error, fit

#: Penalties that are tried: of rows of length 1, and of a few hundred standardised pixels.
WORD_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
PIXEL_PENALTIES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


def without_a_model(kind: str, train: Labelled, scored: Labelled, seed: int) -> dict[str, Numbers]:
    """Predictions of the scored examples by what no model is needed for, in the labels' units.

    Args:
        kind: ``text`` or ``image``.
        train: What is fitted on.
        scored: What is predicted.
        seed: Of the folds.

    Returns:
        ``tfidf`` or ``pixels``, ``mean`` and ``median``; float64 [examples] each.
    """
    found: dict[str, Numbers] = {}
    labels, count = train.labels, len(scored)
    if kind == "text":
        weighed = word_weights(train.texts, scored.texts)
        if weighed is not None:
            found["tfidf"] = ridge(weighed[0], labels, weighed[1], WORD_PENALTIES, seed)
    else:
        seen, unseen = (raw_pixels(map(split.pixels, split.rows)) for split in (train, scored))
        middle, spread = seen.mean(0), seen.std(0) + 1e-6
        seen, unseen = (seen - middle) / spread, (unseen - middle) / spread
        found["pixels"] = ridge(seen, labels, unseen, PIXEL_PENALTIES, seed)
    found["mean"] = np.full(count, labels.mean())
    found["median"] = np.full(count, np.median(labels))
    return found


def ridge(
    known: Any, labels: Numbers, unknown: Any, penalties: tuple[float, ...], seed: int
) -> Numbers:
    """What ridge regression predicts, its penalty that of the least error over held-out folds.

    Args:
        known: [examples, width], dense or sparse.
        labels: Their numbers.
        unknown: What is predicted, as ``known``.
        penalties: What is tried; the middle one where there is too little to hold out.
        seed: Of the folds.
    """
    from sklearn.linear_model import Ridge

    def predict(fitted: Places, held_out: Places) -> Iterator[Numbers]:
        for one in penalties:
            model = fit(Ridge(one), known[fitted], labels[fitted])
            yield np.asarray(model.predict(known[held_out]))

    penalty = choose_by_error(penalties, labels, seed, predict)
    return np.asarray(fit(Ridge(penalty), known, labels).predict(unknown), np.float64)
