"""What people and jobs do with checkpoints: make, import, copy, merge, describe, promote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models.functions import Now

from training.backbones.contract import BackboneConfig
from training.backbones.registry import config_of
from training.command_specs import CopySpec, ImportSpec, MergeSpec, ProbeSpec, StatisticsSpec
from training.spec import SourceSpec, TokenizerSpec
from training.weights.plan_settings import PlanSettings
from training.weights.tasks import task_of
from webapp import storage
from webapp.accounts import audit
from webapp.accounts.models import Tag, Team, User
from webapp.checkpoints.errors import StageMoved
from webapp.checkpoints.models import (
    Checkpoint,
    CheckpointImport,
    CheckpointStatistics,
    StageChange,
    TransferPlan,
)
from webapp.checkpoints.uploads import UploadedFiles, clean_path
from webapp.datasets.models import DatasetVersion, Upload
from webapp.datasets.services import upload_take
from webapp.jobs.models import Job, State
from webapp.jobs.services import job_create, job_retry
from webapp.runs import references


def checkpoint_create(
    *,
    name: str,
    origin: str,
    team: Team,
    owner: User,
    job: Job | None,
    folder_manifest: Mapping[str, Mapping[str, Any]],
    card: Mapping[str, Any],
    config: Mapping[str, Any],
    tensors: Iterable[Mapping[str, Any]],
    scores: Mapping[str, Any],
    parents: Iterable[Checkpoint] = (),
    dataset_version: DatasetVersion | None = None,
) -> Checkpoint:
    """Make the row of a checkpoint whose files are in the store; inside the caller's transaction.

    The same weights from the same job once more give the row that is there already.

    Args:
        name: For people; cut to the column's width.
        origin: One of :class:`Checkpoint.Origin`.
        team: Whose it is.
        owner: Who asked for it.
        job: The job that made it.
        folder_manifest: ``{path: {blake3, size}}`` of every file.
        card: ``card.json``.
        config: The model as its configuration's fields.
        tensors: ``{name, dtype, shape}`` each, from the header.
        scores: ``{validation_loss: …}``.
        parents: The checkpoints whose weights it started from.
        dataset_version: What it was trained on.
    """
    weights_sha256 = str(card["weights_sha256"])
    if job is not None:
        known = Checkpoint.objects.filter(job=job, weights_sha256=weights_sha256).first()
        if known is not None:
            return known
    parameters = card.get("parameters") or config_of(config).parameter_count()
    architecture = str(card.get("architecture") or config.get("architecture", "gpt2"))
    checkpoint = Checkpoint.objects.create(
        name=name[:160],
        origin=origin,
        team=team,
        owner=owner,
        job=job,
        architecture=architecture,
        task=task_of(architecture, config),
        method=str(card.get("method") or "")[:40],
        config=dict(config),
        parameters=parameters,
        size=storage.manifest_size(folder_manifest),
        weights_sha256=weights_sha256,
        manifest={path: dict(entry) for path, entry in folder_manifest.items()},
        card=dict(card),
        tensors=[
            {"name": item["name"], "dtype": item["dtype"], "shape": list(item["shape"])}
            for item in tensors
        ],
        scores=dict(scores),
        dataset_version=dataset_version,
    )
    parents = list(parents)
    checkpoint.parents.set(parents)
    audit.record(
        "checkpoint.create",
        actor=owner,
        instance=checkpoint,
        origin=origin,
        weights_sha256=weights_sha256,
        parents=[str(parent.pk) for parent in parents],
    )
    return checkpoint


@transaction.atomic
def import_from_hub(
    *, name: str, repository: str, revision: str, endpoint: str, team: Team, owner: User
) -> CheckpointImport:
    """Queue the download of a model from the Hub or a mirror.

    Args:
        name: For the checkpoint; empty: the repository's.
        repository: ``owner/name`` or ``name``.
        revision: Branch, tag or commit.
        endpoint: Address of the Hub or its mirror; empty: the library's default.
        team: Whose the checkpoint will be.
        owner: Who asked.
    """
    spec = ImportSpec(kind="hub", repository=repository, revision=revision, endpoint=endpoint)
    job = job_create(kind="import_hub", spec=spec.model_dump(), team=team, owner=owner)
    return _on_its_way(
        name=name or repository.rsplit("/", 1)[-1],
        origin=Checkpoint.Origin.HUB,
        repository=repository,
        job=job,
    )


@transaction.atomic
def import_from_folder(
    *, name: str, files: UploadedFiles, team: Team, owner: User
) -> CheckpointImport:
    """Queue the reading of uploaded files.

    Args:
        name: For the checkpoint.
        files: The model's files, complete; the worker moves them into the store.
        team: Whose the checkpoint will be.
        owner: Who asked.
    """
    # The files are named on the import's row, and put in place by the worker.
    spec = ImportSpec(kind="folder", path="upload:")
    job = job_create(kind="import_folder", spec=spec.model_dump(), team=team, owner=owner)
    return _on_its_way(name=name, origin=Checkpoint.Origin.UPLOAD, manifest=files, job=job)


@transaction.atomic
def copy_start(
    *,
    name: str,
    source: Checkpoint,
    model: BackboneConfig,
    settings: PlanSettings,
    tokenizer: TokenizerSpec,
    seed: int,
    owner: User,
    base: Checkpoint | None = None,
) -> CheckpointImport:
    """Queue the copy of a checkpoint's weights into a new model, and the comparison of the two.

    Args:
        name: For the new checkpoint.
        source: Whose weights; it is not changed.
        model: The new model.
        settings: Of the plan.
        tokenizer: The new model's.
        seed: Decides the values of what is new.
        owner: Who asked.
        base: The checkpoint whose values stay where nothing is copied; ``model`` is its shape. It
            is not changed either.
    """
    spec = CopySpec(
        source=SourceSpec(checkpoint=references.write("checkpoint", source.pk)),
        model=None if base else model,
        base=references.write("checkpoint", base.pk) if base else "",
        settings=settings,
        tokenizer=tokenizer,
        seed=seed,
    )
    job = job_create(kind="copy", spec=spec.model_dump(), team=source.team, owner=owner)
    row = _on_its_way(name=name, origin=Checkpoint.Origin.COPIED, source=source, base=base, job=job)
    if (
        tokenizer.kind == "source"
        and model.architecture == source.architecture
        and model.vocabulary == source.config.get("vocab_size")
    ):
        probe = ProbeSpec(one=references.write("checkpoint", source.pk), other="copy:")
        row.probe_job = job_create(
            kind="probe", spec=probe.model_dump(), team=source.team, owner=owner, after=job
        )
        row.save(update_fields=["probe_job", "updated_at"])
    return row


@transaction.atomic
def plan_keep(
    *, name: str, source: Checkpoint, values: Mapping[str, Any], owner: User
) -> TransferPlan:
    """Keep what was typed for a copy.

    Args:
        name: For people.
        source: The checkpoint it was typed for; it fits others of its architecture.
        values: The form's fields as typed.
        owner: Who keeps it.
    """
    plan = TransferPlan.objects.create(
        name=name[:160],
        architecture=source.architecture,
        values=dict(values),
        team=source.team,
        owner=owner,
    )
    audit.record("plan.keep", actor=owner, instance=plan)
    return plan


@transaction.atomic
def plan_forget(*, plan: TransferPlan, actor: User) -> None:
    """Delete a kept plan."""
    audit.record("plan.forget", actor=actor, instance=plan)
    plan.delete()


@transaction.atomic
def merge_start(
    *, name: str, spec: MergeSpec, parents: Iterable[Checkpoint], team: Team, owner: User
) -> CheckpointImport:
    """Queue a merge; where it is judged by data it needs TensorFlow, and so another worker.

    Args:
        name: For the new checkpoint.
        spec: How, with checkpoints and data as references.
        parents: What it is made of, a base included.
        team: Whose it will be.
        owner: Who asked.
    """
    job = job_create(
        kind="merge",
        spec=spec.model_dump(),
        team=team,
        owner=owner,
        queue="train" if spec.evaluate is not None else None,
    )
    return _on_its_way(name=name, origin=Checkpoint.Origin.MERGED, merged=list(parents), job=job)


def _on_its_way(
    *, job: Job, origin: str, merged: Iterable[Checkpoint] = (), **fields: Any
) -> CheckpointImport:
    row = CheckpointImport.objects.create(
        job=job, team=job.team, owner=job.owner, origin=origin, **fields
    )
    row.merged.set(merged)
    audit.record(
        {
            Checkpoint.Origin.COPIED: "checkpoint.copy",
            Checkpoint.Origin.MERGED: "checkpoint.merge",
        }.get(Checkpoint.Origin(origin), "checkpoint.import"),
        actor=job.owner,
        instance=row,
        origin=origin,
        repository=row.repository,
    )
    return row


def take_files(*, files: Iterable[UploadedFile], team: Team, owner: User) -> list[Upload]:
    """Take files that came with a plain form, where no script could send them in pieces.

    Raises:
        UploadRefused: One is empty or too large, or there is no room for it.
    """
    return [upload_take(file=file, team=team, owner=owner) for file in files]


def files_of_uploads(uploads: Iterable[Upload]) -> UploadedFiles:
    """``{path in the chosen folder: {upload, size}}``."""
    return {
        clean_path(upload.relative_path) or upload.filename: {
            "upload": str(upload.pk),
            "size": upload.size,
        }
        for upload in uploads
    }


@transaction.atomic
def checkpoint_describe(
    *, checkpoint: Checkpoint, actor: User, name: str, notes: str, tags: Iterable[str]
) -> Checkpoint:
    """Change what people wrote about a checkpoint; its files never change.

    Args:
        checkpoint: Which.
        actor: Who.
        name: The new name.
        notes: Free text.
        tags: Words of the team's vocabulary; new ones are added to it.
    """
    wanted = [tag_named(checkpoint.team, word) for word in dict.fromkeys(tags)]
    checkpoint.name = name
    checkpoint.notes = notes
    checkpoint.save(update_fields=["name", "notes", "updated_at"])
    checkpoint.tags.set(wanted)
    audit.record(
        "checkpoint.describe",
        actor=actor,
        instance=checkpoint,
        tags=[tag.name for tag in wanted],
    )
    return checkpoint


@transaction.atomic
def checkpoint_promote(
    *, checkpoint: Checkpoint, actor: User, stage: str, seen: str, reason: str = ""
) -> None:
    """Put a checkpoint into a stage, and keep who did it; the same stage again changes nothing.

    Args:
        checkpoint: Which.
        actor: Who.
        stage: One of :class:`Checkpoint.Stage`.
        seen: The stage that the person saw: what somebody else did meanwhile is not overwritten.
        reason: In their words.

    Raises:
        StageMoved: It is in another stage than the person saw.
    """
    if stage == seen:
        return
    rows = Checkpoint.objects.filter(pk=checkpoint.pk, stage=seen)
    if not rows.update(stage=stage, updated_at=Now()):
        raise StageMoved
    checkpoint.refresh_from_db(fields=["stage", "updated_at"])
    StageChange.objects.create(
        checkpoint=checkpoint, actor=actor, before=seen, stage=stage, reason=reason
    )
    audit.record(
        "checkpoint.promote",
        actor=actor,
        instance=checkpoint,
        before=seen,
        stage=stage,
        reason=reason,
    )


@transaction.atomic
def statistics_start(*, checkpoint: Checkpoint, actor: User) -> CheckpointStatistics:
    """Queue the look at every value of a checkpoint's weights; once for the whole team.

    Asked for again it gives what is there or on its way; a job that failed or was cancelled is
    tried again.

    Args:
        checkpoint: Whose weights.
        actor: Who asks.
    """
    # Held until the transaction ends, so that two who ask at once start one job.
    Checkpoint.objects.select_for_update().only("pk").get(pk=checkpoint.pk)
    known = CheckpointStatistics.objects.filter(checkpoint=checkpoint).select_related("job").first()
    if known is not None:
        if known.job.state in {State.FAILED, State.CANCELLED}:
            job_retry(job=known.job, actor=actor)
        return known
    spec = StatisticsSpec(checkpoint=references.write("checkpoint", checkpoint.pk))
    job = job_create(kind="statistics", spec=spec.model_dump(), team=checkpoint.team, owner=actor)
    row = CheckpointStatistics.objects.create(
        checkpoint=checkpoint, job=job, team=checkpoint.team, owner=actor
    )
    audit.record("checkpoint.statistics", actor=actor, instance=checkpoint, job=str(job.pk))
    return row


def tag_named(team: Team, word: str) -> Tag:
    """The team's tag of that name, made when it is new."""
    return Tag.objects.get_or_create(team=team, name=word[:40])[0]
