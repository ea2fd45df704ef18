"""A network with a head on labelled examples: what the loop trains, whatever the labels are."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.backbones.contract import TensorSpec
from training.backbones.lora import factor_specs, initial_factors, merge, write_adapter
from training.data.order import rows_of_batch
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizers import tokenizer_of
from training.engine.phases import Phase
from training.engine.policies import blocks_below_head, phases_of, rates_of
from training.events import EventLog
from training.fine_tuning.settings import FineTuningLoraSpec, adapted_matrices
from training.methods.contract import Batch
from training.methods.examples_task import ExamplesTask
from training.predicting.outputs import outputs_by_batch
from training.report import describe_dataset
from training.weights.carrying import plan_from, start_weights
from training.weights.checkpoint import Checkpoint
from training.weights.initial import initial_weights
from training.weights.plan import Plan


class FineTuningTask(ExamplesTask):
    """A network on its labelled examples; see :class:`training.methods.contract.Task`.

    The last arrays of a batch are the labels [batch] and the mask, float32 [batch]; of sentences
    whose words are labelled both are [batch, time]. A method says what of the outputs is minimised,
    what a report says, and what a checkpoint's card has.
    """

    #: What PEFT calls the task of an adapter for texts.
    PEFT_TASK = "SEQ_CLS"

    #: Of the labels in a batch.
    label_dtype: type[np.generic]

    def __init__(self, loaded: Any, compute_dtype: str, strategy: Any, events: EventLog) -> None:
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
        self.begin()
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

    def begin(self) -> None:
        """Change the starting weights, once they are copied and proved."""

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
        labels = examples.labels[rows].astype(self.label_dtype)
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
            parts: What the inputs are, labels and mask.
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
            said = self.loaded.inputs.call(self.model, arrays, training=whole, seed=seed)
            loss = tf.reduce_sum(self.losses(said, labels) * mask)
        gradients = [tf.convert_to_tensor(one) for one in tape.gradient(loss, variables)]
        if training.l2_sp:
            # α (w − w₀) for the mean loss; gradients here are of the sum.
            for place, (name, variable) in enumerate(zip(phase.names, variables, strict=True)):
                if name in self._pulled:
                    gradients[place] += training.l2_sp * count * (variable - self._pulled[name])
        return loss, count, gradients

    @abstractmethod
    def losses(self, said: Any, labels: Any) -> Any:
        """In a graph: the loss of each label, float32 as the mask, from the head's outputs."""

    # --- evaluation --------------------------------------------------------------------------

    def logits(self, arrays: Any) -> Any:
        """In a graph: what the head says, float32 [batch, outputs], as when it is used."""
        return self.loaded.inputs.call(self.model, arrays, training=False)

    def outputs(self, split: str, events: EventLog) -> npt.NDArray[np.float64]:
        """What the head says of a split's labels, in their order, [labels, outputs]."""

        def call(arrays: Any) -> Any:
            *shown, _labels, _mask = arrays
            return [self.logits(shown)]

        def tell(share: float) -> None:
            events.emit("phase", name="evaluating", fraction=round(share, 4), detail=split)

        count, size = len(self.loaded.splits[split]), self.spec.training.batch_size
        batches = outputs_by_batch(call, partial(self.arrays, split), count, size, tell)
        return np.concatenate([said[arrays[-1] > 0] for arrays, (said,) in batches])

    # --- the result --------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """Scores on what it never saw, beside what it must beat."""
        split = "test" if "test" in self.loaded.splits else "validation"
        found = self.scored(split, events)
        return {"data": describe_dataset(Path(self.spec.data.path)), **found}

    @abstractmethod
    def scored(self, split: str, events: EventLog) -> dict[str, Any]:
        """What the report says of a split."""

    @abstractmethod
    def told_of_labels(self) -> dict[str, Any]:
        """What the checkpoint's card says of them."""

    def finished(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The weights as they are written."""
        return tensors

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``, the head and what it says with it."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        dataset = Path(self.spec.data.path)
        about = {
            "method": loaded.spec.method,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(dataset),
            **self.told_of_labels(),
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
            self.finished(tensors),
            loaded.tokenizer,
            about,
            dropout=rates,
            extras=extras,
        )

    def _write_adapter(
        self, best: Mapping[str, np.ndarray], lora: FineTuningLoraSpec, folder: Path
    ) -> None:
        # Whole names: the ends of two of a block's modules can be the same.
        modules = [one.name.removesuffix(".weight") for one in self.matrices]
        task = self.PEFT_TASK if self.loaded.kind == "text" else None
        write_adapter(folder / "adapter", best, self.matrices, lora, modules=modules, task=task)


def _reads_alike(source: Checkpoint, tokenizer: TextTokenizer | None) -> bool:
    """Whether a row of the source's embedding means the same token to the new model."""
    return tokenizer is None or tokenizer_of(source).sha256 == tokenizer.sha256
