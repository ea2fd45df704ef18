"""The form of a new head. Ranges and help come from its spec."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.backbones.registry import BACKBONES, config_of
from training.errors import TrainingError
from training.features.texts import require_pooling
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from training.settings import problems
from webapp.accounts.models import Team
from webapp.heads import selectors
from webapp.jobs.selectors import sentence
from webapp.spec_fields import show_problems, told

SETTINGS = ("pooling", "head", "examples", "most_tokens", "batch_size", "control", "seed")
POOLINGS = [
    ("mean", _("mean of the hidden states")),
    ("max", _("maximum of each dimension")),
    ("mean_max", _("mean and maximum")),
    ("first", _("first token (BERT's [CLS])")),
    ("last", _("last token (models that write)")),
]
HEADS = [
    ("logistic", _("logistic regression (linear probe)")),
    ("mlp", _("one hidden layer")),
    ("knn", _("nearest neighbours")),
    ("prototype", _("distance to the classes' means")),
]


def _number(name: str, *, required: bool = True, least: int = 1) -> forms.IntegerField:
    return forms.IntegerField(
        required=required,
        widget=forms.NumberInput(attrs={"min": str(least), "step": "1"}),
        **told(FrozenFeaturesSpec, name),
    )


class CheckpointChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} · {BACKBONES[obj.architecture].title}"


class VersionChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        count = len(obj.summary["labels"]["classes"])
        classes = gettext("%(count)s classes") % {"count": count}
        return f"{obj.dataset.name} v{obj.number} · {classes}"


class HeadForm(forms.Form):
    """Whose features, of which texts, pooled how, read by what."""

    checkpoint = CheckpointChoice(
        queryset=None, label=_("Checkpoint"), help_text=_("Its features are computed; it stays.")
    )
    version = VersionChoice(
        queryset=None, label=_("Data"), help_text=_("Data with a label column, checked.")
    )
    pooling = forms.ChoiceField(choices=POOLINGS, **told(FrozenFeaturesSpec, "pooling"))
    head = forms.ChoiceField(choices=HEADS, **told(FrozenFeaturesSpec, "head"))
    examples = _number("examples", required=False, least=2)
    control = forms.BooleanField(required=False, **told(FrozenFeaturesSpec, "control"))
    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=160,
        help_text=_("Empty: made from checkpoint and data."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    most_tokens = _number("most_tokens", required=False)
    batch_size = _number("batch_size")
    seed = _number("seed", least=0)

    spec: FrozenFeaturesSpec

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (
            ("checkpoint", selectors.checkpoints_offered(team)),
            ("version", selectors.versions_offered(team)),
        ):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = rows

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        values = {name: data[name] for name in SETTINGS if name in data}
        try:
            self.spec = FrozenFeaturesSpec.model_validate(
                {"data": {"path": ""}, "source": {"checkpoint": ""}, **values}
            )
        except ValidationError as error:
            show_problems(self, problems(error))
            return data
        self._check_together(data)
        return data

    def _check_together(self, data: dict[str, Any]) -> None:
        checkpoint, version = data.get("checkpoint"), data.get("version")
        if checkpoint is not None:
            try:
                require_pooling(config_of(checkpoint.config), self.spec.pooling)
            except TrainingError as error:
                self.add_error("pooling", sentence(error.code, error.params))
        if version is not None and self.spec.examples is not None:
            classes = len(version.summary["labels"]["classes"])
            if self.spec.examples < classes:
                said = sentence("examples_fewer_than_classes", {"classes": classes})
                self.add_error("examples", said)
