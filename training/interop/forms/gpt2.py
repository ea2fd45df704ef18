"""GPT-2's ``config.json`` in Hugging Face's form."""

from __future__ import annotations

import re

from training.backbones.gpt2.config import GPT2Config
from training.interop.forms.form import ACTIVATIONS, Form

FORM = Form(
    config=GPT2Config,
    model_type="gpt2",
    architectures={"GPT2LMHeadModel": {}, "GPT2Model": {}},
    aliases={
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    },
    words={"activation_function": ACTIVATIONS},
    ignored=frozenset(
        {
            # Computes the attention's scores in float32 under mixed precision and only with the
            # eager implementation; in float32 the very same function.
            "reorder_and_upcast_attn",
            # Old transformers sized a causal mask with it; no version computes with it.
            "n_ctx",
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
        }
    ),
    dropout=("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    written={"add_cross_attention": False, "reorder_and_upcast_attn": False, "use_cache": True},
    prefix="transformer.",
    # The causal mask of old folders.
    buffers=re.compile(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)"),
)
