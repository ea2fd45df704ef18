"""GPT-2 in Keras's own files: KerasHub's model and ours come in; what could harm does not."""

from __future__ import annotations

import io
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras_hub.models import (
    GPT2Backbone,
    GPT2CausalLM,
    GPT2CausalLMPreprocessor,
    GPT2Tokenizer,
)

from tests.small import TOKENIZER
from training.backbones.gpt2.config import GPT2Config
from training.command_specs import ImportSpec
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.events import EventLog
from training.interop import exporting, importing, keras_files
from training.interop.exports.keras_models.gpt2 import build
from training.interop.exports.network import Network
from training.interop.hdf5 import H5File
from training.interop.keras_config import HUB_FIELDS
from training.interop.keras_gpt2 import sources, to_keras
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

SMALL = GPT2Config(vocab_size=272, n_positions=16, n_embd=16, n_layer=3, n_head=2, n_inner=40)
UNTIED = SMALL.model_copy(
    update={
        "tie_word_embeddings": False,
        "activation_function": "relu",
        "layer_norm_epsilon": 1e-3,
    }
)


def bring_in(folder: Path, out: Path) -> Checkpoint:
    """The import job, as the portal runs it."""
    out.mkdir(exist_ok=True)
    log = EventLog(out / "events.jsonl")
    try:
        importing.run(ImportSpec(kind="folder", path=str(folder)), out, log)
    finally:
        log.close()
    assert not (out / "unpacked").exists()
    return read_checkpoint(out / "checkpoint", verify=True)


def refused(folder: Path, tmp_path: Path) -> TrainingError:
    """What the import says, which leaves nothing behind."""
    with pytest.raises(TrainingError) as error:
        bring_in(folder, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"events.jsonl"}
    assert error.value.field == "path"
    return error.value


def hub_model(vocabulary: int = 272, preprocessor: Any = None) -> Any:
    """KerasHub's GPT-2 with random weights, biases and norms too."""
    backbone = GPT2Backbone(
        vocabulary_size=vocabulary,
        num_layers=3,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=40,
        max_sequence_length=16,
        dropout=0.1,
    )
    random = np.random.default_rng(1)
    for variable in backbone.weights:
        variable.assign(random.standard_normal(variable.shape) * 0.3)
    return GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


TOKENS = np.random.default_rng(2).integers(0, 272, (2, 16)).astype(np.int32)


