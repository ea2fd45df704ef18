"""DistilBERT's ``config.json`` in Hugging Face's form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from training.backbones.distilbert.config import DistilBertConfig
from training.backbones.encoder.config import LABEL_HEADS
from training.interop.forms.encoder import IGNORED, ONLY, labels_of, labels_told
from training.interop.forms.form import ACTIVATIONS, Form


def _decide(
    payload: Mapping[str, Any], names: Collection[str], decided: dict[str, Any]
) -> dict[str, Any]:
    return {"labels": labels_of(payload)} if decided.get("head") in LABEL_HEADS else {}


FORM = Form(
    config=DistilBertConfig,
    model_type="distilbert",
    architectures={
        "DistilBertModel": {"head": "none"},
        "DistilBertForMaskedLM": {"head": "masked_lm"},
        "DistilBertForSequenceClassification": {"head": "classification"},
        "DistilBertForTokenClassification": {"head": "token_classification"},
    },
    own=frozenset({"head", "labels"}),
    aliases={
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    },
    words={"activation": ACTIVATIONS},
    ignored=IGNORED
    | {
        # How positions start; they are stored like any others.
        "sinusoidal_pos_embds",
        # In the published folder; no version reads it.
        "tie_weights_",
        # Heads that this model lacks; their tensors would be refused as extra.
        "qa_dropout",
    },
    only=ONLY,
    dropout=("dropout", "attention_dropout", "seq_classif_dropout"),
    written={"sinusoidal_pos_embds": False, "tie_word_embeddings": True},
    prefix="distilbert.",
    buffers=re.compile(r"distilbert\.embeddings\.position_ids"),
    decide=_decide,
    tell=labels_told,
)
