"""Texts of classes as sequences, each with a place for its label at the head.

    first piece of a text:   [head] t1 t2 … tn             predicts t1 … tn
    every later piece:       [head] tk tk+1 … tm           predicts tk+1 … tm

The head is the control token of the text's class; without a label it is end-of-text, as between
documents of :mod:`training.data.packing`. A sequence holds one text alone, so no class reads
another's. The head is never predicted, and a later piece's first token was predicted by the piece
before: every token of a text counts exactly once an epoch, with a label or without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.packing import Blocks, Int32

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledBlocks:
    """A split's sequences.

    Attributes:
        blocks: Texts cut each on its own (``packing`` off): T tokens, T − 1 targets.
        first: Whether a block begins its text, bool [blocks].
        texts: Which text it is of, int64 [blocks].
        labels: Class of that text, int64 [blocks].
    """

    blocks: Blocks
    first: npt.NDArray[np.bool_]
    texts: Places
    labels: Places

    @classmethod
    def of(cls, blocks: Blocks, end_of_text: int, labels: Places) -> LabelledBlocks:
        """Find each block's text and with it its class.

        Args:
            blocks: As above.
            end_of_text: Stands at the head of every text, and nowhere within one.
            labels: Class of each text.
        """
        first = np.asarray(blocks.tokens[:, 0] == end_of_text)
        texts = np.cumsum(first, dtype=np.int64) - 1
        if first.sum() != len(labels):
            raise ValueError(f"{first.sum()} texts in blocks, and {len(labels)} labels")
        return cls(blocks, first, texts, labels[texts])

    @property
    def count(self) -> int:
        return self.blocks.count

    def take(self, rows: Places, heads: Int32) -> tuple[Int32, Int32, npt.NDArray[np.float32]]:
        """These blocks with these heads, as inputs, targets and mask.

        Args:
            rows: Which blocks.
            heads: int32 [rows], the token at each one's head.

        Returns:
            int32 [rows, T], int32 [rows, T], float32 [rows, T]: 1 where the target is real and
            counts.
        """
        stored = np.asarray(self.blocks.tokens[rows])
        length = stored.shape[1]
        later = ~self.first[rows]
        tokens = np.empty((len(rows), length + 1), np.int32)
        tokens[:, :-1] = stored
        tokens[:, -1] = stored[:, -1]  # of a first piece: padding, which does not count
        tokens[later, 1:] = stored[later]
        tokens[:, 0] = heads
        begins = later.astype(np.int64)
        ends = begins + self.blocks.lengths[rows]
        place = np.arange(length)
        mask = (place >= begins[:, None]) & (place < ends[:, None])
        return tokens[:, :-1].copy(), tokens[:, 1:].copy(), mask.astype(np.float32)
