"""What the loop trains for :mod:`.simsiam`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.methods.task_related.simsiam import SimSiamSpec
from training.siamese.losses import simsiam_loss
from training.siamese.settings import PREDICTOR
from training.siamese.task import SiameseTask


class SimSiamTask(SiameseTask):
    """See :class:`training.siamese.task.SiameseTask`."""

    spec: SimSiamSpec

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        names = self.model.trainable_names()
        self.unscheduled = {name for name in names if name.startswith(f"{PREDICTOR}.")}

    def losses(self, first: Any, second: Any, mask: Any, seed: Any, *, training: bool) -> Any:
        targets = [self.model.projected(view, training=training) for view in (first, second)]
        predictions = [self.model.predicted(one, training=training) for one in targets]
        if self.spec.objective.stop_gradient:
            targets = [tf.stop_gradient(one) for one in targets]
        return simsiam_loss((predictions[0], predictions[1]), (targets[0], targets[1]))
