"""What a run's report page is given: a part for each kind of result, empty where it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp import classifiers, regressions, taggings
from webapp.checkpoints.plans import CopyPreview
from webapp.runs import pages, pictures, selectors, texts_of_classes
from webapp.runs.forms import form_class
from webapp.runs.methods import METHODS
from webapp.runs.models import Run
from webapp.runs.settings_diff import changed
from webapp.runs.twins import SCRATCH, pair_of


@dataclass(frozen=True)
class Texts:
    """What one prompt led to, and the label if there was one."""

    label: str | None
    prompt: str
    before: str
    after: str
    twin: str


def report_context(run: Run, user: Any) -> dict[str, Any]:
    """The report: of the transfer, when its twin's is asked for."""
    shown = run.twin_of or run
    if shown.pk != run.pk:
        shown = selectors.runs_with_all(user).get(pk=shown.pk)
    twin = selectors.twin_of(shown)
    report = shown.job.report or {}
    return pages.outcome_context(shown, user) | {
        "job": shown.job,
        "report": report,
        "twin": twin,
        "texts": _texts(shown, twin),
        "shown": METHODS[shown.method],
        **_classified(shown, twin),
        **_predicted(shown, twin),
        **_tagged(shown, twin),
        **_generated(shown),
        **_written(shown, twin),
        "tasks": _tasks(shown, twin),
        "chart": pages.chart([shown, twin], pair=True),
        "metrics": pages.metric_choices([shown], pair=True),
        "alarm": selectors.collapse_of(shown),
        "changed": changed(shown.job.spec),
        "model": selectors.model_of(shown),
        "elapsed": selectors.elapsed_s(shown.job),
        "environment": report.get("environment") or {},
        "plan": _plan(shown),
    }


def _classified(run: Run, twin: Run | None) -> dict[str, Any]:
    """What a classifier's report shows; nothing for another's."""
    report = run.job.report or {}
    if not (report.get("scores") or {}).get("model") or "classes" not in report:
        return {}
    told = classifiers.with_twin(report, twin.job.report if twin else None)
    return classifiers.shown(told, _split(run, report))


def _predicted(run: Run, twin: Run | None) -> dict[str, Any]:
    """What the report of a run that predicts a number shows; nothing for another's."""
    report = run.job.report or {}
    # A table's target may be of classes.
    if not report.get("target") or not report.get("scores") or "classes" in report:
        return {}
    told = regressions.with_twin(report, twin.job.report if twin else None)
    found = regressions.shown(told, _split(run, report))
    return {"report": found["report"], "predicts": found}


def _split(run: Run, report: dict[str, Any]) -> Any:
    """Title of the split that was scored."""
    return METHODS[run.method].splits.get(report["split"], report["split"])


def _tagged(run: Run, twin: Run | None) -> dict[str, Any]:
    """What the report of a run that tags words shows; nothing for another's."""
    report = run.job.report or {}
    if not report.get("tags") or not report.get("scores"):
        return {}
    report = taggings.with_twin(report, twin.job.report if twin else None)
    found = {
        "report": report,
        "mine": report["scores"]["model"],
        "worth": taggings.verdict(report),
        "sides": taggings.sides(report),
        "confusion": taggings.confusion(report),
        "worst": taggings.worst(report),
        "unseen": taggings.unseen(report),
        "scored_split": METHODS[run.method].splits.get(report["split"], report["split"]),
    }
    return {"report": report, "tagged": found}


def _generated(run: Run) -> dict[str, Any]:
    """What the report of a run that makes images shows; nothing for another's."""
    generated = (run.job.report or {}).get("generated")
    if not generated:
        return {}
    return {
        "generated": generated,
        "generated_worth": pictures.verdict(generated),
        "generated_sides": pictures.sides(generated),
        "generated_warnings": pictures.warnings(generated),
        "picture_sets": pictures.of_report(run),
        "generated_split": METHODS[run.method].splits.get(generated["split"], ""),
    }


def _written(run: Run, twin: Run | None) -> dict[str, Any]:
    """What the report of a run on texts of classes shows; nothing for another's."""
    written = (run.job.report or {}).get("written")
    if not written or not written["given"]:
        return {}
    of_twin = ((twin.job.report or {}).get("written") if twin else None) or {}
    return {
        "written": written,
        "written_worth": texts_of_classes.verdict(written),
        "written_warnings": texts_of_classes.warnings(written),
        "written_readings": texts_of_classes.readings(written, of_twin),
        "written_sides": texts_of_classes.sides(written),
        "written_classifiers": classifiers.sides(written["bayes"]),
        "written_split": METHODS[run.method].splits.get(written["split"], ""),
    }


def _tasks(run: Run, twin: Run | None) -> list[dict[str, Any]]:
    """What the report of a run on several targets shows of each; nothing for another's."""
    of_twin = {
        one["target"]: one for one in ((twin.job.report or {}).get("tasks") or [] if twin else [])
    }
    key = "twin" if pair_of(run) is SCRATCH else "single"
    found = []
    for number, one in enumerate((run.job.report or {}).get("tasks") or []):
        told: dict[str, Any] = {"about": one, "number": f"-{number}", "mine": None}
        if one.get("scores"):
            other, split = of_twin.get(one["target"]), _split(run, one)
            if one["type"] == "category":
                told |= classifiers.shown(classifiers.with_twin(one, other, key), split)
            else:
                told |= regressions.shown(regressions.with_twin(one, other, key), split)
        found.append(told)
    return found


def _plan(run: Run) -> CopyPreview | None:
    """Where the weights came from, tensor by tensor, as it was planned before the start."""
    from training.errors import TrainingError
    from training.weights.planner import make_plan
    from webapp.runs.sources import of_checkpoint

    source, model = run.source_checkpoint, selectors.model_of(run)
    if source is None and run.source_run is not None:
        source = run.source_run.checkpoint
    if source is None or model is None:
        return None
    known = of_checkpoint(source)
    form = form_class(run.method).from_spec(run.job.spec, run.team)
    try:
        plan = make_plan(
            model,
            known.config,
            known.shapes,
            same_tokenizer=form.same_tokenizer,
            token_rows=form.token_rows,
            reinitialise=[*form.payload()["source"]["reinitialise"], *form.afresh],
        )
    except TrainingError:
        return None
    return CopyPreview.of(plan, known.config)


def _texts(run: Run, twin: Run | None) -> list[Texts]:
    def by_place(of: Run | None, when: str) -> dict[tuple[Any, ...], str]:
        samples = ((of.job.report or {}).get("samples") or {}) if of else {}
        return {
            (item.get("label"), item.get("place"), item["prompt"]): item["text"]
            for item in samples.get(when) or []
        }

    before, after = by_place(run, "before"), by_place(run, "after")
    of_twin = by_place(twin, "after")
    found = []
    for (label, place, prompt), text in after.items():
        key = (label, place, prompt)
        # A twin without labels wrote the same places without one.
        unlabelled = of_twin.get(("", place, prompt), "")
        found.append(Texts(label, prompt, before.get(key, ""), text, of_twin.get(key, unlabelled)))
    return found
