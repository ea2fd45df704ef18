"""The form of a copy: the new model, what happens to what does not fit, and a person's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import CharField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES, config_of
from training.backbones.sizes import sized_like
from training.errors import TrainingError
from training.settings import problems
from training.spec import TokenizerSpec
from training.weights.plan_settings import PlanSettings
from training.weights.transfer import with_padding
from webapp.accounts.models import Team
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.checkpoints.vocabularies import (
    published_gpt2,
    rows_by_string,
    special_ids,
    vocabulary_of,
)
from webapp.jobs.selectors import sentence
from webapp.runs import references
from webapp.spec_fields import field_of, show_problems

#: Fields of a configuration that follow from the tokenizer, or are none of a person's business.
NOT_ASKED = frozenset({"architecture", "vocab_size", "pad_token_id"})
#: Words for the planner's choices.
CHOICES: dict[str, dict[str, Any]] = {
    "layers": {"first": _("the first ones"), "spread": _("spread over the source")},
    "new_layers": {"random": _("random"), "identity": _("passing on what they get")},
    "positions": {
        "first": _("the first ones"),
        "interpolate": _("stretched"),
        "tile": _("repeated"),
    },
    "width": {
        "random": _("start afresh"),
        "cut": _("copy what both have"),
        "grow": _("grow, computing the same"),
    },
    "vocabulary": {"tokens": _("rows by token"), "random": _("start afresh")},
}
#: Architectures whose checkpoints can have GPT-2's published tokenizer: others could not be read
#: back with it.
TAKE_GPT2 = frozenset({"gpt2", "gpt3"})
#: Checkpoints offered for their vocabulary, or to be copied into: the newest.
MOST_CHECKPOINTS = 100


@dataclass(frozen=True)
class Wanted:
    """What a valid form asks for.

    Attributes:
        target: The new model.
        base: The checkpoint whose values stay where nothing is copied; the target has its shape.
        settings: Of the plan.
        tokenizer: For the spec.
        same_tokenizer: Whether it is the source's.
        token_rows: Rows by token, as far as they can be told without a tokenizer: one source row
            where both know the token's string, two where the source has only its parts.
    """

    target: BackboneConfig
    base: Checkpoint | None
    settings: PlanSettings
    tokenizer: TokenizerSpec
    same_tokenizer: bool
    token_rows: Sequence[Sequence[int]] | None


class CopyForm(forms.Form):
    """A new model that takes weights of a checkpoint.

    Args:
        data: What was typed; missing fields have the source's values.
        source: Whose weights.
        team: Whose vocabularies can be chosen.
    """

    name = forms.CharField(max_length=160, label=_("Name"))
    into = forms.ChoiceField(
        label=_("Into"),
        help_text=_(
            "A new model, of this architecture or another; or one that is there already, whose own "
            "values stay where nothing is copied."
        ),
    )
    tokenizer = forms.ChoiceField(
        label=_("Vocabulary"),
        help_text=_("With another one, rows of the embedding go by token, not by number."),
    )
    rules = forms.CharField(
        required=False,
        max_length=20_000,
        label=PlanSettings.model_fields["rules"].title or "",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "code-input"}),
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        label=_("Seed"),
        help_text=_("Decides the values of what is new."),
    )
    #: For keeping what was typed; no part of the copy.
    plan_name = forms.CharField(
        required=False,
        max_length=160,
        label=_("Name of the plan"),
        widget=forms.TextInput(attrs={"placeholder": _("Name of the plan")}),
    )

    def __init__(self, data: Mapping[str, Any], *, source: Checkpoint, team: Team) -> None:
        self.source, self.team = source, team
        self.bases = self._bases()
        self.base: Checkpoint | None = None
        self.architecture = source.architecture
        kind, _slash, key = str(data.get("into", "")).partition("/")
        if kind == "checkpoint" and key in self.bases:
            self.base = Checkpoint.objects.get(pk=key)
            self.architecture = self.base.architecture
        elif kind == "new" and key in _into(source):
            self.architecture = key
        self.kind = BACKBONES[self.architecture].config
        self.shape_names = [] if self.base else _shape_names(self.kind)
        self.wanted: Wanted | None = None
        super().__init__(self._initial() | dict(data))
        self._offer("into", self._targets())
        for name in self.shape_names:
            self.fields[name] = _shape_field(self.kind, name)
        if self.base:
            del self.fields["tokenizer"]
        else:
            self._offer("tokenizer", self._tokenizers())
        for name, words in CHOICES.items():
            info = PlanSettings.model_fields[name]
            self.fields[name] = forms.ChoiceField(
                choices=list(words.items()),
                label=_(info.title or name),
                help_text=_(info.description or ""),
            )
        rules = PlanSettings.model_fields["rules"]
        self.fields["rules"].label = _(rules.title or "")
        self.fields["rules"].help_text = _(rules.description or "")

    def _offer(self, name: str, choices: list[tuple[Any, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _bases(self) -> dict[str, str]:
        """Names of the checkpoints that can be copied into, by their key."""
        rows = (
            Checkpoint.objects.filter(team=self.team, architecture__in=_into(self.source))
            .exclude(pk=self.source.pk)
            .exclude(stage=Checkpoint.Stage.ARCHIVED)
            .order_by("-created_at", "-pk")
        )
        return {str(pk): name for pk, name in rows.values_list("pk", "name")[:MOST_CHECKPOINTS]}

    def _targets(self) -> list[tuple[Any, Any]]:
        mine = self.source.architecture
        new = sorted(_into(self.source), key=lambda name: name != mine)
        choices: list[tuple[Any, Any]] = [
            (_("A new model"), [(f"new/{name}", BACKBONES[name].title) for name in new])
        ]
        if self.bases:
            kept = [(f"checkpoint/{key}", name) for key, name in self.bases.items()]
            choices.append((_("Keeping the rest of"), kept))
        return choices

    def _initial(self) -> dict[str, Any]:
        defaults = {name: PlanSettings.model_fields[name].default for name in CHOICES}
        return {
            "name": gettext("%(name)s, copied") % {"name": self.source.name[:140]},
            "into": f"new/{self.source.architecture}",
            "tokenizer": "source",
            "rules": "",
            "seed": "0",
            **_shape_of(self._start(), self.shape_names),
            **defaults,
        }

    def _tokenizers(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = [("source", _("the source's"))]
        if BACKBONES[self.architecture].kind != "text":
            return found
        if self.architecture in TAKE_GPT2:
            found.append(("gpt2", _("GPT-2's published one")))
        mine = self.source.manifest.get("tokenizer.json", {}).get("blake3", "")
        others = (
            Checkpoint.objects.filter(team=self.team, architecture=self.architecture)
            .exclude(pk=self.source.pk)
            .exclude(stage=Checkpoint.Stage.ARCHIVED)
            .annotate(vocabulary=Cast(KT("manifest__tokenizer.json__blake3"), CharField()))
            .filter(vocabulary__isnull=False)
            .exclude(vocabulary=mine)
            .order_by("-created_at", "-pk")
        )
        found += [
            (f"checkpoint/{pk}", gettext("that of %(name)s") % {"name": name})
            for pk, name in others.values_list("pk", "name")[:MOST_CHECKPOINTS]
        ]
        return found

    def clean_rules(self) -> list[str]:
        return [line for line in self.cleaned_data["rules"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            try:
                self.wanted = self._wanted(data)
            except ValidationError as error:
                show_problems(self, problems(error))
        return data

    def refuse(self, error: TrainingError) -> None:
        """Say what a planner refused at its field."""
        field = error.field if error.field in self.fields else "rules"
        self.add_error(field, sentence(error.code, error.params))

    def _wanted(self, data: dict[str, Any]) -> Wanted:
        settings = PlanSettings(rules=data["rules"], **{name: data[name] for name in CHOICES})
        if self.base is not None:
            return self._into_base(self.base, settings)
        target = self._shape(data)
        kind, _slash, key = data["tokenizer"].partition("/")
        if kind == "source":
            if self.architecture != self.source.architecture:
                target = with_padding(target, self._special_ids())
            return Wanted(target, None, settings, TokenizerSpec(kind="source"), True, None)
        if kind == "gpt2":
            spec, vocabulary = TokenizerSpec(kind="gpt2"), published_gpt2()
        else:
            other = Checkpoint.objects.get(team=self.team, pk=key)
            reference = references.write("checkpoint", other.pk)
            spec = TokenizerSpec(kind="checkpoint", checkpoint=reference)
            vocabulary = vocabulary_of(other)
            target = with_padding(target, other.config)
        target = target.model_copy(update={"vocab_size": vocabulary.size})
        rows = None
        if settings.vocabulary == "tokens":
            rows = rows_by_string(vocabulary_of(self.source), vocabulary)
        return Wanted(target, None, settings, spec, False, rows)

    def _shape(self, data: Mapping[str, Any]) -> BackboneConfig:
        """The new model's configuration, before its vocabulary is known."""
        typed = {name: data[name] for name in self.shape_names}
        return self.kind.model_validate(self._start() | typed)

    def _start(self) -> dict[str, Any]:
        """The source's configuration, or one of its measures in another architecture."""
        config = self.source.config
        if self.architecture == self.source.architecture:
            return config
        return sized_like(self.kind, config_of(config)).model_dump()

    def _into_base(self, base: Checkpoint, settings: PlanSettings) -> Wanted:
        target, spec = config_of(base.config), TokenizerSpec(kind="source")
        if target.vocabulary is None:
            return Wanted(target, base, settings, spec, True, None)
        try:
            mine, theirs = vocabulary_of(self.source), vocabulary_of(base)
        except forms.ValidationError as error:
            # The vocabulary comes with the model: it has no field of its own here.
            raise forms.ValidationError({"into": error.messages}) from None
        if mine == theirs:
            return Wanted(target, base, settings, spec, True, None)
        rows = rows_by_string(mine, theirs) if settings.vocabulary == "tokens" else None
        return Wanted(target, base, settings, spec, False, rows)

    def _special_ids(self) -> Mapping[str, int]:
        try:
            return special_ids(self.source, self.architecture)
        except TrainingError as error:
            said = sentence(error.code, error.params)
            raise forms.ValidationError({"tokenizer": said}) from None


