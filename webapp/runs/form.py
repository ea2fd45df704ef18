"""The form of a new run: what was typed ↔ a spec. Nothing typed is ever lost.

Here is what the forms of all methods share; :mod:`webapp.runs.form_causal_lm` and
:mod:`webapp.runs.form_classification` have the rest, :mod:`webapp.runs.forms` has them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.contract import BackboneConfig
from training.ensembles.spec import FITTED
from training.methods.contract import LoopMethod
from training.methods.registry import LOOP_METHODS
from training.settings import PROBLEMS, Problem, problems
from webapp.accounts.models import Team
from webapp.checkpoints.selectors import COMBINATIONS
from webapp.datasets.models import DatasetVersion
from webapp.jobs import selectors as jobs
from webapp.runs import fields, references
from webapp.runs.data import learnable
from webapp.runs.dotted import at, flat, put
from webapp.runs.layouts import LAYOUTS
from webapp.runs.methods import METHODS, Shown
from webapp.runs.sources import Source, source_of
from webapp.runs.spec_yaml import YamlRefused, read_yaml, to_yaml
from webapp.runs.twins import SCRATCH as SCRATCH_TWIN
from webapp.runs.twins import Pair, without_source

SCRATCH, TRANSFER = "scratch", "transfer"
#: Runs that can be asked for at once.
MOST_TOGETHER = 5


class RunForm(ABC):
    """One person's half-finished run.

    Args:
        values: What is in the inputs: texts; True or False for boxes; lists of texts.
        team: Whose data and sources may be named.
        submitted: Whether to complain about what is still empty.

    Attributes:
        values: As above, complete: every input has a value.
        spec: The spec, once all is well; None otherwise.
        errors: Sentences by input; ``""`` for those that belong to none.
    """

    method: ClassVar[str]
    #: What stands in the middle of the page, and what is said of each choice of data.
    template: ClassVar[str]
    data_template: ClassVar[str]
    #: What beginning from nothing, and from a source, writes into other inputs, as JSON.
    sets_scratch: ClassVar[str] = "{}"
    sets_transfer: ClassVar[str] = "{}"
    #: The field that names a checkpoint by which data are shown to a run, as a twin's transfer's.
    #: Nobody types it, and it is kept all the same.
    LIKE: ClassVar[str]
    #: Whether several runs that differ in their seed can be asked for, and their ensemble.
    TOGETHER: ClassVar[bool] = False
    #: Whether a run cannot begin from nothing, but for the twin of one that did not.
    NEEDS_SOURCE: ClassVar[bool] = False
    #: Whether the page has an input for it.
    LIKE_SHOWN: ClassVar[bool] = False
    #: What the page says of the data chosen, beside the settings; renewed with every check.
    told_of_data: ClassVar[str] = ""
    #: Whether a run from scratch can have a twin too; its template then has the input.
    twin_from_scratch: ClassVar[bool] = False
    #: Inputs that are no setting of the spec: how the run begins, and what the portal adds.
    CHOICES: ClassVar[tuple[str, ...]] = ("name", "how", "data", "source")
    FLAGS: ClassVar[tuple[str, ...]] = ("twin",)
    #: Parts of a spec that no input stands for, beside those of the choices.
    SILENT: ClassVar[tuple[str, ...]] = ("version", "method", "data.path", "source.checkpoint")
    #: A spec's field → the input that shows its errors, where that is another.
    SHOWN_AT: ClassVar[Mapping[str, str]] = {
        "data": "data",
        "data.path": "data",
        "source": "source",
        "source.checkpoint": "source",
    }
    #: Inputs that are no setting and have a place for errors.
    OTHER_INPUTS: ClassVar[tuple[str, ...]] = ("data", "source", "twin")

    def __init__(self, values: Mapping[str, Any], team: Team, *, submitted: bool = False) -> None:
        self.team = team
        self.values: dict[str, Any] = self.blank() | dict(values)
        self.errors: dict[str, list[str]] = {}
        self.spec: Any = None
        self.submitted = submitted

    @classmethod
    def layout(cls) -> fields.Layout:
        return LAYOUTS[cls.method]

    @property
    def entry(self) -> LoopMethod:
        """The method, as the engine describes it."""
        return LOOP_METHODS[self.method]

    @property
    def shown(self) -> Shown:
        """The method, for people."""
        return METHODS[self.method]

    @classmethod
    def blank(cls) -> dict[str, Any]:
        """A new form: every setting at its default."""
        layout = cls.layout()
        values: dict[str, Any] = dict.fromkeys((*cls.choices(), cls.LIKE), "")
        values |= dict.fromkeys(cls.FLAGS, False)
        for path in layout.paths:
            values[path] = "" if layout.info(path).is_required() else layout.default(path)
        if cls.TOGETHER:
            values |= {"members": "1", "combination": "mean"}
        return values | {"how": SCRATCH, "twin": True}

    @classmethod
    def choices(cls) -> tuple[str, ...]:
        """Inputs that are no setting, all of them."""
        return (*cls.CHOICES, *(("members", "combination") if cls.TOGETHER else ()))

    # --- where the values come from ---

    @classmethod
    def from_post(cls, post: QueryDict, team: Team, *, submitted: bool = True) -> Self:
        """As typed, all of it."""
        layout = cls.layout()
        values: dict[str, Any] = {name: post.get(name, "") for name in (*cls.choices(), cls.LIKE)}
        values |= {name: name in post for name in cls.FLAGS}
        for path in layout.paths:
            match layout.widget(path):
                case "checkbox":
                    values[path] = path in post
                case "checkboxes":
                    values[path] = post.getlist(path)
                case _:
                    values[path] = post.get(path, "")
        return cls(values, team, submitted=submitted)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], team: Team) -> Self:
        """The settings of a spec as JSON; what it does not say keeps its default."""
        form = cls({}, team)
        form.take(spec)
        return form

    @classmethod
    def from_yaml(cls, text: str, form: RunForm) -> Self:
        """A form filled by pasted YAML; what is wrong with the text is an error of ``yaml``."""
        kept = form.values if isinstance(form, cls) else {}
        new = cls(kept, form.team, submitted=True)
        try:
            new.take(read_yaml(text))
        except YamlRefused as error:
            new.add("yaml", str(error))
        return new

    def take(self, spec: Mapping[str, Any]) -> None:
        """Fill in what a spec says; tell of what it says and no input stands for."""
        layout = self.layout()
        self.values["how"] = TRANSFER if spec.get("source") else SCRATCH
        if reference := at(spec, "data.path"):
            self.values["data"] = _id_of(str(reference), "dataset")
        if reference := at(spec, "source.checkpoint"):
            self.values["source"] = str(reference).removeprefix(references.PREFIX)
        for path in layout.paths:
            if (value := at(spec, path, _ABSENT)) is not _ABSENT:
                self.values[path] = layout.written(path, value)
        self.values[self.LIKE] = str(at(spec, self.LIKE) or "")
        self.take_choices(spec)
        for path in sorted(set(flat(spec, layout)) - {*layout.paths, *self.SILENT, self.LIKE}):
            if not self.is_silent(path):
                self.add("yaml", f"{path}: {_(PROBLEMS['extra_forbidden'])}")

    def take_choices(self, spec: Mapping[str, Any]) -> None:  # noqa: B027 - most have none
        """Fill in the inputs that are no setting, and that only this method has."""

    def is_silent(self, path: str) -> bool:
        """Whether a field of a spec is taken up by something else than an input of its name."""
        return False

    @classmethod
    def of(cls, team: Team) -> Self:
        """A new form."""
        return cls({}, team)

    def choose_how(self, how: str) -> None:
        """Begin from nothing, or from a source."""
        self.values["how"] = how

    def choose_data(self, pk: UUID) -> None:
        """Learn from this data."""
        self.values["data"] = str(pk)
        if self.version is not None:
            self.values |= self.data_values(self.version)

    @classmethod
    def data_values(cls, version: DatasetVersion) -> dict[str, Any]:
        """What choosing data writes into the form, by a link or in its list: the same settings for
        all data, so that a second choice leaves nothing of the first."""
        return {}

    def choose_source(self, source: Source, key: str, *, keep: bool) -> None:
        """Begin from this source.

        Args:
            source: It.
            key: As the input has it.
            keep: Leave the other settings as they are.
        """
        self.choose_how(TRANSFER)
        self.values["source"] = key
        if not keep:
            self.values |= self.source_values(source)

    # --- what they mean ---

    @property
    def is_transfer(self) -> bool:
        return bool(self.values["how"] == TRANSFER)

    @cached_property
    def offered(self) -> QuerySet[DatasetVersion]:
        """The team's data that this method learns from."""
        return learnable(self.team, self.method)

    @cached_property
    def version(self) -> DatasetVersion | None:
        """The data chosen."""
        try:
            pk = UUID(self.values["data"])
        except ValueError:
            return None
        return self.offered.filter(pk=pk).select_related("dataset", "job").first()

    @cached_property
    def source(self) -> Source | None:
        """The source chosen."""
        if not self.is_transfer or not self.values["source"]:
            return None
        return source_of(references.PREFIX + self.values["source"], self.team, self.method)

    @property
    def wants_twin(self) -> bool:
        """Whether another run is made beside it, to compare with."""
        return bool(self.is_transfer and self.values["twin"])

    def payload(self) -> dict[str, Any]:
        """The spec as typed, not yet validated."""
        layout = self.layout()
        spec: dict[str, Any] = {"version": 1, "method": self.method}
        for path in layout.paths:
            if not self.leaves_out(path):
                put(spec, path, layout.typed(path, self.values[path]))
        if self.version is not None:
            put(spec, "data.path", references.write("dataset", self.version.pk))
        if self.is_transfer and self.values["source"]:
            put(spec, "source.checkpoint", references.PREFIX + self.values["source"])
        if self.values[self.LIKE] and not self.leaves_out(self.LIKE):
            put(spec, self.LIKE, self.values[self.LIKE])
        self.complete(spec)
        return {name: spec[name] for name in layout.spec.model_fields if name in spec}

    @property
    def members(self) -> int:
        """How many runs are asked for; 1 where only one can be, or what is typed is no number."""
        typed = str(self.values.get("members", "")).strip()
        return int(typed) if typed in map(str, range(1, MOST_TOGETHER + 1)) else 1

    @property
    def combinations(self) -> list[tuple[str, Any]]:
        """How an ensemble of several may combine what they say."""
        return list(COMBINATIONS.items())

    def _check_together(self) -> None:
        """Find what is wrong with the ensemble that is asked for."""
        typed = str(self.values["members"]).strip() or "1"
        if typed not in map(str, range(1, MOST_TOGETHER + 1)):
            self.add("members", _("Write a number from 1 to %(most)s.") % {"most": MOST_TOGETHER})
        if self.values["combination"] not in COMBINATIONS:
            self.add("members", _("Choose how the members are combined."))
        splits = (self.version.summary.get("splits") or {}) if self.version is not None else {}
        if (
            self.members > 1
            and self.version is not None
            and self.values["combination"] in FITTED
            and "test" not in splits
        ):
            self.add("members", jobs.sentence("ensemble_needs_test", {}))

    def leaves_out(self, path: str) -> bool:
        """Whether a setting does not apply as the form stands."""
        return path.startswith("source.") and not self.is_transfer

    def complete(self, spec: dict[str, Any]) -> None:  # noqa: B027 - most have none
        """Add what no setting says."""

    @property
    @abstractmethod
    def config(self) -> BackboneConfig | None:
        """The model that would be trained, once what describes it makes sense."""

    @property
    def same_tokenizer(self) -> bool:
        """Whether the model reads text as its source does."""
        return True

    @property
    def token_rows(self) -> list[list[int]] | None:
        """How rows of the embedding follow from the source's, as far as can be told here: one row,
        or two, which says several. None: nobody knows, or each is what it was."""
        return None

    @property
    def scratch_twin(self) -> Pair:
        """The words for a transfer and its twin."""
        return SCRATCH_TWIN

    @property
    def other_twin(self) -> Pair:
        """The words for a run from scratch and its twin."""
        return without_source(self.method)

    @property
    def afresh(self) -> list[str]:
        """Tensors that start afresh though nobody said so."""
        return []

    def validate(self) -> Any:
        """Find what is wrong; the spec when nothing is."""
        spec: Any = None
        try:
            spec = self.layout().spec.model_validate(self.payload())
        except ValidationError as error:
            for problem in problems(error):
                self._add_problem(problem)
        if self.submitted:
            if self.values["data"] and self.version is None:
                self.add("data", _("This data set is no longer there."))
            if self.is_transfer and self.values["source"] and self.source is None:
                self.add("source", _("This source is no longer there, or its run ended without."))
        if spec is not None:
            if spec.training.batch_size < spec.devices.count:
                self.add("training.batch_size", self.too_few(spec.devices.count))
            self.check_whole(spec)
        if self.TOGETHER:
            self._check_together()
        self.spec = None if self.errors else spec
        return self.spec

    @abstractmethod
    def too_few(self, devices: int) -> str:
        """The sentence for a batch with less in it than there are devices."""

    @abstractmethod
    def check_whole(self, spec: Any) -> None:
        """Find what only shows when data, source and hosts are known."""

    # --- errors ---

    def add(self, name: str, sentence: str) -> None:
        """An error of an input; once, however often it is found."""
        found = self.errors.setdefault(name, [])
        if sentence not in found:
            found.append(sentence)

    def add_message(self, name: str, message: str, **params: Any) -> None:
        """The same for a marked message with its values."""
        self.add(name, _(message) % params)

    def _add_problem(self, problem: Problem) -> None:
        name, number = self.input_of(problem.field)
        params = {
            key: f"{value:g}" if isinstance(value, float) else value
            for key, value in problem.params.items()
        }
        sentence = _(problem.message) % params
        if number is not None and self.layout().widget(name) == "lines":
            sentence = _("Line %(number)s: %(sentence)s") % {
                "number": number + 1,
                "sentence": sentence,
            }
        if name in {"data", "source"}:
            if not self.submitted:
                return  # nobody likes to be told off for a field they have not come to yet
            if problem.message == PROBLEMS["missing"]:
                sentence = (
                    _("Choose the data to learn from.")
                    if name == "data"
                    else _("Choose the model to start from.")
                )
        self.add(name, sentence)

    def input_of(self, field: str) -> tuple[str, int | None]:
        """The input that shows the errors of a spec's field, and the item's number in a list."""
        if field in self.SHOWN_AT:
            return self.SHOWN_AT[field], None
        if field == self.LIKE and not self.LIKE_SHOWN:
            return "source", None
        paths = self.layout().paths
        if field in paths:
            return field, None
        parent, _dot, last = field.rpartition(".")
        if parent in paths:
            return parent, int(last) if last.isdecimal() else None
        return "", None

    def refuse(self, name: str, sentence: str) -> None:
        """Add an error found outside the form, such as a model too large for the memory."""
        self.add(name, sentence)
        self.spec = None

    # --- for the page ---

    def setting(self, path: str) -> fields.Setting:
        return self.layout().setting(path, self.values[path], self.errors.get(path))

    @cached_property
    def sections(self) -> dict[str, dict[str, Any]]:
        """Each group with its settings, once all errors are known.

        ``open``: something below "advanced" needs a look.
        """
        found = {}
        for section in self.layout().groups:
            advanced = [self.setting(path) for path in section.advanced]
            found[section.key] = {
                "title": section.title,
                "settings": [self.setting(path) for path in section.paths],
                "advanced": advanced,
                "open": any(item.errors or item.value != item.default for item in advanced),
            }
        return found

    @property
    def reinitialise(self) -> fields.Setting:
        return self.setting("source.reinitialise")

    def all_settings(self) -> list[fields.Setting]:
        return [self.setting(path) for path in self.layout().paths]

    def as_yaml(self) -> str:
        """The spec as YAML; as typed while it is not valid."""
        spec = self.payload()
        try:
            spec = self.layout().spec.model_validate(spec).model_dump(mode="json")
        except ValidationError:
            pass
        return to_yaml(spec)

    @classmethod
    @abstractmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """What choosing a source writes into the form."""


_ABSENT: Any = object()


def _id_of(reference: str, wanted: str) -> str:
    try:
        kind, pk = references.read(reference)
    except ValueError:
        return ""
    return str(pk) if kind == wanted else ""
