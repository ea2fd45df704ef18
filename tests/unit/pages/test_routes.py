"""Every route is closed to strangers unless PUBLIC_ROUTES names it."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from webapp.urls import PUBLIC_ROUTES

VALUES = {"uuid": uuid.UUID(int=0), "int": 1, "path": "x", "slug": "x", "str": "x"}
REST = "the-rest"


def _walk(
    patterns: list[URLPattern | URLResolver], spaces: list[str], converters: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for pattern in patterns:
        found = converters | dict(getattr(pattern.pattern, "converters", {}))
        groups = getattr(pattern.pattern.regex, "groupindex", {})
        found |= {name: None for name in groups if name not in found}
        if isinstance(pattern, URLResolver):
            space = [*spaces, pattern.namespace] if pattern.namespace else spaces
            yield from _walk(pattern.url_patterns, space, found)
        else:
            # The admin ends with a nameless route for all other addresses.
            yield ":".join([*spaces, pattern.name or REST]), found


ROUTES = sorted(
    dict(_walk(get_resolver().url_patterns, [], {})).items(),
    key=lambda item: item[0],
)


def _address(name: str, keys: dict[str, Any]) -> str:
    if name.endswith(REST):
        return "/admin/the/rest"
    values: dict[str, Any] = {"app_label": "accounts"} if "app_label" in keys else {}
    for key, converter in keys.items():
        kind = type(converter).__name__.removesuffix("Converter").lower() if converter else "str"
        values.setdefault(key, VALUES.get(kind, "x"))
    try:
        return reverse(name, kwargs=values)
    except NoReverseMatch:
        return reverse(name, kwargs=dict.fromkeys(values, "1"))


def test_the_walk_sees_the_routes_of_all_apps() -> None:
    spaces = {name.split(":")[0] for name, _keys in ROUTES}
    assert {"accounts", "datasets", "runs", "checkpoints", "playground", "admin", "home"} <= spaces
    assert any("rq" in name for name, _keys in ROUTES)


def test_each_public_route_exists() -> None:
    assert set(dict(ROUTES)) >= PUBLIC_ROUTES


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "keys"), ROUTES, ids=[name for name, _keys in ROUTES])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_is_sent_to_sign_in(
    client: Client, name: str, keys: dict[str, Any], method: str
) -> None:
    if name in PUBLIC_ROUTES:
        pytest.skip("public")
    answer = getattr(client, method)(_address(name, keys), follow=True)
    # The admin sends strangers to its own sign-in, which sends them on to ours.
    assert answer.redirect_chain, name
    assert answer.redirect_chain[-1][0].startswith(reverse("accounts:sign_in")), name


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(PUBLIC_ROUTES))
def test_a_public_route_answers(client: Client, name: str) -> None:
    answer = client.get(reverse(name))
    # A sign-in link without a token is refused on its own page; languages change by POST.
    assert answer.status_code in {200, 302, 403}
    assert "sign-in?next" not in answer.get("Location", "")
