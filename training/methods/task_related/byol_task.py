"""What the loop trains for :mod:`.byol`."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from training.methods.task_related.byol import BYOLSpec
from training.siamese.losses import byol_loss
from training.siamese.task import SiameseTask


class BYOLTask(SiameseTask):
    """See :class:`training.siamese.task.SiameseTask`."""

    spec: BYOLSpec

    def losses(self, first: Any, second: Any, mask: Any, seed: Any, *, training: bool) -> Any:
        views, objective = (first, second), self.spec.objective
        online = [self.model.projected(view, training=training) for view in views]
        targets = online
        if objective.stop_gradient:
            targets = [
                tf.stop_gradient(self.model.projected(view, training=training, target=True))
                for view in views
            ]
        predictions = online
        if objective.predictor:
            predictions = [self.model.predicted(one, training=training) for one in online]
        return byol_loss((predictions[0], predictions[1]), (targets[0], targets[1]))

    def follow(self, step: Any) -> None:
        """m = 1 − (1 − m₀) (cos(π t / T) + 1) / 2."""
        if self.spec.has_momentum:
            share = step / self.spec.training.steps
            rest = (1 - self.spec.objective.momentum) * (tf.cos(math.pi * share) + 1) / 2
            self.model.follow(1 - rest)
