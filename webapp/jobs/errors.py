"""What can go wrong with a job beside the engine's own refusals."""

from __future__ import annotations

from training.errors import MESSAGES as ENGINE_MESSAGES
from training.errors import gettext_noop as _

#: Refusals of the portal; the engine's stand in training.errors.
PORTAL_MESSAGES: dict[str, str] = {
    "crashed": _(
        "The process ended without a word %(crashes)s times in a row (%(reason)s). The last lines "
        "of its log: %(tail)s"
    ),
    "lost": _(
        "The worker went away %(crashes)s times in a row without getting further. Look whether its "
        "machine has enough memory, then try again."
    ),
    "predecessor_failed": _("The job that this one waited for did not succeed."),
    "deadline": _("The job was stopped after %(hours)s hours, the time it was given."),
    "input_missing": _("A file that the job needs is not in the store any more (%(detail)s)."),
    "input_corrupt": _("A stored file has changed since it was stored (%(detail)s)."),
    "store_full": _(
        "The disk is full: the files could not be stored. Free some space, then try again."
    ),
    "portal": _("The portal could not handle this job: %(detail)s"),
}

#: code → sentence with %-placeholders, of engine and portal.
MESSAGES: dict[str, str] = ENGINE_MESSAGES | PORTAL_MESSAGES


class JobError(Exception):
    """Base of what the services refuse."""


class IllegalTransition(JobError):
    """The job's state does not allow what was asked.

    Attributes:
        state: The state it is in.
        action: ``pause``, ``resume``, ``cancel`` or ``retry``.
    """

    def __init__(self, action: str, state: str) -> None:
        self.action, self.state = action, state
        super().__init__(f"a job that is {state} cannot {action}")


class JobRefused(Exception):
    """Raised by a kind's owner (``inputs``, ``collect``) to fail the job with a clear sentence.

    Args:
        code: Key of :data:`MESSAGES`.
        field: Dotted path of the spec's field at fault, if one is.
        params: Values of the sentence's placeholders; JSON types only.
    """

    def __init__(self, code: str, *, field: str = "", **params: object) -> None:
        self.code, self.field, self.params = code, field, params
        super().__init__(MESSAGES[code] % params)


class Fenced(Exception):
    """A write was refused: the job is no longer this attempt's."""
