"""The command line: the whole interface between the portal and the engine.

    python -m training methods                            every method: JSON
    python -m training spec METHOD                        a complete spec with defaults, to edit
    python -m training run|prepare|import|transfer|merge|evaluate|export|push SPEC --out DIR
    python -m training probe|statistics|draw|predict SPEC --out DIR
    python -m training generate SPEC                      text to the terminal
    python -m training serve                              requests as JSON lines on standard input
    python -m training inspect CHECKPOINT                 layers, shapes, sizes: JSON
    python -m training diff A B [--text]                  what two checkpoints differ in: JSON
    python -m training estimate SPEC                      memory and time before starting: JSON

A SPEC is JSON or YAML. ``docs/formats.md`` says what DIR holds and what the exit codes mean. Only
what a command needs is imported.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fcntl
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from training import stopping
from training.command_specs import COMMANDS
from training.durable import full_disk
from training.errors import (
    EXIT_DIFFERENT,
    EXIT_DONE,
    EXIT_REFUSED,
    EXIT_STOPPED,
    MESSAGES,
    TrainingError,
)
from training.events import EventLog, read_events
from training.settings import Settings, problems
from training.version import code_version

EXIT_CRASHED = 1

#: Command → the module whose ``run(spec, out, events)`` does it and returns what ``finished`` says.
WORKERS = {
    "run": "training.engine.run",
    "prepare": "training.data.prepare",
    "import": "training.interop.importing",
    "transfer": "training.weights.transfer",
    "probe": "training.engine.compare",
    "statistics": "training.weights.statistics",
    "merge": "training.weights.merging",
    "evaluate": "training.engine.evaluate",
    "export": "training.interop.exporting",
    "push": "training.interop.pushing",
    "draw": "training.generative.drawing",
    "predict": "training.predicting.command",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    die_with_parent()
    try:
        with stopping.listening():
            return int(options.function(options))
    except stopping.Stopped:
        return EXIT_STOPPED
    except TrainingError as error:
        print(str(error), file=sys.stderr)
        return EXIT_REFUSED
    except BrokenPipeError:
        # Whoever read our output has gone; a second error while Python closes it helps nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Callable[[Any], int], help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help)
        command.set_defaults(function=function, command=name)
        return command

    for name in WORKERS:
        command = add(name, _work, f"{name}: see docs/formats.md")
        command.add_argument("spec", type=Path)
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
        command.add_argument("--quiet", action="store_true", help="no events on standard output")
    add("generate", _generate, "write text with a checkpoint").add_argument("spec", type=Path)
    add("serve", _serve, "answer requests on standard input, checkpoints kept in memory")
    add("inspect", _inspect, "what a checkpoint holds").add_argument("checkpoint", type=Path)
    different = add(
        "diff", _diff, "what two checkpoints differ in; exit code 0: nothing, 3: they do"
    )
    different.add_argument("first", type=Path)
    different.add_argument("second", type=Path)
    different.add_argument("--text", action="store_true", help="a table to read instead of JSON")
    add("estimate", _estimate, "memory and time of a run").add_argument("spec", type=Path)
    add("methods", _methods, "every method")
    add("spec", _spec, "a complete spec to edit").add_argument("method")
    return parser


# --- commands with a working directory -----------------------------------------------------------


def _work(options: argparse.Namespace) -> int:
    """The shell around every command that works in a directory: lock, events, ends."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Not an event: the log belongs to the process that holds the lock.
            print(MESSAGES["busy"], file=sys.stderr)
            return EXIT_REFUSED
        try:
            events = EventLog(out / "events.jsonl", echo=None if options.quiet else sys.stdout)
            try:
                if _finished_before(out):
                    return EXIT_DONE
                return _ended(options, out, events)
            finally:
                events.close()
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            # The event log itself could not be written: the exit code must say it alone.
            print(error, file=sys.stderr)
            return EXIT_REFUSED if error.errno in (errno.ENOSPC, errno.EDQUOT) else EXIT_CRASHED


def _ended(options: argparse.Namespace, out: Path, events: EventLog) -> int:
    """Do the work and tell how it ended."""
    try:
        events.emit(
            "started",
            pid=os.getpid(),
            host=os.uname().nodename,
            code_version=code_version(),
            command=options.command,
        )
        spec = read_spec(options.spec, options.command)
        worker = import_module(WORKERS[options.command])
        result = worker.run(spec, out, events)
        if result is not None:  # prepare says itself that it has finished
            events.emit("finished", **result)
        return EXIT_DONE
    except stopping.Stopped as stopped:
        events.emit("stopped", step=stopped.step)
        return EXIT_STOPPED
    except TrainingError as error:
        if error.code == "disk_full_writing":
            error = full_disk(out, error.params["what"])
        return _refuse(events, error)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = Path(str(error.filename or "a file")).name
            return _refuse(events, full_disk(out, what))
        return _crash(events, error)
    except MemoryError:
        return _refuse(events, _out_of_memory())
    except Exception as error:  # noqa: BLE001 - the last resort: told as an event, then exit 1
        if _is_exhausted(error):
            return _refuse(events, _out_of_memory())
        return _crash(events, error)


def _refuse(events: EventLog, error: TrainingError) -> int:
    events.emit(
        "error", code=error.code, params=error.params, field=error.field, message=str(error)
    )
    return EXIT_REFUSED


