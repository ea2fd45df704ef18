from typing import Any

import pytest
from django.db import transaction

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from webapp.accounts.models import AuditEvent
from webapp.checkpoints import services
from webapp.checkpoints.models import Checkpoint


def _again(checkpoint: Checkpoint, **fields: Any) -> Checkpoint:
    values: dict[str, Any] = {
        "name": "Again",
        "origin": "trained",
        "team": checkpoint.team,
        "owner": checkpoint.owner,
        "job": checkpoint.job,
        "folder_manifest": checkpoint.manifest,
        "card": checkpoint.card,
        "config": checkpoint.config,
        "tensors": checkpoint.tensors,
        "scores": {},
    }
    with transaction.atomic():
        return services.checkpoint_create(**values | fields)


def test_the_same_weights_of_the_same_job_are_one_checkpoint(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    assert _again(checkpoint) == checkpoint
    assert Checkpoint.objects.count() == 1
    assert AuditEvent.objects.filter(action="checkpoint.create").count() == 1


def test_other_weights_of_the_same_job_are_another(cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    other = _again(checkpoint, card=checkpoint.card | {"weights_sha256": "0" * 64})
    assert other != checkpoint


def test_its_row_says_what_the_files_say(cast: Cast) -> None:
    parent = make_checkpoint(cast)
    checkpoint = make_checkpoint(cast, parents=[parent])
    assert checkpoint.size == sum(entry["size"] for entry in checkpoint.manifest.values())
    assert checkpoint.parameters == checkpoint.card["parameters"]
    assert list(checkpoint.parents.all()) == [parent]
    event = AuditEvent.objects.get(action="checkpoint.create", object_id=str(checkpoint.pk))
    assert event.data["parents"] == [str(parent.pk)]


def test_it_needs_a_transaction(cast: Cast, transactional_db: None) -> None:
    checkpoint = make_checkpoint(cast)
    with pytest.raises(transaction.TransactionManagementError):
        services.checkpoint_create(
            name="x",
            origin="trained",
            team=cast.team,
            owner=cast.alice,
            job=None,
            folder_manifest=checkpoint.manifest,
            card=checkpoint.card,
            config=checkpoint.config,
            tensors=[],
            scores={},
        )
