"""The sample data sets and GPT-2's vocabulary are the files that samples/README.md describes."""

import hashlib
import importlib.util
import json
import re
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("synthesise", ROOT / "samples/synthesise.py")
synthesise = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(synthesise)
ROW = re.compile(r"^\| (\S+) \| ([\d,]+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def rows_of(name: str) -> list[dict[str, str]]:
    text = (ROOT / "samples" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_each_file_has_the_size_and_checksum_in_the_readme() -> None:
    listed = {
        name: (int(size.replace(",", "")), digest)
        for name, size, digest in ROW.findall(
            (ROOT / "samples/README.md").read_text(encoding="utf-8")
        )
    }
    files = [
        *(ROOT / "samples").glob("*.jsonl"),
        *(ROOT / "samples").glob("LICENSE*"),
        ROOT / "samples/sounds.zip",
        *(ROOT / "training/data/gpt2_vocabulary").iterdir(),
    ]
    found = {
        path.relative_to(ROOT).as_posix(): (
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in files
    }
    assert found == listed


@pytest.mark.parametrize(
    ("name", "documents", "fields"),
    [
        ("brown.jsonl", 500, {"text", "category"}),
        ("moby_dick.jsonl", 136, {"text", "title"}),
        ("song_ci.jsonl", 9043, {"text", "title", "author"}),
    ],
)
def test_each_line_is_a_document_with_the_fields_in_the_readme(
    name: str, documents: int, fields: set[str]
) -> None:
    rows = rows_of(name)
    assert len(rows) == documents
    assert all(set(row) == fields and all(row.values()) for row in rows)
    assert len({row["text"] for row in rows}) == documents


def test_brown_reads_as_print_does() -> None:
    text = "\n".join(row["text"] for row in rows_of("brown.jsonl"))
    assert text.startswith("The Fulton County Grand Jury said Friday an investigation of Atlanta's")
    assert "`" not in text
    assert "''" not in text
    assert "  " not in text
    assert not re.search(r"[a-z]/[a-z]{2,3}\s", text[:20_000]), "a tag was left"


def test_the_sounds_are_what_the_script_makes() -> None:
    with zipfile.ZipFile(ROOT / "samples/sounds.zip") as archive:
        names = archive.namelist()
        assert len(names) == 300
        assert {name.split("/")[0] for name in names} == set(synthesise.KINDS)
        for place, (kind, make) in enumerate(synthesise.KINDS.items()):
            with wave.open(archive.open(f"{kind}/007.wav")) as file:
                found = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                assert file.getframerate() == synthesise.RATE
            random = np.random.default_rng([synthesise.SEED, place, 7])
            expected = make(random)
            expected *= random.uniform(0.3, 0.9) / np.abs(expected).max() * (2**15 - 1)
            # Sines differ in their last digit from one processor to another.
            assert np.abs(found - expected).max() < 2


def test_gpt2s_vocabulary_is_the_published_one() -> None:
    folder = ROOT / "training/data/gpt2_vocabulary"
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    assert len(vocabulary) == 50_257
    assert vocabulary["<|endoftext|>"] == 50_256
    assert merges[0] == "#version: 0.2"
    assert len([line for line in merges[1:] if line]) == 50_000
