"""What made pictures of sounds sound like, as files; and how many of them an event log keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.sound.inverse import sounds_of
from training.sound.mel import SoundShape
from training.sound.wav import write_wav

#: Of all that a run tells while it trains, at most so many sounds, and bytes of them.
MOST_TOLD, MOST_TOLD_BYTES = 2000, 48_000_000


def heard_of(shape: SoundShape | None, count: int, rows: int) -> int:
    """How many sounds of each row a run can tell while it trains; its report tells them all.

    Args:
        shape: Of the sounds.
        count: Images of a row.
        rows: That it will show.
    """
    if shape is None:
        return 0
    size = 2 * shape.samples
    return min(count, MOST_TOLD // rows, MOST_TOLD_BYTES // (rows * size))


def wavs(images: npt.NDArray[np.floating[Any]], shape: SoundShape) -> list[bytes]:
    """A WAV file of each picture.

    Args:
        images: Grey [images, bands, frames, 1] in 0..1.
        shape: How they were made.
    """
    if not len(images):
        return []
    return [write_wav(one, shape.rate) for one in sounds_of(images, shape)]
