"""A vector for each text from the hidden states of a frozen model.

Poolings over the real tokens t of a text (padding counts for nothing, the special tokens around the
text do):

- ``mean``: Σ_t h_t / T
- ``max``: the largest value of each dimension
- ``first``: h_1, what BERT's ``[CLS]`` stands for
- ``last``: h_T, the only one that has seen the whole text in a model that looks back only
- ``mean_max``: mean and max side by side
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.text_tokenizer import TextTokenizer
from training.features.settings import TextPooling

Progress = Callable[[float], None]
Features = npt.NDArray[np.float32]


def pool(hidden: np.ndarray, mask: np.ndarray, pooling: TextPooling) -> Features:
    """One vector a text.

    Args:
        hidden: Hidden states, float32 [batch, time, width].
        mask: [batch, time], 1 at real tokens and then 0; at least one is real in each row.
        pooling: See the module.

    Returns:
        float32 [batch, width], of ``mean_max`` [batch, 2 · width].
    """
    real = mask.astype(bool)[..., None]
    mean = np.where(real, hidden, 0).sum(1) / real.sum(1)
    match pooling:
        case "mean":
            found = mean
        case "first":
            found = hidden[:, 0]
        case "last":
            found = hidden[np.arange(len(hidden)), real[..., 0].sum(1) - 1]
        case _:
            largest = np.where(real, hidden, -np.inf).max(1)
            found = largest if pooling == "max" else np.concatenate([mean, largest], 1)
    return np.asarray(found, np.float32)


def hidden_states(
    model: Any,
    tokenizer: TextTokenizer,
    texts: Sequence[str],
    *,
    most_tokens: int | None = None,
    batch_size: int = 32,
    as_tokens: bool = False,
) -> Iterator[tuple[npt.NDArray[np.int64], np.ndarray, np.ndarray]]:
    """What the model's last block gives, batch by batch; texts of like length go together.

    Args:
        model: A text model with ``hidden``.
        tokenizer: Its tokenizer.
        texts: Any number.
        most_tokens: Longer texts are cut to so many tokens; None: to the model's context.
        batch_size: Texts computed together.
        as_tokens: See :meth:`TextTokenizer.encode_input`.

    Yields:
        Places of the texts, hidden states float32 [batch, time, width], mask int32 [batch, time].
    """
    import tensorflow as tf

    config = model.config
    most = min(most_tokens or config.context, config.context)
    # Ids of a text without a token would be empty: such a text is its padding, seen.
    padding = tokenizer.special_ids.get("pad_token_id", tokenizer.end_of_text)
    ids = [tokenizer.encode_input(text, most, as_tokens=as_tokens) or [padding] for text in texts]
    masked = "attention_mask" in inspect.signature(model.hidden).parameters

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)] * 2)
    def compute(tokens: Any, mask: Any) -> Any:
        # A model without a mask looks back only, and padding stands behind the text.
        states = model.hidden(tokens, mask) if masked else model.hidden(tokens)
        shape = tf.shape(tokens)
        return tf.reshape(states, [shape[0], shape[1], states.shape[-1]])

    order = np.argsort([len(one) for one in ids], kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        longest = max(len(ids[row]) for row in rows)
        tokens = np.full([len(rows), longest], padding, np.int32)
        mask = np.zeros([len(rows), longest], np.int32)
        for place, row in enumerate(rows):
            tokens[place, : len(ids[row])] = ids[row]
            mask[place, : len(ids[row])] = 1
        yield rows, compute(tokens, mask).numpy(), mask


def text_features(
    model: Any,
    tokenizer: TextTokenizer,
    texts: Sequence[str],
    pooling: TextPooling,
    *,
    most_tokens: int | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Features:
    """A vector for each text, in the order of the texts; see :func:`hidden_states`.

    Returns:
        float32 [texts, width], of ``mean_max`` [texts, 2 · width].
    """
    found: Features | None = None
    done = 0
    for rows, hidden, mask in hidden_states(
        model, tokenizer, texts, most_tokens=most_tokens, batch_size=batch_size
    ):
        vectors = pool(hidden, mask, pooling)
        if found is None:
            found = np.empty([len(texts), vectors.shape[1]], np.float32)
        found[rows] = vectors
        done += len(rows)
        if progress is not None:
            progress(done / len(texts))
    assert found is not None, "no texts"
    return found
