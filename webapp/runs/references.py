"""How a frozen spec names stored files: ``store:dataset/<id>``, ``store:checkpoint/<id>``,
``store:run/<id>`` (the checkpoint that the run will have made), ``store:head/<id>``."""

from __future__ import annotations

from uuid import UUID

PREFIX = "store:"
KINDS = frozenset({"dataset", "checkpoint", "run", "head"})


def write(kind: str, pk: UUID | str) -> str:
    """A reference to an object's files."""
    if kind not in KINDS:
        raise ValueError(kind)
    return f"{PREFIX}{kind}/{pk}"


def read(reference: str) -> tuple[str, UUID]:
    """Kind and id of a reference.

    Raises:
        ValueError: It is not one.
    """
    kind, _slash, pk = reference.removeprefix(PREFIX).partition("/")
    if not reference.startswith(PREFIX) or kind not in KINDS:
        raise ValueError(f"{reference!r} does not name a stored object")
    return kind, UUID(pk)
