"""``python -m training draw``: images or sounds of classes from a checkpoint, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from training.backbones.generator_config import GeneratorConfig
from training.backbones.registry import BACKBONES
from training.command_specs import DrawSpec
from training.errors import TrainingError
from training.events import EventLog

#: Most images of all classes together.
MOST_IMAGES = 10_000
#: Of them, those that a model makes together: the maps of a thousand take gigabytes.
MADE = 100


def run(spec: DrawSpec, out: Path, events: EventLog) -> dict[str, Any]:
    """Write ``images/CLASS-NUMBER.png`` (a class's place among the card's), ``grid.png``, a row or
    more for each class, and ``report.json``, which says what is what; of a model of sounds also
    ``sounds/CLASS-NUMBER.wav``, what the picture of that name sounds like.

    Images of the same number are of the same random numbers, whatever the class.

    Args:
        spec: What is wanted.
        out: The working directory.
        events: Its event log.

    Returns:
        Fields of the ``finished`` event.

    Raises:
        TrainingError: ``model_makes_no_images``, ``checkpoint_without_classes``,
            ``class_unknown``.
    """
    from training.durable import write_json
    from training.generative.loaded import known_classes
    from training.generative.pictures import as_pixels, png, write_rows
    from training.generative.sounds import wavs
    from training.sound.mel import shape_of
    from training.weights.checkpoint import read_checkpoint
    from training.weights.initial import generator

    checkpoint = read_checkpoint(Path(spec.checkpoint))
    config = checkpoint.config
    if not isinstance(config, GeneratorConfig):
        title = BACKBONES[config.architecture].title
        raise TrainingError("model_makes_no_images", field="checkpoint", architecture=title)
    known = known_classes(checkpoint)
    for name in spec.classes:
        if name not in known:
            raise TrainingError("class_unknown", field="classes", name=name, known=", ".join(known))
    chosen = spec.classes or known
    count = max(1, min(spec.count, MOST_IMAGES // len(chosen)))
    latents = generator(spec.seed, "latents.drawn").standard_normal(
        (count, config.latent), np.float32
    )
    events.emit("phase", name="loading", fraction=None, detail="TensorFlow")
    from training.backbones.registry import model_class

    model = model_class(config.architecture)(config)
    model.load_named(checkpoint.tensors())
    sound = shape_of(checkpoint.card["sound"]) if "sound" in checkpoint.card else None
    for kind in ("images", *(["sounds"] if sound else [])):
        (out / kind).mkdir(exist_ok=True)
    rows, told = [], []
    for number, name in enumerate(chosen):
        events.emit("phase", name="drawing", fraction=round(number / len(chosen), 3), detail=name)
        labels = np.full(count, known.index(name), np.int32)
        parts = [slice(start, start + MADE) for start in range(0, count, MADE)]
        made = np.concatenate(
            [np.array(model.images(latents[part], labels[part])) for part in parts]
        )
        images = as_pixels(made)
        names = [f"{labels[0]:03d}-{place:04d}" for place in range(count)]
        files = {"files": [f"images/{one}.png" for one in names]}
        for file, image in zip(files["files"], images, strict=True):
            (out / file).write_bytes(png(image))
        if sound is not None:
            files["sounds"] = [f"sounds/{one}.wav" for one in names]
            for file, content in zip(files["sounds"], wavs(made, sound), strict=True):
                (out / file).write_bytes(content)
        told.append({"class": name, **files})
        rows.append(images)
    write_rows(out / "grid.png", rows, spec.columns)
    report = {
        "version": 1,
        "method": "draw",
        "checkpoint": checkpoint.weights_sha256,
        "seed": spec.seed,
        "images": told,
    }
    write_json(out / "report.json", report, point="report")
    return {"report": "report.json", "result": "grid.png"}
