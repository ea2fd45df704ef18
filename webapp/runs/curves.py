"""Curves for charts: already thinned, so that no query reads more than it sends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webapp.runs.jobs import MAX_TIER
from webapp.runs.models import Point, Run
from webapp.runs.task_curves import curves_of_tasks

#: Most points a curve has on a chart.
MOST_POINTS = 2000
#: What the engine measures, in the order in which a chart offers it.
METRICS: dict[str, str | Promise] = {
    "loss": _("training loss"),
    "validation_loss": _("validation loss"),
    "validation_accuracy": _("validation accuracy"),
    "validation_wrong_loss": _("validation loss with a wrong label"),
    "validation_unlabelled_loss": _("validation loss without a label"),
    "validation_rmse": _("validation RMSE"),
    "validation_knn": _("nearest neighbours, accuracy"),
    "validation_probe": _("linear probe, accuracy"),
    "validation_spread": _("spread of the projections"),
    "validation_dimensions": _("dimensions of the projections"),
    "validation_views_loss": _("loss of two validation views"),
    "validation_reconstruction": _("reconstruction, nats per image"),
    "validation_divergence": _("divergence of the latents, nats per image"),
    "validation_class_accuracy": _("made images of the right class"),
    "validation_frechet": _("distance from real ones (Fréchet)"),
    "validation_generator_loss": _("loss of the generator"),
    "validation_discriminator_loss": _("loss of the discriminator"),
    "validation_real_score": _("score of real images"),
    "validation_fake_score": _("score of made images"),
    "learning_rate": _("learning rate"),
    "gradient_norm": _("gradient norm"),
}
#: What metrics are called that a chart draws together.
TOGETHER: dict[str, str | Promise] = {
    "loss,validation_loss": _("loss"),
    "loss,validation_views_loss": _("loss"),
    "validation_loss,validation_wrong_loss,validation_unlabelled_loss": _("loss by label"),
    "validation_knn,validation_probe": _("accuracy of the features"),
    "validation_reconstruction,validation_divergence": _("reconstruction and divergence"),
    "validation_generator_loss,validation_discriminator_loss": _("losses of the two networks"),
    "validation_real_score,validation_fake_score": _("the discriminator's scores"),
}
#: Method → the metrics that depend on a run's data: what each is called, and what those are that a
#: chart draws together.
OWN: dict[str, Callable[[Run], tuple[dict[str, str], dict[str, str]]]] = {
    "multi_task": curves_of_tasks,
}
#: Metrics sent when none are asked for.
DEFAULT_NAMES = ("loss", "validation_loss")


def own_metrics(run: Run) -> tuple[dict[str, str], dict[str, str]]:
    """Titles of the metrics that only this run's data give it, and of those drawn together."""
    return OWN[run.method](run) if run.method in OWN else ({}, {})


def tier_for(spec: Mapping[str, Any], name: str) -> int:
    """The lowest tier in which a metric of this run can never have more than 2,000 points.

    It follows from the spec alone, so that a chart which asks for what is new gets the same tier
    at every call.
    """
    every = int(spec["evaluation"]["every"]) if name.startswith("validation") else 1
    steps = int(spec["training"]["steps"])
    for k in range(MAX_TIER):
        if steps // math.lcm(every, 4**k) <= MOST_POINTS:
            return k
    return MAX_TIER


def curves(
    run: Run, *, names: Iterable[str] = DEFAULT_NAMES, since: int = -1
) -> dict[str, dict[str, list[Any]]]:
    """``{name: {steps: […], values: […]}}`` of the points after a step; null: not finite.

    The newest point is always among them, whatever its tier.
    """
    found: dict[str, dict[str, list[Any]]] = {}
    for name in names:
        points = Point.objects.filter(run=run, name=name)
        tier = tier_for(run.job.spec, name)
        if tier:
            last = points.order_by("-step").values_list("step", flat=True).first()
            points = points.filter(Q(tier__gte=tier) | Q(step=last))
        rows = points.filter(step__gt=since).order_by("step").values_list("step", "value")
        pairs = list(rows)
        found[name] = {"steps": [step for step, _v in pairs], "values": [v for _s, v in pairs]}
    return found
