"""Labelled data and runs on it, so small that a test can afford several trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from tests.pictures import archive, class_folders, encoded
from tests.small import loud
from training.backbones.contract import BackboneConfig
from training.data.prepare import run as prepare_upload
from training.data.prepare_spec import PrepareSpec
from training.engine.run import run as train
from training.events import EventLog, read_events
from training.methods.registry import METHODS
from training.methods.task_related.classification import LoadedClasses
from training.methods.task_related.classification_spec import ClassificationSpec
from training.methods.task_related.classification_task import ClassifierTask
from training.weights.checkpoint import read_checkpoint, write_checkpoint

#: What a phrase adds to a text's number.
PHRASES = {"so it goes": 20.0, "xyz": -15.0, "zz yx": 2.0, "and it went": 7.0}


def image_dataset(folder: Path, sizes: Mapping[str, int]) -> Path:
    """So many images of each class, prepared; the first class is red, then green, then blue."""
    files = {
        name: content
        for name, content in class_folders(max(sizes.values()), classes=tuple(sizes)).items()
        if int(Path(name).stem) < sizes[name.split("/")[0]]
    }
    return prepared(folder, "upload.zip", archive(files))


def text_dataset(folder: Path, words: Mapping[str, list[str]], count: int) -> Path:
    """So many texts, of two of their class's phrases and a number each, prepared."""
    random, names = np.random.default_rng(3), list(words)
    lines = []
    for number in range(count):
        name = names[number % len(names)]
        text = " ".join([*random.choice(words[name], 2), f"{number}"])
        lines.append(json.dumps({"text": text, "label": name}) + "\n")
    return prepared(folder, "upload.jsonl", "".join(lines).encode(), label_field="label")


def pair_dataset(folder: Path, words: Mapping[str, list[str]], count: int) -> Path:
    """So many pairs, prepared: only the second text is of the class's phrases."""
    random, names = np.random.default_rng(4), list(words)
    lines = []
    for number in range(count):
        name = names[number % len(names)]
        pair = {"text": f"and {number}", "reply": " ".join(random.choice(words[name], 2))}
        lines.append(json.dumps(pair | {"label": name}) + "\n")
    content = "".join(lines).encode()
    return prepared(folder, "upload.jsonl", content, label_field="label", pair_field="reply")


def numbered_texts(folder: Path, count: int, column: str = "score") -> Path:
    """So many texts of three phrases and a number each, prepared: the phrases decide, about 1000
    and 25 up or down."""
    random, lines = np.random.default_rng(5), []
    for number in range(count):
        drawn = random.choice(list(PHRASES), 3)
        score = 1000 + sum(PHRASES[one] for one in drawn) + random.normal(0, 0.5)
        lines.append(json.dumps({"text": " ".join([*drawn, f"{number}"]), column: score}) + "\n")
    return prepared(folder, "upload.jsonl", "".join(lines).encode(), label_field=column)


def numbered_images(folder: Path, count: int) -> Path:
    """So many images, prepared: their number is how bright they are, in percent."""
    random, files, lines = np.random.default_rng(6), {}, ["file,brightness"]
    for number in range(count):
        level = int(random.integers(20, 236))
        pixels = np.clip(random.normal(level, 12, (24, 24, 3)), 0, 255).astype(np.uint8)
        files[f"{number}.png"] = encoded(Image.fromarray(pixels))
        lines.append(f"{number}.png,{level / 2.55:.3f}")
    content = archive({**files, "manifest.csv": "\n".join(lines)})
    return prepared(folder, "upload.zip", content, label_field="brightness")


def prepared(folder: Path, name: str, content: bytes, **settings: Any) -> Path:
    folder.mkdir()
    (folder / name).write_bytes(content)
    log = EventLog(folder / "events.jsonl")
    settings = {"validation_percent": 15, "test_percent": 25} | settings
    prepare_upload(PrepareSpec(path=str(folder / name), **settings), folder / "out", log)
    log.close()
    return folder / "out" / "dataset"


def checkpoint(folder: Path, config: BackboneConfig, tokenizer: Any = None, **card: Any) -> Path:
    """Loud weights as a checkpoint; running variances are one."""
    weights = loud(config)
    for spec in config.tensors():
        if spec.variance:
            weights[spec.name] = np.ones(spec.shape, np.float32)
    write_checkpoint(folder, config, weights, tokenizer, card)
    return folder


def spec_of(dataset: Path, **parts: Any) -> dict[str, Any]:
    """A spec as JSON; ``parts`` override section by section."""
    spec: dict[str, Any] = {
        "method": "classification",
        "seed": 3,
        "data": {"path": str(dataset)},
        "inputs": {"image_px": 24},
        "training": {"steps": 6, "batch_size": 8, "warmup_steps": 1, "learning_rate": 3e-3},
        "evaluation": {"every": 3, "batches": 4, "checkpoint_every": 100},
        "devices": {"kind": "cpu"},
    }
    for name, part in parts.items():
        both = isinstance(part, dict) and isinstance(spec.get(name), dict)
        spec[name] = {**spec[name], **part} if both else part
    return spec


def run(out: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Train in this process, or go on training; the report."""
    out.mkdir(exist_ok=True)
    log = EventLog(out / "events.jsonl")
    try:
        train(METHODS[spec["method"]].settings.model_validate(spec), out, log)
    finally:
        log.close()
    return report(out)


def loaded(spec: dict[str, Any], folder: Path) -> LoadedClasses:
    """The data and the configuration of a run; no TensorFlow."""
    log = EventLog(folder / "events.jsonl")
    try:
        return LoadedClasses(ClassificationSpec.model_validate(spec), folder, log)
    finally:
        log.close()


def built(spec: dict[str, Any], folder: Path) -> ClassifierTask:
    """The same with its model, as it is before the first step."""
    import tensorflow as tf

    log = EventLog(folder / "events.jsonl")
    try:
        found: ClassifierTask = loaded(spec, folder).build(
            compute_dtype="float32", fused=True, strategy=tf.distribute.get_strategy(), events=log
        )
        return found
    finally:
        log.close()


def report(out: Path) -> dict[str, Any]:
    """A finished run's."""
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def state_of(out: Path, step: int, file: str = "weights") -> dict[str, np.ndarray]:
    """What a run kept on disk at a step."""
    return load_file(out / "state" / f"step-{step:08d}" / f"{file}.safetensors")


def tensors(folder: Path) -> dict[str, np.ndarray]:
    """A checkpoint's, every hash verified."""
    return dict(read_checkpoint(folder, verify=True).tensors())


def changed(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> set[str]:
    """Names of the tensors that are not the same bit for bit."""
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name])}


def told(out: Path, kind: str) -> list[dict[str, Any]]:
    """A run's events of a kind."""
    return [event for event in read_events(out / "events.jsonl")[0] if event["kind"] == kind]
