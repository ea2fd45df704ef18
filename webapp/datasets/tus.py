"""The tus 1.0 protocol (https://tus.io/protocols/resumable-upload): core, creation, termination.

A client asks for an upload, sends pieces, and after a cut asks how much arrived and goes on there.
"""

from __future__ import annotations

import base64
import binascii
import errno

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from webapp.accounts import permissions
from webapp.datasets import services, uploads
from webapp.datasets.models import Upload
from webapp.htmx import PortalRequest

VERSION = "1.0.0"
CHUNK_TYPE = "application/offset+octet-stream"


def _answer(status: int, text: str = "", **headers: str) -> HttpResponse:
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    response["Tus-Resumable"] = VERSION
    response["Cache-Control"] = "no-store"
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    return response


def _speaks(request: HttpRequest) -> bool:
    return request.headers.get("Tus-Resumable") == VERSION


def _metadata(header: str) -> dict[str, str]:
    """``key base64,key base64`` → texts; what is not readable is left out."""
    found = {}
    for pair in header.split(","):
        key, _space, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


@require_http_methods(["OPTIONS", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    if request.method == "OPTIONS":
        return _answer(
            204,
            Tus_Version=VERSION,
            Tus_Extension="creation,termination",
            Tus_Max_Size=str(settings.UPLOAD_LIMIT),
        )
    permissions.check_can_write(request.user, request.team)
    if request.team is None:
        raise PermissionDenied
    if not _speaks(request):
        return _answer(412, "Tus-Resumable", Tus_Version=VERSION)
    length = request.headers.get("Upload-Length", "")
    if not length.isascii() or not length.isdigit():
        return _answer(400, "Upload-Length")
    metadata = _metadata(request.headers.get("Upload-Metadata", ""))
    try:
        upload = services.upload_create(
            filename=metadata.get("filename", ""),
            relative_path=metadata.get("relativePath", ""),
            size=int(length),
            team=request.team,
            owner=request.user,
        )
    except services.UploadRefused as refused:
        return _answer(refused.status, str(refused))
    # Whoever brings new files makes room: what was given up a week ago goes.
    services.uploads_expire()
    return _answer(201, Location=reverse("datasets:upload", args=[upload.pk]), Upload_Offset="0")


def _own(request: PortalRequest) -> QuerySet[Upload]:
    """One's own uploads: a half-arrived file is nobody else's business, not even the team's."""
    rows: QuerySet[Upload] = Upload.objects.for_user(request.user).filter(owner=request.user)
    return rows


@require_http_methods(["HEAD", "PATCH", "DELETE"])
def upload(request: PortalRequest, pk: str) -> HttpResponse:
    row = get_object_or_404(_own(request), pk=pk)
    if request.method == "HEAD":
        return _answer(200, Upload_Offset=str(uploads.received(row)), Upload_Length=str(row.size))
    permissions.check_can_write(request.user, row.team)
    if not _speaks(request):
        return _answer(412, "Tus-Resumable", Tus_Version=VERSION)
    if request.method == "DELETE":
        if not services.upload_discard(upload=row, actor=request.user):
            return _answer(409, _("This file is in use and cannot be discarded."))
        return _answer(204)
    return _append(request, row)


def _append(request: PortalRequest, row: Upload) -> HttpResponse:
    if request.content_type != CHUNK_TYPE:
        return _answer(415, CHUNK_TYPE)
    offset = request.headers.get("Upload-Offset", "")
    if not offset.isascii() or not offset.isdigit():
        return _answer(400, "Upload-Offset")
    start = int(offset)
    coming = int(request.META.get("CONTENT_LENGTH") or 0)
    if start + coming > row.size:
        return _answer(413, _("More arrives than was announced."))
    if row.blake3:
        return _answer(409)
    try:
        end = uploads.append(row, start, request.read, coming)
    except uploads.WrongOffset:
        return _answer(409)
    except uploads.UploadBusy:
        return _answer(423)
    except FileNotFoundError:
        return _answer(410, _("What had arrived of this file is gone. Please start again."))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _answer(507, services.disk_full_sentence())
    Upload.objects.filter(pk=row.pk).update(received=end, updated_at=timezone.now())
    return _answer(204, Upload_Offset=str(end))
