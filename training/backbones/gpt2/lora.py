"""Which of GPT-2's matrices LoRA adapts; :mod:`training.backbones.lora` has the rest."""

from __future__ import annotations

from training.backbones.contract import TensorSpec
from training.backbones.gpt2.config import GPT2Config
from training.spec import LoraSpec

#: A setting's value → the module inside a block.
TARGETS = {
    "c_attn": "attn.c_attn",
    "attn.c_proj": "attn.c_proj",
    "c_fc": "mlp.c_fc",
    "mlp.c_proj": "mlp.c_proj",
}


def adapted_matrices(config: GPT2Config, lora: LoraSpec) -> list[TensorSpec]:
    """The matrices that get factors, block by block."""
    specs = {tensor.name: tensor for tensor in config.tensors()}
    return [
        specs[f"transformer.h.{layer}.{TARGETS[target]}.weight"]
        for layer in range(config.n_layer)
        for target in dict.fromkeys(lora.targets)
    ]


def modules(lora: LoraSpec) -> list[str]:
    """What PEFT finds them by."""
    return [TARGETS[target] for target in dict.fromkeys(lora.targets)]
