"""The form of a run that gives each word of a sentence a tag."""

from __future__ import annotations

from typing import Any

from training.data.labelled import tag_names
from training.methods.task_related.token_classification_spec import tags_of
from webapp.runs.form_fine_tuning import FineTuningForm


class TokenClassificationForm(FineTuningForm):
    """A network that tags words."""

    method = "token_classification"
    data_template = "runs/data_token_classification.html"
    HEAD = "token_classification"
    NEEDS_SOURCE = True

    @classmethod
    def blank(cls) -> dict[str, Any]:
        # Networks from nothing read images; a twin's own comes with its spec.
        return super().blank() | {"model": ""}

    @property
    def is_transfer(self) -> bool:
        return super().is_transfer or not self.values["model"]

    @property
    def sizes(self) -> list[tuple[str, str]]:
        """The network of a spec that was pasted, alone."""
        return [one for one in super().sizes if one[0] == self.values["model"]]

    @property
    def outputs(self) -> list[str]:
        """The data's tags."""
        return [] if self.version is None else tag_names(self.version.summary)

    @property
    def keeps_head(self) -> bool:
        """Whether the source's head gives the very same tags."""
        if self.source is None or self.source.checkpoint is None:
            return False
        return bool(self.outputs) and sorted(tags_of(self.source.config)) == sorted(self.outputs)
