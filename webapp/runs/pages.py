"""What the templates of runs are given: put together here, read in selectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from training.backbones.registry import BACKBONES
from webapp.accounts import selectors as accounts
from webapp.accounts.models import Membership, Team
from webapp.checkpoints.lineage import Lineage, lineage
from webapp.ensembles import selectors as ensembles
from webapp.jobs.models import State
from webapp.jobs.selectors import error_sentence
from webapp.runs import pictures, selectors
from webapp.runs.curves import METRICS, TOGETHER, own_metrics
from webapp.runs.forms import form_class
from webapp.runs.methods import METHODS, Score
from webapp.runs.models import Run
from webapp.runs.selectors import DEFAULT_SORT, SORTS, Filters
from webapp.runs.settings_diff import changed, side_by_side
from webapp.runs.spec_yaml import to_yaml
from webapp.runs.twins import pair_of
from webapp.runs.verdicts import verdict

#: Runs side by side: as many as there are colours to tell them apart, and two.
MOST_COMPARED = 8
MOST_TAGS = 20

PHASES: dict[str, str | Promise] = {
    "loading": gettext_lazy("loading"),
    "tokenizing": gettext_lazy("reading the text"),
    "building": gettext_lazy("building the model"),
    "judging": gettext_lazy("training the judge"),
    "copying": gettext_lazy("carrying weights over"),
    "evaluating": gettext_lazy("evaluating"),
    "training": gettext_lazy("training"),
    "saving": gettext_lazy("saving"),
}


# --- the list -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SortLink:
    """A column's head that sorts: where it leads, and how the list is sorted now."""

    query: str
    current: str  # "", "ascending" or "descending"


def sort_links(query: QueryDict, filters: Filters) -> dict[str, SortLink]:
    """For each column; a second click turns the order round."""
    found = {}
    for name in ("created", "name", "loss"):
        first = DEFAULT_SORT if name == "created" else name
        other = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        address = query.copy()
        address.pop("cursor", None)
        address["sort"] = other if filters.sort == first else first
        current = ""
        if filters.sort.removeprefix("-") == name:
            current = "descending" if SORTS[filters.sort][1] else "ascending"
        found[name] = SortLink(address.urlencode(), current)
    return found


# --- one run --------------------------------------------------------------------------------------


def can_write(user: Any, run: Run) -> bool:
    """Whether to show buttons; the views ask again."""
    return may_start(user, run.team)


def may_start(user: Any, team: Team | None) -> bool:
    """Whether to offer a new run."""
    writers = {Membership.Role.MEMBER, Membership.Role.ADMIN}
    return team is not None and accounts.role(user, team) in writers


def live_context(run: Run, user: Any) -> dict[str, Any]:
    """The part of a run's page that polls: state, numbers, buttons."""
    job, twin = run.job, selectors.twin_of(run)
    live = job.live or {}
    duration = job.report.get("duration_s")
    tokens = job.report.get("tokens")
    steps = job.report.get("steps")
    return {
        "run": run,
        "job": job,
        "twin": twin,
        "polling": job.is_live or (twin is not None and twin.job.is_live),
        "can_write": can_write(user, run),
        "phase": PHASES.get(job.phase, job.phase),
        "detail": live.get("detail"),
        "sentence": error_sentence(job),
        "kept_step": selectors.kept_step(job)
        if job.state in {State.FAILED, State.CANCELLED, State.PAUSED, State.RUNNING}
        else None,
        "waits": selectors.waits_for(run),
        "followers": selectors.followers_of(run),
        "position": selectors.queue_position(job),
        "elapsed": selectors.elapsed_s(job),
        "total_steps": job.total_steps or job.spec["training"]["steps"],
        "percent": None if job.fraction is None else int(100 * job.fraction),
        "tokens_per_s": tokens / duration if duration and tokens else live.get("tokens_per_s"),
        "steps_per_s": steps / duration if duration and steps else live.get("steps_per_s"),
        "eta": live.get("eta_s"),
        "shown": METHODS[run.method],
        "watched": _watched(run),
        "alarm": selectors.collapse_of(run),
        "memory": live.get("rss_bytes"),
        "processor": live.get("cpu_percent"),
        "gpus": live.get("gpus") or [],
        "precision": job.report.get("precision") or live.get("precision") or "",
        "error_input": job.error_field.replace(".", "-"),
        "devices": job.report.get("devices") or live.get("devices") or [],
        "seq": selectors.last_seq(run),
        "outcome_key": _outcome_key(run),
    }