def their_logits(model: Any) -> np.ndarray:
    padding = np.ones_like(TOKENS)
    return np.asarray(model({"token_ids": TOKENS, "padding_mask": padding}).numpy())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files as someone would upload them: a tokenizer, and what the test adds."""
    folder = tmp_path / "upload"
    folder.mkdir()
    TOKENIZER.save(folder)
    return folder


@pytest.mark.parametrize(
    "save",
    [
        lambda model, folder: model.save(folder / "model.keras"),
        lambda model, folder: model.backbone.save(folder / "backbone.keras"),
        lambda model, folder: model.save_weights(folder / "model.weights.h5"),
        lambda model, folder: model.backbone.save_weights(folder / "backbone.weights.h5"),
    ],
    ids=["model", "backbone", "model's weights", "backbone's weights"],
)
def test_kerashub_s_gpt2_gives_its_logits(
    save: Callable[[Any, Path], None], folder: Path, tmp_path: Path
) -> None:
    model = hub_model()
    save(model, folder)
    expected = their_logits(model)

    checkpoint = bring_in(folder, tmp_path / "out")

    assert checkpoint.config == SMALL
    assert np.abs(Network(checkpoint).logits({"tokens": TOKENS}) - expected).max() <= 1e-4
    assert np.abs(expected).max() > 1
    # The rate is kept where the file tells it.
    told = any(folder.glob("*.keras"))
    assert set(checkpoint.dropout.values()) == {0.1 if told else 0.0}


def test_a_tokenizer_inside_the_file_is_used(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "own")
    vocabulary = json.loads((tmp_path / "own/vocab.json").read_text())
    merges = (tmp_path / "own/merges.txt").read_text().splitlines()[1:]
    preprocessor = GPT2CausalLMPreprocessor(
        GPT2Tokenizer(vocabulary=vocabulary, merges=merges), sequence_length=16
    )
    folder = tmp_path / "upload"
    folder.mkdir()
    hub_model(preprocessor=preprocessor).save(folder / "model.keras")
    checkpoint = bring_in(folder, tmp_path / "out")
    assert Tokenizer.load(checkpoint.folder).encode("so it") == TOKENIZER.encode("so it")


def test_the_published_vocabulary_is_taken_where_its_rows_fit(tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    hub_model(50_257).save_weights(folder / "model.weights.h5")
    checkpoint = bring_in(folder, tmp_path / "out")
    assert Tokenizer.load(checkpoint.folder).encode("hello") == Tokenizer.gpt2().encode("hello")


def test_without_a_tokenizer_the_sentence_says_what_to_add(tmp_path: Path) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    hub_model().save_weights(folder / "model.weights.h5")
    error = refused(folder, tmp_path)
    assert error.code == "keras_no_tokenizer"
    assert "tokenizer.json" in str(error)


@pytest.mark.parametrize("config", [SMALL, UNTIED], ids=["tied", "untied"])
def test_export_and_import_give_the_same_bytes(config: GPT2Config, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    tensors = {
        spec.name: random.standard_normal(spec.shape).astype(np.float32)
        for spec in config.tensors()
    }
    write_checkpoint(tmp_path / "first", config, tensors, TOKENIZER, {})
    first = read_checkpoint(tmp_path / "first")
    folder = tmp_path / "export"
    folder.mkdir()
    log = EventLog(tmp_path / "events.jsonl")
    exporting.write_proved(first, "keras", folder, log)
    log.close()

    second = bring_in(folder, tmp_path / "out")

    assert second.config == first.config
    assert second.weights_sha256 == first.weights_sha256


def test_the_map_and_its_inverse_name_every_tensor_once() -> None:
    for config in (SMALL, UNTIED):
        names = [source.name for source in sources(config)]
        assert sorted(names) == sorted(spec.name for spec in config.tensors())
        counted = {
            spec.name: np.arange(spec.size, dtype=np.float32).reshape(spec.shape)
            for spec in config.tensors()
        }
        keras_side = {
            (key, number): weights[number]
            for key, weights in to_keras(config, counted)
            for number in range(len(weights))
        }
        order = ("query_dense", "key_dense", "value_dense", "output_dense")
        for source in sources(config):
            pieces = [
                keras_side[key, 2 * order.index(part) + number if part else number]
                for key, part, number in source.parts
            ]
            assert np.array_equal(source.join(pieces), counted[source.name])


# --- what must not come in -----------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """A .keras file with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A .keras file with another configuration."""

    def both(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        change(config)
        members["config.json"] = json.dumps(config).encode()

    rewrite(path, both)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of ours and the weights of KerasHub's, made once."""
    folder = tmp_path_factory.mktemp("saved")
    build(SMALL).save(folder / "model.keras")
    hub_model().save_weights(folder / "model.weights.h5")
    return folder


@pytest.fixture
def ours(saved: Path, folder: Path) -> Path:
    """A model of ours in a .keras file."""
    return Path(shutil.copy(saved / "model.keras", folder))


