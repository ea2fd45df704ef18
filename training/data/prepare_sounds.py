"""Sounds of an archive: decoded, pictured, counted, split (``docs/formats.md``).

Each WAV file is decoded here, mixed down, resampled, cut or filled up to one length, and written
again twice: as a WAV file that every browser plays, and as the PNG of its log-mel spectrogram,
which is what is learned.
"""

from __future__ import annotations

import zipfile
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from blake3 import blake3

from training.data.archive import Archive, Member, open_archive
from training.data.archive_examples import (
    MAX_NAME,
    Found,
    append,
    each,
    remarks,
    require_enough,
    write_splits,
)
from training.data.image_files import write_png
from training.data.labels import Labels
from training.data.prepare_spec import MOST_FRAMES, PrepareSpec
from training.data.remarks import percent, remark
from training.data.splits import Division, divide, histogram, spread
from training.durable import json_bytes
from training.errors import TrainingError
from training.events import EventLog
from training.hashing import file_hash
from training.sound.mel import SoundShape, as_picture, empty_bands, log_mel
from training.sound.wav import Clip, Samples, SoundRefused, read_wav, resampled, write_wav

PREVIEW_SOUNDS, PREVIEW_A_CLASS = 36, 6
#: Of what is not asked for: the highest rate, and the longest clips.
USUAL_RATE, USUAL_FRAMES = 16_000, 128
#: Frames come in such steps, so that a model can halve them; fewer are no picture.
FRAME_STEP, LEAST_FRAMES = 8, 32
#: Share of the clips whose length is enough for the others.
ENOUGH = 0.95
#: Loudest sample of a clip whose level was set.
LEVEL = 0.95
#: A clip of which so much is filled up is short.
SHORT = 0.5
#: Share of clips that are short, cut or clipped that is worth a word.
MANY = 0.05
READING = 0.4


def prepare_sounds(spec: PrepareSpec, folder: Path, events: EventLog) -> dict[str, Any]:
    """Write the splits and the preview.

    Args:
        spec: Where the archive is, and how it is read and split.
        folder: Where to.
        events: Gets ``phase``.

    Returns:
        What ``dataset.json`` says of sounds (``docs/formats.md``).

    Raises:
        TrainingError: ``sounds_*``, ``sound_too_long``, ``mel_bands_too_many``, ``archive_*``,
            ``label*``.
    """
    events.emit("phase", name="reading", fraction=0.0, detail="")
    # Nothing learns a number of a sound.
    spec = spec.model_copy(update={"label_type": "classes"})
    path = Path(spec.path)
    archive = open_archive(
        path,
        "sounds",
        folder,
        label_field=spec.label_field,
        folders_are_classes=spec.folders_are_classes,
    )
    copy = folder / "sounds"
    with archive.file, copy.open("w+b") as file:
        heard = _listen(archive, events)
        found = _Sounds(labels=Labels(archive.label_field) if archive.labelled else None)
        found.unreadable, found.told = heard.unreadable, heard.told
        if found.labels is not None and heard.labels is not None:
            found.labels.unlabelled = heard.labels.unlabelled
        if not heard.members and heard.silent:
            raise TrainingError("sounds_silent", field="path", sounds=heard.silent)
        require_enough("sounds", spec, heard)
        shape = shape_for(spec, heard)
        _write_clips(archive, heard, shape, spec.same_level, found, file, events)
        require_enough("sounds", spec, found)
        events.emit("phase", name="splitting", fraction=None, detail="")
        divided = divide(spec, found.keys(), found.labels)
        shape = _with_ceiling(shape, found, divided, file)
        preview = write_splits(
            folder,
            found,
            divided,
            _previewed(found, divided),
            lambda packed, place: _put(packed, place, found, shape, file),
        )
    copy.unlink()
    (folder / "preview.json").write_bytes(json_bytes({"sounds": preview}))
    lengths = np.array(found.lengths_ms)[divided.kept]
    counts = {
        "sounds": len(found.members),
        "bytes": path.stat().st_size,
        "unreadable": found.unreadable,
        "ignored": archive.ignored,
        "duplicates": divided.duplicates,
        "silent": heard.silent,
        "clipped": heard.clipped,
        "shorter": int((lengths < SHORT * 1000 * shape.seconds).sum()),
        "longer": int((lengths > 1000 * shape.seconds + 1).sum()),
    }
    in_splits = {
        name: {"sounds": int(divided.members(number).sum())}
        for number, name in enumerate(divided.names)
    }
    return {
        "kind": "sound",
        "format": "sounds",
        "list": archive.list_name[:MAX_NAME],
        "sound": shape.as_dict() | {"same_level": spec.same_level},
        "labels": divided.labels,
        "seed": spec.seed,
        "source": {
            "blake3": file_hash(path),
            "size": counts["bytes"],
            "filename": spec.filename,
        },
        "counts": counts,
        "splits": in_splits,
        "lengths_ms": histogram(lengths, "sounds"),
        "rates": {str(rate): count for rate, count in heard.rates.most_common()},
        "modes": dict(heard.modes.most_common()),
        "unreadable": found.told,
        "warnings": remarks("sounds", spec, archive, found, divided, _told(heard, counts, shape)),
    }


