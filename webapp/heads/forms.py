"""The form of a new head. Ranges and help come from its spec."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.backbones.registry import BACKBONES, config_of
from training.data.labelled import number_name
from training.errors import TrainingError
from training.features.answers import answers_of
from training.features.settings import require_kind, require_settings
from training.methods.feature_matching.frozen_features import FrozenFeaturesSpec
from training.settings import problems
from webapp.accounts.models import Team
from webapp.heads import selectors
from webapp.jobs.selectors import sentence
from webapp.spec_fields import show_problems, told

SETTINGS = (
    "pooling",
    "head",
    "examples",
    "most_tokens",
    "image_px",
    "normalisation",
    "batch_size",
    "control",
    "map",
    "seed",
)
POOLINGS = [
    ("mean", _("mean of all places (of images: global average)")),
    ("max", _("maximum of all places (of images: global max)")),
    ("mean_max", _("mean and maximum")),
    ("adaptive_max", _("images: maximum of each quarter (adaptive max)")),
    ("first", _("first token (BERT's [CLS], a vision transformer's class token)")),
    ("last", _("texts: last token (models that write)")),
    ("attention", _("learned attention over all places (of classes, with a linear probe)")),
]
NORMALISATIONS = [
    ("auto", _("automatic: what the network came with, else ImageNet's")),
    ("imagenet", _("ImageNet's mean and deviation")),
    ("inception", _("range -1 to 1")),
    ("unit", _("range 0 to 1")),
]
HEADS = [
    ("linear", _("linear probe: logistic regression, of numbers ridge regression")),
    ("mlp", _("one hidden layer")),
    ("knn", _("nearest neighbours")),
    ("prototype", _("of classes: distance to each one's mean")),
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
        labels = obj.summary["labels"]
        if "classes" in labels:
            told = (
                gettext("images, %(count)s classes")
                if obj.kind == "image"
                else gettext("texts, %(count)s classes")
            ) % {"count": len(labels["classes"])}
        else:
            told = (
                gettext("images, a number each (%(name)s)")
                if obj.kind == "image"
                else gettext("texts, a number each (%(name)s)")
            ) % {"name": number_name(obj.summary)}
        return f"{obj.dataset.name} v{obj.number} · {told}"


class HeadForm(forms.Form):
    """Whose features, of which examples, pooled how, read by what."""

    checkpoint = CheckpointChoice(
        queryset=None, label=_("Checkpoint"), help_text=_("Its features are computed; it stays.")
    )
    version = VersionChoice(
        queryset=None,
        label=_("Data"),
        help_text=_("Texts or images with labels, checked; the checkpoint must read such."),
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
    image_px = _number("image_px", required=False, least=16)
    normalisation = forms.ChoiceField(
        choices=NORMALISATIONS, **told(FrozenFeaturesSpec, "normalisation")
    )
    batch_size = _number("batch_size")
    map = forms.BooleanField(required=False, **told(FrozenFeaturesSpec, "map"))
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
            config = config_of(checkpoint.config)
            try:
                if version is not None:
                    require_kind(config, version.kind)
                require_settings(config, self.spec)
            except TrainingError as error:
                name = "version" if error.code.startswith("features_need") else error.field
                self.add_error(name, sentence(error.code, error.params))
        if version is None:
            return
        answers = answers_of(version.summary)
        try:
            answers.require(self.spec.head, self.spec.pooling)
            answers.require_examples(self.spec.examples)
        except TrainingError as error:
            self.add_error(error.field, sentence(error.code, error.params))
