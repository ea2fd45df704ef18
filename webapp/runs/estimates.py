"""What a run will take on the machines at hand: time from past runs, memory against the largest."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psutil
from django.conf import settings
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from training.backbones.contract import BackboneConfig
from training.backbones.generator_config import GeneratorConfig
from training.backbones.gpt2.config import GPT2Config
from training.backbones.registry import config_of
from training.backbones.table_trunk.config import TableTrunkConfig
from training.estimate import (
    Estimate,
    assumed_speed,
    estimate,
    flops_per_token,
)
from training.fine_tuning.settings import FineTuningSpec, estimate_run
from training.generative.settings import GenerativeSpec
from training.methods.registry import GENERATIVE_METHODS, LOOP_METHODS, SIAMESE_METHODS
from training.methods.task_related.multi_task_spec import MultiTaskSpec
from training.methods.task_related.wide_deep_spec import WideDeepSpec
from training.siamese import settings as siamese
from training.siamese.settings import SiameseSpec
from training.spec import LanguageModelSpec, trained_config
from webapp.accounts.models import Team
from webapp.jobs.models import State, Worker
from webapp.jobs.processes import host_of
from webapp.runs.dotted import at
from webapp.runs.models import Run

#: Past runs that the speed is looked for among.
PAST_RUNS = 20


#: What :class:`training.estimate.Estimate` calls the parts of the memory, for people.
MEMORY_PARTS: dict[str, Promise] = {
    "process": _("the process itself"),
    "weights": _("weights"),
    "gradients": _("gradients"),
    "optimizer": _("optimiser"),
    "best": _("best weights so far"),
    "activations": _("activations"),
    "logits": _("logits"),
}


@dataclass(frozen=True)
class Outlook:
    """An estimate beside what there is.

    Attributes:
        estimate: What the run takes.
        measured: Whether its time rests on past runs here, rather than on an assumption.
        memory_available: Bytes of the largest machine that could take it.
        at_least: Whether what the network computes on the way comes on top of the memory.
    """

    estimate: Estimate
    measured: bool
    memory_available: int
    at_least: bool = False

    @property
    def fits(self) -> bool:
        return self.estimate.memory_bytes <= self.memory_available

    @property
    def memory_parts(self) -> list[tuple[Promise, int]]:
        """Title and bytes of each part."""
        return [(MEMORY_PARTS[name], size) for name, size in self.estimate.memory.items()]

    @property
    def share(self) -> float:
        """Of the memory, 0..1 and beyond."""
        return self.estimate.memory_bytes / self.memory_available


def outlook(spec: Any, config: BackboneConfig, team: Team) -> Outlook:
    """Time and memory of a run before it starts."""
    return OUTLOOKS[spec.method](spec, config, team)


def _fine_tuning(spec: FineTuningSpec, config: BackboneConfig, team: Team) -> Outlook:
    # Steps of a frozen backbone take a third of the others' time.
    alike = ("training.policy", "training.lora", "inputs.image_px")
    rate = measured_examples_per_s(spec, config, team, alike)
    return Outlook(
        estimate=estimate_run(spec, config, rate),
        measured=rate is not None,
        memory_available=memory_available(),
        at_least=True,
    )


def _language_model(spec: LanguageModelSpec, config: GPT2Config, team: Team) -> Outlook:
    speed = measured_speed(spec, config, team)
    return Outlook(
        estimate=estimate(spec, config, speed or assumed_speed(os.cpu_count() or 1)),
        measured=speed is not None,
        memory_available=memory_available(),
    )


def _two_views(spec: SiameseSpec, config: BackboneConfig, team: Team) -> Outlook:
    rate = measured_examples_per_s(spec, config, team, ("views.image_px",))
    return Outlook(
        estimate=siamese.estimate_run(spec, config, rate),
        measured=rate is not None,
        memory_available=memory_available(),
        at_least=True,
    )


def _table(spec: WideDeepSpec | MultiTaskSpec, config: TableTrunkConfig, team: Team) -> Outlook:
    # How many rows its tables have shows only when the data are read.
    alike = ("data.path", "features", "network", "training.batch_size")
    rate = measured_examples_per_s(spec, config, team, alike, same_size=False)
    return Outlook(
        estimate=LOOP_METHODS[spec.method].estimate(spec, config, rate),
        measured=rate is not None,
        memory_available=memory_available(),
        at_least=True,
    )


def _generator(spec: GenerativeSpec, config: GeneratorConfig, team: Team) -> Outlook:
    alike = ("objective.r1", "training.batch_size")
    rate = measured_examples_per_s(spec, config, team, alike)
    estimate_run = GENERATIVE_METHODS[spec.method].estimate
    return Outlook(
        estimate=estimate_run(spec, config, rate),
        measured=rate is not None,
        memory_available=memory_available(),
        at_least=True,
    )


OUTLOOKS: dict[str, Callable[[Any, Any, Team], Outlook]] = {
    "causal_lm": _language_model,
    "conditional_lm": _language_model,
    "classification": _fine_tuning,
    "regression": _fine_tuning,
    "token_classification": _fine_tuning,
    "wide_deep": _table,
    "multi_task": _table,
    **dict.fromkeys(SIAMESE_METHODS, _two_views),
    **dict.fromkeys(GENERATIVE_METHODS, _generator),
}


def measured_examples_per_s(
    spec: Any,
    config: BackboneConfig,
    team: Team,
    alike: tuple[str, ...],
    *,
    same_size: bool = True,
) -> float | None:
    """Examples a second of the newest past run that trained the same network alike; else None.

    Args:
        spec: The run.
        config: Its network.
        team: Whose runs.
        alike: Dotted paths of the settings that decide how long an example takes.
        same_size: Whether the past run's model must have as many parameters.
    """

    def told(settings: Mapping[str, Any]) -> list[Any]:
        return [at(settings, path) for path in alike]

    wanted = (config.parameter_count(), told(spec.model_dump(mode="json")))
    past = (
        Run.objects.filter(team=team, method=spec.method, job__state=State.SUCCEEDED)
        .filter(checkpoint__architecture=config.architecture)
        .select_related("job", "checkpoint")
        .only("job__spec", "job__report", "checkpoint__config")
        .order_by("-created_at")[:PAST_RUNS]
    )
    for run in past:
        report = run.job.report
        assert run.checkpoint is not None
        size = config_of(run.checkpoint.config).parameter_count() if same_size else wanted[0]
        if (size, told(run.job.spec)) != wanted:
            continue
        if report.get("duration_s") and report.get("tokens"):
            return _examples(run, report) / float(report["duration_s"])
    return None


def measured_speed(spec: LanguageModelSpec, config: GPT2Config, team: Team) -> float | None:
    """FLOP/s of the past run whose model is nearest in size; small ones never reach the peak."""
    wanted = math.log(flops_per_token(config, spec.training.sequence_length))
    best: tuple[float, float] | None = None
    past = (
        Run.objects.filter(team=team, method=spec.method, job__state=State.SUCCEEDED)
        .filter(checkpoint__isnull=False)
        .select_related("job", "checkpoint")
        .only("job__spec", "job__report", "checkpoint__config")
        .order_by("-created_at")[:PAST_RUNS]
    )
    for run in past:
        seconds = run.job.report.get("duration_s")
        if not seconds or run.checkpoint is None:
            continue
        try:
            old_spec = type(spec).model_validate(run.job.spec)
            old_config = trained_config(run.checkpoint.config)
        except ValueError:  # a spec of another version
            continue
        work = estimate(old_spec, old_config).flops
        per_token = flops_per_token(old_config, old_spec.training.sequence_length)
        distance = abs(math.log(per_token) - wanted)
        if best is None or distance < best[0]:
            best = distance, work / seconds
    return best[1] if best else None


def living_workers() -> list[Worker]:
    """Workers heard of lately, by host."""
    since = Now() - timedelta(seconds=4 * settings.LEASE_S)
    return list(Worker.objects.filter(seen_at__gt=since).order_by("host", "name"))


def memory_available() -> int:
    """Bytes of the largest host with a worker; of this machine while none has been heard of."""
    known = [worker.memory_bytes for worker in living_workers() if worker.memory_bytes]
    return max(known) if known else int(psutil.virtual_memory().total)


@dataclass(frozen=True)
class Host:
    """A machine that trains.

    Attributes:
        name: Its name.
        queues: What its workers serve.
        processors: How many.
        memory_bytes: How much.
        gpus: ``{index, name, memory_bytes}`` each.
    """

    name: str
    queues: list[str]
    processors: int
    memory_bytes: int
    gpus: list[dict[str, object]]


def hosts() -> list[Host]:
    """Every machine with a living worker that trains."""
    found: dict[str, Host] = {}
    for worker in living_workers():
        queues = [queue for queue in worker.queues if queue in {"cpu", "gpu"}]
        if not queues:
            continue
        before = found.get(worker.host)
        gpus = list(worker.gpus) + (before.gpus if before else [])
        found[worker.host] = Host(
            name=host_of(worker.host),
            queues=sorted({*queues, *(before.queues if before else [])}),
            processors=worker.processors,
            memory_bytes=worker.memory_bytes,
            gpus=sorted(
                {str(gpu.get("index")): gpu for gpu in gpus}.values(),
                key=lambda gpu: str(gpu.get("index")),
            ),
        )
    return list(found.values())


def _examples(run: Run, report: Mapping[str, Any]) -> float:
    """How many examples a run has seen; of sentences their words are counted."""
    if report.get("counts") != "words":
        return float(report["tokens"])
    training = run.job.spec["training"]
    return float(report["steps"] * training["batch_size"] * training["accumulation"])
