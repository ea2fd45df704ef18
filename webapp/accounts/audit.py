"""The audit trail: one call, inside the transaction of the change."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from webapp.accounts.models import AuditEvent, Team, User


def record(
    action: str, *, actor: User | None, instance: Any, team: Team | None = None, **data: Any
) -> None:
    """Write who did what to which object.

    Args:
        action: ``run.create``, ``job.cancel``: object and verb.
        actor: The person; None for the portal itself.
        instance: The object changed.
        team: Its team, when it has no ``team`` attribute.
        data: What matters about the change, JSON types.

    Raises:
        TransactionManagementError: Outside a transaction: the row must live or die with the change.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("audit.record() outside a transaction")
    AuditEvent.objects.create(
        action=action,
        actor=actor,
        team=team or getattr(instance, "team", None),
        object_type=instance._meta.model_name,
        object_id=str(instance.pk),
        object_name=str(instance)[:200],
        data=data,
    )
