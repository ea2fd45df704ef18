"""A stand-in for ``python -m training`` that obeys the same protocol in milliseconds.

Its curve is a chain of hashes: every value depends on all before it, so that a step left out, done
twice or resumed from the wrong place changes everything after it.

Its spec: ``steps``, ``step_s``, ``every`` (steps between two saved states), ``seed``, and what is
to go wrong: ``crash_at`` (exit code 3 at that step), ``refuse`` (an error's code), ``silent`` (exit
0 without a word), ``mute`` (exit code 2 without a word), ``deaf`` (SIGTERM is
ignored). ``hold_at``: at that step a process that began at step 0 waits until it is asked to stop,
or killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from training.durable import write_json
from training.errors import EXIT_REFUSED, EXIT_STOPPED
from training.events import EventLog

asked = False


def ask(*_: Any) -> None:
    global asked
    asked = True


def value_at(state: str) -> float:
    return int(state[:8], 16) / 2**32


def next_state(state: str, step: int) -> str:
    return hashlib.sha256(f"{state}{step}".encode()).hexdigest()


def expected_curve(seed: int, steps: int) -> dict[str, dict[str, float]]:
    """What an undisturbed run stores."""
    state, curve = str(seed), {}
    for step in range(1, steps + 1):
        state = next_state(state, step)
        curve[str(step)] = {"loss": value_at(state)}
    return curve


def main(spec: dict[str, Any], out: Path) -> int:
    lock = (out / "lock").open("a")
    log = EventLog(out / "events.jsonl")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.emit("error", code="busy", params={}, field=None, message="busy")
        return EXIT_REFUSED
    steps, every = int(spec.get("steps", 60)), int(spec.get("every", 10))
    log.emit("started", pid=os.getpid(), host="here", total_steps=steps, command="run")
    if spec.get("silent"):
        return 0
    if spec.get("mute"):
        return EXIT_REFUSED
    if code := spec.get("refuse"):
        params = {"what": "a checkpoint"}
        log.emit("error", code=code, params=params, field="training.steps", message="refused")
        return EXIT_REFUSED
    step, state = 0, str(spec.get("seed", 0))
    saved = out / "state.json"
    if saved.exists():
        kept = json.loads(saved.read_text())
        step, state = kept["step"], kept["state"]
        log.emit("resumed", step=step)
    began = step
    log.emit("phase", name="training", fraction=None, detail="")
    while step < steps:
        while step == spec.get("hold_at") and not (began or asked):
            time.sleep(0.01)
        if asked and not spec.get("deaf"):
            write_json(saved, {"step": step, "state": state})
            log.emit("checkpoint", step=step, path="state.json")
            log.emit("stopped", step=step)
            return EXIT_STOPPED
        step += 1
        state = next_state(state, step)
        time.sleep(float(spec.get("step_s", 0.0)))
        if step == spec.get("crash_at"):
            print("something terrible happened", file=sys.stderr, flush=True)  # noqa: T201
            return 3
        log.emit("metric", step=step, values={"loss": value_at(state)})
        log.emit("progress", step=step, total_steps=steps, epoch=0, tokens=step, eta_s=0)
        if step % every == 0:
            log.emit("sample", step=step, prompt="", text=state[:8])
            write_json(saved, {"step": step, "state": state})
            log.emit("checkpoint", step=step, path="state.json")
    write_json(out / "report.json", {"final": state})
    log.emit("finished", report="report.json", result="report.json")
    return 0


def serve() -> int:
    """The warm child: writes the prompt's words back, one token each."""
    pending: list[dict[str, Any]] = []
    os.set_blocking(sys.stdin.fileno(), False)
    buffer = b""

    def reply(**fields: Any) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()

    def receive() -> None:
        nonlocal buffer
        try:
            data = os.read(sys.stdin.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            sys.exit(0)
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        pending.extend(json.loads(line) for line in lines)

    while True:
        receive()
        if not pending:
            time.sleep(0.01)
            continue
        request = pending.pop(0)
        if request["op"] != "generate":
            continue
        if request["prompt"] == "die":
            os._exit(9)
        if request["prompt"] == "refuse":
            reply(id=request["id"], kind="error", code="busy", params={}, message="busy")
            continue
        words = request["prompt"].split()
        reason, count = "length", 0
        for word in words:
            receive()
            if any(one["op"] == "cancel" and one["id"] == request["id"] for one in pending):
                reason = "cancelled"
                break
            time.sleep(float(request.get("token_s", 0)))
            reply(id=request["id"], kind="token", text=word + " ")
            count += 1
        reply(id=request["id"], kind="done", tokens=count, seconds=0.1, reason=reason)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        sys.exit(serve())
    signal.signal(signal.SIGTERM, ask)
    _, spec_path, _, out_path = sys.argv[1:5]
    sys.exit(main(json.loads(Path(spec_path).read_text()), Path(out_path)))
