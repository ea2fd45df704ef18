"""From ``events.jsonl`` into the database: once each, in order, fenced, in short transactions."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.db.models.functions import Now

from training.events import read_events
from webapp.jobs.errors import Fenced
from webapp.jobs.models import Job, JobEvent, State
from webapp.jobs.transitions import call_owner

#: Kinds that become rows. ``progress`` and ``resources`` only change the job's own row; ``metric``
#: belongs to the owner.
KEPT = frozenset(
    {
        "started",
        "resumed",
        "phase",
        "sample",
        "sound",
        "weights",
        "checkpoint",
        "log",
        "stopped",
        "error",
        "finished",
    }
)
#: Kinds that a long or a chatty job has many of, and how many rows of each one job may have.
ROW_LIMIT = 5000
_MANY = frozenset({"phase", "sample", "sound", "checkpoint", "log"})
#: Kinds that belong to a step, and are void with it.
_OF_A_STEP = frozenset({"sample", "sound", "checkpoint"})
#: Events of one transaction; a long backlog takes several, so that others can write in between.
BATCH = 2000


class Reader:
    """Reads one job's event log on from where the row says.

    Args:
        job: The claimed job.
        folder: Its working directory on this host.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self.job = job
        self.path = folder / "events.jsonl"
        self.offset = job.events_offset
        #: The last event read; empty before the first.
        self.last: dict[str, Any] = {}
        self._rows = Counter(
            dict(JobEvent.objects.filter(job=job).values_list("kind").annotate(n=Count("pk")))
        )
        self._phase = ""
        # Events up to here come from earlier attempts: they prove nothing about this one.
        self._backlog = self.path.stat().st_size if self.path.exists() else 0
        self._marker = folder / "attempt"
        self._marked: int | None = None
        self._restart = self._is_another_log()
        if self._restart:
            self.offset = 0

    def _is_another_log(self) -> bool:
        """Whether the row tells of another file than the one in this folder.

        That is so when an attempt in between ran on another host, or the folder was removed. The
        file in the folder is complete in itself, so the row is then filled from it anew.
        """
        # Empty after a lost host: then nobody knows whose the file is, and it is read anew.
        told = self._marker.read_text() if self._marker.exists() else ""
        last_here = int(told) if told.isdecimal() else 0
        return last_here != self.job.attempt - 1 or self._backlog < self.job.events_offset

    def last_on_disk(self) -> dict[str, Any]:
        """The last event of the whole log; empty without one."""
        if not self.path.exists():
            return {}
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            start = max(0, size - (1 << 20))
            file.seek(start)
            start += file.read().rstrip(b"\n").rfind(b"\n") + 1
        events, _ = read_events(self.path, start)
        return events[-1] if events else {}

    def read(self, attempt: int) -> None:
        """Take in what is new.

        Raises:
            Fenced: The job is not this attempt's any more; nothing was written.
        """
        events, offset = read_events(self.path, self.offset)
        if self._restart:
            events = [{"v": 1, "seq": 0, "t": 0, "kind": "resumed", "step": -1}, *events]
        if not events:
            return
        fresh = self.offset >= self._backlog
        for start in range(0, len(events), BATCH):
            part = events[start : start + BATCH]
            is_last = start + BATCH >= len(events)
            # The offset moves with the last part; the parts before are ignored when they come
            # again, since rows and points are keyed.
            self._write(part, offset if is_last else self.offset, attempt, fresh)
            self._restart = False
        self._mark(attempt)
        self.offset = offset
        self.last = events[-1]

    def _mark(self, attempt: int) -> None:
        """Leave in the folder which attempt read last; whole, since a worker may be killed here."""
        if self._marked != attempt:
            temporary = self._marker.with_name(f"{self._marker.name}.new")
            temporary.write_text(str(attempt))
            temporary.replace(self._marker)
            self._marked = attempt

    def _write(self, events: list[dict[str, Any]], offset: int, attempt: int, fresh: bool) -> None:
        fields, rows, voided = self._sorted(events)
        if fresh and any(event["kind"] == "checkpoint" for event in events):
            fields["crashes"] = 0  # it got further than the last crash left it
        with transaction.atomic():
            changed = Job.objects.filter(
                pk=self.job.pk, attempt=attempt, state=State.RUNNING
            ).update(events_offset=offset, updated_at=Now(), **fields)
            if not changed:
                raise Fenced
            if self._restart:
                JobEvent.objects.filter(job=self.job).delete()
                self._rows.clear()
            if voided is not None:
                JobEvent.objects.filter(job=self.job, kind__in=_OF_A_STEP, step__gt=voided).delete()
            JobEvent.objects.bulk_create(rows, ignore_conflicts=True)
            call_owner(self.job, "ingest", events)
        self._rows.update(row.kind for row in rows)
        for name, value in fields.items():
            setattr(self.job, name, value)
        self.job.events_offset = offset

    def _sorted(
        self, events: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], list[JobEvent], int | None]:
        """What changes on the job's row, rows to add, and the step after which all is void."""
        fields: dict[str, Any] = {}
        live = dict(self.job.live)
        rows: list[JobEvent] = []
        voided: int | None = None
        for event in events:
            kind = event["kind"]
            data = {k: v for k, v in event.items() if k not in {"v", "seq", "t", "kind"}}
            if kind == "started":
                live |= data
                if data.get("total_steps"):
                    fields["total_steps"] = data["total_steps"]
            elif kind == "resumed":
                step = int(data["step"])
                voided = step if voided is None else min(voided, step)
                rows = [
                    row for row in rows if row.kind not in _OF_A_STEP or (row.step or 0) <= step
                ]
                fields["step"] = max(step, 0)
            elif kind == "phase":
                fields["phase"] = str(data.get("name") or "")[:30]
                live["detail"] = data.get("detail")
                if not (fields.get("total_steps") or self.job.total_steps):
                    fields["fraction"] = data.get("fraction")
            elif kind == "progress":
                live |= data
                fields["step"], fields["total_steps"] = data.get("step"), data.get("total_steps")
            elif kind == "resources":
                live |= data
            elif kind in ("checkpoint", "stopped") and data.get("step"):
                # Progress is told a few times a second only; what was saved is known to the step.
                fields["step"] = data["step"]
            if kind in KEPT and event["seq"] > 0 and self._keeps(kind, data):
                rows.append(
                    JobEvent(
                        job=self.job,
                        seq=event["seq"],
                        at=datetime.fromtimestamp(event["t"], UTC),
                        kind=kind,
                        step=data.get("step"),
                        data=data,
                    )
                )
        if live != self.job.live:
            fields["live"] = live
        total = fields.get("total_steps") or self.job.total_steps
        if total and fields.get("step") is not None:
            fields["fraction"] = min(1.0, fields["step"] / total)
        return fields, rows, voided

    def _keeps(self, kind: str, data: dict[str, Any]) -> bool:
        if kind == "phase":  # a row when the phase changes, not for each percent of it
            if data.get("name") == self._phase:
                return False
            self._phase = data.get("name") or ""
        return kind not in _MANY or self._rows[kind] < ROW_LIMIT
