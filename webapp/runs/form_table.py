"""What the forms of runs on tables share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from webapp.jobs.selectors import sentence
from webapp.runs import tables
from webapp.runs.form import RunForm
from webapp.runs.sources import Source, source_of


class TableForm(RunForm):
    """A network over a table's columns, which with a source are the source's."""

    data_template = "runs/data_table.html"
    LIKE = "features.checkpoint"
    #: Sections that a source decides.
    OF_THE_SOURCE: ClassVar[tuple[str, ...]] = ("features.", "network.")
    #: Settings of one line each: the parts of an item have no input.
    LINES: ClassVar[tuple[str, ...]] = ("network.hidden",)

    def leaves_out(self, path: str) -> bool:
        given = self.is_transfer or bool(self.values[self.LIKE])
        decided = path.startswith(self.OF_THE_SOURCE) and path != self.LIKE
        return super().leaves_out(path) or (given and decided)

    def input_of(self, field: str) -> tuple[str, int | None]:
        for path in self.LINES:
            if field.startswith(f"{path}."):
                number = field.removeprefix(f"{path}.").partition(".")[0]
                return path, int(number) if number.isdecimal() else None
        return super().input_of(field)

    @cached_property
    def like(self) -> Source | None:
        """Whose columns and network are used: the source, or a twin's transfer's."""
        if self.values[self.LIKE] and not self.is_transfer:
            return source_of(self.values[self.LIKE], self.team, self.method)
        return self.source

    def too_few(self, devices: int) -> str:
        return _("With %(count)s devices, at least %(count)s examples are needed.") % {
            "count": devices
        }

    def check_whole(self, spec: Any) -> None:
        """What only shows when the table is known."""
        if self.version is None:
            return
        if "validation" not in (self.version.summary.get("splits") or {}):
            self.add("data", sentence("split_missing", {"split": "validation"}))
        self.check_table(spec)

    @abstractmethod
    def check_table(self, spec: Any) -> None:
        """The same of what this method alone looks at."""

    def check_targets(self, field: str, names: Sequence[str]) -> bool:
        """Whether the table has these targets; said at the field where it has not."""
        assert self.version is not None
        known = tables.targets(self.version)
        is_list = self.layout().widget(field) == "lines"
        for number, name in enumerate(names, start=1):
            if name not in known:
                told = {"column": name, "known": ", ".join(known)}
                said = sentence("table_target_unknown", told)
                self.add(field, self.in_line(number, said) if is_list else said)
        return all(name in known for name in names)

    @staticmethod
    def in_line(number: int, said: str) -> str:
        """What is said of one line of an input."""
        return _("Line %(number)s: %(sentence)s") % {"number": number, "sentence": said}
