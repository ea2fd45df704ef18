"""A backbone with what is trained on top of it, and the momentum encoder that follows both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from training.backbones.contract import BackboneConfig, TensorSpec
from training.backbones.image_config import NORM_EPSILON
from training.backbones.image_model import batch_norm
from training.backbones.named import NamedModel
from training.backbones.registry import model_class
from training.siamese.mlp import Layer, mlp_tensors
from training.siamese.settings import MOMENTUM, PREDICTOR, PROJECTOR, QUEUE
from training.weights.initial import initial_tensors

#: Name → width that comes in, layers.
MLPs = Mapping[str, tuple[int, Sequence[Layer]]]


class MLPModel(NamedModel):
    """Several MLPs, each called by its name.

    Args:
        mlps: Their layers.
        extra: Tensors beside theirs.
    """

    def __init__(self, mlps: MLPs, extra: Sequence[TensorSpec] = ()) -> None:
        super().__init__(dtype="float32", name="mlps")
        self.mlps = dict(mlps)
        self.specs = [one for name, mlp in mlps.items() for one in mlp_tensors(name, *mlp)]
        self.specs += extra
        self.add_tensors(self.specs)

    def through(self, name: str, x: Any, training: bool) -> Any:
        """What comes out of an MLP, float32 [batch, width].

        Args:
            name: Of the MLP.
            x: float32 [batch, width].
            training: Whether batch norms take the batch's statistics.
        """
        for number, layer in enumerate(self.mlps[name][1]):
            part = f"{name}.{number}"
            x = self.times(x, f"{part}.weight")
            if layer.bias:
                x = tf.nn.bias_add(x, self.value(f"{part}.bias"))
            if layer.norm != "none":
                x = self._normalise(x, f"{part}.norm", layer, training)
            if layer.relu:
                x = tf.nn.relu(x)
        return x

    def _normalise(self, x: Any, name: str, layer: Layer, training: bool) -> Any:
        scale, shift = tf.ones([layer.width]), tf.zeros([layer.width])
        if layer.norm == "affine":
            scale, shift = self.value(f"{name}.weight"), self.value(f"{name}.bias")
        mean, variance = (
            self.named_variables[f"{name}.{part}"] for part in ("running_mean", "running_var")
        )
        flat = x[:, None, None]
        return batch_norm(flat, scale, shift, mean, variance, NORM_EPSILON, training)[:, 0, 0]


class SiameseNetwork:
    """What a run on two views trains; has the parts of a :class:`NamedModel` that the loop uses.

    Names: the backbone's as in its checkpoints; ``projector.…`` and ``predictor.…``;
    ``momentum.`` before the names of the momentum encoder; ``queue``.

    Args:
        config: The backbone, without a head.
        mlps: What stands on top of it.
        follows: The MLPs that the momentum encoder has too; None: there is no such encoder.
        queue: Keys that are kept, and their width; None: no queue.
        compute_dtype: Of convolutions.

    Attributes:
        online: The backbone.
        named_variables: Tensor name → variable.
    """

    def __init__(
        self,
        config: BackboneConfig,
        mlps: MLPs,
        *,
        follows: Collection[str] | None,
        queue: tuple[int, int] | None,
        compute_dtype: str,
    ) -> None:
        kept = [] if queue is None else [TensorSpec(QUEUE, queue, "normal", 1, trained=False)]
        build = model_class(config.architecture)
        self.online, self.mlps = build(config, compute_dtype=compute_dtype), MLPModel(mlps, kept)
        self._online: list[NamedModel] = [self.online, self.mlps]
        self._target: list[NamedModel] = []
        if follows is not None:
            target = build(config, compute_dtype=compute_dtype)
            some = {name: mlp for name, mlp in mlps.items() if name in follows}
            self._target = [target, MLPModel(some)]
        self.named_variables = {
            name: variable
            for part in self._online
            for name, variable in part.named_variables.items()
        } | {
            f"{MOMENTUM}.{name}": variable
            for part in self._target
            for name, variable in part.named_variables.items()
        }

    def start(self, backbone: Mapping[str, np.ndarray], seed: int) -> None:
        """Set everything: the backbone as given, the rest from the seed, and the momentum encoder
        like the encoder that it follows."""
        self.online.load_named(backbone)
        self.mlps.load_named(initial_tensors(self.mlps.specs, seed))
        if (queue := self.named_variables.get(QUEUE)) is not None:
            values = np.array(queue.value)
            queue.assign(values / np.linalg.norm(values, axis=1, keepdims=True))
        for part in self._target:
            for name, variable in part.named_variables.items():
                variable.assign(self.named_variables[name].value)

    # --- what the loop asks --------------------------------------------------------------------

    def trainable_names(self) -> list[str]:
        """Names of what gradients change."""
        return [name for part in self._online for name in part.trainable_names()]

    def followed_names(self) -> list[str]:
        """Names of what changes without gradients: running statistics, the momentum encoder, the
        queue."""
        online = [name for part in self._online for name in part.followed_names()]
        return online + [name for name in self.named_variables if name.startswith(f"{MOMENTUM}.")]

    # --- in a graph ----------------------------------------------------------------------------

    def projected(
        self, images: Any, *, training: bool, target: bool = False, parts: int = 1
    ) -> Any:
        """Projections of normalised images, float32 [batch, width].

        Args:
            images: float32 [batch, px, px, channels].
            training: Whether batch norms take the batch's statistics.
            target: By the momentum encoder.
            parts: The batch is cut into so many, and each normalised by itself.
        """
        backbone, mlps = self._target if target else self._online
        found = [
            mlps.through(PROJECTOR, backbone.pooled(some, training), training)
            for some in (tf.split(images, parts) if parts > 1 and training else [images])
        ]
        return found[0] if len(found) == 1 else tf.concat(found, 0)

    def predicted(self, projections: Any, *, training: bool) -> Any:
        """What the predictor makes of projections, float32 [batch, width]."""
        return self.mlps.through(PREDICTOR, projections, training)

    def follow(self, momentum: Any) -> None:
        """θ_target ← m θ_target + (1 − m) θ_online, of parameters and not of running statistics;
        in cross-replica context."""
        strategy = tf.distribute.get_strategy()

        def update(target: Any, online: Any) -> None:
            target.assign(momentum * target + (1.0 - momentum) * online)

        for part in self._target:
            followed = set(part.followed_names())
            for name, variable in part.named_variables.items():
                if name not in followed:
                    online = self.named_variables[name].value
                    strategy.extended.update(variable.value, update, args=(online,))

    def enqueue(self, keys: Any, number: Any) -> None:
        """Put the keys of all devices into the queue, in place of the oldest.

        Args:
            keys: float32 [batch, width] of length one.
            number: Of the micro-batch, int32.
        """
        queue, keys = self.named_variables[QUEUE], gathered(keys)
        rows, length = tf.shape(keys)[0], queue.shape[0]
        places = (number % (length // rows)) * rows + tf.range(rows)
        queue.assign(tf.tensor_scatter_nd_update(queue.value, places[:, None], keys))


def gathered(x: Any) -> Any:
    """The rows of all devices together; of this one alone outside a step."""
    context = tf.distribute.get_replica_context()
    return x if context.num_replicas_in_sync == 1 else context.all_gather(x, 0)
