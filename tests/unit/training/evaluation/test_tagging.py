"""Scores of tags: by word, by tag, by entity, and their intervals; and what stands beside."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from tests.parity.fixtures import REFERENCE
from training.data.entities import entities
from training.evaluation.tag_baselines import forms, lexicon, without_a_model
from training.evaluation.tagging import (
    Sentences,
    entity_scores,
    tagging_report,
    tagging_scores,
)

NAMES = ["O", "B-LOC", "B-PER", "I-PER", "B-ART"]
#: By ``tests.parity.make_entities``.
SEQEVAL: dict[str, Any] = json.loads((REFERENCE / "entities.json").read_text())


def sentences(count: int = 80, seed: int = 0) -> Sentences:
    """Random tags, the last of which is never there."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9, count)
    return Sentences(
        list(range(100, 100 + count)),
        [[f"w{random.integers(30)}" for _ in range(length)] for length in lengths],
        [random.integers(0, 4, length).astype(np.int32) for length in lengths],
    )


def guessed(given: Sentences, seed: int = 1) -> np.ndarray:
    """Probabilities, right more often than not."""
    random = np.random.default_rng(seed)
    scores = random.random((len(given.labels), len(NAMES)))
    scores[np.arange(len(scores)), given.labels] += 0.4
    return scores / scores.sum(1, keepdims=True)


