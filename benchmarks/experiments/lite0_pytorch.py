"""PyTorch's half of ``benchmarks.experiments.lite0``, in the environment that has PyTorch."""

from __future__ import annotations

import sys

import timm
import torch
from safetensors.torch import save_file

from benchmarks.experiments.lite0 import SIZES

BATCH = 4


def main(pickled: str, weights: str, answers: str) -> None:
    state = torch.load(pickled, weights_only=True, map_location="cpu")
    save_file({name: value.contiguous() for name, value in state.items()}, weights)
    model = timm.create_model("tf_efficientnet_lite0").eval()
    theirs, own = list(state.values()), model.state_dict()
    if [value.shape for value in theirs] != [value.shape for value in own.values()]:
        raise SystemExit("The tensors do not come in timm's order.")
    model.load_state_dict(dict(zip(own, theirs, strict=True)), strict=True)
    found = {}
    torch.manual_seed(0)
    with torch.no_grad():
        for height, width in SIZES:
            images = torch.randn(BATCH, 3, height, width)
            # Smooth ones besides noise: they leave other units saturated.
            images[1::2] = torch.nn.functional.avg_pool2d(images[1::2], 9, 1, 4) * 5
            size = f"{height}x{width}"
            found[f"images.{size}"] = images.permute(0, 2, 3, 1).contiguous()
            found[f"logits.{size}"] = model(images)
    save_file(found, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