def _layer(config: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(one for one in config["config"]["layers"] if one["class_name"] == kind)


def test_a_lambda_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    keras.Model(tokens, keras.layers.Lambda(lambda x: x)(tokens)).save(folder / "model.keras")
    error = refused(folder, tmp_path)
    assert (error.code, error.params["name"]) == ("keras_class", "Lambda")
    assert "never run" in str(error)


@pytest.mark.parametrize("kind", ["Sequential", "Dense", "set_dtype_policy", "__lambda__"])
def test_a_class_outside_the_list_is_refused_by_name(kind: str, ours: Path, tmp_path: Path) -> None:
    edited(ours, lambda config: config.update(class_name=kind, registered_name=None))
    error = refused(ours.parent, tmp_path)
    assert (error.code, error.params["name"]) == ("keras_class", kind)


def test_code_of_one_s_own_is_refused_by_its_registered_name(ours: Path, tmp_path: Path) -> None:
    edited(ours, lambda c: _layer(c, "Dense").update(registered_name="mine>Dense"))
    error = refused(ours.parent, tmp_path)
    assert (error.code, error.params["name"]) == ("keras_class", "mine>Dense")


def test_a_module_outside_keras_is_refused_by_name(ours: Path, tmp_path: Path) -> None:
    edited(ours, lambda c: _layer(c, "Dense").update(module="os.path"))
    assert refused(ours.parent, tmp_path).params["name"] == "os.path.Dense"


def test_a_node_that_calls_a_function_is_refused(ours: Path, tmp_path: Path) -> None:
    """What ran under ``safe_mode=True``: a function of Keras in a node's arguments."""

    def change(config: dict[str, Any]) -> None:
        node = {"class_name": "function", "config": "set_dtype_policy", "module": "keras.config"}
        _layer(config, "Dense")["inbound_nodes"][0]["args"] = [node]

    edited(ours, change)
    error = refused(ours.parent, tmp_path)
    assert (error.code, error.params["name"]) == ("keras_class", "function")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: _layer(c, "Dense")["config"].update(activation="relu"), "config_unsupported"),
        (lambda c: _layer(c, "Dense")["config"].update(units=7), "config_unsupported"),
        (lambda c: _layer(c, "Dense")["config"].update(rate=0.5), "config_unknown"),
        (
            lambda c: _layer(c, "LayerNormalization")["config"].update(epsilon=0.5),
            "config_unsupported",
        ),
        (
            lambda c: _layer(c, "MultiHeadAttention")["inbound_nodes"][0]["kwargs"].clear(),
            "keras_graph",
        ),
        (lambda c: c["config"]["layers"].append(_layer(c, "Add") | {"name": "x"}), "keras_graph"),
        (lambda c: c["config"]["layers"].remove(_layer(c, "Subtract")), "keras_graph"),
        (lambda c: c["config"].update(output_layers=["final_norm", 0, 0]), "keras_graph"),
        (lambda c: _layer(c, "Embedding")["config"].update(input_dim=10**9), "config_out_of_range"),
    ],
)
def test_what_would_compute_something_else_is_refused(
    change: Callable[[dict[str, Any]], None], code: str, ours: Path, tmp_path: Path
) -> None:
    edited(ours, change)
    assert refused(ours.parent, tmp_path).code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m.update({"../../evil.txt": b"x"}), "keras_member"),
        (lambda m: m.update({"model.py": b"x"}), "keras_member"),
        (lambda m: m.update({"assets/x.pkl": b"x"}), "keras_member"),
        (lambda m: m.pop("config.json"), "keras_member_missing"),
        (lambda m: m.pop("model.weights.h5"), "keras_member_missing"),
        (lambda m: m.update({"config.json": b"[" * 100_000}), "config_unreadable"),
        (lambda m: m.update({"model.weights.h5": b"not HDF5"}), "hdf5_not"),
        (lambda m: m.update({"model.weights.h5": m["model.weights.h5"][:5000]}), "hdf5_damaged"),
    ],
)
def test_a_zip_with_other_members_is_refused(
    change: Callable[[dict[str, bytes]], None], code: str, ours: Path, tmp_path: Path
) -> None:
    rewrite(ours, change)
    assert refused(ours.parent, tmp_path).code == code
    assert not (tmp_path / "evil.txt").exists()


def test_a_zip_that_lies_about_a_size_is_refused(ours: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ours) as archive:
        info = archive.getinfo("model.weights.h5")
    data = ours.read_bytes()
    size = info.file_size.to_bytes(4, "little")
    for claimed, code in ((info.file_size - 1, "keras_size_lie"), (2**31, "keras_too_large")):
        at = data.rindex(b"model.weights.h5") - 46  # in the central directory
        assert data[at : at + 4] == b"PK\x01\x02"
        assert data[at + 24 : at + 28] == size
        lie = data[: at + 24] + claimed.to_bytes(4, "little") + data[at + 28 :]
        ours.write_bytes(lie)
        assert refused(ours.parent, tmp_path).code == code


def test_a_bomb_in_a_zip_is_refused_before_it_is_unpacked(ours: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ours) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(ours, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, bytes(70_000_000) if name.endswith(".h5") else content)
    assert ours.stat().st_size < 1_000_000
    error = refused(ours.parent, tmp_path)
    assert (error.code, error.params["size_mb"]) == ("keras_too_large", 70.0)


def test_a_configuration_of_the_stranger_s_own_does_not_allow_a_bomb(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {value: key for key, value in HUB_FIELDS.items()}
    sizes = {"vocab_size": 272, "n_positions": 16, "n_embd": 16, "n_layer": 3, "n_head": 2}
    config = {fields[key]: value for key, value in sizes.items()} | {"intermediate_dim": 10**12}
    with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "config.json", json.dumps({"class_name": "GPT2Backbone", "config": config})
        )
        archive.writestr("model.weights.h5", bytes(70_000_000))
    error = refused(folder, tmp_path)
    assert (error.code, error.params["size_mb"]) == ("keras_too_large", 70.0)


