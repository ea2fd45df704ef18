import pytest
from django.template import Context, Template
from django.test import RequestFactory

from webapp.templatetags import graft


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (950, "950"), (1200, "1.2 k"), (1334016, "1.33 M"), (2.5e9, "2.5 G")],
)
def test_short_number(value: float | None, text: str) -> None:
    assert graft.short_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0:00"), (75, "1:15"), (4000, "1:06:40")]
)
def test_clock(value: float | None, text: str) -> None:
    assert graft.clock(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0 B"), (1536, "1.5 KiB"), (3 * 2**40, "3.0 TiB")]
)
def test_file_size(value: float | None, text: str) -> None:
    assert graft.file_size(value) == text


@pytest.mark.parametrize(
    ("person", "text"),
    [("Ada Lovelace", "AL"), ("李白", "李"), ("grace.hopper@example.org", "GH"), ("", "?")],
)
def test_initials(person: str, text: str) -> None:
    assert graft.initials(person) == text


def test_with_query_keeps_filters_and_drops_the_page(rf: RequestFactory) -> None:
    request = rf.get("/data/?q=moby&cursor=abc&sort=name")
    text = Template("{% with_query sort='' state='ready' %}").render(Context({"request": request}))
    assert text == "?q=moby&amp;state=ready"
