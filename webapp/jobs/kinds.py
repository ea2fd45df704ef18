"""What the portal knows of each kind of job: its queue, its command, and who owns the outcome.

A plain dictionary. The functions live in the app that owns the objects (``webapp/<app>/jobs.py``)
and are named by dotted path, so that nothing is imported before it is needed and no app imports
in a circle.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    Attributes:
        command: ``python -m training COMMAND spec.json --out DIR``.
        queue: Default queue; ``train`` means "cpu or gpu, by the spec's devices".
        owner: Module with the functions below, all optional but ``finish``:
            ``inputs(job, spec: dict, folder: Path) -> dict`` puts the input files into ``folder``
            (from the store) and returns the spec with real paths;
            ``secrets(job) -> dict[str, str]`` gives what is put into the process's environment;
            ``ingest(job, events: list[dict]) -> None`` stores what belongs to the app, in the
            transaction that moves ``events_offset``;
            ``collect(job, out: Path) -> Any`` puts result files into the store, outside any
            transaction, safe to repeat;
            ``finish(job, collected) -> None`` makes the rows, in the transaction that marks the job
            succeeded;
            ``ended(job) -> None`` in the transaction that marks it failed or cancelled;
            ``name(job) -> str`` says what people call it, for the audit trail.
        network: Whether the training process may reach a network (the Hub, there and back).
        deadline_s: Seconds of one attempt after which the job fails; None: as long as it takes.
    """

    command: str
    queue: str
    owner: str
    network: bool = False
    deadline_s: float | None = None


KINDS: dict[str, Kind] = {
    "train": Kind("run", "train", "webapp.runs.jobs"),
    "prepare": Kind("prepare", "io", "webapp.datasets.jobs"),
    "import_folder": Kind("import", "io", "webapp.checkpoints.jobs"),
    "import_hub": Kind("import", "io", "webapp.checkpoints.jobs", network=True),
    "copy": Kind("transfer", "io", "webapp.checkpoints.jobs"),
    "probe": Kind("probe", "cpu", "webapp.checkpoints.probe_jobs"),
    "statistics": Kind("statistics", "io", "webapp.checkpoints.statistics_jobs"),
    "merge": Kind("merge", "io", "webapp.checkpoints.jobs"),
    # The processor even where there are GPUs: outputs are compared, and nothing is trained.
    "export": Kind("export", "cpu", "webapp.checkpoints.export_jobs"),
    "export_folder": Kind("export", "io", "webapp.checkpoints.export_jobs"),
    "push": Kind("push", "io", "webapp.checkpoints.push_jobs", network=True),
    "head": Kind("run", "train", "webapp.heads.jobs"),
    "ensemble": Kind("run", "train", "webapp.ensembles.jobs"),
    "predict": Kind("predict", "train", "webapp.predictions.jobs"),
    "generate": Kind("generate", "interactive", "webapp.playground.jobs", deadline_s=900),
}
