"""The order of examples: each once an epoch, and every batch of an evaluation of one size."""

from hypothesis import given
from hypothesis import strategies as st

from training.data.order import order, rows_of_batch, spread_batches


@given(
    seed=st.integers(0, 2**31 - 1),
    batch_size=st.integers(1, 9),
    n=st.integers(1, 23),
    epochs=st.integers(1, 4),
)
def test_batches_see_each_example_exactly_once_an_epoch(
    seed: int, batch_size: int, n: int, epochs: int
) -> None:
    count = -(-epochs * n // batch_size)
    batches = [rows_of_batch(seed, index, batch_size, n) for index in range(count)]
    assert {len(batch) for batch in batches} == {batch_size}
    rows = [row for batch in batches for row in batch.tolist()]
    for epoch in range(epochs):
        seen = rows[epoch * n : (epoch + 1) * n]
        assert sorted(seen) == list(range(n))
        assert seen == order(seed, epoch, n).tolist()


@given(
    n=st.integers(0, 40),
    batch_size=st.integers(1, 9),
    limit=st.one_of(st.none(), st.integers(1, 5)),
)
def test_an_evaluation_sees_examples_once_and_fills_its_last_batch_up(
    n: int, batch_size: int, limit: int | None
) -> None:
    batches = list(spread_batches(n, batch_size, limit))
    assert all(len(rows) == batch_size for rows, _real in batches)
    assert all(real == batch_size for _rows, real in batches[:-1])
    assert all((rows[real:] == 0).all() for rows, real in batches)
    seen = [row for rows, real in batches for row in rows[:real].tolist()]
    assert len(seen) == (n if limit is None else min(n, limit * batch_size))
    assert seen == sorted(set(seen))
    assert all(0 <= row < n for row in seen)


def test_a_limited_evaluation_is_spread_over_the_whole_split() -> None:
    assert [rows.tolist() for rows, _real in spread_batches(20, 2, 2)] == [[0, 5], [10, 15]]
