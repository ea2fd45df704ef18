"""KerasHub's GPT-2 from Keras's own files: our logits beside KerasHub's.

    python -m benchmarks.experiments keras_files

A small GPT-2 of KerasHub with random weights, saved in each of the four ways that are read: the
whole model or its backbone, as ``.keras`` or ``.weights.h5``. Each file is brought in by the import
job. Above 1e-4 for any, the exit code is 1. About a minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from training.data.tokenizer import Tokenizer

BAR = 1e-4
FILES = ("model.keras", "backbone.keras", "model.weights.h5", "backbone.weights.h5")
VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS, INNER = 272, 16, 16, 3, 2, 40


def main(arguments: list[str]) -> None:
    """Print a row for each file."""
    argparse.ArgumentParser(prog="keras_files", description=__doc__.split("\n", 1)[0]).parse_args(
        arguments
    )
    from keras_hub.models import GPT2Backbone, GPT2CausalLM

    from tests.parity.ours import import_folder
    from training.backbones.registry import model_class

    random = np.random.default_rng(1)
    backbone = GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        intermediate_dim=INNER,
        max_sequence_length=CONTEXT,
    )
    for variable in backbone.weights:
        variable.assign(random.standard_normal(variable.shape) * 0.3)
    model = GPT2CausalLM(backbone=backbone, preprocessor=None)
    tokens = random.integers(0, VOCABULARY, (2, CONTEXT)).astype(np.int32)
    theirs = np.asarray(model({"token_ids": tokens, "padding_mask": np.ones_like(tokens)}))
    missed = []
    print("| file | largest difference | of logits up to |")
    print("| --- | --- | --- |", flush=True)
    for name in FILES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "upload"
            folder.mkdir()
            # Rows are left over, as in a vocabulary that is padded.
            Tokenizer.train(["so it goes, and so it went"] * 3, VOCABULARY - 2).save(folder)
            saved = model if name.startswith("model") else backbone
            save = saved.save if name.endswith(".keras") else saved.save_weights
            save(folder / name)
            checkpoint = import_folder(folder, Path(scratch) / "out")
            ours = model_class(checkpoint.config.architecture)(checkpoint.config)
            ours.load_named(checkpoint.tensors())
            found = float(np.abs(np.asarray(ours(tokens)) - theirs).max())
        if not found <= BAR:
            missed.append(name)
        print(f"| {name} | {found:.1e} | {np.abs(theirs).max():.3g} |", flush=True)
    print()
    if missed:
        sys.exit(f"The bar of {BAR:g} is missed by {', '.join(missed)}.")
    print(f"The bar of {BAR:g} is kept by every file.")
