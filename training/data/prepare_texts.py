"""Texts of an upload: read, counted, split (``docs/formats.md``).

One pass over the upload and one over a copy of its documents. In memory are one batch of texts and
32 bytes a document: hashes, lengths, the draw that decides its split.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.characters import normalise, writable
from training.data.labels import MAX_LABEL, Labels
from training.data.prepare_spec import PrepareSpec
from training.data.readers import Document, Reader, detect_format, open_reader
from training.data.readers.base import MAX_NAME, likely_pair
from training.data.readers.tagged import TaggedReader
from training.data.readers.text import TextReader
from training.data.remarks import DocumentStatistics, remark, remarks
from training.data.splits import (
    Division,
    divide,
    histogram,
    label_remarks,
    splits_of,
    spread,
)
from training.data.tags import SplitCounts, Tags
from training.data.tags import describe as describe_tags
from training.data.tags import remarks as tag_remarks
from training.data.tokenizer import Tokenizer
from training.durable import json_bytes
from training.errors import TrainingError
from training.events import EventLog
from training.hashing import file_hash

PREVIEW_DOCUMENTS = 20
PREVIEW_CHARACTERS = 600
PREVIEW_WORDS = 80
#: Characters tokenised at a time.
BATCH_CHARACTERS = 1_000_000
#: Text whose documents are too few to split is read again, cut finer and finer.
FINER_CHARACTERS = (200, 40)
#: Seconds between two events that tell how far the reading is.
TELL_EVERY_S = 0.5


def prepare_texts(spec: PrepareSpec, folder: Path, events: EventLog) -> dict[str, Any]:
    """Write the splits and the preview.

    Args:
        spec: Where the upload is, and how it is read and split.
        folder: Where to.
        events: Gets ``phase``.

    Returns:
        What ``dataset.json`` says of texts (``docs/formats.md``).

    Raises:
        TrainingError: A sentence about the first fault in the file, naming its place.
    """
    events.emit("phase", name="reading", fraction=0.0, detail="")
    found = _read(spec, folder, events)
    events.emit("phase", name="splitting", fraction=None, detail="")
    return _split(spec, found, folder)


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
    tags: Tags | None = None

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
    needed = len(splits_of(spec))
    format = detect_format(path, name) if spec.format == "auto" else spec.format
    reader = open_reader(
        path,
        format,
        spec.text_field,
        label_field=spec.label_field,
        pair_field=spec.pair_field,
    )
    found = _read_once(reader, path, folder, events)
    for enough in FINER_CHARACTERS if format == "text" else ():
        if found.distinct < needed:
            found = _read_once(TextReader(path, enough=enough), path, folder, events)
    if not found.ids and found.labels is not None and found.labels.unlabelled:
        raise TrainingError("labels_none", field="label_field", column=found.labels.column)
    if not found.ids and found.statistics.unpaired:
        raise TrainingError("pairs_none", field="pair_field", column=reader.pair_field)
    if not found.ids:
        raise TrainingError("documents_all_empty", field="path", empty=found.statistics.empty)
    if found.distinct < needed:
        raise TrainingError(
            "documents_too_few", field="path", documents=found.distinct, needed=needed
        )
    return found


def _read_once(reader: Reader, path: Path, folder: Path, events: EventLog) -> _Found:
    found = _Found(reader, file_hash(path), path.stat().st_size)
    if reader.tagged:
        found.tags = Tags(reader.label_field)
    elif reader.label_field:
        found.labels = Labels(reader.label_field)
    tokenizer = Tokenizer.gpt2()
    told = time.monotonic()
    with (folder / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as copy:
        for batch in _batches(reader, found):
            parts = [_parts(document) for document in batch]
            tokens = iter(tokenizer.count_batch([text for texts in parts for text in texts]))
            for document, texts in zip(batch, parts, strict=True):
                # No text has the separator: pairs that are cut elsewhere are not the same.
                normalised = "\x1f".join(map(normalise, texts))
                found.digests += hashlib.sha256(normalised.encode()).digest()[:16]
                found.ids.append(document.id)
                found.characters.append(sum(map(len, texts)))
                found.tokens.append(sum(next(tokens) for _text in texts))
                found.statistics.add(normalised)
                content: dict[str, Any] = {"id": document.id, "text": document.text}
                if document.text_pair is not None:
                    content["text_pair"] = document.text_pair
                if found.labels is not None and document.label is not None:
                    found.labels.add(document.label)
                    content["label"] = document.label
                if found.tags is not None and document.words and document.tags:
                    found.tags.add(document.words, document.tags)
                    content |= {"words": document.words, "tags": document.tags}
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


def _parts(document: Document) -> list[str]:
    """A document's texts: one, or the two of a pair."""
    return [document.text] if document.text_pair is None else [document.text, document.text_pair]


def _batches(reader: Reader, found: _Found) -> Iterator[list[Document]]:
    """Documents with text in them (and a partner and a label, where these are read), a million
    characters or so at a time."""
    statistics, labels = found.statistics, found.labels
    waiting: list[Document] = []
    characters = 0
    for document in reader:
        text = _stripped(document.text)
        if not text:
            statistics.empty += 1
            continue
        second = _stripped(document.text_pair or "") if reader.pair_field else None
        if second == "":
            statistics.unpaired += 1
            continue
        if labels is not None and document.label is None:
            labels.unlabelled += 1
            continue
        written = writable(text)
        partner = None if second is None else writable(second)
        statistics.replaced += (written, partner) != (text, second)
        label = None if document.label is None else writable(document.label)[:MAX_LABEL]
        words = None if document.words is None else list(map(writable, document.words))
        waiting.append(Document(document.id, written, label, partner, words, document.tags))
        characters += len(text) + len(second or "") + 100
        if characters >= BATCH_CHARACTERS:
            yield waiting
            waiting, characters = [], 0
    if waiting:
        yield waiting


