"""Folders in Hugging Face's form, in and out.

In: by an allow-list of file names, configuration keys and tensor names. What we could not represent
exactly is refused with a sentence that names it; code and pickles are never opened.

Out: a checkpoint of ours is such a folder already; an export leaves out what only we read.

The tensors' names come with and without a prefix (``GPT2LMHeadModel``, ``GPT2Model``), and some
folders hold buffers that no version computes with; :mod:`training.interop.forms` knows both. An
image network comes as timm's or torchvision's state dict: :mod:`training.interop.state_dicts`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.backbones.contract import BackboneConfig
from training.data.tokenizers import TextTokenizer, read_tokenizer
from training.durable import durable_folder, json_bytes
from training.errors import TrainingError
from training.interop.forms import form_of
from training.interop.forms.form import Form, OwnForm, read_config_json
from training.interop.matching import (
    in_order,
    put,
    require_none_extra,
    require_none_missing,
    short,
    some,
)
from training.interop.state_dicts import Recognised, read_file, read_timm, recognise
from training.weights.card import CONFIG_FILE, WEIGHTS_FILE
from training.weights.checkpoint import (
    GENERATION_FILE,
    TOKENIZER_FILES,
    Checkpoint,
)
from training.weights.header import TensorInfo, read_header
from training.weights.tensors import MappedTensors, raw_bytes

INDEX_FILE = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
#: Everything that is ever read of a foreign folder, besides the shards.
FILES = frozenset(
    {CONFIG_FILE, GENERATION_FILE, WEIGHTS_FILE, INDEX_FILE, *TOKENIZER_FILES, "added_tokens.json"}
)

_CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".ipynb"})
#: Weights in formats that can run code when opened, or that we do not read.
_PICKLES = re.compile(r"(pytorch_model.*\.bin|.*\.(pt|pth|ckpt|pkl|pickle|msgpack|ot))")
#: Beside a configuration: a preset folder of KerasHub's, or TensorFlow's weights.
_HDF5 = re.compile(r".*\.(h5|hdf5)")
_MAX_INDEX_BYTES = 10_000_000


@dataclass(frozen=True)
class ForeignModel:
    """A folder that was checked and can be represented exactly.

    Attributes:
        config: The model.
        tensors: Our name → array, read when looked up; exactly those of ``config``.
        tokenizer: Its tokenizer; None for a network that reads images.
        dropout: Rates that its ``config.json`` has, by Hugging Face's names.
        nbytes: Of all tensors, as they are stored.
        images: How pixels are normalised for it, ``{mean, std}`` of the channels, where told.
    """

    config: BackboneConfig
    tensors: Mapping[str, np.ndarray]
    tokenizer: TextTokenizer | None
    dropout: dict[str, float]
    nbytes: int
    images: dict[str, list[float]] | None = None


def wanted(name: str) -> bool:
    """Whether a file of a foreign folder or repository is ever read."""
    return name in FILES or SHARD.fullmatch(name) is not None


def choose_files(names: list[str]) -> list[str]:
    """The files to take of those that are there, one set of weights only.

    Raises:
        TrainingError: ``folder_no_config``, ``folder_only_pickles``, ``folder_only_hdf5`` or
            ``folder_no_weights``.
    """
    found = sorted(name for name in names if wanted(name))
    if CONFIG_FILE not in found:
        raise TrainingError("folder_no_config")
    if WEIGHTS_FILE in found:
        return [name for name in found if name != INDEX_FILE and not SHARD.fullmatch(name)]
    if INDEX_FILE in found:
        return found
    if pickles := sorted(name for name in names if _PICKLES.fullmatch(name)):
        raise TrainingError("folder_only_pickles", file=pickles[0])
    if hdf5 := sorted(name for name in names if _HDF5.fullmatch(name)):
        raise TrainingError("folder_only_hdf5", file=hdf5[0])
    raise TrainingError("folder_no_weights")


def read_folder(folder: Path) -> ForeignModel:
    """Check a foreign folder and open it; of the weights only the headers are read.

    Args:
        folder: The folder; or a single safetensors file, a state dict of an image network.

    Raises:
        TrainingError: ``folder_*``, ``config_*``, ``weights_*``, ``tensor*_*``, ``tokenizer_*`` …
    """
    if folder.is_file():
        return _image_network(read_file(folder))
    names = list_files(folder)
    while not any("/" not in name for name in names) and len({_top(name) for name in names}) == 1:
        # Someone chose the folder around the model's.
        folder = folder / _top(names[0])
        names = [name.split("/", 1)[1] for name in names]
    if (recognised := _read_state_dict(folder, names)) is not None:
        return _image_network(recognised)
    names = choose_files(names)
    payload = read_config_json(folder / CONFIG_FILE)
    form = form_of(payload)
    foreign = _read_infos(folder, names)
    config = form.read(payload, foreign)
    infos = _match_names(foreign, config, form)
    nbytes = sum(info.nbytes for info in infos.values())
    if config.vocabulary is None:
        return ForeignModel(config, MappedTensors(infos), None, {}, nbytes)
    tokenizer = read_tokenizer(folder, config.architecture)
    if tokenizer.size > config.vocabulary:
        raise TrainingError(
            "vocabulary_too_small", vocabulary=config.vocabulary, tokens=tokenizer.size
        )
    return ForeignModel(config, MappedTensors(infos), tokenizer, form.dropout_of(payload), nbytes)


def check_finite(tensors: Mapping[str, np.ndarray]) -> Iterator[int]:
    """Read every tensor once, and refuse one with NaN or an infinity by its name.

    Yields:
        Bytes looked at, after each tensor.

    Raises:
        TrainingError: ``tensor_not_finite``.
    """
    for name in tensors:
        array = tensors[name]
        # Row by row: isfinite's mask of a whole embedding would take a quarter of its size.
        rows = array.reshape(-1)
        step = 1 << 22
        for start in range(0, rows.size, step):
            if not np.isfinite(rows[start : start + step]).all():
                raise TrainingError("tensor_not_finite", name=name)
        yield array.nbytes


def export(checkpoint: Checkpoint, destination: Path) -> None:
    """Write a checkpoint as a plain Hugging Face folder, byte for byte what the checkpoint holds.

    Only ``config.json`` may differ: a GPT-3 that is dense throughout leaves as the GPT-2 it is.

    Raises:
        TrainingError: ``disk_full_writing``; nothing is left behind.
    """
    with durable_folder(destination, point="export", what="the export") as temporary:
        copy_files(checkpoint, temporary)


def copy_files(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy what ``transformers`` reads of a checkpoint into a folder."""
    for name in (WEIGHTS_FILE, CONFIG_FILE, GENERATION_FILE, *TOKENIZER_FILES):
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    payload = read_config_json(folder / CONFIG_FILE)
    exported = form_of(payload).exported(checkpoint.config, payload)
    if exported != payload:
        (folder / CONFIG_FILE).write_bytes(json_bytes(exported))


