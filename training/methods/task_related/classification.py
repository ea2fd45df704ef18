"""Classification: a network with a head over labelled texts or images, from a source or none.

    loss = −(1/N) Σ log p(label_i | x_i)  [ + α/2 Σ ‖w − w₀‖² over the backbone's kernels ]

Without a source this is supervised pretraining [0]: the backbone learns with its head, and later
runs start from it. With one it is fine-tuning; :mod:`training.engine.policies` has the ways.

- [0] Kolesnikov et al., 2020, "Big Transfer (BiT)", https://arxiv.org/abs/1912.11370
- [1] Li et al., 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks"
  (L2-SP), https://arxiv.org/abs/1802.01483

Details people get wrong: the head is new unless its classes are the very same, even where their
number is; L2-SP pulls the backbone towards the source and never a new head; while the backbone is
frozen its batch norms keep the source's statistics, or it would change all the same; averages of
Adam begin when a weight is first trained, not when the run begins; classes must not be told from
the order of the examples.

``docs/methods/classification.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.backbones.contract import BackboneConfig
from training.data.labelled import Labelled, class_names, few, labelled_split
from training.errors import gettext_noop as _
from training.events import EventLog
from training.fine_tuning.loaded import LoadedExamples
from training.fine_tuning.method import fine_tuning_method
from training.methods.task_related.classification_spec import ClassificationSpec, classes_of


class LoadedClasses(LoadedExamples):
    """Examples of classes; see :class:`training.fine_tuning.loaded.LoadedExamples`.

    Attributes:
        names: The classes, in the source's order where they are the source's.
    """

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        from training.methods.task_related.classification_task import ClassifierTask

        return ClassifierTask(self, compute_dtype, strategy, events)

    def require_trained(self, config: BackboneConfig) -> None:
        METHOD.require_trained(config)

    def head(self, about: dict[str, Any]) -> tuple[list[str], bool]:
        told = class_names(about)
        known = classes_of(self.source.config, self.source.card) if self.source else []
        keeps = sorted(known) == sorted(told)
        return (known if keeps else told), keeps

    def read_split(
        self, dataset: Path, split: str, about: dict[str, Any], most: int | None
    ) -> Labelled | None:
        examples = labelled_split(dataset, split, about)
        if examples is None:
            return None
        if most is not None:
            examples = examples.chosen(few(examples.labels, most, self.spec.seed))
        places = np.array([self.names.index(name) for name in class_names(about)])
        return replace(examples, labels=places[examples.labels])


METHOD: Final = fine_tuning_method(
    name="classification",
    title=_("Classification"),
    summary=_(
        "Train a network with a head on labelled texts or images: from a source that is adapted "
        "(fine-tuning), or from nothing, as a source for others (supervised pretraining)."
    ),
    data=("labelled_text", "labelled_image"),
    settings=ClassificationSpec,
    load=LoadedClasses,
)
