"""The job that brings a foreign model in, from the Hub, a folder or a Keras file.

Real weights or nothing: a folder that holds only a configuration is refused. The weights keep
their type, so that import → export → import gives the same bytes.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from training.backbones.registry import require_self_contained
from training.command_specs import ImportSpec
from training.durable import sweep
from training.errors import TrainingError
from training.events import EventLog
from training.interop import hub, keras_files
from training.interop.huggingface import ForeignModel, check_finite, list_files, read_folder
from training.report import write_report
from training.settings import spec_sha256
from training.version import code_version
from training.weights.checkpoint import write_checkpoint

DOWNLOAD_FOLDER, UNPACKED_FOLDER = "download", "unpacked"


def run(spec: ImportSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Fetch if need be, check, and write ``checkpoint/`` and ``report.json``.

    Args:
        spec: What to import.
        out: The working directory; exists and is locked by the caller. A download that was cut off
            goes on from ``download/`` in it, which is removed at the end.
        events: Gets ``phase``; while downloading with ``bytes``, ``total_bytes``, ``bytes_per_s``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: A refusal whose ``field`` is the spec's field at fault. No checkpoint is left
            behind then.
    """
    started = time.monotonic()
    sweep(out)
    origin: dict[str, Any] = {"kind": spec.kind}
    folder = Path(spec.path)
    field = {"hub": "repository", "folder": "path"}[spec.kind]
    with ExitStack() as opened:
        try:
            if spec.kind == "folder" and not spec.path:
                raise TrainingError("folder_missing")
            if spec.kind == "hub":
                folder = out / DOWNLOAD_FOLDER
                origin |= _download(spec, folder, events)
            events.emit("phase", name="reading", fraction=None, detail="")
            names = [folder.name] if folder.is_file() else list_files(folder)
            if (name := keras_files.found_in(names)) is not None:
                path = folder if folder.is_file() else folder / name
                source = keras_files.open_model(path, out / UNPACKED_FOLDER)
                model = opened.enter_context(source)
            else:
                model = read_folder(folder)
            require_self_contained(model.config)
            _check_values(model, events)
        except RecursionError as error:
            raise TrainingError(
                "config_unreadable", field=field, detail="it is nested too deeply"
            ) from error
        except TrainingError as error:
            error.field = error.field or field
            raise
        events.emit("phase", name="saving", fraction=None, detail="")
        card = _write(spec, model, origin, out / "checkpoint")
    write_report(
        out,
        "import",
        spec,
        time.monotonic() - started,
        {
            "parameters": {"total": card["parameters"], "trainable": card["parameters"]},
            "weights_sha256": card["weights_sha256"],
            "config": model.config.model_dump(mode="json"),
            "origin": origin,
        },
    )
    shutil.rmtree(out / DOWNLOAD_FOLDER, ignore_errors=True)
    return {"report": "report.json", "result": "checkpoint"}


def _write(
    spec: ImportSpec, model: ForeignModel, origin: dict[str, Any], folder: Path
) -> dict[str, Any]:
    return write_checkpoint(
        folder,
        model.config,
        model.tensors,
        model.tokenizer,
        {
            "method": "import",
            "made_by": {
                "command": "import",
                "code_version": code_version(),
                "spec_sha256": spec_sha256(spec),
                "seed": None,
            },
            "origin": origin,
            **({"images": model.images} if model.images is not None else {}),
        },
        dropout=model.dropout,
    )


def _download(spec: ImportSpec, folder: Path, events: EventLog) -> dict[str, Any]:
    def tell(here: int, total: int, rate: float) -> None:
        events.emit(
            "phase",
            name="downloading",
            fraction=here / total if total else None,
            detail=spec.repository,
            bytes=here,
            total_bytes=total,
            bytes_per_s=round(rate),
        )

    events.emit("phase", name="downloading", fraction=None, detail=spec.repository)
    model = hub.look_up(spec.repository, spec.revision, spec.endpoint)
    hub.download(model, folder, tell)
    return {
        "endpoint": model.endpoint,
        "repository": model.repository,
        "revision": model.revision,
        "commit": model.commit,
        "licence": model.licence,
    }


def _check_values(model: ForeignModel, events: EventLog) -> None:
    total = model.nbytes
    seen, told = 0, time.monotonic()
    for nbytes in check_finite(model.tensors):
        seen += nbytes
        if time.monotonic() - told > hub.REPORT_EVERY_S:
            told = time.monotonic()
            events.emit("phase", name="checking", fraction=seen / total, detail="")