def _read_state_dict(folder: Path, names: list[str]) -> Recognised | None:
    """The image network in a folder with timm's ``config.json``, or with a state dict alone."""
    if CONFIG_FILE in names:
        payload = read_config_json(folder / CONFIG_FILE)
        if "model_type" in payload or not isinstance(payload.get("architecture"), str):
            return None
        return read_timm(payload, _read_infos(folder, choose_files(names)))
    weights = [name for name in names if name.endswith(".safetensors")]
    return recognise(read_header(folder / weights[0]).tensors) if len(weights) == 1 else None


def _image_network(recognised: Recognised) -> ForeignModel:
    tensors = MappedTensors(recognised.tensors)
    nbytes = sum(info.nbytes for info in tensors.infos.values())
    return ForeignModel(recognised.config, tensors, None, {}, nbytes, recognised.images)


def list_files(folder: Path) -> list[str]:
    """Names of the files in a folder; code and links out of it are refused."""
    if not folder.is_dir():
        raise TrainingError("folder_missing")
    root = folder.resolve()
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise TrainingError("folder_link", file=short(name))
        if path.suffix.lower() in _CODE_SUFFIXES:
            raise TrainingError("folder_code", file=short(name))
        if path.is_file():
            names.append(name)
    return names


def _top(name: str) -> str:
    return name.split("/", 1)[0]


def _read_infos(folder: Path, names: list[str]) -> dict[str, TensorInfo]:
    """Foreign name → place, over one file or the shards that the index names."""
    if WEIGHTS_FILE in names:
        return read_header(folder / WEIGHTS_FILE).tensors
    index = folder / INDEX_FILE
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        shards = sorted(set(places.values()))
        if not all(isinstance(name, str) and SHARD.fullmatch(name) for name in shards):
            raise ValueError("it names files that are not shards")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        detail = short(str(error) or type(error).__name__)
        raise TrainingError("index_invalid", file=INDEX_FILE, detail=detail) from error
    found: dict[str, TensorInfo] = {}
    for shard in shards:
        if shard not in names:
            raise TrainingError("shard_missing", index=INDEX_FILE, file=shard)
        for name, info in read_header(folder / shard).tensors.items():
            if name in found:
                other = found[name].path.name
                raise TrainingError("tensor_twice", name=short(name), file=shard, other=other)
            found[name] = info
    if missing := sorted(set(places) - set(found)):
        raise TrainingError("tensors_missing", count=len(missing), names=some(missing))
    return found


def _match_names(
    infos: Mapping[str, TensorInfo], config: BackboneConfig, form: Form | OwnForm
) -> dict[str, TensorInfo]:
    """Foreign tensors under our names, exactly those that the configuration asks for."""
    specs = {spec.name for spec in config.tensors()}
    bare = not any(name.startswith(form.prefix) for name in infos)
    found: dict[str, TensorInfo] = {}
    for foreign, info in infos.items():
        name = foreign
        for old, new in form.renamed.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if bare and name not in config.TIED and name not in specs:
            name = form.prefix + name
        if not form.buffers.fullmatch(name):
            put(found, name, info)
    require_none_missing(found, config)
    for head, same in config.TIED.items():
        if head in found and head not in specs and same in specs:
            _require_same(head, found[head], same, found[same])
            del found[head]
    require_none_extra(set(found) - set(specs), config)
    return in_order(found, config)


def _require_same(name: str, one: TensorInfo, other_name: str, other: TensorInfo) -> None:
    pair = MappedTensors({"one": one, "other": other})
    if (
        one.dtype != other.dtype
        or one.shape != other.shape
        or raw_bytes(pair["one"]) != raw_bytes(pair["other"])
    ):
        raise TrainingError("head_not_tied", head=name, embedding=other_name)
