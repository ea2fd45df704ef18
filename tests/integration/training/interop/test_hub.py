"""Downloads from the Hub, against the stand-in."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import snapshot_download

from tests.parity.fixtures import REFERENCE
from tests.parity.hub_standin import COMMIT, HubStandin
from training.command_specs import ImportSpec
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.interop import hub as hub_module
from training.interop import importing
from training.weights.checkpoint import read_checkpoint

TINY = "owner/tiny"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PAUSE_S", 0.01)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as it lies on the Hub: files of other frameworks and code beside what we take."""
    folder = tmp_path / "tiny"
    shutil.copytree(REFERENCE / "theirs" / "default", folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02never asked for")
    (folder / "modeling_tiny.py").write_text("raise SystemExit")
    (folder / "README.md").write_text("# tiny")
    return folder


@pytest.fixture
def hub(folder: Path) -> Iterator[HubStandin]:
    with HubStandin({TINY: folder, "alone": folder}) as running:
        yield running


def run_import(hub: HubStandin, out: Path, **values: Any) -> list[dict[str, Any]]:
    out.mkdir(exist_ok=True)
    spec = ImportSpec.model_validate(
        {"kind": "hub", "repository": TINY, "endpoint": hub.url} | values
    )
    log = EventLog(out / "events.jsonl")
    try:
        importing.run(spec, out, log)
    finally:
        log.close()
    return read_events(out / "events.jsonl")[0]


def refused(hub: HubStandin, out: Path, **values: Any) -> TrainingError:
    with pytest.raises(TrainingError) as refusal:
        run_import(hub, out, **values)
    assert not (out / "checkpoint").exists()
    return refusal.value


def test_the_library_itself_takes_the_stand_in_for_the_hub(
    hub: HubStandin, folder: Path, tmp_path: Path
) -> None:
    local = tmp_path / "snapshot"
    snapshot_download(
        TINY, endpoint=hub.url, local_dir=local, cache_dir=tmp_path / "c", token=False
    )
    for path in folder.iterdir():
        assert (local / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", [TINY, "alone"])
def test_it_imports_real_weights_and_asks_for_nothing_else(
    hub: HubStandin, tmp_path: Path, name: str
) -> None:
    events = run_import(hub, tmp_path / "out", repository=name)

    checkpoint = read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert checkpoint.config.n_layer == 2
    assert checkpoint.card["origin"] == {
        "kind": "hub",
        "endpoint": hub.url,
        "repository": name,
        "revision": "main",
        "commit": COMMIT,
        "licence": "mit",
    }
    asked = {r.path.rsplit("/", 1)[1] for r in hub.requests if "/api/" not in r.path}
    assert asked == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert not (tmp_path / "out" / "download").exists()
    last = [event for event in events if event.get("name") == "downloading"][-1]
    assert last["fraction"] == 1
    assert last["bytes"] == last["total_bytes"] > 90_000
    assert last["bytes_per_s"] > 0


def test_a_licence_that_is_no_text_is_kept_as_one(hub: HubStandin, tmp_path: Path) -> None:
    hub.licence = "mit\ud800"
    run_import(hub, tmp_path / "out")
    card = read_checkpoint(tmp_path / "out" / "checkpoint").card
    assert card["origin"]["licence"] == "mit\ufffd"


def test_no_token_is_sent(hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    run_import(hub, tmp_path / "out")
    assert {request.authorization for request in hub.requests} == {None}


def test_the_environment_names_the_hub(
    hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    run_import(hub, tmp_path / "out", endpoint="")
    assert hub.requests


def test_a_cut_connection_goes_on_within_the_run(hub: HubStandin, tmp_path: Path) -> None:
    hub.cuts = [100, 200, 5_000, 30_000]
    run_import(hub, tmp_path / "out")
    assert read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    assert any(request.range for request in hub.requests)


def test_a_rerun_goes_on_where_the_last_one_stopped(hub: HubStandin, tmp_path: Path) -> None:
    # The first three answers are whole; of the weights 50,000 bytes come, then nothing more.
    hub.cuts = [10**9, 10**9, 50_000, *[0] * 20]
    error = refused(hub, tmp_path / "out")
    assert error.code == "download_cut"
    assert error.params["file"] == "model.safetensors"
    part = tmp_path / "out" / "download" / "model.safetensors.part"
    assert part.stat().st_size == 50_000

    hub.cuts.clear()
    hub.requests.clear()
    events = run_import(hub, tmp_path / "out")

    assert [request.range for request in hub.asked("model.safetensors")] == ["bytes=50000-"]
    assert not hub.asked("config.json")
    assert read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)
    first = next(e for e in events if e.get("bytes") is not None and e["bytes"] >= 50_000)
    assert first["fraction"] > 0.4


def test_a_killed_download_goes_on(hub: HubStandin, folder: Path, tmp_path: Path) -> None:
    spec = ImportSpec(kind="hub", repository=TINY, endpoint=hub.url)
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "training", "import", str(tmp_path / "spec.json"), "--out"]
    environment = os.environ | {"GRAFT_FAULT": "download.chunk:3", "PYTHONPATH": os.getcwd()}
    killed = subprocess.run(
        [*command, str(tmp_path / "out")], env=environment, capture_output=True, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL
    del environment["GRAFT_FAULT"]
    hub.requests.clear()

    done = subprocess.run(
        [*command, str(tmp_path / "out")], env=environment, capture_output=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert not hub.asked("config.json")
    assert read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)


def test_another_commit_is_not_mixed_with_what_is_there(
    hub: HubStandin, folder: Path, tmp_path: Path
) -> None:
    download = tmp_path / "out" / "download"
    download.mkdir(parents=True)
    (download / "download.json").write_text(json.dumps({"commit": "f" * 40}))
    (download / "model.safetensors.part").write_bytes(b"of another commit")
    run_import(hub, tmp_path / "out")
    assert hub.asked("model.safetensors")[0].range is None


def test_a_server_without_ranges_sends_all_again(hub: HubStandin, tmp_path: Path) -> None:
    hub.ranges = False
    hub.cuts = [100, 10**9, 10**9, 10**9, 50_000]
    run_import(hub, tmp_path / "out")
    assert read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)


def test_a_server_that_stumbles_is_asked_again(hub: HubStandin, tmp_path: Path) -> None:
    hub.stumbles = 3
    run_import(hub, tmp_path / "out")
    assert read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_changed_on_the_way_is_thrown_away(
    hub: HubStandin, tmp_path: Path, name: str
) -> None:
    hub.damage = {name}
    error = refused(hub, tmp_path / "out")
    assert (error.code, error.params) == ("download_damaged", {"file": name})
    assert not (tmp_path / "out" / "download" / name).exists()
    assert not (tmp_path / "out" / "download" / f"{name}.part").exists()


def test_a_name_that_does_not_exist(hub: HubStandin, tmp_path: Path) -> None:
    error = refused(hub, tmp_path / "out", repository="owner/nothing")
    assert (error.code, error.field) == ("hub_not_found", "repository")
    assert "owner/nothing" in str(error)


@pytest.mark.parametrize("name", ["", "../etc", "a/b/c", "https://x/y", "name with spaces", "a--b"])
def test_a_name_that_cannot_be_one(hub: HubStandin, tmp_path: Path, name: str) -> None:
    error = refused(hub, tmp_path / "out", repository=name)
    assert (error.code, error.field) == ("hub_name_invalid", "repository")
    assert not hub.requests


def test_a_gated_model(hub: HubStandin, tmp_path: Path) -> None:
    hub.gated.add(TINY)
    assert refused(hub, tmp_path / "out").code == "hub_gated"


def test_a_revision_that_does_not_exist(hub: HubStandin, tmp_path: Path) -> None:
    error = refused(hub, tmp_path / "out", revision="v9")
    assert (error.code, error.field) == ("hub_revision_not_found", "revision")


def test_a_revision_by_its_tag(hub: HubStandin, tmp_path: Path) -> None:
    run_import(hub, tmp_path / "out", revision="v1")
    assert read_checkpoint(tmp_path / "out" / "checkpoint").card["origin"]["revision"] == "v1"


def test_no_network(hub: HubStandin, tmp_path: Path) -> None:
    error = refused(hub, tmp_path / "out", endpoint="http://127.0.0.1:9")
    assert (error.code, error.field) == ("hub_unreachable", "endpoint")


@pytest.mark.parametrize("answer", [500, b"<html>sign in</html>", b"{}", b"[]", b'{"id": "x"}'])
def test_something_that_is_no_hub(hub: HubStandin, tmp_path: Path, answer: int | bytes) -> None:
    hub.api_answer = answer
    error = refused(hub, tmp_path / "out")
    assert error.code == ("folder_no_config" if answer == b'{"id": "x"}' else "hub_answer")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_no_access(hub: HubStandin, tmp_path: Path, status: int) -> None:
    hub.api_answer = status
    assert refused(hub, tmp_path / "out").code == "hub_not_found"


def test_downloads_switched_off(
    hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert refused(hub, tmp_path / "out").code == "hub_offline"


def test_a_mirror_that_tells_no_sizes(hub: HubStandin, tmp_path: Path) -> None:
    hub.sizes = False
    run_import(hub, tmp_path / "out")
    assert read_checkpoint(tmp_path / "out" / "checkpoint", verify=True)


def test_a_stopped_download_goes_on(hub: HubStandin, tmp_path: Path) -> None:
    spec = ImportSpec(kind="hub", repository=TINY, endpoint=hub.url)
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    out = tmp_path / "out"
    command = [sys.executable, "-m", "training", "import", str(tmp_path / "spec.json")]
    environment = os.environ | {"GRAFT_FAULT": "download.chunk:3:sleep"}
    running = subprocess.Popen(
        [*command, "--out", str(out), "--quiet"], env=environment, start_new_session=True
    )
    part = out / "download" / "model.safetensors.part"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 20
    received = part.stat().st_size
    assert received > 0
    hub.requests.clear()

    run_import(hub, out)

    assert [request.range for request in hub.asked("model.safetensors")] == [f"bytes={received}-"]


def test_an_address_that_is_none(hub: HubStandin, tmp_path: Path) -> None:
    assert refused(hub, tmp_path / "out", endpoint="file:///etc").code == "hub_endpoint_invalid"


def test_a_model_without_safetensors(hub: HubStandin, folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    error = refused(hub, tmp_path / "out")
    assert error.code == "folder_only_pickles"
    assert error.params["file"] == "pytorch_model.bin"
    assert all("/api/" in request.path for request in hub.requests)


def test_a_model_that_is_not_gpt2(hub: HubStandin, folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}')
    error = refused(hub, tmp_path / "out")
    assert error.code == "config_model_type"
    assert "llama" in str(error)


def test_a_disk_without_room(
    hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(hub_module.shutil, "disk_usage", lambda path: usage)
    assert refused(hub, tmp_path / "out").code == "download_no_space"


def test_a_disk_that_fills_up_meanwhile(
    hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str) -> None:
        if name == "download.chunk":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub_module, "fault_point", full)
    assert refused(hub, tmp_path / "out").code == "download_disk_full"


def test_progress_is_told_now_and_then_and_not_for_every_piece(
    hub: HubStandin, tmp_path: Path
) -> None:
    started = time.monotonic()
    events = run_import(hub, tmp_path / "out")
    told = [event for event in events if event.get("name") == "downloading"]
    assert len(told) <= 4 + (time.monotonic() - started) / hub_module.REPORT_EVERY_S
