"""What labels of either kind ask of a head, and how a map tells them apart."""

import numpy as np
import pytest

from training.errors import TrainingError
from training.features.answers import Classes, Number, answers_of

CLASSES = {"kind": "text", "labels": {"field": "x", "classes": [{"name": "a"}, {"name": "b"}]}}
NUMBERS = {"kind": "text", "labels": {"field": "price", "type": "number"}}


def test_the_data_decide_which_they_are() -> None:
    classes, number = answers_of(CLASSES), answers_of(NUMBERS)
    assert isinstance(classes, Classes)
    assert isinstance(number, Number)
    assert classes.about == {"classes": ["a", "b"]}
    assert number.about == {"target": "price"}
    with pytest.raises(TrainingError, match="no labels"):
        answers_of({"kind": "text"})


@pytest.mark.parametrize(
    ("head", "pooling", "sentence"),
    [("prototype", "mean", "each class's mean"), ("linear", "attention", "Attention is learned")],
)
def test_numbers_refuse_what_needs_classes(head, pooling, sentence) -> None:
    answers_of(CLASSES).require(head, pooling)
    with pytest.raises(TrainingError, match=sentence):
        answers_of(NUMBERS).require(head, pooling)


def test_classes_need_an_example_each_and_numbers_do_not() -> None:
    answers_of(NUMBERS).require_examples(2)
    answers_of(CLASSES).require_examples(2)
    with pytest.raises(TrainingError, match="There are 2 classes"):
        answers_of(CLASSES).require_examples(1)


def test_equal_numbers_cannot_be_learned() -> None:
    with pytest.raises(TrainingError, match="the same number"):
        answers_of(NUMBERS).fit("linear", np.zeros((4, 2), np.float32), np.full(4, 7.0), 0)


def test_numbers_are_cut_into_parts_of_about_one_size() -> None:
    labels = np.random.default_rng(0).permutation(np.arange(1, 101) / 4)
    names, parts = answers_of(NUMBERS).groups(labels)
    assert names == ["0.25 – 5", "5.25 – 10", "10.25 – 15", "15.25 – 20", "20.25 – 25"]
    assert np.bincount(parts).tolist() == [20] * 5
    for part, name in enumerate(names):
        low, high = map(float, name.split(" – "))
        assert (labels[parts == part].min(), labels[parts == part].max()) == (low, high)


@pytest.mark.parametrize(
    ("labels", "names"),
    [([3.0] * 9 + [4.0], ["3", "4"]), ([1.0, 2.0], ["1", "2"]), ([5.0, 5.0], ["5"])],
)
def test_equal_numbers_are_in_one_part(labels, names) -> None:
    found, parts = answers_of(NUMBERS).groups(np.array(labels))
    assert found == names
    assert [found[part] for part in parts] == [f"{label:g}" for label in labels]
