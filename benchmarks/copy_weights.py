"""Copying weights into a new model beside ``cp`` of the same file, in turns.

    python -m benchmarks copy_weights

``python -m training transfer`` of a GPT-2 of the published size (124M parameters, random, about
half a gigabyte) into a model of the same shape, the process's start included. It reads the source,
writes the new file with the hash of every tensor, reads it back, compares each tensor with its
source by SHA-256, and fsyncs. ``cp`` does none of this; ``cp`` with ``sync`` at least reaches the
disk, and ``cp`` with ``sha256sum`` of both files also compares them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.models import make_checkpoint
from benchmarks.processes import Took, timed

OURS = "python -m training transfer"


def main() -> None:
    parser = argparse.ArgumentParser(prog="copy_weights", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = make_checkpoint(folder / "source", options.preset)
        weights = source / "model.safetensors"
        spec = folder / "spec.json"
        spec.write_text(json.dumps({"source": {"checkpoint": str(source)}, "seed": 1}))
        out, copy = folder / "out", folder / "copy"
        engine = (sys.executable, "-m", "training")
        sides = {
            OURS: (*engine, "transfer", str(spec), "--out", str(out), "--quiet"),
            "cp": ("cp", str(weights), str(copy)),
            "cp, then sync": ("sh", "-c", f"cp '{weights}' '{copy}' && sync '{copy}'"),
            "cp, sync, sha256sum of both": (
                "sh",
                "-c",
                f"cp '{weights}' '{copy}' && sync '{copy}' && sha256sum '{weights}' '{copy}'",
            ),
        }
        found: dict[str, list[Took]] = {name: [] for name in sides}
        for number in range(options.rounds + 1):
            for name, command in sides.items():
                took = timed(*command)
                if name == OURS:
                    counts = json.loads((out / "report.json").read_text())["weights"]
                    same = (out / "checkpoint" / weights.name).stat().st_size
                    assert same == weights.stat().st_size
                    assert counts["verified"], counts
                    assert not counts["initialised"], counts
                    shutil.rmtree(out)
                else:
                    copy.unlink()
                if number:
                    found[name].append(took)
        size = weights.stat().st_size
    print(f"{size / 2**20:,.0f} MiB of weights; {counts['copied']} tensors proved equal.\n")
    print("| command | seconds, median (lowest, highest) | ours takes, of pairs | peak memory |")
    print("| --- | --- | --- | --- |")
    for name, rounds in found.items():
        seconds = [took.seconds for took in rounds]
        ratios = [
            our.seconds / their.seconds for our, their in zip(found[OURS], rounds, strict=True)
        ]
        times = "" if name == OURS else f"{statistics.median(ratios):.1f} times as long"
        # Of a shell line, only the shell's memory would be seen.
        memory = f"{max(took.peak_mib for took in rounds):,.0f} MiB" if name == OURS else ""
        print(
            f"| {name} | {statistics.median(seconds):.2f} ({min(seconds):.2f}, {max(seconds):.2f}) "
            f"| {times} | {memory} |"
        )


if __name__ == "__main__":
    main()
