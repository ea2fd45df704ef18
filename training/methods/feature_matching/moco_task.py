"""What the loop trains for :mod:`.moco`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.methods.feature_matching.moco import MoCoSpec
from training.siamese.losses import info_nce, unit
from training.siamese.settings import QUEUE
from training.siamese.task import SiameseTask


class MoCoTask(SiameseTask):
    """See :class:`training.siamese.task.SiameseTask`."""

    spec: MoCoSpec

    def losses(self, first: Any, second: Any, mask: Any, seed: Any, *, training: bool) -> Any:
        objective = self.spec.objective
        parts = objective.norm_parts
        queries = self.model.projected(first, training=training, parts=parts)
        keys = unit(tf.stop_gradient(self._keys(second, seed, training)))
        queue = self.model.named_variables[QUEUE].value
        losses = info_nce(queries, keys, tf.identity(queue), objective.temperature)
        if training:
            with tf.control_dependencies([losses]):
                replicas = tf.distribute.get_replica_context().num_replicas_in_sync
                self.model.enqueue(tf.identity(keys), seed[1] // replicas)
        return losses

    def _keys(self, views: Any, seed: Any, training: bool) -> Any:
        """Projections by the momentum encoder, of views in another order while it normalises."""
        parts = self.spec.objective.norm_parts
        if parts == 1 or not training:
            return self.model.projected(views, training=training, target=True)
        fold = tf.random.experimental.stateless_fold_in
        order = tf.random.experimental.stateless_shuffle(
            tf.range(tf.shape(views)[0]), fold(seed, 2)
        )
        shuffled = tf.gather(views, order)
        keys = self.model.projected(shuffled, training=training, target=True, parts=parts)
        return tf.gather(keys, tf.argsort(order))

    def follow(self, step: Any) -> None:
        """The key encoder follows at the same pace throughout."""
        self.model.follow(tf.constant(self.spec.objective.momentum))
