"""Log-mel spectrograms against the formula and another library, and sounds made from them."""

import numpy as np
import pytest

from tests.sounds import hiss, tone
from training.sound.inverse import istft, linear, sounds_of
from training.sound.mel import (
    RANGE_DB,
    SoundShape,
    as_picture,
    empty_bands,
    filters,
    hann,
    hertz_of,
    log_mel,
    mel_of,
    of_picture,
    shape_of,
    stft,
)

RATE = 8000
SHAPE = SoundShape(rate=RATE, window=512, hop=128, bands=64, frames=64, ceiling_db=30.0)
SECONDS = SHAPE.seconds


def pluck(pitch: float, seed: int) -> np.ndarray:
    """A string, by a delay line."""
    line = np.random.default_rng(seed).uniform(-1, 1, round(RATE / pitch))
    found = np.empty(SHAPE.samples)
    for place in range(SHAPE.samples):
        now = place % len(line)
        found[place] = line[now]
        line[now] = 0.498 * (line[now] + line[(now + 1) % len(line)])
    return found


def reference(samples: np.ndarray, shape: SoundShape) -> np.ndarray:
    """The definition, frame by frame and frequency by frequency."""
    before = (shape.window - shape.hop) // 2
    after = shape.window - shape.hop - before
    longer = np.concatenate([samples[before:0:-1], samples, samples[-2 : -2 - after : -1]])
    n = np.arange(shape.window)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / shape.window)
    k = np.arange(shape.window // 2 + 1)
    waves = np.exp(-2j * np.pi * np.outer(n, k) / shape.window)
    edges = hertz_of(np.linspace(0, mel_of(shape.rate / 2), shape.bands + 2))
    found = np.empty([shape.bands, shape.frames])
    for frame in range(shape.frames):
        part = longer[frame * shape.hop : frame * shape.hop + shape.window] * window
        power = np.abs(part @ waves) ** 2
        for band in range(shape.bands):
            low, middle, high = edges[band : band + 3]
            total = 0.0
            for place, frequency in enumerate(k * shape.rate / shape.window):
                rising = (frequency - low) / (middle - low)
                falling = (high - frequency) / (high - middle)
                total += max(0.0, min(rising, falling)) * 2 / (high - low) * power[place]
            found[band, frame] = 10 * np.log10(max(total, 1e-10))
    return found


def test_mel_is_slaneys() -> None:
    assert mel_of(1000) == pytest.approx(15)
    assert mel_of(500) == pytest.approx(7.5)
    assert mel_of(6400) == pytest.approx(42)
    found = hertz_of(mel_of(np.array([0.0, 60, 999, 1001, 4000])))
    np.testing.assert_allclose(found, [0, 60, 999, 1001, 4000])


@pytest.mark.parametrize(("rate", "window", "bands"), [(16000, 1024, 64), (8000, 512, 40)])
def test_filters_are_those_of_another_library(rate: int, window: int, bands: int) -> None:
    from transformers.audio_utils import mel_filter_bank

    known = mel_filter_bank(
        window // 2 + 1, bands, 0, rate / 2, rate, norm="slaney", mel_scale="slaney"
    )
    np.testing.assert_allclose(filters(rate, window, bands), known.T, atol=1e-12)


def test_a_spectrogram_is_as_defined() -> None:
    shape = SoundShape(rate=4000, window=64, hop=16, bands=12, frames=32, ceiling_db=0.0)
    samples = np.random.default_rng(0).standard_normal(shape.samples)
    np.testing.assert_allclose(log_mel(samples, shape), reference(samples, shape), atol=1e-8)


def test_bands_without_a_frequency_are_counted() -> None:
    assert empty_bands(8000, 512, 64) == 0
    assert empty_bands(16000, 128, 64) > 5


def test_a_picture_is_grey_with_low_bands_below_and_read_back() -> None:
    decibels = log_mel(tone(300, seconds=SECONDS), SHAPE)
    picture = as_picture(decibels, SHAPE.ceiling_db)
    assert picture.shape == (64, 64, 1)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture[..., 0].mean(1).argmax() > 32  # 300 Hz is in the lower half
    back = of_picture(picture, SHAPE.ceiling_db)
    floor = SHAPE.ceiling_db - RANGE_DB
    np.testing.assert_allclose(back, np.clip(decibels, floor, SHAPE.ceiling_db), atol=1e-5)


def test_a_shape_is_written_and_read() -> None:
    assert shape_of(SHAPE.as_dict() | {"same_level": True}) == SHAPE
    assert SHAPE.samples == 8192
    assert SHAPE.seconds == pytest.approx(1.024)


@pytest.mark.parametrize(("window", "hop"), [(512, 128), (706, 176), (512, 256), (96, 30)])
def test_a_sound_comes_back_from_its_own_spectrum(window: int, hop: int) -> None:
    samples = np.random.default_rng(1).standard_normal([2, 40 * hop])
    back = istft(stft(samples, window, hop), window, hop)
    np.testing.assert_allclose(back, samples, atol=1e-9)
    assert hann(window)[0] == 0


def test_powers_have_the_bands_that_were_given_and_are_not_negative() -> None:
    weights = filters(8000, 512, 64)
    power = np.random.default_rng(2).random([5, 257]) ** 4 @ weights.T
    found = linear(power, weights)
    assert (found >= 0).all()
    np.testing.assert_allclose(found @ weights.T, power, rtol=0.02, atol=2e-4)


@pytest.mark.parametrize("pitch", [220.0, 440.0, 1000.0, 2500.0])
def test_a_tone_keeps_its_frequency(pitch: float) -> None:
    samples = tone(pitch, seconds=SECONDS)
    (back,) = sounds_of(as_picture(log_mel(samples, SHAPE), SHAPE.ceiling_db)[None], SHAPE)
    loudest = np.abs(np.fft.rfft(back * hann(len(back)))).argmax() * RATE / len(back)
    # A band is what is known of a pitch: half of its distance to the next.
    apart = np.diff(hertz_of(np.linspace(0, mel_of(RATE / 2), 66)))
    here = apart[np.searchsorted(np.cumsum(apart), pitch)]
    assert abs(loudest - pitch) < max(here, RATE / SHAPE.window) / 2 + 4


@pytest.mark.parametrize(
    ("samples", "most_db"),
    [
        (pluck(196, 0), 2.0),
        (hiss(seconds=SECONDS, seed=1), 1.5),
        # The worst there is: what lies between two pure tones is only what the window smears.
        (tone(330, seconds=SECONDS) + tone(930, seconds=SECONDS), 3.5),
    ],
    ids=["pluck", "hiss", "two tones"],
)
def test_what_is_heard_has_the_picture_that_it_was_made_of(samples, most_db: float) -> None:
    given = log_mel(samples, SHAPE)
    ceiling = float(np.ceil(given.max()))
    shape = shape_of(SHAPE.as_dict() | {"ceiling_db": ceiling})
    (back,) = sounds_of(as_picture(given, ceiling)[None], shape)
    assert np.abs(back).max() == pytest.approx(0.9, abs=1e-3)
    found = log_mel(back, shape)
    # As loud as it can be, so that only differences of level are compared.
    found += 10 * np.log10(np.mean(10 ** (given / 10)) / np.mean(10 ** (found / 10)))
    loud = given > given.max() - 40
    assert np.abs(given - found)[loud].mean() < most_db


def test_a_sound_does_not_depend_on_its_neighbours_and_black_is_silence() -> None:
    random = np.random.default_rng(3)
    pictures = random.random([3, 64, 64, 1]).astype(np.float32)
    pictures[1] = 0
    together, alone = sounds_of(pictures, SHAPE), sounds_of(pictures[2:], SHAPE)
    np.testing.assert_allclose(together[2], alone[0], atol=1e-4)
    assert not together[1].any()
    assert not np.array_equal(sounds_of(pictures[:1], SHAPE, seed=1), together[:1])
