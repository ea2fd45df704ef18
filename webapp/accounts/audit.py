"""The audit trail: one call, inside the transaction of the change."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import AuditEvent, Team, User

#: What people read after the name of who did it; every action that :func:`record` is called with.
ACTIONS: dict[str, Any] = {
    "admin.change": _("changed it in the administration"),
    "admin.create": _("added it in the administration"),
    "admin.delete": _("deleted it in the administration"),
    "checkpoint.copy": _("copied weights into a new model"),
    "checkpoint.create": _("made the checkpoint"),
    "checkpoint.describe": _("changed name, notes or tags"),
    "checkpoint.export": _("exported the checkpoint"),
    "checkpoint.import": _("imported a model"),
    "checkpoint.merge": _("merged checkpoints"),
    "checkpoint.promote": _("put the checkpoint into another stage"),
    "checkpoint.push": _("sent the checkpoint to the Hub"),
    "checkpoint.statistics": _("had the values of its tensors worked out"),
    "dataset.check_again": _("had it checked again"),
    "dataset.check_cancel": _("cancelled the check"),
    "dataset.create": _("added the data"),
    "dataset.edit": _("changed name, description or origin"),
    "dataset.samples": _("loaded the sample data"),
    "dataset.version": _("added a version"),
    "ensemble.create": _("had an ensemble made"),
    "ensemble.judge": _("had an ensemble judged"),
    "generation.create": _("had a model write"),
    "head.create": _("had a head fitted"),
    "job.cancel": _("cancelled it"),
    "job.pause": _("paused it"),
    "job.resume": _("resumed it"),
    "job.retry": _("tried it again"),
    "link.used": _("signed in with a link"),
    "member.invite": _("invited a member"),
    "member.link": _("made a sign-in link for a member"),
    "member.remove": _("removed a member"),
    "member.role": _("changed a member's role"),
    "plan.forget": _("forgot a transfer plan"),
    "plan.keep": _("kept a transfer plan"),
    "prediction.create": _("asked for predictions"),
    "profile.password": _("changed the password"),
    "profile.update": _("changed the profile"),
    "run.create": _("started the run"),
    "run.describe": _("changed name, notes or tags"),
    "team.create": _("made the team"),
    "team.rename": _("renamed the team"),
    "team.switch": _("switched to the team"),
    "upload.create": _("began an upload"),
    "upload.discard": _("discarded an upload"),
}


def record(
    action: str,
    *,
    actor: User | None,
    instance: Any,
    team: Team | None = None,
    name: str = "",
    **data: Any,
) -> None:
    """Write who did what to which object.

    Args:
        action: ``run.create``, ``job.cancel``: object and verb; a key of :data:`ACTIONS`.
        actor: The person; None for the portal itself.
        instance: The object changed.
        team: Its team, when it has no ``team`` attribute.
        name: What people call it, when ``str()`` does not say so.
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
        object_name=(name or str(instance))[:200],
        data=data,
    )
