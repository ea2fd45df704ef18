"""Forms about datasets. Ranges and help come from :class:`training.spec.PrepareSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from training.data.prepare_spec import PrepareSpec
from training.data.sniff import Content
from training.settings import problems
from webapp.accounts.models import Team, User
from webapp.datasets import services, uploads
from webapp.datasets.lines import NamesField, TypesField
from webapp.datasets.models import Dataset, Upload
from webapp.jobs.selectors import sentence
from webapp.spec_fields import field_of, show_problems, told

#: Settings that only this kind of data has.
KIND_SETTINGS = {
    "text": ("text_field", "pair_field"),
    "image": ("folders_are_classes", "longest_px"),
    "sound": (
        "folders_are_classes",
        "sound_rate",
        "sound_seconds",
        "mel_bands",
        "window_ms",
        "hop_ms",
        "same_level",
    ),
    "table": ("targets", "columns", "leave_out_unlabelled"),
}
SETTINGS = (
    "format",
    *KIND_SETTINGS["text"],
    "label_field",
    "label_type",
    *KIND_SETTINGS["image"],
    *KIND_SETTINGS["sound"][1:],
    *KIND_SETTINGS["table"],
    "leave_out_rare",
    "validation_percent",
    "test_percent",
    "remove_duplicates",
    "seed",
)


FORMATS: dict[str, Any] = {
    "auto": _("automatic"),
    "text": _("plain text: documents between blank lines"),
    "jsonl": _("JSON Lines: an object a line"),
    "csv": _("CSV: a header, then a document a row"),
    "parquet": _("Parquet: a document a row"),
    "conll": _("CoNLL: a word and its tag a line, a blank line after each sentence"),
    "images": _("images: a ZIP of folders, or of images and a list"),
    "sounds": _("sounds: a ZIP of WAV files in folders, or with a list"),
    "table": _("table: CSV, JSON Lines or Parquet with a value a cell"),
}

#: Formats that come in a ZIP.
ARCHIVES = ("images", "sounds")

LABEL_TYPES: dict[str, Any] = {
    "auto": _("automatic"),
    "classes": _("names of classes"),
    "number": _("numbers to predict"),
}

#: What spreadsheet programs save: ZIP archives by content, told apart by name to say what to do.
WORKBOOKS = (".xlsx", ".xlsm", ".ods")


class SettingsForm(forms.Form):
    """How an upload is read and split."""

    format = forms.ChoiceField(
        choices=list(FORMATS.items()),
        **told(PrepareSpec, "format"),
    )
    text_field = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        **told(PrepareSpec, "text_field"),
    )
    pair_field = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        **told(PrepareSpec, "pair_field"),
    )
    label_field = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        **told(PrepareSpec, "label_field"),
    )
    label_type = forms.ChoiceField(
        choices=list(LABEL_TYPES.items()),
        required=False,
        **told(PrepareSpec, "label_type"),
    )
    folders_are_classes = forms.BooleanField(
        required=False, **told(PrepareSpec, "folders_are_classes")
    )
    longest_px = field_of(PrepareSpec, "longest_px", required=False)
    sound_rate = field_of(PrepareSpec, "sound_rate", required=False)
    sound_seconds = field_of(PrepareSpec, "sound_seconds", required=False)
    mel_bands = field_of(PrepareSpec, "mel_bands", required=False)
    window_ms = field_of(PrepareSpec, "window_ms", required=False)
    hop_ms = field_of(PrepareSpec, "hop_ms", required=False)
    same_level = forms.BooleanField(required=False, **told(PrepareSpec, "same_level"))
    targets = NamesField(**told(PrepareSpec, "targets"))
    columns = TypesField(**told(PrepareSpec, "columns"))
    leave_out_unlabelled = forms.BooleanField(
        required=False, **told(PrepareSpec, "leave_out_unlabelled")
    )
    leave_out_rare = forms.BooleanField(required=False, **told(PrepareSpec, "leave_out_rare"))
    validation_percent = forms.FloatField(
        widget=forms.NumberInput(attrs={"min": "0.1", "max": "50", "step": "any"}),
        **told(PrepareSpec, "validation_percent"),
    )
    test_percent = forms.FloatField(
        widget=forms.NumberInput(attrs={"min": "0", "max": "50", "step": "any"}),
        **told(PrepareSpec, "test_percent"),
    )
    remove_duplicates = forms.BooleanField(required=False, **told(PrepareSpec, "remove_duplicates"))
    seed = forms.IntegerField(
        widget=forms.NumberInput(attrs={"min": "0", "step": "1"}), **told(PrepareSpec, "seed")
    )

    spec: PrepareSpec

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        try:
            self.spec = PrepareSpec(path="", **self.settings(data))
        except ValidationError as error:
            show_problems(self, problems(error))
        return data

    def settings(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The spec's settings, from what the form holds."""
        found = {name: data[name] for name in SETTINGS if data.get(name) is not None}
        # Who sends no choice, as an older script does, leaves it to the check.
        return found | {"label_type": found.get("label_type") or "auto"}


