"""The whole portal as one person has it: ``manage.py portal``, Chromium, a Hub on loopback.

One portal serves all browser tests of a session: started as a subprocess on a data folder of its
own, with the real broker, workers and TensorFlow. Tests look at pages, and where a page claims
something about a row or a file, at the database file and the files themselves.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    Playwright,
    ViewportSize,
    expect,
)

from tests.parity.hub_standin import HubStandin
from webapp.jobs.processes import dying_with_parent

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
REFERENCE = ROOT / "tests/parity/reference/theirs/default"
#: What ``save_pretrained`` writes; the other files beside it belong to the parity tests.
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
HUB_MODEL = "testers/tiny-gpt2"
#: Waits are bounded, and generous: continuous integration shares its processors.
PAGE_S, JOB_S = 60, 480
START_S = 300
SCREENS: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 860},
    "phone": {"width": 390, "height": 844},
}
DESK, PHONE = SCREENS["desktop"], SCREENS["phone"]

expect.set_options(timeout=PAGE_S * 1000)

ENDED = ("succeeded", "failed", "cancelled", "paused")

#: What the console may say. Answers such as 404 and 422 are the browser's to report, and what tests
#: ask for. htmx complains of a request that is cut off because the page is left, or because what is
#: typed next replaces it; a fault that it meets has a line of another name.
NO_FAULTS = ("Failed to load resource", "htmx:sendAbort", "htmx:afterRequest")


@dataclass
class Portal:
    """A running portal.

    Attributes:
        folder: Its data folder.
        url: Its address.
        link: The sign-in link that it printed; good once.
        hub: The stand-in it downloads models from.
        kept: What one step of the story leaves to the next: addresses and ids by name.
        broken: Of each story the step that failed first, after which the rest cannot be told.
    """

    folder: Path
    hub: HubStandin
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    link: str = ""
    kept: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    #: Cookies of those who are signed in, by name.
    sessions: dict[str, Any] = field(default_factory=dict)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it, and wait until it prints its link.

        Raises:
            AssertionError: It did not come up; with what it said.
        """
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("GRAFT_", "REDIS_", "DATABASE_", "STORAGE_", "DJANGO_"))
            and not key.lower().endswith("_proxy")
        }
        self.environment |= {
            "GRAFT_DATA_DIR": str(self.folder / "data"),
            "HF_ENDPOINT": self.hub.url,
            "PYTHONUNBUFFERED": "1",
        }
        with (self.folder / "portal.log").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "portal", "--no-samples", "--port", _free_port()],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_parent(),
            )

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"The portal ended.\n{self.tail()}"
            return "Ctrl-C stops everything" in self.said()

        until(ready, START_S, lambda: f"the portal\n{self.tail()}")
        self.url = re.findall(r"Ready at (\S+)", self.said())[0]
        self.link = re.findall(r"\S+token=\S+", self.said())[0]

    def stop(self) -> None:
        """As Ctrl-C does; nobody is left behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        return (self.folder / "portal.log").read_text(errors="replace")

    def manage(self, code: str) -> str:
        """Run a few lines as ``manage.py shell`` does, on this portal's data; what they print."""
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tail(self, lines: int = 25) -> str:
        """The end of every log."""
        logs = [self.folder / "portal.log", *sorted((self.folder / "data/logs").glob("*.log"))]
        parts = []
        for path in logs:
            if path.is_file() and (text := path.read_text(errors="replace").strip()):
                parts.append(f"--- {path.name}\n" + "\n".join(text.splitlines()[-lines:]))
        return "\n".join(parts)

    # --- what is really there ---------------------------------------------------------------------

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the portal's database."""
        connection = sqlite3.connect(self.folder / "data/graft.sqlite3", timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def run_job(self, run_id: str) -> dict[str, Any]:
        """The job of a run, its JSON read."""
        (row,) = self.rows(
            "SELECT jobs_job.* FROM jobs_job JOIN runs_run ON runs_run.job_id = jobs_job.id "
            "WHERE runs_run.id = ?",
            run_id.replace("-", ""),
        )
        for name in ("spec", "report"):
            row[name] = json.loads(row[name] or "{}")
        return row


def start_portal() -> Portal:
    """A portal and its Hub; :func:`stop_portal` ends both."""
    # Short: the broker's socket lies in it, and a unix socket's path holds 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="graft-story-"))
    model = folder / "tiny-gpt2"
    model.mkdir()
    for name in MODEL_FILES:
        shutil.copy(REFERENCE / name, model / name)
    portal = Portal(folder, HubStandin({HUB_MODEL: model}).__enter__())
    try:
        portal.start()
    except BaseException:
        stop_portal(portal)
        raise
    return portal


def stop_portal(portal: Portal) -> None:
    portal.stop()
    portal.hub.__exit__(None, None, None)


class CuttingProxy:
    """Stands before the portal, and once breaks the connection in the middle of a request.

    Args:
        url: The portal's address.
        after: Bytes of a ``PATCH`` request after which it breaks.
    """

    def __init__(self, url: str, after: int) -> None:
        self.target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self.after, self.cuts = after, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self._open: list[socket.socket] = []

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            _shut(one)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self._open += [client, server]
            for source, sink, counted in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink, counted))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        passed = None
        try:
            while data := source.recv(1 << 16):
                if counted and data.startswith(b"PATCH "):
                    passed = 0
                if passed is not None and not self.cuts:
                    data = data[: self.after - passed]
                    passed += len(data)
                sink.sendall(data)
                if passed is not None and passed >= self.after and not self.cuts:
                    # Not before the portal has begun to read: Chromium itself sends a request
                    # again whose connection broke at once, and then all of it would come twice.
                    time.sleep(1)
                    self.cuts += 1
                    break
        except OSError:
            pass
        _shut(source)
        _shut(sink)


