"""Conditional variational autoencoder: images of a class, drawn from numbers [0].

    −log p(x | y) ≤ E_q(z|x,y)[ −log p(x | z, y) ] + KL( q(z | x, y) ‖ N(0, I) )

The encoder says where in a space of latent numbers an image of a class lies, the decoder makes it
again from there; since all of them together are to look like noise, noise makes new ones.

- [0] Sohn, Lee and Yan, 2015, https://papers.nips.cc/paper/5775

Details people get wrong: the divergence is summed over the latent numbers and the reconstruction
over the pixels; a mean over pixels weighs the divergence hundreds of times too much.

``docs/methods/cvae.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from training.backbones.conditional_vae.config import ConditionalVAEConfig
from training.errors import gettext_noop as _
from training.estimate import Estimate
from training.generative.method import generative_method
from training.generative.settings import (
    GenerativeSpec,
    GenerativeTrainingSpec,
    estimate_generative,
)
from training.settings import Settings


class CVAEObjective(Settings):
    """What is minimised."""

    kl_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title=_("Weight of the divergence"),
        description=_(
            "1: a bound of the likelihood, as in the paper. Less: sharper reconstructions, and "
            "samples from where nothing was learned."
        ),
    )


class CVAETrainingSpec(GenerativeTrainingSpec):
    """How the weights are trained; its loss is a sum over pixels, and so is its gradient."""

    beta_2: float = Field(
        0.99, ge=0, lt=1, title=_("Adam beta 2"), description=_("Decay of the squares' average.")
    )
    clip_norm: float | None = Field(
        100.0,
        gt=0,
        title=_("Gradient clipping"),
        description=_("Largest global norm of the gradient; empty: never clipped."),
    )


class CVAESpec(GenerativeSpec):
    """See :class:`training.generative.settings.GenerativeSpec`."""

    method: Literal["cvae"] = "cvae"
    model: ConditionalVAEConfig | None = None
    objective: CVAEObjective = Field(default_factory=CVAEObjective)
    training: CVAETrainingSpec = Field(default_factory=CVAETrainingSpec)


def estimate_run(
    spec: CVAESpec, config: ConditionalVAEConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take."""
    return estimate_generative(spec, config, 0, examples_per_s)


def _task(*arguments: Any) -> Any:
    from training.methods.task_related.cvae_task import CVAETask

    return CVAETask(*arguments)


METHOD: Final = generative_method(
    name="cvae",
    title=_("Conditional VAE"),
    summary=_(
        "Make images or sounds of a class: an encoder and a decoder learn where in a space of "
        "numbers each example of a class lies."
    ),
    architecture="conditional_vae",
    settings=CVAESpec,
    task=_task,
    estimate=estimate_run,
)
