"""PyTorch's side for the text architectures beside GPT-2; ``tests.parity.make`` calls it.

Writes ``tests/parity/reference/text/``: PyTorch's outputs for each of ``tests.parity.text.CASES``,
from a checkpoint that our code wrote (``from_pretrained`` must report nothing missing, unexpected
or of another shape, and hold the bits that we meant); and ``text_folders/``: tiny models that
``transformers`` saved, with their outputs, some in the form in which the published ones lie on the
Hub.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.parity.fixtures import TEXTS, weights
from tests.parity.minilm import MOST_TOKENS, SENTENCES, VECTORS
from tests.parity.text import (
    CASES,
    FOLDERS,
    LABELS,
    OUTPUTS,
    SPECIAL_TEXTS,
    comparable,
    inputs,
    tokenizers,
    write_case,
)
from training.backbones.contract import BackboneConfig
from training.backbones.gpt3.config import GPT3Config
from training.interop.forms import read_config
from training.interop.huggingface import export
from training.weights.checkpoint import read_checkpoint
from training.weights.header import read_header

_SMALL = {
    "vocab_size": 180,
    "max_position_embeddings": 24,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
}
#: Byte-level tokens need more rows.
_BYTES = _SMALL | {"vocab_size": 300}


def write_references() -> None:
    for folder in (OUTPUTS, FOLDERS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    made = {}
    for name, config in CASES.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "checkpoint"
            card = write_case(name, folder)
            model = open_ours(folder, config)
            _require_equal_weights(model, config, name)
            made[name] = {
                "weights_sha256": card["weights_sha256"],
                "config": json.loads((folder / "config.json").read_text()),
            }
        _save(outputs_of(model, config), OUTPUTS / f"{name}.safetensors")
    _write_json(OUTPUTS / "cases.json", made)
    _write_json(OUTPUTS / "tokens.json", _token_ids())
    for name, make in _FOLDERS.items():
        torch.manual_seed(sum(name.encode()))
        make(FOLDERS / name)


def open_ours(folder: Path, config: BackboneConfig) -> Any:
    """A checkpoint of ours as the class that its ``config.json`` names."""
    further = {}
    if isinstance(config, GPT3Config):
        # The dense one leaves as a GPT-2 by itself; the others are called so for PyTorch's sake.
        dense = folder.with_name("dense")
        checkpoint = read_checkpoint(folder)
        export(replace(checkpoint, config=config.model_copy(update={"window": None})), dense)
        folder, further = dense, {"attn_implementation": "eager"}
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    if name in ("BertModel", "RobertaModel") and not getattr(config, "pooled", True):
        further["add_pooling_layer"] = False
    model, info = getattr(transformers, name).from_pretrained(
        folder, output_loading_info=True, **further
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info.get(kind):
            raise SystemExit(f"{folder}: {kind}: {sorted(info[kind])[:5]}")
    if isinstance(config, GPT3Config) and config.window is not None:
        _band(model, config.window)
    return model.eval()


def _band(model: Any, window: int) -> None:
    """Let tokens see themselves and the ``window - 1`` before, in layers 1, 3, 5 … of a GPT-2."""

    def banded(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        time = given[0].shape[1]
        place = torch.arange(time)
        distance = place[:, None] - place[None, :]
        seen = (distance >= 0) & (distance < window)
        mask = torch.zeros(time, time).masked_fill(~seen, torch.finfo(torch.float32).min)
        return given, named | {"attention_mask": mask[None, None]}

    for layer, block in enumerate(model.transformer.h):
        if layer % 2:
            block.attn.register_forward_pre_hook(banded, with_kwargs=True)


def outputs_of(model: Any, config: BackboneConfig) -> dict[str, np.ndarray]:
    """PyTorch's outputs by our names: ``output``, ``pooled``, ``next_sentence``."""
    read = {
        {"tokens": "input_ids", "token_types": "token_type_ids"}.get(key, key): torch.tensor(value)
        for key, value in inputs(config).items()
    }
    with torch.no_grad():
        given = model.float().eval()(**{key: value.long() for key, value in read.items()})
    found = {}
    for ours, theirs in (
        ("output", ("logits", "prediction_logits", "last_hidden_state")),
        ("pooled", ("pooler_output",)),
        ("next_sentence", ("seq_relationship_logits",)),
    ):
        for key in theirs:
            if given.get(key) is not None:
                found.setdefault(ours, given[key].numpy())
    return comparable(config, found)


def _require_equal_weights(model: Any, config: BackboneConfig, name: str) -> None:
    state = model.state_dict()
    for key, value in weights(config, "float32").items():
        # A model without a head has no prefix in PyTorch.
        loaded = state[key] if key in state else state[key.split(".", 1)[1]]
        if not np.array_equal(loaded.numpy(), value):
            raise SystemExit(f"{name}: {key} differs after from_pretrained")


def _token_ids() -> dict[str, Any]:
    """Ids that ``transformers`` gives, with special tokens inside a text as text and as tokens."""
    found = {}
    for name, tokenizer in tokenizers().items():
        architecture = name if name in ("roberta", "opt") else "bert"
        with tempfile.TemporaryDirectory() as scratch:
            tokenizer.save(Path(scratch), 512)
            _write_json(Path(scratch) / "config.json", {"model_type": architecture})
            foreign = transformers.AutoTokenizer.from_pretrained(scratch)
        texts = [*TEXTS, *SPECIAL_TEXTS]
        found[name] = {
            "as_text": [foreign(text, split_special_tokens=True)["input_ids"] for text in texts],
            "as_tokens": [foreign(text)["input_ids"] for text in texts],
        }
    return found


