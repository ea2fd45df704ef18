"""Vectors of sentences from an encoder: mean of the hidden states over real tokens, length one.

    v = Σ_t m_t h_t / Σ_t m_t,    e = v / ‖v‖            m_t is 1 at real tokens, 0 at padding

- Reimers and Gurevych, 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks".

Details people get wrong: padding must not count in the mean, the special tokens around the text do;
the mean is over hidden states of the last block, not over the pooler's output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data.text_tokenizer import TextTokenizer


def mean_pool(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mask-weighted mean over time, scaled to length one.

    Args:
        hidden: Hidden states, float32 [batch, time, width].
        mask: [batch, time], 1 at real tokens and 0 at padding; at least one is real in each row.

    Returns:
        float32 [batch, width], each row of Euclidean length 1.
    """
    weights = mask.astype(np.float32)[..., None]
    mean = (hidden * weights).sum(1) / weights.sum(1)
    found: np.ndarray = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return found


def sentence_embeddings(
    model: Any,
    tokenizer: TextTokenizer,
    texts: Sequence[str],
    *,
    most_tokens: int | None = None,
    batch_size: int = 32,
    as_tokens: bool = False,
) -> np.ndarray:
    """A vector for each text; the cosine of two is their dot product.

    Args:
        model: A :class:`training.backbones.encoder.model.Encoder`.
        tokenizer: Its tokenizer.
        texts: Sentences or paragraphs.
        most_tokens: Longer texts are cut to so many tokens; None: to the model's context.
        batch_size: Texts computed together.
        as_tokens: See :meth:`TextTokenizer.encode_input`.

    Returns:
        float32 [texts, width].
    """
    most = min(most_tokens or model.config.context, model.config.context)
    found = [np.zeros([0, model.blocks.width], np.float32)]
    for start in range(0, len(texts), batch_size):
        ids = [
            tokenizer.encode_input(text, most, as_tokens=as_tokens)
            for text in texts[start : start + batch_size]
        ]
        longest = max(map(len, ids))
        padding = tokenizer.special_ids["pad_token_id"]
        tokens = np.full([len(ids), longest], padding, np.int32)
        mask = np.zeros([len(ids), longest], np.int32)
        for row, sentence in enumerate(ids):
            tokens[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        hidden = np.asarray(model.hidden(tokens, mask)).reshape(*tokens.shape, -1)
        found.append(mean_pool(hidden, mask))
    return np.concatenate(found)
