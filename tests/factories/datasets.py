"""Datasets, their versions and uploads in any state."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from tests.factories.accounts import Cast
from tests.factories.jobs import make_job
from tests.pictures import encoded, picture
from tests.sounds import tone, wav
from training.data.prepare_spec import PrepareSpec
from webapp import storage
from webapp.datasets import services
from webapp.datasets.models import Dataset, DatasetVersion, Upload
from webapp.jobs.models import State

LABELS = {
    "field": "kind",
    "classes": [
        {"name": "good <b>", "train": 90, "validation": 5, "test": 5},
        {"name": "bad", "train": 81, "validation": 5, "test": 4},
    ],
    "unlabelled": 0,
    "conflicts": 0,
    "left_out": [],
}


def make_upload(cast: Cast, content: bytes = b"One.\n\nTwo.\n", **fields: Any) -> Upload:
    """A complete upload of Alice's, its bytes on disk."""
    values = {"filename": "text.txt", "team": cast.team, "owner": cast.alice} | fields
    name = values.pop("filename")
    return services.upload_take(file=SimpleUploadedFile(name, content), **values)


def make_summary(**fields: Any) -> dict[str, Any]:
    """A ``dataset.json`` of a small English text."""
    return {
        "version": 1,
        "kind": "text",
        "format": "jsonl",
        "encoding": "utf-8",
        "text_field": "text",
        "columns": ["text", "title"],
        "seed": 0,
        "counts": {
            "documents": 1200,
            "characters": 400_000,
            "bytes": 410_000,
            "tokens": 98_765,
            "duplicates": 3,
            "empty": 1,
        },
        "splits": {
            "train": {"documents": 1080, "characters": 360_000, "tokens": 88_000},
            "validation": {"documents": 60, "characters": 20_000, "tokens": 5_000},
            "test": {"documents": 60, "characters": 20_000, "tokens": 5_765},
        },
        "lengths": [
            {"from": 16, "to": 32, "documents": 200},
            {"from": 32, "to": 64, "documents": 0},
            {"from": 64, "to": 128, "documents": 1000},
        ],
        "script": 0.0,
        "warnings": [{"code": "warning_empty", "params": {"empty": 1}, "message": ""}],
        "sha256": "ab" * 32,
    } | fields


def make_version(cast: Cast, *, state: str = State.SUCCEEDED, **fields: Any) -> DatasetVersion:
    """A version of a dataset of Alice's; ready unless another state of its job is named.

    ``name`` names the dataset, ``job`` holds fields of the job.
    """
    team = fields.pop("team", cast.team)
    owner = fields.pop("owner", cast.alice)
    name = fields.pop("name", "Letters")
    dataset = fields.pop("dataset", None) or Dataset.objects.create(
        name=name, team=team, owner=owner, description="What people wrote.", origin="CC0"
    )
    number = fields.pop("number", dataset.versions.count() + 1)
    raw = hashlib.sha256(f"{name}{number}".encode()).hexdigest()
    spec = PrepareSpec(path=f"store:{raw}", filename="letters.jsonl")
    job_fields = {
        "kind": "prepare",
        "queue": "io",
        "state": state,
        "spec": spec.model_dump(mode="json"),
        "team": team,
        "owner": owner,
    } | fields.pop("job", {})
    if state in {State.SUCCEEDED, State.FAILED, State.CANCELLED}:
        job_fields.setdefault("finished_at", timezone.now())
    values: dict[str, Any] = {
        "filename": "letters.jsonl",
        "raw_blake3": raw,
        "raw_size": 410_000,
    }
    if state == State.SUCCEEDED:
        values |= {
            "manifest": {"train.jsonl": {"blake3": raw, "size": 1}},
            "sha256": raw,
            "summary": make_summary(),
            "preview": {
                "documents": [
                    {
                        "id": place,
                        "split": "train",
                        "text": f"Dear reader {place},\nhow are you?",
                        "characters": 700,
                        "tokens": 90,
                    }
                    for place in range(7)
                ]
            },
        }
    return DatasetVersion.objects.create(
        dataset=dataset,
        number=number,
        job=make_job(cast, **job_fields),
        team=team,
        owner=owner,
        **values | fields,
    )


def make_labelled(cast: Cast, **fields: Any) -> DatasetVersion:
    """Ready data of Alice's with two classes."""
    name = fields.pop("name", "Reviews")
    return make_version(cast, name=name, summary=make_summary(labels=LABELS), **fields)


