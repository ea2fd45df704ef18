"""What a classification run cannot do, refused with its field before TensorFlow is there."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.training.labelled import checkpoint, image_dataset, spec_of, text_dataset
from tests.integration.training.runs import loaded, told
from tests.parity.text import CASES, word_pieces
from tests.small import SMALL, TOKENIZER
from training.__main__ import main
from training.backbones.resnet.config import ResNetConfig
from training.backbones.vit.config import ViTConfig
from training.errors import EXIT_REFUSED, TrainingError

PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
RESNET = ResNetConfig(depths=[1], group_width=8, num_classes=2)
VIT = ViTConfig(image_size=16, patch_size=8, width=16, depth=1, heads=2, inner=32)

Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def folders(tmp_path_factory: Folders) -> dict[str, Path]:
    """Data sets and checkpoints by name."""
    folder = tmp_path_factory.mktemp("refused")
    texts = text_dataset(folder / "texts", {"yes": ["so it goes"], "no": ["x y z"]}, 30)
    images = image_dataset(folder / "images", {"red": 10, "green": 10})
    for split in ("train", "validation"):
        without = shutil.copytree(texts, folder / f"no-{split}")
        (without / f"{split}.jsonl").unlink()
    empty = shutil.copytree(texts, folder / "empty-validation")
    (empty / "validation.jsonl").write_text("")
    plain = shutil.copytree(texts, folder / "unlabelled")
    about = json.loads((plain / "dataset.json").read_text())
    (plain / "dataset.json").write_text(json.dumps(about | {"labels": None}))
    few_rows = BERT.model_copy(update={"vocab_size": PIECES.size - 1})
    return {
        "texts": texts,
        "images": images,
        "bert": checkpoint(folder / "bert", BERT, PIECES),
        "few rows": checkpoint(folder / "few-rows", few_rows, PIECES),
        "gpt2": checkpoint(folder / "gpt2", SMALL, TOKENIZER),
        "resnet": checkpoint(folder / "resnet", RESNET),
        **{
            name: folder / name
            for name in ("no-train", "no-validation", "empty-validation", "unlabelled")
        },
    }


def spec(folders: dict[str, Path], data: str, source: str = "", **parts: Any) -> dict[str, Any]:
    started = {"source": {"checkpoint": str(folders[source])}} if source else {}
    return spec_of(folders[data], **started, **parts)


@pytest.mark.parametrize(
    ("data", "source", "parts", "code", "field"),
    [
        ("images", "bert", {}, "features_need_images", "source.checkpoint"),
        ("texts", "resnet", {}, "features_need_text", "source.checkpoint"),
        (
            "images",
            "resnet",
            {"training": {"steps": 2, "warmup_steps": 0, "lora": {}}},
            "lora_adapts_nothing",
            "training.lora",
        ),
        ("texts", "gpt2", {}, "architecture_not_trained", "source.checkpoint"),
        ("no-validation", "bert", {}, "split_missing", "data.path"),
        ("empty-validation", "bert", {}, "split_missing", "data.path"),
        ("no-train", "bert", {}, "split_missing", "data.path"),
        ("unlabelled", "bert", {}, "dataset_without_labels", "data.path"),
        ("texts", "", {"model": BERT.model_dump()}, "text_needs_tokenizer", "inputs.checkpoint"),
        ("texts", "few rows", {}, "vocabulary_too_small", None),
        ("images", "", {"model": VIT.model_dump()}, "image_size_fixed", "inputs.image_px"),
        (
            "images",
            "",
            {"model": RESNET.model_copy(update={"in_channels": 4}).model_dump()},
            "image_channels",
            "model",
        ),
    ],
)
def test_it_is_refused_at_its_field(
    folders: dict[str, Path],
    data: str,
    source: str,
    parts: dict[str, Any],
    code: str,
    field: str | None,
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingError) as caught:
        loaded(spec(folders, data, source, **parts), tmp_path)
    assert caught.value.code == code
    assert caught.value.field == field
    assert "%(" not in str(caught.value)


def test_the_split_that_is_missing_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    for split in ("train", "validation"):
        with pytest.raises(TrainingError) as caught:
            loaded(spec(folders, f"no-{split}", "bert"), tmp_path)
        assert caught.value.params == {"split": split}


def test_fewer_examples_than_classes_are_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    three = image_dataset(tmp_path / "three", {"a": 6, "b": 6, "c": 6})
    with pytest.raises(TrainingError) as caught:
        loaded(spec_of(three, model=RESNET.model_dump(), examples=2), tmp_path)
    assert caught.value.code == "examples_fewer_than_classes"


def test_the_command_line_tells_it_as_an_event_and_leaves_nothing_else(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec(folders, "texts", "gpt2")))
    out = tmp_path / "run"
    code = main(["run", str(tmp_path / "spec.json"), "--out", str(out), "--quiet"])
    assert code == EXIT_REFUSED
    (error,) = told(out, "error")
    assert (error["code"], error["field"]) == ("architecture_not_trained", "source.checkpoint")
    assert "bert" in error["params"]["known"]
    assert sorted(path.name for path in out.iterdir()) == ["events.jsonl", "lock"]