def _watched(run: Run) -> list[tuple[Score, float | None]]:
    """What the newest look found, where the loss does not say it."""
    found = selectors.newest_values(run, [one.key for one in METHODS[run.method].watched])
    return [(one, found.get(one.key)) for one in METHODS[run.method].watched]


def _outcome_key(run: Run) -> str:
    """Changes whenever the outcome's panel would."""
    transfer = run.twin_of or run
    twin = selectors.twin_of(run)
    states = [run.job.state, twin.job.state if twin else "-"]
    return "-".join([*states, "compared" if transfer.comparison else ""])


def outcome_context(run: Run, user: Any) -> dict[str, Any]:
    """What came out: scores before and after, and whether the transfer was worth it."""
    transfer = run.twin_of or run
    return {
        "run": run,
        "transfer": transfer,
        "twin": selectors.twin_of(run),
        "pair": pair_of(run),
        "verdict": verdict(transfer.comparison, pair_of(run)),
        "scores": score_rows(run),
        "weights": selectors.weights_event(run),
    }


@dataclass(frozen=True)
class ScoreRow:
    """One score of one split, before, after, and the twin's after."""

    split: str
    title: str
    places: int
    before: float | None
    after: float | None
    twin: float | None
    better: bool | None


def score_rows(run: Run) -> list[ScoreRow]:
    """The report's scores on what it never saw; none before the run has ended well."""
    report = run.job.report or {}
    before, after = report.get("before") or {}, report.get("after") or {}
    twin = selectors.twin_of(run)
    of_twin = ((twin.job.report or {}).get("after") or {}) if twin else {}
    rows = []
    shown = METHODS[run.method]
    for split, name in shown.splits.items():
        if not after.get(split):
            continue
        for score in shown.scores:
            old, new, other = (
                (one.get(split) or {}).get(score.key) for one in (before, after, of_twin)
            )
            if old is None and new is None:
                continue
            better = None
            if old is not None and new is not None and old != new and score.rising is not None:
                better = (new > old) == score.rising
            title = str(score.title)
            rows.append(ScoreRow(str(name), title, score.places, old, new, other, better))
    return rows


def where_context(run: Run, user: Any) -> dict[str, Any]:
    """Where a run came from and what it made; what can be done with that."""
    model = selectors.model_of(run)
    classifies = form_class(run.method).TOGETHER
    return {
        "snapshots": ensembles.snapshots_of(run) if classifies else [],
        "ensembles": ensembles.of_run(user, run) if classifies else [],
        "derived": selectors.derived_runs(run)[:10],
        "model": model,
        "architecture": model and BACKBONES[model.architecture],
    }


def samples(run: Run, after_seq: int = 0) -> list[selectors.SamplesOfStep]:
    """What it wrote or made after an event, newest step first."""
    read = pictures.grids if METHODS[run.method].pictures else selectors.samples
    return selectors.samples_by_step(read(run, after_seq))


def detail_context(run: Run, user: Any) -> dict[str, Any]:
    """The whole page of a run."""
    return (
        live_context(run, user)
        | outcome_context(run, user)
        | where_context(run, user)
        | {
            "samples": samples(run),
            "log": selectors.newest_log_lines(run),
            "yaml": to_yaml(run.job.spec),
            "changed": changed(run.job.spec),
            "settings": side_by_side([run.job.spec]),
            "tags": run.tags.all(),
            "audit": selectors.audit_events(run),
            "lineage": _lineage(run, user),
            "makes_samples": "sample_every" in run.job.spec["evaluation"],
            "chart": chart([run, selectors.twin_of(run)], pair=True),
            "metrics": metric_choices([run], pair=True),
        }
    )


def _lineage(run: Run, user: Any) -> Lineage | None:
    """The graph around what the run made, or around its source while it has made nothing."""
    if run.checkpoint is not None:
        return lineage(run.checkpoint, user)
    if run.source_checkpoint is not None:
        return lineage(run.source_checkpoint, user, here=run.pk)
    return None


def chart(runs: list[Run | None], *, pair: bool = False) -> str:
    """What ``charts.js`` draws: where each curve comes from and what it is called."""
    there = [run for run in runs if run is not None]
    if pair:
        # Transfer first and in the same colour on both pages, whichever of the two is open.
        there.sort(key=lambda run: run.twin_of_id is not None)
    curves = []
    for run in there:
        name = run.name
        if pair and len(there) > 1:
            words = pair_of(run)
            name = str(words.twin if run.twin_of_id else words.run)
        url = reverse("runs:curves", args=[run.pk])
        dashed = bool(pair and run.twin_of_id and len(there) > 1)
        curves.append({"url": url, "name": name, "dashed": dashed, "titles": own_metrics(run)[0]})
    return json.dumps(curves)


