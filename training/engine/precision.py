"""Which type the matrix products run in."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]

#: Narrower models spend their time elsewhere, and only lose digits (see docs/methods/causal_lm.md).
WIDE_ENOUGH = 512


def choose(wanted: str, *, kind: str, width: int, flags: frozenset[str] | None = None) -> Precision:
    """The spec's precision, with ``auto`` decided.

    Args:
        wanted: ``auto``, ``float32`` or ``bfloat16``.
        kind: ``cpu`` or ``gpu``.
        width: The model's width.
        flags: The processor's features; read from the system when not given.
    """
    if wanted == "float32":
        return "float32"
    if wanted == "bfloat16":
        return "bfloat16"
    if width < WIDE_ENOUGH:
        return "float32"
    if kind == "gpu":
        return "bfloat16" if _gpu_has_bfloat16() else "float32"
    return "bfloat16" if "amx_bf16" in (flags if flags is not None else cpu_flags()) else "float32"


def cpu_flags() -> frozenset[str]:
    """Features of this processor as Linux names them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("flags"):
                    return frozenset(line.split(":", 1)[1].split())
    except OSError:
        pass
    return frozenset()


def _gpu_has_bfloat16() -> bool:
    import tensorflow as tf

    gpu = tf.config.list_physical_devices("GPU")[0]
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
    return bool(capability >= (8, 0))
