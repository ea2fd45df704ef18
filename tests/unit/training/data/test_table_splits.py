"""Rows of a table among the splits: each in one, copies together, classes everywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.prepare_spec import PrepareSpec
from training.data.table_splits import RowHash, divide_rows
from training.errors import TrainingError


def keys_of(values):
    """Keys of rows by their numbers."""
    found = RowHash(len(values))
    found.add(np.array(values, np.uint64))
    return found.keys()


def divided(values, classes=None, in_use=None, whole=None, **settings):
    """Divide rows whose content is a number; the class of each content follows from it."""
    content = keys_of(values)
    names = sorted({one for one in classes or () if one >= 0})
    named = None if classes is None else ("y", [str(n) for n in names], np.array(classes))
    use = np.ones(len(values), bool) if in_use is None else np.array(in_use)
    uploaded = keys_of([1000 * value + place for place, value in enumerate(values)])
    every = content if whole is None else keys_of(whole)
    return divide_rows(PrepareSpec(path="", **settings), uploaded, content, every, use, named)


def where(rows) -> np.ndarray:
    """The number of each row's split; -1: it is in none."""
    found = np.full(len(rows.kept), -1)
    for number, here in enumerate(rows.members.values()):
        assert not (here & (found >= 0)).any()
        found[here] = number
    return found


@given(
    st.lists(st.integers(0, 30), min_size=3, max_size=120),
    st.booleans(),
    st.sampled_from([0, 5, 40]),
    st.integers(0, 2**31 - 1),
)
def test_copies_are_never_on_two_sides(values, remove, test_percent, seed) -> None:
    settings = {"remove_duplicates": remove, "test_percent": test_percent, "seed": seed}
    if len(set(values)) < 3:
        with pytest.raises(TrainingError) as caught:
            divided(values, test_percent=5)
        assert caught.value.code == "table_rows_too_few"
        return
    rows = divided(values, **settings)
    split = where(rows)
    assert rows.duplicates == len(values) - len(set(values))
    assert rows.kept.sum() == (len(set(values)) if remove else len(values))
    for value in set(values):
        assert len({split[n] for n, one in enumerate(values) if one == value} - {-1}) == 1
    assert set(split) - {-1} == set(range(2 + bool(test_percent)))


@given(
    st.lists(st.integers(0, 200), min_size=30, max_size=150, unique=True),
    st.integers(2, 4),
    st.integers(0, 4),
)
def test_every_class_is_in_every_split_and_rows_without_one_are_kept(values, count, gaps) -> None:
    classes = [-1 if n < gaps else n % count for n in range(len(values))]
    rows = divided(values, classes, validation_percent=10, test_percent=10)
    split = where(rows)
    assert rows.kept.all()
    for one in range(count):
        assert {split[n] for n, of in enumerate(classes) if of == one} == {0, 1, 2}


def test_rows_that_are_alike_are_no_copies_but_stay_together() -> None:
    values = [place % 10 for place in range(40)]
    # The second twenty are copies of the first, which are alike in pairs.
    rows = divided(values, whole=[place % 20 for place in range(40)])
    assert (rows.duplicates, rows.alike) == (20, 10)
    assert rows.kept.tolist() == [True] * 20 + [False] * 20
    split = where(rows)
    assert split[:10].tolist() == split[10:20].tolist()


def test_rows_that_are_not_in_use_are_in_no_split() -> None:
    use = [place % 3 > 0 for place in range(60)]
    rows = divided(list(range(60)), in_use=use)
    assert rows.kept.tolist() == use


def test_rare_classes_are_left_out_with_their_copies() -> None:
    values = [*range(40), 100, 100]
    classes = [*(n % 2 for n in range(40)), 2, 2]
    with pytest.raises(TrainingError) as caught:
        divided(values, classes)
    assert (caught.value.code, caught.value.field) == ("label_rare", "leave_out_rare")
    rows = divided(values, classes, leave_out_rare=True, remove_duplicates=False)
    assert rows.left_out == {"2": 1}
    assert rows.kept.sum() == 40


@pytest.mark.parametrize(
    ("classes", "code"),
    [([0] * 40, "labels_one_class"), (list(range(40)), "labels_too_many")],
)
def test_what_cannot_be_told_apart_is_refused_at_the_targets(classes, code) -> None:
    with pytest.raises(TrainingError) as caught:
        divided(list(range(40)), classes)
    assert (caught.value.code, caught.value.field) == (code, "targets")


def test_the_hash_depends_on_every_column_and_on_their_order() -> None:
    one, other = np.arange(1000, dtype=np.uint64), np.arange(1000, dtype=np.uint64)[::-1].copy()
    keys = []
    for columns in ([one], [other], [one, other], [other, one], [one, one]):
        found = RowHash(1000)
        for column in columns:
            found.add(column)
        assert len(np.unique(found.keys())) == 1000
        keys.append(found.keys())
    for place in range(1000):
        assert len({several[place] for several in keys}) == 5
