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

from training.data.inputs import padding_of
from training.data.text_tokenizer import TextTokenizer
from training.features.texts import hidden_states, pool


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
        float32 [texts, width], each row of Euclidean length 1.
    """
    found = np.zeros([len(texts), model.blocks.width], np.float32)
    most = min(most_tokens or model.config.context, model.config.context)
    padding = padding_of(tokenizer)
    ids = [tokenizer.encode_input(text, most, as_tokens=as_tokens) or [padding] for text in texts]
    inputs = [(one, [0] * len(one)) for one in ids]
    for rows, hidden, mask in hidden_states(model, inputs, padding, batch_size=batch_size):
        mean = pool(hidden, mask, "mean")
        found[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return found
