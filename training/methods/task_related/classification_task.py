"""A network on its labelled examples: what the loop trains for :mod:`.classification`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.backbones.contract import TensorSpec
from training.backbones.lora import factor_specs, initial_factors, merge, write_adapter
from training.data.order import rows_of_batch, spread_batches
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizers import tokenizer_of
from training.engine.phases import Phase
from training.engine.policies import blocks_below_head, phases_of, rates_of
from training.evaluation.classification import Probabilities
from training.evaluation.classification_report import classification_report, without_a_model
from training.events import EventLog
from training.methods.contract import Batch
from training.methods.examples_task import ClassesTask
from training.methods.task_related.classification_spec import (
    ClassificationLoraSpec,
    adapted_matrices,
)
from training.report import describe_dataset
from training.weights.carrying import plan_from, start_weights
from training.weights.checkpoint import Checkpoint
from training.weights.initial import initial_weights
from training.weights.plan import Plan

if TYPE_CHECKING:
    from training.methods.task_related.classification import LoadedExamples


class ClassifierTask(ClassesTask):
    """A network on its labelled examples; see :class:`training.methods.contract.Task`."""

    def __init__(
        self, loaded: LoadedExamples, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        from training.backbones.registry import model_class

        self.loaded, self.spec = loaded, loaded.spec
        training = self.spec.training
        events.emit("phase", name="building", fraction=None, detail="")
        self.plan = self._plan()
        options: dict[str, Any] = {"compute_dtype": compute_dtype}
        if loaded.kind == "text":
            options["dropout"] = training.dropout
        with strategy.scope():
            self.model = model_class(loaded.config.architecture)(loaded.config, **options)
        self.weights_event = start_weights(
            self.plan,
            loaded.source,
            initial_weights(loaded.config, self.spec.seed),
            events,
            load=self.model.load_named,
            named=self.model.named,
        )
        factors = self._adapt(strategy)
        blocks = blocks_below_head(
            loaded.config,
            self._new_names(),
            factors,
            # As the plan of the copy which the source came from asked.
            frozenset(loaded.source.card.get("frozen", ()) if loaded.source else ()),
        )
        self.phases = phases_of(
            training.policy,
            blocks,
            steps=training.steps,
            share=training.frozen_share,
            stages=training.stages,
        )
        self.rates = rates_of(blocks, decay=training.rate_decay, head_rate=training.head_rate)
        ever = {name for phase in self.phases for name in phase.names}
        self.model.train_only(ever)
        self.parameters = {
            "total": loaded.config.parameter_count(),
            "trainable": sum(
                math.prod(spec.shape)
                for spec in [*loaded.config.tensors(), *factors]
                if spec.name in ever
            ),
        }
        self._pulled = self._kernels_to_pull(blocks) if training.l2_sp else {}

    def _plan(self) -> Plan | None:
        """Which weights come from the source; None: there is none."""
        loaded, spec = self.loaded, self.spec
        afresh = list(spec.source.reinitialise) if spec.source is not None else []
        if not loaded.keeps_head:
            afresh += loaded.config.label_head
        alike = loaded.source is None or _reads_alike(loaded.source, loaded.tokenizer)
        return plan_from(loaded.source, loaded.config, afresh, same_tokenizer=alike)

    def _new_names(self) -> set[str]:
        """What does not come whole from the source; without one nothing counts as new."""
        rows = self.plan.rows if self.plan is not None else []
        return {row.target for row in rows if row.copied < row.parameters}

    def _adapt(self, strategy: Any) -> list[TensorSpec]:
        """Give matrices their low-rank factors, as they start; none without LoRA."""
        lora = self.spec.training.lora
        self.matrices = adapted_matrices(self.loaded.config, lora)
        if lora is None:
            return []
        with strategy.scope():
            self.model.adapt(self.matrices, lora.rank, lora.alpha / lora.rank)
        initial = initial_factors(self.matrices, lora.rank, self.spec.seed)
        for name, value in initial.items():
            self.model.named_variables[name].assign(value)
        return factor_specs(self.matrices, lora.rank)

    def _kernels_to_pull(self, blocks: list[list[str]]) -> dict[str, np.ndarray]:
        """The backbone's matrices and convolutions, as they are before the first step."""
        variables = self.model.named_variables
        return {
            name: np.array(variables[name].value)
            for block in blocks[1:]
            for name in block
            if len(variables[name].shape) >= 2
        }

    # --- training ----------------------------------------------------------------------------

    def arrays(self, split: str, rows: Any, random: np.random.Generator | None = None) -> Batch:
        examples = self.loaded.splits[split]
        arrays = self.loaded.inputs.take(examples, rows, random)
        labels = examples.labels[rows].astype(np.int32)
        return (*arrays, labels, np.ones(len(rows), np.float32))

    def batch(self, index: int) -> Batch:
        seed, count = self.spec.seed, len(self.loaded.splits["train"])
        rows = rows_of_batch(seed, index, self.spec.training.batch_size, count)
        # The upper half of the key: no epoch's order is drawn from the same numbers.
        key = np.array([seed, (1 << 32) + index], np.uint64)
        return self.arrays("train", rows, np.random.Generator(np.random.Philox(key=key)))

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, real examples, and gradients of the sum; to be traced.

        Args:
            parts: What the inputs are, labels int32 [B], mask float32 [B].
            seed: int32 [2], for dropout.
            variables: What to differentiate by: the phase's tensors, in its order.
            phase: Which part of the run.
        """
        import tensorflow as tf

        *arrays, labels, mask = parts
        training = self.spec.training
        whole = phase.whole and (self.loaded.kind == "text" or training.norms == "batch")
        count = tf.reduce_sum(mask)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self.loaded.inputs.call(self.model, arrays, training=whole, seed=seed)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_sum(losses * mask)
        gradients = [tf.convert_to_tensor(one) for one in tape.gradient(loss, variables)]
        if training.l2_sp:
            # α (w − w₀) for the mean loss; gradients here are of the sum.
            for place, (name, variable) in enumerate(zip(phase.names, variables, strict=True)):
                if name in self._pulled:
                    gradients[place] += training.l2_sp * count * (variable - self._pulled[name])
        return loss, count, gradients

    # --- evaluation --------------------------------------------------------------------------

    def logits(self, arrays: Any) -> Any:
        return self.loaded.inputs.call(self.model, arrays, training=False)

    # --- the result --------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """Scores on what it never saw, beside what it must beat."""
        loaded, names = self.loaded, self.loaded.names
        split = "test" if "test" in loaded.splits else "validation"
        scored, train = loaded.splits[split], loaded.splits["train"]
        predicted = {"model": self._predict(split, events)}
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        predicted |= without_a_model(loaded.kind, train, scored, len(names), self.spec.seed)
        found = classification_report(
            loaded.kind, split, train, scored, names, predicted, self.spec.seed
        )
        return {"data": describe_dataset(Path(self.spec.data.path)), **found}

    def _predict(self, split: str, events: EventLog) -> Probabilities:
        """Probabilities of the classes, float64 [examples, classes]."""
        import tensorflow as tf

        compiled = tf.function(self.logits, autograph=False)
        count, told, found = len(self.loaded.splits[split]), 0.0, []
        for rows, real in spread_batches(count, self.spec.training.batch_size):
            *arrays, _labels, _mask = self.arrays(split, rows)
            logits = compiled(tuple(tf.constant(array) for array in arrays)).numpy()
            found.append(logits[:real].astype(np.float64))
            if time.monotonic() - told > 1:
                told = time.monotonic()
                done = sum(len(one) for one in found) / count
                events.emit("phase", name="evaluating", fraction=round(done, 4), detail=split)
        logits = np.concatenate(found)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(shares / shares.sum(1, keepdims=True))

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``, the head and the names of its classes with it."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        dataset = Path(self.spec.data.path)
        about = {
            "method": loaded.spec.method,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(dataset),
            "classes": loaded.names,
            "inputs": loaded.shown,
            **({"images": loaded.images} if loaded.images is not None else {}),
            **about,
        }
        lora, tensors, extras = self.spec.training.lora, self.model.named() | dict(best), None
        if lora is not None:
            scale = lora.alpha / lora.rank
            tensors = merge(tensors, tensors, loaded.config, self.matrices, scale)
            extras = partial(self._write_adapter, best, lora)
        rates = source.dropout if source is not None else None
        return write_checkpoint(
            folder,
            loaded.config,
            tensors,
            loaded.tokenizer,
            about,
            dropout=rates,
            extras=extras,
        )

    def _write_adapter(
        self, best: Mapping[str, np.ndarray], lora: ClassificationLoraSpec, folder: Path
    ) -> None:
        # Whole names: the ends of two of a block's modules can be the same.
        modules = [one.name.removesuffix(".weight") for one in self.matrices]
        task = "SEQ_CLS" if self.loaded.kind == "text" else None
        write_adapter(folder / "adapter", best, self.matrices, lora, modules=modules, task=task)


def _reads_alike(source: Checkpoint, tokenizer: TextTokenizer | None) -> bool:
    """Whether a row of the source's embedding means the same token to the new model."""
    return tokenizer is None or tokenizer_of(source).sha256 == tokenizer.sha256