def test_what_the_disk_cannot_hold_is_not_unpacked(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=10_000))
    error = refused(ours.parent, tmp_path)
    assert (error.code, error.params["free_mb"]) == ("keras_no_space", 0.0)


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_another_compression_is_refused(compression: int, ours: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ours) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(ours, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert refused(ours.parent, tmp_path).code == "keras_zip"


def test_a_stream_that_cannot_be_unpacked_is_refused(ours: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ours) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(ours, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        info = archive.getinfo("model.weights.h5")
    data = bytearray(ours.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    data[start : start + 8] = b"\xff" * 8
    ours.write_bytes(bytes(data))
    assert refused(ours.parent, tmp_path).code == "keras_zip"


def test_a_member_s_name_that_is_no_text_is_refused(ours: Path, tmp_path: Path) -> None:
    rewrite(ours, lambda members: members.update({"assets/é.txt": b""}))
    ours.write_bytes(ours.read_bytes().replace("é".encode(), b"\xff\xff"))
    assert refused(ours.parent, tmp_path).code == "keras_zip"


def _no_name(config: dict[str, Any]) -> None:
    del _layer(config, "Embedding")["name"]


def _deep_argument(config: dict[str, Any]) -> None:
    value: Any = 1
    for _ in range(900):
        value = [value]
    _layer(config, "Embedding")["inbound_nodes"][0]["args"] = value


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda config: config.update(class_name={"a": 1}), "keras_class"),
        (lambda config: config.update(class_name=["GPT2Backbone"]), "keras_class"),
        (lambda config: _layer(config, "Embedding").update(class_name=[1]), "keras_class"),
        (
            lambda config: _layer(config, "Embedding")["config"].update(dtype=[1]),
            "config_unsupported",
        ),
        (_no_name, "keras_graph"),
        (_deep_argument, "config_unreadable"),
    ],
)
def test_parts_of_another_kind_than_keras_writes_are_refused(
    change: Callable[[dict[str, Any]], None], code: str, ours: Path, tmp_path: Path
) -> None:
    edited(ours, change)
    assert refused(ours.parent, tmp_path).code == code


@pytest.fixture
def weights(saved: Path, folder: Path) -> Path:
    """KerasHub's weights alone."""
    return Path(shutil.copy(saved / "model.weights.h5", folder))


TABLE = "layers/gpt2_backbone/layers/reversible_embedding/vars/0"


def _external_link(file: h5py.File) -> None:
    del file[TABLE]
    file[TABLE] = h5py.ExternalLink("/etc/hostname", "/x")


def _soft_link(file: h5py.File) -> None:
    del file[TABLE]
    file[TABLE] = h5py.SoftLink("/optimizer/vars/0")


def _external_storage(file: h5py.File) -> None:
    del file[TABLE]
    file.create_dataset(TABLE, (272, 16), "f4", external=[("/etc/hostname", 0, 272 * 16 * 4)])


def _virtual(file: h5py.File) -> None:
    del file[TABLE]
    layout = h5py.VirtualLayout((272, 16), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (272, 16))
    file.create_virtual_dataset(TABLE, layout)


def _four_tib(file: h5py.File) -> None:
    del file[TABLE]
    file.create_dataset(TABLE, (2**20, 2**20), "f4", chunks=(1024, 1024))


def _never_written(file: h5py.File) -> None:
    del file[TABLE]
    file.create_dataset(TABLE, (272, 16), "f4")  # HDF5 gives zeros for what was never written


def _compressed(file: h5py.File) -> None:
    values = file[TABLE][()]
    del file[TABLE]
    file.create_dataset(TABLE, data=values, compression="gzip")


def _integers(file: h5py.File) -> None:
    del file[TABLE]
    file.create_dataset(TABLE, data=np.zeros((272, 16), np.int32))


def _loop(file: h5py.File) -> None:
    file["layers/loop"] = file["layers"]


def _deep(file: h5py.File) -> None:
    file.create_group("/".join("abcdefghijklmnopqrstuvwxyz"))


def _nan(file: h5py.File) -> None:
    file[TABLE][3, 3] = np.nan


def _missing(file: h5py.File) -> None:
    del file["layers/gpt2_backbone/layers/layer_normalization/vars/1"]


def _extra(file: h5py.File) -> None:
    file.create_dataset("layers/more", data=np.zeros(3, np.float32))


def _other_shape(file: h5py.File) -> None:
    path = "layers/gpt2_backbone/layers/layer_normalization/vars/1"
    del file[path]
    file.create_dataset(path, data=np.zeros(17, np.float32))


