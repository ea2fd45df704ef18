"""The diagram of a job's states, written from the table that the code obeys."""

from __future__ import annotations

from webapp.jobs.models import ENDED, TRANSITIONS, State

BEGIN = "<!-- Made by `manage.py job_states_diagram --write`; a test holds it to the code. -->"
END = "<!-- End of what is made. -->"

#: What leads from one state to another; every edge of TRANSITIONS has its words.
CAUSES: dict[tuple[State, State], str] = {
    (State.WAITING, State.QUEUED): "all it waits for succeeded",
    (State.WAITING, State.FAILED): "one it waits for did not",
    (State.WAITING, State.CANCELLED): "a person cancels",
    (State.QUEUED, State.RUNNING): "a worker claims it",
    (State.QUEUED, State.PAUSED): "a person pauses",
    (State.QUEUED, State.CANCELLED): "a person cancels",
    (State.RUNNING, State.QUEUED): "crash, lost worker, or worker asked to leave",
    (State.RUNNING, State.PAUSED): "a person paused; the state is saved",
    (State.RUNNING, State.SUCCEEDED): "exit code 0, results stored",
    (State.RUNNING, State.FAILED): "refused, or five crashes without getting further",
    (State.RUNNING, State.CANCELLED): "a person cancelled; the process has ended",
    (State.PAUSED, State.QUEUED): "a person resumes",
    (State.PAUSED, State.CANCELLED): "a person cancels",
    (State.FAILED, State.QUEUED): "a person tries again",
    (State.FAILED, State.WAITING): "tried again, with what it waits for",
    (State.CANCELLED, State.QUEUED): "a person tries again",
    (State.CANCELLED, State.WAITING): "tried again, with what it waits for",
}


def mermaid() -> str:
    """The diagram in Mermaid's language, between its markers."""
    lines = ["stateDiagram-v2", "    [*] --> waiting: made, waits for others", "    [*] --> queued"]
    for source in State:
        for target in State:
            if target in TRANSITIONS[source]:
                lines.append(f"    {source} --> {target}: {CAUSES[source, target]}")
    lines += [f"    {state} --> [*]" for state in State if state in ENDED]
    return "\n".join([BEGIN, "```mermaid", *lines, "```", END])


def replaced(page: str) -> str:
    """The page with the diagram in it made anew.

    Raises:
        ValueError: It has no markers.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError("the page has no place for the diagram")
    return before + mermaid() + after
