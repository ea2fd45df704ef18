from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from tests.factories import Cast
from webapp import errors


def test_a_wrong_address_gets_a_kind_page(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    answer = client.get("/nothing/here")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_a_viewer_is_told_who_can_help(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    answer = client.get("/data/new")
    assert answer.status_code == 403
    assert "ask an admin of the team" in answer.content.decode()


def test_a_stale_form_is_explained(cast: Cast) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.alice)
    answer = strict.post("/data/samples")
    assert answer.status_code == 403
    assert "This page was open for too long" in answer.content.decode()


def test_a_stranger_with_a_stale_form_is_not_shown_the_navigation(db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post("/account/sign-in", {"email": "a@b.c"})
    assert answer.status_code == 403
    assert "portal-nav" not in answer.content.decode()


def test_a_request_that_makes_no_sense_gets_a_page(cast: Cast, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = cast.alice
    assert errors.bad_request(request, ValueError()).status_code == 400


def test_the_page_for_our_own_faults_leans_on_nothing() -> None:
    page = render_to_string("500.html")
    assert "Something went wrong inside Graft" in page
    assert "Graft 内部出错了" in page


def test_pages_carry_a_strict_policy(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    answer = client.get("/")
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert " style=" not in answer.content.decode()