def typed_before(row: CheckpointImport) -> dict[str, Any]:
    """What was typed for a copy, read back from its job's spec."""
    spec = row.job.spec
    typed = {
        "name": row.name,
        "rules": "\n".join(spec["settings"]["rules"]),
        "seed": spec["seed"],
        **{name: spec["settings"][name] for name in CHOICES},
    }
    # Specs of copies have not always had a base.
    if base := spec.get("base"):
        return typed | {"into": f"checkpoint/{references.read(base)[1]}"}
    architecture, tokenizer = spec["model"]["architecture"], spec["tokenizer"]["kind"]
    if tokenizer == "checkpoint":
        tokenizer = f"checkpoint/{references.read(spec['tokenizer']['checkpoint'])[1]}"
    names = _shape_names(BACKBONES[architecture].config)
    return (
        typed
        | {"into": f"new/{architecture}", "tokenizer": tokenizer}
        | _shape_of(spec["model"], names)
    )


def _into(source: Checkpoint) -> list[str]:
    """Architectures that a checkpoint's weights can be copied into.

    Those of texts do the same work by other names; those of images have little in common.
    """
    if BACKBONES[source.architecture].kind != "text":
        return [source.architecture]
    return [name for name, backbone in BACKBONES.items() if backbone.kind == "text"]


def _shape_names(model: type[BackboneConfig]) -> list[str]:
    """The fields of a configuration that the form asks for."""
    return [
        name
        for name, info in model.model_fields.items()
        if name not in NOT_ASKED and info.annotation in (int, int | None)
    ]


def _shape_of(config: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A configuration as it is typed: nothing for what is not set."""
    return {name: "" if config.get(name) is None else config[name] for name in names}


def _shape_field(model: type[BackboneConfig], name: str) -> forms.Field:
    if model.model_fields[name].annotation is int:
        return field_of(model, name)
    info = model.model_fields[name]
    return forms.IntegerField(
        required=False,
        min_value=1,
        label=_(info.title or name),
        help_text=_(info.description or ""),
    )
