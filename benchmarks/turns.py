"""Two programs that take turns on one machine, so that both see the same load.

Each side is a process of its own, since TensorFlow's settings (threads, determinism) are one
process's. The parent asks a side for a round and waits; the other side sleeps meanwhile.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: What ``serve`` answers when the side is set up.
READY = "ready"


class Side:
    """A process started by ``python -m MODULE --side NAME …`` that runs :func:`serve`.

    ``python`` and ``environment`` are those of another virtual environment, where a peer needs it.

    Raises:
        RuntimeError: It ended; with what it wrote to standard error.
    """

    def __init__(
        self,
        module: str,
        name: str,
        *arguments: str,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the side
        self._process = subprocess.Popen(
            [python, "-m", module, "--side", name, *arguments],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        answer = self._answer()
        assert answer == READY, answer

    def round(self, size: int) -> tuple[float, float]:
        """Do so much; seconds, and a figure to compare results by."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{size}\n")
        self._process.stdin.flush()
        seconds, result = self._answer().split()
        return float(seconds), float(result)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._errors.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"{self.name} ended: {self._errors.read()[-3000:]}")
        return line


def serve(work: Callable[[int], tuple[float, float]]) -> None:
    """Answer rounds on standard input until it closes.

    Args:
        work: Given a size, the seconds it took and a figure to compare results by.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print
    answers.write(f"{READY}\n")
    for line in sys.stdin:
        seconds, result = work(int(line))
        answers.write(f"{seconds!r} {result!r}\n")


def take_turns(sides: Sequence[Side], size: int, rounds: int) -> dict[str, list[Any]]:
    """``rounds`` rounds of every side, one side after the other; the first of each not counted.

    Who begins changes with every round.
    """
    found: dict[str, list[Any]] = {side.name: [] for side in sides}
    for number in range(rounds + 1):
        turn = number % len(sides)
        for side in [*sides[turn:], *sides[:turn]]:
            answer = side.round(size)
            if number:
                found[side.name].append(answer)
    return found


def report(found: dict[str, list[Any]], units: float, unit: str, ours: str) -> str:
    """A table: medians, and our speed as a multiple of each other's, pair by pair.

    Args:
        found: From :func:`take_turns`.
        units: How many units a round does.
        unit: ``tokens``.
        ours: The side that the others are compared with.
    """
    times = "ours is so many times as quick: median of pairs (lowest, highest)"
    lines = [
        f"| side | {unit}/s, median | lowest, highest | {times} |",
        "| --- | --- | --- | --- |",
    ]
    for name, rounds in found.items():
        speeds = [units / seconds for seconds, _ in rounds]
        line = f"| {name} | {statistics.median(speeds):,.0f} "
        line += f"| {min(speeds):,.0f}, {max(speeds):,.0f} | "
        if name != ours:
            pairs = zip(rounds, found[ours], strict=True)
            ratios = [their[0] / our[0] for their, our in pairs]
            line += f"{statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f}) |"
        else:
            line += "|"
        lines.append(line)
    return "\n".join(lines)
