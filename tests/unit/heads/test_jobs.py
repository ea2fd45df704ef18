"""What the worker does for a head: inputs, the cache of features, the outcome."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.heads import make_head, make_report, stored_head
from webapp import storage
from webapp.heads import feature_cache, jobs
from webapp.jobs.models import State
from webapp.jobs.supervisor import work_folder


def entry(folder: Path, name: str, weights: str, size: int = 100, used: float = 1e9) -> Path:
    made = folder / f"features-{name}"
    made.mkdir(parents=True)
    (made / "features.json").write_text(json.dumps({"weights": weights}))
    (made / "values.f32").write_bytes(b"x" * size)
    os.utime(made, (used, used))
    return made


def names(folder: Path) -> set[str]:
    return {path.name.removeprefix("features-") for path in folder.glob("features-*")}


def test_inputs_hold_data_and_checkpoint_and_what_was_computed_before(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = make_head(cast, job={"state": State.QUEUED}, checkpoint=make_checkpoint(cast))
    placed: list[str] = []

    def place(reference: str, folder: Path) -> str:
        placed.append(reference)
        return str(folder)

    monkeypatch.setattr(jobs, "place_files", place)
    entry(feature_cache.folder(), "mine", head.checkpoint.weights_sha256)
    entry(feature_cache.folder(), "random", "random 0")
    entry(feature_cache.folder(), "other", "ab" * 32)
    spec = jobs.inputs(head.job, json.loads(json.dumps(head.job.spec)), tmp_path)
    assert spec["data"]["path"] == str(tmp_path / "data")
    assert spec["source"]["checkpoint"] == str(tmp_path / "source")
    assert placed == [head.job.spec["data"]["path"], head.job.spec["source"]["checkpoint"]]
    assert spec["cache"] == ""
    lent = work_folder(head.job.pk) / "cache"
    assert names(lent) == {"mine", "random"}
    values = lent / "features-mine" / "values.f32"
    assert values.stat().st_nlink == 2
    # Once more, as after a crash: the same.
    jobs.inputs(head.job, json.loads(json.dumps(head.job.spec)), tmp_path)
    assert names(lent) == {"mine", "random"}


def test_what_was_computed_is_kept_and_what_was_used_is_dated(tmp_path: Path) -> None:
    shared = feature_cache.folder()
    for name in ("used", "unused"):
        entry(shared, name, "w", used=1000)
    feature_cache.lend("w", tmp_path)
    os.utime(tmp_path / "features-used")  # as the engine does with what it reads
    entry(tmp_path, "new", "w")
    feature_cache.keep(tmp_path)
    assert names(shared) == {"used", "unused", "new"}
    assert (shared / "features-used").stat().st_mtime > 1000
    assert (shared / "features-unused").stat().st_mtime == 1000
    assert not (shared / "features-new" / "values.f32").stat().st_mode & 0o222


def test_what_was_used_longest_ago_makes_room() -> None:
    shared = feature_cache.folder()
    for place, name in enumerate(("oldest", "older", "newest")):
        entry(shared, name, "w", size=1000, used=1000 + place)
    feature_cache.prune(2500)
    assert names(shared) == {"older", "newest"}
    feature_cache.prune(0)
    assert names(shared) == set()


def test_a_damaged_entry_is_not_lent(tmp_path: Path) -> None:
    broken = entry(feature_cache.folder(), "broken", "w")
    (broken / "features.json").write_text("{")
    feature_cache.lend("w", tmp_path)
    assert names(tmp_path) == set()


def test_the_outcome_is_the_head_s_files_and_scores(
    cast: Cast, alice: Client, tmp_path: Path
) -> None:
    head = make_head(cast, job={"state": State.RUNNING})
    (tmp_path / "head").mkdir()
    expected = stored_head(tmp_path / "head")
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "map.json").write_text("{}")
    expected |= storage.store_folder(tmp_path / "map")
    (tmp_path / "report.json").write_text(json.dumps(make_report()))
    entry(tmp_path / "cache", "new", "w")
    collected = jobs.collect(head.job, tmp_path)
    jobs.finish(head.job, collected)
    head.refresh_from_db()
    assert (head.accuracy, head.macro_f1) == (0.75, 0.74)
    assert head.manifest == expected
    assert head.has_map
    assert names(feature_cache.folder()) == {"new"}
    assert jobs.name(head.job) == head.name

    archive: Any = alice.get(f"/heads/{head.pk}/download")
    with zipfile.ZipFile(io.BytesIO(archive.getvalue())) as found:
        assert {name.split("/", 1)[1] for name in found.namelist()} == set(expected)


def test_a_head_that_is_not_there_yet_is_not_downloaded(alice: Client, cast: Cast) -> None:
    head = make_head(cast, job={"state": State.QUEUED})
    assert alice.get(f"/heads/{head.pk}/download")["Location"] == f"/heads/{head.pk}"