@dataclass
class _Heard(Found):
    """What a first reading found, which decides how the clips are to be written."""

    seconds: array[float] = field(default_factory=lambda: array("d"))
    rates: Counter[int] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    clipped: int = 0


@dataclass
class _Sounds(Found):
    """Clips of one length, one after another in a file, and how long they were."""

    lengths_ms: array[int] = field(default_factory=lambda: array("q"))


def _listen(archive: Archive, events: EventLog) -> _Heard:
    """Decode every sound that is to be used; what cannot be heard is only counted."""
    heard = _Heard(labels=Labels(archive.label_field) if archive.labelled else None)
    for member, data in each(archive, heard, events, READING):
        try:
            clip = read_wav(data)
        except SoundRefused as error:
            heard.refuse(member, str(error))
            continue
        if clip.is_silent:
            heard.silent += 1
            continue
        heard.keep(member, blake3(data).digest(16), 0)
        heard.seconds.append(clip.seconds)
        heard.rates[clip.rate] += 1
        heard.modes[clip.mode] += 1
        heard.clipped += clip.clipped
    return heard


def shape_for(spec: PrepareSpec, heard: _Heard) -> SoundShape:
    """How the clips are pictured: as asked for, else as suits most of them.

    The rate is the most frequent one, at most :data:`USUAL_RATE`; the length such that
    :data:`ENOUGH` of the clips are whole, at most :data:`USUAL_FRAMES` frames.

    Raises:
        TrainingError: ``sound_too_long``, ``mel_bands_too_many``.
    """
    rate = spec.sound_rate or min(heard.rates.most_common(1)[0][0], USUAL_RATE)
    hop = max(1, round(rate * spec.hop_ms / 1000))
    window = 2 * round(rate * spec.window_ms / 2000)
    seconds = spec.sound_seconds
    if seconds is None:
        usual = float(np.quantile(np.array(heard.seconds), ENOUGH))
        seconds = min(usual, USUAL_FRAMES * hop / rate)
    steps = -(-round(seconds * rate) // (hop * FRAME_STEP))
    frames = max(LEAST_FRAMES, FRAME_STEP * steps)
    if frames > MOST_FRAMES:
        raise TrainingError(
            "sound_too_long",
            field="sound_seconds",
            seconds=round(seconds, 2),
            hop=f"{spec.hop_ms:g}",
            most=round(MOST_FRAMES * hop / rate, 2),
        )
    if empty := empty_bands(rate, window, spec.mel_bands):
        raise TrainingError(
            "mel_bands_too_many",
            field="mel_bands",
            empty=empty,
            bands=spec.mel_bands,
            window=f"{spec.window_ms:g}",
            rate=rate,
        )
    return SoundShape(rate, window, hop, spec.mel_bands, frames, 0.0)


def _write_clips(
    archive: Archive,
    heard: _Heard,
    shape: SoundShape,
    same_level: bool,
    found: _Sounds,
    file: IO[bytes],
    events: EventLog,
) -> None:
    """Decode what can be used once more, and write it as it will be learned."""
    for number, member in enumerate(heard.members):
        if number % 50 == 0:
            share = READING + (1 - READING) * number / len(heard.members)
            events.emit("phase", name="reading", fraction=round(share, 4), detail=str(number))
        samples = as_learned(read_wav(archive.read(member)), shape, same_level)
        _add(found, member, samples, heard.seconds[number], shape, file)


def as_learned(clip: Clip, shape: SoundShape, same_level: bool) -> Samples:
    """A clip at the shape's rate and length: cut at its end, or filled up with silence.

    Args:
        clip: As it came.
        shape: How it is wanted.
        same_level: Whether its loudest sample is to be :data:`LEVEL`.
    """
    # What is cut off need not be resampled; a little more keeps the filter's end out of it.
    most = int((shape.seconds + 0.1) * clip.rate) + 1
    samples = clip.samples[:most]
    samples = resampled(samples - samples.mean(), clip.rate, shape.rate)[: shape.samples]
    samples = np.pad(samples, (0, shape.samples - len(samples)))
    peak = float(np.abs(samples).max(initial=0))
    # What is cut off may have been all that could be heard: noise is not made loud.
    if same_level and peak > 1e-4:
        samples = samples * np.float32(LEVEL / peak)
    return np.asarray(np.clip(samples, -1, 1), np.float32)


def _add(
    found: _Sounds,
    member: Member,
    samples: Samples,
    seconds: float,
    shape: SoundShape,
    file: IO[bytes],
) -> None:
    content = write_wav(samples, shape.rate)
    file.write(content)
    found.keep(member, blake3(content).digest(16), len(content))
    found.lengths_ms.append(round(1000 * seconds))


def _content(place: int, found: _Sounds, file: IO[bytes]) -> bytes:
    start, end = found.starts[place : place + 2]
    file.seek(start)
    return file.read(end - start)


def _with_ceiling(
    shape: SoundShape, found: _Sounds, divided: Division, file: IO[bytes]
) -> SoundShape:
    """The shape with the loudest band of all clips as white, rounded up to a whole decibel."""
    loudest = max(
        float(log_mel(read_wav(_content(place, found, file)).samples, shape).max())
        for place in np.flatnonzero(divided.kept).tolist()
    )
    return replace(shape, ceiling_db=float(np.ceil(loudest)))


def _put(
    packed: zipfile.ZipFile, place: int, found: _Sounds, shape: SoundShape, file: IO[bytes]
) -> dict[str, Any]:
    content, name = _content(place, found, file), f"{found.members[place].id:07d}"
    decibels = log_mel(read_wav(content).samples, shape)
    png = write_png(np.asarray(np.rint(as_picture(decibels, shape.ceiling_db) * 255), np.uint8))
    return {
        "height": shape.bands,
        "width": shape.frames,
        "offset": append(packed, f"{name}.png", png),
        "size": len(png),
        "sound": {"offset": append(packed, f"{name}.wav", content), "size": len(content)},
        "ms": found.lengths_ms[place],
    }


def _previewed(found: _Sounds, divided: Division) -> set[int]:
    """A few of each class, so that every class can be heard."""
    if found.labels is None:
        return set(spread(divided.kept, PREVIEW_SOUNDS))
    classes = np.array(found.labels.of)
    there = np.unique(classes[divided.kept])
    most = max(1, min(PREVIEW_A_CLASS, PREVIEW_SOUNDS // len(there)))
    chosen = [spread(divided.kept & (classes == one), most) for one in there[:PREVIEW_SOUNDS]]
    return {place for places in chosen for place in places}


def _told(heard: _Heard, counts: dict[str, int], shape: SoundShape) -> list[dict[str, Any]]:
    """What is said of sounds alone."""
    said, total = [], counts["sounds"]
    if heard.silent:
        said.append(remark("warning_sounds_silent", sounds=heard.silent))
    seconds = round(shape.seconds, 2)
    for name in ("clipped", "longer", "shorter"):
        if counts[name] >= max(1, MANY * total):
            told: dict[str, float] = {"sounds": counts[name]}
            told |= {"percent": percent(counts[name], total)}
            if name != "clipped":
                told["seconds"] = seconds
            said.append(remark(f"warning_sounds_{name}", **told))
    if len(heard.rates) > 1:
        rates = ", ".join(str(rate) for rate, _count in heard.rates.most_common(5))
        said.append(remark("warning_sounds_rates", rates=rates, rate=shape.rate))
    if min(heard.rates) < shape.rate:
        low = sum(count for rate, count in heard.rates.items() if rate < shape.rate)
        said.append(remark("warning_sounds_low_rate", sounds=low, rate=shape.rate))
    return said