def write_minilm(folder: Path) -> None:
    """Vectors of a sentence encoder: mean over real tokens, length one."""
    model = transformers.AutoModel.from_pretrained(folder).float().eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    vectors = {}
    for name, as_text in (("vectors", True), ("as_tokens", False)):
        vectors[name] = torch.stack(
            [_vector(model, tokenizer, text, as_text) for text in SENTENCES]
        )
    save_file(vectors, VECTORS)


def _vector(model: Any, tokenizer: Any, sentence: str, as_text: bool) -> torch.Tensor:
    read = tokenizer(
        sentence,
        split_special_tokens=as_text,
        truncation=True,
        padding=False,
        max_length=MOST_TOKENS,
        return_tensors="pt",
    )
    with torch.no_grad():
        mean = model(**read).last_hidden_state.mean(1)
    return torch.nn.functional.normalize(mean)[0]


# --- folders that transformers saved ---------------------------------------------------------


def _randomise(model: Any) -> Any:
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            values = 0.25 * torch.randn(parameter.shape)
            scale = "norm" in key.lower() and key.endswith("weight")
            parameter.copy_(1 + values if scale else values)
    model.tie_weights()
    return model


def _save_folder(model: Any, folder: Path, tokenizer: str, architecture: str) -> None:
    _randomise(model).save_pretrained(folder)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizers()[tokenizer].save(Path(scratch))
        _write_json(Path(scratch) / "config.json", {"model_type": architecture})
        transformers.AutoTokenizer.from_pretrained(scratch).save_pretrained(folder)


def _expect(model: Any, folder: Path) -> None:
    payload = json.loads((folder / "config.json").read_text())
    config = read_config(payload, read_header(folder / "model.safetensors").tensors)
    _save(outputs_of(model, config), folder / "expected.safetensors")


def _bert_published(folder: Path) -> None:
    """As BERT lies on the Hub: old names, a buffer, another class's head as well."""
    model = transformers.BertForPreTraining(transformers.BertConfig(**_SMALL))
    _save_folder(model, folder, "wordpiece", "bert")
    tensors = {}
    for key, value in load_file(folder / "model.safetensors").items():
        key = key.replace("LayerNorm.weight", "LayerNorm.gamma")
        tensors[key.replace("LayerNorm.bias", "LayerNorm.beta")] = value
    tensors["bert.embeddings.position_ids"] = torch.arange(24).unsqueeze(0)
    tensors["cls.predictions.decoder.weight"] = model.bert.embeddings.word_embeddings.weight.clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _edit_config(folder, architectures=["BertForMaskedLM"], position_embedding_type="absolute")
    _expect(model, folder)


def _bert_sentence(folder: Path) -> None:
    """As sentence encoders lie there: bare names, no pooler, only ``vocab.txt``."""
    config = transformers.BertConfig(**_SMALL, hidden_act="gelu_new", type_vocab_size=1)
    model = transformers.BertModel(config, add_pooling_layer=False)
    _save_folder(model, folder, "wordpiece-cased", "bert")
    for path in folder.glob("*token*"):
        path.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        tokenizers()["wordpiece-cased"].save(Path(scratch))
        shutil.copyfile(Path(scratch) / "vocab.txt", folder / "vocab.txt")
    _write_json(folder / "tokenizer_config.json", {"do_lower_case": False})
    _expect(model, folder)


def _distilbert(folder: Path) -> None:
    sizes = {"vocab_size": 180, "max_position_embeddings": 24, "dim": 24, "n_layers": 2}
    config = transformers.DistilBertConfig(
        **sizes,
        n_heads=3,
        hidden_dim=40,
        sinusoidal_pos_embds=True,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    model = transformers.DistilBertForSequenceClassification(config)
    _save_folder(model, folder, "wordpiece-no-accents", "distilbert")
    _expect(model, folder)


def _roberta_published(folder: Path) -> None:
    """As RoBERTa lies on the Hub: the masked LM's class, and a pooler that it does not use."""
    config = transformers.RobertaConfig(**_BYTES, type_vocab_size=1, layer_norm_eps=1e-5)
    model = transformers.RobertaForMaskedLM(config)
    _save_folder(model, folder, "roberta", "roberta")
    tensors = load_file(folder / "model.safetensors")
    tensors["roberta.pooler.dense.weight"] = torch.randn(24, 24)
    tensors["roberta.pooler.dense.bias"] = torch.randn(24)
    tensors["roberta.embeddings.position_ids"] = torch.arange(24).unsqueeze(0)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    _expect(model, folder)


def _opt(folder: Path) -> None:
    """The 350M model's form."""
    sizes = {key: value for key, value in _BYTES.items() if key != "intermediate_size"}
    config = transformers.OPTConfig(
        **sizes, ffn_dim=40, word_embed_proj_dim=10, do_layer_norm_before=False
    )
    model = transformers.OPTForCausalLM(config)
    _save_folder(model, folder, "opt", "opt")
    _expect(model, folder)


_FOLDERS: dict[str, Callable[[Path], None]] = {
    "bert-published": _bert_published,
    "bert-sentence": _bert_sentence,
    "distilbert": _distilbert,
    "roberta-published": _roberta_published,
    "opt": _opt,
}


def _edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    _write_json(path, json.loads(path.read_text()) | changes)


def _save(arrays: dict[str, np.ndarray], path: Path) -> None:
    save_file({key: torch.tensor(value) for key, value in arrays.items()}, path)


def _write_json(path: Path, payload: object) -> None:
    path.write_text(json.dumps(payload, ensure_ascii=False) + "\n")
