"""Every backbone: a plain dictionary, so that reading it is enough to know what there is."""

from __future__ import annotations

from dataclasses import dataclass

from training.backbones.gpt2.config import PRESETS, GPT2Config


@dataclass(frozen=True)
class Backbone:
    """An architecture, described without TensorFlow.

    Attributes:
        title: Its name for people.
        config: Pydantic model of its configuration.
        presets: Named sizes.
        module: Where the Keras model is; imported only by a process that trains.
        model: The class in that module.
    """

    title: str
    config: type[GPT2Config]
    presets: dict[str, GPT2Config]
    module: str
    model: str


BACKBONES: dict[str, Backbone] = {
    "gpt2": Backbone("GPT-2", GPT2Config, PRESETS, "training.backbones.gpt2.model", "GPT2"),
}
