"""What the merge pages show: what fits together, and how a merge was judged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db.models.fields.json import KT
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.backbones.contract import BackboneConfig
from training.backbones.registry import SELF_CONTAINED, config_of
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.checkpoints.selectors import HEAVY
from webapp.datasets.models import DatasetVersion
from webapp.runs import references

#: Checkpoints looked at for what fits, the newest first.
MOST = 200

#: Method → (title, what it is for).
METHODS: dict[str, tuple[Any, Any]] = {
    "interpolate": (
        _("Interpolation (WiSE-FT)"),
        _(
            "Between two checkpoints, most often a source and what was fine-tuned from it. With "
            "few data, a point in between is often better on the target than the fine-tuned one, "
            "and forgets less of the source."
        ),
    ),
    "soup_uniform": (
        _("Uniform soup"),
        _("The mean of several that were fine-tuned from the same source with other settings."),
    ),
    "soup_greedy": (
        _("Greedy soup"),
        _(
            "The best of several, then each further one that does not make the mean worse on the "
            "target. It takes more time, and is never worse there than the best one alone."
        ),
    ),
    "task_arithmetic": (
        _("Task arithmetic"),
        _(
            "Adds what each learned to the base that all started from. With a scale below zero it "
            "is taken away."
        ),
    ),
    "ties": (
        _("TIES"),
        _(
            "Like task arithmetic, but small changes are dropped and contradicting signs settled "
            "first, so that several tasks disturb each other less."
        ),
    ),
    "lora": (
        _("LoRA weights"),
        _(
            "Adds the low-rank weights that checkpoints keep apart after training with LoRA to a "
            "base: the one they were trained from, or another of its shape."
        ),
    ),
}


def fitting(*, first: Checkpoint | None, user: User, team: Team) -> list[Checkpoint]:
    """Checkpoints that can be merged with one: the same settings and tokenizer, newest first.

    Args:
        first: What they must fit; None: anything does.
        user: Who looks.
        team: Whose.
    """
    rows = (
        Checkpoint.objects.for_user(user)
        .filter(team=team, architecture__in=SELF_CONTAINED)
        .exclude(stage=Checkpoint.Stage.ARCHIVED)
        .defer(*HEAVY)
        .order_by("-created_at", "-pk")
    )
    if first is None:
        return list(rows[:MOST])
    wanted = first.manifest.get("tokenizer.json", {}).get("blake3")
    settings = config_of(first.config)
    near = rows.filter(architecture=first.architecture, parameters=first.parameters)
    # Read in the database, which looks only at the manifests of those.
    near = near.annotate(tokenizer=KT("manifest__tokenizer.json__blake3")).exclude(pk=first.pk)
    return [
        row for row in near[:MOST] if row.tokenizer == wanted and difference(settings, row) is None
    ]


def difference(first: BackboneConfig, other: Checkpoint) -> tuple[str, Any, Any] | None:
    """The first setting that differs, with both values; None when they can be merged."""
    ours = first.model_dump()
    theirs = config_of(other.config).model_dump()
    for name, value in ours.items():
        if theirs.get(name) != value:
            return name, value, theirs.get(name)
    return None


@dataclass(frozen=True)
class Row:
    """A line of the table: weights that were scored.

    Attributes:
        title: What they are.
        losses: On each data set, in the order of the columns.
        is_result: Whether they became the checkpoint.
        is_best: Whether they are the best on the target.
    """

    title: str
    losses: list[float]
    is_result: bool
    is_best: bool


@dataclass(frozen=True)
class Judgement:
    """How a merge was judged.

    Attributes:
        columns: ``(role, name)`` of each data set.
        rows: The points.
        chart: For charts.js, as JSON; empty unless the points are shares of an interpolation.
        sentence: The outcome.
    """

    columns: list[tuple[str, str]]
    rows: list[Row]
    chart: str
    sentence: str


ROLES = {"target": _("Target"), "source": _("Source")}


def judgement(row: CheckpointImport) -> Judgement | None:
    """How a finished merge was judged, from its job's report; None when nothing judged it."""
    found = (row.job.report or {}).get("evaluation")
    if not found:
        return None
    spec = row.job.spec
    keys = [references.read(data["path"])[1] for data in spec["evaluate"]["data"]]
    versions = {
        version.pk: version.dataset.name
        for version in DatasetVersion.objects.filter(pk__in=keys)
        .select_related("dataset")
        .only("dataset__name")
    }
    columns = [
        (str(ROLES[data["role"]]), versions.get(key, data["name"]))
        for key, data in zip(keys, found["data"], strict=True)
    ]
    names = [parent.name for parent in parents(row)]
    best = found["best"]["point"] if found["best"] else None
    rows = [
        Row(
            title=_title(point, names),
            losses=[scores["loss"] for scores in point["scores"]],
            is_result=number == found["result"],
            is_best=number == best,
        )
        for number, point in enumerate(found["points"])
    ]
    return Judgement(columns, rows, _chart(found, columns), _sentence(found, rows))


def parents(row: CheckpointImport) -> list[Checkpoint]:
    """What is merged, in the order of the spec and of the report's places: a base first."""
    spec = row.job.spec
    by_key = {parent.pk: parent for parent in row.merged.all()}
    written = [*([spec["base"]] if spec["base"] else []), *spec["checkpoints"]]
    return [by_key[references.read(name)[1]] for name in written]


def _title(point: dict[str, Any], names: list[str]) -> str:
    if point["alpha"] is not None:
        return f"{point['alpha']:g}"
    places = point["models"]
    if len(places) == 1:
        return names[places[0]]
    if len(places) == len(names):
        return gettext("All of them, merged")
    return " + ".join(names[place] for place in places)


def _chart(found: dict[str, Any], columns: list[tuple[str, str]]) -> str:
    points = found["points"]
    if any(point["alpha"] is None for point in points):
        return ""
    steps = [point["alpha"] for point in points]
    return json.dumps(
        [
            {
                "name": f"{role}: {name}",
                "dashed": data["role"] == "source",
                "series": {
                    "validation_loss": {
                        "steps": steps,
                        "values": [point["scores"][place]["loss"] for point in points],
                    }
                },
            }
            for place, ((role, name), data) in enumerate(zip(columns, found["data"], strict=True))
        ]
    )


def _sentence(found: dict[str, Any], rows: list[Row]) -> str:
    best = found["best"]
    if best is None:
        return ""
    params = {"point": rows[best["point"]].title, "loss": f"{best['target_loss']:.3f}"}
    if found["points"][best["point"]]["alpha"] is not None:
        text = gettext("The lowest loss on the target is %(loss)s, at α = %(point)s.") % params
    else:
        text = gettext("The lowest loss on the target is %(loss)s: %(point)s.") % params
    if "source_cost" not in best:
        return text
    cost = {"loss": f"{best['source_loss']:.3f}", "cost": f"{best['source_cost']:.3f}"}
    more = gettext("On the source it has %(loss)s there, %(cost)s above the best parent.") % cost
    return f"{text} {more}"
