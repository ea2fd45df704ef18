"""How varied, repetitive and copied texts are, against plain counts; Bayes' rule; intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.control.likelihood import by_label, posterior
from training.control.measures import (
    CHARACTERS,
    WORDS,
    copied,
    distinct,
    gram_count,
    repetition,
    split,
    units_of,
)
from training.control.report import balanced, changed, judged, right_of
from training.evaluation.bootstrap import ratio_interval

texts = st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=6)


def plain_grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def test_texts_are_counted_in_words_and_chinese_in_characters() -> None:
    assert split("It's the end, isn't it?") == ["it", "s", "the", "end", "isn", "t", "it"]
    assert split("明月几时有？把酒") == list("明月几时有把酒")
    assert units_of(["some words"]) is WORDS
    assert units_of(["明月几时有？把酒问青天。"]) is CHARACTERS


@settings(max_examples=80, deadline=None)
@given(texts, texts, st.integers(1, 4))
def test_shares_of_n_grams_are_those_of_a_plain_count(
    written: list[list[str]], known: list[list[str]], n: int
) -> None:
    every = [gram for words in written for gram in plain_grams(words, n)]
    assert gram_count(written, n) == len(every)
    found = distinct(written, n, 10**9)
    assert found == (len(set(every)) / len(every) if every else None)
    again = sum(
        gram in plain_grams(words, n)[:place]
        for words in written
        for place, gram in enumerate(plain_grams(words, n))
    )
    assert repetition(written, n) == (again / len(every) if every else None)
    there = {gram for words in known for gram in plain_grams(words, n)}
    wanted = sum(gram in there for gram in every) / len(every) if every else None
    joined = [" ".join(words) for words in known]
    assert copied({"written": written}, joined, n) == {"written": wanted}


def test_sides_are_compared_over_equally_many_n_grams() -> None:
    assert distinct([list("abcd"), list("abcd")], 1, 4) == 1.0
    assert distinct([list("abcd"), list("abcd")], 1, 8) == 0.5


def test_the_posterior_is_bayes_rule_and_survives_the_losses_of_long_texts() -> None:
    losses = np.array([[3.0, 2.0], [1.0, 4.0]])
    shares = np.array([0.8, 0.2])
    likelihoods = np.exp(-losses) * shares
    wanted = likelihoods / likelihoods.sum(1, keepdims=True)
    assert posterior(losses, shares) == pytest.approx(wanted)
    found = posterior(losses + 5000, shares)
    assert found == pytest.approx(wanted)


def test_a_wrong_label_is_the_mean_of_all_others_by_tokens_and_not_by_texts() -> None:
    losses = np.array([[10.0, 20.0, 30.0], [200.0, 100.0, 300.0]])
    tokens, labels = np.array([5, 50]), np.array([0, 1])
    found = by_label(losses, np.array([12.0, 120.0]), tokens, labels, 0)
    assert found["perplexity"]["true"]["value"] == pytest.approx(np.exp(110 / 55))
    assert found["perplexity"]["wrong"]["value"] == pytest.approx(np.exp((25 + 250) / 55))
    assert found["gap"]["value"] == pytest.approx((15 + 150) / 55)
    assert found["gain"]["value"] == pytest.approx((2 + 20) / 55)
    assert by_label(losses, None, tokens, labels, 0)["perplexity"].keys() == {"true", "wrong"}


def test_an_interval_is_that_of_resampled_examples() -> None:
    random = np.random.default_rng(1)
    above, below = random.normal(3, 1, 200), random.integers(1, 9, 200).astype(float)
    low, high = ratio_interval(above, below, 4)
    draws = np.random.default_rng(4)
    ratios = []
    for _resample in range(1000):
        chosen = draws.integers(0, 200, 200)
        ratios.append(above[chosen].sum() / below[chosen].sum())
    assert (low, high) == pytest.approx(tuple(np.percentile(ratios, (2.5, 97.5))))
    assert low < above.sum() / below.sum() < high


def _sides(labelled: list[str], unlabelled: list[str], real: list[str]) -> dict:
    wanted = np.repeat([0, 1], len(labelled) // 2)
    return {
        "labelled": (labelled, wanted),
        "unlabelled": (unlabelled, wanted),
        "real": (real, wanted),
    }


def test_the_judge_tells_texts_of_the_class_that_was_meant_from_others() -> None:
    known = ["the ship and the sea", "a whale in the sea"] * 8 + ["stocks and bonds fell"] * 16
    labels = np.repeat([0, 1], 16)
    held_out = ["the sea and a ship", "bonds fell"] * 4
    true = np.tile([0, 1], 4)
    good = ["ship in the sea"] * 4 + ["stocks fell"] * 4
    alike = ["stocks fell and bonds"] * 8
    found, told = judged(
        known, labels, held_out, true, _sides(good, alike, held_out[::2] + held_out[1::2]), "ab", 0
    )
    assert found["sides"]["labelled"]["class_accuracy"] == 1.0
    assert found["sides"]["unlabelled"]["class_accuracy"] == 0.5
    assert found["judge"]["accuracy"] == 1.0
    assert told.shape == (8, 2)
    assert [one["texts"] for one in found["by_class"]] == [4, 4]
    assert found["unit"] == "words"


def test_labels_change_something_only_where_the_intervals_say_so() -> None:
    def found(gap: float, low: float, unlabelled: float) -> dict:
        return {
            "gap": {"interval": [gap, 1.0]},
            "sides": {
                "labelled": {"interval": [low, 1.0]},
                "unlabelled": {"class_accuracy": unlabelled},
            },
        }

    assert changed(found(0.1, 0.6, 0.5), 2) == {"likelihood": True, "samples": True}
    assert changed(found(-0.1, 0.45, 0.4), 2) == {"likelihood": False, "samples": False}
    assert changed(found(0.0, 0.55, 0.6), 2) == {"likelihood": False, "samples": False}


def test_right_of_has_an_interval_and_balanced_takes_of_each_class_alike() -> None:
    told = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
    found = right_of(told, np.array([0, 1, 1, 1]), 0)
    assert found["class_accuracy"] == 0.75
    assert found["interval"][0] < 0.75 < found["interval"][1]
    labels = np.array([0] * 10 + [1] * 3)
    assert balanced(labels, 4, 2).tolist() == [0, 2, 5, 7, 10, 11, 12]
