"""What a run on two views cannot do, refused with its field before TensorFlow is there."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.training.labelled import checkpoint, image_dataset, text_dataset
from tests.integration.training.runs import loaded, told
from tests.integration.training.siamese import METHODS, RESNET, VIT, spec_of
from tests.parity.text import CASES, word_pieces
from training.__main__ import main
from training.data.pixels import ANY_PX
from training.errors import EXIT_REFUSED, TrainingError

PIECES = word_pieces(lowercase=True)
BERT = CASES["bert-pooler"].model_copy(update={"vocab_size": PIECES.size})
GREY = RESNET.model_copy(update={"in_channels": 1})
FOUR = RESNET.model_copy(update={"in_channels": 4})

Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def folders(tmp_path_factory: Folders) -> dict[str, Path]:
    """Data sets and checkpoints by name."""
    folder = tmp_path_factory.mktemp("refused")
    images = image_dataset(folder / "images", {"red": 10, "green": 10})
    found = {
        "images": images,
        "texts": text_dataset(folder / "texts", {"yes": ["so it goes"], "no": ["x y z"]}, 30),
        "bert": checkpoint(folder / "bert", BERT, PIECES),
        "grey": checkpoint(folder / "grey", GREY),
    }
    for split in ("train", "validation", "test"):
        found[f"no {split}"] = Path(shutil.copytree(images, folder / f"no-{split}"))
        (found[f"no {split}"] / f"{split}.jsonl").unlink()
    found["empty"] = Path(shutil.copytree(images, folder / "empty"))
    (found["empty"] / "validation.jsonl").write_text("")
    found["nothing"] = folder
    return found


def spec(
    folders: dict[str, Path], method: str, data: str, source: str = "", **parts: Any
) -> dict[str, Any]:
    started = {"source": {"checkpoint": str(folders[source])}} if source else {}
    return spec_of(method, folders[data], **started, **parts)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("data", "source", "parts", "code", "field"),
    [
        ("texts", "", {}, "method_needs_images", "data.path"),
        ("no train", "", {}, "split_missing", "data.path"),
        ("no validation", "", {}, "split_missing", "data.path"),
        ("empty", "", {}, "split_missing", "data.path"),
        ("nothing", "", {}, "dataset_without_labels", "data.path"),
        ("images", "bert", {}, "features_need_images", "source.checkpoint"),
        (
            "images",
            "",
            {"model": VIT.model_dump(), "views": {"image_px": 24}},
            "image_size_fixed",
            "views.image_px",
        ),
        ("images", "", {"model": FOUR.model_dump()}, "image_channels", "model"),
    ],
)
def test_it_is_refused_at_its_field(
    folders: dict[str, Path],
    method: str,
    data: str,
    source: str,
    parts: dict[str, Any],
    code: str,
    field: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingError) as caught:
        loaded(spec(folders, method, data, source, **parts), tmp_path / "run")
    assert caught.value.code == code
    assert caught.value.field == field
    assert "%(" not in str(caught.value)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_split_that_is_missing_is_named(
    folders: dict[str, Path], split: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError) as caught:
        loaded(spec(folders, "byol", f"no {split}"), tmp_path / "run")
    assert caught.value.params == {"split": split}


def test_a_test_split_is_not_needed(folders: dict[str, Path], tmp_path: Path) -> None:
    found = loaded(spec(folders, "simclr", "no test"), tmp_path / "run")
    assert set(found.splits) == {"train", "validation"}


def test_the_size_of_images_is_the_network_s_where_it_fixes_one(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    views: dict[str, Any] = {"views": {"image_px": None}}
    vit = spec(folders, "simclr", "images", model=VIT.model_dump(), **views)
    assert loaded(vit, tmp_path / "vit").inputs.px == VIT.image_size
    resnet = spec(folders, "simclr", "images", **views)
    assert loaded(resnet, tmp_path / "resnet").inputs.px == ANY_PX
    assert loaded(spec(folders, "simclr", "images"), tmp_path / "own").inputs.px == 16


def test_a_grey_network_sees_grey_images(folders: dict[str, Path], tmp_path: Path) -> None:
    """It is normalised by the mean over the channels of what was asked for."""
    asked: dict[str, Any] = {"views": {"normalisation": "imagenet"}}
    found = loaded(spec(folders, "simsiam", "images", "grey", **asked), tmp_path / "run")
    assert found.config == GREY
    (pixels,) = found.inputs.take(found.splits["train"], np.arange(2))
    assert pixels.shape == (2, 16, 16, 1)
    assert found.images["mean"] == [pytest.approx((0.485 + 0.456 + 0.406) / 3)]


def test_the_command_line_tells_it_as_an_event_and_leaves_nothing_else(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec(folders, "moco", "texts")))
    out = tmp_path / "run"
    code = main(["run", str(tmp_path / "spec.json"), "--out", str(out), "--quiet"])
    assert code == EXIT_REFUSED
    (error,) = told(out, "error")
    assert (error["code"], error["field"]) == ("method_needs_images", "data.path")
    assert sorted(path.name for path in out.iterdir()) == ["events.jsonl", "lock"]
