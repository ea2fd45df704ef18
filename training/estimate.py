"""What a run will take, before it starts: parameters, memory, time. Pure Python.

Memory is counted array by array as the trainer makes them, with three constants calibrated against
the peak resident memory of real runs on a processor (``docs/methods/causal_lm.md`` has the
figures); expect 30% either way.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from training.backbones.gpt2.config import GPT2Config
from training.spec import LanguageModelSpec, OptimisationSpec

#: Bytes of the process before any model: Python, TensorFlow, Keras, graphs.
PROCESS_BYTES = 720 * 2**20
#: Values kept for the backward pass for each token and layer, in multiples of the width, of the
#: inner width, and of heads × context.
PER_WIDTH, PER_INNER, PER_SCORE = 14.0, 4.0, 2.0
#: Arrays the size of the logits alive at once: logits, exponentials or labels, their gradient.
LOGITS_COPIES = 3.0
#: Speed assumed of a processor's core when none was measured, FLOP/s in float32.
FLOPS_PER_CORE = 6e10


@dataclass(frozen=True)
class Estimate:
    """An estimate; bytes, seconds, counts.

    Attributes:
        parameters: All of the model's.
        trainable: Those that training changes.
        memory: Parts: process, weights, gradients, optimizer, best, activations, logits.
        memory_bytes: Their sum.
        tokens: Seen over the whole run; examples, where the method counts these.
        flops: Floating-point operations of the whole run, evaluation included; 0: not known.
        seconds: At the speed given; None without one.
        disk_bytes: The states kept and the checkpoint.
    """

    parameters: int
    trainable: int
    memory: dict[str, int]
    memory_bytes: int
    tokens: int
    flops: float
    seconds: float | None
    disk_bytes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def estimate(
    spec: LanguageModelSpec,
    config: GPT2Config,
    flops_per_s: float | None = None,
    trainable_tensors: list[tuple[int, ...]] | None = None,
) -> Estimate:
    """Estimate a run.

    Args:
        spec: The run.
        config: Its model, the vocabulary already set by the tokenizer.
        flops_per_s: Speed of the machine, for ``seconds``; see :func:`assumed_speed`.
        trainable_tensors: Shapes of what is trained; default: LoRA's factors or everything.
    """
    training = spec.training
    parameters = config.parameter_count()
    if trainable_tensors is not None:
        trainable = sum(math.prod(shape) for shape in trainable_tensors)
    elif training.lora:
        trainable = _lora_parameters(config, training.lora.rank, training.lora.targets)
    else:
        trainable = parameters
    everything = trainable == parameters
    half = training.precision == "bfloat16"
    per_value = 2 if half else 4

    rows = math.ceil(training.batch_size / spec.devices.count) * training.sequence_length
    kept = config.n_layer * (
        PER_WIDTH * config.n_embd
        + PER_INNER * config.inner
        + PER_SCORE * config.n_head * training.sequence_length
    )
    lora_base = 0 if everything else 4 * trainable
    memory = {
        "process": PROCESS_BYTES,
        "weights": 4 * parameters + lora_base + (2 * parameters if half else 0),
        "gradients": 4 * trainable * (2 if training.accumulation > 1 else 1),
        "optimizer": 8 * trainable,
        "best": 4 * trainable,
        "activations": int(rows * kept * (4 + per_value) / 2),
        "logits": int(rows * config.vocab_size * 4 * LOGITS_COPIES),
    }
    states = 2 * 12 * trainable + 8 * trainable
    tokens = training.steps * training.batch_size * training.accumulation * training.sequence_length
    flops = tokens * flops_per_token(config, training.sequence_length, everything)
    looks = 2 + training.steps // spec.evaluation.every
    look_tokens = spec.evaluation.batches * training.batch_size * training.sequence_length
    look_tokens *= spec.readings
    # Two reports of up to ten looks each; a look is a forward pass, a third of a step.
    flops += (
        (looks + 20) * look_tokens * flops_per_token(config, training.sequence_length, True) / 3
    )
    return Estimate(
        parameters=parameters,
        trainable=trainable,
        memory=memory,
        memory_bytes=sum(memory.values()),
        tokens=tokens,
        flops=flops,
        seconds=None if not flops_per_s else flops / flops_per_s,
        disk_bytes=states + 4 * parameters,
    )


def estimate_examples(
    training: OptimisationSpec,
    *,
    parameters: int,
    trainable: int,
    slots: int,
    weights: int,
    followed: int = 0,
    examples_per_s: float | None = None,
) -> Estimate:
    """What is known of a run on examples without building it.

    The memory is that of the weights and what training keeps of each: what a network computes on
    the way comes on top, and depends on the architecture and the size of the examples; so do data
    that are held as arrays.

    Args:
        training: Steps and batches.
        parameters: Values of the checkpoint that it makes.
        trainable: Values that gradients change.
        slots: Values that the optimiser keeps.
        weights: Values that the network has.
        followed: Those of them that change without gradients.
        examples_per_s: As measured before, for ``seconds``.
    """
    memory = {
        "process": PROCESS_BYTES,
        "weights": 4 * weights,
        "gradients": 4 * trainable * (2 if training.accumulation > 1 else 1),
        "optimizer": 4 * slots,
        "best": 4 * (trainable + followed),
    }
    examples = training.steps * training.batch_size * training.accumulation
    checkpoints = 1 + len(training.cycle_ends)
    return Estimate(
        parameters=parameters,
        trainable=trainable,
        memory=memory,
        memory_bytes=sum(memory.values()),
        tokens=examples,
        flops=0.0,
        seconds=examples / examples_per_s if examples_per_s else None,
        disk_bytes=2 * 4 * (trainable + followed + slots)
        + 8 * trainable
        + 4 * parameters * checkpoints,
    )


def flops_per_token(config: GPT2Config, sequence_length: int, everything: bool = True) -> float:
    """Operations of a training step for each token: forward 2, backward 4 a weight.

    The head counts as its own matrix, tied or not; looking embeddings up costs nothing. Where only
    a few weights are trained (LoRA), gradients of the others are not computed: 4 in all.
    """
    matrices = config.n_layer * (4 * config.n_embd**2 + 2 * config.n_embd * config.inner)
    matrices += config.vocab_size * config.n_embd
    attention = 2 * config.n_layer * config.n_embd * sequence_length
    return (6 if everything else 4) * (matrices + attention)


def assumed_speed(cores: int) -> float:
    """FLOP/s to expect of a processor on which nothing has been measured yet."""
    return FLOPS_PER_CORE * cores


def _lora_parameters(config: GPT2Config, rank: int, targets: list[Any]) -> int:
    width, inner = config.n_embd, config.inner
    sizes = {
        "c_attn": width + 3 * width,
        "attn.c_proj": width + width,
        "c_fc": width + inner,
        "mlp.c_proj": inner + width,
    }
    return config.n_layer * rank * sum(sizes[target] for target in set(targets))