NUMBERS = {
    "field": "rating",
    "type": "number",
    "statistics": {
        "minimum": -3.9,
        "mean": 0.25,
        "maximum": 3.75,
        "std": 1.5,
        "quantiles": {"5": -2.5, "25": -1.0, "50": 0.5, "75": 1.5, "95": 3.0},
    },
    "histogram": {"from": -3.9, "to": 3.75, "counts": [40, 0, 600, 400, 40]},
    "different": 321,
    "unlabelled": 12,
    "conflicts": 4,
}


def make_numbered(cast: Cast, **fields: Any) -> DatasetVersion:
    """Ready texts of Alice's with a number each."""
    name, labels = fields.pop("name", "Ratings"), fields.pop("labels", NUMBERS)
    return make_version(cast, name=name, summary=make_summary(labels=labels), **fields)


TAGS = {
    "field": "ner_tags",
    "type": "tags",
    "scheme": "IOB2",
    "malformed": 2,
    "blank": 0,
    "conflicts": 1,
    "tags": [
        {"name": "O", "train": 900, "validation": 45, "test": 45},
        {"name": "B-PER", "train": 80, "validation": 4, "test": 6},
        {"name": "I-PER", "train": 20, "validation": 1, "test": 1},
        {"name": "B-LOC", "train": 10, "validation": 1, "test": 1},
    ],
    "entities": [
        {"name": "PER", "train": 80, "validation": 4, "test": 6},
        {"name": "LOC", "train": 10, "validation": 1, "test": 1},
    ],
}


def make_tagged(cast: Cast, **fields: Any) -> DatasetVersion:
    """Ready sentences of Alice's whose words have tags."""
    name, labels = fields.pop("name", "Names"), fields.pop("labels", TAGS)
    sentence = {
        "id": 3,
        "split": "train",
        "words": ["Anna", "<Blum>", "met", "Rome"],
        "tags": ["B-PER", "I-PER", "O", "B-LOC"],
        "length": 4,
        "characters": 20,
        "tokens": 9,
    }
    return make_version(
        cast,
        name=name,
        filename="names.conll",
        summary=make_summary(labels=labels, format="conll", text_field="1"),
        preview={"documents": [sentence]},
        **fields,
    )


def make_images(cast: Cast, *, folder: Path, count: int = 6, **fields: Any) -> DatasetVersion:
    """Ready images of Alice's with two classes; their PNGs lie in the store, one after another."""
    content, rows = bytearray(), []
    for number in range(count):
        png = encoded(picture(number))
        rows.append(
            {
                "id": number,
                "split": "train",
                "name": f"{('cat', 'dog')[number % 2]}/<{number}>.png",
                "label": ("cat", "dog")[number % 2],
                "width": 24,
                "height": 20,
                "offset": len(content),
                "size": len(png),
            }
        )
        content += png
    (folder / "train.zip").write_bytes(content)
    manifest = storage.store_folder(folder)
    classes = [{"name": name, "train": 40, "validation": 3, "test": 4} for name in ("cat", "dog")]
    summary = {
        "version": 3,
        "kind": "image",
        "format": "images",
        "list": "",
        "longest_px": 256,
        "labels": LABELS | {"field": "", "classes": classes},
        "seed": 0,
        "counts": {
            "images": 1094,
            "bytes": 5000,
            "unreadable": 1,
            "ignored": 2,
            "duplicates": 3,
        },
        "splits": {"train": {"images": 80}, "validation": {"images": 6}, "test": {"images": 8}},
        "sides": [{"from": 16, "to": 32, "images": 94}],
        "side_px": 20,
        "modes": {"RGB": 90, "L": 4},
        "unreadable": [{"name": "cat/<broken>.png", "reason": "truncated"}],
        "warnings": [],
        "sha256": "cd" * 32,
    } | fields.pop("summary", {})
    values = {
        "name": "Animals",
        "summary": summary,
        "manifest": manifest,
        "preview": {"images": rows},
        "filename": "animals.zip",
    }
    return make_version(cast, **values | fields)


