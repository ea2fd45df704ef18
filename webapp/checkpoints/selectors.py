"""Reads about checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, prod
from typing import Any

from django.db.models import FloatField, Model, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.backbones.registry import BACKBONES, config_of
from training.interop.forms import FORMS
from training.weights.header import DTYPE_BYTES
from training.weights.plan import block_by_name, blocks_of, natural_key
from webapp.accounts.models import Tag, Team, User
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.datasets.models import Dataset
from webapp.paging import Page, page_of
from webapp.runs.models import Run

#: Columns that only a checkpoint's own page reads; a list of 25 would carry megabytes of them.
HEAVY = ("card", "manifest", "tensors")

#: Sort → (key, descending, title).
SORTS: dict[str, tuple[str, bool, Any]] = {
    "newest": ("created_at", True, _("Newest first")),
    "oldest": ("created_at", False, _("Oldest first")),
    "name": ("name", False, _("Name")),
    "loss": ("loss", False, _("Lowest validation loss")),
    "largest": ("parameters", True, _("Most parameters")),
    "smallest": ("parameters", False, _("Fewest parameters")),
}

#: Sorts after every real loss: a key must not be null.
_NO_LOSS = 1e300


@dataclass(frozen=True)
class Block:
    """One part of a model: its tensors and their sums."""

    name: str
    tensors: list[dict[str, Any]]
    parameters: int
    size: int

    @property
    def title(self) -> str:
        return block_title(self.name)


def block_title(block: str) -> str:
    """A block's name for people: ``layer.3`` → "Layer 3"."""
    titles = {
        "embeddings": gettext("Embeddings"),
        "final_norm": gettext("Final norm"),
        "head": gettext("Head"),
    }
    if block.startswith("layer."):
        return gettext("Layer %(number)s") % {"number": block[6:]}
    return titles.get(block, block)


def checkpoint_page(*, user: User, team: Team | None, filters: Mapping[str, Any]) -> Page:
    """One page of the team's checkpoints.

    Args:
        user: Who looks.
        team: Whose.
        filters: ``q``, ``origin``, ``dataset``, ``owner``, ``tag``, ``source``, ``sort``,
            ``cursor``; empty ones do not filter.
    """
    rows: QuerySet[Any] = Checkpoint.objects.for_user(user).filter(team=team)
    if words := filters.get("q"):
        for word in words.split():
            rows = rows.filter(
                Q(name__icontains=word)
                | Q(notes__icontains=word)
                | Q(weights_sha256__startswith=word.lower())
                | Q(tags__name__iexact=word)
            )
        rows = rows.distinct()
    for field, column in (
        ("origin", "origin"),
        ("dataset", "dataset_version__dataset"),
        ("owner", "owner"),
        ("tag", "tags"),
        ("source", "parents"),
    ):
        if value := filters.get(field):
            rows = rows.filter(**{column: value})
    key, descending, _title = SORTS[filters.get("sort") or "newest"]
    if key == "loss":
        rows = rows.annotate(
            loss=Coalesce(Cast(KT("scores__validation_loss"), FloatField()), _NO_LOSS)
        )
    rows = rows.select_related("owner", "dataset_version__dataset").defer(
        *HEAVY, "dataset_version__summary", "dataset_version__preview", "dataset_version__manifest"
    )
    return page_of(
        rows.prefetch_related("tags"),
        key=key,
        descending=descending,
        cursor=filters.get("cursor") or "",
    )


def language_models(*, user: User, team: Team | None) -> QuerySet[Checkpoint]:
    """Checkpoints of the team that write text, the newest first."""
    rows: QuerySet[Checkpoint] = Checkpoint.objects.for_user(user).filter(
        team=team,
        architecture__in=[name for name, backbone in BACKBONES.items() if backbone.writes],
    )
    return rows.defer(*HEAVY).order_by("-created_at", "-pk")


def imports_on_their_way(*, user: User, team: Team | None) -> QuerySet[CheckpointImport]:
    """Imports and copies that have not become a checkpoint, the newest first."""
    rows: QuerySet[CheckpointImport] = CheckpointImport.objects.for_user(user).filter(
        team=team, checkpoint=None
    )
    return (
        rows.exclude(job__state="cancelled")
        .select_related("job", "owner")
        .defer("manifest")
        .order_by("-created_at")[:5]
    )


