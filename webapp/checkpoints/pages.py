"""What the templates of checkpoints are given: put together here, read in selectors."""

from __future__ import annotations

from typing import Any

from training.backbones.registry import BACKBONES, SELF_CONTAINED, config_of
from training.data.text_tokenizer import CONTROL_TOKEN
from training.methods.registry import LOOP_METHODS
from webapp.accounts.selectors import can_write
from webapp.checkpoints import downloads, layers, merges, selectors
from webapp.checkpoints.forms import DescribeForm
from webapp.checkpoints.lineage import lineage
from webapp.checkpoints.models import Checkpoint, CheckpointImport, CheckpointStatistics
from webapp.ensembles import selectors as ensembles
from webapp.heads import selectors as heads
from webapp.htmx import PortalRequest
from webapp.jobs.selectors import error_sentence
from webapp.predictions import selectors as predictions


def detail(request: PortalRequest, checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's own page."""
    tags = list(checkpoint.tags.all())
    made_by = selectors.made_by(checkpoint, request.user)
    merged = made_by if isinstance(made_by, CheckpointImport) and made_by.is_merge else None
    return {
        "checkpoint": checkpoint,
        "judgement": merges.judgement(merged) if merged else None,
        "can_write": can_write(request.user, checkpoint.team),
        "tags": tags,
        "made_by": made_by,
        "merge_parents": merges.parents(merged) if merged else [],
        "merge_method": merges.METHODS[checkpoint.card["merge"]["method"]][0] if merged else "",
        "lineage": lineage(checkpoint, request.user),
        "stages": Checkpoint.Stage.choices,
        "changes": selectors.stage_changes(checkpoint),
        "also": selectors.also_in_production(checkpoint, request.user),
        **layers_context(request, checkpoint, request.GET.get("block", ""), start_of(request)),
        "trained": any(
            checkpoint.architecture in method.backbones for method in LOOP_METHODS.values()
        ),
        # None for an architecture that a newer version of the portal knew.
        "backbone": BACKBONES.get(checkpoint.architecture),
        "self_contained": checkpoint.architecture in SELF_CONTAINED,
        "model": config_of(checkpoint.config) if checkpoint.architecture in BACKBONES else None,
        "can_have_head": heads.can_have_head(checkpoint),
        "heads": heads.heads_of_checkpoint(request.user, checkpoint),
        "is_ensemble": ensembles.is_ensemble(checkpoint),
        "members": ensembles.members_of(checkpoint) if ensembles.is_ensemble(checkpoint) else [],
        "can_be_member": ensembles.as_classifier(checkpoint) is not None,
        "ensembles": ensembles.of_checkpoint(request.user, checkpoint),
        "predicts": predictions.model_of(checkpoint) is not None,
        "predictions": predictions.of_checkpoint(request.user, checkpoint),
        "python_class": selectors.python_class(checkpoint),
        "labels": [(name, CONTROL_TOKEN.format(name)) for name in selectors.labels_of(checkpoint)],
        "scores": selectors.scores(checkpoint),
        "settings": selectors.settings_of(checkpoint),
        "folder": downloads.filename(checkpoint),
        "files": sorted(checkpoint.manifest.items()),
        **_probe(checkpoint),
        "form": DescribeForm(
            initial={
                "name": checkpoint.name,
                "notes": checkpoint.notes,
                "tags": ", ".join(tag.name for tag in tags),
            }
        ),
    }


def _probe(checkpoint: Checkpoint) -> dict[str, Any]:
    """The job that compares a copy with its source, while there is no outcome."""
    job = None if checkpoint.probe else selectors.probe_job(checkpoint)
    return {} if job is None else {"probe_job": job, "probe_error": error_sentence(job)}


def layers_context(
    request: PortalRequest, checkpoint: Checkpoint, block: str, start: int
) -> dict[str, Any]:
    """The layer table with one block opened.

    Args:
        request: Who looks.
        checkpoint: Whose tensors.
        block: Name of the block that is open; unknown or empty: the first.
        start: The first of its rows that is shown.
    """
    found = layers.blocks(checkpoint)
    statistics = selectors.statistics_of(checkpoint)
    has_values = statistics is not None and bool(statistics.values)
    opened = next((one for one in found if one.name == block), found[0] if found else None)
    values = statistics.values if statistics is not None else {}
    return {
        "checkpoint": checkpoint,
        "blocks": found,
        "part": layers.part_of(opened, start, values) if opened is not None else None,
        "has_values": has_values,
        **statistics_context(request, checkpoint, statistics),
    }


def statistics_context(
    request: PortalRequest, checkpoint: Checkpoint, statistics: CheckpointStatistics | None
) -> dict[str, Any]:
    """The line that says what is known of the values, and who may ask for them."""
    job = statistics.job if statistics is not None else None
    return {
        "checkpoint": checkpoint,
        "statistics": statistics,
        "statistics_job": job,
        "statistics_error": error_sentence(job) if job is not None else "",
        "statistics_left_s": selectors.left_s(job) if job is not None else None,
        "can_write": can_write(request.user, checkpoint.team),
    }


def start_of(request: PortalRequest) -> int:
    """``?from=``, or 0."""
    text = request.GET.get("from", "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
