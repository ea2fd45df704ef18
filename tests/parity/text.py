"""Cases of the text architectures beside GPT-2, for both sides of the comparison with PyTorch.

Weights and inputs follow from a seed; only PyTorch's outputs are kept. Imports neither PyTorch nor
TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers, pre_tokenizers

from tests.parity.fixtures import REFERENCE, TEXTS, weights
from training.backbones.bert.config import BertConfig
from training.backbones.contract import BackboneConfig
from training.backbones.distilbert.config import DistilBertConfig
from training.backbones.gpt3.config import GPT3Config
from training.backbones.opt.config import OPTConfig
from training.backbones.roberta.config import RobertaConfig
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizer import Tokenizer
from training.data.tokenizers.framed import STYLES, FramedTokenizer
from training.data.tokenizers.wordpiece import SPECIALS, WordPieceTokenizer
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import generator

#: Outputs of PyTorch for each case, and the hashes of what it opened.
OUTPUTS = REFERENCE / "text"
#: Whole folders that ``transformers`` saved.
FOLDERS = REFERENCE / "text_folders"

BATCH, TIME = 2, 12
LABELS = ["good", "bad", "neither"]

_BERT = {
    "vocab_size": 61,
    "max_position_embeddings": 16,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
}
_DISTILBERT = {
    "vocab_size": 61,
    "max_position_embeddings": 16,
    "dim": 24,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 40,
}
_ROBERTA = _BERT | {"max_position_embeddings": 18, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_OPT = {
    "vocab_size": 61,
    "max_position_embeddings": 16,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "ffn_dim": 40,
}
_CLASSES = {"head": "classification", "labels": LABELS}
_TAGS = {"head": "token_classification", "labels": LABELS}
_MASKED = {"head": "masked_lm"}

#: Sizes and kind of each architecture's cases, and what differs in each.
_CASES: dict[str, tuple[type[BackboneConfig], dict[str, Any], dict[str, dict[str, Any]]]] = {
    "bert": (
        BertConfig,
        _BERT,
        {
            "pooler": {},
            "no-pooler": {"pooler": False},
            "one-type": {"type_vocab_size": 1},
            "epsilon": {"layer_norm_eps": 1e-2},
            "gelu-tanh": {"hidden_act": "gelu_new"},
            "relu": {"hidden_act": "relu"},
            "silu": {"hidden_act": "silu"},
            "tanh": {"hidden_act": "tanh"},
            "masked-lm": _MASKED,
            "pretraining": {"head": "pretraining"},
            "classification": _CLASSES,
            "token-classification": _TAGS,
        },
    ),
    "distilbert": (
        DistilBertConfig,
        _DISTILBERT,
        {
            "plain": {},
            "gelu-tanh": {"activation": "gelu_new"},
            "relu": {"activation": "relu"},
            "masked-lm": _MASKED,
            "classification": _CLASSES,
            "token-classification": _TAGS,
        },
    ),
    "roberta": (
        RobertaConfig,
        _ROBERTA,
        {
            "pooler": {},
            "no-pooler": {"pooler": False},
            "padding": {"pad_token_id": 5, "max_position_embeddings": 24},
            "two-types": {"type_vocab_size": 2},
            "epsilon": {"layer_norm_eps": 1e-2},
            "masked-lm": _MASKED,
            # Its head has the exact GELU whatever the blocks have.
            "masked-lm-relu": _MASKED | {"hidden_act": "relu"},
            "classification": _CLASSES,
            "token-classification": _TAGS,
        },
    ),
    "opt": (
        OPTConfig,
        _OPT,
        {
            "plain": {},
            "norm-after": {"do_layer_norm_before": False},
            "projected": {"do_layer_norm_before": False, "word_embed_proj_dim": 10},
            "projected-norm-first": {"word_embed_proj_dim": 10},
            "no-bias": {"enable_bias": False},
            "no-affine": {"layer_norm_elementwise_affine": False},
            "gelu": {"activation_function": "gelu"},
            "untied": {"tie_word_embeddings": False},
        },
    ),
    "gpt3": (
        GPT3Config,
        {"vocab_size": 61, "n_positions": 16, "n_embd": 24, "n_layer": 3, "n_head": 3},
        {
            "banded": {"window": 3, "n_layer": 4},
            "itself-only": {"window": 1},
            # PyTorch opens this one as the GPT-2 that its export is.
            "dense": {"window": None},
            "variant": {
                "window": 5,
                "n_inner": 40,
                "activation_function": "gelu",
                "layer_norm_epsilon": 1e-2,
                "tie_word_embeddings": False,
                "scale_attn_by_inverse_layer_idx": True,
            },
        },
    ),
}

CASES: dict[str, BackboneConfig] = {
    f"{architecture}-{name}": kind.model_validate(sizes | changes)
    for architecture, (kind, sizes, cases) in _CASES.items()
    for name, changes in cases.items()
}


def inputs(config: BackboneConfig) -> dict[str, np.ndarray]:
    """What the model reads: the second text is shorter, and OPT's first begins with padding."""
    padding = getattr(config, "pad_token_id", 1)
    rows = config.vocabulary
    assert rows is not None
    found = {
        "tokens": generator(3, "tokens").integers(padding + 1, rows, (BATCH, TIME), dtype=np.int32)
    }
    if config.architecture == "gpt3":
        return found
    found["attention_mask"] = np.ones((BATCH, TIME), np.int32)
    found["attention_mask"][1, 8:] = 0
    if config.architecture == "opt":
        found["attention_mask"][0, :3] = 0
    found["tokens"][found["attention_mask"] == 0] = padding
    if getattr(config, "types", 0) > 1:
        found["token_types"] = generator(3, "types").integers(0, 2, (BATCH, TIME), dtype=np.int32)
    return found


