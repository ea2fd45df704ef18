"""What people do in the playground: ask, ask again, stop."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from training.command_specs import GenerateSpec
from webapp.accounts import audit
from webapp.accounts.models import Team, User
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import labels_of
from webapp.jobs.errors import IllegalTransition
from webapp.jobs.services import job_cancel, job_create
from webapp.playground.models import Generation
from webapp.runs import references


@transaction.atomic
def generation_start(
    *, checkpoints: Iterable[Checkpoint], settings: dict[str, Any], team: Team, owner: User
) -> uuid.UUID:
    """Ask one checkpoint, or several side by side, to go on from a prompt.

    Args:
        checkpoints: Whom.
        settings: :class:`GenerateSpec` without the checkpoint. One that does not know the label
            writes without.
        team: Whose the texts will be.
        owner: Who asks.

    Returns:
        The group: what the page's address names.

    Raises:
        pydantic.ValidationError: The settings are not valid.
    """
    group = uuid.uuid4()
    for checkpoint in checkpoints:
        known = settings.get("label") in labels_of(checkpoint)
        own = settings if known else {**settings, "label": ""}
        spec = GenerateSpec(checkpoint=references.write("checkpoint", checkpoint.pk), **own)
        frozen = spec.model_dump()
        job = job_create(kind="generate", spec=frozen, team=team, owner=owner)
        generation = Generation.objects.create(
            checkpoint=checkpoint,
            job=job,
            group=group,
            settings={key: value for key, value in frozen.items() if key != "checkpoint"},
            team=team,
            owner=owner,
        )
        audit.record(
            "generation.create",
            actor=owner,
            instance=generation,
            checkpoint=str(checkpoint.pk),
            group=str(group),
        )
    return group


def generation_again(*, generations: list[Generation], owner: User) -> uuid.UUID:
    """The same request with a new seed."""
    first = generations[0]
    settings = {key: value for key, value in first.settings.items() if key != "version"}
    # Few digits, so that people can say the seed.
    seed = first.settings.get("seed")
    while seed == first.settings.get("seed"):
        seed = secrets.randbelow(100_000)
    return generation_start(
        checkpoints=[generation.checkpoint for generation in generations],
        settings=settings | {"seed": seed},
        team=first.team,
        owner=owner,
    )


@transaction.atomic
def generation_stop(*, generations: Iterable[Generation], actor: User) -> None:
    """Stop those that still write; what is written stays."""
    for generation in generations:
        try:
            with transaction.atomic():
                job_cancel(job=generation.job, actor=actor)
        except IllegalTransition:  # it came to its end meanwhile
            continue
