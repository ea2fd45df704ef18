"""What every optimiser has, on variables addressed by name; and AdamW with decoupled decay [0].

Not ``keras.optimizers.AdamW``: gradients must be divided by the number of real tokens and clipped
by their global norm *after* the sum over replicas and accumulated batches; its slots are addressed
by position, and resuming needs them by name. One fused kernel a variable does the update, so that
the own class is also the quicker one.

    m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
    w ← w − η λ w                (matrices only)
    w ← w − η · (m / (1 − β₁ᵗ)) / (sqrt(v / (1 − β₂ᵗ)) + ε)

- [0] Loshchilov & Hutter, 2019, https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from training.spec import OptimisationSpec
from training.sums import sum_in_order


class Optimizer(ABC):
    """Slots by name, and an update of some of the variables; make it within the strategy's scope.

    Args:
        variables: What is trained, by name: ``tf.Variable``, mirrored or not.
        training: Clipping, and what the subclass reads.

    Attributes:
        slots: ``<variable>.<slot>`` → variable.
    """

    def __init__(self, variables: Mapping[str, Any], training: OptimisationSpec) -> None:
        self.variables = dict(variables)
        self.training = training
        self._strategy = tf.distribute.get_strategy()
        self.slots: dict[str, Any] = {}

    def named(self) -> dict[str, np.ndarray]:
        """A copy of every slot by name."""
        return {name: slot.numpy() for name, slot in self.slots.items()}

    def load_named(self, values: Mapping[str, np.ndarray]) -> None:
        """Set every slot, exactly by name.

        Raises:
            ValueError: When the names differ.
        """
        if set(values) != set(self.slots):
            raise ValueError("the optimiser's state belongs to other variables")
        for name, slot in self.slots.items():
            slot.assign(values[name])

    def apply(
        self, names: Sequence[str], gradients: Sequence[Any], tokens: Any, rate: Any, step: Any
    ) -> Any:
        """Update variables; call it in a graph, in cross-replica context.

        Args:
            names: Which; the others and their slots stay as they are.
            gradients: Of the *summed* loss, summed over replicas, in the names' order.
            tokens: Real tokens (or examples) that the sum ran over, float32 scalar.
            rate: Learning rate, float32 scalar.
            step: The update's number from 1, float32 scalar.

        Returns:
            Global norm of the mean loss's gradient before clipping.
        """
        tokens = tf.maximum(tokens, 1.0)
        squares = [tf.reduce_sum(tf.square(tf.convert_to_tensor(g))) for g in gradients]
        norm = tf.sqrt(sum_in_order(squares)) / tokens
        factor = 1.0 / tokens
        if self.training.clip_norm is not None:
            factor *= tf.minimum(1.0, self.training.clip_norm / tf.maximum(norm, 1e-30))
        self.update(names, gradients, factor, rate, step)
        return norm

    @abstractmethod
    def update(
        self, names: Sequence[str], gradients: Sequence[Any], factor: Any, rate: Any, step: Any
    ) -> None:
        """Update variables by their gradients times a factor; as :meth:`apply`, which finds it."""

    def _zeros(self, variable: Any) -> Any:
        """A slot as large as a variable."""
        return tf.Variable(tf.zeros(variable.shape, tf.float32), trainable=False)


class AdamW(Optimizer):
    """The optimiser's slots and its update; make it within the strategy's scope.

    Args:
        variables: What is trained, by name: ``tf.Variable``, mirrored or not.
        training: Betas, epsilon, decay and clipping.
        rates: Name → learning rate as a multiple of the run's; 1 where it is missing.
        first_steps: Name → the step at which it is trained first; 1 where it is missing. Its
            averages begin at zero there, and are corrected for that from there on.
        unscheduled: Names whose rate stays at the peak, whatever the run's is at a step.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        training: OptimisationSpec,
        rates: Mapping[str, float] | None = None,
        first_steps: Mapping[str, int] | None = None,
        unscheduled: Collection[str] = (),
    ) -> None:
        super().__init__(variables, training)
        self.rates, self.first_steps = rates or {}, first_steps or {}
        self.unscheduled = frozenset(unscheduled)
        for name, variable in self.variables.items():
            for slot in ("m", "v"):
                self.slots[f"{name}.{slot}"] = self._zeros(variable)

    def update(
        self, names: Sequence[str], gradients: Sequence[Any], factor: Any, rate: Any, step: Any
    ) -> None:
        for name, gradient in zip(names, gradients, strict=True):
            self._strategy.extended.update(
                self.variables[name],
                self._update,
                args=(
                    self.slots[f"{name}.m"],
                    self.slots[f"{name}.v"],
                    gradient,
                    factor,
                    (self.training.learning_rate if name in self.unscheduled else rate)
                    * self.rates.get(name, 1.0),
                    step - (self.first_steps.get(name, 1) - 1.0),
                ),
            )

    def _update(
        self,
        variable: Any,
        m: Any,
        v: Any,
        gradient: Any,
        factor: Any,
        rate: Any,
        step: Any,
    ) -> None:
        power_1 = tf.pow(self.training.beta_1, step)
        power_2 = tf.pow(self.training.beta_2, step)
        decay = self.training.weight_decay
        if decay and len(variable.shape) >= 2:
            variable.assign(variable * (1.0 - rate * decay))
        # The kernel computes w -= lr·sqrt(1−β₂ᵗ)/(1−β₁ᵗ) · m / (sqrt(v) + ε'); with
        # ε' = ε·sqrt(1−β₂ᵗ) that is the formula above exactly.
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=power_1,
            beta2_power=power_2,
            lr=rate,
            beta1=self.training.beta_1,
            beta2=self.training.beta_2,
            epsilon=self.training.epsilon * tf.sqrt(1.0 - power_2),
            grad=gradient * factor,
            use_locking=False,
        )
