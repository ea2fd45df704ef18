"""Wide & Deep on the rows of a table: what the loop trains for :mod:`.wide_deep`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from training.backbones.wide_deep.model import WideDeep
from training.data.order import rows_of_batch
from training.data.table_features import Features
from training.data.tables import FIRST
from training.engine.ftrl import AdaGrad, Ftrl, Together
from training.engine.optimizer import AdamW, Optimizer
from training.engine.phases import Phase, one_phase
from training.evaluation import baselines
from training.evaluation.classification import Probabilities, softmax
from training.evaluation.classification_report import classification_report
from training.evaluation.table_baselines import table_baselines
from training.events import EventLog
from training.methods.contract import Batch
from training.methods.examples_task import ClassesTask
from training.predicting.outputs import table_outputs
from training.report import describe_dataset
from training.spec import OptimisationSpec
from training.weights.carrying import plan_from, start_weights
from training.weights.plan import Plan

if TYPE_CHECKING:
    from training.methods.task_related.wide_deep import LoadedTable

#: β of FTRL [0], and what AdaGrad's sums of squares begin at: gradients of a batch's mean loss are
#: small beside Keras's 0.1, which would hold the first thousand steps back.
BETA, START = 1.0, 1e-4


class WideDeepTask(ClassesTask):
    """See :class:`training.methods.contract.Task`."""

    def __init__(
        self, loaded: LoadedTable, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        self.loaded, self.spec = loaded, loaded.spec
        events.emit("phase", name="building", fraction=None, detail="")
        with strategy.scope():
            self.model = WideDeep(loaded.config, compute_dtype, self.spec.training.dropout)
        self.plan = self._plan()
        self.weights_event = start_weights(
            self.plan,
            loaded.source,
            self._random(),
            events,
            load=self.model.load_named,
            named=self.model.named,
        )
        self.phases = one_phase(self.model.trainable_names())
        count = loaded.config.parameter_count()
        self.parameters = {"total": count, "trainable": count}

    # --- weights -------------------------------------------------------------------------------

    def _plan(self) -> Plan | None:
        """Which weights come from the source; None: there is none.

        Rows keep the source's places, and new ones stand behind them.
        """
        loaded, spec = self.loaded, self.spec
        afresh = list(spec.source.reinitialise) if spec.source is not None else []
        if not loaded.keeps_head:
            afresh += loaded.config.label_head
        return plan_from(loaded.source, loaded.config, afresh)

    def _random(self) -> dict[str, np.ndarray]:
        """Weights without a source."""
        from training.weights.initial import initial_weights

        found = dict(initial_weights(self.loaded.config, self.spec.seed))
        for name, value in found.items():
            if name.startswith("deep.embedding."):
                # No training row is unseen: what stands for it stays as it is, and says nothing.
                value[:FIRST] = 0
        return found

    def optimizer(self, variables: Mapping[str, Any], training: OptimisationSpec) -> Optimizer:
        """FTRL for the wide part and AdaGrad or AdamW for the deep one, in one step.

        The bias is the wide part's, and the deep part's where that is alone.
        """
        own = self.spec.training
        has_wide = self.loaded.config.has_wide
        wide = {n: v for n, v in variables.items() if not n.startswith("deep.") and has_wide}
        deep = {n: v for n, v in variables.items() if n not in wide}
        by_ftrl = Ftrl(
            wide,
            training,
            rate=own.wide_rate,
            beta=BETA,
            l1=own.l1,
            l2=own.l2,
            unpenalised={"bias"},
        )
        if own.deep_optimiser == "adamw":
            return Together([by_ftrl, AdamW(deep, training)], training)
        return Together([by_ftrl, AdaGrad(deep, training, start=START)], training)

    # --- training ------------------------------------------------------------------------------

    def arrays(self, split: str, rows: Any) -> Batch:
        one = self.loaded.splits[split]
        labels = one.labels[rows].astype(np.int32)
        return (*one.features.take(rows), labels, np.ones(len(rows), np.float32))

    def batch(self, index: int) -> Batch:
        seed, count = self.spec.seed, len(self.loaded.splits["train"])
        rows = rows_of_batch(seed, index, self.spec.training.batch_size, count)
        return self.arrays("train", rows)

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, rows, and gradients of the sum; to be traced.

        Args:
            parts: What :meth:`WideDeep.call` takes, labels int32 [B], mask float32 [B].
            seed: int32 [2], for dropout.
            variables: What to differentiate by.
            phase: Which part of the run; there is only one.
        """
        *rows, labels, mask = parts
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self.model(tuple(rows), training=True, seed=seed)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_sum(losses * mask)
        return loss, tf.reduce_sum(mask), tape.gradient(loss, variables)

    def logits(self, arrays: Any) -> Any:
        return self.model(tuple(arrays), training=False)

    # --- the result ----------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """Scores on what it never saw, beside what it must beat."""
        loaded, seed = self.loaded, self.spec.seed
        names = loaded.names
        split = "test" if "test" in loaded.splits else "validation"
        scored, train = loaded.splits[split], loaded.splits["train"]
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        classes = len(names)
        predicted = {
            "model": probabilities(self.model, scored.features),
            **table_baselines(train.features, train.labels, scored.features, classes, seed),
            "majority": baselines.majority(train.labels, len(scored), classes),
        }
        return {
            "data": describe_dataset(Path(self.spec.data.path)),
            "target": loaded.features.target,
            "zero_share": self._zero_share(),
            **classification_report("table", split, train, scored, names, predicted, seed),
        }

    def _zero_share(self) -> float | None:
        """Of the wide part's weights, those that are exactly zero; None without such a part."""
        found = [v for name, v in self.model.named().items() if name.startswith("wide.")]
        if not found:
            return None
        return float(sum((v == 0).sum() for v in found) / sum(v.size for v in found))

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``, with ``table.json``: what its columns and rows mean."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        about = {
            "method": self.spec.method,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(Path(self.spec.data.path)),
            "classes": loaded.names,
            **about,
        }
        tensors = self.model.named() | dict(best)
        return write_checkpoint(
            folder, loaded.config, tensors, None, about, extras=loaded.features.write
        )


def probabilities(model: WideDeep, features: Features) -> Probabilities:
    """Probabilities of the classes, float64 [rows, classes]."""

    (told,) = table_outputs(lambda rows: [model(rows, training=False)], features)
    return softmax(told)
