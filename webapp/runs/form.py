"""The form of a new run: what was typed ↔ a spec. Nothing typed is ever lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.errors import MESSAGES
from training.settings import PROBLEMS, Problem, problems
from training.spec import RunSpec
from webapp.accounts.models import Team
from webapp.datasets.models import DatasetVersion
from webapp.datasets.selectors import of_texts
from webapp.runs import fields, references
from webapp.runs.sources import Source, source_of
from webapp.runs.spec_yaml import YamlRefused, read_yaml, to_yaml

#: Inputs that are no setting of the spec: how the run begins, and what the portal adds.
CHOICES = ("name", "how", "data", "source", "architecture", "tokenizer.checkpoint", "preset")
FLAGS = ("lora", "twin")
SCRATCH, TRANSFER = "scratch", "transfer"


class RunForm:
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

    def __init__(self, values: Mapping[str, Any], team: Team, *, submitted: bool = False) -> None:
        self.team = team
        self.values: dict[str, Any] = blank() | dict(values)
        self.errors: dict[str, list[str]] = {}
        self.spec: RunSpec | None = None
        self.submitted = submitted

    # --- where the values come from ---

    @classmethod
    def from_post(cls, post: QueryDict, team: Team, *, submitted: bool = True) -> RunForm:
        """As typed, all of it."""
        values: dict[str, Any] = {name: post.get(name, "") for name in CHOICES}
        values |= {name: name in post for name in FLAGS}
        for path in fields.paths():
            match fields.widget(path):
                case "checkbox":
                    values[path] = path in post
                case "checkboxes":
                    values[path] = post.getlist(path)
                case _:
                    values[path] = post.get(path, "")
        return cls(values, team, submitted=submitted)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], team: Team) -> RunForm:
        """The settings of a spec as JSON; what it does not say keeps its default."""
        form = cls({}, team)
        form._take(spec)
        return form

    @classmethod
    def from_yaml(cls, text: str, form: RunForm) -> RunForm:
        """A form filled by pasted YAML; what is wrong with the text is an error of ``yaml``."""
        new = cls(form.values, form.team, submitted=True)
        try:
            new._take(read_yaml(text))
        except YamlRefused as error:
            new._add("yaml", str(error))
        return new

    def _take(self, spec: Mapping[str, Any]) -> None:
        source, model = spec.get("source"), spec.get("model")
        self.values["how"] = TRANSFER if source else SCRATCH
        self.values["architecture"] = "own" if model else "source"
        self.values["lora"] = bool(_at(spec, "training.lora"))
        if reference := _at(spec, "data.path"):
            self.values["data"] = _id_of(str(reference), "dataset")
        if reference := _at(spec, "source.checkpoint"):
            self.values["source"] = str(reference).removeprefix(references.PREFIX)
        self.values["tokenizer.checkpoint"] = str(_at(spec, "tokenizer.checkpoint") or "")
        for path in fields.paths():
            if (value := _at(spec, path, _ABSENT)) is not _ABSENT:
                self.values[path] = fields.written(path, value)
        self.values["preset"] = preset_of(self.values)
        known = {*fields.paths(), "data.path", "source.checkpoint", "tokenizer.checkpoint"}
        known |= {"version", "method", "model.architecture", "model.vocab_size"}
        for path in sorted(_paths(spec) - known):
            self._add("yaml", f"{path}: {_(PROBLEMS['extra_forbidden'])}")

    # --- what they mean ---

    @property
    def is_transfer(self) -> bool:
        return self.values["how"] == TRANSFER

    @property
    def has_own_model(self) -> bool:
        return not self.is_transfer or self.values["architecture"] == "own"

    @cached_property
    def version(self) -> DatasetVersion | None:
        """The data chosen."""
        try:
            pk = UUID(self.values["data"])
        except ValueError:
            return None
        rows = of_texts(DatasetVersion.objects.filter(team=self.team, pk=pk))
        return rows.select_related("dataset", "job").first()

    @cached_property
    def source(self) -> Source | None:
        """The source chosen."""
        if not self.is_transfer or not self.values["source"]:
            return None
        return source_of(references.PREFIX + self.values["source"], self.team)

    def payload(self) -> dict[str, Any]:
        """The spec as typed, not yet validated."""
        spec: dict[str, Any] = {"version": 1, "method": "causal_lm"}
        for path in fields.paths():
            part = path.rpartition(".")[0]
            if part == "model" and not self.has_own_model:
                continue
            if part == "training.lora" and not self.values["lora"]:
                continue
            if part == "source" and not self.is_transfer:
                continue
            _put(spec, path, _typed(path, self.values[path]))
        if self.version is not None:
            _put(spec, "data.path", references.write("dataset", self.version.pk))
        if self.is_transfer and self.values["source"]:
            _put(spec, "source.checkpoint", references.PREFIX + self.values["source"])
        if self.values["tokenizer.kind"] == "checkpoint":
            _put(spec, "tokenizer.checkpoint", self.values["tokenizer.checkpoint"])
        if "model" in spec:
            spec["model"]["vocab_size"] = self._rows()
        return {name: spec[name] for name in RunSpec.model_fields if name in spec}

    def _rows(self) -> Any:
        """Rows of the embedding: as many as the tokenizer has tokens."""
        match self.values["tokenizer.kind"]:
            case "train":
                typed = str(self.values["tokenizer.vocabulary_size"]).strip()
                return int(typed) if typed.isdecimal() and 2 <= int(typed) <= 10**6 else 4096
            case "source" if self.source is not None:
                return self.source.config.vocab_size
            case "checkpoint":
                other = source_of(self.values["tokenizer.checkpoint"], self.team)
                if other is not None:
                    return other.config.vocab_size
        return PRESETS["gpt2"].vocab_size

    def validate(self) -> RunSpec | None:
        """Find what is wrong; the spec when nothing is."""
        spec: RunSpec | None = None
        try:
            spec = RunSpec.model_validate(self.payload())
        except ValidationError as error:
            for problem in problems(error):
                self._add_problem(problem)
        if self.submitted:
            if self.values["data"] and self.version is None:
                self._add("data", _("This data set is no longer there."))
            if self.is_transfer and self.values["source"] and self.source is None:
                self._add("source", _("This source is no longer there, or its run ended without."))
        if spec is not None:
            self._check_whole(spec)
        self.spec = None if self.errors else spec
        return self.spec

    @cached_property
    def config(self) -> GPT2Config | None:
        """The model that would be trained, once what describes it makes sense."""
        if not self.has_own_model:
            config = self.source.config if self.source is not None else None
        else:
            try:
                config = GPT2Config.model_validate(self.payload()["model"])
            except ValidationError:
                config = None
        return config and config.model_copy(update={"vocab_size": self._rows()})

    def _check_whole(self, spec: RunSpec) -> None:
        """What only shows when data, source and hosts are known."""
        training = spec.training
        if self.is_transfer and self.source is not None and spec.model is None:
            context = self.source.config.n_positions
            if training.sequence_length > context:
                self._add_message(
                    "training.sequence_length",
                    PROBLEMS["sequence_longer_than_context"],
                    context=context,
                )
        if training.lora is not None and not self.is_transfer:
            self._add(
                "lora",
                _("LoRA adapts weights that have learned something: it needs a source."),
            )
        if training.batch_size < spec.devices.count:
            self._add(
                "training.batch_size",
                _("With %(count)s devices, at least %(count)s sequences are needed.")
                % {"count": spec.devices.count},
            )
        if self.version is not None and spec.tokenizer.kind == "gpt2":
            # Counted with GPT-2's vocabulary; how many another makes shows only in the run.
            tokens = _at(self.version.summary, "splits.train.tokens")
            if tokens is not None and tokens < training.sequence_length:
                self._add_message(
                    "training.sequence_length",
                    MESSAGES["corpus_too_short"],
                    split="train",
                    tokens=tokens,
                    sequence_length=training.sequence_length,
                )

    # --- errors ---

    def _add(self, name: str, sentence: str) -> None:
        found = self.errors.setdefault(name, [])
        if sentence not in found:
            found.append(sentence)

    def _add_message(self, name: str, message: str, **params: Any) -> None:
        self._add(name, _(message) % params)

    def _add_problem(self, problem: Problem) -> None:
        name, number = _input_of(problem.field)
        params = {
            key: f"{value:g}" if isinstance(value, float) else value
            for key, value in problem.params.items()
        }
        sentence = _(problem.message) % params
        if number is not None and fields.widget(name) == "lines":
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
        self._add(name, sentence)

    def refuse(self, name: str, sentence: str) -> None:
        """Add an error found outside the form, such as a model too large for the memory."""
        self._add(name, sentence)
        self.spec = None

    # --- for the page ---

    def setting(self, path: str) -> fields.Setting:
        found = fields.setting(path, self.values[path], self.errors.get(path))
        if path == "tokenizer.kind" and found.value != "checkpoint":
            found.choices = [choice for choice in found.choices if choice[0] != "checkpoint"]
        return found

    @cached_property
    def sections(self) -> dict[str, dict[str, Any]]:
        """Each group with its settings, once all errors are known.

        ``open``: something below "advanced" needs a look.
        """
        found = {}
        for key, section in fields.SECTIONS.items():
            advanced = [self.setting(path) for path in section.advanced]
            found[key] = {
                "title": section.title,
                "settings": [self.setting(path) for path in section.paths],
                "advanced": advanced,
                "open": any(item.errors or item.value != item.default for item in advanced),
            }
        return found

    @property
    def other_inputs(self) -> tuple[str, ...]:
        """Inputs that are no setting and have a place for errors."""
        return ("data", "source", "lora")

    @property
    def reinitialise(self) -> fields.Setting:
        return self.setting("source.reinitialise")

    def all_settings(self) -> list[fields.Setting]:
        return [self.setting(path) for path in fields.paths()]

    def as_yaml(self) -> str:
        """The spec as YAML; as typed while it is not valid."""
        spec = self.payload()
        try:
            spec = RunSpec.model_validate(spec).model_dump(mode="json")
        except ValidationError:
            pass
        return to_yaml(spec)


def blank() -> dict[str, Any]:
    """A new form: the smallest preset, from scratch."""
    values: dict[str, Any] = dict.fromkeys(CHOICES, "") | dict.fromkeys(FLAGS, False)
    for path in fields.paths():
        found = fields.info(path)
        values[path] = "" if found.is_required() else fields.default(path)
    return (
        values
        | preset_values("nano")
        | {
            "how": SCRATCH,
            "architecture": "source",
            "preset": "nano",
            "twin": True,
        }
    )


def preset_values(name: str) -> dict[str, Any]:
    """What choosing a preset writes into the form.

    A small model gets a vocabulary trained on its data: with GPT-2's 50,257 tokens its embedding
    alone would be many times the rest. Sequences stay at 256 tokens for the large ones, as memory
    grows with them, and their batches are small.
    """
    config = PRESETS[name]
    small = config.vocab_size != PRESETS["gpt2"].vocab_size
    values = {
        path: fields.written(path, getattr(config, path.removeprefix("model.")))
        for path in fields.paths()
        if path.startswith("model.")
    }
    return values | {
        "tokenizer.kind": "train" if small else "gpt2",
        "tokenizer.vocabulary_size": str(config.vocab_size if small else 4096),
        "training.sequence_length": str(min(config.n_positions, 256)),
        "training.batch_size": "16" if small else "4",
        "training.learning_rate": "0.001" if small else "0.0003",
    }


def preset_of(values: Mapping[str, Any]) -> str:
    """The preset whose dimensions these are, empty when none has them."""
    for name in PRESETS:
        wanted = preset_values(name)
        if all(values[path] == wanted[path] for path in wanted if path.startswith("model.")):
            return name
    return ""


def source_values(source: Source) -> dict[str, Any]:
    """What choosing a source writes into the form: its shape, from which another may differ."""
    values = {
        path: fields.written(path, getattr(source.config, path.removeprefix("model.")))
        for path in fields.paths()
        if path.startswith("model.")
    }
    context = source.config.n_positions
    if context < fields.info("training.sequence_length").default:
        values["training.sequence_length"] = str(context)
    return values | {"preset": preset_of(values)}


_ABSENT: Any = object()


def _typed(path: str, value: Any) -> Any:
    """An input's text as pydantic takes it: empty is None where the setting allows that."""
    match fields.widget(path):
        case "checkbox" | "checkboxes":
            return value
        case "lines":
            return [line.strip() for line in str(value).splitlines() if line.strip()]
    text = str(value).strip()
    if not text and fields.nullable(path):
        return None
    number = {"integer": int, "number": float}.get(fields.widget(path))
    try:
        return number(text) if number else text
    except ValueError:
        return text  # pydantic says what is wrong with it


def _input_of(field: str) -> tuple[str, int | None]:
    """The input that shows the errors of a spec's field, and the item's number in a list."""
    if field in {"data", "data.path"}:
        return "data", None
    if field in {"source", "source.checkpoint"}:
        return "source", None
    if field == "model.vocab_size":
        return "tokenizer.vocabulary_size", None
    if field == "tokenizer.checkpoint":
        return "tokenizer.kind", None
    if field in fields.paths():
        return field, None
    parent, _dot, last = field.rpartition(".")
    if parent in fields.paths():
        return parent, int(last) if last.isdecimal() else None
    return "", None


def _at(tree: Any, path: str, default: Any = None) -> Any:
    for part in path.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return default
        tree = tree[part]
    return tree


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _paths(tree: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Dotted paths of all leaves; None stands for a part that is not there."""
    found: set[str] = set()
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _paths(value, f"{path}.")
        elif value is not None or path in fields.paths():
            found.add(path)
    return found


def _id_of(reference: str, wanted: str) -> str:
    try:
        kind, pk = references.read(reference)
    except ValueError:
        return ""
    return str(pk) if kind == wanted else ""
