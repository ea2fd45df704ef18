"""What looking at every value of a checkpoint takes: time and memory.

    python -m benchmarks tensor_statistics                     GPT-2 of the published size, 475 MiB
    python -m benchmarks tensor_statistics --preset gpt2-xl    6 GB

Random values, page cache warm; ``python -m training statistics`` as a process of its own. Memory
is its largest resident set (``VmHWM``). At 300 MB or above the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.copy_weights import make_large, warm
from benchmarks.processes import timed

#: Most resident memory, bytes.
MOST_BYTES = 300_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tensor_statistics", description=__doc__.split("\n", 1)[0]
    )
    parser.add_argument("--preset", default="gpt2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = make_large(folder, options.preset)
        weights = checkpoint / "model.safetensors"
        warm(weights)
        spec, out = folder / "spec.json", folder / "out"
        spec.write_text(json.dumps({"checkpoint": str(checkpoint)}))
        engine = (sys.executable, "-m", "training", "statistics")
        took = timed(*engine, str(spec), "--out", str(out), "--quiet")
        tensors = json.loads((out / "report.json").read_text())["tensors"]
        size = weights.stat().st_size
    print(f"{size / 2**20:,.0f} MiB in {tensors} tensors.")
    print(
        f"{took.seconds:.1f} s, {took.cpu_seconds:.1f} processor seconds; "
        f"peak memory {took.peak_mib:,.0f} MiB."
    )
    if took.peak_bytes >= MOST_BYTES:
        sys.exit(f"More than {MOST_BYTES / 1e6:.0f} MB of memory.")


if __name__ == "__main__":
    main()
