"""The event log: how the engine tells whoever watches what it is doing.

One JSON object a line in ``DIR/events.jsonl``; the file is only ever appended to, each line is
written whole and flushed. A reader keeps a byte offset at a line's end and never sees a half line.
``docs/events.md`` describes each kind; a test holds the page and :data:`KINDS` together.

Every event has ``v`` (format version, 1), ``seq`` (1, 2, 3 … without gaps over the whole file,
resumes included), ``t`` (Unix time, seconds) and ``kind``.
"""

from __future__ import annotations

import base64
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from training import stopping

FORMAT_VERSION = 1

#: kind → its fields, in one line each. The reader must ignore fields and kinds it does not know.
KINDS: dict[str, str] = {
    "started": "pid, host, code_version, command; for runs also devices, precision, parameters "
    "{total, trainable}, total_steps, counts (tokens or examples: what progress's tokens are)",
    "resumed": "step: every metric and sample with a larger step is void and will come again",
    "phase": "name (loading, tokenizing, building, copying, evaluating, training, saving, "
    "downloading, reading, checking, splitting, verifying …), fraction 0..1 or null, detail; while "
    "downloading also bytes, total_bytes, bytes_per_s",
    "progress": "step, total_steps, epoch, tokens, steps_per_s, tokens_per_s, eta_s (seconds left)",
    "metric": "step, values {name: number or null}",
    "sample": "step, prompt, text; of pictures also image (base64), type (image/png or image/jpeg) "
    "and set: samples while it trains; made, real, between, nearest, reconstructions for the "
    "report; sounds: how many of its images can be heard, from the first, and "
    "columns: how many stand in a line",
    "sound": "step, place (which image of the row before it, from 0), sound (base64, a WAV file)",
    "weights": "copied, initialised, left_behind, parameters_copied, parameters_total, verified",
    "resources": "cpu_percent (of one core), rss_bytes, gpus [{index, memory_bytes, percent}]",
    "checkpoint": "step, path relative to DIR: a complete training state was saved",
    "log": "level (info, warning, error), text",
    "stopped": "step: stopped on request, state saved",
    "error": "code, params, field or null, message (English)",
    "finished": "report and result: paths relative to DIR",
}


def _finite(value: Any) -> Any:
    """JSON has no NaN: non-finite numbers become null, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


class EventLog:
    """Appends events to ``events.jsonl``; continues a file that a killed process left behind.

    Threads may share one.

    Args:
        path: The file. A torn last line (no newline, from a kill in mid-write) is cut off first.
        echo: A stream that also gets each line, for people at a terminal.
    """

    def __init__(self, path: Path, echo: IO[str] | None = None) -> None:
        self._seq = _repair(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._echo = echo
        # Reentrant: a signal handler may interrupt an emit and unwind through it.
        self._lock = threading.RLock()

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event of a kind in :data:`KINDS`."""
        if kind not in KINDS:
            raise KeyError(kind)
        # Shielded: stopped between counting and writing, the log would have a gap.
        with self._lock, stopping.shielded():
            event: dict[str, Any] = {"v": FORMAT_VERSION, "seq": self._seq + 1}
            event |= {"t": round(time.time(), 3), "kind": kind, **_finite(fields)}
            line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
            # Strangers' names can hold half a surrogate pair, which UTF-8 cannot: "?" then.
            data = line.encode("utf-8", "replace")
            self._append(data)
            self._seq += 1
            if self._echo is not None:
                self._echo.write(data.decode())
                self._echo.flush()

    def _append(self, data: bytes) -> None:
        start = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # Half a line on a full disk: the next event must not be glued to it.
            os.ftruncate(self._fd, start)
            raise

    def close(self) -> None:
        os.close(self._fd)


def tell_sample(events: EventLog, step: int, sample: Mapping[str, Any]) -> None:
    """A sample; what can be heard of it follows, each an event of its own.

    Whoever lists samples then reads no sound.

    Args:
        events: Where to.
        step: Of the run.
        sample: The event's fields; ``sounds``, if there are any, as bytes of WAV files.
    """
    fields = dict(sample)
    sounds = fields.pop("sounds", None) or ()
    if sounds:
        fields["sounds"] = len(sounds)
    events.emit("sample", step=step, **fields)
    for place, one in enumerate(sounds):
        events.emit("sound", step=step, place=place, sound=base64.b64encode(one).decode())


def _repair(path: Path) -> int:
    """Cut a torn last line off and return the last event's ``seq`` (0 for a new file)."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        window = min(size, 1 << 20)
        file.seek(size - window)
        tail = file.read(window)
        end = tail.rfind(b"\n") + 1
        file.truncate(size - window + end)
        lines = tail[:end].splitlines()
    return int(json.loads(lines[-1])["seq"]) if lines else 0


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Read the complete lines after a byte offset.

    Returns:
        The events and the offset of the first byte not yet consumed.
    """
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    return [json.loads(line) for line in data[:end].splitlines()], offset + end
