"""Conditional generative adversarial network [0] with a projection discriminator [1].

The generator makes images of classes from numbers drawn at random; the discriminator is shown such
and real ones, each with its class, and learns to tell them apart; the generator learns to be taken
for real. Both take a step at every update, each by the gradient of its own loss.

- [0] Mirza and Osindero, 2014, https://arxiv.org/abs/1411.1784
- [1] Miyato and Koyama, 2018, https://arxiv.org/abs/1802.05637

Details people get wrong: the class reaches the discriminator by an inner product with its features;
as planes of pixels beside the image it is all but ignored. Losses say little (both networks grow
better together), so that what is made is measured. What is kept and shown is a running average of
the generator's weights, which is steadier than any of its steps. The gradient's norm is of two
networks at once: it is not clipped.

``docs/methods/cgan.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from training.backbones.conditional_gan.config import ConditionalGANConfig
from training.errors import gettext_noop as _
from training.estimate import Estimate
from training.generative.method import FRECHET, generative_method
from training.generative.settings import (
    GenerativeSpec,
    GenerativeTrainingSpec,
    estimate_generative,
)
from training.settings import Settings


class CGANObjective(Settings):
    """What the two networks minimise."""

    loss: Literal["hinge", "non_saturating"] = Field(
        "non_saturating",
        title=_("Loss"),
        description=_(
            "Non-saturating: the classic one, with a gradient penalty. Hinge: the discriminator "
            "need not be surer than by a margin; with spectral normalisation."
        ),
    )
    r1: float = Field(
        1.0,
        ge=0,
        le=1000,
        title=_("Gradient penalty (R1)"),
        description=_(
            "Keeps the discriminator's scores flat around real images: half of this times the "
            "squared gradient. It costs about a third of the time; 0: none."
        ),
    )
    average: float = Field(
        0.99,
        ge=0,
        lt=1,
        title=_("Average of the generator"),
        description=_(
            "What is kept and shown is a running average of the generator's weights, of which so "
            "much stays at each step; less in the first steps. 0: no average."
        ),
    )
    discriminator_rate: float = Field(
        1.0,
        gt=0,
        le=100,
        title=_("Learning rate of the discriminator"),
        description=_("As a multiple of the generator's."),
    )


class CGANTrainingSpec(GenerativeTrainingSpec):
    """How the weights are trained: Adam without momentum, which would swing."""

    beta_1: float = Field(
        0.0, ge=0, lt=1, title=_("Adam beta 1"), description=_("Decay of the gradient's average.")
    )
    beta_2: float = Field(
        0.99, ge=0, lt=1, title=_("Adam beta 2"), description=_("Decay of the squares' average.")
    )
    clip_norm: float | None = Field(
        None,
        gt=0,
        title=_("Gradient clipping"),
        description=_("Largest global norm of the gradient; empty: never clipped."),
    )


class CGANSpec(GenerativeSpec):
    """See :class:`training.generative.settings.GenerativeSpec`."""

    method: Literal["cgan"] = "cgan"
    model: ConditionalGANConfig | None = None
    objective: CGANObjective = Field(default_factory=CGANObjective)
    training: CGANTrainingSpec = Field(default_factory=CGANTrainingSpec)


def estimate_run(
    spec: CGANSpec, config: ConditionalGANConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take; the average of the generator is another generator."""
    vectors = sum(one.size for one in config.tensors() if not one.trained)
    average = sum(one.size for one in config.generator())
    return estimate_generative(spec, config, average + vectors, examples_per_s)


def _task(*arguments: Any) -> Any:
    from training.methods.task_related.cgan_task import CGANTask

    return CGANTask(*arguments)


METHOD: Final = generative_method(
    name="cgan",
    title=_("Conditional GAN"),
    summary=_(
        "Make images or sounds of a class: a generator learns to be taken for real by a "
        "discriminator that knows the class."
    ),
    architecture="conditional_gan",
    settings=CGANSpec,
    task=_task,
    estimate=estimate_run,
    judged=FRECHET,
)
