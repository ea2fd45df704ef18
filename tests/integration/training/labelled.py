"""Labelled data and specs of runs on it, so small that a test can afford several trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.integration.training.runs import with_parts
from tests.pictures import archive, class_folders, encoded
from tests.small import loud
from training.backbones.contract import BackboneConfig
from training.data.prepare import run as prepare_upload
from training.data.prepare_spec import PrepareSpec
from training.events import EventLog
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import initial_weights

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


#: Words of :func:`tagged_conll` that are names of people and of places.
NAMES, PLACES = ["goes", "xyz", "went"], ["zz", "yx"]


def tagged_sentences(folder: Path, count: int) -> Path:
    """The sentences of :func:`tagged_conll`, prepared."""
    return prepared(folder, "upload.conll", tagged_conll(count).encode())


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


def begun(folder: Path, config: BackboneConfig, tokenizer: Any = None) -> Path:
    """Weights as training begins with, as a checkpoint: loud ones tell no two places of a text
    apart."""
    write_checkpoint(folder, config, initial_weights(config, 0), tokenizer, {})
    return folder


def tagged_conll(count: int) -> str:
    """So many sentences of words with tags of entities (IOB2) as CoNLL: names have a second word
    now and then; "so" is part of one after a name, and else of none."""
    random, blocks = np.random.default_rng(8), []
    for number in range(count):
        words = [("and", "O"), (random.choice(NAMES), "B-PER")]
        if random.random() < 0.5:
            words.append(("so", "I-PER"))
        words += [("it", "O"), ("so", "O")]
        words += [(random.choice(PLACES), "B-LOC"), (str(number), "O")]
        blocks.append("".join(f"{word}\t{tag}\n" for word, tag in words))
    return "\n".join(blocks)


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
    return with_parts(spec, parts)
