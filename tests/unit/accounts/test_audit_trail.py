import ast
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client

from tests.factories import Cast, make_version
from tests.factories.runs import make_run
from webapp.accounts import audit
from webapp.accounts.models import AuditEvent
from webapp.jobs.models import State
from webapp.jobs.services import job_cancel, job_pause

URL = "/account/team/trail"


def _write(cast: Cast, count: int) -> None:
    with transaction.atomic():
        for number in range(count):
            audit.record(f"test.{number}", actor=cast.alice, instance=cast.team, team=cast.team)


def _recorded() -> set[str]:
    """The action of every call of audit.record() in the portal."""
    found = set()
    for path in Path(settings.BASE_DIR, "webapp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.record":
                choices = ast.walk(node.args[0])
                values = [one.value for one in choices if isinstance(one, ast.Constant)]
                found |= {str(value) for value in values}
    return found


def test_every_action_is_told_in_words() -> None:
    assert _recorded() == set(audit.ACTIONS)


def test_a_line_says_what_was_done(client: Client, cast: Cast) -> None:
    with transaction.atomic():
        audit.record(
            "team.rename",
            actor=cast.alice,
            instance=cast.team,
            team=cast.team,
            before="Old",
            weights_sha256="ab" * 32,
            parents=["one", "two"],
            new_account=True,
            twin=False,
        )
    client.force_login(cast.alice)
    page = client.get(URL).content.decode()
    assert "renamed the team" in page
    told = "before: Old · weights sha256: abababababab · parents: one, two · new account<"
    assert told in page


def test_a_job_has_the_name_of_what_it_makes(cast: Cast) -> None:
    version = make_version(cast, name="Whales", state=State.QUEUED)
    run = make_run(cast, name="From whales", state=State.QUEUED)
    job_pause(job=version.job, actor=cast.alice)
    job_cancel(job=run.job, actor=cast.alice)
    names = AuditEvent.objects.filter(action__startswith="job.").order_by("pk")
    assert list(names.values_list("object_name", flat=True)) == ["Whales v1", "From whales"]


def test_an_admin_reads_who_changed_what(client: Client, cast: Cast) -> None:
    _write(cast, 3)
    client.force_login(cast.alice)
    page = client.get(URL).content.decode()
    assert page.index("test.2") < page.index("test.1") < page.index("test.0")


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_others_may_not(client: Client, cast: Cast, who: str) -> None:
    client.force_login(getattr(cast, who))
    assert client.get(URL).status_code == 403


def test_other_teams_lines_are_not_there(client: Client, cast: Cast) -> None:
    with transaction.atomic():
        audit.record(
            "secret.act", actor=cast.mallory, instance=cast.other_team, team=cast.other_team
        )
    client.force_login(cast.alice)
    assert "secret.act" not in client.get(URL).content.decode()


def test_it_pages_by_key_at_a_constant_cost(
    client: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    _write(cast, 120)
    client.force_login(cast.alice)
    # Session, person, team, role, lines.
    with django_assert_num_queries(5):
        page = client.get(URL)
    older = page.context["page"].next
    second = client.get(URL, {"cursor": older}).content.decode()
    assert "test.69<" in second
    assert "test.70<" not in second


def test_a_line_lives_or_dies_with_its_change(transactional_db: None) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record("test.outside", actor=None, instance=AuditEvent())
