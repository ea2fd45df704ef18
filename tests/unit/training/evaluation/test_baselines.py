"""Baselines: the commonest class, and words alone."""

import numpy as np
import pytest

from training.evaluation.baselines import majority, tfidf


def test_the_majority_gives_the_training_shares() -> None:
    assert majority(np.array([1, 1, 0, 1]), 2, 3).tolist() == [[0.25, 0.75, 0.0]] * 2


@pytest.mark.parametrize(
    "words", [("grand", "dull"), ("很好", "很差")], ids=["spaces", "no spaces"]
)
def test_words_that_tell_the_classes_apart_are_found(words: tuple[str, str]) -> None:
    random = np.random.default_rng(0)
    labels = np.array([0, 1] * 30)
    filler = "一二三四五六七八九十" if words[0] == "很好" else "abcdefghij"
    join = "" if words[0] == "很好" else " "
    texts = [
        join.join([*random.choice(list(filler), 6), words[label], *random.choice(list(filler), 6)])
        for label in labels
    ]
    found = tfidf(texts[:40], labels[:40], texts[40:], 2, 0)
    assert (found.argmax(1) == labels[40:]).all()
    assert np.allclose(found.sum(1), 1)


def test_texts_without_a_word_fall_back_to_the_shares() -> None:
    labels = np.array([0, 1, 1])
    assert tfidf(["!", "?", "…"], labels, ["!"], 2, 0).tolist() == majority(labels, 1, 2).tolist()
