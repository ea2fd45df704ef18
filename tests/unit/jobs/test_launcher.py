"""Pieces of the launcher and of what it prepares."""

from __future__ import annotations

import gettext
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from webapp.jobs import broker, devices, launcher, setup
from webapp.jobs.processes import Identity, host_of, identity, place


def test_only_one_portal_has_a_data_folder(data_folder: Path) -> None:
    first = launcher.Launcher(print)
    first.take_folder()
    listener = first.listen(launcher.FIRST_PORT + 700)
    try:
        with pytest.raises(launcher.AlreadyRunning) as refused:
            launcher.Launcher(print).take_folder()
        assert (refused.value.url, refused.value.pid) == (first.url, os.getpid())
    finally:
        listener.close()
        first._lock.close()


def test_the_next_free_port_is_taken_and_said(data_folder: Path) -> None:
    data_folder.mkdir(exist_ok=True)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one = launcher.Launcher(said.append)
        with one.listen(port) as listener:
            assert listener.getsockname()[0] == "127.0.0.1"
            assert listener.getsockname()[1] > port
    assert said == [f"Port {port} is in use; taking {one.url.rpartition(':')[2]}."]


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LOG_LIMIT", 100)
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 200)
        launcher._rotate(log)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "web.log.1").read_bytes() == b"x" * 200


def test_catalogues_are_compiled_when_older(tmp_path: Path, settings: Any) -> None:
    settings.LOCALE_PATHS = [tmp_path]
    source = tmp_path / "zh_Hans/LC_MESSAGES/django.po"
    source.parent.mkdir(parents=True)
    source.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        'msgid "queued"\nmsgstr "排队中"\n'
    )
    assert setup.compile_translations() == 1
    assert setup.compile_translations() == 0
    with source.with_suffix(".mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("queued") == "排队中"


@pytest.mark.django_db
def test_the_first_people_are_made_once() -> None:
    user = setup.first_people()
    assert user is not None
    assert user.is_superuser
    assert user.current_team is not None
    assert setup.first_people() is None
    assert setup.administrator() == user
    link = setup.sign_in_link(user, "http://127.0.0.1:8000", "/runs/1")
    assert link.startswith("http://127.0.0.1:8000/account/sign-in/link?token=")
    assert link.endswith("&next=/runs/1")


def test_a_path_too_long_for_a_socket_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(broker.BrokerError, match="GRAFT_DATA_DIR"):
        broker.write_config(tmp_path / ("x" * 100))


def test_gpus_are_held_all_or_none(data_folder: Path) -> None:
    with devices.taking([0, 1, 2], 2) as first:
        assert first == [0, 1]
        with devices.taking([0, 1, 2], 2) as second:
            assert second is None
            with devices.taking([0, 1, 2], 1) as third:
                assert third == [2], "the one that is free was let go of again"
    with devices.taking([1, 0], 2) as later:
        assert later == [1, 0]


def test_a_host_without_the_driver_has_no_gpus() -> None:
    assert isinstance(devices.gpus(), list)


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = identity(os.getpid())
    assert me is not None
    assert Identity.parse(str(me)) == me
    assert me.is_here()
    assert me.is_alive()
    assert not Identity(me.place, me.pid, me.started + 1).is_alive()
    assert Identity.parse("celery@host") is None


def test_people_read_the_name_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-box-2")
    place.cache_clear()
    try:
        assert host_of(place()) == "gpu-box-2"
    finally:
        place.cache_clear()
