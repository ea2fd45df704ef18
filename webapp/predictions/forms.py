"""The form of new predictions. Titles, help and defaults come from its spec."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.predicting.spec import PredictSpec
from webapp.accounts.models import Team
from webapp.datasets.models import DatasetVersion
from webapp.jobs.selectors import sentence
from webapp.predictions import selectors
from webapp.predictions.selectors import Model
from webapp.spec_fields import told

#: Settings of the spec that the form has.
SETTINGS = ("split", "unknown_labels", "other_types", "format")
SPLITS = [
    ("all", _("all of them")),
    ("test", _("test split")),
    ("validation", _("validation split")),
    ("train", _("training split")),
]
UNKNOWN = [
    ("leave_out", _("predict their rows, leave them out of the scores")),
    ("refuse", _("predict nothing, and name them")),
]
TYPES = [
    ("convert", _("read them as what the model knows")),
    ("refuse", _("predict nothing, and name them")),
]
FORMATS = [("csv", "CSV"), ("parquet", "Parquet")]


class VersionChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        kinds = {"image": gettext("images"), "table": gettext("table")}
        return f"{obj.dataset.name} v{obj.number} · {kinds.get(obj.kind, gettext('texts'))}"


class PredictionForm(forms.Form):
    """Which model, which data, and what is done with what the model does not know."""

    model = forms.ChoiceField(
        label=_("Model"),
        error_messages={"invalid_choice": _("This model is no longer there, or predicts nothing.")},
        help_text=_("A checkpoint with a head, an ensemble, or a head on frozen features."),
    )
    version = VersionChoice(
        queryset=None,
        label=_("Data"),
        empty_label=_("Choose …"),
        help_text=_("Checked data that the model reads, with labels or without."),
    )
    split = forms.ChoiceField(choices=SPLITS, **told(PredictSpec, "split"))
    unknown_labels = forms.ChoiceField(choices=UNKNOWN, **told(PredictSpec, "unknown_labels"))
    other_types = forms.ChoiceField(choices=TYPES, **told(PredictSpec, "other_types"))
    format = forms.ChoiceField(choices=FORMATS, **told(PredictSpec, "format"))
    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=160,
        help_text=_("Empty: made from model and data."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known: dict[str, Model] = {one.key: one for one in selectors.models(team)}
        field, version = self.fields["model"], self.fields["version"]
        assert isinstance(field, forms.ChoiceField)
        assert isinstance(version, forms.ModelChoiceField)
        field.choices = [("", _("Choose …")), *self._groups()]
        version.queryset = selectors.versions_offered(team)

    def _groups(self) -> list[tuple[Any, list[tuple[str, str]]]]:
        titles = [(False, _("Checkpoints")), (True, _("Heads on frozen features"))]
        found = []
        for of_heads, title in titles:
            rows = [one for one in self.known.values() if (one.head is not None) == of_heads]
            if rows:
                found.append((title, [(one.key, _about(one)) for one in rows]))
        return found

    @property
    def chosen(self) -> Model:
        """The model, of a form that is valid."""
        return self.known[self.cleaned_data["model"]]

    @property
    def settings(self) -> dict[str, Any]:
        """The spec's fields, of a form that is valid."""
        return {name: self.cleaned_data[name] for name in SETTINGS}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        model, version = self.known.get(data.get("model", "")), data.get("version")
        if version is None:
            return data
        if model is not None and (said := refusal(model, version)):
            self.add_error("version", said)
        there = version.summary.get("splits") or {}
        split = data.get("split", "all")
        if split != "all" and split not in there:
            self.add_error("split", sentence("split_missing", {"split": split}))
        return data


def refusal(model: Model, version: DatasetVersion) -> str:
    """Why a model does not read these data, as far as that is known before; empty: it does."""
    if model.kind != version.kind:
        return sentence(f"predict_needs_{model.kind}", {})
    is_pairs = bool(version.summary.get("pair_field"))
    if version.kind == "text" and model.pairs not in (None, is_pairs):
        return sentence("predict_pairs_unexpected" if is_pairs else "predict_pairs_expected", {})
    return ""


def _about(model: Model) -> str:
    """A model as a choice: its name and what it predicts."""
    (first, *others) = model.targets
    if others:
        what = gettext("%(count)s targets") % {"count": len(model.targets)}
    elif first.is_number:
        what = gettext("a number: %(name)s") % {"name": first.name}
    else:
        what = gettext("%(count)s classes") % {"count": len(first.classes)}
    kinds = {"image": gettext("images"), "table": gettext("table")}
    return f"{model.name} · {kinds.get(model.kind, gettext('texts'))}, {what}"
