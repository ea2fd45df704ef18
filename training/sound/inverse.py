"""A sound that has a given log-mel spectrogram, as far as there is one.

Two things are missing. What is within a band: the power of each frequency is found such that the
bands come out right and no power is negative, by multiplicative steps [0] from a smooth beginning.
And the phases: they are drawn at random, and made to fit their neighbours by turns of leaving and
coming back (Griffin and Lim [1], with the momentum of [2]).

- [0] Lee and Seung, 2001, "Algorithms for Non-negative Matrix Factorization"
- [1] Griffin and Lim, 1984, "Signal Estimation from Modified Short-Time Fourier Transform"
- [2] Perraudin, Balazs and Søndergaard, 2013, "A fast Griffin-Lim algorithm"
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.sound.mel import (
    RANGE_DB,
    Floats,
    SoundShape,
    filters,
    hann,
    margins,
    of_picture,
    stft,
)

#: Steps towards the power of each frequency, and turns towards phases that fit.
STEPS, TURNS = 100, 32
MOMENTUM = 0.99
#: Sounds that are made together: more take too much memory.
TOGETHER = 32
#: Loudest sample of what is heard.
PEAK = 0.9


def linear(power: Floats, weights: Floats, steps: int = STEPS) -> Floats:
    """Powers of the frequencies whose bands are the nearest to those given.

    Minimises ‖F s − m‖² for s ≥ 0 by s ← s · (Fᵀ m) / (Fᵀ F s).

    Args:
        power: m, of each band, [frames, bands].
        weights: F, see :func:`training.sound.mel.filters`.
        steps: How many.

    Returns:
        s, [frames, frequencies].
    """
    weights = weights.astype(np.float32)
    power = power.astype(np.float32)
    wanted = power @ weights
    # Each band's power spread over its frequencies.
    found = (power / weights.sum(1)) @ (weights > 0).astype(np.float32)
    for _ in range(steps):
        found *= wanted / np.maximum((found @ weights.T) @ weights, 1e-20)
    return np.asarray(found, np.float64)


def istft(spectrum: npt.NDArray[Any], window: int, hop: int) -> Floats:
    """The sound whose short-time spectrum is the nearest, [..., frames · hop].

    Overlapping windows are added up and divided by the sum of their squares.

    Args:
        spectrum: complex [..., frames, window // 2 + 1].
        window: Samples of a window.
        hop: Samples from one frame to the next.
    """
    shape = hann(window)
    parts = np.fft.irfft(spectrum, window, axis=-1) * shape
    frames, before = spectrum.shape[-2], margins(window, hop)[0]
    ends = before, before + frames * hop
    squares = _added(np.broadcast_to(shape**2, (frames, window)), hop)
    return np.asarray((_added(parts, hop) / np.maximum(squares, 1e-8))[..., slice(*ends)])


def _added(parts: Floats, hop: int) -> Floats:
    """Windows laid over each other, each a hop after the one before, [..., samples].

    Args:
        parts: [..., frames, window].
    """
    frames, window = parts.shape[-2:]
    blocks = -(-window // hop)
    whole = np.zeros([*parts.shape[:-2], frames, blocks * hop])
    whole[..., :window] = parts
    found = np.zeros([*parts.shape[:-2], frames + blocks - 1, hop])
    for block in range(blocks):
        found[..., block : block + frames, :] += whole[..., block * hop : (block + 1) * hop]
    return found.reshape(*parts.shape[:-2], -1)


def with_phases(
    magnitude: Floats, window: int, hop: int, angles: npt.NDArray[Any], turns: int = TURNS
) -> Floats:
    """A sound whose short-time spectrum has nearly these magnitudes, [..., frames · hop].

    Args:
        magnitude: [..., frames, window // 2 + 1].
        window: Samples of a window.
        hop: Samples from one frame to the next.
        angles: Phases that it begins with, as complex numbers of length one.
        turns: How often they are made to fit.
    """
    before = np.zeros(magnitude.shape, complex)
    for _ in range(turns):
        fitted = stft(istft(magnitude * angles, window, hop), window, hop)
        angles = fitted - MOMENTUM / (1 + MOMENTUM) * before
        angles = angles / np.maximum(np.abs(angles), 1e-16)
        before = fitted
    return istft(magnitude * angles, window, hop)


def sounds_of(
    pictures: npt.NDArray[np.floating[Any]], shape: SoundShape, seed: int = 0
) -> npt.NDArray[np.float32]:
    """What pictures sound like, float32 [pictures, samples], each as loud as it can be.

    Args:
        pictures: Grey [pictures, bands, frames, 1] in 0..1.
        shape: How the pictures were made.
        seed: Of the phases, the same for each picture: what a picture sounds like does not depend
            on which others are heard.
    """
    from threadpoolctl import threadpool_limits

    # Matrices so small take longer to hand out to several threads than to multiply.
    with threadpool_limits(1, "blas"):
        sounds = _heard(pictures, shape, seed)
    peaks = np.abs(sounds).max(-1, keepdims=True)
    return np.asarray(np.where(peaks > 0, PEAK / np.maximum(peaks, 1e-12), 0) * sounds, np.float32)


def _heard(pictures: npt.NDArray[np.floating[Any]], shape: SoundShape, seed: int) -> Floats:
    weights = filters(shape.rate, shape.window, shape.bands)
    found = []
    for start in range(0, len(pictures), TOGETHER):
        decibels = of_picture(pictures[start : start + TOGETHER], shape.ceiling_db)
        power = 10 ** (decibels / 10)
        # Black is silence, and not as loud as the quietest grey.
        power[decibels <= shape.ceiling_db - RANGE_DB + 1e-6] = 0
        rows = np.swapaxes(power, -1, -2).reshape(-1, shape.bands)
        magnitude = np.sqrt(linear(rows, weights)).reshape(len(power), shape.frames, -1)
        angles = np.exp(2j * np.pi * np.random.default_rng(seed).random(magnitude.shape[1:]))
        found.append(with_phases(magnitude, shape.window, shape.hop, angles))
    return np.concatenate(found)
