"""FTRL-Proximal [0] and AdaGrad [1], on variables addressed by name; several optimisers as one.

FTRL keeps of each weight z and n, and the weight is a function of both:

    n ← n + g²        z ← z + g − (√n_new − √n_old) / η · w
    w = 0                                                   where |z| ≤ λ₁
    w = −(z − sgn(z) λ₁) / ((β + √n) / η + λ₂)              elsewhere

AdaGrad:

    n ← n + g²        w ← w − η · g / (√n + ε)

- [0] McMahan et al., 2013, "Ad Click Prediction: a View from the Trenches",
  https://doi.org/10.1145/2487575.2488200, algorithm 1
- [1] Duchi, Hazan & Singer, 2011, https://jmlr.org/papers/v12/duchi11a.html

Details people get wrong: η of FTRL must stay the same from step to step, or weights of categories
that a batch does not have would change with it; weights that come from a source need a z that
stands for them, or the first update takes them to zero; the bias is not drawn to zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from training.engine.optimizer import Optimizer
from training.spec import OptimisationSpec

#: Keeps AdaGrad's division finite.
EPSILON = 1e-7


class Ftrl(Optimizer):
    """FTRL-Proximal.

    Args:
        variables: What is trained, at its starting values.
        training: Clipping.
        rate: η, the same at every step.
        beta: β.
        l1: λ₁.
        l2: λ₂.
        unpenalised: Names for which λ₁ and λ₂ are 0.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        training: OptimisationSpec,
        *,
        rate: float,
        beta: float,
        l1: float,
        l2: float,
        unpenalised: Collection[str] = (),
    ) -> None:
        super().__init__(variables, training)
        self.rate, self.beta, self.l1, self.l2 = rate, beta, l1, l2
        self.unpenalised = frozenset(unpenalised)
        for name, variable in self.variables.items():
            l1, l2 = self._penalties(name)
            w = variable.numpy()
            # With n = 0 these z give the weights back.
            z = -w * (beta / rate + l2) - np.sign(w) * l1
            self.slots[f"{name}.n"] = self._zeros(variable)
            self.slots[f"{name}.z"] = tf.Variable(tf.constant(z, tf.float32), trainable=False)

    def _penalties(self, name: str) -> tuple[float, float]:
        return (0.0, 0.0) if name in self.unpenalised else (self.l1, self.l2)

    def update(
        self, names: Sequence[str], gradients: Sequence[Any], factor: Any, rate: Any, step: Any
    ) -> None:
        """As :meth:`Optimizer.update`; the run's rate at this step is not looked at."""
        for name, gradient in zip(names, gradients, strict=True):
            slots = self.slots[f"{name}.n"], self.slots[f"{name}.z"]
            self._strategy.extended.update(
                self.variables[name],
                self._update,
                args=(*slots, gradient, factor, *self._penalties(name)),
            )

    def _update(
        self, variable: Any, n: Any, z: Any, gradient: Any, factor: Any, l1: float, l2: float
    ) -> None:
        # The kernel has √n / η + 2 λ₂' below the line.
        tf.raw_ops.ResourceApplyFtrl(
            var=variable.handle,
            accum=n.handle,
            linear=z.handle,
            grad=gradient * factor,
            lr=self.rate,
            l1=l1,
            l2=(self.beta / self.rate + l2) / 2,
            lr_power=-0.5,
            use_locking=False,
        )


class AdaGrad(Optimizer):
    """AdaGrad.

    Args:
        variables: What is trained.
        training: Clipping.
        start: n before the first step: how small the first steps are.
    """

    def __init__(
        self, variables: Mapping[str, Any], training: OptimisationSpec, *, start: float
    ) -> None:
        super().__init__(variables, training)
        for name, variable in self.variables.items():
            self.slots[f"{name}.n"] = tf.Variable(
                tf.fill(variable.shape, tf.constant(start, tf.float32)), trainable=False
            )

    def update(
        self, names: Sequence[str], gradients: Sequence[Any], factor: Any, rate: Any, step: Any
    ) -> None:
        for name, gradient in zip(names, gradients, strict=True):
            self._strategy.extended.update(
                self.variables[name],
                self._update,
                args=(self.slots[f"{name}.n"], gradient, factor, rate),
            )

    def _update(self, variable: Any, n: Any, gradient: Any, factor: Any, rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdagradV2(
            var=variable.handle,
            accum=n.handle,
            lr=rate,
            epsilon=EPSILON,
            grad=gradient * factor,
            use_locking=False,
            update_slots=True,
        )


class Together(Optimizer):
    """Several optimisers, each of its own variables; the gradient's norm is that of all.

    Args:
        parts: They.
        training: Clipping.
    """

    def __init__(self, parts: Sequence[Optimizer], training: OptimisationSpec) -> None:
        super().__init__({n: v for part in parts for n, v in part.variables.items()}, training)
        self.parts = [part for part in parts if part.variables]
        for part in self.parts:
            self.slots |= part.slots

    def update(
        self, names: Sequence[str], gradients: Sequence[Any], factor: Any, rate: Any, step: Any
    ) -> None:
        found = dict(zip(names, gradients, strict=True))
        for part in self.parts:
            mine = [name for name in names if name in part.variables]
            part.update(mine, [found[name] for name in mine], factor, rate, step)