def _stripped(text: str) -> str:
    """Without the space around; empty where there is nothing but space."""
    return text.strip("\n\r\t \ufeff") if text.strip() else ""


def _split(spec: PrepareSpec, found: _Found, folder: Path) -> dict[str, Any]:
    """Write the splits and the preview; the copy of the documents goes."""
    if found.tags is not None:
        found.tags.require_learnable()
    divided = divide(spec, found.keys(), found.labels)
    tokens, characters = np.array(found.tokens), np.array(found.characters)
    counted = SplitCounts(divided.names, found.tags.scheme) if found.tags is not None else None
    _write_splits(folder, found, divided, counted)
    labels, lengths = divided.labels, tokens
    if found.tags is not None and counted is not None:
        labels = describe_tags(found.tags, counted, found.tags.conflicts(found.keys()))
        lengths = np.array(found.tags.words)
    counts = {
        "documents": len(tokens),
        "characters": int(characters.sum()),
        "bytes": found.size,
        "tokens": int(tokens.sum()),
        "duplicates": divided.duplicates,
        "empty": found.statistics.empty,
        **({"unpaired": found.statistics.unpaired} if found.reader.pair_field else {}),
        **({"words": int(lengths.sum())} if counted is not None else {}),
    }
    in_splits = {
        name: {
            "documents": int((here := divided.members(number)).sum()),
            "characters": int(characters[here].sum()),
            "tokens": int(tokens[here].sum()),
            **({"words": counted.words(name)} if counted is not None else {}),
        }
        for number, name in enumerate(divided.names)
    }
    kept = divided.kept
    ids = np.array(found.ids)[kept]
    return {
        "kind": "text",
        "format": found.reader.format,
        "encoding": found.reader.encoding,
        "text_field": found.reader.text_field,
        "pair_field": found.reader.pair_field,
        "columns": found.reader.columns,
        "labels": labels,
        "seed": spec.seed,
        "source": {"blake3": found.blake3, "size": found.size, "filename": spec.filename},
        "counts": counts,
        "splits": in_splits,
        "lengths": histogram(lengths[kept], "documents"),
        "script": found.statistics.han_share,
        "warnings": [
            *remarks(
                found.statistics,
                counts,
                tokens[kept],
                ids,
                in_splits["train"],
                sentences=found.reader.tagged,
            ),
            *_column_remarks(found.reader),
            *(label_remarks(spec, labels) if counted is None else tag_remarks(labels or {})),
        ],
    }


def _column_remarks(reader: Reader) -> list[dict[str, Any]]:
    """What is worth saying of columns that are read as nothing."""
    if isinstance(reader, TaggedReader):
        others = [column[:MAX_NAME] for column in reader.others]
        read = {"column": reader.label_field[:MAX_NAME], "others": ", ".join(others)}
        return [remark("warning_tags_others", **read)] if others else []
    partner = likely_pair(reader)
    read = {"column": reader.text_field[:MAX_NAME], "partner": partner[:MAX_NAME]}
    return [remark("warning_maybe_pairs", **read)] if partner else []


def _write_splits(
    folder: Path, found: _Found, divided: Division, counted: SplitCounts | None
) -> None:
    kept, splits, names, numbers = divided.kept, divided.of, divided.names, divided.numbers
    previewed = set(spread(kept, PREVIEW_DOCUMENTS))
    preview = []
    files = [(folder / f"{name}.jsonl").open("wb") for name in names]
    try:
        with (folder / "documents.jsonl").open("rb") as copy:
            for place, line in enumerate(copy):
                if not kept[place]:
                    continue
                parsed = numbers is not None or counted is not None or place in previewed
                document = json.loads(line) if parsed else {}
                if numbers is not None:
                    # Read as a text, before anyone knew what the labels are.
                    document["label"] = float(numbers[place])
                    line = _line(document).encode()
                if counted is not None:
                    counted.add(names[splits[place]], document["tags"])
                files[splits[place]].write(line)
                if place in previewed:
                    preview.append(
                        {
                            "id": document["id"],
                            "split": names[splits[place]],
                            **_shown(document),
                            **({"label": document["label"]} if "label" in document else {}),
                            **({"length": found.tags.words[place]} if found.tags else {}),
                            "characters": found.characters[place],
                            "tokens": found.tokens[place],
                        }
                    )
    finally:
        for file in files:
            file.close()
    (folder / "documents.jsonl").unlink()
    (folder / "preview.json").write_bytes(json_bytes({"documents": preview}))


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    """The beginning of a document's texts, or of its words and tags."""
    shown = (
        {"words": PREVIEW_WORDS, "tags": PREVIEW_WORDS}
        if "words" in document
        else {"text": PREVIEW_CHARACTERS, "text_pair": PREVIEW_CHARACTERS}
    )
    return {name: document[name][:most] for name, most in shown.items() if name in document}


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
