"""What a model of tables must beat: linear models and gradient-boosted trees on its columns.

- ``logistic``: logistic regression on standardised numbers, one-hot categories and signs of what is
  missing; of a number, ``linear``: ridge regression on the same.
- ``boosting``: gradient-boosted trees [0] on the numbers and the codes of the categories, with
  scikit-learn's defaults but for early stopping on a tenth of the training rows.

- [0] Ke et al., 2017, "LightGBM", after which scikit-learn's HistGradientBoostingClassifier is
  made
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from training.data.numbers import Numbers
from training.data.table_features import Features
from training.evaluation.classification import Labels, Probabilities

#: Training rows that baselines see at most, drawn from the seed: enough for both to be good.
MOST_ROWS = 200_000
#: Categories that the trees' histograms hold; columns with more are read as numbers.
MOST_CATEGORIES = 254


def table_baselines(
    train: Features, labels: Labels, scored: Features, classes: int, seed: int
) -> dict[str, Probabilities]:
    """Predictions of the scored rows, float64 [rows, classes] each.

    Args:
        train: What is fitted on; every class is there.
        labels: Its classes.
        scored: What is predicted.
        classes: How many there are.
        seed: Of the rows that are drawn, and of the trees.
    """
    seen, known = _drawn(train, labels, seed)
    return {
        "boosting": _of_all_classes(
            _trees(seen, seed), _plain(seen), known, _plain(scored), classes
        ),
        "logistic": _of_all_classes(
            _logistic(seen), _standardised(seen), known, _standardised(scored), classes
        ),
    }


def number_baselines(
    train: Features, labels: Numbers, scored: Features, seed: int
) -> dict[str, Numbers]:
    """The same for a number: predictions of the scored rows in its own units, float64 [rows] each.

    Args:
        train: What is fitted on.
        labels: Its numbers.
        scored: What is predicted.
        seed: Of the rows that are drawn, and of the trees.
    """
    from sklearn.linear_model import Ridge

    seen, known = _drawn(train, labels, seed)
    trees = _trees(seen, seed, number=True).fit(_plain(seen), known)
    linear = _linear(seen, Ridge()).fit(_standardised(seen), known)
    return {
        "boosting": np.asarray(trees.predict(_plain(scored)), np.float64),
        "linear": np.asarray(linear.predict(_standardised(scored)), np.float64),
    }


def _drawn(train: Features, labels: Any, seed: int) -> tuple[Features, Any]:
    """As many of the training rows as are looked at."""
    rows = np.arange(len(labels))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_ROWS])
    return train.chosen(rows), labels[rows]


def _of_all_classes(
    model: Any, seen: Any, labels: Labels, unseen: Any, classes: int
) -> Probabilities:
    """Fit and predict; a class that no drawn row has gets no probability."""
    found = np.zeros((unseen.shape[0], classes))
    if len(np.unique(labels)) < 2:
        found[:, labels[0]] = 1.0
        return found
    with warnings.catch_warnings():
        # That it would still become a little better with more steps is no news.
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")
        model.fit(seen, labels)
    found[:, model.classes_] = model.predict_proba(unseen)
    return found


def _plain(features: Features) -> np.ndarray:
    """Numbers as they are and codes, float64 [rows, columns]; trees know what to do with NaN."""
    return np.concatenate([features.numbers, features.codes], 1).astype(np.float64)


def _standardised(features: Features) -> np.ndarray:
    """Numbers, signs of what is missing, and codes, float64 [rows, columns]."""
    encoded = [
        one.encoded(features.numbers[:, place])[:, :2] for place, one in enumerate(features.columns)
    ]
    return np.concatenate([*encoded, features.codes], 1).astype(np.float64)


def _logistic(seen: Features) -> Any:
    from sklearn.linear_model import LogisticRegression

    return _linear(seen, LogisticRegression(max_iter=300))


def _linear(seen: Features, model: Any) -> Any:
    """A linear model over one-hot categories and all else as it is."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    first = 2 * seen.numbers.shape[1]
    codes = list(range(first, first + seen.codes.shape[1]))
    one_hot = ColumnTransformer(
        [("codes", OneHotEncoder(handle_unknown="ignore"), codes)], remainder="passthrough"
    )
    return make_pipeline(one_hot, model)


def _trees(seen: Features, seed: int, *, number: bool = False) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    first = seen.numbers.shape[1]
    sorted_in = [
        first + column
        for column in range(seen.codes.shape[1])
        if seen.codes[:, column].max(initial=0) < MOST_CATEGORIES
    ]
    kind = HistGradientBoostingRegressor if number else HistGradientBoostingClassifier
    return kind(
        categorical_features=sorted_in or None,
        early_stopping=len(seen.codes) >= 1000,
        random_state=seed,
    )
