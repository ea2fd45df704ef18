"""Reads about jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webapp.jobs.errors import MESSAGES
from webapp.jobs.models import Job, JobEvent

#: Kinds of events that are lines of a log, and how the ones without a text read.
LOG_KINDS: dict[str, Any] = {
    "log": "",
    "error": "",
    "started": _("Started on %(host)s."),
    "resumed": _("Resumed from step %(step)s."),
    "checkpoint": _("Saved at step %(step)s."),
    "stopped": _("Stopped at step %(step)s; the state is saved."),
    "finished": _("Finished."),
}


@dataclass(frozen=True)
class LogLine:
    """One line for people.

    Attributes:
        seq: Its event's number: what to ask for next.
        at: When.
        level: ``info``, ``warning`` or ``error``.
        text: In the reader's language where it is ours.
    """

    seq: int
    at: datetime
    level: str
    text: str


def sentence(code: str, params: dict[str, Any]) -> str:
    """The sentence of an error's code, in the reader's language."""
    template = MESSAGES.get(code)
    if template is None:
        return gettext("Something went wrong (%(code)s).") % {"code": code}
    try:
        return gettext(template) % params
    except (KeyError, TypeError, ValueError):  # an event from another version of the engine
        return gettext(template)


def error_sentence(job: Job) -> str:
    """Why the job failed, in the reader's language; empty when it did not."""
    return sentence(job.error_code, job.error_params) if job.error_code else ""


def log_lines(job: Job, after_seq: int = 0, limit: int = 500) -> list[LogLine]:
    """The log after a line, oldest first.

    Args:
        job: Whose.
        after_seq: The last line that the reader has; 0: from the start.
        limit: Most lines to return.
    """
    events = JobEvent.objects.filter(job=job, seq__gt=after_seq, kind__in=list(LOG_KINDS))
    # Training says twice that it starts: the process, then the model on its devices.
    events = events.exclude(kind="started", data__has_key="devices")
    return [_line(event) for event in events.order_by("seq")[:limit]]


def _line(event: JobEvent) -> LogLine:
    data = event.data
    if event.kind == "log":
        return LogLine(event.seq, event.at, data.get("level", "info"), data.get("text", ""))
    if event.kind == "error":
        text = sentence(data.get("code", ""), data.get("params") or {})
        return LogLine(event.seq, event.at, "error", text)
    values = {"step": event.step, "host": "?"} | data
    return LogLine(event.seq, event.at, "info", str(LOG_KINDS[event.kind]) % values)
