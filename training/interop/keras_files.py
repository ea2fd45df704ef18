"""GPT-2 in Keras's files, ``.keras`` and ``.weights.h5``: read once as data, never loaded.

No switch of Keras makes ``load_model`` safe: a node in ``config.json`` that named a function of
Keras ran under ``safe_mode=True``. So nothing here imports Keras. The zip, the configuration and
the HDF5 file are each checked by a list of what may be in them, and two models are understood:
KerasHub's GPT-2 (``GPT2CausalLM``, ``GPT2Backbone``) and the functional model that
:mod:`training.interop.exports.keras` writes of a GPT-2. Anything else is refused by its name.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training.backbones.gpt2.config import GPT2Config
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.interop.hdf5 import H5File, LazyTensors
from training.interop.huggingface import ForeignModel
from training.interop.keras_archive import CONFIG, unpack
from training.interop.keras_config import HUB_FUNCTION, validated
from training.interop.keras_gpt2 import Source, hub_place, sources
from training.weights.checkpoint import TOKENIZER_FILES

_PREFIXES = ("layers/gpt2_backbone/layers", "layers")


def found_in(names: list[str]) -> str | None:
    """The Keras file among a folder's files; None: it is another kind of folder."""
    chosen = [name for name in names if name.endswith((".keras", ".weights.h5"))]
    if not chosen or CONFIG in names:
        return None
    if len(chosen) > 1:
        raise TrainingError("keras_several", files=", ".join(sorted(chosen)[:3]))
    return chosen[0]


@contextmanager
def open_model(path: Path, scratch: Path) -> Iterator[ForeignModel]:
    """Check a Keras file and open it; its tensors can be read while the block lasts.

    Args:
        path: ``.keras`` or ``.weights.h5``. A tokenizer may lie beside it, or in ``tokenizer/``.
        scratch: A folder that the zip's weights are unpacked into; removed at the end.

    Raises:
        TrainingError: ``keras_*``, ``hdf5_*``, ``config_*``, ``tensor*_*``, ``tokenizer_*``.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    weights: H5File | None = None
    try:
        if path.name.endswith(".keras"):
            config, hub, dropout, stored = unpack(path, scratch)
            weights = H5File(stored)
        else:
            weights = H5File(path)
            config, hub, dropout = _inferred(weights, path.name), True, 0.0
        tensors, nbytes = _matched(weights, config, hub)
        tokenizer = _tokenizer(path.parent, scratch, config)
        rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        yield ForeignModel(config, tensors, tokenizer, rates, nbytes)
    finally:
        if weights is not None:
            weights.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _inferred(weights: H5File, file: str) -> GPT2Config:
    """The configuration of KerasHub's GPT-2 from the shapes alone; it has no other settings."""
    first = f"{hub_place('layer_0_attention')}/query_dense/vars/0"
    for prefix in _PREFIXES:
        if f"{prefix}/{first}" in weights.arrays:
            break
    else:
        raise TrainingError("keras_weights_unknown", file=file)

    def shape(key: str, part: str = "", number: int = 0) -> tuple[int, ...]:
        path = "/".join(filter(None, (prefix, hub_place(key), part, f"vars/{number}")))
        info = weights.arrays.get(path)
        if info is None:
            raise TrainingError("tensors_missing", count=1, names=path)
        return info.shape

    layers = 0
    while f"{prefix}/{hub_place(f'layer_{layers}_attention')}/query_dense/vars/0" in weights.arrays:
        layers += 1
    shapes = {
        "token_embedding": shape("token_embedding"),
        "position_embedding": shape("position_embedding"),
        "layer_0_attention": shape("layer_0_attention", "query_dense"),
        "layer_0_feed_forward_in": shape("layer_0_feed_forward_in"),
    }
    if [len(found) for found in shapes.values()] != [2, 2, 3, 2]:
        raise TrainingError("keras_weights_unknown", file=file)
    return validated(
        HUB_FUNCTION
        | {
            "vocab_size": shapes["token_embedding"][0],
            "n_embd": shapes["token_embedding"][1],
            "n_positions": shapes["position_embedding"][0],
            "n_layer": layers,
            "n_head": shapes["layer_0_attention"][1],
            "n_inner": shapes["layer_0_feed_forward_in"][1],
        }
    )


def _matched(weights: H5File, config: GPT2Config, hub: bool) -> tuple[LazyTensors, int]:
    """Our tensors, each made of its pieces when asked for; nothing missing, nothing left over."""
    places = _hub_places(weights) if hub else _own_places(weights)
    used: set[str] = set()
    nbytes = 0
    makers = {}
    for source in sources(config):
        paths = []
        for key, part, number in source.parts:
            path = "/".join(filter(None, (places(key), part, f"vars/{number}")))
            info = weights.arrays.get(path)
            if info is None:
                raise TrainingError("tensors_missing", count=1, names=path)
            if info.shape != source.shape:
                raise TrainingError(
                    "tensor_shape", name=path, found=list(info.shape), expected=list(source.shape)
                )
            used.add(path)
            paths.append(path)
            nbytes += int(np.prod(info.shape)) * np.dtype(info.dtype).itemsize
        makers[source.name] = partial(_make, weights, source, paths)
    if extra := sorted(set(weights.arrays) - used):
        shown = ", ".join(name[:120] for name in extra[:3])
        raise TrainingError("tensors_extra", count=len(extra), names=shown, model="gpt2")
    return LazyTensors(makers), nbytes


def _make(weights: H5File, source: Source, paths: list[str]) -> np.ndarray:
    return source.join([weights.read(path) for path in paths])


def _hub_places(weights: H5File) -> Any:
    bare = f"{_PREFIXES[0]}/reversible_embedding/vars/0" not in weights.arrays
    prefix = _PREFIXES[1] if bare else _PREFIXES[0]
    # The order of the blocks is in the groups' numbers; the layers' own names must agree.
    for path, name in weights.names.items():
        group = re.fullmatch(r".*/transformer_decoder(?:_(\d+))?", path)
        layer = re.fullmatch(r"transformer_layer_(\d+)", name)
        if group and layer and int(group[1] or 0) != int(layer[1]):
            raise TrainingError("keras_graph", detail=path)
    return lambda key: f"{prefix}/{hub_place(key)}"


def _own_places(weights: H5File) -> Any:
    by_name: dict[str, str] = {}
    for path, name in weights.names.items():
        if path.count("/") == 1:
            if name in by_name:
                raise TrainingError("keras_graph", detail=name[:120])
            by_name[name] = path
    return lambda key: by_name.get(key, f"layers/{key}")


def _tokenizer(folder: Path, scratch: Path, config: GPT2Config) -> Tokenizer:
    """What lies beside the file, in it, or GPT-2's published one where its rows fit."""
    places = (folder, folder / "tokenizer", scratch)
    with_one = [
        place for place in places if any((place / name).is_file() for name in TOKENIZER_FILES)
    ]
    found = Tokenizer.load(with_one[0]) if with_one else Tokenizer.gpt2()
    if not with_one and found.size != config.vocab_size:
        raise TrainingError(
            "keras_no_tokenizer", vocabulary=config.vocab_size, published=found.size
        )
    if found.size > config.vocab_size:
        raise TrainingError("vocabulary_too_small", vocabulary=config.vocab_size, tokens=found.size)
    return found
