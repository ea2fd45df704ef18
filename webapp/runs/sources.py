"""What a run can start from: a checkpoint, or another run, finished or still going."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from training.backbones.contract import BackboneConfig
from training.backbones.generator_config import GeneratorConfig
from training.backbones.gpt2.config import PRESETS
from training.backbones.registry import BACKBONES, config_of
from training.data.labelled import number_name, tag_names
from training.fine_tuning.settings import with_classes
from training.generative.settings import for_sounds, rows_of, with_rows
from training.methods.registry import GENERATIVE_METHODS, LOOP_METHODS, SIAMESE_METHODS
from training.methods.task_related.multi_task_spec import MultiTaskSpec
from training.methods.task_related.wide_deep_spec import WideDeepSpec
from training.siamese.settings import pooled_config
from training.weights.tasks import REGRESSION_OF, task_of
from webapp.accounts.models import Team
from webapp.checkpoints.models import Checkpoint
from webapp.jobs.models import ENDED, State
from webapp.runs import references, tables
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
    config: BackboneConfig
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

    @property
    def predicts_number(self) -> bool:
        """Whether its head says a number of each text or image."""
        task = task_of(self.config.architecture, self.config.model_dump())
        return task in REGRESSION_OF.values()

    @property
    def tags_words(self) -> bool:
        """Whether its head gives each word a tag."""
        task = task_of(self.config.architecture, self.config.model_dump())
        return task == "token_classification"

    @property
    def title(self) -> str:
        """What the architecture is called."""
        return BACKBONES[self.config.architecture].title


def source_of(reference: str, team: Team, method: str | None) -> Source | None:
    """The source that a reference names, when this team has it, it can still become one, and the
    method trains such (None: whatever it is)."""
    try:
        kind, pk = references.read(reference)
    except ValueError:
        return None
    if kind == "checkpoint":
        trained = LOOP_METHODS[method].backbones if method else list(BACKBONES)
        checkpoint = Checkpoint.objects.filter(team=team, pk=pk, architecture__in=trained).first()
        return of_checkpoint(checkpoint) if checkpoint else None
    if kind == "run":
        run = (
            Run.objects.filter(team=team, pk=pk)
            .select_related("job", "checkpoint", "source_checkpoint", "dataset_version__dataset")
            .first()
        )
        return _trained_by(method, of_run(run)) if run else None
    return None


def _trained_by(method: str | None, source: Source | None) -> Source | None:
    if method is None:
        return source
    known = source is not None and source.config.architecture in LOOP_METHODS[method].backbones
    return source if known else None


def of_checkpoint(checkpoint: Checkpoint) -> Source:
    return Source(
        reference=references.write("checkpoint", checkpoint.pk),
        name=checkpoint.name,
        config=config_of(checkpoint.config),
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


def run_config(run: Run) -> BackboneConfig:
    """The model that a run trains: its vocabulary as the engine will set it, or its classes.

    Raises:
        ValueError: Its source ended without a checkpoint.
    """
    spec = run.job.spec
    source = spec.get("source")
    if spec.get("model"):
        return MODELS[run.method](run, config_of(spec["model"]))
    if source is None and run.method in PLANNED:
        return PLANNED[run.method](run)
    known = source_of(source["checkpoint"], run.team, run.method) if source else None
    if known is None:
        raise ValueError("neither model nor source")
    return MODELS[run.method](run, known.config)


def _classifier(run: Run, config: BackboneConfig) -> BackboneConfig:
    labels = run.dataset_version.summary["labels"]["classes"]
    return with_classes(config, [str(one["name"]) for one in labels])


def _predictor(run: Run, config: BackboneConfig) -> BackboneConfig:
    return with_classes(config, [number_name(run.dataset_version.summary)])


def _tagger(run: Run, config: BackboneConfig) -> BackboneConfig:
    return with_classes(config, tag_names(run.dataset_version.summary), "token_classification")


def _language_model(run: Run, config: BackboneConfig) -> BackboneConfig:
    """As many rows as the tokenizer has tokens."""
    tokenizer = run.job.spec["tokenizer"]
    match tokenizer["kind"]:
        case "source" | "checkpoint":
            other = _tokenizer_owner(run)
            rows = other.config.vocabulary if other else config.vocabulary
        case "gpt2":
            rows = PRESETS["gpt2"].vocab_size
        case _:
            rows = int(tokenizer["vocabulary_size"])
    return config.model_copy(update={"vocab_size": rows})


def labels_of(source: Source | None) -> list[str]:
    """The classes that a language model's tokenizer has tokens for; none without one."""
    if source is None:
        return []
    if source.checkpoint is not None:
        return [str(name) for name in source.checkpoint.card.get("control") or ()]
    assert source.run is not None
    return run_labels(source.run)


def run_labels(run: Run) -> list[str]:
    """The classes that the tokenizer of a language model's run will have tokens for."""
    spec = run.job.spec
    known = labels_of(_tokenizer_owner(run))
    if not (spec.get("control") or {}).get("given"):
        return known
    names = [str(one["name"]) for one in run.dataset_version.summary["labels"]["classes"]]
    return known + [name for name in names if name not in known]


