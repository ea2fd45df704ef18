"""Sounds for a browser's player, which asks for them in parts.

Safari plays nothing from a server that cannot answer with a part, and no browser can jump within a
sound without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def playable(
    request: HttpRequest, content: bytes, content_type: str, headers: Mapping[str, str]
) -> HttpResponse:
    """The content, or the one part of it that ``Range`` asks for (RFC 9110, section 14).

    Args:
        request: May ask for a part; several parts, or what makes no sense, is answered as a whole.
        content: All of it.
        content_type: Its type.
        headers: Of the answer, beside those of the part.

    Returns:
        200, 206 with a part, or 416 where the part begins behind the end.
    """
    whole = {**headers, "Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or not any(match.groups()):
        return HttpResponse(content, content_type=content_type, headers=whole)
    size = len(content)
    first, last = match.groups()
    # ``-500`` asks for the last 500.
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or start > end:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    part = {"Content-Range": f"bytes {start}-{end}/{size}"}
    return HttpResponse(
        content[start : end + 1], status=206, content_type=content_type, headers=whole | part
    )
