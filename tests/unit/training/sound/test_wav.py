"""WAV files: read as they are meant, refused when they are not to be believed."""

import io
import struct

import numpy as np
import pytest

from tests.sounds import tone, wav
from training.sound.wav import SoundRefused, read_wav, resampled, write_wav


@pytest.mark.parametrize(
    ("kind", "said", "near"),
    [
        ("8", "8-bit, mono", 1e-2),
        ("16", "16-bit, mono", 1e-4),
        ("24", "24-bit, mono", 1e-6),
        ("32", "32-bit, mono", 1e-6),
        ("float", "float 32, mono", 1e-6),
    ],
)
def test_every_depth_is_the_same_sound(kind: str, said: str, near: float) -> None:
    samples = tone(300)
    clip = read_wav(wav(samples, kind=kind))
    assert clip.rate == 8000
    assert clip.mode == said
    assert clip.seconds == 0.5
    np.testing.assert_allclose(clip.samples, samples, atol=near)


def test_channels_are_mixed_down() -> None:
    both = np.stack([tone(300), np.zeros(4000)], 1)
    clip = read_wav(wav(both, rate=44100))
    assert clip.mode == "16-bit, stereo"
    assert clip.rate == 44100
    np.testing.assert_allclose(clip.samples, both.mean(1), atol=1e-4)


def test_chunks_that_do_not_matter_are_passed_over() -> None:
    content = wav(tone(300))
    note = b"LIST" + struct.pack("<I", 4) + b"abcd"
    more = content[:12] + note + content[12:]
    assert np.array_equal(read_wav(more).samples, read_wav(content).samples)


def test_clipping_and_silence_are_seen() -> None:
    assert not read_wav(wav(tone(300))).clipped
    assert read_wav(wav(np.clip(3 * tone(300), -1, 1))).clipped
    assert read_wav(wav(np.clip(3 * tone(300), -1, 1), kind="float")).clipped
    assert read_wav(wav(np.zeros(100))).is_silent
    assert read_wav(wav(0.0005 * tone(300))).is_silent
    assert not read_wav(wav(0.01 * tone(300))).is_silent


def header(**fields: int) -> bytes:
    content = bytearray(wav(tone(300)))
    for name, value in fields.items():
        place, kind = {"rate": (24, "<I"), "channels": (22, "<H"), "code": (20, "<H")}[name]
        struct.pack_into(kind, content, place, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no WAV file"),
        (b"RIFF", "no WAV file"),
        (b"ID3\x03 an MP3 by another name", "no WAV file"),
        (wav(tone(300))[:30], ""),
        (wav(np.zeros(0)), "no samples"),
        (header(code=2), ""),
        (header(rate=100), "header"),
        (wav(tone(300), rate=100), "100 samples a second"),
        (wav(tone(300), rate=1_000_000), "1000000 samples a second"),
        (wav(np.full(50, np.nan), kind="float"), "no numbers"),
        (wav(np.zeros([10, 40])), "40 channels"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(content: bytes, said: str) -> None:
    with pytest.raises(SoundRefused) as caught:
        read_wav(content)
    assert said in str(caught.value)
    assert str(caught.value)


def test_damage_anywhere_is_refused_or_read_and_never_raises_otherwise() -> None:
    whole, random = wav(tone(300)[:400], kind="24"), np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(whole)
        for place in random.integers(0, 60, 3):
            content[place] = random.integers(256)
        try:
            read_wav(bytes(content[: random.integers(8, len(content))]))
        except SoundRefused:
            pass


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 16000), (8000, 16000), (48000, 8000)])
def test_a_tone_is_the_same_at_another_rate(rate: int, wanted: int) -> None:
    samples = resampled(read_wav(wav(tone(440, rate=rate), rate=rate)).samples, rate, wanted)
    assert len(samples) == pytest.approx(0.5 * wanted, abs=1)
    middle = slice(wanted // 10, -wanted // 10)
    expected = 0.6 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / wanted)
    assert np.abs(samples - expected)[middle].max() < 0.06


def test_what_a_rate_cannot_carry_is_gone() -> None:
    high = read_wav(wav(tone(6000, rate=48000), rate=48000)).samples
    assert np.abs(resampled(high, 48000, 8000))[20:-20].max() < 0.03


def test_what_is_written_is_read_by_pythons_own_reader() -> None:
    import wave

    samples = tone(300)
    content = write_wav(np.concatenate([samples, [1.5, -1.5]]), 8000)
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.getnframes() == 4002
    clip = read_wav(content)
    np.testing.assert_allclose(clip.samples[:-2], samples, atol=1e-4)
    np.testing.assert_allclose(clip.samples[-2:], [1, -1], atol=1e-4)
