"""Writes about datasets, their versions, and uploads on their way in."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Max, TextField
from django.db.models.functions import Cast
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from training.data.prepare_spec import PrepareSpec
from webapp import storage
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import CheckpointImport
from webapp.datasets import uploads
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.datasets.samples import SAMPLES, Sample
from webapp.jobs import services as job_services
from webapp.jobs.models import Job

#: An upload that nobody used for so long is given up.
UPLOAD_KEPT = timedelta(days=7)


class UploadRefused(Exception):
    """An upload that cannot begin; the text is the sentence, ``status`` the HTTP answer."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


class SameContent(Exception):
    """This file with these settings is a version already."""

    def __init__(self, version: DatasetVersion) -> None:
        self.version = version
        super().__init__(f"same content as version {version.number}")


@dataclass(frozen=True)
class Raw:
    """An uploaded file as it came: in ``UPLOAD_DIR`` or, once a worker has seen it, in the store.

    Attributes:
        path: ``upload:<id>`` or ``store:<hash>``, what the spec says.
        filename: As it was called.
        size: Bytes.
        blake3: Empty until a worker found out, when the file is large.
    """

    path: str
    filename: str
    size: int
    blake3: str = ""


def disk_full_sentence() -> str:
    return _(
        "The server's disk is full. What arrived is kept; ask whoever runs the portal to free "
        "some space, then continue."
    )


# --- Uploads --------------------------------------------------------------------------------------