def _swapped(file: h5py.File) -> None:
    group = file["layers/gpt2_backbone/layers"]
    group.move("transformer_decoder_1", "x")
    group.move("transformer_decoder_2", "transformer_decoder_1")
    group.move("x", "transformer_decoder_2")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_external_link, "hdf5_external_link"),
        (_soft_link, "hdf5_soft_link"),
        (_external_storage, "hdf5_external_storage"),
        (_virtual, "hdf5_virtual"),
        (_four_tib, "hdf5_claims"),
        (_never_written, "hdf5_claims"),
        (_compressed, "hdf5_chunked"),
        (_integers, "hdf5_type"),
        (_loop, "hdf5_twice"),
        (_deep, "hdf5_too_deep"),
        (_nan, "tensor_not_finite"),
        (_missing, "tensors_missing"),
        (_extra, "tensors_extra"),
        (_other_shape, "tensor_shape"),
        (_swapped, "keras_graph"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).lstrip("_"),
)
def test_an_hdf5_file_that_is_not_plain_weights_is_refused(
    change: Callable[[h5py.File], None], code: str, weights: Path, tmp_path: Path
) -> None:
    with h5py.File(weights, "r+") as file:
        change(file)
    error = refused(weights.parent, tmp_path)
    assert error.code == code
    assert "%(" not in str(error)


def test_four_tib_in_a_tiny_file_take_no_memory(folder: Path, tmp_path: Path) -> None:
    with h5py.File(folder / "model.weights.h5", "w") as file:
        file.create_dataset(TABLE, (2**20, 2**20), "f4", chunks=(1024, 1024))
    assert (folder / "model.weights.h5").stat().st_size < 10_000
    tracemalloc.start()
    try:
        error = refused(folder, tmp_path)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.params["claimed_mb"] == 4_398_047
    assert most < 50e6


def test_arrays_in_one_place_are_refused_once_they_claim_more_than_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.weights.h5"
    shape, count = (272, 64), 50
    nbytes = 4 * 272 * 64
    with h5py.File(path, "w") as file:
        for number in range(count):
            file.create_dataset(f"layers/{number}", shape, "f4")
        file.flush()
        for number in range(count):
            file[f"layers/{number}"][:] = number
        places = sorted(file[f"layers/{number}"].id.get_offset() for number in range(count))
    data = path.read_bytes()
    for place in places:
        assert data.count(place.to_bytes(8, "little")) == 1
        data = data.replace(place.to_bytes(8, "little"), places[0].to_bytes(8, "little"))
    end = places[0] + nbytes
    data = data.replace(len(data).to_bytes(8, "little"), end.to_bytes(8, "little"))[:end]
    path.write_bytes(data)
    with h5py.File(path) as file:
        assert np.array_equal(file["layers/0"][()], file["layers/49"][()])
    with pytest.raises(TrainingError) as error:
        H5File(path)
    assert error.value.code == "hdf5_claims"


def test_a_group_s_name_of_sixty_kilobytes_is_refused(tmp_path: Path) -> None:
    """Every path below would repeat it."""
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers/" + "long" * 15_000)
    with pytest.raises(TrainingError) as error:
        H5File(path)
    assert error.value.code == "hdf5_name_too_long"
    assert len(error.value.params["path"]) == 200


def test_a_layer_s_long_name_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers/short/vars").attrs["name"] = "short"
        file.create_group("layers/long/vars").attrs["name"] = "long" * 250
    opened = H5File(path)
    opened.close()
    assert opened.names == {"layers/short": "short"}


def test_weights_of_another_model_need_their_keras_file(folder: Path, tmp_path: Path) -> None:
    build(SMALL).save_weights(folder / "model.weights.h5")
    assert refused(folder, tmp_path).code == "keras_weights_unknown"


def test_two_files_are_one_too_many(folder: Path, tmp_path: Path) -> None:
    for name in ("a.keras", "b.weights.h5"):
        (folder / name).write_bytes(b"x")
    assert refused(folder, tmp_path).code == "keras_several"


def test_a_checksum_that_is_not_the_content_s_is_refused(ours: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(ours) as archive:
        at = archive.getinfo("model.weights.h5").header_offset + 5000
    data = bytearray(ours.read_bytes())
    data[at] ^= 1
    ours.write_bytes(bytes(data))
    assert refused(ours.parent, tmp_path).code == "keras_size_lie"


def test_bytes_that_are_no_zip_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.keras").write_bytes(io.BytesIO(b"\x80\x04pickle").getvalue())
    error = refused(folder, tmp_path)
    assert error.code == "keras_zip"
    assert keras_files.found_in(["model.keras", "config.json"]) is None
