"""The store of files: content decides the name, nothing is half there, nothing leads outside."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from training.hashing import content_hash
from webapp import storage


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def stored_files(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


def test_a_file_is_named_by_its_content(tmp_path: Path, data_folder: Path) -> None:
    stored = storage.store_file(write(tmp_path / "a", b"hello"))
    assert stored == storage.StoredFile(content_hash(b"hello"), 5)
    path = storage.blob_path(stored.blake3)
    assert path is not None
    assert path.read_bytes() == b"hello"
    with storage.open_blob(stored.blake3) as file:
        assert file.read() == b"hello"


def test_the_same_content_is_stored_once(tmp_path: Path, data_folder: Path) -> None:
    storage.store_file(write(tmp_path / "a", b"hello"))
    storage.store_file(write(tmp_path / "b", b"hello"))
    assert len(stored_files(data_folder)) == 1


def test_stored_files_cannot_be_written(tmp_path: Path) -> None:
    path = storage.blob_path(storage.store_file(write(tmp_path / "a", b"hello")).blake3)
    assert path is not None
    assert path.stat().st_mode & 0o222 == 0


def test_moving_a_file_leaves_nothing_behind(tmp_path: Path, data_folder: Path) -> None:
    path = write(tmp_path / "a", b"hello")
    storage.store_file(path, move=True)
    assert not path.exists()
    again = write(tmp_path / "b", b"hello")
    storage.store_file(again, move=True)
    assert not again.exists()
    assert len(stored_files(data_folder)) == 1


def test_what_a_job_made_is_shared_with_the_store_and_not_copied(tmp_path: Path) -> None:
    write(tmp_path / "in/a", b"hello")
    manifest = storage.store_folder(tmp_path / "in", link=True)
    path = storage.blob_path(manifest["a"]["blake3"])
    assert path is not None
    assert os.path.samefile(path, tmp_path / "in/a")
    assert path.stat().st_mode & 0o222 == 0
    assert storage.store_folder(tmp_path / "in", link=True) == manifest


def test_what_a_job_made_on_another_device_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "other device")

    monkeypatch.setattr(os, "link", refuse)
    stored = storage.store_file(write(tmp_path / "a", b"hello"), link=True)
    path = storage.blob_path(stored.blake3)
    assert path is not None
    assert path.read_bytes() == b"hello"
    assert not os.path.samefile(path, tmp_path / "a")


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "in/config.json", b"{}")
    write(tmp_path / "in/adapter/a.safetensors", b"weights")
    write(tmp_path / "in/.tmp-half/a", b"unfinished")
    manifest = storage.store_folder(tmp_path / "in")
    assert list(manifest) == ["adapter/a.safetensors", "config.json"]
    storage.materialise(manifest, tmp_path / "out")
    assert (tmp_path / "out/adapter/a.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "out/config.json").read_bytes() == b"{}"


def test_on_one_device_a_link_is_given_and_not_a_copy(tmp_path: Path) -> None:
    stored = storage.store_file(write(tmp_path / "a", b"hello"))
    storage.materialise({"x": {"blake3": stored.blake3, "size": 5}}, tmp_path / "out")
    path = storage.blob_path(stored.blake3)
    assert path is not None
    assert os.path.samefile(path, tmp_path / "out/x")


def test_across_devices_a_copy_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = storage.store_file(write(tmp_path / "a", b"hello"))

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "other device")

    monkeypatch.setattr(os, "link", refuse)
    storage.materialise({"x": {"blake3": stored.blake3, "size": 5}}, tmp_path / "out")
    assert (tmp_path / "out/x").read_bytes() == b"hello"
    assert (tmp_path / "out/x").stat().st_nlink == 1


def test_a_changed_file_is_not_handed_out(tmp_path: Path) -> None:
    stored = storage.store_file(write(tmp_path / "a", b"hello"))
    path = storage.blob_path(stored.blake3)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"jello")
    with pytest.raises(storage.BlobCorrupt):
        storage.materialise({"x": {"blake3": stored.blake3, "size": 5}}, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(storage.BlobMissing, match="0" * 64):
        storage.materialise({"x": {"blake3": "0" * 64, "size": 5}}, tmp_path / "out")
    with pytest.raises(storage.BlobMissing):
        storage.open_blob("0" * 64)
    assert storage.blob_path("0" * 64) is None
    assert not storage.blob_exists("0" * 64)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\0b"])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, path: str) -> None:
    stored = storage.store_file(write(tmp_path / "a", b"hello"))
    with pytest.raises(storage.PathRefused):
        storage.materialise({path: {"blake3": stored.blake3, "size": 5}}, tmp_path / "out")


@pytest.mark.parametrize("name", ["../../etc/passwd", "abc", "A" * 64, ""])
def test_only_hashes_name_files(name: str) -> None:
    with pytest.raises(storage.PathRefused):
        storage.blob_path(name)


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "in/a", b"a")
    (tmp_path / "in/b").symlink_to("/etc/passwd")
    with pytest.raises(storage.PathRefused):
        storage.store_folder(tmp_path / "in")
    with pytest.raises(storage.PathRefused):
        storage.store_file(tmp_path / "in/b")


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(storage.StoreFull):
        storage.store_file(write(tmp_path / "a", b"hello"))
    assert stored_files(data_folder) == []


def test_a_folders_identity_is_its_content_whatever_the_order() -> None:
    a = {"blake3": "a" * 64, "size": 1}
    b = {"blake3": "b" * 64, "size": 2}
    assert storage.manifest_sha256({"x": a, "y": b}) == storage.manifest_sha256({"y": b, "x": a})
    assert storage.manifest_sha256({"x": a, "y": b}) != storage.manifest_sha256({"x": b, "y": a})
    assert storage.manifest_size({"x": a, "y": b}) == 3
