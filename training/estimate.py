"""What a run will take, before it starts: parameters, memory, time. Pure Python.

Memory is counted array by array as the trainer makes them, with three constants calibrated against
the peak resident memory of real runs on a processor (``docs/methods/causal_lm.md`` has the
figures); expect 30% either way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.gpt2.config import GPT2Config
from training.spec import RunSpec

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
    spec: RunSpec,
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


def estimate_classifier(
    spec: Any,
    config: BackboneConfig,
    examples_per_s: float | None = None,
    factors: Sequence[TensorSpec] | None = None,
) -> Estimate:
    """What is known of a classifier's run without building it.

    The memory is that of the weights and what training keeps of each: what a network computes on
    the way comes on top, and depends on the architecture and the size of the images.

    Args:
        spec: A :class:`training.methods.task_related.classification_spec.ClassificationSpec`.
        config: Its network.
        examples_per_s: As measured before, for ``seconds``.
        factors: Of LoRA; None without it.
    """
    training = spec.training
    parameters = config.parameter_count()
    trainable = parameters
    if training.policy == "head" or factors is not None:
        trainable = sum(one.size for one in config.tensors() if one.trained and one.block == "head")
    if training.policy != "head":
        trainable += sum(one.size for one in factors or ())
    memory = {
        "process": PROCESS_BYTES,
        # The factors are weights beside the others.
        "weights": 4 * (parameters + sum(one.size for one in factors or ())),
        "gradients": 4 * trainable * (2 if training.accumulation > 1 else 1),
        "optimizer": 8 * trainable,
        "best": 4 * trainable,
    }
    examples = training.steps * training.batch_size * training.accumulation
    return Estimate(
        parameters=parameters,
        trainable=trainable,
        memory=memory,
        memory_bytes=sum(memory.values()),
        tokens=examples,
        flops=0.0,
        seconds=examples / examples_per_s if examples_per_s else None,
        disk_bytes=2 * 12 * trainable + 8 * trainable + 4 * parameters,
    )


def estimate_siamese(
    spec: Any,
    config: BackboneConfig,
    on_top: int,
    follows: int,
    examples_per_s: float | None = None,
) -> Estimate:
    """What is known of a run on two views without building it; as :func:`estimate_classifier`.

    Args:
        spec: A :class:`training.siamese.settings.SiameseSpec`.
        config: Its backbone, without a head.
        on_top: Values that are trained beside the backbone.
        follows: Values that change without gradients: of a momentum encoder, of a queue.
        examples_per_s: As measured before, for ``seconds``.
    """
    training = spec.training
    trainable = config.parameter_count() + on_top
    memory = {
        "process": PROCESS_BYTES,
        "weights": 4 * (trainable + follows),
        "gradients": 4 * trainable * (2 if training.accumulation > 1 else 1),
        "optimizer": 8 * trainable,
        "best": 4 * (trainable + follows),
    }
    examples = training.steps * training.batch_size * training.accumulation
    return Estimate(
        parameters=trainable,
        trainable=trainable,
        memory=memory,
        memory_bytes=sum(memory.values()),
        tokens=examples,
        flops=0.0,
        seconds=examples / examples_per_s if examples_per_s else None,
        disk_bytes=2 * (12 * trainable + 4 * follows) + 8 * trainable + 4 * trainable,
    )


def estimate_table(
    spec: Any, config: BackboneConfig, slots: int, examples_per_s: float | None = None
) -> Estimate:
    """What is known of a run on a table; the table's own arrays come on top.

    Args:
        spec: A :class:`training.methods.task_related.wide_deep_spec.WideDeepSpec`.
        config: Its model.
        slots: Values that the optimisers keep.
        examples_per_s: As measured before, for ``seconds``.
    """
    training = spec.training
    parameters = config.parameter_count()
    memory = {
        "process": PROCESS_BYTES,
        "weights": 4 * parameters,
        "gradients": 4 * parameters * (2 if training.accumulation > 1 else 1),
        "optimizer": 4 * slots,
        "best": 4 * parameters,
    }
    examples = training.steps * training.batch_size * training.accumulation
    return Estimate(
        parameters=parameters,
        trainable=parameters,
        memory=memory,
        memory_bytes=sum(memory.values()),
        tokens=examples,
        flops=0.0,
        seconds=examples / examples_per_s if examples_per_s else None,
        disk_bytes=2 * 4 * (parameters + slots) + 8 * parameters + 4 * parameters,
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
