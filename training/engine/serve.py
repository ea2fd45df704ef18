"""A warm process that writes text on request: JSON lines in, JSON lines out.

    → {"id": "7", "op": "generate", "checkpoint": "…", "prompt": "…", …}     (GenerateSpec's fields)
    ← {"id": "7", "kind": "token", "text": "…"}                              as it is written
    ← {"id": "7", "kind": "done", "tokens": 128, "seconds": 1.9, "reason": "length"}
    ← {"id": "7", "kind": "error", "code": "…", "params": {…}, "field": null, "message": "…"}
    → {"id": "7", "op": "cancel"}

Requests take turns, a token each, so that two checkpoints can write side by side. The checkpoints
used last stay in memory, three at most and within a bound of bytes. The first line is
``{"kind": "ready"}``; the process ends when its input does, once all requests are answered.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
from pydantic import ValidationError

from training.backbones.registry import BACKBONES
from training.command_specs import GenerateSpec
from training.engine.devices import configure, default_threads
from training.errors import TrainingError
from training.settings import problems
from training.spec import DeviceSpec
from training.weights.checkpoint import read_checkpoint

KEPT = 3
#: Share of the machine's memory that kept checkpoints may take; GRAFT_SERVE_BYTES overrides it.
MEMORY_SHARE = 0.25
#: Requests that take turns; further ones wait.
TURNS = 4


def open_generator(folder: Path) -> Any:
    """A generator over a checkpoint's weights, float32.

    Raises:
        TrainingError: ``checkpoint_*``, ``weights_*``, ``config_*``, ``tokenizer_*``,
            ``architecture_not_writing``.
    """
    checkpoint = read_checkpoint(folder)
    if not BACKBONES[checkpoint.config.architecture].writes:
        raise TrainingError(
            "architecture_not_writing",
            field="checkpoint",
            architecture=BACKBONES[checkpoint.config.architecture].title,
            known=", ".join(backbone.title for backbone in BACKBONES.values() if backbone.writes),
        )
    configure(DeviceSpec(), default_threads())
    from training.backbones.registry import model_class
    from training.data.tokenizers import read_byte_level
    from training.engine.generate import Generator

    tokenizer = read_byte_level(folder, checkpoint.config.architecture)
    model = model_class(checkpoint.config.architecture)(checkpoint.config)
    model.load_named(checkpoint.tensors())
    return Generator(model, tokenizer)


class Warm:
    """The checkpoints used last, opened.

    Args:
        most_bytes: Bound on their weights together; one alone may be larger.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._open: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def generator(self, folder: str) -> Any:
        """The generator of a checkpoint folder; what was used longest ago makes room."""
        path = Path(folder)
        # A folder that was written anew in the same place is another checkpoint.
        key = f"{path.resolve()} {read_checkpoint(path).weights_sha256}"
        if key not in self._open:
            size = 4 * read_checkpoint(path).config.parameter_count()
            while self._open and (
                len(self._open) >= KEPT or self.held_bytes + size > self._most_bytes
            ):
                self._open.popitem(last=False)
            self._open[key] = (open_generator(path), size)
        self._open.move_to_end(key)
        return self._open[key][0]

    @property
    def held_bytes(self) -> int:
        return sum(size for _generator, size in self._open.values())


class _Request:
    """One text being written."""

    def __init__(self, id: str, spec: GenerateSpec) -> None:
        self.id, self.spec = id, spec
        self.cancelled = False
        self.pieces: Iterator[str] | None = None
        self.finished: Any = None

    def next_piece(self, warm: Warm) -> str:
        """The next piece; StopIteration at the end."""
        if self.pieces is None:

            def finish(finished: Any) -> None:
                self.finished = finished

            generator = warm.generator(self.spec.checkpoint)
            self.pieces = generator.stream(self.spec, lambda: self.cancelled, finish)
        return next(self.pieces)


class Server:
    """Reads requests, lets them take turns and answers.

    Args:
        requests: Lines of JSON.
        answers: Where lines of JSON go.
        warm: The opened checkpoints.
    """

    def __init__(self, requests: IO[str], answers: IO[str], warm: Warm) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._requests, self._answers, self._warm = requests, answers, warm
        self._active: deque[_Request] = deque()
        self._waiting: deque[_Request] = deque()
        self._ended = False

    def run(self) -> None:
        """Answer until the input ends."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        self._answer(kind="ready")
        while not self._ended or self._active or self._waiting:
            self._take_lines()
            while self._waiting and len(self._active) < TURNS:
                self._active.append(self._waiting.popleft())
            for _turn in range(len(self._active)):
                request = self._active.popleft()
                if self._turn(request):
                    self._active.append(request)

    def _read(self) -> None:
        for line in self._requests:
            self._lines.put(line)
        self._lines.put(None)

    def _take_lines(self) -> None:
        """Take what has come; wait for a line only when there is nothing else to do."""
        idle = not self._active and not self._waiting and not self._ended
        try:
            while True:
                line = self._lines.get(block=idle)
                if line is None:
                    self._ended = True
                elif line.strip():
                    self._take(line)
                idle = False
        except queue.Empty:
            pass

    def _take(self, line: str) -> None:
        id = ""
        try:
            content = json.loads(line)
            id, op = str(content.pop("id")), content.pop("op")
            if op == "cancel":
                for request in (*self._active, *self._waiting):
                    if request.id == id:
                        request.cancelled = True
            elif op == "generate":
                self._waiting.append(_Request(id, GenerateSpec.model_validate(content)))
            else:
                raise ValueError(f"unknown op {op!r}")
        except ValidationError as error:
            found = problems(error)
            detail = "; ".join(f"{problem.field}: {problem}" for problem in found)
            self._refuse(id, TrainingError("spec_invalid", field=found[0].field, detail=detail))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._refuse(id, TrainingError("spec_invalid", detail=f"{error}"))

    def _turn(self, request: _Request) -> bool:
        """One token of a request; whether it goes on."""
        try:
            piece = request.next_piece(self._warm)
        except StopIteration:
            finished = request.finished
            self._answer(
                id=request.id,
                kind="done",
                tokens=finished.tokens,
                seconds=round(finished.seconds, 3),
                reason=finished.reason,
            )
            return False
        except TrainingError as error:
            self._refuse(request.id, error)
            return False
        except Exception as error:  # noqa: BLE001 - one bad request must not end the others
            detail = f"{type(error).__name__}: {error}"[:500]
            self._refuse(request.id, TrainingError("internal", detail=detail))
            return False
        if piece:
            self._answer(id=request.id, kind="token", text=piece)
        return True

    def _refuse(self, id: str, error: TrainingError) -> None:
        self._answer(
            id=id,
            kind="error",
            code=error.code,
            params=error.params,
            field=error.field,
            message=str(error),
        )

    def _answer(self, **fields: Any) -> None:
        self._answers.write(json.dumps(fields, ensure_ascii=False) + "\n")
        self._answers.flush()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until the input ends."""
    # The slow import before the first request, not in it.
    configure(DeviceSpec(), default_threads())
    import training.engine.generate  # noqa: F401

    share = int(psutil.virtual_memory().total * MEMORY_SHARE)
    Server(requests, answers, Warm(int(os.environ.get("GRAFT_SERVE_BYTES", share)))).run()
