"""How the settings of a run are laid out; what they mean stands in ``training.spec`` alone.

Titles, help, ranges, choices and defaults are read from the pydantic models. Here is only the
order, which settings most people never touch, and the few widgets that differ from the obvious.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from training.spec import RunSpec


@dataclass(frozen=True)
class Section:
    """A group of settings on the page.

    Attributes:
        key: Its id on the page.
        title: For people.
        paths: Dotted paths of settings, in order.
        advanced: Those that most people never touch.
    """

    key: str
    title: str | Promise
    paths: tuple[str, ...]
    advanced: tuple[str, ...] = ()


SECTIONS: dict[str, Section] = {
    section.key: section
    for section in (
        Section(
            "model",
            _("Model"),
            ("model.n_layer", "model.n_embd", "model.n_head", "model.n_positions"),
            (
                "model.n_inner",
                "model.activation_function",
                "model.layer_norm_epsilon",
                "model.tie_word_embeddings",
                "model.scale_attn_weights",
                "model.scale_attn_by_inverse_layer_idx",
            ),
        ),
        Section("tokenizer", _("Tokenizer"), ("tokenizer.kind", "tokenizer.vocabulary_size")),
        Section(
            "training",
            _("Training"),
            (
                "training.steps",
                "training.batch_size",
                "training.sequence_length",
                "training.learning_rate",
                "training.warmup_steps",
                "training.dropout",
            ),
            (
                "training.accumulation",
                "training.packing",
                "training.schedule",
                "training.final_learning_rate",
                "training.weight_decay",
                "training.clip_norm",
                "training.beta_1",
                "training.beta_2",
                "training.epsilon",
                "training.precision",
                "seed",
            ),
        ),
        Section(
            "lora",
            _("LoRA"),
            ("training.lora.rank", "training.lora.alpha", "training.lora.targets"),
        ),
        Section(
            "evaluation",
            _("Evaluation and samples"),
            ("evaluation.every", "evaluation.sample_every", "evaluation.prompts"),
            ("evaluation.batches", "evaluation.checkpoint_every", "evaluation.sample_tokens"),
        ),
        Section("devices", _("Devices"), ("devices.kind", "devices.count")),
    )
}

#: Settings shown as one line of text each.
LINES = frozenset({"evaluation.prompts", "source.reinitialise"})

#: What a choice is called, where its value alone says too little.
CHOICES: dict[str, dict[str, str | Promise]] = {
    "tokenizer.kind": {
        "gpt2": _("GPT-2's published vocabulary"),
        "train": _("trained on this data set"),
        "source": _("the source's own"),
        "checkpoint": _("of the same source as its transfer"),
    },
    "method": {"causal_lm": _("causal language modelling")},
    "training.schedule": {
        "cosine": _("cosine"),
        "linear": _("linear"),
        "constant": _("constant"),
    },
    "training.precision": {"auto": _("automatic")},
    "devices.kind": {
        "auto": _("automatic"),
        "cpu": _("processor"),
        "gpu": _("graphics card"),
    },
}


@dataclass
class Setting:
    """One setting as a form shows it.

    Attributes:
        path: Dotted path in the spec; also the input's name.
        widget: ``number``, ``integer``, ``text``, ``checkbox``, ``select``, ``checkboxes`` or
            ``lines``.
        title: For people.
        help: One sentence.
        range: ``1 – 4,096``, where there are bounds.
        choices: Value and name of each.
        default: As it is written in the form.
        value: As typed: text, yes or no, or several texts.
        errors: Sentences.
    """

    path: str
    widget: str
    title: str
    help: str
    range: str
    choices: list[tuple[str, str]]
    default: Any
    value: Any = ""
    errors: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.path.replace(".", "-")


@cache
def info(path: str) -> FieldInfo:
    """The schema's entry of a dotted path.

    Raises:
        KeyError: There is no such setting.
    """
    model: type[BaseModel] = RunSpec
    *parents, last = path.split(".")
    for part in parents:
        found = _model(model.model_fields[part].annotation)
        if found is None:
            raise KeyError(path)
        model = found
    return model.model_fields[last]


def _model(annotation: Any) -> type[BaseModel] | None:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _options(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of ``X | None``, None left out."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(option for option in get_args(annotation) if option is not NoneType)
    return (annotation,)


@cache
def widget(path: str) -> str:
    """What a setting is entered with."""
    if path in LINES:
        return "lines"
    (kind,) = _options(info(path).annotation)
    if kind is bool:
        return "checkbox"
    if get_origin(kind) is list:
        return "checkboxes"
    if get_origin(kind) is Literal:
        return "select"
    return {int: "integer", float: "number"}.get(kind, "text")


def nullable(path: str) -> bool:
    """Whether the setting may be left empty."""
    annotation = info(path).annotation
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def choices(path: str) -> list[tuple[str, str]]:
    """The values to choose from, with their names."""
    (kind,) = _options(info(path).annotation)
    if get_origin(kind) is list:
        (kind,) = get_args(kind)
    if get_origin(kind) is not Literal:
        return []
    names = CHOICES.get(path, {})
    return [(str(value), str(names.get(str(value), value))) for value in get_args(kind)]


def default(path: str) -> Any:
    """The schema's default, as the form writes it."""
    return written(path, info(path).get_default(call_default_factory=True))


def written(path: str, value: Any) -> Any:
    """A value of a spec as the form shows it: text, yes or no, or several texts."""
    match widget(path):
        case "checkbox":
            return bool(value)
        case "lines":
            return "\n".join(str(item) for item in value or [])
        case "checkboxes":
            return [str(item) for item in value or []]
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else str(value)


def range_text(path: str) -> str:
    """The bounds as people read them, empty where there are none."""
    low = high = None
    open_low = open_high = False
    for bound in info(path).metadata:
        low = getattr(bound, "ge", getattr(bound, "gt", low))
        high = getattr(bound, "le", getattr(bound, "lt", high))
        open_low |= hasattr(bound, "gt")
        open_high |= hasattr(bound, "lt")
    if widget(path) not in {"integer", "number"}:
        return ""
    lower = "" if low is None else (f"> {low:,g}" if open_low else f"{low:,g}")
    upper = "" if high is None else (f"< {_large(high)}" if open_high else _large(high))
    if lower and upper:
        return f"{lower} … {upper}"
    if lower and not open_low:
        return gettext("from %(low)s") % {"low": lower}
    return lower or upper


def _large(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def setting(path: str, value: Any = None, errors: list[str] | None = None) -> Setting:
    """A setting with what was typed and what is wrong with it."""
    found = info(path)
    return Setting(
        path=path,
        widget=widget(path),
        title=gettext(found.title or path.rpartition(".")[2]),
        help=gettext(found.description) if found.description else "",
        range=range_text(path),
        choices=choices(path),
        default=default(path) if not found.is_required() else "",
        value=value,
        errors=errors or [],
    )


@cache
def paths() -> tuple[str, ...]:
    """Every setting that the form has an input for."""
    found = [path for section in SECTIONS.values() for path in section.paths + section.advanced]
    return (*found, "source.reinitialise")
