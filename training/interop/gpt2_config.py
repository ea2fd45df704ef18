"""GPT-2's ``config.json`` in Hugging Face's form, both ways.

Reading goes by a list: every key is honoured (it is a field of :class:`GPT2Config`), known to leave
the model's function alone, allowed at one value only, or refused by name. Elsewhere a reader that
skipped what it did not know was seen to compute something else without a word (another layer-norm
epsilon, another activation, an untied head), and ``trust_remote_code=False`` did not stop the code
that ``auto_map`` and ``_attn_implementation_internal`` named (CVE-2026-4372, CVE-2026-5241).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from training.backbones.gpt2.config import GPT2Config
from training.errors import TrainingError
from training.settings import problems

#: A real one takes about 1 kB; id2label of a large classifier some hundred.
MAX_CONFIG_BYTES = 1_000_000

#: Other names of our fields (``attribute_map`` in transformers).
ALIASES: dict[str, str] = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}

#: Names in transformers for the very same functions.
ACTIVATION_ALIASES: dict[str, str] = {
    "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_python_tanh": "gelu_new",
    "gelu_python": "gelu",
    "swish": "silu",
}

HONOURED = frozenset(GPT2Config.model_fields) - {"architecture"}

#: Used in training only; kept through a round trip so that fine-tuning elsewhere goes on as before.
DROPOUT_KEYS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")

#: Keys that do not change the logits of the language model, whatever their value.
IGNORED = frozenset(
    {
        *DROPOUT_KEYS,
        "initializer_range",
        # Computes the attention's scores in float32 under mixed precision and only with the eager
        # implementation; in float32 the very same function.
        "reorder_and_upcast_attn",
        # Old transformers sized a causal mask with it; no version computes with it.
        "n_ctx",
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
        # Heads that are not the language model's; their tensors would be refused as extra.
        "summary_type",
        "summary_use_proj",
        "summary_activation",
        "summary_proj_to_labels",
        "summary_first_dropout",
        "summary_last_dropout",
        "num_labels",
        "id2label",
        "label2id",
        "problem_type",
        "finetuning_task",
        "task_specific_params",
        "tokenizer_class",
        "prefix",
        # GPT-2 is causal with and without it.
        "is_decoder",
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

#: Keys that change the function, at the values that leave it as it is.
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

ARCHITECTURES = ("GPT2LMHeadModel", "GPT2Model")


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


def from_huggingface(payload: Mapping[str, Any]) -> GPT2Config:
    """Our configuration of a Hugging Face one that we can represent exactly.

    Raises:
        TrainingError: ``config_*``, naming the field.
    """
    model_type = payload.get("model_type")
    if model_type != "gpt2":
        raise TrainingError("config_model_type", found=_short(model_type or "?"))
    architectures = payload.get("architectures")
    if architectures is not None and (
        not isinstance(architectures, list)
        or not architectures
        or any(name not in ARCHITECTURES for name in architectures)
    ):
        raise _unsupported("architectures", architectures, ARCHITECTURES)

    values: dict[str, Any] = {}
    for key, value in payload.items():
        if key in ("model_type", "architectures") or key in IGNORED:
            continue
        if key in CODE:
            raise TrainingError("config_code", name=key)
        if key in ONLY:
            if not any(value == allowed and type(value) is type(allowed) for allowed in ONLY[key]):
                raise _unsupported(key, value, ONLY[key])
            continue
        name = ALIASES.get(key, key)
        if name not in HONOURED:
            raise TrainingError("config_unknown", name=_short(key))
        if name == "activation_function" and isinstance(value, str):
            value = ACTIVATION_ALIASES.get(value, value)
        if name in values and values[name] != value:
            raise TrainingError("config_contradiction", name=name, other=_short(key))
        values[name] = value
    try:
        return GPT2Config.model_validate(values, strict=True)
    except ValidationError as error:
        problem = problems(error)[0]
        name = problem.field
        raise TrainingError(
            "config_out_of_range", name=name, value=_short(values.get(name)), detail=str(problem)
        ) from error


def dropout_of(payload: Mapping[str, Any]) -> dict[str, float]:
    """The dropout rates of a foreign configuration, for :func:`to_huggingface`."""
    return {
        key: float(value)
        for key in DROPOUT_KEYS
        if isinstance(value := payload.get(key), int | float) and 0 <= value < 1
    }


def to_huggingface(
    config: GPT2Config,
    *,
    end_of_text: int | None,
    dtype: str = "float32",
    dropout: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """``config.json`` as ``transformers`` writes it; every field stands there, defaults too.

    Args:
        config: The model.
        end_of_text: Id of the token that begins and ends a document.
        dtype: What the weights are stored as: ``float32``, ``float16`` or ``bfloat16``.
        dropout: Rates by :data:`DROPOUT_KEYS`; none: 0, since ours is a setting of the run.
    """
    rates = dict.fromkeys(DROPOUT_KEYS, 0.0) | dict(dropout or {})
    values = config.model_dump(exclude={"architecture"})
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **values,
        **rates,
        "add_cross_attention": False,
        "reorder_and_upcast_attn": False,
        "initializer_range": 0.02,
        "use_cache": True,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "dtype": dtype,
    }


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
