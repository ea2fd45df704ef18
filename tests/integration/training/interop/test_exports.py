"""Every form of export, opened by its own runtime: text, images, and what must be refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tensorflow as tf

from tests.parity.text import word_pieces
from tests.small import SMALL, TOKENIZER, loud
from training.backbones.bert.config import BertConfig
from training.backbones.contract import Backbone, BackboneConfig, TensorSpec
from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt3.config import GPT3Config
from training.backbones.named import NamedModel
from training.backbones.registry import BACKBONES
from training.backbones.resnet.config import ResNetConfig
from training.backbones.vit.config import PRESETS as VIT_PRESETS
from training.backbones.vit.config import ViTConfig
from training.command_specs import ExportSpec
from training.data.tokenizer import Tokenizer
from training.errors import TrainingError
from training.events import EventLog, read_events
from training.interop import exporting
from training.interop.exports import EXPORTS, onnx
from training.interop.exports.network import Network
from training.interop.exports.signature import probe
from training.interop.huggingface import read_folder
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors
from training.weights.tensors import open_tensors, write_tensors

WORD_PIECES = word_pieces(lowercase=True)
#: Everything about GPT-2 that Keras has no setting for, at once.
UNUSUAL = SMALL.model_copy(
    update={
        "activation_function": "gelu",  # the exact one, which ONNX has no operation for
        "layer_norm_epsilon": 1e-3,
        "n_inner": 24,
        "tie_word_embeddings": False,
        "scale_attn_weights": False,
        "scale_attn_by_inverse_layer_idx": True,
    }
)
NETWORKS = [name for name, export in EXPORTS.items() if export.computes]


@pytest.fixture(scope="module", params=[SMALL, UNUSUAL], ids=["usual", "unusual"])
def checkpoint(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("source") / "checkpoint"
    write_checkpoint(folder, request.param, loud(request.param), TOKENIZER, {})
    return read_checkpoint(folder)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_language_model_is_proved_in_every_form(
    name: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    spec = ExportSpec(checkpoint=str(checkpoint.folder), format=name)
    log = EventLog(tmp_path / "events.jsonl")
    done = exporting.run(spec, tmp_path, log)
    log.close()

    assert done == {"report": "report.json", "result": "export"}
    phases = [e["name"] for e in read_events(tmp_path / "events.jsonl")[0] if e["kind"] == "phase"]
    assert phases == ["reading", "converting", "proving"]
    proof = json.loads((tmp_path / "export/proof.json").read_text())
    assert json.loads((tmp_path / "report.json").read_text())["proof"] == proof
    assert proof["weights_sha256"] == checkpoint.weights_sha256
    if name in NETWORKS:
        assert proof["largest_difference"] <= 1e-4 < proof["largest_output"] / 1000
        assert [given["name"] for given in proof["inputs"]] == ["tokens"]
        # What makes the tokens comes along.
        tokenizer = Tokenizer.load(tmp_path / "export/tokenizer")
        assert tokenizer.encode("so it goes") == TOKENIZER.encode("so it goes")
    else:
        assert proof["kind"] == "bytes"


@pytest.mark.parametrize("name", ["keras", "saved_model", "litert", "onnx"])
def test_the_lines_on_the_page_open_it_where_there_is_no_code_of_ours(
    name: str, tmp_path: Path, events: EventLog
) -> None:
    write_checkpoint(tmp_path / "checkpoint", SMALL, loud(SMALL), TOKENIZER, {})
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    folder = tmp_path / "export"
    folder.mkdir()
    proof = exporting.write_proved(checkpoint, name, folder, events)
    tokens = np.arange(16, dtype=np.int32)[None]
    np.save(tmp_path / "tokens.npy", tokens)
    script = (
        "import sys, numpy as np\n"
        f"tokens = np.load({str(tmp_path / 'tokens.npy')!r})\n"
        f"{proof['open']}\n"
        "assert 'training' not in sys.modules\n"
        f"np.save({str(tmp_path / 'logits.npy')!r}, np.asarray(logits))\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=folder, check=True, capture_output=True
    )
    expected = Network(checkpoint).logits({"tokens": tokens})
    assert np.abs(np.load(tmp_path / "logits.npy") - expected).max() <= 1e-4


def test_other_sizes_than_the_probe_s_are_taken(tmp_path: Path, events: EventLog) -> None:
    write_checkpoint(tmp_path / "checkpoint", SMALL, loud(SMALL), TOKENIZER, {})
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    network = Network(checkpoint)
    for name in ("keras", "saved_model", "onnx"):
        folder = tmp_path / name
        folder.mkdir()
        exporting.write_proved(checkpoint, name, folder, events)
        form = exporting.import_module(EXPORTS[name].module)
        for shape in ((1, 1), (3, 5)):
            values = {"tokens": np.resize(probe(network.inputs, fixed=True)["tokens"], shape)}
            assert np.abs(form.run(folder, values)[0] - network.logits(values)).max() <= 1e-4


# --- other architectures -------------------------------------------------------------------------


class TinyImageConfig(BackboneConfig):
    architecture: Literal["tiny"] = "tiny"
    in_channels: int = 3

    @property
    def layers(self) -> int:
        return 1

    def tensors(self) -> list[TensorSpec]:
        return [
            TensorSpec("conv.weight", (4, self.in_channels, 3, 3), "normal", 0.5),
            TensorSpec("norm.running_mean", (4,), "zeros", trained=False),
            TensorSpec("fc.weight", (5, 4), "normal", 0.5),
        ]


class TinyImage(NamedModel):
    def __init__(self, config: TinyImageConfig, *, compute_dtype: str = "float32") -> None:
        super().__init__(dtype="float32", name="tiny_image")
        self.add_tensors(config.tensors())

    def call(self, images: Any, training: bool = False) -> Any:
        kernel = tf.transpose(self.value("conv.weight"), [2, 3, 1, 0])
        x = tf.nn.conv2d(images, kernel, 2, "SAME") - self.value("norm.running_mean")
        pooled = tf.reduce_mean(tf.nn.relu(x), [1, 2])
        return tf.matmul(pooled, self.value("fc.weight"), transpose_b=True)


class TinyTextConfig(BackboneConfig):
    architecture: Literal["tiny"] = "tiny"
    types: int = 2

    @property
    def layers(self) -> int:
        return 1

    @property
    def vocabulary(self) -> int:
        return 30

    @property
    def context(self) -> int:
        return 12

    def tensors(self) -> list[TensorSpec]:
        return [
            TensorSpec("words.weight", (30, 4), "normal", 0.5),
            TensorSpec("types.weight", (2, 4), "normal", 0.5),
        ]


class TinyText(NamedModel):
    """An encoder in short: three inputs, and padding that must not be seen."""

    def __init__(self, config: TinyTextConfig, *, compute_dtype: str = "float32") -> None:
        super().__init__(dtype="float32", name="tiny_text")
        self.add_tensors(config.tensors())

    def call(
        self,
        tokens: Any,
        attention_mask: Any = None,
        token_types: Any = None,
        training: bool = False,
    ) -> Any:
        x = tf.gather(self.value("words.weight"), tokens)
        x += tf.gather(self.value("types.weight"), token_types)
        real = tf.cast(attention_mask, tf.float32)[:, :, None]
        mean = tf.reduce_sum(x * real, 1, keepdims=True) / tf.reduce_sum(real, 1, keepdims=True)
        return x + mean


def _checkpoint(
    folder: Path, backbone: Backbone, model: Any, config: BackboneConfig, patch: Any
) -> Checkpoint:
    patch.setitem(BACKBONES, "tiny", backbone)
    patch.setattr("training.interop.exports.network.model_class", lambda _name: model)
    folder.mkdir()
    tensors = initial_tensors(config.tensors(), 1)
    tensors = {name: value + np.float32(0.1) for name, value in tensors.items()}
    write_tensors(folder / "model.safetensors", tensors)
    infos = open_tensors(folder / "model.safetensors").infos
    return Checkpoint(folder, config, {"weights_sha256": "0" * 64}, infos, {})


@pytest.fixture
def image_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    backbone = Backbone("Tiny", "image", TinyImageConfig, {}, __name__, "TinyImage")
    return _checkpoint(tmp_path / "checkpoint", backbone, TinyImage, TinyImageConfig(), monkeypatch)


@pytest.fixture
def text_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    backbone = Backbone("Tiny", "text", TinyTextConfig, {}, __name__, "TinyText")
    return _checkpoint(tmp_path / "checkpoint", backbone, TinyText, TinyTextConfig(), monkeypatch)


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx"])
def test_a_model_with_a_mask_and_types_takes_them_by_name(
    name: str, text_checkpoint: Checkpoint, tmp_path: Path, events: EventLog
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    proof = exporting.write_proved(text_checkpoint, name, folder, events)
    assert proof["largest_difference"] <= 1e-4
    names = [given["name"] for given in proof["inputs"]]
    assert names == ["tokens", "attention_mask", "token_types"]
    assert all(one in proof["open"] for one in names)
    # The runtime itself heeds each of them.
    form = exporting.import_module(EXPORTS[name].module)
    values = probe(Network(text_checkpoint).inputs, fixed=form.FIXED)
    before = form.run(folder, values)[0]
    for other in names[1:]:
        changed = dict(values) | {other: np.roll(values[other], 1, axis=1)}
        assert np.abs(form.run(folder, changed)[0] - before).max() > 1e-3


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx"])
def test_a_model_of_images_is_proved_from_pixels(
    name: str, image_checkpoint: Checkpoint, tmp_path: Path, events: EventLog
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    proof = exporting.write_proved(image_checkpoint, name, folder, events)
    assert proof["largest_difference"] <= 1e-4
    (given,) = proof["inputs"]
    assert (given["name"], given["dtype"]) == ("pixels", "float32")
    fixed = [1, 224, 224, 3] if name == "litert" else [None, None, None, 3]
    assert given["shape"] == fixed
    assert not (folder / "tokenizer").exists()


# Each with a little of everything that its architecture has.
REAL: dict[str, BackboneConfig] = {
    "resnet": ResNetConfig(depths=[1], num_classes=3),
    "vit": ViTConfig(
        image_size=32, patch_size=16, width=16, depth=2, heads=2, inner=24, num_classes=3
    ),
    "bert": BertConfig(
        vocab_size=WORD_PIECES.size,
        max_position_embeddings=16,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        head="masked_lm",
    ),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """A checkpoint of each, as an import or a copy writes them."""
    folder = tmp_path_factory.mktemp("real")
    for name, config in REAL.items():
        tokenizer = WORD_PIECES if config.vocabulary is not None else None
        tensors = initial_tensors(config.tensors(), 1)
        write_checkpoint(folder / name, config, tensors, tokenizer, {})
    return {name: read_checkpoint(folder / name) for name in REAL}


@pytest.mark.parametrize("architecture", REAL)
@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx", "graft"])
def test_real_networks_are_exported_by_the_job(
    name: Any, architecture: str, real: dict[str, Checkpoint], tmp_path: Path, events: EventLog
) -> None:
    source = real[architecture]
    exporting.run(ExportSpec(checkpoint=str(source.folder), format=name), tmp_path, events)
    proof = json.loads((tmp_path / "export/proof.json").read_text())
    assert proof["weights_sha256"] == source.weights_sha256
    assert proof["kind"] == ("bytes" if name == "graft" else "outputs")
    assert "{" not in proof["open"].replace('{"', "")


def test_an_encoder_is_exported_for_transformers_under_its_class(
    real: dict[str, Checkpoint], tmp_path: Path, events: EventLog
) -> None:
    spec = ExportSpec(checkpoint=str(real["bert"].folder), format="huggingface")
    exporting.run(spec, tmp_path, events)
    proof = json.loads((tmp_path / "export/proof.json").read_text())
    assert "from transformers import AutoTokenizer, BertForMaskedLM\n" in proof["open"]
    card = (tmp_path / "export/README.md").read_text()
    assert "BertForMaskedLM.from_pretrained" in card
    assert "\npipeline_tag: fill-mask\n" in card


def test_a_network_of_images_leaves_for_timm_and_comes_back(
    tmp_path: Path, events: EventLog
) -> None:
    config = VIT_PRESETS["vit_tiny_patch16_224"].model_copy(
        update={"num_classes": 3, "image_size": 32, "in_channels": 1}
    )
    write_checkpoint(
        tmp_path / "checkpoint", config, initial_tensors(config.tensors(), 1), None, {}
    )
    spec = ExportSpec(checkpoint=str(tmp_path / "checkpoint"), format="huggingface")
    exporting.run(spec, tmp_path, events)
    folder = tmp_path / "export"
    assert (
        'timm.create_model("local-dir:.", pretrained=True)'
        in (json.loads((folder / "proof.json").read_text())["open"])
    )
    card = (folder / "README.md").read_text()
    assert "\nlibrary_name: timm\n" in card
    assert "\npipeline_tag: image-classification\n" in card
    assert 'timm.create_model("hf-hub:THIS_REPOSITORY", pretrained=True)' in card
    found = read_folder(folder)
    assert found.config == config


def test_a_dense_gpt3_leaves_as_the_gpt2_that_it_is(tmp_path: Path, events: EventLog) -> None:
    dense = GPT3Config(**SMALL.model_dump(exclude={"architecture"}), window=None)
    write_checkpoint(tmp_path / "checkpoint", dense, loud(dense), TOKENIZER, {})
    spec = ExportSpec(checkpoint=str(tmp_path / "checkpoint"), format="huggingface")
    exporting.run(spec, tmp_path, events)
    proof = json.loads((tmp_path / "export/proof.json").read_text())
    assert "import AutoTokenizer, GPT2LMHeadModel\n" in proof["open"]
    found = read_folder(tmp_path / "export")
    assert found.config == SMALL
    for name, array in loud(dense).items():
        assert found.tensors[name].tobytes() == array.tobytes()


def test_a_banded_gpt3_which_no_class_opens_is_refused(tmp_path: Path, events: EventLog) -> None:
    banded = GPT3Config(**SMALL.model_dump(exclude={"architecture"}), window=4)
    write_checkpoint(tmp_path / "checkpoint", banded, loud(banded), TOKENIZER, {})
    spec = ExportSpec(checkpoint=str(tmp_path / "checkpoint"), format="huggingface")
    with pytest.raises(TrainingError) as refused:
        exporting.run(spec, tmp_path, events)
    assert refused.value.code == "export_banded"
    assert EXPORTS["onnx"].problem(banded) is EXPORTS["graft"].problem(banded) is None


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["values", "nan", "shape"])
def test_a_file_that_computes_something_else_is_refused_and_nothing_stays(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: EventLog
) -> None:
    write_checkpoint(tmp_path / "checkpoint", SMALL, loud(SMALL), TOKENIZER, {})
    right = onnx.run

    def run(folder: Path, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
        logits, runtime = right(folder, values)
        if wrong == "shape":
            return logits[:, :-1], runtime
        logits = logits.copy()
        logits[0, 0, 0] += 2e-3 if wrong == "values" else np.nan
        return logits, runtime

    monkeypatch.setattr(onnx, "run", run)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(TrainingError) as refused:
        exporting.run(
            ExportSpec(checkpoint=str(tmp_path / "checkpoint"), format="onnx"), out, events
        )
    assert refused.value.code == "export_differs"
    assert list(out.iterdir()) == []


def test_a_runtime_that_does_not_open_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: EventLog
) -> None:
    write_checkpoint(tmp_path / "checkpoint", SMALL, loud(SMALL), TOKENIZER, {})
    monkeypatch.setattr(onnx, "write", lambda _c, folder: (folder / onnx.FILE).write_bytes(b"no"))
    with pytest.raises(TrainingError) as refused:
        exporting.run(
            ExportSpec(checkpoint=str(tmp_path / "checkpoint"), format="onnx"), tmp_path, events
        )
    assert refused.value.code == "export_not_opened"
    assert not (tmp_path / "export").exists()


def test_what_a_form_cannot_hold_is_refused_before_anything_is_computed(
    image_checkpoint: Checkpoint,
) -> None:
    for name in ("keras", "huggingface"):
        with pytest.raises(TrainingError) as refused:
            exporting.check_possible(image_checkpoint, name)
        assert refused.value.code == "export_architecture"
    large = Checkpoint(
        image_checkpoint.folder, GPT2Config(n_embd=1280, n_layer=36, n_head=20), {}, {}, {}
    )
    for name in ("litert", "onnx"):
        with pytest.raises(TrainingError) as refused:
            exporting.check_possible(large, name)
        assert refused.value.code == "export_too_large"
        assert refused.value.params["size_gb"] == 3.1
    exporting.check_possible(large, "saved_model")


def test_a_checkpoint_whose_bytes_changed_is_not_exported(tmp_path: Path, events: EventLog) -> None:
    write_checkpoint(tmp_path / "checkpoint", SMALL, loud(SMALL), TOKENIZER, {})
    with (tmp_path / "checkpoint/model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(TrainingError) as refused:
        exporting.run(
            ExportSpec(checkpoint=str(tmp_path / "checkpoint"), format="graft"), tmp_path, events
        )
    assert refused.value.code == "checkpoint_corrupt"
