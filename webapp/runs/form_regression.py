"""The form of a run that predicts a number of each text or image."""

from __future__ import annotations

from training.data.labelled import number_name
from training.methods.task_related.regression_spec import target_of
from webapp.runs.form_fine_tuning import FineTuningForm


class RegressionForm(FineTuningForm):
    """A network that predicts a number."""

    method = "regression"
    data_template = "runs/data_regression.html"

    @property
    def outputs(self) -> list[str]:
        """What the data's number is called, alone."""
        return [] if self.version is None else [number_name(self.version.summary)]

    @property
    def keeps_head(self) -> bool:
        """Whether the source's head predicts the very same number."""
        if self.source is None or self.source.checkpoint is None:
            return False
        known = target_of(self.source.config, self.source.checkpoint.card)
        return known is not None and [known] == self.outputs
