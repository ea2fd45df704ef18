"""A data set and a run so small that a test can afford a whole training."""

import json
import os
import subprocess
import sys

import numpy as np

from training.events import read_events

WORDS = [
    "the",
    "whale",
    "sea",
    "ship",
    "and",
    "of",
    "captain",
    "white",
    "a",
    "old",
    "sailor",
    "wind",
    "storm",
    "harpoon",
    "deep",
    "to",
    "in",
]

MODEL = {"vocab_size": 300, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}


def write_dataset(folder, documents=60, seed=0):
    """Sentences of random words, as ``prepare`` would leave them; returns the folder."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for split, count in (("train", documents), ("validation", 8), ("test", 5)):
        with (folder / f"{split}.jsonl").open("w") as file:
            for number in range(count):
                text = " ".join(random.choice(WORDS, random.integers(8, 60)))
                file.write(json.dumps({"id": number, "text": text}) + "\n")
    return folder


def tiny_spec(dataset, **parts):
    """A spec as JSON; ``parts`` override section by section."""
    spec = {
        "seed": 3,
        "data": {"path": str(dataset)},
        "tokenizer": {"kind": "train", "vocabulary_size": 300},
        "model": MODEL,
        "training": {
            "steps": 12,
            "batch_size": 4,
            "sequence_length": 16,
            "warmup_steps": 2,
            "learning_rate": 0.01,
        },
        "evaluation": {
            "every": 3,
            "batches": 2,
            "checkpoint_every": 4,
            "sample_every": 6,
            "sample_tokens": 6,
        },
    }
    for name, part in parts.items():
        if isinstance(part, dict) and isinstance(spec.get(name), dict):
            spec[name] = {**spec[name], **part}
        else:
            spec[name] = part
    return spec


def start(spec, out, command="run", **environment):
    """The engine as the portal starts it: a process of its own."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.parent / f"{out.name}.json"
    path.write_text(json.dumps(spec))
    return subprocess.Popen(
        [sys.executable, "-m", "training", command, str(path), "--out", str(out), "--quiet"],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout=300):
    """Wait; the exit code and what it wrote to standard error."""
    _out, errors = process.communicate(timeout=timeout)
    return process.returncode, errors


def events_of(out):
    return read_events(out / "events.jsonl")[0]


def curve(out):
    """Every metric by (name, step), after what resumes made void."""
    found = {}
    for event in events_of(out):
        if event["kind"] == "resumed":
            found = {key: value for key, value in found.items() if key[1] <= event["step"]}
        elif event["kind"] == "metric":
            for name, value in event["values"].items():
                found[name, event["step"]] = value
    return found


def samples(out):
    """Every sample by (step, prompt), after what resumes made void."""
    found = {}
    for event in events_of(out):
        if event["kind"] == "resumed":
            found = {key: text for key, text in found.items() if key[0] <= event["step"]}
        elif event["kind"] == "sample":
            found[event["step"], event["prompt"]] = event["text"]
    return found
