"""Which devices a run uses, how many threads, and the strategy that shares a batch among them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Any

from training.errors import TrainingError
from training.spec import DeviceSpec


@dataclass(frozen=True)
class Devices:
    """What a run computes on.

    Attributes:
        names: ``CPU:0``, ``GPU:1`` …
        kind: ``cpu`` or ``gpu``.
        threads: TensorFlow's threads within one operation and between operations; the order of
            floating-point sums may depend on them, so a resumed run takes the saved numbers.
        strategy: Shares each batch when there are several.
    """

    names: list[str]
    kind: str
    threads: tuple[int, int]
    strategy: Any


def default_threads() -> tuple[int, int]:
    """Threads within and between operations on this machine."""
    override = int(os.environ.get("GRAFT_THREADS", "0"))
    return override or len(os.sched_getaffinity(0)), 2


def configure(devices: DeviceSpec, threads: tuple[int, int]) -> Devices:
    """Set TensorFlow up: determinism, threads, memory growth, devices.

    Environment: ``GRAFT_VIRTUAL_CPUS=n`` makes n logical processors of one, to exercise several
    devices where there are none.

    Raises:
        TrainingError: ``devices_missing`` when the spec asks for more than there are.
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads[0])
        tf.config.threading.set_inter_op_parallelism_threads(threads[1])
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        virtual = int(os.environ.get("GRAFT_VIRTUAL_CPUS", "0"))
        if virtual > 1:
            tf.config.set_logical_device_configuration(
                tf.config.list_physical_devices("CPU")[0],
                [tf.config.LogicalDeviceConfiguration()] * virtual,
            )
    except RuntimeError:
        # TensorFlow has started already: several runs in one process, as in tests. The settings
        # are then the first run's.
        gpus = tf.config.list_physical_devices("GPU")
        threads = (
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.threading.get_inter_op_parallelism_threads(),
        )
    kind = devices.kind
    if kind == "auto":
        kind = "gpu" if gpus else "cpu"
    found = [device.name for device in tf.config.list_logical_devices(kind.upper())]
    if len(found) < devices.count:
        raise TrainingError(
            "devices_missing",
            field="devices.count",
            wanted=devices.count,
            found=len(found),
            kind=kind.upper(),
        )
    chosen = [name.removeprefix("/device:") for name in found[: devices.count]]
    if len(chosen) == 1:
        strategy = tf.distribute.get_strategy() if kind == "cpu" else _one_device(chosen[0])
    else:
        cross = None if kind == "gpu" else tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(
            [f"/device:{name}" for name in chosen], cross_device_ops=cross
        )
    return Devices(chosen, kind, threads, strategy)


def _one_device(name: str) -> Any:
    import tensorflow as tf

    return tf.distribute.OneDeviceStrategy(f"/device:{name}")


def environment(threads: tuple[int, int]) -> dict[str, Any]:
    """The report's ``environment``."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": list(threads),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