def filter_choices(team: Team | None) -> dict[str, QuerySet[Any]]:
    """What the list's filters offer: only what some checkpoint of the team has."""
    mine = Checkpoint.objects.filter(team=team)
    return {
        "owner": User.objects.filter(pk__in=mine.values("owner")).order_by("name", "email"),
        "dataset": Dataset.objects.filter(
            pk__in=mine.values("dataset_version__dataset"), team=team
        ).order_by("name"),
        "tag": Tag.objects.filter(team=team, checkpoint__in=mine).distinct(),
    }


def python_class(checkpoint: Checkpoint) -> str:
    """The class of ``transformers`` that opens the checkpoint's folder; empty: none does."""
    form = FORMS.get(checkpoint.architecture)
    return form.class_of(config_of(checkpoint.config)) if form and form.opens else ""


def blocks(checkpoint: Checkpoint) -> list[Block]:
    """The tensors of a checkpoint by block, in the order of the model, from the stored header."""
    known = blocks_of(config_of(checkpoint.config))
    found: dict[str, list[dict[str, Any]]] = {}
    for tensor in checkpoint.tensors:
        count = prod(tensor["shape"])
        row = {
            "name": tensor["name"],
            "shape": " × ".join(map(str, tensor["shape"])) or gettext("scalar"),
            "dtype": tensor["dtype"],
            "parameters": count,
            "size": count * DTYPE_BYTES.get(tensor["dtype"], 0),
        }
        name = known.get(tensor["name"]) or block_by_name(tensor["name"])
        found.setdefault(name, []).append(row)

    order = {block: place for place, block in enumerate(dict.fromkeys(known.values()))}
    return [
        Block(
            name,
            found[name],
            sum(row["parameters"] for row in found[name]),
            sum(row["size"] for row in found[name]),
        )
        for name in sorted(found, key=lambda name: (order.get(name, len(order)), natural_key(name)))
    ]


#: Score → (title, places shown).
SCORES: dict[str, tuple[Any, int]] = {
    "validation_loss": (_("Validation loss"), 3),
    "perplexity": (_("Perplexity"), 1),
    "validation_perplexity": (_("Perplexity"), 1),
    "validation_accuracy": (_("Accuracy"), 3),
    "accuracy": (_("Accuracy"), 3),
    "test_loss": (_("Test loss"), 3),
    "test_perplexity": (_("Test perplexity"), 1),
    "test_accuracy": (_("Test accuracy"), 3),
    "best_step": (_("Best step"), 0),
}


def scores(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Scores with their titles, as people read them."""
    values = dict(checkpoint.scores)
    loss = values.get("validation_loss")
    if loss is not None and loss < 50 and not {"perplexity", "validation_perplexity"} & set(values):
        values["perplexity"] = exp(loss)
    known = {name: values.pop(name) for name in SCORES if name in values}
    found = []
    for name, value in (known | values).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        title, places = SCORES.get(name, (name, 3))
        found.append((str(title), f"{value:.{places}f}"))
    return found


def settings_of(checkpoint: Checkpoint) -> list[tuple[str, Any]]:
    """The configuration with titles in the reader's language."""
    rows: list[tuple[str, Any]] = []
    fields = BACKBONES[checkpoint.architecture].config.model_fields
    for name, value in checkpoint.config.items():
        field = fields.get(name)
        if name == "architecture":
            continue
        title = gettext(field.title) if field is not None and field.title else name
        if isinstance(value, bool):
            value = gettext("yes") if value else gettext("no")
        elif value is None:
            value = gettext("4 × width") if name == "n_inner" else "–"
        rows.append((title, value))
    return rows


def made_by(checkpoint: Checkpoint, user: User) -> Model | None:
    """The run or import that made it, when the reader may see it."""
    run = Run.objects.for_user(user).filter(checkpoint=checkpoint).select_related("job").first()
    if run is not None:
        return run
    return (
        CheckpointImport.objects.for_user(user)
        .filter(checkpoint=checkpoint)
        .select_related("source", "job")
        .first()
    )


@dataclass(frozen=True)
class Transfer:
    """How far a download or a copy has got.

    Attributes:
        received: Bytes here, None when the phase does not count bytes.
        total: Bytes wanted.
        rate: Bytes a second.
        left_s: Seconds left, None when not known.
    """

    received: int | None
    total: int | None
    rate: float | None
    left_s: float | None


def transfer_progress(row: CheckpointImport) -> Transfer:
    """Bytes, rate and time left from the job's last events."""
    seen = row.progress
    received, total, rate = seen.get("bytes"), seen.get("total_bytes"), seen.get("bytes_per_s")
    left = None
    if rate and total and received is not None:
        left = max(total - received, 0) / rate
    return Transfer(received, total, rate, left)
