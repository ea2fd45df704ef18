"""The forms of ensembles: a new one, and one that is judged on other data."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.backbones.registry import BACKBONES
from training.ensembles.spec import FITTED, EnsembleSpec
from training.settings import problems
from webapp.accounts.models import Team
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import COMBINATIONS
from webapp.datasets.models import DatasetVersion
from webapp.ensembles import selectors
from webapp.ensembles.selectors import Classifier
from webapp.jobs.selectors import sentence
from webapp.spec_fields import field_of, show_problems, told

#: Settings of the spec that the form has.
SETTINGS = ("combination", "image_px", "most_tokens", "batch_size", "seed")


class VersionChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        count = len(next(iter(selectors.classes_in(obj)), []))
        kinds = {
            "image": gettext("images, %(count)s classes"),
            "table": gettext("table, %(count)s classes"),
        }
        about = kinds.get(obj.kind, gettext("texts, %(count)s classes")) % {"count": count}
        return f"{obj.dataset.name} v{obj.number} · {about}"


class EnsembleForm(forms.Form):
    """Which data, which members, combined how."""

    version = VersionChoice(
        queryset=None,
        label=_("Data"),
        empty_label=_("Choose …"),
        help_text=_(
            "Checked, with classes. Weights and stacking are fitted on its validation split; all "
            "is judged on its test split."
        ),
    )
    members: forms.ModelMultipleChoiceField[Checkpoint] = forms.ModelMultipleChoiceField(
        None,
        label=_("Members"),
        error_messages={
            "required": _("An ensemble takes two members or more."),
            "invalid_choice": _("One of the members is no longer there, or is no classifier."),
            "invalid_pk_value": _("One of the members is no longer there, or is no classifier."),
        },
    )
    combination = forms.ChoiceField(
        choices=[*COMBINATIONS.items()], **told(EnsembleSpec, "combination")
    )
    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=160,
        help_text=_("Empty: made from the data's."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    image_px = forms.IntegerField(
        required=False,
        widget=forms.NumberInput(attrs={"min": "16", "step": "1"}),
        label=_("Image size (pixels)"),
        help_text=_("For members of which nobody knows what they were trained with; empty: 224."),
    )
    most_tokens = field_of(EnsembleSpec, "most_tokens")
    batch_size = field_of(EnsembleSpec, "batch_size")
    seed = field_of(EnsembleSpec, "seed")

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team = team
        _offer(self, "version", selectors.versions_offered(team))
        self.known = {one.checkpoint.pk: one for one in selectors.classifiers(team)}
        rows = Checkpoint.objects.filter(team=team, pk__in=list(self.known))
        _offer(self, "members", rows.order_by("created_at", "pk"))
        self.settings: dict[str, Any] = {}

    @property
    def chosen_version(self) -> DatasetVersion | None:
        """The data as chosen, checked or not."""
        field = self.fields["version"]
        assert isinstance(field, forms.ModelChoiceField)
        try:
            found: DatasetVersion | None = field.clean(self["version"].value())
        except forms.ValidationError:
            return None
        return found

    @property
    def chosen(self) -> set[str]:
        """Keys of the ticked members."""
        value = self["members"].value() or []
        return {str(getattr(one, "pk", one)) for one in value}

    @property
    def offered(self) -> list[Classifier]:
        """Classifiers that go with the chosen data, and ticked ones that do not, last."""
        version, chosen = self.chosen_version, self.chosen
        if version is None:
            return [one for key, one in self.known.items() if str(key) in chosen]
        fitting = [one for one in self.known.values() if selectors.goes_with(one, version)]
        others = [
            one for key, one in self.known.items() if str(key) in chosen and one not in fitting
        ]
        return [*fitting, *others]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        named = [{"checkpoint": str(one.pk)} for one in data.get("members") or []]
        values = {name: data[name] for name in SETTINGS if data.get(name) is not None}
        if "members" in data:
            try:
                EnsembleSpec.model_validate({"data": {"path": ""}, "members": named, **values})
            except ValidationError as error:
                show_problems(self, problems(error))
        self.settings = values
        version = data.get("version")
        if version is None:
            return data
        for one in data.get("members") or []:
            if said := refusal(self.known[one.pk], version):
                self.add_error("members", f"{one.name}: {said}")
        has_test = "test" in (version.summary.get("splits") or {})
        if data.get("combination") in FITTED and not has_test:
            self.add_error("combination", sentence("ensemble_needs_test", {}))
        return data


class JudgeForm(forms.Form):
    """On which other data an ensemble is judged."""

    version = VersionChoice(
        queryset=None,
        label=_("Data"),
        empty_label=_("Choose …"),
        help_text=_("Data with the same classes. Its test split is scored, else the validation's."),
    )

    def __init__(self, *args: Any, checkpoint: Checkpoint, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = selectors.versions_offered(checkpoint.team)
        fitting = [row.pk for row in rows if selectors.goes_with_ensemble(checkpoint, row)]
        self.has_data = bool(fitting)
        _offer(self, "version", rows.filter(pk__in=fitting))


def refusal(one: Classifier, version: DatasetVersion) -> str:
    """Why a classifier cannot be a member on this data; empty: it can."""
    if selectors.goes_with(one, version):
        return ""
    title = BACKBONES[one.checkpoint.architecture].title
    if BACKBONES[one.checkpoint.architecture].kind != version.kind:
        return gettext("a %(architecture)s model does not read this kind of data.") % {
            "architecture": title
        }
    names = next(iter(selectors.classes_in(version)), [])
    extra = [name for name in one.classes if name not in names]
    missing = [name for name in names if name not in one.classes]
    return gettext(
        "it tells other classes apart than the data. Only the member knows: %(extra)s. Only the "
        "data have: %(missing)s."
    ) % {"extra": ", ".join(extra[:5]) or "–", "missing": ", ".join(missing[:5]) or "–"}


def _offer(form: forms.Form, name: str, rows: QuerySet[Any]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = rows
