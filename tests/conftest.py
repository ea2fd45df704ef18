"""Fixtures that all tests share: an isolated data folder, a real broker, a cast of people."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
from django.test import Client
from django.utils import translation
from xdist.scheduler import LoadScopeScheduling

from tests.factories import Cast, make_cast
from webapp.jobs import broker as broker_module
from webapp.jobs.processes import end_group

BROWSER = "tests/browser/"

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("graft", deadline=None)
hypothesis.settings.load_profile("graft")


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, settings: Any) -> Path:
    """Every test writes below its own folder, and reaches no broker unless it asks for one."""
    # Beside the test's own folder and not in it: some tests say that theirs is empty.
    folder = tmp_path.with_name(f"{tmp_path.name}-data")
    settings.DATA_DIR = folder
    settings.WORK_DIR = folder / "work"
    settings.UPLOAD_DIR = folder / "uploads"
    settings.STORAGE_URL = f"file://{folder / 'files'}"
    settings.STATIC_ROOT = folder / "static"
    settings.STATIC_ROOT.mkdir(parents=True)  # whitenoise warns when it is not there
    settings.REDIS_URL = f"unix://{tmp_path / 'no-broker.sock'}"
    settings.STORAGES = settings.STORAGES | {
        # The manifest of collectstatic does not exist in tests.
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    return folder


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """A request in Chinese leaves its thread speaking Chinese; every test begins in English."""
    with translation.override("en"):
        yield


@pytest.fixture(scope="session")
def broker_server() -> Iterator[str]:
    """One real valkey-server for the session, on a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="graft-broker-"))
    process = broker_module.start(folder)
    url = f"unix://{folder / broker_module.SOCKET_NAME}"
    try:
        assert broker_module.wait_ready(url), (folder / "valkey.log").read_text()
        yield url
    finally:
        end_group(process, 5)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def broker(broker_server: str, settings: Any) -> Iterator[redis.Redis]:
    """The real broker, empty; the portal under test uses it."""
    settings.REDIS_URL = broker_server
    client = redis.Redis.from_url(broker_server)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def cast(db: None) -> Cast:
    """Alice and Bob of one team, Vera who may only look, Mallory of another team."""
    return make_cast()


@pytest.fixture
def alice(client: Client, cast: Cast) -> Client:
    """Alice's browser, without a script."""
    client.force_login(cast.alice)
    return client


class ByFile(LoadScopeScheduling):
    """Hands a file's tests out together, and all that share the browser's portal."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return BROWSER if file.startswith(BROWSER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """How ``make test`` shares the tests among processes."""
    return ByFile(config, log)
