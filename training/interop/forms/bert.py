"""BERT's ``config.json`` in Hugging Face's form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from training.backbones.bert.config import BertConfig
from training.backbones.encoder.config import LABEL_HEADS
from training.interop.forms.encoder import IGNORED, ONLY, labels_of, labels_told
from training.interop.forms.form import ACTIVATIONS, Form


def decide_bert(
    payload: Mapping[str, Any],
    names: Collection[str],
    decided: dict[str, Any],
    *,
    pooled: frozenset[str],
) -> dict[str, Any]:
    """Head, pooler and labels: by the tensors where no key and no class says so.

    Args:
        payload: ``config.json``.
        names: The tensors'.
        decided: By the class.
        pooled: Heads that have a pooler when nothing is said.
    """
    head, found = decided.get("head", "none"), dict[str, Any]()
    # The published BERTs name the class for masked LM, and hold the next-sentence head as well.
    if head == "masked_lm" and "cls.seq_relationship.weight" in names:
        found["head"] = head = "pretraining"
    if head in LABEL_HEADS:
        found["labels"] = labels_of(payload)
    if names:
        pooler = any(name.endswith("pooler.dense.weight") for name in names)
        if pooler != (head in pooled):
            found["pooler"] = pooler
    return found


FORM = Form(
    config=BertConfig,
    model_type="bert",
    architectures={
        "BertModel": {"head": "none"},
        "BertForMaskedLM": {"head": "masked_lm"},
        "BertForPreTraining": {"head": "pretraining"},
        "BertForSequenceClassification": {"head": "classification"},
        "BertForTokenClassification": {"head": "token_classification"},
    },
    own=frozenset({"head", "labels", "pooler"}),
    words={"hidden_act": ACTIVATIONS},
    ignored=IGNORED
    | {
        # In the published Chinese and multilingual models; no version computes with them.
        "directionality",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
    },
    only=ONLY,
    dropout=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    dropout_if_given=("classifier_dropout",),
    written={"is_decoder": False, "tie_word_embeddings": True, "use_cache": True},
    prefix="bert.",
    # As TensorFlow called them, in the published folders to this day.
    renamed={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    buffers=re.compile(r"bert\.embeddings\.(position_ids|token_type_ids)"),
    decide=partial(decide_bert, pooled=frozenset({"none", "pretraining", "classification"})),
    tell=labels_told,
)
