"""Forms of the checkpoint pages: filters, imports, stages, notes."""

from __future__ import annotations

import os
import re
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import Tag, Team, User
from webapp.checkpoints import selectors
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import Dataset, Upload
from webapp.datasets.uploads import received
from webapp.jobs.selectors import sentence

#: The public Hub, where nothing else is set.
HUB = "https://huggingface.co"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


class CheckpointFilter(forms.Form):
    """What the list's address says; whatever is wrong in it does not filter."""

    q = forms.CharField(required=False, label=_("Search"), max_length=200)
    stage = forms.ChoiceField(
        required=False,
        label=_("Stage"),
        choices=[
            ("", _("All but archived")),
            *Checkpoint.Stage.choices,
            (selectors.ALL_STAGES, _("All, archived too")),
        ],
    )
    origin = forms.ChoiceField(required=False, label=_("Origin"))
    architecture = forms.ChoiceField(required=False, label=_("Architecture"))
    task = forms.ChoiceField(required=False, label=_("Task"))
    method = forms.ChoiceField(required=False, label=_("Method"))
    dataset: forms.ModelChoiceField[Dataset] = forms.ModelChoiceField(
        None, required=False, label=_("Data"), empty_label=_("All data")
    )
    owner: forms.ModelChoiceField[User] = forms.ModelChoiceField(
        None, required=False, label=_("Owner"), empty_label=_("Anyone")
    )
    tag: forms.ModelChoiceField[Tag] = forms.ModelChoiceField(
        None, required=False, label=_("Tag"), empty_label=_("Any tag")
    )
    sort = forms.ChoiceField(
        required=False,
        label=_("Sort by"),
        choices=[(key, title) for key, (_key, _down, title) in selectors.SORTS.items()],
    )
    #: Only what came of this checkpoint: the address of a lineage's "more".
    source = forms.UUIDField(required=False, widget=forms.HiddenInput)
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any, *, team: Team | None) -> None:
        super().__init__(data, auto_id="filter-%s")
        choices = selectors.filter_choices(team)
        for name in ("dataset", "owner", "tag"):
            self.fields[name].queryset = choices[name]  # type: ignore[attr-defined]
        for name, title in (
            ("architecture", _("Any architecture")),
            ("task", _("Any task")),
            ("method", _("Any method")),
        ):
            offered = choices[name]
            self.fields[name].choices = [("", title), *offered]  # type: ignore[attr-defined]
            if len(offered) < 2 and not (data or {}).get(name):
                # A filter that could only say "all" takes room and helps nobody.
                del self.fields[name]
        self.fields["origin"].choices = [  # type: ignore[attr-defined]
            ("", _("Any origin")),
            *Checkpoint.Origin.choices,
        ]

    def values(self) -> dict[str, Any]:
        """The filters that are set and make sense."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def is_filtered(self) -> bool:
        return any(name not in {"sort", "cursor"} for name in self.values())


def clean_repository(typed: str) -> str:
    """A model's name on the Hub out of what was typed."""
    # People paste addresses.
    repository = re.sub(r"^https?://[^/]+/", "", typed.strip()).strip("/")
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
        raise forms.ValidationError(sentence("hub_name_invalid", {"repository": repository}))
    return repository


def clean_endpoint(typed: str) -> str:
    """The Hub's address; empty where it is what this machine is set to anyway."""
    endpoint = typed.strip().rstrip("/")
    if endpoint and not re.match(r"https?://[^/\s]+", endpoint):
        raise forms.ValidationError(sentence("hub_endpoint_invalid", {"endpoint": endpoint}))
    default = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    return "" if endpoint == default else endpoint


