"""Files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import pytest

from training import durable, faults
from training.durable import durable_folder, sweep, write_bytes, write_json
from training.errors import TrainingError


@pytest.fixture(autouse=True)
def unreached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_reached", {})


@pytest.mark.parametrize("point", ["file.write", "file.rename"])
def test_a_file_keeps_its_old_content_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    monkeypatch.setenv("GRAFT_FAULT", f"{point}:1:enospc")
    with pytest.raises(TrainingError) as caught:
        write_bytes(path, b"new")
    assert caught.value.code == "disk_full_writing"
    assert caught.value.params == {"what": "state.json"}
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("point", ["write", "sync"])
@pytest.mark.parametrize("action", ["enospc", "raise"])
def test_a_folder_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, action: str
) -> None:
    monkeypatch.setenv("GRAFT_FAULT", f"folder.{point}:1:{action}")
    expected: type[Exception] = TrainingError if action == "enospc" else RuntimeError
    with pytest.raises(expected), durable_folder(tmp_path / "deep" / "result") as temporary:
        (temporary / "a").write_text("a")
    assert list((tmp_path / "deep").iterdir()) == []


def test_an_error_in_the_block_leaves_the_old_folder(tmp_path: Path) -> None:
    with durable_folder(tmp_path / "result") as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(IsADirectoryError), durable_folder(tmp_path / "result") as temporary:
        temporary.write_text("not a file")
    assert (tmp_path / "result" / "a").read_text() == "old"
    with durable_folder(tmp_path / "result") as temporary:
        (temporary / "b").write_text("new")
    assert [path.name for path in (tmp_path / "result").iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_everything_is_synced_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, rename = durable.sync_tree, durable.os.rename
    monkeypatch.setattr(durable, "sync_tree", lambda p: (order.append("sync"), sync(p)))
    monkeypatch.setattr(durable.os, "rename", lambda a, b: (order.append("rename"), rename(a, b)))
    with durable_folder(tmp_path / "r", last=lambda _folder: order.append("last")) as temporary:
        (temporary / "a").write_text("a")
    assert order == ["sync", "last", "sync", "rename"]


def test_other_errors_keep_their_kind(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), durable_folder(tmp_path / "r"):
        raise PermissionError(errno.EACCES, "no")


def test_the_sweep_removes_only_what_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / ".tmp-checkpoint-abc").mkdir()
    (tmp_path / ".tmp-checkpoint-abc" / "a").write_text("a")
    (tmp_path / ".tmp-file").write_text("a")
    (tmp_path / "checkpoint").mkdir()
    sweep(tmp_path)
    sweep(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("atomic", [True, False])
def test_replacing_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool) -> None:
    if not atomic:
        monkeypatch.setattr(durable, "_exchange", lambda one, other: False)
    for content in ("old", "new"):
        with durable_folder(tmp_path / "r") as temporary:
            (temporary / content).write_text(content)
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_a_folder_that_is_replaced_is_never_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(one: Path, other: Path) -> None:
        raise AssertionError("two renames, with nothing in place between them")

    with durable_folder(tmp_path / "r"):
        pass
    monkeypatch.setattr(durable.os, "rename", forbidden)
    with durable_folder(tmp_path / "r") as temporary:
        (temporary / "a").write_text("a")
    assert (tmp_path / "r" / "a").exists()
