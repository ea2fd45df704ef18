"""A network on two views of unlabelled images: what the loop trains for all of these methods.

A method's task says what stands on top of the backbone, what is minimised, and what follows the
weights. Labels, where there are some, are read by what watches the training and by the report, and
never by the training itself.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.data.order import rows_of_batch, spread_batches
from training.engine.phases import Phase, one_phase
from training.evaluation.classification_report import classification_report, without_a_model
from training.events import EventLog
from training.features.geometry import Matrix
from training.features.heads import fit_head
from training.methods.contract import Batch
from training.methods.examples_task import ExamplesTask
from training.report import describe_dataset
from training.siamese.loaded import LoadedImages
from training.siamese.monitor import accuracies, dimensions, has_collapsed, spread
from training.siamese.network import SiameseNetwork
from training.siamese.settings import PROJECTOR, pooled_width
from training.siamese.views import two_views
from training.weights.carrying import carried, plan_from, start_weights
from training.weights.plan import Plan

#: Many times as many training images as a look takes are known to the report's scores.
REPORT_FACTOR = 10


class SiameseTask(ExamplesTask):
    """See :class:`training.methods.contract.Task`."""

    #: A small loss is what collapsed features have.
    keeps = "last"
    told = ("knn", "probe")

    def __init__(
        self, loaded: LoadedImages, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        import tensorflow as tf

        self.loaded, self.spec = loaded, loaded.spec
        events.emit("phase", name="building", fraction=None, detail="")
        self.plan = self._plan()
        mlps = self.spec.mlps(pooled_width(loaded.config))
        with strategy.scope():
            self.model = SiameseNetwork(
                loaded.config,
                mlps,
                follows=(PROJECTOR,) if self.spec.has_momentum else None,
                queue=self.spec.queue_shape,
                compute_dtype=compute_dtype,
            )
        self.weights_event = start_weights(
            self.plan,
            loaded.source,
            self._random(),
            events,
            load=lambda backbone: self.model.start(backbone, self.spec.seed),
            named=self.model.online.named,
        )
        trained = self.model.trainable_names()
        self.phases = one_phase(trained)
        sizes = {name: math.prod(self.model.named_variables[name].shape) for name in trained}
        self.parameters = {"total": sum(sizes.values()), "trainable": sum(sizes.values())}
        self._features = tf.function(self._seen, autograph=False)
        # A resumed run is built like a new one, and only then takes up its state.
        self._start = self._look_closer()

    # --- what a method says --------------------------------------------------------------------

    @abstractmethod
    def losses(self, first: Any, second: Any, mask: Any, seed: Any, *, training: bool) -> Any:
        """In a graph: the loss of each image, float32 [batch].

        Args:
            first: A view of each, normalised, float32 [batch, px, px, channels].
            second: The other.
            mask: float32 [batch], 0 where a row does not count.
            seed: int32 [2], for what is drawn beside the views.
            training: Whether this is a step; otherwise nothing changes.
        """

    # --- weights -------------------------------------------------------------------------------

    def _plan(self) -> Plan | None:
        """Which weights come from the source; None: there is none."""
        loaded, spec = self.loaded, self.spec
        afresh = spec.source.reinitialise if spec.source is not None else []
        return plan_from(loaded.source, loaded.config, afresh)

    def _random(self) -> Mapping[str, np.ndarray]:
        from training.weights.initial import initial_weights

        return initial_weights(self.loaded.config, self.spec.seed)

    # --- training ------------------------------------------------------------------------------

    def arrays(self, split: str, rows: Any) -> Batch:
        (pixels,) = self.loaded.inputs.take(self.loaded.splits[split], rows)
        return pixels, np.ones(len(rows), np.float32)

    def batch(self, index: int) -> Batch:
        seed, count = self.spec.seed, len(self.loaded.splits["train"])
        return self.arrays(
            "train", rows_of_batch(seed, index, self.spec.training.batch_size, count)
        )

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, images, and gradients of the sum; to be traced.

        Args:
            parts: Pixels uint8 [B, px, px, channels], mask float32 [B].
            seed: int32 [2], for views.
            variables: What to differentiate by.
            phase: Which part of the run; there is only one.
        """
        import tensorflow as tf

        pixels, mask = parts
        first, second = map(self._normalised, two_views(pixels, seed, self.spec.views))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = self.losses(first, second, mask, seed, training=True)
            loss = tf.reduce_sum(losses * mask)
        found = tape.gradient(loss, variables, unconnected_gradients="zero")
        return loss, tf.reduce_sum(mask), found

    def _normalised(self, view: Any) -> Any:
        inputs = self.loaded.inputs
        return (view - inputs.mean) / inputs.deviation

    # --- evaluation ----------------------------------------------------------------------------

    def scores(self, parts: Any) -> dict[str, Any]:
        import tensorflow as tf

        pixels, mask = parts
        # The same views at every look, and none that a step draws.
        seed = tf.constant([self.spec.seed, -1], tf.int32)
        first, second = map(self._normalised, two_views(pixels, seed, self.spec.views))
        losses = self.losses(first, second, mask, seed, training=False)
        return {"loss": tf.reduce_sum(losses * mask), "examples": tf.reduce_sum(mask)}

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Mean loss of two views of an image, images."""
        return {"loss": sums["loss"] / sums["examples"], "examples": int(sums["examples"])}

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Beside the loss: ``spread`` and ``dimensions`` of the projections, and where there are
        labels ``knn`` and ``probe``; ``collapse`` is 1 at each look that raises the alarm, else
        0."""
        found = self._look_closer()
        alarm = has_collapsed(found, self._start)
        found = {"views_loss": scores["loss"], **found, "collapse": float(alarm)}
        return {f"validation_{name}": value for name, value in found.items()}

    def measure(self, split: str) -> dict[str, float]:
        evaluation = self.spec.evaluation
        known = evaluation.examples * REPORT_FACTOR
        most = evaluation.batches * self.spec.training.batch_size * REPORT_FACTOR
        return self._watch(split, known, most)

    def _look_closer(self) -> dict[str, float]:
        """What a look finds beside the loss."""
        evaluation = self.spec.evaluation
        most = evaluation.batches * self.spec.training.batch_size
        return self._watch("validation", evaluation.examples, most)

    def _watch(self, split: str, known: int, most: int) -> dict[str, float]:
        """Spread, dimensions, and where there are labels, what features are good for.

        Args:
            split: Whose features.
            known: Most images of the training split.
            most: Most images of the split.
        """
        features, projections, truth = self._features_of(split, most)
        found = {"spread": spread(projections), "dimensions": dimensions(projections)}
        if self.loaded.names:
            seen, _projections, labels = self._features_of("train", known)
            neighbours = self.spec.evaluation.neighbours
            found |= accuracies(seen, labels, features, truth, neighbours)
        return found

    def _seen(self, pixels: Any) -> tuple[Any, Any]:
        """In a graph: pooled features and projections of whole images."""
        import tensorflow as tf

        images = self._normalised(tf.cast(pixels, tf.float32) / 255)
        features = self.model.online.pooled(images, False)
        return features, self.model.mlps.through(PROJECTOR, features, False)

    def _features_of(
        self, split: str, most: int | None = None, events: EventLog | None = None
    ) -> tuple[Matrix, Matrix, np.ndarray]:
        """Features, projections and labels of a split, at most so many, spread over it."""
        import tensorflow as tf

        examples, size = self.loaded.splits[split], self.spec.training.batch_size
        size = size if most is None else min(size, most)
        limit = None if most is None else most // size
        found, labels, told, done = [], [], time.monotonic(), 0
        for rows, real in spread_batches(len(examples), size, limit):
            pixels, _mask = self.arrays(split, rows)
            found.append([one.numpy()[:real] for one in self._features(tf.constant(pixels))])
            labels.append(examples.labels[rows[:real]])
            done += real
            if events is not None and time.monotonic() - told > 1:
                told = time.monotonic()
                share = round(done / len(examples), 4)
                events.emit("phase", name="evaluating", fraction=share, detail=split)
        features, projections = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return features, projections, np.concatenate(labels)

    # --- the result ----------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """A linear probe on what it never saw, beside what it must beat; where there are labels."""
        loaded, names, seed = self.loaded, self.loaded.names, self.spec.seed
        found: dict[str, Any] = {"data": describe_dataset(Path(self.spec.data.path))}
        if not names:
            return found
        split = "test" if "test" in loaded.splits else "validation"
        scored, train = loaded.splits[split], loaded.splits["train"]
        trained = self.model.online.named()
        starts = {"model": trained, "random": self._random()}
        if loaded.source is not None:
            starts["source"] = carried(self.plan, loaded.source, self._random())
        predicted = {}
        for name, weights in starts.items():
            self.model.online.load_named(weights)
            seen, _projections, labels = self._features_of("train", None, events)
            unseen, _projections, _truth = self._features_of(split, None, events)
            predicted[name] = fit_head("logistic", seen, labels, len(names), seed).predict(unseen)
        self.model.online.load_named(trained)
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        predicted |= without_a_model("image", train, scored, len(names), seed)
        return found | classification_report("image", split, train, scored, names, predicted, seed)

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``: the backbone alone; what stood on top of it has done its work."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        about = {
            "method": self.spec.method,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(Path(self.spec.data.path)),
            "images": loaded.images,
            **about,
        }
        tensors = self.model.online.named()
        tensors |= {name: value for name, value in best.items() if name in tensors}
        return write_checkpoint(folder, loaded.config, tensors, None, about)
