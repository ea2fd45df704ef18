"""Conditional language modelling: predict each token from the text's class and those before it [0].

    loss = −(1/N) Σ log p(token_t | class, token_1 … token_{t−1})      over the N real tokens

A class is told by a token of its own at the head of every sequence. With Bayes' rule the same
model says of which class a text is:

    p(class | text) ∝ p(class) · Π p(token_t | class, token_1 … token_{t−1})

- [0] Keskar et al., 2019, "CTRL: A Conditional Transformer Language Model for Controllable
  Generation", https://arxiv.org/abs/1909.05858

Details people get wrong: every piece of a long text needs its label again; two texts packed into
one sequence let one class read another's; the control token is given and never predicted; text
that merely quotes a control token must not be able to switch the class.

``docs/methods/conditional_lm.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from training.backbones.gpt2.config import PRESETS
from training.control.blocks import LabelledBlocks
from training.data.labelled import Labelled, class_names, labelled_split, read_about
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.events import EventLog
from training.methods.contract import LoopMethod
from training.methods.self_supervised.causal_lm import (
    SPLITS,
    LoadedText,
    estimate_run,
    scratch_twin,
)
from training.methods.task_related.conditional_lm_spec import (
    LEAST_TEXTS,
    MOST_LABELS,
    ConditionalLMSpec,
)


class LoadedLabelledText(LoadedText):
    """The same with the texts' classes; see :class:`training.methods.contract.Loaded`.

    Attributes:
        names: The data's classes, the largest first.
        splits: Those that there are, by name.
        labelled: Their sequences.
    """

    spec: ConditionalLMSpec

    def __init__(
        self,
        spec: ConditionalLMSpec,
        out: Path,
        events: EventLog,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        super().__init__(spec, out, events, splits)
        end = self.tokenizer.end_of_text
        self.labelled = {
            name: LabelledBlocks.of(self.blocks[name], end, examples.labels)
            for name, examples in self.splits.items()
        }

    def read(self, dataset: Path, splits: Sequence[str]) -> None:
        about = read_about(dataset)
        if about["kind"] != "text":
            raise TrainingError("method_needs_labelled_texts", field="data.path")
        self.names = class_names(about)
        require_labels(len(self.names))
        self.splits: dict[str, Labelled] = {}
        for split in splits:
            examples = labelled_split(dataset, split, about)
            if examples is not None and len(examples):
                self.splits[split] = examples
        for place, name in enumerate(self.names):
            if "train" in self.splits:
                require_texts(name, int((self.splits["train"].labels == place).sum()))

    def complete(self, tokenizer: Tokenizer) -> Tokenizer:
        return tokenizer.with_control(self.names) if self.spec.control.given else tokenizer

    @property
    def cut(self) -> tuple[int, bool]:
        # One place is the label's.
        return self.spec.training.sequence_length - 1, False

    def usual_prompts(self, dataset: Path) -> list[str]:
        """The label alone begins a text."""
        return [""]

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        from training.methods.task_related.conditional_lm_task import ConditionalTextTask

        return ConditionalTextTask(self, compute_dtype, fused, strategy, events)


def require_labels(count: int) -> None:
    """Refuse one class alone, and too many.

    Raises:
        TrainingError: ``generate_one_class``, ``generate_too_many_classes``.
    """
    if count < 2:
        raise TrainingError("generate_one_class", field="data.path")
    if count > MOST_LABELS:
        raise TrainingError(
            "generate_too_many_classes", field="data.path", classes=count, most=MOST_LABELS
        )


def require_texts(name: str, count: int) -> None:
    """Refuse a class of which there is too little to learn from.

    Raises:
        TrainingError: ``generate_class_too_small``.
    """
    if count < LEAST_TEXTS:
        raise TrainingError(
            "generate_class_too_small",
            field="data.path",
            name=name,
            images=count,
            least=LEAST_TEXTS,
        )


def unlabelled_twin(spec: ConditionalLMSpec) -> ConditionalLMSpec | None:
    """The same without labels; None: it has none."""
    if not spec.control.given:
        return None
    control = spec.control.model_copy(update={"given": False})
    return spec.model_copy(update={"control": control})


METHOD: Final = LoopMethod(
    name="conditional_lm",
    family="task_related",
    title=_("Conditional language modelling"),
    summary=_(
        "Write text of a class: a token for each class tells the model of which class a text is."
    ),
    data=("labelled_text",),
    backbones=("gpt2", "gpt3"),
    settings=ConditionalLMSpec,
    example={
        "data": {"path": "DATASET"},
        "tokenizer": {"kind": "train"},
        "model": PRESETS["nano"].model_dump(),
    },
    checkpoints=("source.checkpoint", "tokenizer.checkpoint"),
    load=LoadedLabelledText,
    twin=scratch_twin,
    estimate=estimate_run,
    single=unlabelled_twin,
)
