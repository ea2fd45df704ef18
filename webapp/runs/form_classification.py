"""The form of a classifier's run: fine-tuning, or supervised pretraining."""

from __future__ import annotations

from training.fine_tuning.settings import FineTuningSpec
from training.methods.task_related.classification_spec import classes_of
from webapp.jobs.selectors import sentence
from webapp.runs.form_fine_tuning import FineTuningForm


class ClassificationForm(FineTuningForm):
    """A network that tells classes apart."""

    method = "classification"
    data_template = "runs/data_classification.html"
    TOGETHER = True

    @property
    def outputs(self) -> list[str]:
        """The data's classes."""
        if self.version is None:
            return []
        return [str(one["name"]) for one in self.version.summary["labels"]["classes"]]

    @property
    def keeps_head(self) -> bool:
        """Whether the source's head tells the data's classes apart."""
        if self.source is None or self.source.checkpoint is None:
            return False
        known = classes_of(self.source.config, self.source.checkpoint.card)
        return bool(known) and sorted(known) == sorted(self.outputs)

    def check_whole(self, spec: FineTuningSpec) -> None:
        super().check_whole(spec)
        if spec.examples is not None and spec.examples < len(self.outputs):
            said = sentence("examples_fewer_than_classes", {"classes": len(self.outputs)})
            self.add("examples", said)
