"""From an uploaded file to a prepared data set: checked, counted, split (``docs/formats.md``).

One pass over the upload and one over a copy of its documents. In memory are one batch of texts and
32 bytes a document: hashes, lengths, the draw that decides its split.

A document's split follows from (seed, its normalised text) alone. So copies of a text never end up
on both sides, and the split stays as it is when the data set grows.
"""

from __future__ import annotations

import hashlib
import json
import time
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labels import MAX_LABEL, Labels, describe, group, require_learnable, stratify
from training.data.labels import remarks as label_remarks
from training.data.readers import Document, Reader, detect_format, open_reader
from training.data.readers.text import TextReader
from training.data.remarks import DocumentStatistics, remarks
from training.data.tokenizer import Tokenizer
from training.durable import durable_folder, json_bytes, sweep, write_json
from training.errors import TrainingError
from training.events import EventLog
from training.hashing import file_hash
from training.spec import PrepareSpec

DATASET_VERSION = 2
SPLITS = ("train", "validation", "test")
PREVIEW_DOCUMENTS = 20
PREVIEW_CHARACTERS = 600
#: Characters tokenised at a time.
BATCH_CHARACTERS = 1_000_000
#: Text whose documents are too few to split is read again, cut finer and finer.
FINER_CHARACTERS = (200, 40)
#: Seconds between two events that tell how far the reading is.
TELL_EVERY_S = 0.5

Draws = npt.NDArray[np.uint64]


def run(spec: PrepareSpec, out: Path, events: EventLog) -> None:
    """Write ``out/dataset/`` and ``out/report.json``.

    Raises:
        TrainingError: A sentence about the first fault in the file, naming its place.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    with durable_folder(out / "dataset", point="dataset") as folder:
        events.emit("phase", name="reading", fraction=0.0, detail="")
        found = _read(spec, folder, events)
        events.emit("phase", name="splitting", fraction=None, detail="")
        about = _split(spec, found, folder)
        events.emit("phase", name="saving", fraction=None, detail="")
    report = {
        "version": DATASET_VERSION,
        "command": "prepare",
        "dataset": "dataset",
        **{key: about[key] for key in ("sha256", "counts", "splits", "warnings")},
        "duration_s": round(time.monotonic() - started, 3),
    }
    write_json(out / "report.json", report, point="report")
    events.emit("finished", report="report.json", result="dataset")


@dataclass
class _Found:
    """What reading the upload left: a file of documents and a few numbers about each."""

    reader: Reader
    blake3: str
    size: int
    digests: bytearray = field(default_factory=bytearray)  # 16 bytes a document
    ids: array[int] = field(default_factory=lambda: array("q"))
    characters: array[int] = field(default_factory=lambda: array("q"))
    tokens: array[int] = field(default_factory=lambda: array("q"))
    statistics: DocumentStatistics = field(default_factory=DocumentStatistics)
    labels: Labels | None = None

    @property
    def distinct(self) -> int:
        return len(np.unique(self.keys()))

    def keys(self) -> npt.NDArray[np.bytes_]:
        """A hash of each document's normalised text."""
        return np.frombuffer(bytes(self.digests), "S16")


def _read(spec: PrepareSpec, folder: Path, events: EventLog) -> _Found:
    """Copy the documents to ``documents.jsonl``; plain text is cut finer while they are too few."""
    path = Path(spec.path)
    name = spec.filename or path.name
    needed = 3 if spec.test_percent else 2
    format = detect_format(path, name) if spec.format == "auto" else spec.format
    reader = open_reader(path, format, spec.text_field, label_field=spec.label_field)
    found = _read_once(reader, path, folder, events)
    for enough in FINER_CHARACTERS if format == "text" else ():
        if found.distinct < needed:
            found = _read_once(TextReader(path, enough=enough), path, folder, events)
    if not found.ids and found.labels is not None and found.labels.unlabelled:
        raise TrainingError("labels_none", field="label_field", column=found.labels.column)
    if not found.ids:
        raise TrainingError("documents_all_empty", field="path", empty=found.statistics.empty)
    if found.distinct < needed:
        raise TrainingError(
            "documents_too_few", field="path", documents=found.distinct, needed=needed
        )
    return found