def _crash(events: EventLog, error: Exception) -> int:
    traceback.print_exception(error)
    detail = f"{type(error).__name__}: {error}"[:2000]
    events.emit("log", level="error", text="".join(traceback.format_exception(error))[-8000:])
    internal = TrainingError("internal", detail=detail)
    _refuse(events, internal)
    return EXIT_CRASHED


def _is_exhausted(error: Exception) -> bool:
    """TensorFlow's own "out of memory"; asked without importing TensorFlow."""
    return type(error).__name__ == "ResourceExhaustedError"


def _out_of_memory() -> TrainingError:
    from training.engine.resources import available_bytes, readable

    return TrainingError("out_of_memory", needed="?", available=readable(available_bytes()))


def _finished_before(out: Path) -> bool:
    """Whether the last event is ``finished``: running it again changes nothing."""
    path = out / "events.jsonl"
    size = path.stat().st_size
    events, _offset = read_events(path, max(0, _last_line(path, size)))
    return bool(events) and events[-1]["kind"] == "finished"


def _last_line(path: Path, size: int) -> int:
    """Offset at which the last line starts (the file ends with a newline, or is empty)."""
    with path.open("rb") as file:
        start = max(0, size - (1 << 20))
        file.seek(start)
        return start + file.read().rstrip(b"\n").rfind(b"\n") + 1


def read_spec(path: Path, command: str) -> Any:
    """Read and validate a command's spec, JSON or YAML; a run's is that of its method.

    Raises:
        TrainingError: ``spec_invalid``, with the first field at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".yaml", ".yml"):
            import yaml

            content = yaml.safe_load(text)
        else:
            content = json.loads(text)
        return _settings(command, content).model_validate(content)
    except ValidationError as error:
        found = problems(error)
        detail = "; ".join(f"{problem.field}: {problem}" for problem in found)
        raise TrainingError("spec_invalid", field=found[0].field, detail=detail) from error
    except (OSError, ValueError) as error:
        raise TrainingError("spec_invalid", detail=str(error)) from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise TrainingError("spec_invalid", detail=str(error)) from error
        raise


def _settings(command: str, content: Any) -> type[Settings]:
    method = content.get("method") if command == "run" and isinstance(content, dict) else None
    if isinstance(method, str):
        methods = import_module("training.methods.registry").METHODS
        if method in methods:
            found: type[Settings] = methods[method].settings
            return found
    return COMMANDS[command]


# --- commands that answer on standard output -----------------------------------------------------


def _generate(options: argparse.Namespace) -> int:
    spec = read_spec(options.spec, "generate")
    serving = import_module("training.engine.serve")
    generator = serving.open_generator(Path(spec.checkpoint))
    sys.stdout.write(spec.prompt)
    for piece in generator.stream(spec):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    return EXIT_DONE


def _serve(options: argparse.Namespace) -> int:
    # Libraries print; the answers get the real standard output to themselves.
    answers: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    import_module("training.engine.serve").serve(sys.stdin, answers)
    return EXIT_DONE


def _inspect(options: argparse.Namespace) -> int:
    _print_json(import_module("training.weights.inspect").inspect(options.checkpoint))
    return EXIT_DONE


def _diff(options: argparse.Namespace) -> int:
    differing = import_module("training.weights.diff")
    found = differing.diff(options.first, options.second)
    if options.text:
        print(differing.as_text(found))
    else:
        _print_json(found)
    return EXIT_DONE if found["equal"] else EXIT_DIFFERENT


def _estimate(options: argparse.Namespace) -> int:
    spec = read_spec(options.spec, "run")
    method = import_module("training.methods.registry").LOOP_METHODS.get(spec.method)
    if method is None:
        raise TrainingError("estimate_not_possible", field="method", method=spec.method)
    config = method.model_of_data(spec) if method.model_of_data else spec.model
    if config is None:
        read = import_module("training.weights.checkpoint").read_checkpoint
        config = read(Path(spec.source.checkpoint)).config
        method.require_trained(config)
    _print_json(method.estimate(spec, config).to_json())
    return EXIT_DONE


def _methods(options: argparse.Namespace) -> int:
    registry = import_module("training.methods.registry").METHODS
    fields = ("name", "family", "title", "summary", "data", "backbones")
    _print_json([{name: getattr(method, name) for name in fields} for method in registry.values()])
    return EXIT_DONE


def _spec(options: argparse.Namespace) -> int:
    registry = import_module("training.methods.registry").METHODS
    if options.method not in registry:
        print(f"There is no method {options.method}: {', '.join(registry)}", file=sys.stderr)
        return EXIT_REFUSED
    method = registry[options.method]
    spec = method.settings.model_validate({"method": options.method, **method.example})
    _print_json(spec.model_dump(mode="json"))
    return EXIT_DONE


def _print_json(payload: Any) -> None:
    print(json.dumps(payload, indent=2, ensure_ascii=False))


# --- the process ---------------------------------------------------------------------------------


def die_with_parent() -> None:
    """With GRAFT_DIE_WITH_PARENT, be killed when the parent dies (Linux).

    The value may be the parent's process id: a parent that died before the kernel was told is then
    noticed too. With ``1``, only one that died since this process began to run Python.
    """
    wanted = os.environ.get("GRAFT_DIE_WITH_PARENT", "")
    if wanted in ("", "0"):
        return
    parent = os.getppid() if wanted == "1" else int(wanted)
    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
