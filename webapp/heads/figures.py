"""A head's report, shaped for its page."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.classifiers import SIDES
from webapp.heads.forms import HEADS, NORMALISATIONS, POOLINGS
from webapp.heads.models import Head

PHASES: dict[str, str | Promise] = {
    "loading": _("Loading"),
    "features": _("Computing features"),
    "evaluating": _("Fitting and scoring"),
    "mapping": _("Drawing the map"),
}
FITTED: dict[str, str | Promise] = {
    "model": SIDES["model"],
    "random": SIDES["random"],
    "baselines": _("what it must beat"),
}
#: What the linear probe came to.
FITTED_HEADS: dict[str, str | Promise] = {
    "logistic": _("linear probe: logistic regression"),
    "ridge": _("linear probe: ridge regression"),
}
SPLITS: dict[str, str | Promise] = {
    "train": _("training split"),
    "validation": _("validation split"),
    "test": _("test split"),
}


def detail(told: str) -> str:
    """What a phase is about: what is fitted, or a split, maybe of the one with random weights."""
    if told in FITTED:
        return str(FITTED[told])
    split, random, _rest = told.partition(", random weights")
    if split not in SPLITS:
        return told
    return f"{SPLITS[split]}, {SIDES['random']}" if random else str(SPLITS[split])


def features(report: dict[str, Any]) -> str:
    """What computing the features cost, or what finding them saved."""
    parts = [report.get("features") or {}, report.get("control") or {}]
    computed = sum(part.get("computed_s", 0) for part in parts)
    saved = sum(part.get("saved_s", 0) for part in parts)
    if computed and saved:
        return gettext("computed in %(computed)s s; the rest was there and saved %(saved)s s") % {
            "computed": f"{computed:.0f}",
            "saved": f"{saved:.0f}",
        }
    if saved:
        return gettext("found from before: %(saved)s s saved") % {"saved": f"{saved:.0f}"}
    return gettext("computed in %(computed)s s") % {"computed": f"{computed:.0f}"}


def _head(head: Head) -> Any:
    """What was fitted; before it is, what was asked for."""
    kind = (head.job.report or {}).get("head", {}).get("kind")
    return FITTED_HEADS.get(kind) or dict(HEADS).get(head.job.spec["head"], head.job.spec["head"])


def settings_used(head: Head) -> list[tuple[Any, Any]]:
    """The settings, as the form calls them."""
    spec = head.job.spec
    if head.dataset_version.kind == "image":
        normalisation = spec.get("normalisation", "auto")
        own = [
            (_("Image size (pixels)"), spec.get("image_px") or _("the network's own, or 224")),
            (_("Normalisation of images"), dict(NORMALISATIONS)[normalisation]),
        ]
    else:
        own = [(_("Longest text (tokens)"), spec["most_tokens"] or _("the model's context"))]
    return [
        (_("Pooling"), dict(POOLINGS).get(spec["pooling"], spec["pooling"])),
        (_("Head"), _head(head)),
        (_("Training examples"), spec["examples"] or _("all")),
        *own,
        (_("Seed"), spec["seed"]),
    ]
