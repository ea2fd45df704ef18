"""RoBERTa's ``config.json`` in Hugging Face's form."""

from __future__ import annotations

import re
from functools import partial

from training.backbones.roberta.config import RobertaConfig
from training.interop.forms.bert import decide_bert
from training.interop.forms.encoder import IGNORED, ONLY, labels_told
from training.interop.forms.form import ACTIVATIONS, Form

FORM = Form(
    config=RobertaConfig,
    model_type="roberta",
    architectures={
        "RobertaModel": {"head": "none"},
        "RobertaForMaskedLM": {"head": "masked_lm"},
        "RobertaForSequenceClassification": {"head": "classification"},
        "RobertaForTokenClassification": {"head": "token_classification"},
    },
    own=frozenset({"head", "labels", "pooler"}),
    words={"hidden_act": ACTIVATIONS},
    ignored=IGNORED,
    only=ONLY,
    dropout=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    dropout_if_given=("classifier_dropout",),
    written={"is_decoder": False, "tie_word_embeddings": True, "use_cache": True},
    prefix="roberta.",
    buffers=re.compile(r"roberta\.embeddings\.(position_ids|token_type_ids)"),
    decide=partial(decide_bert, pooled=frozenset({"none"})),
    tell=labels_told,
)