def test_scores_by_word_are_those_of_scikit_learn() -> None:
    given = sentences()
    probabilities = guessed(given)
    labels, predicted = given.labels, probabilities.argmax(1)
    found = tagging_scores(probabilities, given, NAMES, "IOB2")
    there = sorted(set(labels))
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    # Over the tags that are there: one that is not can only be predicted wrongly.
    assert found["macro_f1"] == pytest.approx(
        f1_score(labels, predicted, labels=there, average="macro")
    )
    assert found["loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(len(NAMES))))
    assert (found["words"], found["sentences"]) == (len(labels), 80)
    by_tag = np.array(
        precision_recall_fscore_support(
            labels, predicted, labels=range(len(NAMES)), zero_division=0
        )
    ).T
    assert [one["name"] for one in found["tags"]] == NAMES
    for one, expected in zip(found["tags"], by_tag, strict=True):
        mine = [one[name] for name in ("precision", "recall", "f1", "words")]
        assert mine == pytest.approx(expected.tolist())


@pytest.mark.parametrize("name", SEQEVAL)
def test_scores_by_entity_are_those_of_seqeval(name: str) -> None:
    case = SEQEVAL[name]
    found = entity_scores(*(list(map(entities, case[side])) for side in ("true", "predicted")))
    for key in ("precision", "recall", "f1"):
        assert found[key] == pytest.approx(case[key], abs=1e-12)
    types = {one["name"]: one for one in found["types"]}
    for type, expected in case["types"].items():
        for key, value in expected.items():
            assert types[type][key] == pytest.approx(value, abs=1e-12)
    assert found["entities"] == sum(one["entities"] for one in case["types"].values())


def test_without_entities_there_is_nothing_to_divide_by() -> None:
    assert entity_scores([[]], [[]]) == {
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "entities": 0,
        "types": [],
    }


def test_intervals_resample_sentences() -> None:
    given = sentences()
    probabilities = guessed(given)
    found = tagging_scores(probabilities, given, NAMES, "IOB2", seed=3)
    # The same, drawn and scored one after the other.
    random = np.random.default_rng(8)
    predicted = probabilities.argmax(1)
    parts = list(zip(given.parted(given.labels), given.parted(predicted), strict=True))
    drawn: dict[str, list[float]] = {"accuracy": [], "macro_f1": [], "entity_f1": []}
    for _ in range(300):
        chosen = [parts[place] for place in random.integers(0, len(parts), len(parts))]
        labels, said = (np.concatenate(side) for side in zip(*chosen, strict=True))
        drawn["accuracy"].append(float((labels == said).mean()))
        drawn["macro_f1"].append(
            f1_score(labels, said, labels=sorted(set(labels)), average="macro")
        )
        both = [
            [entities([NAMES[tag] for tag in tags]) for tags in side]
            for side in zip(*chosen, strict=True)
        ]
        drawn["entity_f1"].append(entity_scores(both[0], both[1])["f1"])
    for name, values in drawn.items():
        assert found["intervals"][name] == pytest.approx(
            np.percentile(values, (2.5, 97.5)).tolist(), abs=0.012
        ), name
    assert found["intervals"]["accuracy"][0] < found["accuracy"] < found["intervals"]["accuracy"][1]
    assert "entity_f1" not in tagging_scores(probabilities, given, NAMES, None)["intervals"]


def test_words_of_a_sentence_that_go_together_widen_the_interval() -> None:
    """Half of the sentences are wrong throughout: 40 cases and not 400."""
    labels = [np.zeros(10, np.int32) for _ in range(40)]
    given = Sentences(list(range(40)), [["w"] * 10 for _ in range(40)], labels)
    right = np.repeat(np.arange(40) % 2, 10)
    probabilities = np.stack([right, 1 - right], 1).astype(float)
    low, high = tagging_scores(probabilities, given, ["A", "B"], None)["intervals"]["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), rel=0.15)


def test_a_report_ranks_sides_and_shows_the_worst_sentences() -> None:
    given, train = sentences(), sentences(50, seed=5)
    probabilities = guessed(given)
    perfect = np.eye(len(NAMES))[given.labels]
    sides = {"model": probabilities, "forms": perfect, "majority": guessed(given, 2) * 0 + 0.2}
    found = tagging_report("test", train, given, NAMES, "IOB2", sides, 0)
    assert (found["measure"], found["beaten_by"]) == ("entity_f1", ["forms"])
    assert (found["examples"], found["words"]) == (50, len(train.labels))
    predicted = probabilities.argmax(1)
    assert sum(map(sum, found["confusion"]["words"])) + sum(
        one["words"] for one in found["confused"] if one["predicted"] == "B-ART"
    ) == len(predicted)
    assert found["confusion"]["tags"] == NAMES[:4]
    worst = found["confused"][0]
    pairs = {
        (NAMES[a], NAMES[b]): int(((given.labels == a) & (predicted == b)).sum())
        for a in range(5)
        for b in range(5)
        if a != b
    }
    assert worst["words"] == max(pairs.values()) == pairs[worst["tag"], worst["predicted"]]
    losses = -np.log(probabilities[np.arange(len(predicted)), given.labels])
    total = [part.sum() for part in given.parted(losses)]
    mistaken = [bool(part.any()) for part in given.parted(predicted != given.labels)]
    order = sorted(range(80), key=lambda place: (not mistaken[place], -total[place]))
    assert [one["id"] - 100 for one in found["predictions"]] == order[:40]
    first = found["predictions"][0]
    assert first["wrong"] == sum(
        a != b for a, b in zip(first["tags"], first["predicted"], strict=True)
    )
    plain = tagging_report("test", train, given, NAMES, None, {"model": perfect, **sides}, 0)
    assert (plain["measure"], plain["scores"]["model"]["entities"]) == ("accuracy", None)


# --- baselines ------------------------------------------------------------------------------------


def of_words(text: str) -> Sentences:
    """Sentences written as ``word/tag``, a line each."""
    parts = [[one.split("/") for one in line.split()] for line in text.strip().splitlines()]
    return Sentences(
        list(range(len(parts))),
        [[word for word, _ in line] for line in parts],
        [np.array([int(tag) for _, tag in line], np.int32) for line in parts],
    )


def test_a_word_gets_its_commonest_tag_and_an_unknown_one_the_commonest_of_all() -> None:
    train = of_words(
        "the/0 run/1 run/1 run/2 .\
/0\nthe/0 new/2 new/1 a/0"
    )
    said = lexicon(train, of_words("run/0 the/0 new/0 never/0 The/0"), 4)
    # Of two as frequent, the one that is commoner elsewhere; capitals are another word.
    assert said.argmax(1).tolist() == [1, 0, 1, 0, 0]
    np.testing.assert_allclose(said.sum(1), 1)
    assert (said[:, 3] == 0).all()


def test_forms_tell_by_endings_and_neighbours_what_no_word_tells() -> None:
    random = np.random.default_rng(0)

    def drawn(count: int) -> Sentences:
        """New words throughout: what ends in -ly is 1; what follows "the" is 2; others are 0."""
        lines = []
        for _ in range(count):
            made = [f"{random.integers(10**9):x}" for _ in range(3)]
            lines.append(f"{made[0]}ly/1 the/0 {made[1]}ing/2 {made[2]}ing/0")
        return of_words("\n".join(lines))

    train, scored = drawn(60), drawn(40)
    said = forms(train, scored, 4, seed=0)
    assert (said.argmax(1) == scored.labels).mean() > 0.97
    assert (lexicon(train, scored, 4).argmax(1) == scored.labels).mean() < 0.6
    # A tag that no training word has gets nothing.
    assert (said[:, 3] == 0).all()
    found = without_a_model(train, scored, 4, seed=0)
    assert set(found) == {"forms", "lexicon", "majority"}
    assert all(one.shape == said.shape for one in found.values())