def metric_choices(runs: list[Run | None], *, pair: bool) -> list[tuple[str, str]]:
    """The choices of a chart's menu: names of metrics, comma-separated, and a title.

    Args:
        runs: Whose curves they are; each offers those of its method.
        pair: Whether they are few enough for a chart of several metrics.
    """
    methods = dict.fromkeys(run.method for run in runs if run is not None)
    offered = [names for method in methods for names in METHODS[method].curves]
    if not pair:
        # What is measured on validation stands last in a chart of several, and comes first here.
        offered = [name for names in offered for name in reversed(names.split(","))]
    titles = METRICS | TOGETHER
    for run in runs:
        if run is not None:
            alone, together = own_metrics(run)
            titles |= alone | together
            # Several in one chart where that is readable, else each by itself.
            offered += together if pair else alone
    return [(names, str(titles[names])) for names in dict.fromkeys(offered)]


def description_errors(typed: dict[str, str]) -> dict[str, str]:
    """What is wrong with name, notes and tags."""
    errors = {}
    if not typed["name"]:
        errors["name"] = _("Write a name.")
    elif len(typed["name"]) > 160:
        errors["name"] = _("Write at most %(limit)s characters.") % {"limit": 160}
    tags = split_tags(typed["tags"])
    if any(len(tag) > 40 for tag in tags):
        errors["tags"] = _("A tag has at most %(limit)s characters.") % {"limit": 40}
    elif len(tags) > MOST_TAGS:
        errors["tags"] = _("At most %(limit)s tags are possible.") % {"limit": MOST_TAGS}
    return errors


def split_tags(text: str) -> list[str]:
    """Tags as typed, between commas of either script."""
    words = [" ".join(word.split()) for word in text.replace("，", ",").split(",")]
    return list(dict.fromkeys(word for word in words if word))


# --- side by side ---------------------------------------------------------------------------------


def compare_context(runs: list[Run], *, show_all: bool) -> dict[str, Any]:
    """Curves overlaid, scores, and the settings that tell the runs apart."""
    rows = side_by_side([_resolved(run) for run in runs]) if runs else []
    same = sum(not row.differs for row in rows)
    return {
        "runs": runs,
        "score_table": _score_table(runs),
        "settings": [row for row in rows if show_all or row.differs],
        "same": same,
        "show_all": show_all,
        "ids": ",".join(str(run.pk) for run in runs),
        "chart": chart(list(runs)),
        "metrics": metric_choices(list(runs), pair=False),
    }


def _resolved(run: Run) -> dict[str, Any]:
    """The spec with the model spelled out where it is the source's."""
    spec, model = run.job.spec, selectors.model_of(run)
    return spec if model is None else {**spec, "model": model.model_dump(mode="json")}


def _score_table(runs: list[Run]) -> list[dict[str, Any]]:
    """Rows of ``{title, places, values: [{value, best}]}``."""

    def row(title: str, places: int, values: list[Any], rising: bool | None) -> dict[str, Any]:
        known = [value for value in values if value is not None]
        best = None
        if rising is not None and len(set(known)) > 1:
            best = max(known) if rising else min(known)
        cells = [{"value": value, "best": best is not None and value == best} for value in values]
        return {"title": title, "places": places, "values": cells}

    rows = [
        row(_("best validation loss"), 3, [run.best_validation_loss for run in runs], False),
        row(_("at step"), 0, [run.best_step for run in runs], None),
    ]
    methods = dict.fromkeys(run.method for run in runs)
    known = {
        (split, score.key): (name, score)
        for method in methods
        for split, name in METHODS[method].splits.items()
        for score in METHODS[method].scores
    }
    for (split, key), (name, score) in known.items():
        values = [
            (((run.job.report or {}).get("after") or {}).get(split) or {}).get(key) for run in runs
        ]
        if any(value is not None for value in values):
            rows.append(row(f"{score.title}, {name}", score.places, values, score.rising))
    durations = [(run.job.report or {}).get("duration_s") for run in runs]
    rows.append(row(_("training time (s)"), 0, durations, None))
    return rows