def _shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    one.close()


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


# --- the browser ----------------------------------------------------------------------------------


def chromium_path() -> str | None:
    """Chromium as the system has it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


def launch(playwright: Playwright) -> Browser:
    # Chromium refuses its sandbox to root, which containers run as.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=chromium_path(), args=arguments)


class People:
    """Browser contexts: one a person, opened when first asked for; all complaints are kept."""

    def __init__(self, portal: Portal, browser: Browser) -> None:
        self.portal, self.browser = portal, browser
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def context(self, person: str | None = None, **options: Any) -> BrowserContext:
        """A browser of its own, signed in as a person; None: as nobody."""
        state = self.portal.sessions.get(person) if person else None
        context = self.browser.new_context(
            base_url=options.pop("base_url", self.portal.url),
            storage_state=state,
            viewport=options.pop("viewport", {"width": 1280, "height": 900}),
            locale=options.pop("locale", "en-GB"),
            accept_downloads=True,
            **options,
        )
        context.set_default_timeout(PAGE_S * 1000)
        context.on("page", self._listen)
        self.contexts.append(context)
        return context

    def page(self, person: str | None = "admin", **options: Any) -> Page:
        if person == "admin" and "admin" not in self.portal.sessions:
            self.sign_in()
        return self.context(person, **options).new_page()

    def sign_in(self) -> Page:
        """Through the link that the portal printed."""
        page = self.context().new_page()
        page.goto(self.portal.link)
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        self.remember("admin", page)
        return page

    def remember(self, person: str, page: Page) -> None:
        self.portal.sessions[person] = page.context.storage_state()

    def forgive(self, text: str) -> None:
        """Drop complaints that hold a text: of what a test itself has broken."""
        self.complaints[:] = [said for said in self.complaints if text not in said]

    def pages(self) -> list[Page]:
        return [page for context in self.contexts for page in context.pages if not page.is_closed()]

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type == "error" and not message.text.startswith(NO_FAULTS):
            self.complaints.append(f"{message.location.get('url', '')}: {message.text}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()


# --- waiting --------------------------------------------------------------------------------------


def until(
    condition: Callable[[], Any],
    timeout_s: float,
    what: str | Callable[[], str],
    each_s: float = 0.1,
) -> Any:
    """What a condition returns once it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"Not within {timeout_s} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(each_s)
    return found


def state_of(place: Locator) -> str:
    """The state that a badge within says; empty while there is none."""
    badge = place.locator(".state").first
    try:
        names = (badge.get_attribute("class", timeout=2000) or "").split()
    except Exception:  # noqa: BLE001 - replaced just now by polling: look again
        return ""
    return next((name[6:] for name in names if name.startswith("state-")), "")


def wait_state(page: Page, place: str, *wanted: str, timeout_s: float = JOB_S) -> None:
    """Wait, without reloading, until a page says one of these states; another end is a failure."""

    def there() -> bool:
        page.wait_for_timeout(100)  # lets the page's own events be heard
        state = state_of(page.locator(place))
        assert state in wanted or state not in ENDED, (
            f"{page.url} is {state}, not {' or '.join(wanted)}:\n{page.locator(place).inner_text()}"
        )
        return state in wanted

    until(
        there,
        timeout_s,
        lambda: f"{wanted} at {page.url}, which says {state_of(page.locator(place))}",
    )


def section(page: Page, title: str) -> Locator:
    """A part of a page by its heading."""
    return page.locator("section").filter(has=page.get_by_role("heading", name=title, exact=True))


