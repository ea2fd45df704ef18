"""Low-rank adaptation [0], without TensorFlow: factors, merging, PEFT's files.

A chosen matrix W becomes W + (alpha / rank) · B A with A [rank, in] and B [out, rank], turned where
W lies [in, out]; only A and B are trained. B starts at zero, so that the first step computes what
the source did. GPT-2's matrices lie [in, out] (``Conv1D``), which PEFT calls ``fan_in_fan_out``;
the others' lie [out, in].

- [0] Hu et al., 2021, https://arxiv.org/abs/2106.09685
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.backbones.contract import BackboneConfig, TensorSpec
from training.errors import TrainingError
from training.spec import LowRankSpec
from training.weights.initial import generator
from training.weights.tensors import open_tensors


def matrices_of_role(config: BackboneConfig, roles: Collection[str]) -> list[TensorSpec]:
    """The matrices that do certain work, whatever the architecture calls them.

    Args:
        config: The model.
        roles: Roles less ``.kernel``: ``attention.query``, ``feed_forward.in`` …
    """
    wanted = {f"{role}.kernel" for role in roles}
    return [spec for spec in config.tensors() if spec.role in wanted and len(spec.shape) == 2]


def factor_names(matrix: str) -> tuple[str, str]:
    """Names of A and B for a matrix: ``….c_attn.weight`` → ``….c_attn.lora_A.weight``, B alike."""
    module = matrix.removesuffix(".weight")
    return f"{module}.lora_A.weight", f"{module}.lora_B.weight"


def turned(matrix: TensorSpec) -> bool:
    """Whether it lies [in, out], so that B A is turned before it is added."""
    return matrix.inputs == (0,)


def factor_specs(matrices: Iterable[TensorSpec], rank: int) -> list[TensorSpec]:
    """Every factor; A starts uniform (:func:`initial_factors`), B at zero."""
    found = []
    for matrix in matrices:
        rows, columns = matrix.shape
        inputs, outputs = (rows, columns) if turned(matrix) else (columns, rows)
        a, b = factor_names(matrix.name)
        found += [
            TensorSpec(a, (rank, inputs), "normal", block=matrix.block),
            TensorSpec(b, (outputs, rank), "zeros", block=matrix.block),
        ]
    return found


def initial_factors(matrices: Iterable[TensorSpec], rank: int, seed: int) -> dict[str, np.ndarray]:
    """Starting factors: A uniform in ±1/sqrt(in) as in PEFT, B zero."""
    found = {}
    for spec in factor_specs(matrices, rank):
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
    config: BackboneConfig,
    matrices: Iterable[TensorSpec],
    scale: float,
) -> dict[str, np.ndarray]:
    """The base weights with every low-rank update added in; other tensors are the same arrays."""
    merged = {tensor.name: np.asarray(base[tensor.name]) for tensor in config.tensors()}
    for matrix in matrices:
        a, b = (factors[name] for name in factor_names(matrix.name))
        update = np.float32(scale) * (b @ a)
        merged[matrix.name] = merged[matrix.name] + (update.T if turned(matrix) else update)
    return merged


def write_adapter(
    folder: Path,
    factors: Mapping[str, np.ndarray],
    matrices: Iterable[TensorSpec],
    lora: LowRankSpec,
    *,
    modules: Collection[str],
    task: str | None,
) -> None:
    """Write PEFT's two files, so that ``PeftModel.from_pretrained`` opens the folder.

    Args:
        folder: Where; made where it is not there.
        factors: By name; what is no factor is left out.
        matrices: What they belong to.
        lora: Rank and scale.
        modules: What PEFT finds the modules by: their names, or the ends of these.
        task: PEFT's name of the task.
    """
    from safetensors.numpy import save_file

    matrices = list(matrices)
    names = {name for matrix in matrices for name in factor_names(matrix.name)}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"base_model.model.{name}": np.ascontiguousarray(value)
        for name, value in factors.items()
        if name in names
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": None,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "target_modules": list(dict.fromkeys(modules)),
        "fan_in_fan_out": any(turned(matrix) for matrix in matrices),
        "bias": "none",
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


@dataclass(frozen=True)
class Update:
    """A low-rank update that was read back.

    Attributes:
        a: [rank, in].
        b: [out, rank].
        scale: alpha / rank.
        turned: Whether the matrix lies [in, out].
    """

    a: np.ndarray
    b: np.ndarray
    scale: float
    turned: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix that it is added to."""
        found = self.b.shape[0], self.a.shape[1]
        return (found[1], found[0]) if self.turned else found

    def times(self, share: float) -> np.ndarray:
        """What is added to the matrix, float32, times a share."""
        update = np.float32(share * self.scale) * (self.b @ self.a)
        return np.asarray(update.T if self.turned else update)


def read_adapter(folder: Path) -> dict[str, Update] | None:
    """What :func:`write_adapter` wrote, by the matrix.

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
        lies = config["fan_in_fan_out"]
        if not isinstance(lies, bool):
            raise ValueError("fan_in_fan_out")
        tensors = open_tensors(file)
        found = {}
        for name in tensors:
            if name.endswith(".lora_A.weight"):
                matrix = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                other = name.replace(".lora_A.", ".lora_B.")
                a, b = (np.asarray(tensors[one], np.float32) for one in (name, other))
                found[f"{matrix}.weight"] = Update(a, b, scale, lies)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise TrainingError(
            "adapter_unreadable", detail=f"{type(error).__name__}: {error}"
        ) from None
    return found
