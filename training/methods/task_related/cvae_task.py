"""The conditional variational autoencoder: what the loop trains for :mod:`.cvae`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from training.backbones.conditional_vae.config import ConditionalVAEConfig
from training.backbones.conditional_vae.model import ConditionalVAE
from training.engine.phases import Phase
from training.generative.losses import bernoulli, divergence, gaussian
from training.generative.pictures import Pixels, as_pixels
from training.generative.task import GenerativeTask

#: What no step draws: the same noise at every look.
LOOK = -1


class CVAETask(GenerativeTask):
    """See :class:`training.methods.contract.Task`; the result has the best validation loss."""

    model: ConditionalVAE

    def network(self, compute_dtype: str) -> ConditionalVAE:
        config = self.loaded.config
        assert isinstance(config, ConditionalVAEConfig)
        return ConditionalVAE(config, compute_dtype=compute_dtype)

    def made(self, latents: Any, labels: Any) -> Any:
        return self.model.images(latents, labels)

    def parts(self, pixels: Any, labels: Any, seed: Any) -> tuple[Any, Any]:
        """In a graph: −log p(x | z, y) at one z drawn from q, and the divergence, float32 [batch].

        Args:
            pixels: uint8 [batch, height, width, channels].
            labels: int32 [batch].
            seed: int32 [2].
        """
        images = tf.cast(pixels, tf.float32) / 255
        mean, log_variance = self.model.encoded(images, labels)
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        logits = self.model.decoded(mean + tf.exp(log_variance / 2) * noise, labels)
        if self.model.config.likelihood == "gaussian":
            found = gaussian(images, logits, self.model.log_deviation)
        else:
            found = bernoulli(images, logits)
        return found, divergence(mean, log_variance)

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, images, and gradients of the sum; to be traced.

        Args:
            parts: Pixels uint8 [B, height, width, channels], rows int32 [B], mask float32 [B].
            seed: int32 [2], for the noise.
            variables: What to differentiate by.
            phase: Which part of the run; there is only one.
        """
        pixels, labels, mask = parts
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            reconstruction, apart = self.parts(pixels, labels, seed)
            losses = reconstruction + self.spec.objective.kl_weight * apart
            loss = tf.reduce_sum(losses * mask)
        return loss, tf.reduce_sum(mask), tape.gradient(loss, variables)

    # --- evaluation ----------------------------------------------------------------------------

    def scores(self, parts: Any) -> dict[str, Any]:
        pixels, labels, mask = parts
        seed = tf.constant([self.spec.seed, LOOK], tf.int32)
        reconstruction, apart = self.parts(pixels, labels, seed)
        return {
            "reconstruction": tf.reduce_sum(reconstruction * mask),
            "divergence": tf.reduce_sum(apart * mask),
            "examples": tf.reduce_sum(mask),
        }

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """In nats per image: ``loss``, ``reconstruction``, ``divergence``; ``examples``."""
        examples = sums["examples"]
        found = {name: sums[name] / examples for name in ("reconstruction", "divergence")}
        weighed = self.spec.objective.kl_weight * found["divergence"]
        return {"loss": found["reconstruction"] + weighed, **found, "examples": int(examples)}

    def further_pictures(self) -> dict[str, dict[str, tuple[Pixels, int]]]:
        """Held-out images, and below each what comes back from its mean latent."""
        columns = self.spec.evaluation.samples
        found = {}
        for one in self.shown:
            images = self.held_out(one, columns)
            if len(images):
                labels = tf.fill([len(images)], int(self.loaded.row_of[one]))
                mean, _log_variance = self.model.encoded(tf.constant(images), labels)
                again = self.model.images(mean, labels).numpy()
                both = as_pixels(np.concatenate([images, again]))
                found[self.loaded.names[one]] = both, len(images)
        return {"reconstructions": found}