def write_case(name: str, folder: Path) -> dict[str, Any]:
    """Write a case as a checkpoint of ours; its card."""
    config = CASES[name]
    return write_checkpoint(folder, config, weights(config, "float32"), None, {})


def comparable(config: BackboneConfig, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs where they mean anything: at real tokens, zero elsewhere.

    A causal model's padding before a text sees nothing at all, and each side makes up its own.
    """
    real = inputs(config).get("attention_mask", np.ones((BATCH, TIME))).astype(bool)
    return {
        key: np.where(real[..., None], value, 0) if value.ndim == 3 else value
        for key, value in outputs.items()
    }


def tokenizers() -> dict[str, TextTokenizer]:
    """One of each kind, with pieces of the texts that both sides encode."""
    return {
        "wordpiece": word_pieces(lowercase=True),
        "wordpiece-cased": word_pieces(lowercase=False),
        "wordpiece-no-accents": word_pieces(lowercase=False, strip_accents=True),
        "roberta": framed("roberta"),
        "opt": framed("opt"),
    }


def framed(architecture: str) -> FramedTokenizer:
    """Byte-level BPE with the special tokens first, as published."""
    style = STYLES[architecture]
    learned = Tokenizer.train([*TEXTS, *SPECIAL_TEXTS] * 4, 290)
    strings = sorted(learned.vocabulary, key=learned.vocabulary.__getitem__)[:-1]
    strings = [*dict.fromkeys(style.specials.values()), *strings]
    vocabulary = {string: number for number, string in enumerate(strings)}
    return FramedTokenizer(vocabulary, learned.merges, [], style=style, names=style.specials)


def word_pieces(*, lowercase: bool, strip_accents: bool | None = None) -> WordPieceTokenizer:
    """The texts' words of up to four letters, and each character alone and within a word.

    Not all of them: what begins with w is unknown.
    """
    normal = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    words = {
        word
        for text in [*TEXTS, *SPECIAL_TEXTS]
        for word, _place in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(
            normal.normalize_str(text)
        )
        if not word.startswith("w")
    }
    letters = {letter for word in words for letter in word}
    found = {word for word in words if len(word) <= 4} | letters
    found |= {f"##{letter}" for letter in letters if letter.isalnum()}
    strings = [*SPECIALS.values(), *sorted(found)]
    return WordPieceTokenizer(
        {string: number for number, string in enumerate(strings)},
        lowercase=lowercase,
        strip_accents=strip_accents,
    )


#: Beside :data:`TEXTS`: special tokens quoted in a text, Hangul, ligatures, combining accents.
SPECIAL_TEXTS = [
    "The token [SEP] parts sentences, [MASK] hides a word, </s> ends and <mask> hides, too.",
    "한국어 문장, ﬁne ﬃnancial Ⅷ, cafe\u0301 naı̈ve, ㎏",
    "x" * 101 + " \u200bzero width\ufeff \x07bell",
]
