"""How likely texts are to a model under each label, and what follows from that by Bayes' rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.control.blocks import LabelledBlocks, Places
from training.data.order import spread_batches
from training.evaluation.bootstrap import ratio_interval
from training.evaluation.classification import Probabilities, log_softmax

#: Pieces of a text that are read at most, the first of them.
MOST_PIECES = 4

Losses = npt.NDArray[np.float64]


class Reader:
    """Reads sequences with a model.

    Args:
        model: A language model with ``hidden`` and ``head``.
        batch_size: Sequences in memory at a time.
    """

    def __init__(self, model: Any, batch_size: int) -> None:
        import tensorflow as tf

        def losses(inputs: Any, targets: Any, mask: Any) -> Any:
            logits = model.head(model.hidden(inputs))
            nll = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=tf.reshape(targets, [-1]), logits=logits
            )
            return tf.reduce_sum(tf.reshape(nll, tf.shape(mask)) * mask, -1)

        self._losses = tf.function(losses, autograph=False)
        self._batch_size = batch_size

    def text_losses(
        self,
        blocks: LabelledBlocks,
        texts: Places,
        heads: Sequence[int],
        told: Callable[[float], None] = lambda _share: None,
    ) -> tuple[Losses, npt.NDArray[np.int64]]:
        """−log p of each text under each head, in nats, and its tokens that count.

        Args:
            blocks: A split's.
            texts: Which of its texts, each once.
            heads: Tokens at the head: a label's, or end-of-text for none.
            told: Called with the share done.

        Returns:
            float64 [texts, heads], int64 [texts].
        """
        import tensorflow as tf

        rows, owners = pieces_of_texts(blocks, texts)
        losses = np.zeros((len(texts), len(heads)))
        tokens = np.zeros(len(texts), np.int64)
        done = 0
        for places, real in spread_batches(len(rows), self._batch_size):
            mask = np.zeros(0, np.float32)
            for column, head in enumerate(heads):
                arrays = blocks.take(rows[places], np.full(len(places), head, np.int32))
                mask = arrays[2]
                found = self._losses(*map(tf.constant, arrays)).numpy()[:real]
                np.add.at(losses[:, column], owners[places[:real]], found.astype(np.float64))
            counted = mask.sum(-1).astype(np.int64)[:real]
            np.add.at(tokens, owners[places[:real]], counted)
            done += real
            told(done / len(rows))
        return losses, tokens


def pieces_of_texts(blocks: LabelledBlocks, texts: Places) -> tuple[Places, Places]:
    """The first :data:`MOST_PIECES` sequences of each text, and the text's place among those asked
    for."""
    starts = np.flatnonzero(blocks.first)
    ends = np.append(starts[1:], blocks.count)
    rows, owners = [], []
    for place, text in enumerate(texts):
        found = np.arange(starts[text], min(ends[text], starts[text] + MOST_PIECES))
        rows.append(found)
        owners.append(np.full(len(found), place))
    return np.concatenate(rows), np.concatenate(owners)


def posterior(losses: Losses, shares: npt.NDArray[np.float64]) -> Probabilities:
    """p(class | text) by Bayes' rule, float64 [texts, classes].

    Args:
        losses: −log p(text | class), [texts, classes].
        shares: p(class), [classes]; each more than 0.
    """
    return np.asarray(np.exp(log_softmax(np.log(shares) - losses)))


def by_label(
    losses: Losses,
    unlabelled: npt.NDArray[np.float64] | None,
    tokens: npt.NDArray[np.int64],
    labels: Places,
    seed: int,
) -> dict[str, Any]:
    """Perplexity with the true label, with a wrong one, and with none.

    Args:
        losses: −log p(text | class), [texts, classes].
        unlabelled: −log p(text), [texts]; None: the model knows no texts without a label.
        tokens: Of each text.
        labels: Its true class.
        seed: Of the resampling, by texts.

    Returns:
        ``perplexity`` ``{true, wrong, unlabelled: {value, interval}}``, wrong as the mean over all
        other labels; ``gap``: nats per token that a wrong label costs; ``gain``: nats per token
        that the label saves. Intervals 95 %.
    """
    true = losses[np.arange(len(labels)), labels]
    wrong = (losses.sum(1) - true) / (losses.shape[1] - 1)
    sides = {"true": true, "wrong": wrong}
    found: dict[str, Any] = {"gap": _ratio(wrong - true, tokens, seed)}
    if unlabelled is not None:
        sides["unlabelled"] = unlabelled
        found["gain"] = _ratio(unlabelled - true, tokens, seed)
    found["perplexity"] = {name: perplexity(one, tokens, seed) for name, one in sides.items()}
    return found


def perplexity(
    losses: npt.NDArray[np.float64], tokens: npt.NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """exp of the mean loss per token, with its interval over texts."""
    told = _ratio(losses, tokens, seed)
    return {
        "value": float(np.exp(told["value"])),
        "interval": [float(np.exp(end)) for end in told["interval"]],
    }


def _ratio(losses: Losses, tokens: npt.NDArray[np.int64], seed: int) -> dict[str, Any]:
    return {
        "value": float(losses.sum() / tokens.sum()),
        "interval": ratio_interval(losses, tokens, seed),
    }
