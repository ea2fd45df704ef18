"""GPT-2 in Keras's files, ``.keras`` and ``.weights.h5``: read once as data, never loaded.

No switch of Keras makes ``load_model`` safe: a node in ``config.json`` that named a function of
Keras ran under ``safe_mode=True``. So nothing here imports Keras. The zip, the configuration and
the HDF5 file are each checked by a list of what may be in them, and two models are understood:
KerasHub's GPT-2 (``GPT2CausalLM``, ``GPT2Backbone``) and the functional model that
:mod:`training.interop.exports.keras` writes of a GPT-2. Anything else is refused by its name.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from training.backbones.gpt2.config import GPT2Config
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.interop.hdf5 import H5File, LazyTensors
from training.interop.huggingface import ForeignModel
from training.interop.keras_gpt2 import Node, Source, graph, hub_place, output_of, sources
from training.settings import problems
from training.weights.checkpoint import TOKENIZER_FILES

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
#: Where KerasHub puts a tokenizer's files inside the zip.
_ASSET = re.compile(r"assets/(?:\w+/){0,4}(vocabulary\.json|merges\.txt)")
_ASSET_NAMES = {"vocabulary.json": "vocab.json", "merges.txt": "merges.txt"}
MAX_CONFIG_BYTES = 10_000_000
MAX_ASSET_BYTES = 50_000_000
#: Beside the weights a file holds at most Adam's two moments of each, and what HDF5 itself takes.
STORED_TIMES, OVERHEAD_BYTES = 4, 64_000_000
#: Weights hardly shrink in a zip, a vocabulary to a third; a bomb grows a thousandfold.
UNPACKED_TIMES, UNPACKED_FLOOR = 20, 1_000_000
_CHUNK = 1 << 20

#: What KerasHub's GPT-2 fixes, whatever its file says.
HUB_FUNCTION = {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}
#: Key of ``GPT2Backbone`` → ours.
HUB_FIELDS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "n_layer",
    "num_heads": "n_head",
    "hidden_dim": "n_embd",
    "intermediate_dim": "n_inner",
    "max_sequence_length": "n_positions",
}
#: The same function in float32: the others only compute it with fewer digits.
_POLICIES = frozenset({"float32", "mixed_bfloat16", "mixed_float16"})
#: Keys of a layer that do not change what it computes.
_NEUTRAL = re.compile(r"name|trainable|dtype|seed|\w+_(initializer|regularizer|constraint)")
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
            config, hub, dropout, stored = _unpack(path, scratch)
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


# --- the zip -------------------------------------------------------------------------------------


def _unpack(path: Path, scratch: Path) -> tuple[GPT2Config, bool, float, Path]:
    """Check the zip, read its configuration, and unpack its weights within what that allows."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            payload = _json(archive, members[CONFIG])
            config, hub, dropout = read_config(payload)
            most = STORED_TIMES * 4 * config.parameter_count() + OVERHEAD_BYTES
            _extract(archive, members[WEIGHTS], scratch / "model.weights.h5", most)
            for name, member in members.items():
                if asset := _ASSET.fullmatch(name):
                    target = scratch / _ASSET_NAMES[asset[1]]
                    _extract(archive, member, target, MAX_ASSET_BYTES)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        EOFError,
        OSError,
        UnicodeError,
    ) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # a disk's, and not the zip's
        raise TrainingError("keras_zip", file=path.name, detail=str(error)[:200]) from error
    return config, hub, dropout, scratch / "model.weights.h5"


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        if member.is_dir():
            continue
        if name not in (CONFIG, METADATA, WEIGHTS) and not _ASSET.fullmatch(name):
            raise TrainingError("keras_member", file=path.name, name=name[:200])
        if name in found:
            raise TrainingError("keras_member_twice", file=path.name, name=name[:200])
        if member.flag_bits & 1:
            raise TrainingError("keras_zip", file=path.name, detail="it is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise TrainingError("keras_zip", file=path.name, detail="its compression is unusual")
        found[name] = member
    for name in (CONFIG, WEIGHTS):
        if name not in found:
            raise TrainingError("keras_member_missing", file=path.name, name=name)
    return found


def _json(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    if member.file_size > MAX_CONFIG_BYTES:
        raise TrainingError("keras_too_large", name=member.filename, size_mb=_mb(member.file_size))
    with archive.open(member) as stream:
        raw = stream.read(MAX_CONFIG_BYTES + 1)
    if len(raw) != member.file_size:
        raise TrainingError("keras_size_lie", name=member.filename)
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TrainingError("config_unreadable", detail=str(error)[:200]) from error
    if not isinstance(payload, dict):
        raise TrainingError("config_unreadable", detail="it is not an object")
    return payload


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most: int) -> None:
    """Unpack one member, never more than it claims, nor than the model can need or the disk has."""
    most = min(most, max(UNPACKED_TIMES * member.compress_size, UNPACKED_FLOOR))
    if member.file_size > most:
        raise TrainingError("keras_too_large", name=member.filename, size_mb=_mb(member.file_size))
    free = shutil.disk_usage(target.parent).free
    if member.file_size > free:
        raise TrainingError(
            "keras_no_space",
            name=member.filename,
            needed_mb=_mb(member.file_size),
            free_mb=_mb(free),
        )
    written = 0
    try:
        with archive.open(member) as stream, target.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                written += len(chunk)
                if written > member.file_size:
                    break
                file.write(chunk)
    except zipfile.BadZipFile as error:  # also a checksum that is not the content's
        raise TrainingError("keras_size_lie", name=member.filename) from error
    if written != member.file_size:
        raise TrainingError("keras_size_lie", name=member.filename)


def _mb(size: int) -> float:
    return round(size / 1e6, 1)


# --- the configuration ---------------------------------------------------------------------------


def read_config(payload: Mapping[str, Any]) -> tuple[GPT2Config, bool, float]:
    """Our configuration, whether it is KerasHub's model, and its dropout rate.

    Args:
        payload: ``config.json`` of a ``.keras`` file, as data.

    Raises:
        TrainingError: ``keras_class``, ``keras_graph``, ``config_*``.
    """
    kind = _class_of(payload)
    if kind == "GPT2CausalLM":
        inner = _object(payload.get("config")).get("backbone")
        payload, kind = _object(inner), _class_of(_object(inner))
    if kind == "GPT2Backbone":
        return _hub_config(_object(payload.get("config")))
    if kind == "Functional":
        return _functional_config(_object(payload.get("config"))), False, 0.0
    raise TrainingError("keras_class", name=kind)


_KNOWN_REGISTERED = {"GPT2CausalLM", "GPT2Backbone"}


def _class_of(item: Mapping[str, Any]) -> str:
    """The class that a part names, refused where the name stands for somebody's own code."""
    kind, registered, module = (
        item.get(name) for name in ("class_name", "registered_name", "module")
    )
    if not isinstance(kind, str):
        raise TrainingError("keras_class", name=str(kind)[:120])
    own = f"keras_hub>{kind}" if kind in _KNOWN_REGISTERED else kind
    if registered not in (None, kind, own):
        raise TrainingError("keras_class", name=str(registered)[:120])
    # Functional models have had several homes; the class alone says what it is.
    if not isinstance(module, str | None) or (module or "keras").split(".")[0] not in (
        "keras",
        "keras_hub",
        "builtins",
    ):
        raise TrainingError("keras_class", name=f"{module}.{kind}"[:120])
    return kind[:120]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TrainingError("config_unreadable", detail="a part of it is not an object")
    return value


def _hub_config(config: Mapping[str, Any]) -> tuple[GPT2Config, bool, float]:
    values: dict[str, Any] = dict(HUB_FUNCTION)
    dropout = 0.0
    for key, value in config.items():
        if key in HUB_FIELDS:
            values[HUB_FIELDS[key]] = value
        elif key == "dropout" and isinstance(value, int | float) and 0 <= value < 1:
            dropout = float(value)
        elif key == "dtype":
            _check_policy(value)
        elif key not in ("name", "trainable"):
            raise TrainingError("config_unknown", name=key[:120])
    return _validated(values), True, dropout


def _validated(values: Mapping[str, Any]) -> GPT2Config:
    missing = sorted(set(HUB_FIELDS.values()) - set(values))
    if missing:
        raise TrainingError("keras_graph", detail=f"{missing[0]} is missing")
    try:
        return GPT2Config.model_validate(dict(values), strict=True)
    except ValidationError as error:
        problem = problems(error)[0]
        raise TrainingError(
            "config_out_of_range",
            name=problem.field,
            value=str(values.get(problem.field))[:120],
            detail=str(problem),
        ) from error


def _check_policy(value: Any) -> None:
    name = value
    if isinstance(value, Mapping):
        if _class_of(value) != "DTypePolicy":
            raise TrainingError("keras_class", name=_class_of(value))
        name = _object(value.get("config")).get("name")
    if not isinstance(name, str) or name not in _POLICIES:
        raise TrainingError(
            "config_unsupported",
            name="dtype",
            value=str(name)[:120],
            allowed=", ".join(sorted(_POLICIES)),
        )


def _functional_config(config: Mapping[str, Any]) -> GPT2Config:
    """The model whose graph this is, node by node."""
    layers = config.get("layers")
    if not isinstance(layers, list):
        raise TrainingError("keras_graph", detail="layers")
    known = {"InputLayer"} | {node.kind for node in graph(_ANY_TIED) + graph(_ANY_UNTIED)}
    named: dict[str, dict[str, Any]] = {}
    for layer in map(_object, layers):
        if _class_of(layer) not in known:
            raise TrainingError("keras_class", name=_class_of(layer))
        name = layer.get("name")
        if not isinstance(name, str) or name in named:
            raise TrainingError("keras_graph", detail=str(name)[:120])
        named[name] = layer

    def setting(layer: str, name: str) -> Any:
        if layer not in named:
            raise TrainingError("keras_graph", detail=f"{layer} is missing")
        return _object(named[layer].get("config")).get(name)

    activation = "gelu_new"
    if "layer_0_activation" in named:
        activation = setting("layer_0_activation", "activation")
    guess = _validated(
        {
            "vocab_size": setting("token_embedding", "input_dim"),
            "n_embd": setting("token_embedding", "output_dim"),
            "n_positions": setting("position_embedding", "input_dim"),
            "n_layer": sum(
                re.fullmatch(r"layer_\d+_attention", name) is not None for name in named
            ),
            "n_head": setting("layer_0_attention", "num_heads"),
            "n_inner": setting("layer_0_feed_forward_in", "units"),
            "layer_norm_epsilon": setting("final_norm", "epsilon"),
            "activation_function": activation,
            "tie_word_embeddings": "head" not in named,
        }
    )
    _check_graph(guess, list(named.values()), config)
    return guess


_ANY_TIED = GPT2Config(n_layer=1)
_ANY_UNTIED = GPT2Config(n_layer=1, tie_word_embeddings=False, activation_function="relu")

Call = tuple[tuple[Any, ...], dict[str, Any]]


def _check_graph(
    config: GPT2Config, layers: list[dict[str, Any]], functional: Mapping[str, Any]
) -> None:
    """The very graph that we write for this configuration, or a refusal that names the node."""
    calls = {str(layer["name"]): _calls(layer) for layer in layers}
    kinds = {str(layer["name"]): _class_of(layer) for layer in layers}
    theirs: dict[str, str] = {}  # our key → the name in the file
    expected = graph(config)

    def resolved(source: Any) -> Any:
        if isinstance(source, list):
            return [resolved(one) for one in source]
        return (theirs.get(source[0]), source[1]) if isinstance(source, tuple) else source

    for node in expected:
        if node.operation:  # Keras names these: found by what they are and what they read
            wanted = tuple(resolved(source) for source in node.calls[0])
            same = [
                name
                for name, kind in kinds.items()
                if kind == node.kind
                and name not in theirs.values()
                and calls[name]
                and calls[name][0][0] == wanted
            ]
            if len(same) != 1:
                raise TrainingError("keras_graph", detail=node.key)
            theirs[node.key] = same[0]
        elif kinds.get(node.key) == node.kind:
            theirs[node.key] = node.key
        else:
            raise TrainingError("keras_graph", detail=node.key)
    by_name = {str(layer["name"]): layer for layer in layers}
    for node in expected:
        name = theirs[node.key]
        _check_settings(node, _object(by_name[name].get("config")))
        wanted_calls = [
            (tuple(resolved(source) for source in sources), dict(node.arguments.get(number, {})))
            for number, sources in enumerate(node.calls)
        ]
        if calls[name] != wanted_calls:
            raise TrainingError("keras_graph", detail=node.key)
    if extra := set(kinds) - set(theirs.values()):
        raise TrainingError("keras_graph", detail=min(extra)[:120])
    output = output_of(config)
    if _flat(functional.get("output_layers")) != [output[0], output[1], 0] or _flat(
        functional.get("input_layers")
    ) != ["tokens", 0, 0]:
        raise TrainingError("keras_graph", detail="output_layers")


def _flat(value: Any) -> Any:
    """``["x", 0, 0]``, or the same in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _calls(layer: Mapping[str, Any]) -> list[Call]:
    """What a layer is called on: ``[((argument, …), {keyword: value}), …]``."""
    found: list[Call] = []
    nodes = layer.get("inbound_nodes")
    for node in nodes if isinstance(nodes, list) else []:
        arguments = tuple(_argument(value) for value in _list(_object(node).get("args")))
        keywords = _object(_object(node).get("kwargs"))
        found.append((arguments, {k: v for k, v in keywords.items() if v is not None}))
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TrainingError("config_unreadable", detail="a part of it is not a list")
    return value


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") != "__keras_tensor__":
        raise TrainingError("keras_class", name=str(value.get("class_name"))[:120])
    history = _object(value.get("config")).get("keras_history")
    if not (isinstance(history, list) and len(history) == 3 and history[2] == 0):
        raise TrainingError("keras_graph", detail="keras_history")
    return history[0], history[1]


def _check_settings(node: Node, config: Mapping[str, Any]) -> None:
    for key, value in node.settings.items():
        if key not in config or config[key] != value or type(config[key]) is not type(value):
            raise TrainingError(
                "config_unsupported",
                name=f"{node.key}.{key}",
                value=str(config.get(key))[:120],
                allowed=json.dumps(value),
            )
    for key, value in config.items():
        if key == "dtype" and node.kind != "InputLayer" and not node.operation:
            _check_policy(value)
        elif key in node.settings or _NEUTRAL.fullmatch(key) or value is None or value is False:
            continue
        else:
            raise TrainingError("config_unknown", name=f"{node.key}.{key}"[:120])


# --- the weights ---------------------------------------------------------------------------------


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
    return _validated(
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
