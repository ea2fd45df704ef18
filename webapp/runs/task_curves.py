"""The curves that a run on several targets has beside those of every run: some for each target."""

from __future__ import annotations

from django.utils.translation import gettext as _

from training.data.table_tasks import task_key
from training.methods.task_related.multi_task_spec import MultiTaskSpec
from webapp.runs import tables
from webapp.runs.models import Run


def curves_of_tasks(run: Run) -> tuple[dict[str, str], dict[str, str]]:
    """What a run's own metrics are called, and what those are called that a chart draws together.

    Returns:
        Metric → the target that it is of; comma-separated metrics → title.
    """
    spec = MultiTaskSpec.model_validate(run.job.spec)
    names = tables.chosen(run.dataset_version, spec.targets, only_main=spec.only_main)
    others = {f"validation_loss.{task_key(name)}": name for name in names[1:]}
    found, together = dict(others), {}
    if others:
        together[",".join(others)] = _("validation loss of the other targets")
    if spec.training.weighting == "uncertainty":
        noises = {f"validation_noise.{task_key(name)}": name for name in names}
        found |= noises
        together[",".join(noises)] = _("noise of the targets, log σ²")
    return found, together
