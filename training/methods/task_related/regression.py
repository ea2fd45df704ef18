"""Regression: a network with a head that predicts a number of each text or image.

    z_n  = (y_n − μ) / σ              μ, σ: mean and deviation of the training split's numbers
    loss = (1/N) Σ (f(x_n) − z_n)²    [ + α/2 Σ ‖w − w₀‖² over the backbone's kernels ]

or Huber's error [0], which is 2|e| − 1 instead of e² where |e| > 1. The policies are those of
:mod:`.classification`; both are :mod:`training.fine_tuning`.

- [0] Huber, 1964, "Robust Estimation of a Location Parameter",
  https://doi.org/10.1214/aoms/1177703732

Details people get wrong: a new head begins near zero, which is the mean of what is to be predicted
only when the numbers are standardised (and rates that suit a loss near 1 suit no loss near 10⁶);
mean and deviation are the training split's alone; an error in standard units says nothing to
people. A checkpoint answers in the numbers' own units: σ and μ are folded into the last layer when
it is written, and taken out of it when a run begins from it, whose data may have others.

``docs/methods/regression.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.backbones.contract import BackboneConfig
from training.data.labelled import Labelled, number_name, numbered_split
from training.data.numbers import few_numbers
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.events import EventLog
from training.fine_tuning.loaded import SPLITS, LoadedExamples
from training.fine_tuning.method import fine_tuning_method
from training.methods.task_related.regression_spec import RegressionSpec, target_of


@dataclass(frozen=True)
class Scale:
    """How numbers are standardised.

    Attributes:
        mean: Of the training split's, in their own units.
        deviation: The same; above zero.
    """

    mean: float
    deviation: float

    def standard(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Numbers in standard units."""
        return np.asarray((numbers.astype(np.float64) - self.mean) / self.deviation)

    def in_units(self, standard: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Numbers in standard units as the data have them."""
        return np.asarray(standard.astype(np.float64) * self.deviation + self.mean)

    def folded(self, tensor: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """A tensor of a last layer that gives standard units, as one that gives the numbers' own.

        Args:
            tensor: Its matrix, [1, width], or its bias, [1].
        """
        found = tensor.astype(np.float64) * self.deviation
        return (found if tensor.ndim > 1 else found + self.mean).astype(np.float32)

    def unfolded(self, tensor: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The inverse of :meth:`folded`."""
        found = tensor.astype(np.float64) - (0 if tensor.ndim > 1 else self.mean)
        return (found / self.deviation).astype(np.float32)


class LoadedNumbers(LoadedExamples):
    """Examples with a number; see :class:`training.fine_tuning.loaded.LoadedExamples`.

    Attributes:
        names: What the number is called, alone.
        scale: Of the training split.
    """

    def __init__(
        self, spec: RegressionSpec, out: Path, events: EventLog, splits: Sequence[str] = SPLITS
    ) -> None:
        super().__init__(spec, out, events, splits)
        numbers = self.splits["train"].labels
        # The deviation of equal numbers is rounding.
        if numbers.min() == numbers.max():
            raise TrainingError(
                "numbers_constant_in_training", field="data.path", value=f"{numbers[0]:g}"
            )
        self.scale = Scale(float(numbers.mean()), float(numbers.std()))

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        from training.methods.task_related.regression_task import RegressionTask

        return RegressionTask(self, compute_dtype, strategy, events)

    def require_trained(self, config: BackboneConfig) -> None:
        METHOD.require_trained(config)

    def head(self, about: dict[str, Any]) -> tuple[list[str], bool]:
        name = number_name(about)
        known = target_of(self.source.config, self.source.card) if self.source else None
        return [name], known == name

    def read_split(
        self, dataset: Path, split: str, about: dict[str, Any], most: int | None
    ) -> Labelled | None:
        examples = numbered_split(dataset, split, about)
        if examples is None or most is None:
            return examples
        return examples.chosen(few_numbers(examples.labels, most, self.spec.seed))


METHOD: Final = fine_tuning_method(
    name="regression",
    title=_("Regression"),
    summary=_(
        "Train a network with a head that predicts a number of each text or image: from a source "
        "that is adapted (fine-tuning), or from nothing, as a source for others."
    ),
    data=("numbered_text", "numbered_image"),
    settings=RegressionSpec,
    load=LoadedNumbers,
)
