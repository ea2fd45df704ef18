"""What the loop trains for :mod:`.simclr`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.methods.task_related.simclr import SimCLRSpec
from training.siamese.losses import nt_xent
from training.siamese.network import gathered
from training.siamese.task import SiameseTask


class SimCLRTask(SiameseTask):
    """See :class:`training.siamese.task.SiameseTask`."""

    spec: SimCLRSpec

    def losses(self, first: Any, second: Any, mask: Any, seed: Any, *, training: bool) -> Any:
        """Both views go through the network together, so that batch norms see them alike."""
        rows = tf.shape(first)[0]
        both = self.model.projected(tf.concat([first, second], 0), training=training)
        views = both[:rows], both[rows:]
        # Negatives are those of all devices; what is gathered has its gradient on each.
        everyone = (gathered(views[0]), gathered(views[1]), gathered(mask))
        context = tf.distribute.get_replica_context()
        offset = context.replica_id_in_sync_group * rows
        return nt_xent(*views, self.spec.objective.temperature, mask, everyone, offset)
