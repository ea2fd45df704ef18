"""Copying weights into a new model beside ``cp`` of the same file, in turns.

    python -m benchmarks copy_weights                     GPT-2 of the published size, 475 MiB
    python -m benchmarks copy_weights --preset gpt2-xl    6 GB

Random values, page cache warm, every side writing a new file, in an order that changes, and after a
rest in which nothing waits for the disk:

- ``write_tensors``: what ``transfer`` copies with, in a process of its own. It copies every tensor,
  reads the copy back and hashes it, and compares the hashes with the card's. Timed from within: the
  process's start is not counted, and nothing is fsynced, as with ``cp``. Once for a model of the
  same shape, whose file must come out the same, and once with one tensor more.
- ``python -m training transfer``: the whole command, its start and its fsync included.
- ``cp``; ``cp`` with ``sync``, which at least reaches the disk; ``cp`` with ``sha256sum`` of both
  files, which also compares them.

On a busy machine the lowest of many rounds and the processor's seconds say more than the median.
Memory is the largest resident set (``VmHWM``: private pages and pages of mapped files alike).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.models import make_checkpoint
from benchmarks.processes import ROOT, Took, high_water, timed
from training.backbones.gpt2.config import PRESETS
from training.data.tokenizer import Tokenizer
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.tensors import write_tensors

SAME, OTHER = "write_tensors, the same shape", "write_tensors, one tensor more"
COMMAND = "python -m training transfer"
CP, CP_SYNC, CP_HASH = "cp", "cp, then sync", "cp, then sha256sum of both"
#: Presets below this many parameters are also copied by the whole command.
SMALL = 500_000_000
#: Rest before each copy: a virtual machine hands freed memory back to its host within two seconds,
#: and whoever came sooner would get it cheaper.
REST_S = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="copy_weights", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--once", nargs=3, metavar=("SIDE", "SOURCE", "FILE"), help="one copy")
    options = parser.parse_args()
    if options.once:
        side, source, file = options.once
        print(json.dumps(copy_once(side, Path(source), Path(file))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        compare(options.preset, options.rounds, Path(scratch))


def compare(preset: str, rounds: int, folder: Path) -> None:
    """Make a source, copy it by every side in turns, and print the table."""
    small = PRESETS[preset].parameter_count() < SMALL
    source = make_checkpoint(folder / "source", preset) if small else make_large(folder, preset)
    weights = source / "model.safetensors"
    warm(weights)
    out, copy = folder / "out", folder / "copy"
    spec = folder / "spec.json"
    spec.write_text(json.dumps({"source": {"checkpoint": str(source)}, "seed": 1}))
    shell = {
        CP: f"cp '{weights}' '{copy}'",
        CP_SYNC: f"cp '{weights}' '{copy}' && sync '{copy}'",
        CP_HASH: f"cp '{weights}' '{copy}' && sha256sum '{weights}' '{copy}'",
    }
    sides = [SAME, OTHER, CP, *([COMMAND, CP_SYNC, CP_HASH] if small else [])]
    found: dict[str, list[Took]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        turn = number % len(sides)
        for name in sides[turn:] + sides[:turn]:
            os.sync()
            time.sleep(REST_S)
            if name == COMMAND:
                engine = (sys.executable, "-m", "training", "transfer", str(spec))
                took = timed(*engine, "--out", str(out), "--quiet")
                counts = json.loads((out / "report.json").read_text())["weights"]
                assert counts["verified"], counts
                assert not counts["initialised"], counts
                shutil.rmtree(out)
            elif name in shell:
                took = timed("sh", "-c", shell[name])
                copy.unlink()
            else:
                took = in_process(name, source, copy)
                copy.unlink()
            if number:
                found[name].append(took)
    print(f"{weights.stat().st_size / 2**20:,.0f} MiB of weights.\n")
    print(
        "| side | seconds, median (lowest, highest) | times `cp`: of pairs | of the lowest "
        "| processor seconds, lowest | peak memory |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    least = min(took.seconds for took in found[CP])
    for name, taken in found.items():
        seconds = [took.seconds for took in taken]
        ratios = [one.seconds / cp.seconds for one, cp in zip(taken, found[CP], strict=True)]
        memory = "" if name in shell else f"{max(took.peak_mib for took in taken):,.0f} MiB"
        print(
            f"| {name} | {statistics.median(seconds):.2f} ({min(seconds):.2f}, {max(seconds):.2f}) "
            f"| {statistics.median(ratios):.2f} | {min(seconds) / least:.2f} "
            f"| {min(took.cpu_seconds for took in taken):.2f} | {memory} |"
        )


def in_process(side: str, source: Path, file: Path) -> Took:
    """One copy in a process of its own, which says what it took."""
    command = (sys.executable, "-m", "benchmarks.copy_weights", "--once", side, source, file)
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Took(**json.loads(done.stdout))


def copy_once(side: str, source: Path, file: Path) -> dict[str, float]:
    """Copy every tensor of a checkpoint, and prove it.

    Raises:
        SystemExit: The copy does not equal its source.
    """
    began, cpu_began = time.perf_counter(), time.process_time()
    checkpoint = read_checkpoint(source)
    more = {"another": np.zeros(1, np.float32)} if side == OTHER else {}
    described = write_tensors(file, more, verbatim=checkpoint.infos)
    hashes = {str(item["name"]): item["blake3"] for item in described if item["name"] not in more}
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    if hashes != checkpoint.tensor_hashes():
        sys.exit("The copy is not equal to its source.")
    return {"seconds": seconds, "peak_bytes": high_water(), "cpu_seconds": cpu_seconds}


class RandomTensors(Mapping[str, np.ndarray]):
    """A model's tensors cut from one pool of random numbers, quick to make at any size."""

    def __init__(self, preset: str) -> None:
        self._shapes = {spec.name: spec.shape for spec in PRESETS[preset].tensors()}
        self._pool = np.random.default_rng(0).normal(size=1 << 24).astype(np.float32)

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        return self._pool.dtype, self._shapes[name]

    def __getitem__(self, name: str) -> np.ndarray:
        shape = self._shapes[name]
        return np.resize(self._pool, math.prod(shape)).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def make_large(folder: Path, preset: str) -> Path:
    """A checkpoint of several gigabytes."""
    tensors = RandomTensors(preset)
    write_checkpoint(folder / "source", PRESETS[preset], tensors, Tokenizer.gpt2(), {})
    return folder / "source"


def warm(path: Path) -> None:
    """Read a file once, so that it lies in the page cache."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


if __name__ == "__main__":
    main()
