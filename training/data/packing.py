"""Documents as sequences of equal length.

The text of a split is one stream: end-of-text, first document, end-of-text, second document,
end-of-text … Every token but the very first is predicted from those before it, exactly once an
epoch, so that a loss per token is comparable whatever the sequence length:

    packing:     the stream is cut every T targets; neighbours share one token, the last target of
                 one being the first input of the next
    no packing:  each document, with end-of-text on both sides, is cut on its own and padded

In which order a run sees them stands in :mod:`training.data.order`.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from training.data.labelled import whole_text
from training.data.order import rows_of_batch, spread_batches
from training.data.tokenizer import Tokenizer
from training.durable import durable_folder, json_bytes
from training.errors import TrainingError
from training.hashing import file_hash

CACHE_VERSION = 1
#: Characters encoded at a time: ids and offsets of about this many live at once.
BATCH_CHARACTERS = 1_000_000

Int32 = npt.NDArray[np.int32]
#: inputs int32 [B, T], targets int32 [B, T], mask float32 [B, T]: 1 where the target is real.
Batch = tuple[Int32, Int32, npt.NDArray[np.float32]]
#: Called with the share done, 0..1.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Blocks:
    """A split's text as sequences, on disk and mapped into memory.

    Attributes:
        tokens: int32 [N, T + 1]; padded at the end with end-of-text.
        lengths: int32 [N]; how many of a block's T targets are real, at least 1.
        target_count: Real targets of all blocks together.
        sha256: Identity of the content: equal for equal text, tokenizer, length and packing.
    """

    tokens: Int32
    lengths: Int32
    target_count: int
    sha256: str

    @property
    def count(self) -> int:
        return int(self.tokens.shape[0])

    @property
    def sequence_length(self) -> int:
        return int(self.tokens.shape[1]) - 1

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        """The blocks of these rows as inputs, targets and mask."""
        # Copies: TensorFlow may keep a NumPy array's memory, and these views are read-only.
        chosen = self.tokens[rows]
        mask = np.arange(self.sequence_length) < self.lengths[rows][:, None]
        return (
            np.ascontiguousarray(chosen[:, :-1]),
            np.ascontiguousarray(chosen[:, 1:]),
            mask.astype(np.float32),
        )


def load_blocks(
    dataset_folder: Path,
    split: str,
    tokenizer: Tokenizer,
    sequence_length: int,
    packing: bool,
    cache_dir: Path,
    progress: Progress | None = None,
) -> Blocks:
    """Encode a split of a prepared data set, or find it encoded from before.

    Args:
        dataset_folder: Made by ``prepare``; has ``train.jsonl`` and so on.
        split: ``train``, ``validation`` or ``test``.
        sequence_length: Targets a block holds (T).
        packing: See the module.
        cache_dir: Where blocks are kept, keyed by content; safe to share and to delete.
        progress: Told the share of the split's bytes that is encoded.

    Returns:
        The blocks. A missing or empty test split gives none (``count`` 0).

    Raises:
        TrainingError: ``split_missing`` for the other two; ``corpus_too_short`` when training text
            does not fill one sequence (validation and test may be one padded block);
            ``dataset_not_text``; ``disk_full_writing``.
    """
    source = Path(dataset_folder) / f"{split}.jsonl"
    _require_no_table(source)
    if not source.is_file() or source.stat().st_size == 0:
        if split != "test":
            raise TrainingError("split_missing", field="data.path", split=split)
        empty = np.zeros((0, sequence_length + 1), np.int32)
        return Blocks(empty, np.zeros(0, np.int32), 0, hashlib.sha256(b"").hexdigest())
    key = _key(source, tokenizer, sequence_length, packing)
    folder = Path(cache_dir) / f"blocks-{key[:32]}"
    blocks = _open(folder, key, sequence_length)
    if blocks is None:
        _write(folder, key, source, tokenizer, sequence_length, packing, progress)
        blocks = _open(folder, key, sequence_length)
        if blocks is None:
            raise OSError(f"{folder} changed while it was read")
    if progress is not None:
        progress(1.0)
    if split == "train" and blocks.target_count < sequence_length:
        raise TrainingError(
            "corpus_too_short",
            field="training.sequence_length",
            split=split,
            tokens=blocks.target_count,
            sequence_length=sequence_length,
        )
    return blocks


def batch(blocks: Blocks, seed: int, step_index: int, batch_size: int) -> Batch:
    """Batch number ``step_index`` of an endless run; see :func:`rows_of_batch`."""
    return blocks.take(rows_of_batch(seed, step_index, batch_size, blocks.count))


def sequential_batches(
    blocks: Blocks, batch_size: int, limit: int | None = None
) -> Iterator[Batch]:
    """Batches for evaluation, each of the same shape; rows that fill up the last have mask 0."""
    for rows, real in spread_batches(blocks.count, batch_size, limit):
        inputs, targets, mask = blocks.take(rows)
        mask[real:] = 0
        yield inputs, targets, mask


def documents(source: Path) -> Iterator[tuple[str, int]]:
    """The texts of a split's file, each with the byte offset after it.

    Raises:
        TrainingError: ``dataset_not_text``.
    """
    _require_no_table(source)
    with source.open("rb") as file:
        offset = 0
        for line in file:
            offset += len(line)
            row = json.loads(line)
            if "text" not in row:
                raise TrainingError("dataset_not_text", field="data.path")
            yield whole_text(row), offset


def _require_no_table(source: Path) -> None:
    if not source.is_file() and source.with_suffix(".parquet").is_file():
        raise TrainingError("dataset_not_text", field="data.path")


def _key(source: Path, tokenizer: Tokenizer, sequence_length: int, packing: bool) -> str:
    parts = [CACHE_VERSION, file_hash(source), tokenizer.sha256, sequence_length, packing]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _open(folder: Path, key: str, sequence_length: int) -> Blocks | None:
    """Map blocks that were written whole; None when there are none (or another format's)."""
    try:
        about = json.loads((folder / "blocks.json").read_text())
        count, width = about["count"], sequence_length + 1
        if about["key"] != key:
            return None
        tokens = np.memmap(folder / "tokens.i32", np.dtype("<i4"), "r", shape=(count, width))
        lengths = np.fromfile(folder / "lengths.i32", np.dtype("<i4"))
    except (OSError, ValueError, KeyError):
        return None
    if len(lengths) != count:
        return None
    return Blocks(tokens, lengths, int(lengths.sum(dtype=np.int64)), key)


def _write(
    folder: Path,
    key: str,
    source: Path,
    tokenizer: Tokenizer,
    sequence_length: int,
    packing: bool,
    progress: Progress | None,
) -> None:
    """Encode into a folder that appears whole."""
    size = source.stat().st_size
    try:
        with durable_folder(folder, point="blocks") as temporary:
            with (
                (temporary / "tokens.i32").open("wb") as tokens,
                (temporary / "lengths.i32").open("wb") as lengths,
            ):
                cutter = _Cutter(tokens, lengths, sequence_length, tokenizer.end_of_text)
                for ids_of_batch, offset in _encoded(source, tokenizer):
                    for ids in ids_of_batch:
                        cutter.add(ids, packing)
                    if progress is not None:
                        progress(offset / size)
                cutter.end()
            about = {"key": key, "count": cutter.count}
            (temporary / "blocks.json").write_bytes(json_bytes(about))
    except OSError as error:
        # Another process that shares the cache was quicker; its blocks are the same.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _encoded(source: Path, tokenizer: Tokenizer) -> Iterator[tuple[list[list[int]], int]]:
    """The documents' ids in batches, each with the byte offset after it."""
    waiting: list[str] = []
    characters = offset = 0
    for text, offset in documents(source):
        waiting.append(text)
        characters += len(text)
        if characters >= BATCH_CHARACTERS:
            yield tokenizer.encode_batch(waiting), offset
            waiting, characters = [], 0
    if waiting:
        yield tokenizer.encode_batch(waiting), offset


class _Cutter:
    """Cuts the stream of ids into blocks of T + 1 and writes them as they fill."""

    def __init__(
        self, tokens: IO[bytes], lengths: IO[bytes], sequence_length: int, end_of_text: int
    ) -> None:
        self.count = 0
        self._tokens, self._lengths = tokens, lengths
        self._length, self._end = sequence_length, end_of_text
        self._rest = np.array([end_of_text], np.int32)

    def add(self, ids: list[int], packing: bool) -> None:
        stream = np.concatenate([self._rest, np.array([*ids, self._end], np.int32)])
        full = (len(stream) - 1) // self._length
        if full:
            starts = np.arange(full)[:, None] * self._length
            self._put(stream[starts + np.arange(self._length + 1)], self._length)
        self._rest = stream[full * self._length :]
        if not packing:
            self.end()

    def end(self) -> None:
        """Pad what is left. The last token of the stream is an end-of-text: the next input."""
        real = len(self._rest) - 1
        if real:
            block = np.full((1, self._length + 1), self._end, np.int32)
            block[0, : real + 1] = self._rest
            self._put(block, real)
        self._rest = np.array([self._end], np.int32)

    def _put(self, blocks: Int32, real: int) -> None:
        self._tokens.write(blocks.astype("<i4").tobytes())
        self._lengths.write(np.full(len(blocks), real, "<i4").tobytes())
        self.count += len(blocks)
