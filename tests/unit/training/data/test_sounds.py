"""Sounds of an archive: decoded, brought to one length and rate, checked, split."""

import io
import json
import shutil
import wave

import numpy as np
import pytest
from pydantic import ValidationError

from tests.pictures import archive, class_folders, encoded, picture
from tests.sounds import class_folders as sound_folders
from tests.sounds import hiss, tone, wav
from training.data.image_files import read_png
from training.data.prepare_spec import PrepareSpec
from training.errors import TrainingError
from training.sound.mel import as_picture, log_mel, shape_of
from training.sound.wav import read_wav


def rows(folder) -> dict[str, list[dict]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def part(folder, split: str, place: dict) -> bytes:
    content = (folder / f"{split}.zip").read_bytes()
    return content[place["offset"] : place["offset"] + place["size"]]


def codes(about: dict) -> dict[str, dict]:
    return {one["code"]: one["params"] for one in about["warnings"]}


def code_of(prepared, content, **settings) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        prepared(content, "upload.zip", **settings)
    assert not (prepared.out / "dataset").exists()
    return caught.value


def test_a_sound_becomes_a_wav_file_and_its_picture(prepared) -> None:
    files = sound_folders(20)
    about = prepared(archive(files), "upload.zip", validation_percent=10, test_percent=20)
    assert about["kind"] == "sound"
    expected = {"rate": 8000, "window": 512, "hop": 128, "bands": 64, "frames": 32}
    assert about["sound"] | expected == about["sound"]
    assert about["labels"]["classes"] == [
        {"name": name, "train": 14, "validation": 2, "test": 4} for name in ("high", "hiss", "low")
    ]
    assert about["splits"]["test"] == {"sounds": 12}
    assert about["lengths_ms"] == [{"from": 256, "to": 512, "sounds": 60}]
    assert about["rates"] == {"8000": 60}
    assert about["modes"] == {"16-bit, mono": 60}
    assert set(codes(about)) == {"warning_few_sounds"}
    folder, shape = prepared.out / "dataset", shape_of(about["sound"])
    loudest = 0.0
    for split, found in rows(folder).items():
        for row in found:
            assert row["label"] == row["name"].split("/")[0]
            assert row["ms"] == 500
            clip = read_wav(part(folder, split, row["sound"]))
            assert clip.rate == 8000
            assert len(clip.samples) == shape.samples == 4096
            assert np.abs(clip.samples).max() == pytest.approx(0.95, abs=1e-3)
            mine = read_wav(files[row["name"]]).samples
            like = np.corrcoef(clip.samples[:4000], mine)[0, 1]
            assert like > 0.999
            assert not clip.samples[4000:].any()
            pixels = read_png(part(folder, split, row))
            assert pixels.shape == (64, 32, 1)
            wanted = 255 * as_picture(log_mel(clip.samples, shape), shape.ceiling_db)
            assert np.abs(pixels - wanted).max() <= 0.5 + 1e-3
            loudest = max(loudest, float(log_mel(clip.samples, shape).max()))
    assert shape.ceiling_db == np.ceil(loudest)
    preview = json.loads((folder / "preview.json").read_text())["sounds"]
    assert [one["label"] for one in preview] == ["high"] * 6 + ["hiss"] * 6 + ["low"] * 6


def test_the_same_upload_is_the_same_data_set(prepared) -> None:
    content = archive(sound_folders(5))
    first = prepared(content, "upload.zip")
    assert prepared(content, "upload.zip")["sha256"] == first["sha256"]
    assert prepared(content, "upload.zip", hop_ms=32)["sha256"] != first["sha256"]


def test_rates_depths_and_channels_are_brought_together(prepared) -> None:
    files = sound_folders(4, rate=22_050)
    stereo = np.stack([tone(500, rate=44_100), tone(700, rate=44_100)], 1)
    files["low/stereo.wav"] = wav(stereo, rate=44_100, kind="24")
    files["low/same.wav"] = wav(tone(270, rate=44_100), rate=44_100)
    files["low/old.WAV"] = wav(tone(250, rate=8000, seed=5), kind="8")
    files["high/float.wav"] = wav(tone(1400, rate=22_050), rate=22_050, kind="float")
    about = prepared(archive(files), "upload.zip")
    assert about["sound"]["rate"] == 16_000  # the usual one is more than is needed
    assert about["rates"] == {"22050": 13, "44100": 2, "8000": 1}
    assert about["modes"]["24-bit, stereo"] == 1
    told = codes(about)
    assert told["warning_sounds_rates"] == {"rates": "22050, 44100, 8000", "rate": 16_000}
    assert told["warning_sounds_low_rate"]["sounds"] == 1
    assert prepared(archive(sound_folders(4)), "upload.zip")["sound"]["rate"] == 8000
    told = prepared(archive(files), "upload.zip", sound_rate=11_025)
    assert told["sound"]["rate"] == 11_025
    assert told["sound"]["hop"] == 176


def test_what_cannot_be_learned_from_is_counted(prepared) -> None:
    files: dict[str, bytes | str] = dict(sound_folders(6))
    files |= {
        "low/silent.wav": wav(np.zeros(4000)),
        "low/quiet.wav": wav(0.0004 * tone(300)),
        "low/broken.wav": b"RIFF....WAVEnothing",
        "low/other.wav": b"ID3",
        "low/copy.wav": files["low/00.wav"],
        "low/louder.wav": wav(1.3 * tone(200)),
        "low/clipped.wav": wav(np.clip(3 * tone(210, seed=9), -1, 1)),
        "high/long.wav": wav(tone(1650, seconds=3, seed=8)),
        "high/short.wav": wav(tone(1650, seconds=0.1, seed=7)),
        "readme.txt": "Recorded in a shed.",
    }
    about = prepared(archive(files), "upload.zip")
    counts = {"sounds": 23, "silent": 2, "unreadable": 2, "ignored": 1, "clipped": 1}
    assert about["counts"] | counts == about["counts"]
    assert about["counts"]["duplicates"] == 1
    assert about["counts"]["longer"] == 1
    assert about["counts"]["shorter"] == 1
    assert about["unreadable"][1] == {"name": "low/other.wav", "reason": "no WAV file"}
    assert {
        "warning_sounds_silent",
        "warning_sounds_unreadable",
        "warning_files_no_sounds",
        "warning_few_sounds",
    } <= set(codes(about))


def test_a_length_is_found_or_asked_for(prepared) -> None:
    files = sound_folders(6, seconds=0.9)
    assert prepared(archive(files), "upload.zip")["sound"]["frames"] == 64
    about = prepared(archive(files), "upload.zip", sound_seconds=0.6)
    assert about["sound"]["frames"] == 40
    assert about["counts"]["longer"] == 18
    assert codes(about)["warning_sounds_longer"] == {"sounds": 18, "percent": 100, "seconds": 0.64}
    about = prepared(archive(files), "upload.zip", sound_seconds=2.5, hop_ms=32)
    assert about["sound"]["frames"] == 80
    assert "warning_sounds_shorter" in codes(about)
    shutil.rmtree(prepared.out)
    long = {name: wav(hiss(seconds=4, seed=place)) for place, name in enumerate(files)}
    error = code_of(prepared, archive(long), sound_seconds=6)
    assert (error.code, error.field) == ("sound_too_long", "sound_seconds")
    assert error.params["most"] == 4.1
    assert prepared(archive(long), "upload.zip")["sound"]["frames"] == 128


def test_a_level_is_kept_if_asked_for(prepared) -> None:
    files = {f"{name}/{n}.wav": wav(0.1 * tone(300 + n * 40)) for name in "ab" for n in range(4)}
    files |= {f"b/{n}.wav": wav(0.1 * tone(900 + n * 40)) for n in range(4)}
    prepared(archive(files), "upload.zip", same_level=False)
    folder = prepared.out / "dataset"
    (first, *_others) = rows(folder)["train"]
    samples = read_wav(part(folder, "train", first["sound"])).samples
    assert np.abs(samples).max() < 0.1


def test_a_list_gives_the_classes(prepared) -> None:
    files: dict[str, bytes | str] = {f"{n}.wav": wav(tone(300 + 90 * n)) for n in range(8)}
    lines = [f"{n}.wav,{'even' if n % 2 == 0 else 'odd'}" for n in range(7)]
    files["manifest.csv"] = "\n".join(["audio,label", *lines, "9.wav,odd"])
    about = prepared(archive(files), "upload.zip")
    assert about["list"] == "manifest.csv"
    assert [one["name"] for one in about["labels"]["classes"]] == ["even", "odd"]
    assert about["labels"]["unlabelled"] == 1
    assert about["counts"]["sounds"] == 7
    assert codes(about)["warning_sounds_missing"]["name"] == "9.wav"


def test_without_labels_it_says_what_to_do(prepared) -> None:
    files = {f"{n}.wav": wav(tone(300 + 90 * n)) for n in range(8)}
    about = prepared(archive(files), "upload.zip")
    assert about["labels"] is None
    assert "warning_sounds_unlabelled" in codes(about)


def test_an_archive_is_taken_for_what_it_mostly_holds(prepared) -> None:
    cover = {"cover.png": encoded(picture(1))}
    assert prepared(archive(sound_folders(4) | cover), "upload.zip")["kind"] == "sound"
    jingle = {"jingle.wav": wav(tone(300))}
    assert prepared(archive(class_folders(8) | jingle), "upload.zip")["kind"] == "image"


@pytest.mark.parametrize(
    ("files", "changes", "code"),
    [
        ({"a.mp3": b"ID3", "b.flac": b"fLaC"}, {}, "sounds_none"),
        ({"a.png": b"x"}, {"format": "sounds"}, "sounds_none"),
        ({"../a.wav": wav(tone(300))}, {}, "archive_path"),
        ({"a/x.wav": b"RIFF", "b/y.wav": b"RIFF"}, {}, "sounds_unreadable"),
        ({"a/x.wav": wav(np.zeros(99)), "b/y.wav": wav(np.zeros(99))}, {}, "sounds_silent"),
        ({"a/x.wav": wav(tone(300)), "b/y.wav": wav(tone(400))}, {}, "sounds_too_few"),
        (sound_folders(4), {"window_ms": 8, "hop_ms": 4}, "mel_bands_too_many"),
    ],
)
def test_what_cannot_be_used_is_refused(prepared, files, changes, code) -> None:
    assert code_of(prepared, archive(files), **changes).code == code


def test_what_is_no_archive_is_refused(prepared) -> None:
    assert code_of(prepared, wav(tone(300)), format="sounds").code == "sounds_need_zip"


def test_a_size_that_lies_is_refused(prepared) -> None:
    content = bytearray(archive(sound_folders(4)))
    place = content.rfind(b"PK\x01\x02")
    content[place + 24 : place + 28] = (1 << 30).to_bytes(4, "little")
    about = prepared(bytes(content), "upload.zip")
    assert about["counts"]["unreadable"] == 1
    assert about["unreadable"][0]["reason"] == "1024 MiB"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("mel_bands", 30, "multiple of 4"),
        ("mel_bands", 90, "less than or equal to 64"),
        ("hop_ms", 40, "here 32 ms"),
    ],
)
def test_settings_that_make_no_sense_are_refused(field: str, value: int, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PrepareSpec.model_validate({"path": "x.zip", field: value})
    assert said in str(caught.value)


def test_players_read_what_is_written(prepared) -> None:
    prepared(archive(sound_folders(4)), "upload.zip")
    folder = prepared.out / "dataset"
    row = rows(folder)["train"][0]
    with wave.open(io.BytesIO(part(folder, "train", row["sound"]))) as file:
        assert file.getnframes() == 4096
