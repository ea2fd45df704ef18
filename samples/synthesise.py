"""Makes sounds of six kinds by formulas: nothing in them was recorded.

    python samples/synthesise.py samples/sounds.zip               # the sample data set, anew
    python samples/synthesise.py OUT.zip --clips 300 --seed 1     # more of them, others

Each is a second long, at a pitch of its own between 110 and 880 Hz (A2 to A5, drums lower), with a
loudness, an attack and a decay of its own. Deterministic; needs NumPy.
"""

import argparse
import io
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

RATE = 8000
SECONDS = 1.0
#: Of the sample data set.
CLIPS, SEED = 50, 0
#: Overtones of a struck bar, as multiples of the lowest.
BELL = (1.0, 2.76, 5.40, 8.93)

TIME = np.arange(int(RATE * SECONDS)) / RATE


def envelope(random: np.random.Generator) -> np.ndarray:
    """Rises within some hundredths of a second, holds, and fades."""
    attack, hold = random.uniform(0.005, 0.06), random.uniform(0.25, 0.6)
    fade = random.uniform(0.08, 0.3)
    rising = np.minimum(TIME / attack, 1)
    return rising * np.exp(-np.maximum(0, TIME - hold) / fade)


def pitch(random: np.random.Generator) -> float:
    return float(110 * 2 ** random.uniform(0, 3))


def harmonics(frequency: float) -> range:
    """Those that the sampling rate can carry."""
    return range(1, int(0.475 * RATE / frequency) + 1)


def sine(random: np.random.Generator) -> np.ndarray:
    """A pure tone with a little vibrato."""
    depth, speed = random.uniform(0, 0.006), random.uniform(4, 7)
    bent = TIME + depth * np.sin(2 * np.pi * speed * TIME) / (2 * np.pi * speed)
    return np.sin(2 * np.pi * pitch(random) * bent) * envelope(random)


def square(random: np.random.Generator) -> np.ndarray:
    """Odd harmonics, each as loud as its number is small."""
    frequency = pitch(random)
    parts = [np.sin(2 * np.pi * n * frequency * TIME) / n for n in harmonics(frequency) if n % 2]
    return np.sum(parts, axis=0) * envelope(random)


def saw(random: np.random.Generator) -> np.ndarray:
    """All harmonics."""
    frequency = pitch(random)
    parts = [np.sin(2 * np.pi * n * frequency * TIME) / n for n in harmonics(frequency)]
    return np.sum(parts, axis=0) * envelope(random)


def pluck(random: np.random.Generator) -> np.ndarray:
    """A string: a burst of noise that goes round in a delay line and is smoothed at each turn
    (Karplus and Strong, 1983)."""
    period = round(RATE / pitch(random))
    line, stays = random.uniform(-1, 1, period), random.uniform(0.985, 0.998)
    found = []
    while len(found) * period < len(TIME):
        found.append(line)
        line = stays * (line + np.roll(line, -1)) / 2
    return np.concatenate(found)[: len(TIME)]


def bell(random: np.random.Generator) -> np.ndarray:
    """A struck bar: overtones that are no multiples, the higher the sooner gone."""
    frequency, decay = pitch(random), random.uniform(0.15, 0.5)
    found = np.zeros(len(TIME))
    for ratio in BELL:
        if ratio * frequency < 0.475 * RATE:
            fading = np.exp(-TIME * ratio**0.7 / decay) / ratio**0.4
            found += np.sin(2 * np.pi * ratio * frequency * TIME) * fading
    return found


def drum(random: np.random.Generator) -> np.ndarray:
    """A falling tone with a burst of noise on it."""
    low, fall = random.uniform(45, 120), random.uniform(50, 250)
    speed = random.uniform(15, 45)
    turns = low * TIME + fall / speed * (1 - np.exp(-speed * TIME))
    tone = np.sin(2 * np.pi * turns) * np.exp(-TIME / random.uniform(0.06, 0.22))
    burst = random.standard_normal(len(TIME)) * np.exp(-TIME / random.uniform(0.01, 0.08))
    return tone + random.uniform(0.1, 0.7) * burst


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "bell": bell,
    "drum": drum,
    "pluck": pluck,
    "saw": saw,
    "sine": sine,
    "square": square,
}


def wav(samples: np.ndarray) -> bytes:
    """A WAV file of 16 bits and one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(np.rint(samples * (2**15 - 1)).astype("<i2").tobytes())
    return file.getvalue()


def write(path: Path, clips: int, seed: int) -> None:
    """Writes a ZIP with a folder for each kind."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for place, (name, make) in enumerate(KINDS.items()):
            for number in range(clips):
                random = np.random.default_rng([seed, place, number])
                samples = make(random)
                samples *= random.uniform(0.3, 0.9) / np.abs(samples).max()
                # The day of the files would be another each time.
                archive.writestr(zipfile.ZipInfo(f"{name}/{number:03d}.wav"), wav(samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=CLIPS, help="of each kind")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    write(options.out, options.clips, options.seed)


if __name__ == "__main__":
    main()
