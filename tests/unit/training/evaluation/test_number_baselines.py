"""Ridge regression on words and pixels, mean and median, against scikit-learn."""

from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from training.data.labelled import Labelled
from training.evaluation.number_baselines import ridge, without_a_model

WORDS = {"splendid": 3.0, "good": 1.0, "dull": -1.0, "awful": -3.0}


def texts(count: int, seed: int) -> Labelled:
    """Texts of three words each; their number is the sum of what the words are worth."""
    random = np.random.default_rng(seed)
    drawn = random.choice(list(WORDS), (count, 3))
    rows = [{"id": place, "text": " ".join(words)} for place, words in enumerate(drawn)]
    return Labelled(rows, np.array([sum(WORDS[w] for w in words) for words in drawn]), Path())


def rmse(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float(np.sqrt(np.square(predicted - labels).mean()))


def test_words_alone_predict_what_words_decide() -> None:
    train, scored = texts(200, 0), texts(60, 1)
    found = without_a_model("text", train, scored, 0)
    assert list(found) == ["tfidf", "mean", "median"]
    assert set(found["mean"]) == {train.labels.mean()}
    assert set(found["median"]) == {np.median(train.labels)}
    assert rmse(found["tfidf"], scored.labels) < 0.3 * rmse(found["mean"], scored.labels)


def test_texts_without_words_leave_mean_and_median() -> None:
    blank = Labelled([{"id": n, "text": "…"} for n in range(12)], np.arange(12.0), Path())
    assert list(without_a_model("text", blank, blank, 0)) == ["mean", "median"]


def test_the_penalty_is_that_of_the_least_error_on_what_is_held_out() -> None:
    random = np.random.default_rng(0)
    known, unknown = random.normal(size=(40, 30)), random.normal(size=(20, 30))
    labels = known[:, 0] + random.normal(0, 2, 40)
    found = ridge(known, labels, unknown, (0.01, 1000.0), 0)
    assert np.allclose(found, Ridge(1000.0).fit(known, labels).predict(unknown))
    exact = ridge(known, known[:, 0], unknown, (0.01, 1000.0), 0)
    assert rmse(exact, unknown[:, 0]) < 0.1
    few = ridge(known[:5], labels[:5], unknown, (0.01, 1.0, 1000.0), 0)
    assert np.allclose(few, Ridge(1.0).fit(known[:5], labels[:5]).predict(unknown))
