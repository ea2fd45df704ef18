"""The conditional generative adversarial network: what the loop trains for :mod:`.cgan`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from training.backbones.conditional_gan.config import (
    AVERAGE,
    DISCRIMINATOR,
    GENERATOR,
    ConditionalGANConfig,
)
from training.backbones.conditional_gan.model import ConditionalGAN
from training.engine.phases import Phase
from training.events import EventLog
from training.generative.loaded import LoadedClasses
from training.generative.losses import discriminator_loss, generator_loss
from training.generative.task import GenerativeTask

#: What no step draws: the same latents at every look.
LOOK = -1


class CGANTask(GenerativeTask):
    """See :class:`training.methods.contract.Task`."""

    #: A small loss says nothing of the images.
    keeps = "last"
    model: ConditionalGAN

    def __init__(
        self, loaded: LoadedClasses, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        super().__init__(loaded, compute_dtype, strategy, events)
        rate = self.spec.objective.discriminator_rate
        names = self.model.trainable_names()
        self.rates = {name: rate for name in names if name.startswith(DISCRIMINATOR)}

    # --- the two networks ------------------------------------------------------------------------

    def network(self, compute_dtype: str) -> ConditionalGAN:
        config = self.loaded.config
        assert isinstance(config, ConditionalGANConfig)
        return ConditionalGAN(config, compute_dtype=compute_dtype, average=True)

    def start(self, weights: Mapping[str, np.ndarray]) -> None:
        """Both networks as given, and the average like the generator that it follows."""
        given = {one.name: weights[one.name] for one in self.loaded.config.tensors()}
        average = {f"{AVERAGE}.{n}": v for n, v in given.items() if n.startswith(GENERATOR)}
        self.model.load_named(given | average)

    def result(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The average for the generator; the discriminator as it is."""
        found = super().result(tensors)
        return {n: tensors.get(f"{AVERAGE}.{n}", value) for n, value in found.items()}

    def made(self, latents: Any, labels: Any) -> Any:
        return self.model.images(latents, labels, average=True)

    # --- training --------------------------------------------------------------------------------

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed losses of both, images, and of each network's weights the gradient of its own
        loss; to be traced.

        Neither loss moves the other's weights, so that nothing needs to be stopped: the images
        are made once, and scored once together with the real ones.

        Args:
            parts: Pixels uint8 [B, height, width, channels], rows int32 [B], mask float32 [B].
            seed: int32 [2], for the latents.
            variables: What to differentiate by.
            phase: Which part of the run; there is only one.
        """
        pixels, labels, mask = parts
        objective = self.spec.objective
        images = tf.cast(pixels, tf.float32) / 255
        latents = drawn(seed, tf.shape(labels)[0], self.model.config.latent)
        own = [name.startswith(GENERATOR) for name in phase.names]
        makes = [variable for variable, is_own in zip(variables, own, strict=True) if is_own]
        tells = [variable for variable, is_own in zip(variables, own, strict=True) if not is_own]
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch(variables)
            real, fake = self._scored(images, self.model.images(latents, labels), labels)
            for_generator = tf.reduce_sum(generator_loss(fake, objective.loss) * mask)
            losses = discriminator_loss(real, fake, objective.loss)
            if objective.r1:
                losses += objective.r1 / 2 * self._steepness(images, labels)
            for_discriminator = tf.reduce_sum(losses * mask)
        found = iter(tape.gradient(for_generator, makes))
        others = iter(tape.gradient(for_discriminator, tells))
        gradients = [next(found) if is_own else next(others) for is_own in own]
        return for_generator + for_discriminator, tf.reduce_sum(mask), gradients

    def _scored(self, images: Any, made: Any, labels: Any) -> tuple[Any, Any]:
        """Scores of real images and of made ones, float32 [batch] each."""
        both = tf.concat([images, made], 0)
        real, fake = tf.split(self.model.scores(both, tf.concat([labels, labels], 0)), 2)
        return real, fake

    def _steepness(self, images: Any, labels: Any) -> Any:
        """‖∇ₓ D(x, y)‖² at real images, float32 [batch] [0].

        - [0] Mescheder et al., 2018, https://arxiv.org/abs/1801.04406
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = tf.reduce_sum(self.model.scores(images, labels))
        return tf.reduce_sum(tf.square(tape.gradient(scores, images)), [1, 2, 3])

    def follow(self, step: Any) -> None:
        """The average of the generator, and one power iteration of each spectral norm.

        Of the average, (1 + t) / (10 + t) stays at most: it soon forgets the random weights.
        """
        strategy, model = tf.distribute.get_strategy(), self.model
        stays = tf.minimum(self.spec.objective.average, (1 + step) / (10 + step))
        if not self.spec.objective.average:
            stays = tf.constant(0.0)

        def towards(average: Any, now: Any) -> None:
            average.assign(stays * average + (1.0 - stays) * now)

        def becomes(vector: Any, now: Any) -> None:
            vector.assign(now)

        for name, variable in model.named_variables.items():
            if name.startswith(f"{AVERAGE}."):
                now = model.value(name.removeprefix(f"{AVERAGE}."))
                strategy.extended.update(variable.value, towards, args=(now,))
        for name, vector in model.next_vectors().items():
            strategy.extended.update(model.value(name), becomes, args=(vector,))

    # --- evaluation ------------------------------------------------------------------------------

    def scores(self, parts: Any) -> dict[str, Any]:
        pixels, labels, mask = parts
        images, kind = tf.cast(pixels, tf.float32) / 255, self.spec.objective.loss
        seed = tf.constant([self.spec.seed, LOOK], tf.int32)
        latents = drawn(seed, tf.shape(labels)[0], self.model.config.latent)
        real, fake = self._scored(images, self.model.images(latents, labels), labels)
        found = {
            "generator_loss": generator_loss(fake, kind),
            "discriminator_loss": discriminator_loss(real, fake, kind),
            "real_score": real,
            "fake_score": fake,
        }
        sums = {name: tf.reduce_sum(value * mask) for name, value in found.items()}
        return sums | {"examples": tf.reduce_sum(mask)}

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Means over the images: both losses and their sum ``loss``, scores of real images and of
        made ones; ``examples``."""
        found = {name: value / sums["examples"] for name, value in sums.items()}
        loss = found["generator_loss"] + found["discriminator_loss"]
        return {**found, "loss": loss, "examples": int(sums["examples"])}

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        found = super().look(scores)
        del found["validation_loss"]  # the sum of two that pull against each other
        return found


def drawn(seed: Any, count: Any, width: int) -> Any:
    """Latents of a batch, float32 [count, width]."""
    return tf.random.stateless_normal([count, width], seed)
