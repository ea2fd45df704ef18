"""Hard parameter sharing over the columns of a table [0]: one trunk, a linear head for each task.

    h   = trunk(row)
    f_t = W_t h + b_t              logits of a target's classes, or a number in standard units

Where the weights of the tasks' losses are learned [1], a task has s_t = log σ_t² beside its head.

- [0] Caruana, 1997, "Multitask Learning", https://doi.org/10.1023/A:1007379606734
- [1] Kendall, Gal & Cipolla, 2018, https://arxiv.org/abs/1705.07115
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from training.backbones.contract import TensorSpec
from training.backbones.table_trunk.config import TableTrunkConfig
from training.errors import gettext_noop as _
from training.settings import field_error


class MultiTaskConfig(TableTrunkConfig):
    """Rows of each column's embedding, the widths of the layers, and the heads.

    Which target a head belongs to, and what its outputs mean, stands in the checkpoint's
    ``table.json`` (:mod:`training.data.table_tasks`).
    """

    architecture: Literal["multi_task"] = "multi_task"
    tasks: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]] = Field(
        default_factory=lambda: ["target"],
        min_length=1,
        title=_("Tasks"),
        description=_("What the heads' tensors are called by, the main one first."),
    )
    outputs: list[Annotated[int, Field(ge=1, le=100_000)]] = Field(
        default_factory=lambda: [2],
        title=_("Outputs"),
        description=_("Of each head: the classes, or one for a number."),
    )
    learned_weights: bool = Field(
        False,
        title=_("Learned weights"),
        description=_("Whether the logarithm of each task's noise is among the tensors."),
    )

    @model_validator(mode="after")
    def _consistent(self) -> MultiTaskConfig:
        if len(self.outputs) != len(self.tasks):
            raise field_error("one_output_a_task", "outputs", tasks=len(self.tasks))
        return self

    def tensors(self) -> list[TensorSpec]:
        found = self.trunk()
        for key, outputs in zip(self.tasks, self.outputs, strict=True):
            found += [
                self.head(f"task.{key}.weight", outputs),
                TensorSpec(f"task.{key}.bias", (outputs,), "zeros", block="head", axes=("label",)),
            ]
            if self.learned_weights:
                # σ = 1: every loss counts as it is until training says otherwise.
                found.append(TensorSpec(f"task.{key}.log_variance", (1,), "zeros", block="head"))
        return found

    def heads_of(self, keys: list[str]) -> list[str]:
        """Names of the tensors of these tasks."""
        starts = tuple(f"task.{key}." for key in keys)
        return [one.name for one in self.tensors() if starts and one.name.startswith(starts)]


PRESETS: dict[str, MultiTaskConfig] = {
    # Tables have as many rows as their columns have categories; this is a small one.
    "nano": MultiTaskConfig(
        pieces=[8, 8],
        categories=[6, 9],
        embeddings=[3, 4],
        hidden=[16, 8],
        tasks=["class", "amount"],
        outputs=[3, 1],
        learned_weights=True,
    ),
}
