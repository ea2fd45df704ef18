"""What a result must beat to be worth anything: the commonest class, and words alone.

- ``majority``: every example gets the training split's shares of the classes.
- ``tfidf``: logistic regression on the words' TF-IDF (Spärck Jones, 1972), single words and pairs;
  of Chinese, which has no spaces, one to three characters. The strength of the regularisation is
  chosen by cross-validation, as a head's is.

Of images, the same logistic regression that is a head reads raw pixels
(:func:`training.data.pixels.raw_pixels`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from training.evaluation.choosing import Places, choose, fit
from training.evaluation.classification import Labels, Probabilities

#: Inverse regularisation that is tried.
GRID = (0.1, 1.0, 10.0, 100.0)
MOST_WORDS = 200_000

_HAN = re.compile("[\u3400-\u9fff]")


def majority(train: Labels, rows: int, classes: int) -> Probabilities:
    """The training split's shares, for each row: float64 [rows, classes]."""
    shares = np.bincount(train, minlength=classes) / len(train)
    return np.tile(shares, (rows, 1))


def tfidf(
    train: Sequence[str], labels: Labels, texts: Sequence[str], classes: int, seed: int
) -> Probabilities:
    """Fit on the training texts, and predict: float64 [texts, classes].

    Args:
        train: Training texts.
        labels: Their classes; every class is there.
        texts: What is predicted.
        classes: How many there are.
        seed: Of the folds.
    """
    weighed = word_weights(train, texts)
    if weighed is None:
        return majority(labels, len(texts), classes)
    known, unknown = weighed

    def predict(fitted: Places, held_out: Places) -> Iterator[Probabilities]:
        # Few words make quick fits: each is whole here, unlike a head's on dense features.
        for strength in GRID:
            model = fit(_logistic(strength), known[fitted], labels[fitted])
            yield np.asarray(model.predict_proba(known[held_out]))

    model = fit(_logistic(choose(GRID, labels, seed, predict)), known, labels)
    return np.asarray(model.predict_proba(unknown))


def word_weights(train: Sequence[str], texts: Sequence[str]) -> tuple[Any, Any] | None:
    """TF-IDF of the words of both, as the training texts have them; sparse [texts, words] each.

    None where no training text has a word.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if _mostly_han(train):
        words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=MOST_WORDS)
    else:
        words = TfidfVectorizer(
            token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), max_features=MOST_WORDS
        )
    words.set_params(sublinear_tf=True)
    try:
        return words.fit_transform(train), words.transform(texts)
    except ValueError:
        return None


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1000)


def _mostly_han(texts: Sequence[str]) -> bool:
    sample = "".join(text[:200] for text in texts[:500])
    return 2 * len(_HAN.findall(sample)) > len(sample.replace(" ", ""))