class FileForm(SettingsForm):
    """A file, sent in pieces beforehand (``upload``) or along with the form (``file``)."""

    upload = forms.UUIDField(required=False, widget=forms.HiddenInput)
    file = forms.FileField(label=_("File"), required=False, allow_empty_file=True)

    def __init__(self, *args: Any, user: User, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.team = user, team
        #: The upload as far as it came, kept whatever else is wrong with the form.
        self.arrived: Upload | None = None

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        self.arrived = self._take(data)
        if self.arrived is None:
            if not self.errors.get("file"):
                self.add_error("file", _("Choose a file."))
            return data
        missing = self.arrived.size - uploads.received(self.arrived)
        if missing > 0:
            self.add_error(
                "file",
                _("This file has not arrived completely. Choose it again to continue."),
            )
            return data
        content = uploads.look(self.arrived)
        format = data.get("format")
        if format in ARCHIVES and not content.is_zip:
            self.add_error("file", sentence(f"{format}_need_zip", {}))
        elif format == "parquet" and not content.is_parquet:
            self.add_error("file", sentence("parquet_needed", {}))
        elif not content.is_text and not _is_read(content, format, self.arrived.filename):
            refusal = content.refusal()
            is_workbook = content.is_zip and self.arrived.filename.lower().endswith(WORKBOOKS)
            code = "content_workbook" if is_workbook else refusal.code
            self.add_error("file", sentence(code, refusal.params))
        return data

    def _take(self, data: dict[str, Any]) -> Upload | None:
        if file := data.get("file"):
            try:
                return services.upload_take(file=file, team=self.team, owner=self.user)
            except services.UploadRefused as refused:
                self.add_error("file", str(refused))
                return None
        if not data.get("upload"):
            return None
        return (
            Upload.objects.for_user(self.user)
            .filter(pk=data["upload"], owner=self.user, team=self.team)
            .first()
        )


def _is_read(content: Content, format: str | None, filename: str) -> bool:
    """Whether a file that is no text is one of the others that are read.

    Word's, Excel's and many other files are ZIP archives too: unless images or sounds are asked
    for, the name must say that it is meant as one.
    """
    if content.is_zip:
        named = filename.lower().endswith(".zip")
        return format in ARCHIVES or (format == "auto" and named)
    return content.is_parquet and format in ("auto", "parquet", "table")


class AboutForm(forms.Form):
    """What people read about a dataset."""

    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        help_text=_("How the team finds it again."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"),
        required=False,
        max_length=5000,
        help_text=_("What is in it, and what it is good for."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    origin = forms.CharField(
        label=_("Origin and licence"),
        required=False,
        max_length=5000,
        help_text=_("Where it came from, and what may be done with it."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    team: Team
    instance: Dataset | None = None

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        taken = Dataset.objects.filter(team=self.team, name=name)
        if self.instance is not None:
            taken = taken.exclude(pk=self.instance.pk)
        if taken.exists():
            raise forms.ValidationError(
                _("The team has data of this name already. Choose another name.")
            )
        return name


class NewDatasetForm(AboutForm, FileForm):
    """Everything for a new dataset on one page."""

    field_order = ["file", "upload", "name", "description", "origin", *SETTINGS]


class EditForm(AboutForm):
    def __init__(self, data: Any = None, *, instance: Dataset) -> None:
        initial = {
            "name": instance.name,
            "description": instance.description,
            "origin": instance.origin,
        }
        super().__init__(data, initial=initial)
        self.instance, self.team = instance, instance.team
