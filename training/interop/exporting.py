"""The job that writes a checkpoint in another form, and proves the result before it is offered.

The files are opened again by the runtime that people will use, on probe values that follow from a
fixed seed, and the outputs compared with our model's. What differs by more than rounding is
refused: nothing is left behind then.
"""

from __future__ import annotations

import shutil
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from training.command_specs import ExportSpec
from training.durable import durable_folder, json_bytes, sweep
from training.errors import TrainingError
from training.events import EventLog
from training.interop.exports import EXPORTS
from training.interop.exports.signature import OUTPUT, PROBE_SEED, Input, probe
from training.interop.forms import opening
from training.interop.model_card import write_readme
from training.report import write_report
from training.version import code_version
from training.weights.checkpoint import TOKENIZER_FILES, Checkpoint, read_checkpoint

PROOF_VERSION = 1
FOLDER, PROOF_FILE, TOKENIZER_FOLDER = "export", "proof.json", "tokenizer"
#: Largest difference of an output in float32, for outputs up to 10 in size; beyond, float32 itself
#: keeps fewer digits, and this share of the largest output is allowed.
TOLERANCE, TOLERANCE_SHARE = 1e-4, 1e-5


def run(spec: ExportSpec, out: Path, events: EventLog) -> dict[str, str]:
    """Write ``export/`` with ``proof.json`` in it, and ``report.json``.

    Args:
        spec: Which checkpoint, in which form.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``export_*``, ``checkpoint_*``, ``disk_full_writing``.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="reading", fraction=None, detail="")
    checkpoint = read_checkpoint(Path(spec.checkpoint), verify=True)
    check_possible(checkpoint, spec.format)
    with durable_folder(out / FOLDER, point="export", what="the export") as folder:
        proof = write_proved(checkpoint, spec.format, folder, events)
        if spec.format == "huggingface":
            write_readme(checkpoint, folder, spec.about)
    write_report(
        out,
        "export",
        spec,
        time.monotonic() - started,
        {"weights_sha256": checkpoint.weights_sha256, "proof": proof},
    )
    return {"report": "report.json", "result": FOLDER}


def write_proved(
    checkpoint: Checkpoint, name: str, folder: Path, events: EventLog
) -> dict[str, Any]:
    """Write a checkpoint's files in a form, open them again, and write ``proof.json`` beside them.

    Args:
        checkpoint: What is exported.
        name: Key of :data:`EXPORTS`.
        folder: Empty.
        events: Gets ``phase``.

    Returns:
        The proof.

    Raises:
        TrainingError: ``export_*``; what is in the folder is then of no use.
    """
    form = import_module(EXPORTS[name].module)
    events.emit("phase", name="converting", fraction=None, detail="")
    form.write(checkpoint, folder)
    events.emit("phase", name="proving", fraction=None, detail="")
    if EXPORTS[name].computes:
        proof = _prove_outputs(checkpoint, form, folder, name)
        _add_tokenizer(checkpoint, folder)
    else:
        proof = {"kind": "bytes", "runtime": form.check(checkpoint, folder)}
    proof = {
        "version": PROOF_VERSION,
        "format": name,
        "weights_sha256": checkpoint.weights_sha256,
        "code_version": code_version(),
        **proof,
        "open": _code(form.OPEN, checkpoint, proof),
    }
    (folder / PROOF_FILE).write_bytes(json_bytes(proof))
    return proof


def check_possible(checkpoint: Checkpoint, form: str) -> None:
    """Refuse what the form cannot hold, before anything is computed.

    Raises:
        TrainingError: ``export_architecture``, ``export_banded``, ``export_not_in_timm``,
            ``export_too_large``.
    """
    if problem := EXPORTS[form].problem(checkpoint.config):
        code, params = problem
        raise TrainingError(code, field="format", **params)


def compare(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The largest difference, and the largest that rounding explains.

    Raises:
        TrainingError: ``export_differs``: outputs of another shape, not finite, or too far apart.
    """
    allowed = max(TOLERANCE, TOLERANCE_SHARE * float(np.abs(expected).max(initial=0)))
    largest = float("inf")
    if found.shape == expected.shape:
        largest = float(np.abs(found - expected).max(initial=0))
    if not largest <= allowed:  # so that NaN is refused too
        raise TrainingError(
            "export_differs", largest=f"{largest:.2g}", allowed=f"{allowed:.2g}", field="format"
        )
    return largest, allowed


def _prove_outputs(checkpoint: Checkpoint, form: Any, folder: Path, name: str) -> dict[str, Any]:
    from training.interop.exports.network import Network

    network = Network(checkpoint)
    values = probe(network.inputs, fixed=form.FIXED)
    expected = network.logits(values)
    try:
        found, runtime = form.run(folder, values)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each runtime has errors of its own
        detail = f"{type(error).__name__}: {error}"[:500]
        raise TrainingError(
            "export_not_opened", format=EXPORTS[name].title, detail=detail
        ) from error
    largest, allowed = compare(found, expected)
    return {
        "kind": "outputs",
        "runtime": runtime,
        "largest_difference": largest,
        "tolerance": allowed,
        "largest_output": float(np.abs(expected).max(initial=0)),
        "probe": {"seed": PROBE_SEED, "shape": list(values[network.inputs[0].name].shape)},
        "inputs": [_described(one, form.FIXED) for one in network.inputs],
        "outputs": [{"name": OUTPUT, "dtype": "float32"}],
    }


def _described(one: Input, fixed: bool) -> dict[str, Any]:
    return {
        "name": one.name,
        "dtype": one.dtype,
        "shape": list(one.fixed if fixed else one.shape),
        "axes": list(one.axes),
    }


def _add_tokenizer(checkpoint: Checkpoint, folder: Path) -> None:
    """A network that reads token ids is of little use without what makes them."""
    names = [name for name in TOKENIZER_FILES if (checkpoint.folder / name).is_file()]
    if names:
        (folder / TOKENIZER_FOLDER).mkdir()
    for name in names:
        shutil.copyfile(checkpoint.folder / name, folder / TOKENIZER_FOLDER / name)


def _code(template: str, checkpoint: Checkpoint, proof: dict[str, Any]) -> str:
    """The lines that open the files, with this model's names filled in."""
    inputs = proof.get("inputs", [])
    names = [given["name"] for given in inputs]
    pairs = ", ".join(f'"{name}": {name}' for name in names)
    return template.format(
        given=names[0] if len(names) == 1 else f"{{{pairs}}}",
        named=", ".join(f"{name}={name}" for name in names),
        constants=", ".join(f"{name}=tf.constant({name})" for name in names),
        pairs=pairs,
        shapes=", ".join(f"{one['name']}: {one['dtype']} {one['shape']}" for one in inputs),
        opening=opening(checkpoint.config),
    )
