"""The form of a run on a table: Wide & Deep."""

from __future__ import annotations

from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.wide_deep.config import WideDeepConfig
from training.methods.task_related.wide_deep_spec import WideDeepSpec
from webapp.jobs.selectors import sentence
from webapp.runs import tables
from webapp.runs.form import RunForm
from webapp.runs.sources import Source, source_of

#: Sections that a source decides.
OF_THE_SOURCE = ("features.", "network.")


class WideDeepForm(RunForm):
    """A linear part and a network over a table's columns."""

    method = "wide_deep"
    template = "runs/new_wide_deep.html"
    data_template = "runs/data_wide_deep.html"
    TOGETHER = True
    LIKE = "features.checkpoint"

    def leaves_out(self, path: str) -> bool:
        given = self.is_transfer or bool(self.values[self.LIKE])
        decided = path.startswith(OF_THE_SOURCE) and path != self.LIKE
        return super().leaves_out(path) or (given and decided)

    def input_of(self, field: str) -> tuple[str, int | None]:
        # A cross is a list of columns: its own parts have no input.
        for path in ("features.crosses", "network.hidden"):
            if field.startswith(f"{path}."):
                number = field.removeprefix(f"{path}.").partition(".")[0]
                return path, int(number) if number.isdecimal() else None
        return super().input_of(field)

    @cached_property
    def like(self) -> Source | None:
        """Whose columns, crosses and network are used: the source, or a twin's transfer's."""
        if self.values[self.LIKE] and not self.is_transfer:
            return source_of(self.values[self.LIKE], self.team, self.method)
        return self.source

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

    def too_few(self, devices: int) -> str:
        return _("With %(count)s devices, at least %(count)s examples are needed.") % {
            "count": devices
        }

    def check_whole(self, spec: WideDeepSpec) -> None:
        """What only shows when the table is known."""
        version = self.version
        if version is None:
            return
        if "validation" not in (version.summary.get("splits") or {}):
            self.add("data", sentence("split_missing", {"split": "validation"}))
        targets = tables.targets(version)
        if spec.target and spec.target not in targets:
            told = {"column": spec.target, "known": ", ".join(targets)}
            self.add("target", sentence("table_target_unknown", told))
        elif not self.classes:
            named = {"column": spec.target or next(iter(targets), "")}
            self.add("target", sentence("table_target_number", named))
        self._check_crosses(spec, [str(one["name"]) for one in tables.inputs(version)])

    def _check_crosses(self, spec: WideDeepSpec, known: list[str]) -> None:
        for number, names in enumerate(spec.features.crosses, start=1):
            for name in names:
                if name not in known:
                    told = {"column": name, "known": ", ".join(known)}
                    said = sentence("cross_column_unknown", told)
                    line = {"number": number, "sentence": said}
                    self.add("features.crosses", _("Line %(number)s: %(sentence)s") % line)

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """What has learned already is changed more gently."""
        return {"training.learning_rate": "0.01"}