def overflows(page: Page) -> list[str]:
    """Says where a page stays wider than its window: charts are drawn anew a moment after it."""
    deadline = time.monotonic() + PAGE_S / 4
    while not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        if time.monotonic() > deadline:
            return [f"{page.url} is wider than {page.viewport_size}"]
        page.wait_for_timeout(100)
    return []


def violations(page: Page) -> list[str]:
    """What axe finds serious or critical on a page, and where."""
    page.evaluate((Path(__file__).parent / "vendor/axe.min.js").read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {one['id']} ({one['help']}): "
        + "; ".join(node["html"][:160] for node in one["nodes"][:3])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


# --- what people do -------------------------------------------------------------------------------

CHECKPOINT = re.compile(r"/checkpoints/[0-9a-f-]{36}$")
HEAD = re.compile(r"/heads/[0-9a-f-]{36}$")
RUN = re.compile(r"/runs/[0-9a-f-]{36}$")
PREDICTION = re.compile(r"/predictions/[0-9a-f-]{36}$")
VERSION = re.compile(r"/data/(versions/)?[0-9a-f-]{36}$")


def dropped_model(page: Page, portal: Portal) -> str:
    """The address of an imported model: its files dropped one by one, once a session."""
    if known := portal.kept.get("dropped"):
        return str(known)
    page.goto("/checkpoints/import?tab=folder")
    files = [(name, (REFERENCE / name).read_bytes()) for name in MODEL_FILES]
    drop(page, "[data-drop]", files)
    expect(page.locator(".upload-file")).to_have_count(len(MODEL_FILES))
    page.get_by_label("Name", exact=True).fill("Dropped")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Dropped")
    portal.kept["dropped"] = page.url
    return page.url


def drop(page: Page, target: str, files: Sequence[tuple[str, bytes]]) -> None:
    """Drag files over an element and let them go there."""
    payload = [[name, base64.b64encode(data).decode()] for name, data in files]
    transfer = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            return transfer;
        }""",
        payload,
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event(target, kind, {"dataTransfer": transfer})


def choose(page: Page, name: str, data: bytes) -> None:
    """Choose a file on the upload page."""
    page.locator("input[type=file][name=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def upload(page: Page, name: str, data: bytes, title: str, **settings: str) -> None:
    """Upload a data set with a chosen file; ends on its version's page."""
    page.goto("/data/new")
    choose(page, name, data)
    page.get_by_label("Name", exact=True).fill(title)
    if settings:
        page.locator("details.more > summary").click()
    for field_name, value in settings.items():
        page.locator(f"[name={field_name}]").fill(value)
    page.get_by_role("button", name="Check and count it").click()
    page.wait_for_url(re.compile(r"/data/(versions/)?[0-9a-f-]{36}$"))


def fill_run(page: Page, **settings: Any) -> None:
    """Fill fields of the new run's form by the path of their setting, ``__`` for dots."""
    page.evaluate(
        "document.querySelectorAll('details.advanced').forEach(one => { one.open = true })"
    )
    for path, value in settings.items():
        place = page.locator(f'[name="{path.replace("__", ".")}"]')
        kind = place.first.evaluate("one => one.type || one.tagName")
        if kind == "select-one":
            place.select_option(value)
        elif kind == "radio":
            page.locator(f'[name="{path.replace("__", ".")}"][value="{value}"]').check()
        elif kind == "checkbox":
            place.set_checked(value)
        else:
            place.fill(str(value))


def run_id(page: Page) -> str:
    """The id of the run whose page is open."""
    found = re.search(r"/runs/([0-9a-f-]{36})", page.url)
    assert found, page.url
    return found[1]


def corpus(name: str, start: int, end: int) -> list[str]:
    """Some texts of a sample corpus."""
    with (SAMPLES / name).open(encoding="utf-8") as file:
        lines = file.readlines()[start:end]
    return [json.loads(line)["text"] for line in lines]


def jsonl(texts: Sequence[str], **more: Any) -> bytes:
    lines = [json.dumps({"text": text, **more}, ensure_ascii=False) for text in texts]
    return ("\n".join(lines) + "\n").encode()


#: A model that trains in seconds, as the form's fields.
TINY = {
    "model__n_layer": 2,
    "model__n_embd": 32,
    "model__n_head": 2,
    "model__n_positions": 64,
    "tokenizer__kind": "train",
    "tokenizer__vocabulary_size": 512,
    "training__batch_size": 8,
    "training__sequence_length": 32,
    "training__warmup_steps": 10,
    "training__learning_rate": "0.005",
    "evaluation__every": 20,
    "evaluation__batches": 4,
    "evaluation__checkpoint_every": 20,
    "evaluation__sample_every": 100,
    "evaluation__sample_tokens": 16,
}