def _read_once(reader: Reader, path: Path, folder: Path, events: EventLog) -> _Found:
    found = _Found(reader, file_hash(path), path.stat().st_size)
    if reader.label_field:
        found.labels = Labels(reader.label_field)
    tokenizer = Tokenizer.gpt2()
    told = time.monotonic()
    with (folder / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as copy:
        for batch in _batches(reader, found):
            texts = [document.text for document in batch]
            for document, tokens in zip(batch, tokenizer.count_batch(texts), strict=True):
                normalised = normalise(document.text)
                found.digests += hashlib.sha256(normalised.encode()).digest()[:16]
                found.ids.append(document.id)
                found.characters.append(len(document.text))
                found.tokens.append(tokens)
                found.statistics.add(normalised)
                content: dict[str, Any] = {"id": document.id, "text": document.text}
                if found.labels is not None and document.label is not None:
                    found.labels.add(document.label)
                    content["label"] = document.label
                copy.write(_line(content))
            if time.monotonic() - told >= TELL_EVERY_S:
                told = time.monotonic()
                events.emit(
                    "phase",
                    name="reading",
                    fraction=round(reader.bytes_read / max(found.size, 1), 4),
                    detail=str(len(found.ids)),
                )
    return found


def _batches(reader: Reader, found: _Found) -> Iterator[list[Document]]:
    """Documents with text in them (and a label, where labels are read), a million characters or so
    at a time."""
    statistics, labels = found.statistics, found.labels
    waiting: list[Document] = []
    characters = 0
    for document in reader:
        text = document.text.strip("\n\r\t \ufeff")
        if not text.strip():
            statistics.empty += 1
            continue
        if labels is not None and document.label is None:
            labels.unlabelled += 1
            continue
        writable = _writable(text)
        statistics.replaced += writable != text
        label = None if document.label is None else _writable(document.label)[:MAX_LABEL]
        waiting.append(Document(document.id, writable, label))
        characters += len(text) + 100
        if characters >= BATCH_CHARACTERS:
            yield waiting
            waiting, characters = [], 0
    if waiting:
        yield waiting


def normalise(text: str) -> str:
    """What makes two texts the same: their characters in NFC, however the white space runs."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _writable(text: str) -> str:
    """The text without what UTF-8 (half surrogates) or a database (NUL) cannot hold."""
    if "\0" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    # By way of UTF-16, two escaped halves that stand together become the character they mean.
    halves = text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "replace")


def draws(keys: npt.NDArray[np.bytes_], seed: int) -> Draws:
    """A number for each document, uniform in 0 … 2⁶⁴ − 1, that follows from (seed, text)."""
    start = hashlib.sha256(seed.to_bytes(8, "little"))
    found = np.empty(len(keys), np.uint64)
    for index, key in enumerate(keys):
        one = start.copy()
        one.update(key.ljust(16, b"\0"))
        found[index] = int.from_bytes(one.digest()[:8], "little")
    return found


def assign(drawn: Draws, validation_percent: float, test_percent: float) -> npt.NDArray[np.int8]:
    """The split of each document, as an index into :data:`SPLITS`.

    The lowest draws are the test's, the next the validation's. When one of the two would get none,
    it gets the document next to its range; training keeps at least one, the highest.

    Args:
        drawn: From :func:`draws`; at least as many different ones as there are splits wanted.
    """
    distinct = np.unique(drawn)
    count = len(distinct)
    test = int(np.searchsorted(distinct, _threshold(test_percent)))
    held_out = int(np.searchsorted(distinct, _threshold(test_percent + validation_percent)))
    # Clamped into 1 … count: test < held_out < count.
    test = min(max(test, 1), count - 2) if test_percent else 0
    held_out = min(max(held_out, test + 1), count - 1)
    ranks = np.searchsorted(distinct, drawn)
    return np.where(ranks < test, 2, np.where(ranks < held_out, 1, 0)).astype(np.int8)


def _threshold(percent: float) -> np.uint64:
    return np.uint64(min(int(percent / 100 * 2**64), 2**64 - 1))


def _split(spec: PrepareSpec, found: _Found, folder: Path) -> dict[str, Any]:
    """Write the splits, the preview and ``dataset.json``; the copy of the documents goes."""
    keys = found.keys()
    _, first = np.unique(keys, return_index=True)
    is_first = np.zeros(len(keys), bool)
    is_first[first] = True
    duplicates = len(keys) - len(first)
    kept = is_first if spec.remove_duplicates else np.ones(len(keys), bool)
    drawn = draws(keys, spec.seed)
    labels = None
    if found.labels is None:
        splits = assign(drawn, spec.validation_percent, spec.test_percent)
    else:
        splits, kept, labels = _split_labelled(spec, found.labels, keys, drawn, first, kept)
    tokens, characters = np.array(found.tokens), np.array(found.characters)

    names = SPLITS if spec.test_percent else SPLITS[:2]
    _write_splits(folder, found, kept, splits, names)
    counts = {
        "documents": len(keys),
        "characters": int(characters.sum()),
        "bytes": found.size,
        "tokens": int(tokens.sum()),
        "duplicates": duplicates,
        "empty": found.statistics.empty,
    }
    in_splits = {
        name: {
            "documents": int((kept & (splits == number)).sum()),
            "characters": int(characters[kept & (splits == number)].sum()),
            "tokens": int(tokens[kept & (splits == number)].sum()),
        }
        for number, name in enumerate(names)
    }
    ids = np.array(found.ids)[kept]
    about: dict[str, Any] = {
        "version": DATASET_VERSION,
        "kind": "text",
        "format": found.reader.format,
        "encoding": found.reader.encoding,
        "text_field": found.reader.text_field,
        "columns": found.reader.columns,
        "labels": labels,
        "seed": spec.seed,
        "source": {"blake3": found.blake3, "size": found.size, "filename": spec.filename},
        "counts": counts,
        "splits": in_splits,
        "lengths": _histogram(tokens[kept]),
        "script": found.statistics.han_share,
        "warnings": [
            *remarks(found.statistics, counts, tokens[kept], ids, in_splits["train"]),
            *(label_remarks(labels) if labels is not None else ()),
        ],
        "files": {f"{name}.jsonl": _describe(folder / f"{name}.jsonl") for name in names},
    }
    lines = (f"{name} {about['files'][name]['blake3']}\n" for name in sorted(about["files"]))
    about["sha256"] = hashlib.sha256("".join(lines).encode()).hexdigest()
    about["files"]["preview.json"] = _describe(folder / "preview.json")
    (folder / "dataset.json").write_bytes(json_bytes(about))
    return about


def _split_labelled(
    spec: PrepareSpec,
    labels: Labels,
    keys: npt.NDArray[np.bytes_],
    drawn: Draws,
    first: npt.NDArray[np.int64],
    kept: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_], dict[str, Any]]:
    """Splits that keep the classes' shares; which documents are kept; ``dataset.json``'s labels."""
    groups = group(keys, labels)
    needed = 3 if spec.test_percent else 2
    left_out = require_learnable(labels, groups.classes, needed, leave_out=spec.leave_out_rare)
    gone = np.array([name in left_out for name in labels.names])
    in_use = ~gone[groups.classes]
    splits = np.zeros(len(groups.classes), np.int8)
    splits[in_use] = stratify(
        drawn[first][in_use],
        groups.classes[in_use],
        spec.validation_percent,
        spec.test_percent,
    )
    of = np.array(labels.of, np.int64)
    # A copy of a kept text may itself bear a class that is left out.
    kept = kept & in_use[groups.group] & ~gone[of]
    of_document = splits[groups.group]
    names = SPLITS[:needed]
    counted = [of[kept & (of_document == number)] for number in range(needed)]
    return of_document, kept, describe(labels, counted, names, groups.conflicts, left_out)


def _write_splits(
    folder: Path,
    found: _Found,
    kept: npt.NDArray[np.bool_],
    splits: npt.NDArray[np.int8],
    names: tuple[str, ...],
) -> None:
    places = np.flatnonzero(kept)
    shown = np.linspace(0, len(places) - 1, min(PREVIEW_DOCUMENTS, len(places))).round().astype(int)
    previewed = set(places[shown].tolist())
    preview = []
    files = [(folder / f"{name}.jsonl").open("wb") for name in names]
    try:
        with (folder / "documents.jsonl").open("rb") as copy:
            for place, line in enumerate(copy):
                if not kept[place]:
                    continue
                files[splits[place]].write(line)
                if place in previewed:
                    document = json.loads(line)
                    preview.append(
                        {
                            "id": document["id"],
                            "split": names[splits[place]],
                            "text": document["text"][:PREVIEW_CHARACTERS],
                            **({"label": document["label"]} if "label" in document else {}),
                            "characters": found.characters[place],
                            "tokens": found.tokens[place],
                        }
                    )
    finally:
        for file in files:
            file.close()
    (folder / "documents.jsonl").unlink()
    (folder / "preview.json").write_bytes(json_bytes({"documents": preview}))


def _histogram(tokens: npt.NDArray[np.int64]) -> list[dict[str, int]]:
    """Documents by length: from ≤ tokens < to, each range twice as wide as the one before."""
    exponents = np.floor(np.log2(np.maximum(tokens, 1))).astype(int)
    numbers = np.bincount(exponents)
    lowest = int(exponents.min())
    return [
        {"from": 2**exponent, "to": 2 ** (exponent + 1), "documents": int(numbers[exponent])}
        for exponent in range(lowest, len(numbers))
    ]


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"


def _describe(path: Path) -> dict[str, Any]:
    return {"blake3": file_hash(path), "size": path.stat().st_size}
