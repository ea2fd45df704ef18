"""A folder that ``transformers`` opens, or timm where images are read; its weights are the
checkpoint's, byte for byte.

PyTorch is no part of Graft, so no output can be compared here: the tests do, on reference files
that PyTorch wrote. In the job every byte of the weights is read back and compared, and the folder
must pass the same reader as a foreign one.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from training.backbones.registry import BACKBONES
from training.errors import TrainingError
from training.hashing import file_hash
from training.interop.forms import form_of, read_config
from training.interop.forms.form import read_config_json
from training.interop.huggingface import copy_files, read_folder
from training.weights.card import CONFIG_FILE, WEIGHTS_FILE
from training.weights.checkpoint import Checkpoint

OPEN = "{opening}"


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy what others read."""
    copy_files(checkpoint, folder)


def check(checkpoint: Checkpoint, folder: Path) -> str:
    """Read the folder as a foreign one and compare its weights; gives the reader.

    Raises:
        TrainingError: ``export_changed``, or what is wrong with the folder.
    """
    found = read_folder(folder)
    wanted = checkpoint.config
    if BACKBONES[wanted.architecture].kind == "text":
        payload = read_config_json(checkpoint.folder / CONFIG_FILE)
        # Another architecture's, where that says the same in a form that others read.
        wanted = read_config(form_of(payload).exported(wanted, payload), checkpoint.infos)
    known = file_hash(checkpoint.folder / WEIGHTS_FILE)
    if found.config != wanted or file_hash(folder / WEIGHTS_FILE) != known:
        raise TrainingError("export_changed", file=WEIGHTS_FILE)
    return f"safetensors {version('safetensors')}"
