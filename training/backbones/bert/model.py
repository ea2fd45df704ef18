"""BERT in Keras on TensorFlow; see :class:`training.backbones.encoder.model.Encoder`."""

from __future__ import annotations

from training.backbones.encoder.model import Encoder


class Bert(Encoder):
    """The encoder with BERT's names.

    Example:
        >>> model = Bert(PRESETS["nano"])
        >>> model.load_named(initial_tensors(model.config.tensors(), seed=0))
        >>> model(tf.zeros([1, 8], tf.int32)).shape
        TensorShape([1, 8, 128])
    """
