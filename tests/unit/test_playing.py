"""A sound is answered whole or in the part that a player asks for."""

import pytest
from django.test import RequestFactory

from webapp.playing import playable

CONTENT = bytes(range(100))


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("", 200, CONTENT, None),
        ("bytes=0-", 206, CONTENT, "bytes 0-99/100"),
        ("bytes=0-1", 206, CONTENT[:2], "bytes 0-1/100"),
        ("bytes=90-200", 206, CONTENT[90:], "bytes 90-99/100"),
        ("bytes=-5", 206, CONTENT[-5:], "bytes 95-99/100"),
        ("bytes=-500", 206, CONTENT, "bytes 0-99/100"),
        ("bytes=100-", 416, b"", "bytes */100"),
        ("bytes=5-4", 416, b"", "bytes */100"),
        # Several parts, or what is no range: all of it.
        ("bytes=0-1,4-5", 200, CONTENT, None),
        ("bytes=-", 200, CONTENT, None),
        ("pages=1-2", 200, CONTENT, None),
        (f"bytes={'9' * 5000}-", 200, CONTENT, None),
    ],
)
def test_a_part_is_what_was_asked_for(asked: str, status: int, content: bytes, told: str) -> None:
    headers = {"Range": asked} if asked else {}
    request = RequestFactory().get("/", headers=headers)
    answer = playable(request, CONTENT, "audio/wav", {"Cache-Control": "private"})
    assert answer.status_code == status
    assert answer.content == content
    assert answer.headers.get("Content-Range") == told
    if status != 416:
        assert answer["Content-Type"] == "audio/wav"
        assert answer["Accept-Ranges"] == "bytes"
        assert answer["Cache-Control"] == "private"
