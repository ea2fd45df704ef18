"""Which of the uploaded files are the model, and whether a model is among them at all.

Only names are looked at here, with the engine's own sentences, so that a person hears it at once:
the engine judges content, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from django.core.exceptions import ValidationError

from webapp.jobs.selectors import sentence

#: ``{path: {upload, size}}``, and ``blake3`` once the file is in the store.
UploadedFiles = dict[str, dict[str, Any]]

#: Forms of weights that can run code when opened, or that are not read.
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".ot"})
#: Keras's own files: one of them is a whole model, without a ``config.json`` beside it.
KERAS = (".keras", ".weights.h5")
#: Left by file managers; no part of a model.
SKIPPED = frozenset({".DS_Store", "Thumbs.db", ".gitattributes", "desktop.ini"})


def below_root(files: UploadedFiles) -> UploadedFiles:
    """The model's own files by their paths in its folder: the shallowest with a ``config.json``.

    Without one, a Keras file is a model, with the tokenizer that lies beside or below it, and so is
    a single safetensors file: the engine knows image networks by their tensors.

    Raises:
        ValidationError: No model is among them: a configuration alone is none.
    """
    paths = list(map(PurePosixPath, files))
    roots = [path.parent for path in paths if path.name == "config.json"]
    keras = [path for path in paths if path.name.endswith(KERAS)]
    if not roots and len(keras) > 1:
        raise _refused("keras_several", files=", ".join(sorted(path.name for path in keras)[:3]))
    is_keras = not roots and bool(keras)
    if is_keras:
        roots = [keras[0].parent]
    weights = [path for path in paths if path.suffix == ".safetensors"]
    if not roots and len(weights) == 1:
        roots = [weights[0].parent]
    if not roots:
        raise _refused("folder_no_config")
    root = min(roots, key=lambda folder: (len(folder.parts), str(folder)))
    found = {
        str(PurePosixPath(path).relative_to(root)): entry
        for path, entry in files.items()
        if PurePosixPath(path).is_relative_to(root) and PurePosixPath(path).name not in SKIPPED
    }
    if not is_keras:
        _check_weights(found)
    return found


def _check_weights(names: Iterable[str]) -> None:
    names = sorted(names)
    if any(name.endswith(".safetensors") for name in names):
        return
    for name in names:
        if PurePosixPath(name).suffix.lower() in PICKLES:
            raise _refused("folder_only_pickles", file=name)
    raise _refused("folder_no_weights")


def _refused(code: str, **params: str) -> ValidationError:
    return ValidationError(sentence(code, params), code=code)


def clean_path(name: str) -> str:
    """A path from a browser without what could lead elsewhere; empty when nothing is left."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "/".join(part for part in parts if part.strip("./"))


def folder_name(paths: Iterable[str]) -> str:
    """The folder's name that all paths share; empty when they were chosen one by one."""
    first = {path.split("/", 1)[0] for path in paths if "/" in path}
    return first.pop() if len(first) == 1 else ""
