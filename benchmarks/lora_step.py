"""A training step of a classifier with MiniLM's shape: LoRA beside everything trained, in turns.

    python -m benchmarks lora_step

Random weights, sixteen texts of 64 tokens, float32, dropout off, rank 8 beside queries and values:
loss and the gradients of all that is trained, in a graph, without the optimiser. The first loss of
both is the same, since LoRA starts as the base does. No bar: it says what LoRA saves.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.turns import Side, report, serve, take_turns

MODULE = "benchmarks.lora_step"
WHOLE, LORA = "everything", "LoRA"
BATCH, TOKENS = 16, 64


def main() -> None:
    parser = argparse.ArgumentParser(prog="lora_step", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="a round has")
    parser.add_argument("--side", choices=[WHOLE, LORA], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(side(options.side))
        return
    sides = [Side(MODULE, LORA), Side(MODULE, WHOLE)]
    try:
        found = take_turns(sides, options.steps, options.rounds)
    finally:
        for one in sides:
            one.close()
    print(report(found, options.steps * BATCH, "texts", LORA))
    pairs = list(zip(found[LORA], found[WHOLE], strict=True))
    assert all(abs(one[1] - other[1]) < 1e-4 for one, other in pairs), "not the same network"
    ratio = statistics.median(one[0] / other[0] for one, other in pairs)
    print(f"\nA step with LoRA takes {ratio:.2f} × as long.")


def side(name: str) -> Callable[[int], tuple[float, float]]:
    """The gradients of one side's trained weights."""
    import tensorflow as tf

    from training.backbones.bert.config import PRESETS
    from training.backbones.lora import initial_factors
    from training.backbones.registry import model_class
    from training.engine.devices import configure, default_threads
    from training.fine_tuning.settings import FineTuningLoraSpec, adapted_matrices, with_classes
    from training.spec import DeviceSpec
    from training.weights.initial import initial_weights

    configure(DeviceSpec(), default_threads())
    config = with_classes(PRESETS["minilm-l6"], ["no", "yes"])
    model = model_class(config.architecture)(config)
    model.load_named(initial_weights(config, 0))
    trained = model.trainable_names()
    if name == LORA:
        lora = FineTuningLoraSpec()
        matrices = adapted_matrices(config, lora)
        model.adapt(matrices, lora.rank, lora.alpha / lora.rank)
        factors = initial_factors(matrices, lora.rank, 0)
        for factor, value in factors.items():
            model.named_variables[factor].assign(value)
        trained = [*factors, *(one.name for one in config.tensors() if one.block == "head")]
    variables = [model.named_variables[one].value for one in trained]
    random = np.random.default_rng(0)
    tokens = tf.constant(random.integers(5, config.vocabulary, (BATCH, TOKENS)), tf.int32)
    mask, labels = tf.ones([BATCH, TOKENS], tf.int32), tf.constant(np.arange(BATCH) % 2, tf.int32)

    def step() -> tuple[object, list[object]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = model(tokens, mask, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses)
        # Given back, so that none of them is left out.
        return loss, [tf.reduce_sum(one) for one in tape.gradient(loss, variables)]

    compiled = tf.function(step, autograph=False)

    def work(steps: int) -> tuple[float, float]:
        began = time.perf_counter()
        losses = [float(compiled()[0]) for _ in range(steps)]
        return time.perf_counter() - began, sum(losses) / steps

    return work


if __name__ == "__main__":
    main()
