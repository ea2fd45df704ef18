"""Log-mel spectrograms: how loud each band of a sound is, moment by moment.

The mel scale is Slaney's (linear below 1,000 Hz, logarithmic above), and each band is a triangle of
area one, as in his Auditory Toolbox [0]:

    mel(f) = 3 f / 200                              for f < 1,000 Hz
    mel(f) = 15 + 27 log(f / 1,000) / log 6.4       above

    S(t, k) = | Σ_n w(n) x(t·hop + n) e^(−2πi k n / window) |²     w: a periodic Hann window
    M(t, b) = 10 log₁₀ Σ_k F(b, k) S(t, k)                         in dB

Details people get wrong: HTK's scale and triangles of height one are other pictures, and a model
of one cannot be heard through the other; with windows that are short for so many bands, low bands
lie between two frequencies and are always silent.

- [0] Slaney, 1998, "Auditory Toolbox", https://engineering.purdue.edu/~malcolm/interval/1998-010/
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Power below which nothing is distinguished: -100 dB.
LEAST_POWER = 1e-10
#: From the loudest band to what is drawn as black, in dB.
RANGE_DB = 80.0
_BREAK_HZ, _BREAK_MEL, _STEP = 1000.0, 15.0, math.log(6.4) / 27


@dataclass(frozen=True)
class SoundShape:
    """How sounds of a data set are pictured, and a model's pictures heard.

    Attributes:
        rate: Samples a second.
        window: Samples of a window.
        hop: Samples from one frame to the next.
        bands: Mel bands from 0 Hz to half the rate: rows of a picture.
        frames: Columns of a picture; a sound has ``frames`` · ``hop`` samples.
        ceiling_db: What is drawn as white; black is :data:`RANGE_DB` below.
    """

    rate: int
    window: int
    hop: int
    bands: int
    frames: int
    ceiling_db: float

    @property
    def samples(self) -> int:
        return self.frames * self.hop

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def as_dict(self) -> dict[str, Any]:
        """As ``dataset.json`` and a checkpoint's card have it."""
        return asdict(self)


def shape_of(about: dict[str, Any]) -> SoundShape:
    """What :meth:`SoundShape.as_dict` wrote."""
    return SoundShape(**{name: about[name] for name in SoundShape.__dataclass_fields__})


def mel_of(hertz: Any) -> Floats:
    """Hz → mel."""
    hertz = np.asarray(hertz, np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _STEP
    return np.where(hertz < _BREAK_HZ, 3 * hertz / 200, above)


def hertz_of(mel: Any) -> Floats:
    """Mel → Hz."""
    mel = np.asarray(mel, np.float64)
    above = _BREAK_HZ * np.exp(_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, 200 * mel / 3, above)


@lru_cache(maxsize=8)
def filters(rate: int, window: int, bands: int) -> Floats:
    """The bands as weights of the frequencies, [bands, window // 2 + 1].

    Each is a triangle from the middle of the band below to that of the band above, of area one.
    """
    frequencies = np.arange(window // 2 + 1) * rate / window
    edges = hertz_of(np.linspace(0, mel_of(rate / 2), bands + 2))
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None])


def empty_bands(rate: int, window: int, bands: int) -> int:
    """Bands in which no frequency of such a window lies."""
    return int((filters(rate, window, bands).max(1) == 0).sum())


def hann(window: int) -> Floats:
    """A periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))


def stft(samples: npt.NDArray[np.floating[Any]], window: int, hop: int) -> npt.NDArray[Any]:
    """Short-time Fourier transform, complex [..., samples // hop, window // 2 + 1].

    Frame t is centred on the middle of its hop, (t + ½) hop; beyond its ends a sound is mirrored.

    Args:
        samples: [..., samples], a multiple of the hop.
        window: Samples of a window.
        hop: Samples from one frame to the next.
    """
    before, after = margins(window, hop)
    widths = [(0, 0)] * (samples.ndim - 1) + [(before, after)]
    longer = np.pad(np.asarray(samples, np.float64), widths, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(longer, window, -1)[..., ::hop, :]
    return np.fft.rfft(frames * hann(window), axis=-1)


def margins(window: int, hop: int) -> tuple[int, int]:
    """Samples before a sound's first hop and after its last that its windows reach over."""
    before = (window - hop) // 2
    return before, window - hop - before


def log_mel(samples: npt.NDArray[np.floating[Any]], shape: SoundShape) -> Floats:
    """Loudness of the bands in dB, [..., bands, frames], the lowest band first.

    Args:
        samples: [..., samples], as many as the shape has.
        shape: See :class:`SoundShape`.
    """
    power = np.square(np.abs(stft(samples, shape.window, shape.hop)))
    # A product so small takes longer to hand out to several threads than to compute.
    weights = filters(shape.rate, shape.window, shape.bands)
    mel = np.einsum("...k,bk->...b", power, weights)
    return np.swapaxes(10 * np.log10(np.maximum(mel, LEAST_POWER)), -1, -2)


def as_picture(decibels: Floats, ceiling_db: float) -> npt.NDArray[np.float32]:
    """Loudness as grey, float32 [..., bands, frames, 1] in 0..1, the highest band on top."""
    grey = np.clip((decibels - ceiling_db) / RANGE_DB + 1, 0, 1)
    return np.asarray(np.flip(grey, -2)[..., None], np.float32)


def of_picture(picture: npt.NDArray[np.floating[Any]], ceiling_db: float) -> Floats:
    """Grey as loudness in dB: :func:`as_picture` the other way round."""
    grey = np.flip(np.asarray(picture, np.float64)[..., 0], -2)
    return np.asarray((grey - 1) * RANGE_DB + ceiling_db)
