"""Small WAV files, made on the spot."""

from __future__ import annotations

import struct

import numpy as np

RATE = 8000


def tone(frequency: float, *, seconds: float = 0.5, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A tone of that pitch with a little noise that no other seed gives, in -1..1."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return 0.6 * np.sin(2 * np.pi * frequency * time) + 0.01 * noise


def hiss(*, seconds: float = 0.5, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise that fades."""
    time = np.arange(int(seconds * rate)) / rate
    return 0.2 * np.random.default_rng(seed).standard_normal(len(time)) * np.exp(-6 * time)


def wav(samples: np.ndarray, *, rate: int = RATE, kind: str = "16") -> bytes:
    """A WAV file of samples in -1..1, [samples] or [samples, channels].

    Args:
        samples: What is heard.
        rate: Samples a second.
        kind: ``8``, ``16``, ``24`` or ``32`` bits, or ``float``.
    """
    shaped = samples[:, None] if samples.ndim == 1 else samples
    match kind:
        case "8":
            content = np.rint(shaped * 127 + 128).astype(np.uint8).tobytes()
        case "16":
            content = np.rint(shaped * (2**15 - 1)).astype("<i2").tobytes()
        case "24":
            whole = np.rint(shaped * (2**23 - 1)).astype("<i4").view(np.uint8)
            content = whole.reshape(-1, 4)[:, :3].tobytes()
        case "32":
            content = np.rint(shaped * (2**31 - 1)).astype("<i4").tobytes()
        case _:
            content = shaped.astype("<f4").tobytes()
    size = 4 if kind == "float" else int(kind) // 8
    channels, code = shaped.shape[1], 3 if kind == "float" else 1
    width = size * channels
    head = struct.pack("<HHIIHH", code, channels, rate, rate * width, width, 8 * size)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head
    body += b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


def class_folders(count: int, *, seconds: float = 0.5, rate: int = RATE) -> dict[str, bytes]:
    """So many WAV files of each class, in its folder; classes are easily told by ear."""
    makers = {
        "high": lambda seed: tone(1500 + 20 * seed, seconds=seconds, rate=rate, seed=seed),
        "hiss": lambda seed: hiss(seconds=seconds, rate=rate, seed=seed),
        "low": lambda seed: tone(200 + 5 * seed, seconds=seconds, rate=rate, seed=seed),
    }
    return {
        f"{name}/{number:02d}.wav": wav(make(number), rate=rate)
        for name, make in makers.items()
        for number in range(count)
    }
