"""The form of a run that learns texts of classes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from training.backbones.gpt2.config import GPT2Config
from training.methods.task_related.conditional_lm_spec import LEAST_TEXTS, MOST_LABELS
from webapp.jobs.selectors import sentence
from webapp.runs.form_causal_lm import CausalLMForm
from webapp.runs.sources import labels_of


class ConditionalLMForm(CausalLMForm):
    """A model that learns to write, and of which class."""

    method = "conditional_lm"
    template = "runs/new_conditional_lm.html"
    data_template = "runs/data_classification.html"
    told_of_data = "runs/labels.html"
    twin_from_scratch = True

    @property
    def gives_labels(self) -> bool:
        return bool(self.values["control.given"])

    @property
    def wants_twin(self) -> bool:
        # Without labels from scratch there is nothing that a twin could be without.
        return super().wants_twin or (
            not self.is_transfer and bool(self.values["twin"]) and self.gives_labels
        )

    @property
    def classes(self) -> list[str]:
        """Of the data, the largest first."""
        labels = (self.version.summary.get("labels") or {}) if self.version is not None else {}
        return [str(one["name"]) for one in labels.get("classes") or ()]

    @property
    def new_labels(self) -> list[str]:
        """Classes that the tokenizer has no token for yet."""
        if not self.gives_labels:
            return []
        known: list[str] = []
        if self.values["tokenizer.kind"] in ("source", "checkpoint"):
            known = labels_of(self.tokenizer_owner)
        return [name for name in self.classes if name not in known]

    @cached_property
    def config(self) -> GPT2Config | None:
        """The model that would be trained, with a row for each label that is new."""
        config = self.base_config()
        if config is None:
            return None
        rows = config.vocab_size + len(self.new_labels)
        return config.model_copy(update={"vocab_size": rows})

    @property
    def same_tokenizer(self) -> bool:
        return super().same_tokenizer and not self.new_labels

    @property
    def token_rows(self) -> list[list[int]] | None:
        """Rows of the embedding: the source's, and the new labels', each from several."""
        if not super().same_tokenizer or not self.new_labels or self.source is None:
            return None
        rows = self.source.config.vocabulary or 0
        return [*([row] for row in range(rows)), *([0, 0] for _name in self.new_labels)]

    def check_whole(self, spec: Any) -> None:
        super().check_whole(spec)
        if self.version is None:
            return
        if "validation" not in (self.version.summary.get("splits") or {}):
            self.add("data", sentence("split_missing", {"split": "validation"}))
        if len(self.classes) < 2:
            self.add("data", sentence("generate_one_class", {}))
        elif len(self.classes) > MOST_LABELS:
            told = {"classes": len(self.classes), "most": MOST_LABELS}
            self.add("data", sentence("generate_too_many_classes", told))
        for one in (self.version.summary.get("labels") or {}).get("classes") or ():
            texts = int(one.get("train", LEAST_TEXTS))
            if texts < LEAST_TEXTS:
                small = {"name": str(one["name"]), "images": texts, "least": LEAST_TEXTS}
                self.add("data", sentence("generate_class_too_small", small))
                return
