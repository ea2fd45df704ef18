"""Each form of export that computes, run by its own runtime beside our model.

    python -m benchmarks.experiments exports                    GPT-2 of the published size, 124M
    python -m benchmarks.experiments exports --preset nano --formats onnx

Random weights. Each export is made by ``python -m training export``, as the portal makes it; the
figures are those of its ``proof.json``. The last row is another comparison: a small GPT-2 that
PyTorch saved, imported, exported as ONNX, and beside PyTorch's own logits. Above 1e-4, or where an
export is refused, the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks.models import make_checkpoint
from benchmarks.processes import ROOT
from training.backbones.gpt2.config import PRESETS
from training.interop.exports import EXPORTS

BAR = 1e-4
#: A folder that PyTorch saved, with its logits.
THEIRS = ROOT / "tests" / "parity" / "reference" / "theirs" / "default"
FORMATS = [name for name, form in EXPORTS.items() if form.computes]


def main(arguments: list[str]) -> None:
    """Print a row for each form."""
    parser = argparse.ArgumentParser(prog="exports", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--preset", default="gpt2", choices=PRESETS)
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    options = parser.parse_args(arguments)
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = make_checkpoint(Path(scratch) / "checkpoint", options.preset)
        print("| form | runtime | largest difference | of outputs up to |")
        print("| --- | --- | --- | --- |", flush=True)
        for name in options.formats:
            proof = export(checkpoint, name, Path(scratch) / name)
            if proof is None:
                missed.append(name)
                print(f"| {name} | refused | | |", flush=True)
                continue
            largest = proof["largest_difference"]
            if largest > BAR:
                missed.append(name)
            print(
                f"| {name} | {proof['runtime']} | {largest:.1e} | {proof['largest_output']:.3g} |",
                flush=True,
            )
        if "onnx" in options.formats:
            largest, most = beside_pytorch(Path(scratch))
            if not largest <= BAR:
                missed.append("onnx beside PyTorch")
            print(f"| onnx, beside PyTorch | | {largest:.1e} | {most:.3g} |", flush=True)
    print()
    if missed:
        sys.exit(f"The bar of {BAR:g} is missed by {', '.join(missed)}.")
    print(f"The bar of {BAR:g} is kept by every form.")


def export(checkpoint: Path, name: str, out: Path) -> dict[str, Any] | None:
    """The proof of one export; None, and what was said, where it is refused."""
    out.mkdir()
    spec = out / "spec.json"
    spec.write_text(json.dumps({"checkpoint": str(checkpoint), "format": name}))
    command = [sys.executable, "-m", "training", "export", str(spec), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{done.stdout[-500:]}\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    proof: dict[str, Any] = json.loads((out / "report.json").read_text())["proof"]
    return proof


def beside_pytorch(folder: Path) -> tuple[float, float]:
    """How far ONNX's logits are from PyTorch's, and PyTorch's largest."""
    import onnxruntime

    from tests.parity.ours import import_folder

    checkpoint = import_folder(THEIRS, folder / "theirs")
    if export(checkpoint.folder, "onnx", folder / "theirs-onnx") is None:
        return float("inf"), 0.0
    reference = load_file(THEIRS / "expected.safetensors")
    session = onnxruntime.InferenceSession(folder / "theirs-onnx" / "export" / "model.onnx")
    (logits,) = session.run(["logits"], {"tokens": reference["tokens"].astype(np.int32)})
    expected = reference["logits"]
    return float(np.abs(logits - expected).max()), float(np.abs(expected).max())
