"""The form of a copy: the new model, what happens to what does not fit, and a person's rules."""

from __future__ import annotations

import json
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
from training.backbones.registry import BACKBONES
from training.data.published import VOCABULARY_FILE
from training.errors import TrainingError
from training.settings import problems
from training.spec import TokenizerSpec
from training.weights.plan_settings import PlanSettings
from webapp import storage
from webapp.accounts.models import Team
from webapp.checkpoints.models import Checkpoint, CheckpointImport
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
#: A vocabulary larger than this is not read for a preview.
MOST_VOCABULARY_BYTES = 16 * 2**20
#: Checkpoints offered for their vocabulary: the newest.
MOST_CHECKPOINTS = 100


@dataclass(frozen=True)
class Wanted:
    """What a valid form asks for.

    Attributes:
        target: The new model.
        settings: Of the plan.
        tokenizer: For the spec.
        same_tokenizer: Whether it is the source's.
        token_rows: Rows by token, as far as they can be told without a tokenizer: one source row
            where both know the token's string, two where the source has only its parts.
    """

    target: BackboneConfig
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
        self.kind = BACKBONES[source.architecture].config
        self.shape_names = _shape_names(self.kind)
        self.wanted: Wanted | None = None
        super().__init__(self._initial() | dict(data))
        for name in self.shape_names:
            self.fields[name] = _shape_field(self.kind, name)
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
        self.fields["tokenizer"].choices = self._tokenizers()  # type: ignore[attr-defined]

    def _initial(self) -> dict[str, Any]:
        config = self.source.config
        defaults = {name: PlanSettings.model_fields[name].default for name in CHOICES}
        return {
            "name": gettext("%(name)s, copied") % {"name": self.source.name[:140]},
            "tokenizer": "source",
            "rules": "",
            "seed": "0",
            **_shape_of(config, self.shape_names),
            **defaults,
        }

    def _tokenizers(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = [("source", _("the source's"))]
        if "vocab.json" not in self.source.manifest:
            return found
        if self.source.architecture in TAKE_GPT2:
            found.append(("gpt2", _("GPT-2's published one")))
        others = (
            Checkpoint.objects.filter(team=self.team, architecture=self.source.architecture)
            .exclude(pk=self.source.pk)
            .exclude(stage=Checkpoint.Stage.ARCHIVED)
            .annotate(vocabulary=Cast(KT("manifest__vocab.json__sha256"), CharField()))
            .filter(vocabulary__isnull=False)
            .exclude(vocabulary=self.source.manifest["vocab.json"]["sha256"])
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
        shape = {name: data[name] for name in self.shape_names}
        target = self.kind.model_validate(self.source.config | shape)
        kind, _slash, key = data["tokenizer"].partition("/")
        if kind == "source":
            return Wanted(target, settings, TokenizerSpec(kind="source"), True, None)
        if kind == "gpt2":
            spec = TokenizerSpec(kind="gpt2")
            vocabulary = _read_vocabulary(VOCABULARY_FILE.read_bytes())
        else:
            other = Checkpoint.objects.get(team=self.team, pk=key)
            reference = references.write("checkpoint", other.pk)
            spec = TokenizerSpec(kind="checkpoint", checkpoint=reference)
            vocabulary = vocabulary_of(other)
        size = 1 + max(vocabulary.values(), default=0)
        target = target.model_copy(update={"vocab_size": size})
        rows = None
        if settings.vocabulary == "tokens":
            rows = rows_by_string(vocabulary_of(self.source), vocabulary)
        return Wanted(target, settings, spec, False, rows)


def typed_before(row: CheckpointImport) -> dict[str, Any]:
    """What was typed for a copy, read back from its job's spec."""
    spec = row.job.spec
    names = _shape_names(BACKBONES[spec["model"]["architecture"]].config)
    tokenizer = spec["tokenizer"]["kind"]
    if tokenizer == "checkpoint":
        tokenizer = f"checkpoint/{references.read(spec['tokenizer']['checkpoint'])[1]}"
    return {
        "name": row.name,
        "tokenizer": tokenizer,
        "rules": "\n".join(spec["settings"]["rules"]),
        "seed": spec["seed"],
        **_shape_of(spec["model"], names),
        **{name: spec["settings"][name] for name in CHOICES},
    }


def vocabulary_of(checkpoint: Checkpoint) -> dict[str, int]:
    """Token string → id, from the checkpoint's own file.

    Raises:
        forms.ValidationError: There is none that can be read; for the field ``tokenizer``.
    """
    entry = checkpoint.manifest.get("vocab.json")
    try:
        if entry is not None and entry["size"] <= MOST_VOCABULARY_BYTES:
            with storage.open_blob(entry["sha256"]) as file:
                return _read_vocabulary(file.read())
    except (storage.BlobMissing, ValueError):
        pass
    said = gettext("The vocabulary of %(name)s is not in the store, or too large to be read here.")
    raise forms.ValidationError({"tokenizer": said % {"name": checkpoint.name}})


def rows_by_string(source: Mapping[str, int], target: Mapping[str, int]) -> list[list[int]]:
    """How the target's rows go, as a preview: see :class:`Wanted`."""
    rows: list[list[int]] = [[] for _row in range(1 + max(target.values(), default=0))]
    for string, number in target.items():
        rows[number] = [source[string]] if string in source else [0, 0]
    return rows


def _read_vocabulary(content: bytes) -> dict[str, int]:
    found: dict[str, int] = json.loads(content)
    return found


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
