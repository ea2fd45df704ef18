"""A ``config.json`` in Hugging Face's form, both ways, by a list for each architecture.

Every key is honoured (it is a field of our configuration), known to leave the model's function
alone, allowed at some values only, or refused by name. Elsewhere a reader that skipped what it did
not know was seen to compute something else without a word (another layer-norm epsilon, another
activation, an untied head), and ``trust_remote_code=False`` did not stop the code that ``auto_map``
and ``_attn_implementation_internal`` named (CVE-2026-4372, CVE-2026-5241).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from training.backbones.contract import BackboneConfig
from training.errors import TrainingError
from training.settings import problems

#: A real one takes about 1 kB; id2label of a large classifier some hundred.
MAX_CONFIG_BYTES = 1_000_000

#: Names in transformers for the very same functions.
ACTIVATIONS: dict[str, str] = {
    "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_python_tanh": "gelu_new",
    "gelu_python": "gelu",
    "swish": "silu",
}

#: Keys of every architecture that do not change what it computes, whatever their value.
IGNORED = frozenset(
    {
        "initializer_range",
        # About files, versions and storage. The tensors say themselves what type they have.
        "_name_or_path",
        "name_or_path",
        "_commit_hash",
        "transformers_version",
        "torch_dtype",
        "dtype",
        "use_cache",
        "gradient_checkpointing",
        "torchscript",
        "use_bfloat16",
        "return_dict",
        "output_hidden_states",
        "output_attentions",
        "output_past",
        "chunk_size_feed_forward",
        "tie_last_hidden_states",
        # How text is generated, not what the model computes; and special tokens.
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "sep_token_id",
        "decoder_start_token_id",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "max_length",
        "min_length",
        "do_sample",
        "early_stopping",
        "num_beams",
        "num_beam_groups",
        "diversity_penalty",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
        "repetition_penalty",
        "length_penalty",
        "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size",
        "bad_words_ids",
        "num_return_sequences",
        "output_scores",
        "return_dict_in_generate",
        "remove_invalid_values",
        "exponential_decay_length_penalty",
        "suppress_tokens",
        "begin_suppress_tokens",
    }
)

#: Keys of every architecture that change the function, at the values that leave it as it is.
ONLY: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "per_layer_config": ({}, None),
    "quantization_config": (None,),
    # Another string is the name of a repository with kernels to load.
    "_attn_implementation": ("eager", "sdpa", "flash_attention_2", None),
    "attn_implementation": ("eager", "sdpa", "flash_attention_2", None),
}

#: Keys that name code.
CODE = frozenset(
    {
        "auto_map",
        "custom_pipelines",
        "_attn_implementation_internal",
        "_experts_implementation_internal",
        "_experts_implementation",
        "experts_implementation",
    }
)


@dataclass(frozen=True)
class Form:
    """How one architecture looks in Hugging Face's form.

    Attributes:
        config: Our configuration; its fields, less ``architecture`` and ``own``, are honoured.
        model_type: As ``config.json`` has it.
        architectures: Class names that are read → fields of ours that the class decides
            (``{"BertForMaskedLM": {"head": "masked_lm"}}``).
        own: Fields of ours that no key of theirs has; a class name or the tensors decide them.
        aliases: Their name of a field → ours.
        words: Field → their word for a value → ours.
        ignored: Further keys that leave the function alone.
        only: Further keys that are read at these values alone.
        dropout: Keys of dropout rates: used in training only, and kept through a round trip so that
            fine-tuning elsewhere goes on as before.
        dropout_if_given: Further ones, which mean "as the others" where they are missing.
        written: Further keys that ``transformers`` writes, with the values that we mean.
        prefix: Of the tensors' names, which are met with and without it.
        renamed: Ends of tensors' names in old folders → as they are called now.
        buffers: Names (with the prefix) that are stored but no version computes with.
        decide: (config.json, tensors' names, what the class decided) → further fields of ``own``.
        tell: Our configuration → the keys that :attr:`decide` reads.
        opens: Whether ``transformers`` has that class.
        exported: (Our configuration, our ``config.json``) → the one of an export, where another
            architecture says the same in a form that others read.
    """

    config: type[BackboneConfig]
    model_type: str
    architectures: Mapping[str, Mapping[str, Any]]
    own: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    dropout: tuple[str, ...] = ()
    dropout_if_given: tuple[str, ...] = ()
    written: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    buffers: re.Pattern[str] = re.compile(r"(?!)")
    decide: Callable[[Mapping[str, Any], Collection[str], dict[str, Any]], dict[str, Any]] = (
        lambda payload, names, decided: {}
    )
    opens: bool = True
    tell: Callable[[BackboneConfig], dict[str, Any]] = lambda config: {}
    exported: Callable[[BackboneConfig, dict[str, Any]], dict[str, Any]] = lambda config, payload: (
        payload
    )

    @property
    def honoured(self) -> frozenset[str]:
        """Our fields that are keys of theirs."""
        return frozenset(self.config.model_fields) - {"architecture"} - self.own

    @property
    def all_dropout(self) -> tuple[str, ...]:
        """Every key of a dropout rate."""
        return (*self.dropout, *self.dropout_if_given)

    @property
    def all_ignored(self) -> frozenset[str]:
        return (IGNORED | self.ignored | frozenset(self.all_dropout)) - self.honoured

    @property
    def all_only(self) -> dict[str, tuple[Any, ...]]:
        return ONLY | dict(self.only)

    def read(self, payload: Mapping[str, Any], names: Collection[str] = ()) -> BackboneConfig:
        """Our configuration of one that we can represent exactly.

        Args:
            payload: ``config.json``.
            names: Of the tensors beside it, which decide what no key does (whether a BERT has a
                pooler); none: they are not known, and that is taken to be there.

        Raises:
            TrainingError: ``config_*``, naming the field.
        """
        values = self._decided_by_class(payload.get("architectures"))
        values |= self.decide(payload, names, values)
        ignored, only, honoured = self.all_ignored, self.all_only, self.honoured
        for key, value in payload.items():
            if key in ("model_type", "architectures") or key in ignored:
                continue
            if key in CODE:
                raise TrainingError("config_code", name=key)
            if key in only:
                if not any(
                    value == allowed and type(value) is type(allowed) for allowed in only[key]
                ):
                    raise _unsupported(key, value, only[key])
                continue
            name = self.aliases.get(key, key)
            if name not in honoured:
                raise TrainingError("config_unknown", name=_short(key))
            if isinstance(value, str):
                value = self.words.get(name, {}).get(value, value)
            if name in values and values[name] != value:
                raise TrainingError("config_contradiction", name=name, other=_short(key))
            values[name] = value
        return _validated(self.config, values)

    def _decided_by_class(self, names: Any) -> dict[str, Any]:
        if names is None:
            return {}
        known = tuple(self.architectures)
        if not isinstance(names, list) or not names or any(name not in known for name in names):
            raise _unsupported("architectures", names, known)
        return dict(self.architectures[names[0]])

    def class_of(self, config: BackboneConfig) -> str:
        """The class that a model with this configuration is written as."""
        fields = config.model_dump(mode="json", include=set(self.own))
        for name, implied in self.architectures.items():
            if all(fields.get(key, value) == value for key, value in implied.items()):
                return name
        raise ValueError(f"no class for {fields}")

    def dropout_of(self, payload: Mapping[str, Any]) -> dict[str, float]:
        """The dropout rates of a foreign configuration, for :meth:`write`."""
        return {
            key: float(value)
            for key in self.all_dropout
            if isinstance(value := payload.get(key), int | float) and 0 <= value < 1
        }

    def write(
        self,
        config: BackboneConfig,
        *,
        special: Mapping[str, int] | None = None,
        dtype: str = "float32",
        dropout: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """``config.json`` as ``transformers`` writes it; every field stands there, defaults too.

        Args:
            config: The model.
            special: The tokenizer's ids for ``bos_token_id``, ``eos_token_id``, ``pad_token_id``.
            dtype: What the weights are stored as: ``float32``, ``float16`` or ``bfloat16``.
            dropout: Rates by :attr:`dropout`; none: 0, since ours is a setting of the run. Those of
                another architecture, by names that this one does not know, are not written.
        """
        fields = config.model_dump(mode="json")
        rates = dropout or {}
        return {
            "model_type": self.model_type,
            "architectures": [self.class_of(config)],
            **dict.fromkeys(self.dropout, 0.0),
            **{key: rates[key] for key in self.all_dropout if key in rates},
            **self.written,
            "initializer_range": 0.02,
            "bos_token_id": None,
            "eos_token_id": None,
            **(special or {}),
            "dtype": dtype,
            **self.tell(config),
            **{name: fields[name] for name in fields if name in self.honoured},
        }


@dataclass(frozen=True)
class OwnForm:
    """How an architecture looks that has no ``config.json`` elsewhere: our own fields, no others.

    Attributes:
        config: Our configuration; ``model_type`` is its architecture's name.
    """

    config: type[BackboneConfig]
    prefix: ClassVar[str] = ""
    buffers: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    renamed: ClassVar[Mapping[str, str]] = {}
    opens: ClassVar[bool] = False

    @property
    def model_type(self) -> str:
        return str(self.config.model_fields["architecture"].default)

    def read(self, payload: Mapping[str, Any], names: Collection[str] = ()) -> BackboneConfig:
        """Our configuration of one; the tensors' names decide nothing.

        Raises:
            TrainingError: ``config_*``, naming the field.
        """
        values = {k: v for k, v in payload.items() if k not in ("model_type", "dtype")}
        for key in values:
            if key in CODE:
                raise TrainingError("config_code", name=key)
            if key == "architecture" or key not in self.config.model_fields:
                raise TrainingError("config_unknown", name=_short(key))
        return _validated(self.config, values)

    def dropout_of(self, payload: Mapping[str, Any]) -> dict[str, float]:
        """There is none: a rate is a setting of the run."""
        return {}

    def write(
        self,
        config: BackboneConfig,
        *,
        special: Mapping[str, int] | None = None,
        dtype: str = "float32",
        dropout: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """``config.json``: every field, defaults too.

        Args:
            config: The model.
            special: Not written.
            dtype: What the weights are stored as.
            dropout: Not written.
        """
        fields = config.model_dump(mode="json", exclude={"architecture"})
        return {"model_type": self.model_type, **fields, "dtype": dtype}

    def exported(self, config: BackboneConfig, payload: Mapping[str, Any]) -> dict[str, Any]:
        """As it is: nobody else has a form for it."""
        return dict(payload)

    def class_of(self, config: BackboneConfig) -> str:
        """``transformers`` has no class that takes these tensors."""
        return ""


def read_config_json(path: Path) -> dict[str, Any]:
    """The JSON object in a ``config.json``.

    Raises:
        TrainingError: ``config_unreadable``.
    """
    try:
        size = path.stat().st_size
        if size > MAX_CONFIG_BYTES:
            raise TrainingError("config_unreadable", detail=f"{size} bytes")
        payload = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise TrainingError("config_unreadable", detail="it is missing") from error
    except (ValueError, RecursionError) as error:
        raise TrainingError("config_unreadable", detail=_short(error)) from error
    if not isinstance(payload, dict):
        raise TrainingError("config_unreadable", detail="it is not an object")
    return payload


def _validated(config: type[BackboneConfig], values: Mapping[str, Any]) -> BackboneConfig:
    try:
        return config.model_validate(dict(values), strict=True)
    except ValidationError as error:
        problem = problems(error)[0]
        raise TrainingError(
            "config_out_of_range",
            name=problem.field,
            value=_short(values.get(problem.field)),
            detail=str(problem),
        ) from error


def _unsupported(name: str, value: Any, allowed: tuple[Any, ...]) -> TrainingError:
    return TrainingError(
        "config_unsupported",
        name=name,
        value=_short(json.dumps(value)),
        allowed=", ".join(json.dumps(item) for item in allowed),
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "…"
