"""A model of tables stays with its columns: what does not carry them along refuses it by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.backbones.registry import BACKBONES, SELF_CONTAINED, require_self_contained
from training.backbones.resnet.config import PRESETS as RESNETS
from training.command_specs import CopySpec, ImportSpec
from training.errors import TrainingError
from training.events import EventLog
from training.features.settings import FeatureSettings, require_kind, require_settings
from training.interop import importing
from training.interop.exports import EXPORTS
from training.interop.forms import FORMS
from training.methods.registry import METHODS
from training.weights import transfer
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors
from training.weights.merge import require_mergeable

NANO = BACKBONES["wide_deep"].presets["nano"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    folder = tmp_path / "checkpoint"
    write_checkpoint(
        folder, NANO, initial_tensors(NANO.tensors(), 0), None, {"method": "wide_deep"}
    )
    return read_checkpoint(folder, verify=True)


def test_only_models_of_tables_and_those_that_make_images_are_left_out() -> None:
    kinds = {BACKBONES[name].kind for name in SELF_CONTAINED}
    assert kinds == {"text", "image"}
    assert set(BACKBONES) - SELF_CONTAINED == {
        *("wide_deep", "multi_task"),
        *("conditional_vae", "conditional_gan"),
    }


@pytest.mark.parametrize("name", ["conditional_vae", "conditional_gan"])
def test_a_model_that_makes_images_is_refused_by_name(name: str) -> None:
    with pytest.raises(TrainingError) as caught:
        require_kind(BACKBONES[name].presets["nano"], "image")
    assert caught.value.code == "features_need_images"
    assert caught.value.params["architecture"] == BACKBONES[name].title
    with pytest.raises(TrainingError) as refused:
        require_self_contained(BACKBONES[name].presets["nano"])
    assert refused.value.code == "model_makes_images"


def test_its_configuration_comes_back(checkpoint: Checkpoint) -> None:
    assert checkpoint.config == NANO
    written = json.loads((checkpoint.folder / "config.json").read_text())
    assert written["model_type"] == "wide_deep"
    assert FORMS["wide_deep"].read(written) == NANO


def test_it_is_exported_as_a_graft_folder_and_in_no_other_form() -> None:
    assert EXPORTS["graft"].problem(NANO) is None
    others = [export for name, export in EXPORTS.items() if name != "graft"]
    assert {(export.problem(NANO) or ("",))[0] for export in others} == {"export_architecture"}


def test_it_is_not_merged_copied_or_imported(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as merged:
        require_mergeable([checkpoint, checkpoint])
    out = tmp_path / "out"
    out.mkdir()
    events = EventLog(out / "events.jsonl")
    copy = CopySpec.model_validate({"source": {"checkpoint": str(checkpoint.folder)}})
    with pytest.raises(TrainingError) as copied:
        transfer.run(copy, out, events)
    taken = ImportSpec.model_validate({"kind": "folder", "path": str(checkpoint.folder)})
    with pytest.raises(TrainingError) as imported:
        importing.run(taken, out, events)
    events.close()
    for caught in (merged, copied, imported):
        assert caught.value.code == "model_of_tables"
        assert caught.value.params == {"architecture": "Wide & Deep"}


def test_methods_of_texts_and_images_do_not_train_it() -> None:
    for method in METHODS.values():
        assert ("wide_deep" in method.backbones) == ("table" in method.data)
    with pytest.raises(TrainingError) as featured:
        require_settings(NANO, FeatureSettings())
    assert featured.value.code == "model_of_tables"
    with pytest.raises(TrainingError) as wanted:
        require_kind(NANO, "image")
    assert wanted.value.code == "features_need_images"
    with pytest.raises(TrainingError) as trained:
        METHODS["wide_deep"].require_trained(RESNETS["nano"])
    assert trained.value.code == "architecture_not_trained"
