"""WAV files: read with care, mixed down to one channel, resampled; and written.

SciPy reads them: PCM of 8, 16, 24 and 32 bits, floats of 32 and 64, with any header that carries
these. A file is judged by its content, and what it claims is compared with what is there.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.archive import MemberRefused

Samples = npt.NDArray[np.float32]

#: Rates that are believed, in Hz, and channels.
LEAST_RATE, MOST_RATE, MOST_CHANNELS = 2_000, 384_000, 32
#: A sample this near to the largest value stands at the end of the scale …
FULL_SCALE = 0.999
#: … and so many of them, one after another, are a peak that was cut off.
CLIPPED_RUN = 3
#: What never gets louder than this (-60 dB) cannot be heard.
SILENCE = 1e-3


class SoundRefused(MemberRefused):
    """A sound that cannot be used."""


@dataclass(frozen=True)
class Clip:
    """A sound, mixed down.

    Attributes:
        samples: float32 [samples] in -1..1, the mean of its channels.
        rate: Samples a second, as the file has them.
        mode: What the file held: ``16-bit, stereo``.
        clipped: Whether peaks are cut off.
    """

    samples: Samples
    rate: int
    mode: str
    clipped: bool

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def is_silent(self) -> bool:
        return float(np.abs(self.samples).max(initial=0)) < SILENCE


def read_wav(data: bytes) -> Clip:
    """Decode a file.

    Args:
        data: Its content.

    Raises:
        SoundRefused: It is no WAV file of a kind that is read, is cut off or empty, or claims what
            cannot be.
    """
    from scipy.io import wavfile

    if data[:4] not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        raise SoundRefused("no WAV file")
    with warnings.catch_warnings():
        # Of chunks that it does not know, which do not matter here, and of a length in the header
        # that is not the file's: what is there is used, as every player does.
        warnings.simplefilter("ignore")
        try:
            rate, found = wavfile.read(io.BytesIO(data))
        except (ValueError, struct.error, EOFError, TypeError, ZeroDivisionError) as error:
            raise SoundRefused(str(error)[:100] or "damaged") from error
        except (UnboundLocalError, MemoryError, OverflowError, IndexError, KeyError) as error:
            raise SoundRefused("damaged, or cut off") from error
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise SoundRefused(f"{rate} samples a second")
    shaped = found[:, None] if found.ndim == 1 else found
    if not shaped.size:
        raise SoundRefused("it has no samples")
    if shaped.shape[1] > MOST_CHANNELS:
        raise SoundRefused(f"{shaped.shape[1]} channels")
    values, bits = _scaled(shaped)
    if not np.isfinite(values).all():
        raise SoundRefused("samples that are no numbers")
    channels = {1: "mono", 2: "stereo"}.get(shaped.shape[1], f"{shaped.shape[1]} channels")
    clipped = bool(any(_is_clipped(values[:, one]) for one in range(values.shape[1])))
    return Clip(values.mean(1, dtype=np.float32), int(rate), f"{bits}, {channels}", clipped)


def _scaled(found: npt.NDArray[Any]) -> tuple[Samples, str]:
    """Samples in -1..1, and what they were."""
    if found.dtype == np.uint8:
        return (found.astype(np.float32) - np.float32(128)) / np.float32(128), "8-bit"
    if found.dtype == np.int16:
        return found.astype(np.float32) / np.float32(2**15), "16-bit"
    if found.dtype == np.int32:
        # 24 bits come in the upper ones of 32; nothing tells them from 32 but the lowest byte.
        bits = "32-bit" if (found & 0xFF).any() else "24-bit"
        return (found / 2**31).astype(np.float32), bits
    if found.dtype in (np.float32, np.float64):
        return found.astype(np.float32), f"float {8 * found.dtype.itemsize}"
    raise SoundRefused(f"samples of a kind that is not read ({found.dtype})")


def _is_clipped(values: Samples) -> bool:
    """Whether several samples one after another stand at the same end of the scale."""
    for ends in (values >= FULL_SCALE, values <= -FULL_SCALE):
        run = ends[: len(ends) - CLIPPED_RUN + 1].copy()
        for later in range(1, CLIPPED_RUN):
            run &= ends[later : later + len(run)]
        if run.any():
            return True
    return False


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """The same sound at another rate, without what that rate cannot carry.

    Args:
        samples: float32 [samples].
        rate: As they are, samples a second.
        wanted: As they are to be.
    """
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    found = resample_poly(samples.astype(np.float64), wanted // common, rate // common)
    return np.asarray(found, np.float32)


def write_wav(samples: npt.NDArray[np.floating], rate: int) -> bytes:
    """A WAV file of one channel and 16 bits, which every browser plays.

    Args:
        samples: [samples]; beyond -1..1 they are cut off.
        rate: Samples a second.
    """
    values = np.rint(np.clip(samples, -1, 1) * (2**15 - 1)).astype("<i2").tobytes()
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(values), b"WAVE")
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + kind + struct.pack("<4sI", b"data", len(values)) + values
