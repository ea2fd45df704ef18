"""``python -m training run``: one run, from its spec to its report and checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training import stopping
from training.durable import sweep, write_json
from training.engine import state
from training.engine.devices import configure, default_threads, environment
from training.engine.precision import choose
from training.engine.resources import Watch, require_memory
from training.events import EventLog, read_events
from training.faults import fault_point
from training.methods.contract import Task
from training.methods.registry import LOOP_METHODS, WORK_METHODS
from training.report import write_report
from training.settings import spec_sha256
from training.version import code_version

#: Where checkpoints of the ends of cycles are, by number from 1.
SNAPSHOTS = "snapshots"
#: What a report keeps of a sample; all but the text say which it is.
SAMPLE = ("label", "place", "prompt", "text")
#: Most points of a curve in the report.
CURVE_POINTS = 2000


def run(spec: Any, out: Path, events: EventLog) -> dict[str, Any]:
    """Train, or go on training, and write ``report.json`` and ``checkpoint/``.

    Args:
        spec: The frozen spec of a method; resuming needs the very same.
        out: The working directory; this process holds its lock.
        events: Its event log.

    Returns:
        Fields of the ``finished`` event.

    Raises:
        TrainingError: A refusal.
        stopping.Stopped: On request.
    """
    if spec.method in WORK_METHODS:
        with Watch(events):
            return WORK_METHODS[spec.method].work(spec, out, events)
    digest = spec_sha256(spec)
    root = out / "state"
    for folder in (out, root, out / SNAPSHOTS):
        sweep(folder)
    with Watch(events):
        saved = state.newest(
            root, digest, lambda text: events.emit("log", level="warning", text=text)
        )
        if saved is not None:
            events.emit("resumed", step=saved.position.step)
        elif _trained_before(out):
            # Killed before the first state: nothing was kept, so even step 0 comes again.
            events.emit("resumed", step=-1)
        events.emit("phase", name="loading", fraction=None, detail="")
        loaded = LOOP_METHODS[spec.method].load(spec, out, events)

        # The slow import comes once the data is known to be good.
        events.emit("phase", name="loading", fraction=None, detail="TensorFlow")
        threads = saved.position.threads if saved else default_threads()
        devices = configure(spec.devices, threads)
        if devices.kind == "cpu":
            require_memory(loaded.needed_memory())
        precision = choose(spec.training.precision, kind=devices.kind, width=loaded.width)
        task = loaded.build(
            compute_dtype=precision,
            fused=len(devices.names) == 1,
            strategy=devices.strategy,
            events=events,
        )
        events.emit(
            "started",
            pid=os.getpid(),
            host=os.uname().nodename,
            code_version=code_version(),
            command="run",
            devices=devices.names,
            precision=precision,
            parameters=task.parameters,
            counts=task.counts,
            total_steps=spec.training.steps,
        )
        if task.weights_event is not None:
            events.emit("weights", **task.weights_event)

        position = (
            saved.position
            if saved
            else state.Position(
                step=0,
                tokens=0,
                seed=spec.seed,
                spec_sha256=digest,
                elapsed_s=0.0,
                threads=devices.threads,
            )
        )
        from training.engine.loop import Loop

        keep = partial(_keep_snapshot, spec, task, digest, out, events)
        loop = Loop(spec, task, devices.strategy, position, events, root, keep)
        if saved is not None:
            loop.restore(saved)
        try:
            loop.run()
            return _finish(spec, task, loop, devices, precision, out, events)
        except stopping.Stopped as stopped:
            raise stopping.Stopped(max(loop.saved_step, 0)) from stopped


def _trained_before(out: Path) -> bool:
    events, _offset = read_events(out / "events.jsonl")
    return any(event["kind"] in ("metric", "sample") for event in events)


def _keep_snapshot(
    spec: Any,
    task: Task,
    digest: str,
    out: Path,
    events: EventLog,
    step: int,
    weights: Mapping[str, np.ndarray],
    scores: Mapping[str, float],
) -> None:
    """Write ``snapshots/NUMBER/``: what the network is at the end of a cycle.

    It is there before the state of its step is, so that a run which goes on from that state has it;
    one that goes on from an earlier state writes the same once more.
    """
    ends = spec.training.cycle_ends
    number = ends.index(step) + 1
    told = {f"validation_{name}": scores[name] for name in task.told if name in scores}
    place = {"number": number, "of": len(ends), "step": step}
    about = {
        "made_by": _made_by(spec, digest),
        "scores": told,
        "steps": step,
        "snapshot": place,
    }
    card = task.write(out / SNAPSHOTS / str(number), weights, about)
    events.emit("log", level="info", text=f"snapshot {number} of {len(ends)} at step {step}")
    write_json(
        out / SNAPSHOTS / f"{number}.json",
        {**place, **told, "weights_sha256": card["weights_sha256"]},
    )


def _snapshots(out: Path, count: int) -> list[dict[str, Any]]:
    """What was kept at the ends of the cycles, for the report."""
    return [
        json.loads((out / SNAPSHOTS / f"{number}.json").read_bytes())
        for number in range(1, count + 1)
    ]


def _made_by(spec: Any, digest: str) -> dict[str, Any]:
    return {
        "command": "run",
        "code_version": code_version(),
        "spec_sha256": digest,
        "seed": spec.seed,
    }


def _finish(
    spec: Any, task: Task, loop: Any, devices: Any, precision: str, out: Path, events: EventLog
) -> dict[str, Any]:
    """With the best weights: scores, samples, checkpoint, report."""
    position = loop.position
    best: Mapping[str, np.ndarray] = loop.best
    for name, variable in loop.kept.items():
        variable.assign(best[name])
    duration = loop.elapsed_s
    with stopping.deferred():
        after = loop.evaluate_for_report()
        # Pictures are events alone: a report is read by lists of runs.
        samples_after = [one for one in task.samples() if "image" not in one]
        more = task.report(events)
    digest = position.spec_sha256
    made_by = _made_by(spec, digest)
    scores = {
        f"{split}_{name}": values[name]
        for split, values in after.items()
        if values
        for name in task.told
        if name in values
    }
    events.emit("phase", name="saving", fraction=None, detail="checkpoint")
    fault_point("finish.checkpoint")
    about = {"made_by": made_by, "scores": scores, "steps": int(position.best["step"])}
    task.write(out / "checkpoint", best, about)
    fault_point("finish.report")
    curves, samples_before = _told(out)
    found = {
        "seed": spec.seed,
        "steps": position.step,
        "tokens": position.tokens,
        "counts": task.counts,
        "parameters": task.parameters,
        "devices": devices.names,
        "precision": precision,
        "before": position.before,
        "after": after,
        "best": position.best,
        "curves": {name: thin(points) for name, points in curves.items()},
        "snapshots": _snapshots(out, len(spec.training.cycle_ends)),
        "samples": {"before": samples_before, "after": samples_after},
        "weights": task.weights_event,
        "environment": environment(devices.threads),
        **more,
    }
    write_report(out, spec.method, spec, duration, found)
    shutil.rmtree(out / "cache", ignore_errors=True)
    return {"report": "report.json", "result": "checkpoint"}


Curve = list[list[float | None]]


def _told(out: Path) -> tuple[dict[str, Curve], list[dict[str, Any]]]:
    """Curves and first samples from the event log, without what a resume made void."""
    curves: dict[str, dict[int, float | None]] = {}
    before: dict[tuple[Any, ...], dict[str, Any]] = {}
    events, _offset = read_events(out / "events.jsonl")
    for event in events:
        if event["kind"] == "resumed":
            for points in curves.values():
                for step in [step for step in points if step > event["step"]]:
                    del points[step]
        elif event["kind"] == "metric":
            for name, value in event["values"].items():
                curves.setdefault(name, {})[event["step"]] = value
        elif event["kind"] == "sample" and event["step"] == 0 and "image" not in event:
            told = {name: event[name] for name in SAMPLE if name in event}
            before[tuple(told.get(name) for name in SAMPLE[:-1])] = told
    found = {name: [[s, v] for s, v in sorted(points.items())] for name, points in curves.items()}
    return found, list(before.values())


def thin(points: Curve, most: int = CURVE_POINTS) -> Curve:
    """At most so many points, spread evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
