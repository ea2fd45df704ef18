"""The playground's form: titles, help and ranges come from the engine's spec."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.command_specs import GenerateSpec
from training.settings import problems
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import labels_of, language_models
from webapp.jobs.selectors import sentence
from webapp.spec_fields import field_of, show_problems

#: Fields of the spec that two checkpoints side by side share.
SETTINGS = ("prompt", "label", "max_tokens", "temperature", "top_k", "top_p", "stop", "seed")


class GenerateForm(forms.Form):
    checkpoint: forms.ModelChoiceField[Checkpoint] = forms.ModelChoiceField(
        None,
        label=_("Checkpoint"),
        empty_label=None,
        # The labels offered are those of the checkpoint chosen.
        widget=forms.Select(
            attrs={
                "hx-get": reverse_lazy("playground:new"),
                "hx-trigger": "change",
                "hx-target": "#label-choice",
                "hx-select": "#label-choice",
                "hx-swap": "outerHTML",
            }
        ),
    )
    beside: forms.ModelChoiceField[Checkpoint] = forms.ModelChoiceField(
        None,
        label=_("Beside it"),
        required=False,
        empty_label=_("No other"),
        help_text=_("A second one that gets the same prompt and settings."),
    )
    prompt = field_of(
        GenerateSpec,
        "prompt",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 9, "spellcheck": "false"}),
        help_text=_("The text that is continued; a space at its end counts."),
    )
    label = forms.CharField(
        required=False,
        strip=False,
        label=_("Label"),
        help_text=_(
            "The class that it is to write. A checkpoint beside it that does not know the label "
            "writes without."
        ),
    )
    max_tokens = field_of(GenerateSpec, "max_tokens")
    temperature = field_of(GenerateSpec, "temperature")
    top_k = field_of(GenerateSpec, "top_k")
    top_p = field_of(GenerateSpec, "top_p")
    seed = field_of(GenerateSpec, "seed")
    stop = forms.CharField(
        required=False,
        strip=False,
        label=_("Stop words"),
        help_text=_("One a line, at most eight. Writing ends before any of these."),
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, user: User, team: Team | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = [pk for name in ("checkpoint", "beside") if (pk := self._key(name)) is not None]
        for name in ("checkpoint", "beside"):
            field = self.fields[name]
            models = language_models(user=user, team=team, also=asked)
            field.queryset = models  # type: ignore[attr-defined]
            field.error_messages["invalid_choice"] = _(
                "This checkpoint is not there or writes no text. Choose one of the list."
            )
        #: Those of the checkpoint that is chosen, or that the list begins with.
        self.labels = labels_of(chosen) if (chosen := self._chosen()) else []
        options = [("", _("without a label")), *((name, name) for name in self.labels)]
        self.fields["label"].widget = forms.Select(choices=options)

    def _chosen(self) -> Checkpoint | None:
        models: QuerySet[Checkpoint] = self.fields["checkpoint"].queryset  # type: ignore[attr-defined]
        # The list leaves cards out, and labels stand there.
        models = models.defer(None).defer("manifest", "tensors")
        key = self._key("checkpoint")
        return models.first() if key is None else models.filter(pk=key).first()

    def _key(self, name: str) -> uuid.UUID | None:
        """The checkpoint that was chosen, or that the page's address names: it may be archived."""
        try:
            return uuid.UUID(str(self[name].value()))
        except ValueError:
            return None

    def clean_prompt(self) -> str:
        # Browsers send line ends as two characters, which the model would read as two tokens.
        return str(self.cleaned_data["prompt"]).replace("\r\n", "\n")

    def clean_label(self) -> str:
        label = str(self.cleaned_data["label"])
        if label and label not in self.labels:
            told = {"name": label, "known": ", ".join(self.labels)}
            code = "control_unknown" if self.labels else "control_none"
            raise forms.ValidationError(sentence(code, told))
        return label

    def clean_stop(self) -> list[str]:
        return [line for line in self.cleaned_data["stop"].splitlines() if line]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("beside") and data.get("beside") == data.get("checkpoint"):
            self.add_error("beside", _("Choose another checkpoint than the first."))
        if not self.errors:
            try:
                GenerateSpec(checkpoint="-", **self.settings())
            except ValidationError as error:
                show_problems(self, problems(error))
        return data

    def settings(self) -> dict[str, Any]:
        """The spec's fields as typed, without the checkpoint."""
        return {name: self.cleaned_data[name] for name in SETTINGS}

    def checkpoints(self) -> list[Checkpoint]:
        """One, or two side by side."""
        chosen = [self.cleaned_data["checkpoint"], self.cleaned_data["beside"]]
        return [checkpoint for checkpoint in chosen if checkpoint]
