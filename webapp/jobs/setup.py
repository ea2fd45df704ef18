"""What a start of the portal prepares: translations, tables, static files, the first team."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import sesame.utils
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse

from webapp.accounts.models import Team, User

FIRST_EMAIL = "admin@localhost"


def compile_translations() -> int:
    """Compile every catalogue that is older than its source; how many."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = 0
    for root in settings.LOCALE_PATHS:
        for source in Path(root).glob("*/LC_MESSAGES/*.po"):
            target = source.with_suffix(".mo")
            if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
                continue
            with source.open("rb") as file:
                catalogue = read_po(file)
            # Two portals may be started from one checkout at the same time.
            temporary = target.with_name(f"{target.stem}.{os.getpid()}.mo")
            with temporary.open("wb") as file:
                write_mo(file, catalogue)
            temporary.replace(target)
            compiled += 1
    return compiled


def migrate() -> None:
    """Bring the database's tables up to date."""
    call_command("migrate", verbosity=0, interactive=False)


def collect_static() -> bool:
    """Collect and compress static files when any of them changed; whether that was so."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    wanted = _static_state()
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    call_command("collectstatic", verbosity=0, interactive=False, clear=stamp.exists())
    stamp.write_text(wanted)
    return True


def _static_state() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@transaction.atomic
def first_people() -> User | None:
    """At the first start ever: a team, and its admin who may do everything; else None."""
    from webapp.accounts.services import team_create

    if User.objects.exists():
        return None
    user = User.objects.create_superuser(FIRST_EMAIL, name="Admin")
    team_create(name="My team", owner=user)
    return user


def load_samples(user: User) -> Any:
    """Load the sample data sets and queue the sample transfer.

    Returns:
        The run at work first, whose page leads on to the transfer that follows it.
    """
    from webapp.datasets.services import sample_data_load
    from webapp.runs.services import sample_transfer_create

    team = user.current_team or Team.objects.filter(memberships__user=user).first()
    assert team is not None
    sample_data_load(team=team, owner=user)
    transfer = sample_transfer_create(team=team, owner=user)
    source = transfer.source_run
    return source if source is not None and source.job.is_live else transfer


def administrator() -> User | None:
    """Who the sign-in link is for: the first superuser that may still sign in."""
    return User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()


def sign_in_link(user: User, base_url: str, next_path: str) -> str:
    """An address that signs this person in, once, and shows them a page."""
    query = {"token": sesame.utils.get_token(user)}
    if next_path:
        query["next"] = next_path
    return f"{base_url}{reverse('accounts:sign_in_link')}?{urlencode(query, safe='/')}"


def prepare(say: Callable[[str], None]) -> None:
    """Everything that must be there before the first process starts."""
    compile_translations()
    if not _has_tables():
        say("First start: making the database.")
    migrate()
    collect_static()


def _has_tables() -> bool:
    from django.db import connection

    return "accounts_user" in connection.introspection.table_names()
