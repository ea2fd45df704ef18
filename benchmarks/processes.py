"""What a command took: seconds, and the most memory it held."""

from __future__ import annotations

import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Seconds between two looks at the process's own high-water mark. ``wait4`` would be exact, but
#: counts what the parent held before the child's ``exec``.
LOOK_S = 0.005


@dataclass(frozen=True)
class Took:
    """Wall seconds, peak resident memory of the first process in bytes, and processor seconds.

    The last of all processes and threads together: what the command costs on a busy machine.
    """

    seconds: float
    peak_bytes: int
    cpu_seconds: float

    @property
    def peak_mib(self) -> float:
        return self.peak_bytes / 2**20


def timed(*command: str) -> Took:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        time.sleep(LOOK_S)
    seconds = time.perf_counter() - began
    assert process.stderr is not None
    with process.stderr as errors:
        said = errors.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{said[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(seconds, peak, cpu)


def high_water(pid: int | str = "self") -> int:
    """``VmHWM``: the largest resident set that a program has had, bytes."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
