"""The form of a run on a table: Wide & Deep."""

from __future__ import annotations

from typing import Any

from django.utils.functional import cached_property
from pydantic import ValidationError

from training.backbones.wide_deep.config import WideDeepConfig
from training.methods.task_related.wide_deep_spec import WideDeepSpec
from webapp.jobs.selectors import sentence
from webapp.runs import tables
from webapp.runs.form_table import TableForm
from webapp.runs.sources import Source


class WideDeepForm(TableForm):
    """A linear part and a network over a table's columns."""

    method = "wide_deep"
    template = "runs/new_wide_deep.html"
    TOGETHER = True
    LINES = ("features.crosses", "network.hidden")

    @property
    def classes(self) -> list[str]:
        """Of the data, once it is chosen."""
        if self.version is None:
            return []
        return tables.classes(self.version, str(self.values["target"]).strip())

    @property
    def keeps_head(self) -> bool:
        """Whether the source tells the data's classes apart."""
        if self.source is None or self.source.checkpoint is None:
            return False
        known = self.source.checkpoint.card.get("classes") or ()
        return sorted(map(str, known)) == sorted(self.classes)

    @cached_property
    def config(self) -> WideDeepConfig | None:
        """The model that would be trained, as far as it is known before the rows are read."""
        if self.version is None or not self.classes:
            return None
        if self.is_transfer or self.values[self.LIKE]:
            if self.like is None or not isinstance(self.like.config, WideDeepConfig):
                return None
            return self.like.config.model_copy(update={"num_classes": len(self.classes)})
        try:
            spec = WideDeepSpec.model_validate(self.payload())
        except ValidationError:
            return None
        return tables.planned(self.version, spec)

    @property
    def afresh(self) -> list[str]:
        """What has something for each class, unless these are the source's."""
        if self.config is None or self.keeps_head:
            return []
        return self.config.label_head

    def check_table(self, spec: WideDeepSpec) -> None:
        version = self.version
        assert version is not None
        wanted = [spec.target] if spec.target else []
        if self.check_targets("target", wanted) and not self.classes:
            named = {"column": spec.target or next(iter(tables.targets(version)), "")}
            self.add("target", sentence("table_target_number", named))
        self._check_crosses(spec, [str(one["name"]) for one in tables.inputs(version)])

    def _check_crosses(self, spec: WideDeepSpec, known: list[str]) -> None:
        for number, names in enumerate(spec.features.crosses, start=1):
            for name in names:
                if name not in known:
                    told = {"column": name, "known": ", ".join(known)}
                    said = self.in_line(number, sentence("cross_column_unknown", told))
                    self.add("features.crosses", said)

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """What has learned already is changed more gently."""
        return {"training.learning_rate": "0.01"}