def make_sounds(cast: Cast, *, folder: Path, count: int = 6, **fields: Any) -> DatasetVersion:
    """Ready sounds of Alice's with two classes; each a picture and a WAV file in the store."""
    content, rows = bytearray(), []
    for number in range(count):
        png, sound = encoded(picture(number, size=(32, 28))), wav(tone(200 + 50 * number))
        rows.append(
            {
                "id": number,
                "split": "train",
                "name": f"{('high', 'low')[number % 2]}/<{number}>.wav",
                "label": ("high", "low")[number % 2],
                "height": 28,
                "width": 32,
                "offset": len(content),
                "size": len(png),
                "sound": {"offset": len(content) + len(png), "size": len(sound)},
                "ms": 500,
            }
        )
        content += png + sound
    (folder / "train.zip").write_bytes(content)
    classes = [{"name": name, "train": 40, "validation": 3, "test": 4} for name in ("high", "low")]
    summary = {
        "version": 3,
        "kind": "sound",
        "format": "sounds",
        "list": "",
        "sound": SOUND,
        "labels": LABELS | {"field": "", "classes": classes},
        "seed": 0,
        "counts": {
            "sounds": 94,
            "bytes": 5000,
            "unreadable": 1,
            "ignored": 2,
            "duplicates": 3,
            "silent": 4,
            "clipped": 5,
            "shorter": 6,
            "longer": 7,
        },
        "splits": {"train": {"sounds": 80}, "validation": {"sounds": 6}, "test": {"sounds": 8}},
        "lengths_ms": [{"from": 256, "to": 512, "sounds": 94}],
        "rates": {"44100": 90, "8000": 4},
        "modes": {"16-bit, stereo": 94},
        "unreadable": [{"name": "high/<broken>.wav", "reason": "no WAV file"}],
        "warnings": [],
        "sha256": "ef" * 32,
    } | fields.pop("summary", {})
    values = {
        "name": "Noises",
        "summary": summary,
        "manifest": storage.store_folder(folder),
        "preview": {"sounds": sorted(rows, key=lambda row: row["label"])},
        "filename": "noises.zip",
    }
    return make_version(cast, **values | fields)


#: Half a second at 8,000 Hz.
SOUND: dict[str, Any] = {
    "rate": 8000,
    "window": 512,
    "hop": 128,
    "bands": 28,
    "frames": 32,
    "ceiling_db": 30.0,
    "same_level": True,
}


def make_column(name: str, type: str, **fields: Any) -> dict[str, Any]:
    """A column of a table's summary, as ``prepare`` describes it."""
    about: dict[str, Any] = {
        "name": name,
        "type": type,
        "found": type,
        "reason": "",
        "target": False,
        "missing": 0,
        "distinct": 2,
        "slips": 0,
    }
    if type == "number":
        about |= {
            "statistics": {
                "minimum": 17.0,
                "mean": 38.64,
                "maximum": 90.0,
                "std": 13.7,
                "quantiles": {"5": 19.0, "25": 28.0, "50": 37.0, "75": 48.0, "95": 63.0},
            },
            "histogram": {"from": 16.5, "to": 92.5, "counts": [300, 420, 150, 20]},
        }
    if type == "category":
        about |= {
            "categories": 2,
            "known": 890,
            "largest": [
                {"name": "yes <b>", "train": 600, "validation": 30, "test": 30},
                {"name": "no", "train": 290, "validation": 15, "test": 15},
            ],
            "unseen": {"categories": 0, "rows": 0},
        }
    return about | fields


def make_table(cast: Cast, **fields: Any) -> DatasetVersion:
    """A ready table of Alice's: numbers, categories, a target, and columns that are left out."""
    classes = [
        {"name": "<=50K", "train": 680, "validation": 34, "test": 34},
        {"name": ">50K", "train": 210, "validation": 11, "test": 11},
    ]
    columns = [
        make_column("age", "number", missing=49),
        make_column("member", "category", missing=100),
        make_column("fnlwgt", "ignored", found="number"),
        make_column("id", "ignored", reason="running", distinct=1000),
        make_column("tags", "ignored", reason="nested", distinct=0),
        make_column("income", "category", target=True, largest=classes),
    ]
    summary = {
        "version": 3,
        "kind": "table",
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ",",
        "columns": columns,
        "targets": [{"name": "income", "type": "category", "missing": 3, "classes": classes}],
        "labels": None,
        "left_out": [],
        "seed": 0,
        "counts": {
            "rows": 1000,
            "columns": 6,
            "used": 3,
            "bytes": 5000,
            "missing": 149,
            "duplicates": 17,
            "alike": 0,
            "unlabelled": 5,
            "overlap": 2,
            "conflicts": 4,
        },
        "splits": {"train": {"rows": 890}, "validation": {"rows": 45}, "test": {"rows": 45}},
        "warnings": [{"code": "warning_table_unlabelled", "params": {"rows": 5}, "message": ""}],
        "sha256": "ef" * 32,
    } | fields.pop("summary", {})
    rows = [
        {"id": place, "split": "train", "values": [str(20 + place), None, "1", "2", None, "<=50K"]}
        for place in range(3)
    ]
    values = {
        "name": "Census",
        "filename": "census.csv",
        "summary": summary,
        "preview": {"columns": [column["name"] for column in columns], "rows": rows},
    }
    return make_version(cast, **values | fields)