def _tokenizer_owner(run: Run) -> Source | None:
    """The model whose tokenizer a language model's run takes over; None: it is a new one."""
    spec = run.job.spec
    tokenizer = spec["tokenizer"]
    named = {"source": spec.get("source"), "checkpoint": tokenizer}.get(tokenizer["kind"])
    return source_of(named["checkpoint"], run.team, run.method) if named else None


def _conditional_language_model(run: Run, config: BackboneConfig) -> BackboneConfig:
    """The same, with a row for each class that has no token yet."""
    found = _language_model(run, config)
    new = len(run_labels(run)) - len(labels_of(_tokenizer_owner(run)))
    return found.model_copy(update={"vocab_size": (found.vocabulary or 0) + new})


def _backbone(run: Run, config: BackboneConfig) -> BackboneConfig:
    return pooled_config(config)


def _of_table(run: Run, config: BackboneConfig) -> BackboneConfig:
    """The source's, for the target's classes; rows for what is new are found by the run itself."""
    found = tables.classes(run.dataset_version, run.job.spec["target"])
    return config.model_copy(update={"num_classes": len(found)})


def _planned_for_table(run: Run) -> BackboneConfig:
    spec = WideDeepSpec.model_validate(run.job.spec)
    if like := spec.features.checkpoint:
        known = source_of(like, run.team, run.method)
        if known is None:
            raise ValueError("the model that it is like is gone")
        return _of_table(run, known.config)
    planned = tables.planned(run.dataset_version, spec)
    if planned is None:
        raise ValueError("nothing to tell apart")
    return planned


def _of_tasks(run: Run, config: BackboneConfig | None) -> BackboneConfig:
    """On the source's network, or on one that the data decide, with a head for each target."""
    spec = MultiTaskSpec.model_validate(run.job.spec)
    planned = tables.planned_tasks(run.dataset_version, spec, config)
    if planned is None:
        raise ValueError("nothing to predict")
    return planned


def _planned_for_tasks(run: Run) -> BackboneConfig:
    like = run.job.spec["features"]["checkpoint"]
    known = source_of(like, run.team, run.method) if like else None
    if like and known is None:
        raise ValueError("the model that it is like is gone")
    return _of_tasks(run, known.config if known else None)


#: Method → the model of a run that names none and has no source: what its data decide.
PLANNED: dict[str, Callable[[Run], BackboneConfig]] = {
    "wide_deep": _planned_for_table,
    "multi_task": _planned_for_tasks,
}


def classes_of(source: Source | None) -> list[str]:
    """The classes that a source has rows for, in their order; none without one."""
    if source is None:
        return []
    if source.checkpoint is not None:
        return [str(name) for name in source.checkpoint.card.get("classes") or ()]
    assert source.run is not None
    return run_classes(source.run)


def run_classes(run: Run) -> list[str]:
    """The classes of the rows that a run which makes images will have."""
    given = run.job.spec.get("source")
    source = source_of(given["checkpoint"], run.team, run.method) if given else None
    labels = (run.dataset_version.summary.get("labels") or {}).get("classes") or ()
    return rows_of(classes_of(source), [str(one["name"]) for one in labels])


def sound_of(source: Source | None) -> dict[str, Any] | None:
    """How a source's sounds are pictured; None where it makes images."""
    if source is None:
        return None
    about = source.checkpoint.card if source.checkpoint is not None else {}
    if source.run is not None:
        about = source.run.dataset_version.summary
    found: dict[str, Any] | None = about.get("sound")
    return found


def _generator(run: Run, config: BackboneConfig) -> BackboneConfig:
    assert isinstance(config, GeneratorConfig)
    sized = for_sounds(config, run.dataset_version.summary.get("sound"))
    return with_rows(sized, len(run_classes(run)))


#: Method → what it makes of the model that a run names, or that its source has.
MODELS = {
    "causal_lm": _language_model,
    "conditional_lm": _conditional_language_model,
    "classification": _classifier,
    "regression": _predictor,
    "token_classification": _tagger,
    "wide_deep": _of_table,
    "multi_task": _of_tasks,
    **dict.fromkeys(SIAMESE_METHODS, _backbone),
    **dict.fromkeys(GENERATIVE_METHODS, _generator),
}


def search(team: Team, words: str, method: str, limit: int = 12) -> list[Source]:
    """Checkpoints that a method trains, then runs on their way to one, whose names contain the
    words; newest first.

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
        Checkpoint.objects.filter(named, team=team, architecture__in=LOOP_METHODS[method].backbones)
        .exclude(stage=Checkpoint.Stage.ARCHIVED)
        .defer("card", "manifest")
    )
    found = [of_checkpoint(one) for one in checkpoints.order_by("-created_at")[:limit]]
    for run in runs.order_by("-created_at")[: limit - len(found)]:
        if (source := _trained_by(method, of_run(run))) is not None:
            found.append(source)
    return found