class EndpointForm(forms.Form):
    """What is done at the Hub or at a mirror of it."""

    endpoint = forms.CharField(
        max_length=500,
        label=_("Address of the Hub"),
        help_text=_("The public Hub, or a mirror of it."),
        required=False,
        widget=forms.URLInput(attrs={"spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["endpoint"].initial = os.environ.get("HF_ENDPOINT") or HUB

    def clean_endpoint(self) -> str:
        return clean_endpoint(self.cleaned_data["endpoint"])


class HubForm(EndpointForm):
    repository = forms.CharField(
        max_length=200,
        label=_("Name on the Hub"),
        help_text=_("As in its address: gpt2, roberta-base or owner/name."),
        widget=forms.TextInput(
            attrs={"placeholder": "openai-community/gpt2", "spellcheck": "false"}
        ),
    )
    revision = forms.CharField(
        max_length=200,
        initial="main",
        label=_("Revision"),
        help_text=_("Branch, tag or commit."),
        required=False,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    name = forms.CharField(
        max_length=160,
        required=False,
        label=_("Name here"),
        help_text=_("Empty: the name that it has on the Hub."),
    )

    def clean_repository(self) -> str:
        return clean_repository(self.cleaned_data["repository"])

    def clean_revision(self) -> str:
        return self.cleaned_data["revision"].strip() or "main"


class PushForm(EndpointForm):
    """Where to send a checkpoint; the token is never shown again."""

    repository = forms.CharField(
        max_length=200,
        label=_("Name on the Hub"),
        help_text=_("owner/name, made when it is not there."),
        widget=forms.TextInput(attrs={"placeholder": "owner/name", "spellcheck": "false"}),
    )
    token = forms.CharField(
        max_length=500,
        label=_("Token"),
        help_text=_("One that may write. Kept encrypted until the job has ended, then erased."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    private = forms.BooleanField(
        required=False,
        initial=True,
        label=_("Private"),
        help_text=_("If the repository is made: only its owner sees it."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        said = _("The public Hub, or a mirror of it. The token is sent there.")
        self.fields["endpoint"].help_text = said

    def clean_repository(self) -> str:
        repository = clean_repository(self.cleaned_data["repository"])
        if "/" not in repository:
            raise forms.ValidationError(gettext("Write the owner too: owner/name."))
        return repository

    def clean_token(self) -> str:
        token: str = self.cleaned_data["token"]
        # It becomes a header: nothing in it may end one.
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise forms.ValidationError(gettext("This does not look like a token."))
        return token


class ManyFilesInput(forms.FileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several files; a list when cleaned, empty when none was chosen."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return [super(ManyFilesField, self).clean(item, initial) for item in data or []]


class FolderForm(forms.Form):
    """Files that came in pieces (``upload``, with JavaScript) or with the form itself."""

    name = forms.CharField(max_length=160, label=_("Name"), required=False)
    chosen = ManyFilesField(required=False, label=_("Files"), allow_empty_file=True)
    upload: forms.ModelMultipleChoiceField[Upload] = forms.ModelMultipleChoiceField(
        None, required=False, widget=forms.MultipleHiddenInput
    )

    def __init__(self, *args: Any, user: User, team: Team | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = Upload.objects.for_user(user).filter(owner=user, team=team)
        self.fields["upload"].queryset = mine  # type: ignore[attr-defined]
        self.fields["upload"].error_messages["invalid_choice"] = _(
            "An upload is not complete or not yours. Choose the files again."
        )

    def clean_upload(self) -> list[Upload]:
        sent = list(self.cleaned_data["upload"])
        for upload in sent:
            if received(upload) != upload.size:
                raise forms.ValidationError(
                    _("%(file)s did not arrive completely. Choose the files again."),
                    params={"file": upload.filename},
                )
        return sent

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and not data.get("chosen") and not data.get("upload"):
            self.add_error("chosen", gettext("Choose the model's folder or its files."))
        return data


class StageForm(forms.Form):
    """The stage to go to; ``seen`` is the one that the page showed."""

    stage = forms.ChoiceField(choices=Checkpoint.Stage.choices)
    seen = forms.ChoiceField(choices=Checkpoint.Stage.choices)
    reason = forms.CharField(required=False, max_length=300)


class DescribeForm(forms.Form):
    name = forms.CharField(max_length=160, label=_("Name"))
    tags = forms.CharField(
        required=False,
        max_length=400,
        label=_("Tags"),
        help_text=_("Separated by commas."),
    )
    notes = forms.CharField(
        required=False,
        max_length=20_000,
        label=_("Notes"),
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean_tags(self) -> list[str]:
        words = re.split(r"[,，、\n]", self.cleaned_data["tags"])
        tags = [word.strip() for word in words if word.strip()]
        if long := [tag for tag in tags if len(tag) > 40]:
            raise forms.ValidationError(
                _("%(tag)s… is too long for a tag: at most 40 characters."),
                params={"tag": long[0][:20]},
            )
        return tags
