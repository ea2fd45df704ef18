"""What a test does in a data folder of its own: ``python -m tests.faults.actions ACTION JSON``."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.settings")

import django

django.setup()

from tests.factories.accounts import make_cast  # noqa: E402 - models need django.setup()
from webapp.accounts.models import Team, User  # noqa: E402
from webapp.jobs import services  # noqa: E402
from webapp.jobs.models import Job  # noqa: E402


def prepare() -> Any:
    """A fresh database with the cast in it."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    make_cast()


def create(kind: str, specs: list[dict[str, Any]]) -> Any:
    """Jobs of a kind, one a spec; their ids."""
    team, owner = Team.objects.get(name="Alpha"), User.objects.get(email="alice@example.org")
    return [
        str(services.job_create(kind=kind, spec=spec, team=team, owner=owner).pk) for spec in specs
    ]


def act(action: str, job: str) -> Any:
    """``pause``, ``resume``, ``cancel`` or ``retry``."""
    getattr(services, f"job_{action}")(job=Job.objects.get(pk=job), actor=None)


if __name__ == "__main__":
    arguments = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    result = {"prepare": prepare, "create": create, "act": act}[sys.argv[1]](**arguments)
    print(json.dumps(result))  # noqa: T201
