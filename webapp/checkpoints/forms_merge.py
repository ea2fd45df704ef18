"""The form of a merge: what is merged, how, and by which data it is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.backbones.registry import config_of
from training.command_specs import MergeScoringSpec, MergeSpec, ScoredDataSpec
from training.settings import problems
from webapp.accounts.models import Team, User
from webapp.checkpoints import merges, selectors
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.datasets.models import DatasetVersion
from webapp.datasets.selectors import ready_texts
from webapp.jobs.selectors import sentence
from webapp.runs import references
from webapp.spec_fields import field_of, show_problems

#: What a checkpoint has that was trained with LoRA.
ADAPTER = "adapter/adapter_model.safetensors"


class MergeForm(forms.Form):
    """What is merged and how. The checkpoints come with the page's address, in their order."""

    name = forms.CharField(max_length=160, label=_("Name"))
    method = forms.ChoiceField(
        label=_(str(MergeSpec.model_fields["method"].title)),
        choices=[(name, title) for name, (title, _help) in merges.METHODS.items()],
    )
    base: forms.ModelChoiceField[Checkpoint] = forms.ModelChoiceField(
        None,
        required=False,
        label=_(str(MergeSpec.model_fields["base"].title)),
        help_text=_("What all were fine-tuned from."),
        empty_label=_("Choose …"),
    )
    alpha = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        initial=0.5,
        label=_(str(MergeSpec.model_fields["alpha"].title)),
        help_text=_("0 is the first checkpoint, 1 the second."),
        widget=forms.NumberInput(
            attrs={"type": "range", "min": 0, "max": 1, "step": 0.05, "data-shows": "#alpha-value"}
        ),
    )
    take_best = forms.BooleanField(
        required=False,
        label=_("Take the point with the lowest loss on the target instead"),
    )
    points = forms.IntegerField(
        min_value=2,
        max_value=101,
        initial=11,
        required=False,
        label=_("Points to be evaluated"),
        help_text=_("Spread evenly from the first checkpoint to the second."),
    )
    scale = field_of(MergeSpec, "scale", required=False)
    keep_percent = field_of(MergeSpec, "keep_percent", required=False)
    target: forms.ModelChoiceField[DatasetVersion] = forms.ModelChoiceField(
        None,
        required=False,
        label=_("Target data"),
        help_text=_("What the model is to be good at."),
        empty_label=_("None"),
    )
    source: forms.ModelChoiceField[DatasetVersion] = forms.ModelChoiceField(
        None,
        required=False,
        label=_("Source data"),
        help_text=_("What it should not forget."),
        empty_label=_("None"),
    )
    batches = field_of(MergeScoringSpec, "batches", required=False)

    #: Fields that only some methods have.
    OF_METHOD = {
        "interpolate": ("alpha", "take_best", "points"),
        "task_arithmetic": ("base", "scale"),
        "ties": ("base", "scale", "keep_percent"),
        "lora": ("base", "scale"),
    }
    #: Fields of the spec that are mended at another field here.
    PLACES = {"evaluate": "target", "alpha": "target"}

    def __init__(
        self, *args: Any, user: User, team: Team, chosen: list[Checkpoint], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.chosen = chosen
        #: What can be added to the chosen ones.
        self.more = merges.fitting(first=chosen[0] if chosen else None, user=user, team=team)
        known = {one.pk for one in chosen}
        self.more = [one for one in self.more if one.pk not in known]
        self.fields["base"].queryset = Checkpoint.objects.filter(  # type: ignore[attr-defined]
            pk__in=[one.pk for one in (*chosen, *self.more)]
        ).defer(*selectors.HEAVY)
        versions = ready_texts(user, team)
        for name in ("target", "source"):
            self.fields[name].queryset = versions  # type: ignore[attr-defined]
        self.spec: MergeSpec | None = None

    @property
    def wanted(self) -> str:
        """The method that is chosen, checked or not."""
        value = self["method"].value()
        return value if value in merges.METHODS else "interpolate"

    @property
    def method_help(self) -> str:
        return str(merges.METHODS[self.wanted][1])

    @property
    def own_fields(self) -> list[forms.BoundField]:
        """The fields of the chosen method."""
        return [self[name] for name in self.OF_METHOD.get(self.wanted, ())]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first = config_of(self.chosen[0].config) if self.chosen else None
        for number, other in enumerate(self.chosen[1:], start=2):
            assert first is not None
            if found := merges.difference(first, other):
                name, wanted, value = found
                params = {"number": number, "name": name, "wanted": wanted, "found": value}
                self.add_error(None, sentence("merge_settings", params))
        if not self.errors:
            self._make_spec(data)
        return data

    def _make_spec(self, data: dict[str, Any]) -> None:
        base = data["base"] if "base" in self.OF_METHOD.get(self.wanted, ()) else None
        names = [one for one in self.chosen if one != base]
        if data["method"] == "lora":
            for number, one in enumerate(names, start=1):
                if ADAPTER not in one.manifest:
                    self.add_error(None, sentence("merge_adapter", {"number": number}))
        values: dict[str, Any] = {
            "method": data["method"],
            "checkpoints": [references.write("checkpoint", one.pk) for one in names],
            "base": references.write("checkpoint", base.pk) if base else "",
            "evaluate": self._scoring(data),
        }
        if data["take_best"] and data["method"] == "interpolate":
            values["alpha"] = None
        elif data["alpha"] is not None:
            values["alpha"] = data["alpha"]
        for name in ("scale", "keep_percent"):
            if data[name] is not None:
                values[name] = data[name]
        try:
            self.spec = MergeSpec.model_validate(values)
        except ValidationError as error:
            show_problems(
                self,
                [
                    # What is missing where a merge must be judged is the data.
                    replace(one, field=self.PLACES.get(one.field.split(".")[0], one.field))
                    for one in problems(error)
                ],
            )

    def _scoring(self, data: dict[str, Any]) -> MergeScoringSpec | None:
        scored = [
            ScoredDataSpec(path=references.write("dataset", data[role].pk), role=role)  # type: ignore[arg-type]
            for role in ("target", "source")
            if data[role] is not None
        ]
        if not scored:
            return None
        values: dict[str, Any] = {"data": scored}
        if data["batches"] is not None:
            values["batches"] = data["batches"]
        if points := data["points"]:
            values["alphas"] = [round(n / (points - 1), 4) for n in range(points)]
        return MergeScoringSpec(**values)

    def parents(self) -> list[Checkpoint]:
        """Everything that goes into it, a base first."""
        base = self.cleaned_data["base"] if self.spec is not None and self.spec.base else None
        return list(dict.fromkeys((*([base] if base else []), *self.chosen)))


def typed_before(row: CheckpointImport) -> dict[str, Any]:
    """What was typed for a merge, read back from its job's spec; its checkpoints are not in it."""
    spec = row.job.spec
    judged = spec["evaluate"] or {"data": []}
    found = {
        "name": row.name,
        "method": spec["method"],
        "base": references.read(spec["base"])[1] if spec["base"] else None,
        "alpha": spec["alpha"],
        "take_best": spec["method"] == "interpolate" and spec["alpha"] is None,
        "points": len(judged.get("alphas", [])) or None,
        "scale": spec["scale"],
        "keep_percent": spec["keep_percent"],
        "batches": judged.get("batches"),
        **{data["role"]: references.read(data["path"])[1] for data in judged["data"]},
    }
    # What is not said there has the form's own default.
    return {name: value for name, value in found.items() if value is not None}
