"""Writes ``tests/parity/reference/images/`` anew, in its own virtual environment: ``make parity``.

For each network of ``tests.parity.images``, as PyTorch, torchvision and timm implement it:

- ``NAME.safetensors``: the logits of a few images, and what is pooled before the head, of which
  every eighth channel; the weights follow from the tensors' names;
- in ``state_dicts.json.gz``: names, types and shapes of its state dict;
- in ``hashes.json``: the identity of the checkpoint that our code writes of the same weights. It is
  loaded into the network (``strict=True``), has to have the very bits, and gave the logits;
- in ``pooling.safetensors``: PyTorch's global and adaptive poolings of maps of several sizes;
- in ``timm.json``: the ``config.json`` of the folder that our code exports of it; timm opened the
  folder by itself, and gave the very same logits.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

from tests.parity import make_siamese
from tests.parity.images import (
    CLASSES,
    HASHES,
    KEPT,
    MAPS,
    NETWORKS,
    PARTS,
    POOLING,
    REFERENCE,
    STATE_DICTS,
    TIMM,
    Network,
    images,
    pooled_map,
    values,
    weights,
)
from training.interop.huggingface import copy_files
from training.weights.checkpoint import read_checkpoint, write_checkpoint


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("networks", nargs="*", help="write these alone; none: all of them anew")
    only = parser.parse_args().networks
    hashes: dict[str, str] = {}
    opened: dict[str, object] = {}
    state_dicts: dict[str, list[list[object]]] = {}
    if only:
        hashes = json.loads(HASHES.read_text())
        opened = json.loads(TIMM.read_text())
        state_dicts = json.loads(gzip.decompress(STATE_DICTS.read_bytes()))
    else:
        shutil.rmtree(REFERENCE, ignore_errors=True)
        REFERENCE.mkdir(parents=True)
    for name in only or NETWORKS:
        network = NETWORKS[name]
        model = made(network)
        fill(model, network.gain)
        state_dicts[name] = [
            [key, str(value.dtype).removeprefix("torch."), list(value.shape)]
            for key, value in model.state_dict().items()
        ]
        found = answers(model, network)
        save_file(found, REFERENCE / f"{name}.safetensors")
        if same_names(model, network):
            hashes[name] = ours_in_pytorch(network, model, found)
        if network.source == "timm":
            opened[name] = opened_by_timm(network, found)
        largest = max(float(value.abs().max()) for key, value in found.items() if "logits" in key)
        print(f"{name}: logits up to {largest:.2g}", flush=True)
    with (
        STATE_DICTS.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
    ):
        packed.write(json.dumps(state_dicts, separators=(",", ":")).encode())
    save_file(poolings(), POOLING)
    write_json(HASHES, hashes)
    write_json(TIMM, opened)
    if not only:
        make_siamese.main()
    versions = {module.__name__: module.__version__ for module in (torch, torchvision, timm, np)}
    write_json(
        REFERENCE / "versions.json",
        {name: version.split("+")[0] for name, version in versions.items()},
    )
    return 0


def made(network: Network) -> torch.nn.Module:
    if network.source == "timm":
        model = timm.create_model(network.model, num_classes=CLASSES, **network.arguments)
    else:
        make = getattr(torchvision.models, network.model)
        model = make(num_classes=CLASSES, **network.arguments)
    return model.eval()


def fill(model: torch.nn.Module, gain: float) -> None:
    state = model.state_dict()
    for name, value in state.items():
        state[name] = torch.from_numpy(np.asarray(values(name, tuple(value.shape), gain)))
    model.load_state_dict(state, strict=True)


def answers(model: torch.nn.Module, network: Network) -> dict[str, torch.Tensor]:
    found = {}
    with torch.no_grad():
        for height, width in network.sizes:
            given = torch.from_numpy(images(height, width)).permute(0, 3, 1, 2).contiguous()
            found[f"logits.{height}x{width}"] = model(given).contiguous()
            if hasattr(model, "forward_features"):
                last = model.forward_features(given)
                # A map, or a vision transformer's tokens, the first of which is no patch.
                pooled = last.mean((2, 3)) if last.ndim == 4 else last[:, 1:].mean(1)
                found[f"pooled.{height}x{width}"] = pooled[:, ::KEPT].contiguous()
    return found


def poolings() -> dict[str, torch.Tensor]:
    """What PyTorch makes of each map, [batch, channels, parts, parts]."""
    found = {}
    for height, width in MAPS:
        given = torch.from_numpy(pooled_map(height, width)).permute(0, 3, 1, 2)
        for parts in PARTS:
            pool = torch.nn.AdaptiveMaxPool2d(parts)
            found[f"max.{parts}.{height}x{width}"] = pool(given).contiguous()
        found[f"mean.1.{height}x{width}"] = torch.nn.AdaptiveAvgPool2d(1)(given).contiguous()
    return found


def same_names(model: torch.nn.Module, network: Network) -> bool:
    """Whether PyTorch's names are ours."""
    theirs = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    return theirs == {spec.name for spec in network.config.tensors()}


def ours_in_pytorch(
    network: Network, theirs: torch.nn.Module, expected: dict[str, torch.Tensor]
) -> str:
    """Load a checkpoint that our code writes, compare bits and answers; gives its identity."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkpoint"
        card = write_checkpoint(folder, network.config, weights(network), None, {})
        model = made(network)
        model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    for name, value in theirs.state_dict().items():
        counted = name.endswith("num_batches_tracked")
        if not counted and not torch.equal(model.state_dict()[name], value):
            raise SystemExit(f"{network.model}: {name} differs")
    for name, value in answers(model, network).items():
        if not torch.equal(expected[name], value):
            raise SystemExit(f"{network.model}: {name} differs")
    return str(card["weights_sha256"])


def opened_by_timm(network: Network, expected: dict[str, torch.Tensor]) -> object:
    """Let timm open the folder that our code exports and compare; gives its ``config.json``."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint, folder = Path(scratch) / "checkpoint", Path(scratch) / "exported"
        write_checkpoint(checkpoint, network.config, weights(network), None, {})
        folder.mkdir()
        copy_files(read_checkpoint(checkpoint), folder)
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        payload: object = json.loads((folder / "config.json").read_text())
    for name, value in answers(model, network).items():
        if not torch.equal(expected[name], value):
            raise SystemExit(f"{network.model}: {name} differs once timm has opened it")
    return payload


def write_json(path: Path, payload: object) -> None:
    path.write_text(json.dumps(payload, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
