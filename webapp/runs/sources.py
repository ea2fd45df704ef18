"""What a run can start from: a checkpoint, or another run, finished or still going."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.spec import TRAINED, trained_config
from webapp.accounts.models import Team
from webapp.checkpoints.models import Checkpoint
from webapp.jobs.models import ENDED, State
from webapp.runs import references
from webapp.runs.models import Run


@dataclass(frozen=True)
class Source:
    """One possible source.

    Attributes:
        reference: As in the spec, ``store:checkpoint/<id>``.
        name: For people.
        config: Its model.
        shapes: Its tensors' shapes by name.
        checkpoint: Set when it is there already.
        run: Set when it is what a run will make.
    """

    reference: str
    name: str
    config: GPT2Config
    shapes: dict[str, tuple[int, ...]]
    checkpoint: Checkpoint | None = None
    run: Run | None = None

    @property
    def key(self) -> str:
        """As a form's value: the reference without ``store:``."""
        return self.reference.removeprefix(references.PREFIX)

    @property
    def parameters(self) -> int:
        return self.config.parameter_count()


def source_of(reference: str, team: Team) -> Source | None:
    """The source that a reference names, when this team has it and it can still become one."""
    try:
        kind, pk = references.read(reference)
    except ValueError:
        return None
    if kind == "checkpoint":
        checkpoint = Checkpoint.objects.filter(team=team, pk=pk, architecture__in=TRAINED).first()
        return of_checkpoint(checkpoint) if checkpoint else None
    if kind == "run":
        run = (
            Run.objects.filter(team=team, pk=pk)
            .select_related("job", "checkpoint", "source_checkpoint", "dataset_version__dataset")
            .first()
        )
        return of_run(run) if run else None
    return None


def of_checkpoint(checkpoint: Checkpoint) -> Source:
    return Source(
        reference=references.write("checkpoint", checkpoint.pk),
        name=checkpoint.name,
        config=trained_config(checkpoint.config),
        shapes={item["name"]: tuple(item["shape"]) for item in checkpoint.tensors},
        checkpoint=checkpoint,
    )


def of_run(run: Run) -> Source | None:
    """What the run makes: its checkpoint once there, else what its spec promises."""
    if run.checkpoint is not None:
        return of_checkpoint(run.checkpoint)
    if run.job.state in ENDED:
        return None
    config = run_config(run)
    return Source(
        reference=references.write("run", run.pk),
        name=run.name,
        config=config,
        shapes={tensor.name: tensor.shape for tensor in config.tensors()},
        run=run,
    )


def run_config(run: Run) -> GPT2Config:
    """The model that a run trains, its vocabulary as the engine will set it."""
    return spec_config(run.job.spec, run.team)


def spec_config(spec: dict[str, Any], team: Team) -> GPT2Config:
    """The model of a spec: its own, or its source's; as many rows as the tokenizer has tokens."""
    tokenizer = spec["tokenizer"]
    source = spec.get("source")
    of_source = source_of(source["checkpoint"], team) if source else None
    if spec.get("model"):
        config = trained_config(spec["model"])
    elif of_source is not None:
        config = of_source.config
    else:
        raise ValueError("neither model nor source")
    match tokenizer["kind"]:
        case "source":
            rows = of_source.config.vocab_size if of_source else config.vocab_size
        case "checkpoint":
            other = source_of(tokenizer["checkpoint"], team)
            rows = other.config.vocab_size if other else config.vocab_size
        case "gpt2":
            rows = PRESETS["gpt2"].vocab_size
        case _:
            rows = int(tokenizer["vocabulary_size"])
    return config.model_copy(update={"vocab_size": rows})


def search(team: Team, words: str, limit: int = 12) -> list[Source]:
    """Checkpoints, then runs on their way to one, whose names contain the words; newest first.

    Archived checkpoints are left out: whoever wants one comes from its page.
    """
    named = Q()
    for word in words.split():
        named &= Q(name__icontains=word)
    runs = (
        Run.objects.filter(named, team=team, checkpoint=None)
        .exclude(job__state__in=[State.FAILED, State.CANCELLED, State.SUCCEEDED])
        .select_related("job", "source_checkpoint", "team", "dataset_version__dataset")
    )
    checkpoints = (
        Checkpoint.objects.filter(named, team=team, architecture__in=TRAINED)
        .exclude(stage=Checkpoint.Stage.ARCHIVED)
        .defer("card", "manifest")
    )
    found = [of_checkpoint(one) for one in checkpoints.order_by("-created_at")[:limit]]
    for run in runs.order_by("-created_at")[: limit - len(found)]:
        if (source := of_run(run)) is not None:
            found.append(source)
    return found
