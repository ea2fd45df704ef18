"""What the engine and the portal know of a backbone, without TensorFlow.

A backbone is a folder with ``config.py`` (a :class:`BackboneConfig`: its shape, and its tensors by
name) and ``model.py`` (a :class:`training.backbones.named.NamedModel`), and a line in the registry.

Tensors carry the names that the architecture's home gives them (Hugging Face's for text, timm's for
images), in the layout stored there. What a tensor *is* stands in its role and its axes, which are
the same in all architectures that have such a thing; plans that copy between architectures go by
them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from training.settings import Settings


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model.

    Attributes:
        name: As stored, ``transformer.h.0.attn.c_attn.weight``.
        shape: As stored.
        init: ``normal`` (mean 0, standard deviation ``std``), ``zeros`` or ``ones``.
        std: Standard deviation of ``normal``.
        block: The part of the model it belongs to: ``embeddings``, ``stem``, ``layer.3``,
            ``stage.1.0``, ``final_norm``, ``pooler``, ``head`` …
        role: What it is, within its block: ``token``, ``position``, ``attention.query.kernel``,
            ``attention.output.bias``, ``feed_forward.in.kernel``, ``attention.norm.scale`` … Two
            tensors with equal block and role in two architectures do the same work. Empty: it has
            no counterpart elsewhere, and is matched by name alone.
        axes: What each axis counts: ``vocabulary``, ``position``, ``type``, ``width``, ``inner``,
            ``heads`` (heads × head size), ``qkv`` (three times that), ``label`` … Empty for
            tensors that are never cut or grown.
        inputs: The axes of a matrix (or convolution) that are summed over: ``(0,)`` for a matrix
            stored [in, out], ``(1,)`` for PyTorch's [out, in].
        trained: False for running statistics, which training updates without a gradient.
    """

    name: str
    shape: tuple[int, ...]
    init: Literal["normal", "zeros", "ones"]
    std: float = 0.0
    block: str = ""
    role: str = ""
    axes: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    trained: bool = True

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def variance(self) -> bool:
        """Whether it is a running variance, which must not fall below zero."""
        return not self.trained and self.name.endswith(".running_var")


class BackboneConfig(Settings):
    """Shape of a model. A subclass has a ``Literal`` ``architecture``: its key in the registry."""

    #: Head's tensor → the tensor whose values it has when ``tie_word_embeddings`` is set.
    TIED: ClassVar[dict[str, str]] = {}
    #: Fields that leave every shape as it is and yet change what equal weights compute; so does
    #: the number of :attr:`attention_heads`.
    FUNCTION: ClassVar[tuple[str, ...]] = ()

    architecture: str

    @abstractmethod
    def tensors(self) -> list[TensorSpec]:
        """Every stored tensor in a fixed order; a tied head has none of its own."""

    @property
    @abstractmethod
    def layers(self) -> int:
        """How many repeated blocks there are."""

    @property
    def stream_width(self) -> int | None:
        """Size of the residual stream; None where it changes from block to block."""
        return None

    @property
    def context(self) -> int | None:
        """Most tokens that it can look at; None where it reads no text."""
        return None

    @property
    def position_offset(self) -> int:
        """Row of the position embedding that the first token gets; those before it are reserved."""
        return 0

    @property
    def vocabulary(self) -> int | None:
        """Rows of the token embedding; None where it reads no text."""
        return None

    @property
    def identity_growth(self) -> bool:
        """Whether a layer that adds nothing passes on exactly what it gets (norms come first)."""
        return False

    @property
    def attention_heads(self) -> int | None:
        """Heads of each layer's attention; None where there is no attention."""
        return None

    @property
    def before_tied_head(self) -> tuple[str, ...] | None:
        """What makes up for it when a head that is the token embedding sums over more columns.

        Where the width grows by repetition, such a head sums over every copy. Its scores stay as
        they are if the named tensors, of which its input is a multiple and which nothing else
        reads, are divided by the factor. None of that is needed where the head is a tensor of its
        own, or reads a projection of another width: empty. None: it is needed, and there is no
        such tensor.
        """
        return ()

    @property
    def label_head(self) -> list[str]:
        """Names of the head's tensors that have something for each class; none: it has no such."""
        return [one.name for one in self.tensors() if one.block == "head" and "label" in one.axes]

    @property
    def layers_differ(self) -> bool:
        """Whether a layer's weights compute something else in another layer's place."""
        return False

    def parameter_count(self) -> int:
        """Trained values; running statistics do not count."""
        return sum(tensor.size for tensor in self.tensors() if tensor.trained)


@dataclass(frozen=True)
class Backbone:
    """An architecture, described without TensorFlow.

    Attributes:
        title: Its name for people.
        kind: What it reads. A table's columns, and what their rows of weights mean, stand beside
            the weights: what does not know of them leaves such a model alone. A ``generator``
            makes images of classes, whose names stand on the card.
        config: Pydantic model of its configuration.
        presets: Named sizes.
        module: Where the Keras model is; imported only by a process that computes with it.
        model: The class in that module: ``model(config, compute_dtype="float32", …)``.
        writes: Whether it writes text: its model has ``new_cache`` and ``extend``.
    """

    title: str
    kind: Literal["text", "image", "table", "generator"]
    config: type[BackboneConfig]
    presets: dict[str, BackboneConfig]
    module: str
    model: str
    writes: bool = False
