"""From an upload to a prepared data set: checked, counted, split (``docs/formats.md``)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.data.archive import kind_of
from training.data.prepare_images import prepare_images
from training.data.prepare_sounds import prepare_sounds
from training.data.prepare_spec import PrepareSpec
from training.data.prepare_tables import prepare_tables
from training.data.prepare_texts import prepare_texts
from training.data.readers.detect import looks_like_table
from training.data.sniff import HEAD_BYTES, sniff
from training.durable import durable_folder, json_bytes, sweep, write_json
from training.errors import TrainingError
from training.events import EventLog
from training.hashing import file_hash

DATASET_VERSION = 3

#: What is prepared how.
PREPARE: dict[str, Callable[[PrepareSpec, Path, EventLog], dict[str, Any]]] = {
    "text": prepare_texts,
    "images": prepare_images,
    "sounds": prepare_sounds,
    "table": prepare_tables,
}


def run(spec: PrepareSpec, out: Path, events: EventLog) -> None:
    """Write ``out/dataset/`` and ``out/report.json``.

    Raises:
        TrainingError: A sentence about the first fault in the file, naming its place.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    prepare = PREPARE[_kind(spec)]
    with durable_folder(out / "dataset", point="dataset") as folder:
        about = prepare(spec, folder, events)
        events.emit("phase", name="saving", fraction=None, detail="")
        about = _complete(about, folder)
    report = {
        "version": DATASET_VERSION,
        "command": "prepare",
        "dataset": "dataset",
        **{key: about[key] for key in ("sha256", "counts", "splits", "warnings")},
        "duration_s": round(time.monotonic() - started, 3),
    }
    write_json(out / "report.json", report, point="report")
    events.emit("finished", report="report.json", result="dataset")


def _kind(spec: PrepareSpec) -> str:
    """What the upload holds, or is to hold: a key of :data:`PREPARE`."""
    if spec.format in ("images", "sounds", "table"):
        return spec.format
    if spec.format != "auto":
        return "text"
    path = Path(spec.path)
    try:
        with path.open("rb") as file:
            if sniff(file.read(HEAD_BYTES)).is_zip:
                return kind_of(path)
    except FileNotFoundError as error:
        raise TrainingError("file_missing", field="path") from error
    if spec.targets or spec.columns:
        return "table"
    named = spec.text_field or spec.pair_field
    is_table = not named and looks_like_table(path, spec.filename or path.name, spec.label_field)
    return "table" if is_table else "text"


def _complete(about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Add the files and the identity that follows from them, and write ``dataset.json``."""
    files = {
        path.name: {"blake3": file_hash(path), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }
    lines = (f"{name} {files[name]['blake3']}\n" for name in files if name != "preview.json")
    complete = {
        "version": DATASET_VERSION,
        **about,
        "files": files,
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }
    (folder / "dataset.json").write_bytes(json_bytes(complete))
    return complete
