"""The spec of a multi-task run, and what follows from it without data. Light.

:mod:`training.methods.task_related.multi_task` is the method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.table_trunk.config import TableTrunkConfig
from training.errors import gettext_noop as _
from training.estimate import Estimate, estimate_examples
from training.methods.task_related.table_spec import (
    TableColumnsSpec,
    TrunkSpec,
    require_source_s_own,
    without_source,
)
from training.settings import Settings, field_error
from training.spec import (
    SPEC_VERSION,
    BatchSize,
    DataSpec,
    DeviceSpec,
    LookSpec,
    OptimisationSpec,
    Seed,
    SourceSpec,
    Steps,
    WeightDecay,
)


class TaskSpec(Settings):
    """A target and the weight of its loss, written ``hours`` or ``hours = 0.5``."""

    target: str = Field(min_length=1)
    weight: float = Field(1.0, gt=0, le=1000)

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, equals, weight = value.rpartition("=")
        if not equals:
            return {"target": value.strip()}
        return {"target": name.strip(), "weight": weight.strip()}

    @model_serializer
    def _write(self) -> str:
        if self.weight == 1 and "=" not in self.target:
            return self.target
        return f"{self.target} = {self.weight:.12g}"


class MultiTaskTrainingSpec(OptimisationSpec):
    """How the weights are trained, and how much each task counts."""

    steps: Steps = 1500
    batch_size: BatchSize = 512
    learning_rate: float = Field(
        0.003,
        gt=0,
        le=1,
        title=_("Learning rate"),
        description=_("The peak, reached after the warm-up."),
    )
    warmup_steps: int = Field(
        50,
        ge=0,
        title=_("Warm-up steps"),
        description=_("Steps over which the learning rate rises from zero."),
    )
    weight_decay: WeightDecay = 0.05
    weighting: Literal["fixed", "uncertainty"] = Field(
        "fixed",
        title=_("Weights of the tasks"),
        description=_(
            "Those written beside the targets, or learned: each task's noise is a parameter, and "
            "the noisier a task is, the less it counts."
        ),
    )
    main_share: float = Field(
        0.5,
        ge=0,
        le=1,
        title=_("Rows of the main target"),
        description=_(
            "Where fewer of the training rows have a label of the main target, so large a share of "
            "each batch has one all the same; 0: rows as they come."
        ),
    )
    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        title=_("Dropout"),
        description=_("Share of activations dropped in training, in the network."),
    )


class MultiTaskSpec(Settings):
    """One run, complete: two processes given equal specs produce equal curves on a CPU."""

    version: Literal[1] = SPEC_VERSION
    method: Literal["multi_task"] = "multi_task"
    seed: Seed = 0
    data: DataSpec
    tasks: list[TaskSpec] = Field(
        default_factory=list,
        max_length=20,
        title=_("Targets"),
        description=_(
            "One a line, the main one first, by which the run is judged; a weight may follow: "
            "hours = 0.5. Empty: all of the table's targets, in its order."
        ),
    )
    only_main: bool = Field(
        False,
        title=_("Only the main target"),
        description=_("Leave the others out: what they are worth shows against such a run."),
    )
    #: With a source, or a checkpoint that it is like, columns and network are its own.
    features: TableColumnsSpec = Field(default_factory=TableColumnsSpec)
    network: TrunkSpec = Field(default_factory=TrunkSpec)
    source: SourceSpec | None = None
    training: MultiTaskTrainingSpec = Field(default_factory=MultiTaskTrainingSpec)
    evaluation: LookSpec = Field(default_factory=LookSpec)
    devices: DeviceSpec = Field(default_factory=DeviceSpec)

    @model_validator(mode="after")
    def _consistent(self) -> MultiTaskSpec:
        names = [one.target for one in self.tasks]
        for number, one in enumerate(self.tasks):
            if one.target in names[:number]:
                raise field_error("task_twice", f"tasks.{number}", target=one.target)
            if one.weight != 1 and self.training.weighting == "uncertainty":
                raise field_error("task_weights_are_learned", f"tasks.{number}")
        require_source_s_own(self.features, self.network, self.source is not None)
        return self

    @property
    def targets(self) -> list[str]:
        """Names of the targets, as far as they are said."""
        return [one.target for one in self.tasks]

    def weight_of(self, target: str) -> float:
        """The fixed weight of a target's loss."""
        return next((one.weight for one in self.tasks if one.target == target), 1.0)


def scratch_twin(spec: MultiTaskSpec, source: Any) -> MultiTaskSpec:
    """The same data, seed, steps, columns, network and tasks, but random weights.

    Raises:
        ValueError: When the spec has no source.
    """
    return MultiTaskSpec.model_validate(without_source(spec))


def single_task_twin(spec: MultiTaskSpec) -> MultiTaskSpec | None:
    """The same data, seed, steps, columns and network, but the main target alone.

    Rows that have a label of another target only are left out with those. None: it is alone.
    """
    if spec.only_main or len(spec.tasks) == 1:
        return None
    plain = spec.training.model_copy(update={"weighting": "fixed"})
    return spec.model_copy(update={"only_main": True, "training": plain})


def config_of_tasks(
    trunk: TableTrunkConfig | dict[str, Any],
    tasks: Sequence[tuple[str, int]],
    *,
    learned: bool,
) -> MultiTaskConfig:
    """The model on a trunk.

    Args:
        trunk: Whose columns and layers, or the fields themselves.
        tasks: Key and outputs of each.
        learned: Whether the weights of their losses are.
    """
    fields = trunk if isinstance(trunk, dict) else trunk.model_dump()
    own = set(TableTrunkConfig.model_fields) - {"architecture"}
    return MultiTaskConfig(
        **{name: value for name, value in fields.items() if name in own},
        tasks=[key for key, _outputs in tasks],
        outputs=[outputs for _key, outputs in tasks],
        learned_weights=learned,
    )


def estimate_run(
    spec: MultiTaskSpec, config: TableTrunkConfig, examples_per_s: float | None = None
) -> Estimate:
    """What a run will take; see :func:`training.estimate.estimate_examples`."""
    count = config.parameter_count()
    return estimate_examples(
        spec.training,
        parameters=count,
        trainable=count,
        slots=2 * count,
        weights=count,
        examples_per_s=examples_per_s,
    )
