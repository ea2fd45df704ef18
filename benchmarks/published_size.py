"""GPT-2 of the published 124M size: does it build, train, fit its estimate, and write?

    python -m benchmarks published_size
    python -m benchmarks.published_size --preset nano --batch-size 16       another size

Random weights, since OpenAI's are on no package registry; GPT-2's own vocabulary, or for a smaller
preset one of its size trained on the text. A few steps of 1 × 128 tokens by ``python -m training
run``, its peak memory against ``training.estimate``, and a text by ``python -m training generate``.
Exit code 1 when the estimate is more than 30% off.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.models import make_dataset
from benchmarks.processes import ROOT, timed
from training.backbones.gpt2.config import PRESETS
from training.estimate import estimate
from training.events import read_events
from training.spec import RunSpec

#: Most that the estimate may be off, as a share of what was measured.
MOST_OFF = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(prog="published_size", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--accumulation", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spec = {
            "data": {"path": str(make_dataset(folder / "data"))},
            "tokenizer": tokenizer(options.preset),
            "model": PRESETS[options.preset].model_dump(),
            "training": {
                "steps": options.steps,
                "warmup_steps": 1,
                "batch_size": options.batch_size,
                "accumulation": options.accumulation,
                "sequence_length": options.length,
            },
            "evaluation": {"every": options.steps, "batches": 1, "sample_tokens": 8},
        }
        path, out = folder / "spec.json", folder / "out"
        path.write_text(json.dumps(spec))
        engine = (sys.executable, "-m", "training")
        took = timed(*engine, "run", str(path), "--out", str(out), "--quiet")
        events, _offset = read_events(out / "events.jsonl")
        report = json.loads((out / "report.json").read_text())
        request, checkpoint = folder / "request.json", str(out / "checkpoint")
        request.write_text(
            json.dumps({"checkpoint": checkpoint, "prompt": "Call me", "max_tokens": 16})
        )
        text = subprocess.run(
            [*engine, "generate", str(request)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    times = [e["t"] for e in events if e["kind"] == "metric" and "loss" in e["values"]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    found = RunSpec.model_validate(spec)
    assert found.model is not None
    expected = estimate(found, found.model).memory_bytes
    off = expected / took.peak_bytes - 1
    tokens = options.batch_size * options.accumulation * options.length
    curve = ", ".join(f"{loss:.3f}" for _step, loss in report["curves"]["loss"])
    print(f"{report['parameters']['total']:,} parameters, {report['precision']}.")
    print(f"Loss of each step: {curve}.")
    print(
        f"{tokens / statistics.median(gaps):,.0f} tokens/s ({statistics.median(gaps):.2f} s a step "
        f"of {options.accumulation} × {options.batch_size} × {options.length}, "
        f"median of {len(gaps)} after the first); {took.seconds:.0f} s in all."
    )
    print(
        f"Peak memory {took.peak_mib:,.0f} MiB, estimated {expected / 2**20:,.0f} MiB: {off:+.0%}."
    )
    print(f"It writes: {text.strip()[:80]!r}.")
    if abs(off) > MOST_OFF:
        sys.exit(f"The estimate is off by more than {MOST_OFF:.0%}.")


def tokenizer(preset: str) -> dict[str, object]:
    """A spec's tokenizer with as many tokens as the preset has rows."""
    size = PRESETS[preset].vocab_size
    if size == PRESETS["gpt2"].vocab_size:
        return {"kind": "gpt2"}
    return {"kind": "train", "vocabulary_size": size}


if __name__ == "__main__":
    main()