@transaction.atomic
def upload_create(
    *, filename: str, size: int, team: Team, owner: User, relative_path: str = ""
) -> Upload:
    """Begin an upload.

    Raises:
        UploadRefused: It is empty, too large, or there is no room for it.
    """
    name = PurePosixPath(filename.replace("\\", "/")).name or _("file without a name")
    if size <= 0 and not relative_path:
        raise UploadRefused(400, _("The file is empty. Choose a file with text in it."))
    if size > settings.UPLOAD_LIMIT:
        raise UploadRefused(
            413,
            _("The file is larger than %(limit)s, the most that this portal takes.")
            % {"limit": filesizeformat(settings.UPLOAD_LIMIT)},
        )
    folder = Path(settings.UPLOAD_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < size:
        raise UploadRefused(
            413,
            _("There is no room for %(size)s on the server's disk.")
            % {"size": filesizeformat(size)},
        )
    upload = Upload.objects.create(
        filename=name[:255], relative_path=relative_path[:500], size=size, team=team, owner=owner
    )
    uploads.begin(upload)
    audit.record("upload.create", actor=owner, instance=upload, size=size)
    return upload


def upload_take(*, file: UploadedFile, team: Team, owner: User) -> Upload:
    """Take a file that came with a plain form, where no script could send it in pieces.

    Raises:
        UploadRefused: As :func:`upload_create`.
    """
    size = file.size or 0
    upload = upload_create(filename=file.name or "", size=size, team=team, owner=owner)
    uploads.append(upload, 0, file.read, size)
    Upload.objects.filter(pk=upload.pk).update(received=size)
    upload.received = size
    return upload


@transaction.atomic
def upload_discard(*, upload: Upload, actor: User | None) -> bool:
    """Forget an upload that nothing uses; False when something does."""
    if upload.blake3 or _is_used(upload):
        return False
    audit.record("upload.discard", actor=actor, instance=upload)
    upload_id = upload.pk
    upload.delete()
    upload.pk = upload_id
    uploads.discard(upload)
    return True


def _is_used(upload: Upload) -> bool:
    """Whether a check reads it, or a model is imported from it."""
    if Job.objects.filter(kind="prepare", spec__path=f"upload:{upload.pk}").exists():
        return True
    imports = CheckpointImport.objects.annotate(text=Cast("manifest", TextField()))
    return imports.filter(text__contains=str(upload.pk)).exists()


def uploads_expire() -> int:
    """Discard what began to arrive a week ago and was never used; the number of them."""
    old = Upload.objects.filter(blake3="", updated_at__lt=timezone.now() - UPLOAD_KEPT)
    return sum(upload_discard(upload=upload, actor=None) for upload in old)


# --- Datasets -------------------------------------------------------------------------------------


def raw_of_upload(upload: Upload) -> Raw:
    """A complete upload, as a version's raw file."""
    return Raw(f"upload:{upload.pk}", upload.filename, upload.size, uploads.hash_if_small(upload))


def raw_of_version(version: DatasetVersion) -> Raw:
    """The raw file that a version was made from: it is kept, so nobody uploads it twice."""
    return Raw(version.job.spec["path"], version.filename, version.raw_size, version.raw_blake3)


@transaction.atomic
def dataset_create(
    *,
    name: str,
    description: str,
    origin: str,
    raw: Raw,
    spec: PrepareSpec,
    team: Team,
    owner: User,
    is_sample: bool = False,
) -> DatasetVersion:
    """Make a dataset and queue the check of its first version."""
    dataset = Dataset.objects.create(
        name=name,
        description=description,
        origin=origin,
        is_sample=is_sample,
        team=team,
        owner=owner,
    )
    audit.record("dataset.create", actor=owner, instance=dataset)
    return version_add(dataset=dataset, raw=raw, spec=spec, owner=owner)


@transaction.atomic
def dataset_edit(
    *, dataset: Dataset, name: str, description: str, origin: str, actor: User
) -> None:
    """Change what people read about a dataset; its versions stay as they are."""
    before = {"name": dataset.name, "description": dataset.description, "origin": dataset.origin}
    after = {"name": name, "description": description, "origin": origin}
    for field, value in after.items():
        setattr(dataset, field, value)
    dataset.save(update_fields=[*after, "updated_at"])
    changed = {
        field: [before[field], after[field]] for field in after if before[field] != after[field]
    }
    audit.record("dataset.edit", actor=actor, instance=dataset, changed=changed)


@transaction.atomic
def version_add(*, dataset: Dataset, raw: Raw, spec: PrepareSpec, owner: User) -> DatasetVersion:
    """Add a version and queue its check.

    Raises:
        SameContent: This file with these settings is a version already.
    """
    # Locked, or two uploads at once would get the same number.
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    if raw.blake3 and (same := _same(dataset, raw.blake3, spec)):
        raise SameContent(same)
    number = (dataset.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    job = _prepare(raw, spec, dataset.team, owner)
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=number,
        job=job,
        filename=raw.filename,
        raw_blake3=raw.blake3,
        raw_size=raw.size,
        team=dataset.team,
        owner=owner,
    )
    audit.record("dataset.version", actor=owner, instance=version, number=number)
    return version


@transaction.atomic
def version_check_again(
    *, version: DatasetVersion, spec: PrepareSpec, actor: User
) -> DatasetVersion:
    """Check a version's file again with other settings, without uploading it again.

    A version that failed gets a new job and keeps its number; from one that is ready, which runs
    may rest on, a new version is made.

    Raises:
        SameContent: These settings are a version already.
    """
    raw = raw_of_version(version)
    if version.is_ready or version.job.is_live:
        return version_add(dataset=version.dataset, raw=raw, spec=spec, owner=actor)
    version.job = _prepare(raw, spec, version.team, actor)
    version.save(update_fields=["job", "updated_at"])
    audit.record("dataset.check_again", actor=actor, instance=version)
    return version


@transaction.atomic
def version_cancel(*, version: DatasetVersion, actor: User) -> None:
    """Stop a check; the file stays, and can be checked again."""
    job_services.job_cancel(job=version.job, actor=actor)
    audit.record("dataset.check_cancel", actor=actor, instance=version)


@transaction.atomic
def sample_data_load(*, team: Team, owner: User) -> list[DatasetVersion]:
    """Make the sample datasets that the team does not have yet and queue their checks.

    Returns:
        A version of each: the English source, the English target, and the Chinese one.
    """
    versions = [_sample(sample, team, owner) for sample in SAMPLES]
    audit.record("dataset.samples", actor=owner, instance=team, team=team)
    return versions


def _sample(sample: Sample, team: Team, owner: User) -> DatasetVersion:
    found = (
        DatasetVersion.objects.filter(
            dataset__team=team, dataset__is_sample=True, filename=sample.filename
        )
        .order_by("number")
        .first()
    )
    if found is not None:
        return found
    stored = storage.store_file(sample.path)
    raw = Raw(f"store:{stored.blake3}", sample.filename, stored.size, stored.blake3)
    return dataset_create(
        name=_free_name(sample.name, team),
        description=sample.description,
        origin=sample.origin,
        raw=raw,
        spec=PrepareSpec(path=raw.path, filename=raw.filename, text_field="text"),
        team=team,
        owner=owner,
        is_sample=True,
    )


def _free_name(name: str, team: Team) -> str:
    """The name, or "name (2)" when a person has given it to something else."""
    taken = set(Dataset.objects.filter(team=team, name__startswith=name).values_list("name"))
    names = [name, *(f"{name} ({number})" for number in range(2, len(taken) + 3))]
    return next(candidate for candidate in names if (candidate,) not in taken)


def _prepare(raw: Raw, spec: PrepareSpec, team: Team, owner: User) -> Any:
    frozen = spec.model_copy(update={"path": raw.path, "filename": raw.filename})
    return job_services.job_create(
        kind="prepare", spec=frozen.model_dump(mode="json"), team=team, owner=owner
    )


def _same(dataset: Dataset, raw_blake3: str, spec: PrepareSpec) -> DatasetVersion | None:
    wanted = _settings(spec)
    versions = dataset.versions.filter(raw_blake3=raw_blake3).select_related("job")
    return next(
        (row for row in versions if _settings(PrepareSpec.model_validate(row.job.spec)) == wanted),
        None,
    )


def _settings(spec: PrepareSpec) -> dict[str, Any]:
    return spec.model_dump(exclude={"path", "filename"})
