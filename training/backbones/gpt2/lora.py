"""Low-rank adaptation of GPT-2's matrices [0], without TensorFlow: factors, merging, PEFT's files.

A chosen matrix W [in, out] becomes W + (alpha / rank) · (B A)ᵀ with A [rank, in] and B [out, rank];
only A and B are trained. B starts at zero, so that the first step computes what the source did.
GPT-2's matrices lie transposed (``Conv1D``), which PEFT calls ``fan_in_fan_out``.

- [0] Hu et al., 2021, https://arxiv.org/abs/2106.09685
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.backbones.contract import TensorSpec
from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.spec import LoraSpec
from training.weights.initial import generator
from training.weights.tensors import open_tensors

#: A setting's value → the module inside a block.
TARGETS = {
    "c_attn": "attn.c_attn",
    "attn.c_proj": "attn.c_proj",
    "c_fc": "mlp.c_fc",
    "mlp.c_proj": "mlp.c_proj",
}


def adapted_matrices(config: GPT2Config, lora: LoraSpec) -> dict[str, tuple[int, int]]:
    """The matrices that get factors: tensor name → (in, out)."""
    shapes = {tensor.name: tensor.shape for tensor in config.tensors()}
    found = {}
    for layer in range(config.n_layer):
        for target in dict.fromkeys(lora.targets):
            name = f"transformer.h.{layer}.{TARGETS[target]}.weight"
            rows, columns = shapes[name]
            found[name] = (rows, columns)
    return found


def factor_names(matrix: str) -> tuple[str, str]:
    """Names of A and B for a matrix: ``….c_attn.weight`` → ``….c_attn.lora_A.weight``, B alike."""
    module = matrix.removesuffix(".weight")
    return f"{module}.lora_A.weight", f"{module}.lora_B.weight"


def factor_specs(config: GPT2Config, lora: LoraSpec) -> list[TensorSpec]:
    """Every factor; A starts uniform (:func:`initial_factors`), B at zero."""
    found = []
    for matrix, (rows, columns) in adapted_matrices(config, lora).items():
        a, b = factor_names(matrix)
        found += [
            TensorSpec(a, (lora.rank, rows), "normal"),
            TensorSpec(b, (columns, lora.rank), "zeros"),
        ]
    return found


def initial_factors(config: GPT2Config, lora: LoraSpec, seed: int) -> dict[str, np.ndarray]:
    """Starting factors: A uniform in ±1/sqrt(in) as in PEFT, B zero."""
    found = {}
    for spec in factor_specs(config, lora):
        if spec.init == "normal":
            bound = 1 / math.sqrt(spec.shape[1])
            values = generator(seed, spec.name).random(spec.shape, dtype=np.float32)
            values = values * np.float32(2 * bound) - np.float32(bound)
            found[spec.name] = values.astype(np.float32)
        else:
            found[spec.name] = np.zeros(spec.shape, np.float32)
    return found


def merge(
    base: Mapping[str, np.ndarray],
    factors: Mapping[str, np.ndarray],
    config: GPT2Config,
    lora: LoraSpec,
) -> dict[str, np.ndarray]:
    """The base weights with every low-rank update added in; other tensors are the same arrays."""
    merged = {tensor.name: np.asarray(base[tensor.name]) for tensor in config.tensors()}
    scale = np.float32(lora.alpha / lora.rank)
    for matrix in adapted_matrices(config, lora):
        a, b = (factors[name] for name in factor_names(matrix))
        merged[matrix] = merged[matrix] + scale * (b @ a).T
    return merged


def write_adapter(folder: Path, factors: Mapping[str, np.ndarray], lora: LoraSpec) -> None:
    """Write PEFT's two files, so that ``PeftModel.from_pretrained`` opens the folder."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"base_model.model.{name}": np.ascontiguousarray(value) for name, value in factors.items()
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "target_modules": [TARGETS[target] for target in dict.fromkeys(lora.targets)],
        "fan_in_fan_out": True,
        "bias": "none",
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def read_adapter(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray, float]] | None:
    """What :func:`write_adapter` wrote: matrix → (A [rank, in], B [out, rank], alpha / rank).

    Args:
        folder: A checkpoint's ``adapter``.

    Returns:
        None where there is no adapter.

    Raises:
        TrainingError: ``adapter_unreadable``: files that are not as they are written here.
    """
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        return None
    try:
        config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        scale = float(config["lora_alpha"]) / int(config["r"])
        if config["fan_in_fan_out"] is not True:
            raise ValueError("fan_in_fan_out")
        tensors = open_tensors(file)
        found = {}
        for name in tensors:
            if name.endswith(".lora_A.weight"):
                matrix = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                other = name.replace(".lora_A.", ".lora_B.")
                a, b = (np.asarray(tensors[one], np.float32) for one in (name, other))
                found[f"{matrix}.weight"] = (a, b, scale)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise TrainingError(
            "adapter_unreadable", detail=f"{type(error).__name__}: {error}"
        ) from None
    return found
