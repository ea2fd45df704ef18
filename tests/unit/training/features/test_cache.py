"""Features are computed once for equal inputs, and again for any other."""

from pathlib import Path

import numpy as np
import pytest

from training.durable import full_disk
from training.errors import TrainingError
from training.features.cache import cached_features

PARTS = {"weights": "ab", "texts": "cd", "pooling": "mean"}


def values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(7, 3)).astype(np.float32)


def never() -> np.ndarray:
    raise AssertionError("it was computed again")


def test_the_second_look_computes_nothing(tmp_path: Path) -> None:
    first = cached_features(tmp_path, PARTS, values)
    again = cached_features(tmp_path, dict(reversed(PARTS.items())), never)
    assert (first.hit, again.hit) == (False, True)
    assert np.array_equal(again.values, values())
    assert again.seconds == first.seconds


@pytest.mark.parametrize("name", PARTS)
def test_any_other_part_is_another_entry(tmp_path: Path, name: str) -> None:
    cached_features(tmp_path, PARTS, values)
    other = cached_features(tmp_path, PARTS | {name: "other"}, lambda: values(1))
    assert not other.hit
    assert np.array_equal(cached_features(tmp_path, PARTS, never).values, values())


@pytest.mark.parametrize("damage", ["cut", "gone", "other key", "no JSON"])
def test_what_is_damaged_is_computed_again(tmp_path: Path, damage: str) -> None:
    cached_features(tmp_path, PARTS, values)
    (folder,) = tmp_path.iterdir()
    match damage:
        case "cut":
            with (folder / "values.f32").open("r+b") as file:
                file.truncate(40)
        case "gone":
            (folder / "values.f32").unlink()
        case "other key":
            about = (folder / "features.json").read_text()
            (folder / "features.json").write_text(about.replace('"key": "', '"key": "0'))
        case _:
            (folder / "features.json").write_text("{")
    again = cached_features(tmp_path, PARTS, values)
    assert not again.hit
    assert cached_features(tmp_path, PARTS, never).hit


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFT_FAULT", "features.write:1:enospc")
    with pytest.raises(TrainingError) as caught:
        cached_features(tmp_path, PARTS, values)
    assert caught.value.code == full_disk(tmp_path, "").code or caught.value.code.startswith("disk")
    assert not list(tmp_path.iterdir())
