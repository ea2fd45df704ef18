"""The form of a language model's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.errors import MESSAGES
from training.settings import PROBLEMS
from training.spec import LanguageModelSpec
from webapp.runs import fields
from webapp.runs.dotted import at
from webapp.runs.form import TRANSFER, RunForm
from webapp.runs.layouts import CAUSAL_LM
from webapp.runs.sources import Source, source_of


class CausalLMForm(RunForm):
    """A model that learns to write: its sizes, its tokenizer, LoRA."""

    method = "causal_lm"
    template = "runs/new_causal_lm.html"
    data_template = "runs/data_causal_lm.html"
    sets_scratch = '{"tokenizer.kind": "train"}'
    sets_transfer = '{"tokenizer.kind": "source"}'
    LIKE = "tokenizer.checkpoint"
    CHOICES = (*RunForm.CHOICES, "architecture", "preset")
    FLAGS = (*RunForm.FLAGS, "lora")
    SILENT = (*RunForm.SILENT, "model.architecture", "model.vocab_size")
    SHOWN_AT = {
        **RunForm.SHOWN_AT,
        "model.vocab_size": "tokenizer.vocabulary_size",
        "tokenizer.checkpoint": "tokenizer.kind",
    }
    OTHER_INPUTS = (*RunForm.OTHER_INPUTS, "lora")

    @classmethod
    def blank(cls) -> dict[str, Any]:
        """A new form: the smallest preset, from scratch."""
        values = super().blank() | preset_values("nano")
        return values | {"architecture": "source", "preset": "nano"}

    def take_choices(self, spec: Mapping[str, Any]) -> None:
        self.values["architecture"] = "own" if spec.get("model") else "source"
        self.values["lora"] = bool(at(spec, "training.lora"))
        self.values["preset"] = preset_of(self.values)

    def choose_how(self, how: str) -> None:
        super().choose_how(how)
        if how == TRANSFER:
            self.values["tokenizer.kind"] = "source"

    def choose_source(self, source: Source, key: str, *, keep: bool) -> None:
        super().choose_source(source, key, keep=keep)
        self.values["architecture"] = "source"

    @property
    def has_own_model(self) -> bool:
        return not self.is_transfer or self.values["architecture"] == "own"

    @property
    def same_tokenizer(self) -> bool:
        return bool(self.values["tokenizer.kind"] == "source")

    def leaves_out(self, path: str) -> bool:
        if path.startswith("model."):
            return not self.has_own_model
        if path.startswith("training.lora."):
            return not self.values["lora"]
        if path == self.LIKE:
            return bool(self.values["tokenizer.kind"] != "checkpoint")
        return super().leaves_out(path)

    def complete(self, spec: dict[str, Any]) -> None:
        if "model" in spec:
            spec["model"]["vocab_size"] = self._rows()

    @property
    def tokenizer_owner(self) -> Source | None:
        """The model whose tokenizer is used; None: it is another's, or a new one."""
        match self.values["tokenizer.kind"]:
            case "source":
                return self.source
            case "checkpoint":
                return source_of(self.values[self.LIKE], self.team, self.method)
        return None

    def _rows(self) -> Any:
        """Rows of the embedding: as many as the tokenizer has tokens."""
        if self.values["tokenizer.kind"] == "train":
            typed = str(self.values["tokenizer.vocabulary_size"]).strip()
            return int(typed) if typed.isdecimal() and 2 <= int(typed) <= 10**6 else 4096
        owner = self.tokenizer_owner
        return PRESETS["gpt2"].vocab_size if owner is None else owner.config.vocabulary

    def too_few(self, devices: int) -> str:
        return _("With %(count)s devices, at least %(count)s sequences are needed.") % {
            "count": devices
        }

    @cached_property
    def config(self) -> GPT2Config | None:
        """The model that would be trained, once what describes it makes sense."""
        return self.base_config()

    def base_config(self) -> GPT2Config | None:
        """The same, before a method adds rows of its own."""
        if not self.has_own_model:
            config = self.source.config if self.source is not None else None
        else:
            try:
                config = GPT2Config.model_validate(self.payload()["model"])
            except ValidationError:
                config = None
        if not isinstance(config, GPT2Config):
            return None
        return config.model_copy(update={"vocab_size": self._rows()})

    def check_whole(self, spec: LanguageModelSpec) -> None:
        """What only shows when data, source and hosts are known."""
        training = spec.training
        if self.is_transfer and self.source is not None and spec.model is None:
            context = self.source.config.context
            if context is not None and training.sequence_length > context:
                self.add_message(
                    "training.sequence_length",
                    PROBLEMS["sequence_longer_than_context"],
                    context=context,
                )
        if training.lora is not None and not self.is_transfer:
            self.add(
                "lora",
                _("LoRA adapts weights that have learned something: it needs a source."),
            )
        if self.version is not None and spec.tokenizer.kind == "gpt2":
            # Counted with GPT-2's vocabulary; how many another makes shows only in the run.
            tokens = at(self.version.summary, "splits.train.tokens")
            if tokens is not None and tokens < training.sequence_length:
                self.add_message(
                    "training.sequence_length",
                    MESSAGES["corpus_too_short"],
                    split="train",
                    tokens=tokens,
                    sequence_length=training.sequence_length,
                )

    def setting(self, path: str) -> fields.Setting:
        found = super().setting(path)
        if path == "tokenizer.kind" and found.value != "checkpoint":
            found.choices = [choice for choice in found.choices if choice[0] != "checkpoint"]
        return found

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """Its shape, from which another may differ."""
        config = source.config
        assert isinstance(config, GPT2Config)
        values = model_values(config)
        if config.n_positions < CAUSAL_LM.info("training.sequence_length").default:
            values["training.sequence_length"] = str(config.n_positions)
        return values | {"preset": preset_of(values)}


def model_values(config: GPT2Config) -> dict[str, Any]:
    """A model's dimensions, as the form shows them."""
    return {
        path: CAUSAL_LM.written(path, getattr(config, path.removeprefix("model.")))
        for path in CAUSAL_LM.paths
        if path.startswith("model.")
    }


def preset_values(name: str) -> dict[str, Any]:
    """What choosing a preset writes into the form.

    A small model gets a vocabulary trained on its data: with GPT-2's 50,257 tokens its embedding
    alone would be many times the rest. Sequences stay at 256 tokens for the large ones, as memory
    grows with them, and their batches are small.
    """
    config = PRESETS[name]
    small = config.vocab_size != PRESETS["gpt2"].vocab_size
    return model_values(config) | {
        "tokenizer.kind": "train" if small else "gpt2",
        "tokenizer.vocabulary_size": str(config.vocab_size if small else 4096),
        "training.sequence_length": str(min(config.n_positions, 256)),
        "training.batch_size": "16" if small else "4",
        "training.learning_rate": "0.001" if small else "0.0003",
    }


def preset_of(values: Mapping[str, Any]) -> str:
    """The preset whose dimensions these are, empty when none has them."""
    for name in PRESETS:
        wanted = preset_values(name)
        if all(values[path] == wanted[path] for path in wanted if path.startswith("model.")):
            return name
    return ""
