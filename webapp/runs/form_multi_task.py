"""The form of a run on several targets of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import cached_property
from pydantic import ValidationError

from training.backbones.multi_task.config import MultiTaskConfig
from training.data.table_tasks import task_key
from training.methods.task_related.multi_task_spec import MultiTaskSpec
from webapp.jobs.selectors import sentence
from webapp.runs import tables
from webapp.runs.form_table import TableForm
from webapp.runs.sources import Source


@dataclass(frozen=True)
class ShownTarget:
    """A target of the table chosen.

    Attributes:
        name: Its name.
        classes: How many; None: it is a number.
        missing: Rows without it.
        is_main: Whether the run is judged by it.
        is_learned: Whether it is learned at all, as the form stands.
    """

    name: str
    classes: int | None
    missing: int
    is_main: bool
    is_learned: bool


class MultiTaskForm(TableForm):
    """One network over a table's columns with a head for each target."""

    method = "multi_task"
    template = "runs/new_multi_task.html"
    told_of_data = "runs/targets.html"
    twin_from_scratch = True
    LINES = ("tasks", "network.hidden")

    @cached_property
    def known(self) -> MultiTaskSpec | None:
        """The spec, as far as it makes sense by itself."""
        try:
            return MultiTaskSpec.model_validate(self.payload())
        except ValidationError:
            return None

    @property
    def names(self) -> list[str]:
        """The targets that are learned, once data and settings make sense."""
        if self.version is None or self.known is None:
            return []
        return tables.chosen(self.version, self.known.targets, only_main=self.known.only_main)

    @property
    def targets(self) -> list[ShownTarget]:
        """Of the data, once it is chosen: those that are learned first, in their order."""
        if self.version is None:
            return []
        known, learned = tables.targets(self.version), self.names
        rest = [name for name in known if name not in learned]
        return [
            ShownTarget(
                name=name,
                classes=None
                if known[name]["type"] == "number"
                else len(tables.classes(self.version, name)),
                missing=int(known[name]["missing"]),
                is_main=learned[:1] == [name],
                is_learned=name in learned,
            )
            for name in [*learned, *rest]
            if name in known
        ]

    @property
    def wants_twin(self) -> bool:
        """A scratch twin of a transfer; from scratch one with the main target alone, if there are
        others."""
        return bool(self.values["twin"]) and (self.is_transfer or len(self.names) > 1)

    @cached_property
    def config(self) -> MultiTaskConfig | None:
        """The model that would be trained, as far as it is known before the rows are read."""
        if self.version is None or self.known is None:
            return None
        if (self.is_transfer or self.values[self.LIKE]) and self.like is None:
            return None
        like = self.like.config if self.like is not None else None
        return tables.planned_tasks(self.version, self.known, like)

    @property
    def afresh(self) -> list[str]:
        """The heads of targets that the source does not have, or with other classes."""
        if self.config is None or self.version is None:
            return []
        told = self.source.checkpoint.card if self.source and self.source.checkpoint else {}
        known = {
            str(one["name"]): sorted(map(str, one.get("classes", ())))
            for one in told.get("tasks") or ()
        }
        fresh = [
            task_key(name)
            for name in self.names
            if known.get(name) != sorted(tables.classes(self.version, name))
        ]
        return self.config.heads_of(fresh)

    def check_table(self, spec: MultiTaskSpec) -> None:
        version = self.version
        assert version is not None
        if not self.check_targets("tasks", spec.targets):
            return
        for number, name in enumerate(self.names, start=1):
            one = tables.targets(version)[name]
            if one["type"] == "number" or len(tables.classes(version, name)) > 1:
                continue
            classes = tables.classes(version, name)
            if classes:
                rows = sum(int(each["train"]) for each in one["classes"])
                told = {"column": name, "value": classes[0], "rows": rows}
                said = sentence("table_target_one_class", told)
            else:
                said = sentence("task_without_labels", {"column": name, "split": "train"})
            self.add("tasks", self.in_line(number, said) if spec.tasks else said)

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """What has learned already is changed more gently."""
        return {"training.learning_rate": "0.001"}
