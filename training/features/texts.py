"""A vector for each text from the hidden states of a frozen model.

Poolings over the real tokens t of a text (padding counts for nothing, the special tokens around the
text do):

- ``mean``: Σ_t h_t / T
- ``max``: the largest value of each dimension
- ``first``: h_1, what BERT's ``[CLS]`` stands for
- ``last``: h_T, the only one that has seen the whole text in a model that looks back only
- ``mean_max``: mean and max side by side
- ``attention``: none yet; all h_t are kept for :mod:`training.features.attention`
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.inputs import Encoded, encoded, padded, padding_of
from training.data.text_tokenizer import TextTokenizer
from training.features.attention import room_for
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
        float32 [batch, width], of ``mean_max`` [batch, 2 · width], of ``attention``
        [batch, time, width], NaN at padding.
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
        case "attention":
            found = np.where(real, hidden, np.nan)
        case _:
            largest = np.where(real, hidden, -np.inf).max(1)
            found = largest if pooling == "max" else np.concatenate([mean, largest], 1)
    return np.asarray(found, np.float32)


def hidden_states(
    model: Any, inputs: Sequence[Encoded], padding: int, *, batch_size: int = 32
) -> Iterator[tuple[npt.NDArray[np.int64], np.ndarray, np.ndarray]]:
    """What the model's last block gives, batch by batch; texts of like length go together.

    Args:
        model: A text model with ``hidden``.
        inputs: Ids and token types of each text; see :func:`training.data.inputs.encoded`.
        padding: The id that fills up a text.
        batch_size: Texts computed together.

    Yields:
        Places of the texts, hidden states float32 [batch, time, width], mask int32 [batch, time].
    """
    import tensorflow as tf

    # A model without a mask looks back only, and padding stands behind the text.
    takes = inspect.signature(model.hidden).parameters
    further = sum(name in takes for name in ("attention_mask", "token_types"))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)] * 3)
    def compute(*arrays: Any) -> Any:
        states = model.hidden(*arrays[: 1 + further])
        shape = tf.shape(arrays[0])
        return tf.reshape(states, [shape[0], shape[1], states.shape[-1]])

    lengths = np.array([len(ids) for ids, _types in inputs], np.int64)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        tokens, mask, types = padded(
            [inputs[row] for row in rows], padding, int(lengths[rows].max())
        )
        yield rows, compute(tokens, mask, types).numpy(), mask


def text_features(
    model: Any,
    tokenizer: TextTokenizer,
    rows: Sequence[Mapping[str, Any]],
    pooling: TextPooling,
    *,
    most_tokens: int | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Features:
    """A vector for each text or pair, in their order; see :func:`hidden_states`.

    Args:
        model: A text model with ``hidden``.
        tokenizer: Its tokenizer.
        rows: As prepared; see :func:`training.data.inputs.encoded`.
        pooling: See the module.
        most_tokens: Longer ones are cut to so many tokens; None: to the model's context.
        batch_size: Texts computed together.
        progress: Told the share that is done.

    Returns:
        float32 [texts, width], of ``mean_max`` [texts, 2 · width], of ``attention``
        [texts, longest, width].

    Raises:
        TrainingError: ``attention_too_large``.
    """
    found: Features | None = None
    done = 0
    most = min(most_tokens or model.config.context, model.config.context)
    inputs = [encoded(tokenizer, row, most) for row in rows]
    longest = max(len(ids) for ids, _types in inputs)
    for places, hidden, mask in hidden_states(
        model, inputs, padding_of(tokenizer), batch_size=batch_size
    ):
        vectors = pool(hidden, mask, pooling)
        if found is None:
            found = (
                room_for(len(rows), longest, vectors.shape[2])
                if vectors.ndim == 3
                else np.empty([len(rows), vectors.shape[1]], np.float32)
            )
        if vectors.ndim == 3:
            found[places, : vectors.shape[1]] = vectors
        else:
            found[places] = vectors
        done += len(places)
        if progress is not None:
            progress(done / len(rows))
    assert found is not None, "no texts"
    return found
