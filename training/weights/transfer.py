"""The job that copies weights into a new model, without TensorFlow.

Writes ``checkpoint/``, in it ``transfer.json`` (the plan, and the proof that every copied tensor
equals its source), and ``report.json``. Parents are only read: going back to them undoes a copy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.registry import BACKBONES, require_self_contained
from training.command_specs import CopySpec
from training.data.packing import documents
from training.data.text_tokenizer import TextTokenizer
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import read_tokenizer, tokenizer_of
from training.durable import json_bytes, sweep
from training.errors import TrainingError
from training.events import EventLog
from training.report import write_report
from training.settings import spec_sha256
from training.version import code_version
from training.weights.card import SAID, WEIGHTS_FILE, carried
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.copy import apply_plan, verbatim, verify
from training.weights.header import shapes
from training.weights.initial import initial_weights
from training.weights.plan import Plan
from training.weights.planner import make_plan
from training.weights.tensors import open_tensors
from training.weights.vocabulary import token_rows

PLAN_FILE = "transfer.json"
#: Seconds between two events about how far it is.
TELL_S = 1.0


def run(spec: CopySpec, out: Path, events: EventLog) -> dict[str, str]:
    """Copy weights by a plan, check the copy, and write a checkpoint.

    Args:
        spec: Source, new model (none: the source's own), what starts afresh, seed of the rest.
        out: The working directory; exists and is locked by the caller.
        events: Gets ``phase``, ``weights`` and ``log``.

    Returns:
        The fields of the ``finished`` event.

    Raises:
        TrainingError: ``checkpoint_*``, ``weights_*``, ``config_*``, ``pattern_matches_nothing``,
            ``vocabulary_too_small``, ``tokenizer_needed``, ``tokenizer_does_not_fit``,
            ``nothing_to_copy``, ``copy_not_exact``, ``disk_full_writing``. No checkpoint is left
            behind then.
    """
    started = time.monotonic()
    sweep(out)
    events.emit("phase", name="loading", fraction=None, detail="")
    source = read_checkpoint(Path(spec.source.checkpoint))
    base = read_checkpoint(Path(spec.base)) if spec.base else None
    target = spec.model or (base or source).config
    for config in (source.config, target):
        require_self_contained(config, "source.checkpoint")
    words = _words(spec, target, source, base, events)
    if words.tokenizer is not None:
        target = _for_tokenizer(target, words, kept=base is not None)
    plan = make_plan(
        target,
        source.config,
        shapes(source.infos),
        same_tokenizer=words.same,
        token_rows=words.rows,
        reinitialise=spec.source.reinitialise,
        settings=spec.settings,
        kept=base is not None,
    )
    if not plan.parameters_copied:
        raise TrainingError("nothing_to_copy", reason=plan.rows[0].reason.sentence)

    own = base.tensors() if base is not None else initial_weights(target, spec.seed)
    tensors = source.tensors()
    as_they_are = verbatim(plan, tensors)
    stored = source.tensor_hashes()
    proof: dict[str, Any] = {}

    def prove(temporary: Path, written: Mapping[str, str]) -> None:
        """Read back what was written, before it gets its name."""
        known = {name: (written[name], stored[info.name]) for name, info in as_they_are.items()}
        result = open_tensors(temporary / WEIGHTS_FILE)
        verification = verify(
            plan, source.tensors(), result, known=known, progress=_told(events, "verifying")
        )
        verification.require_exact()
        proof.update(verification.to_json())
        (temporary / PLAN_FILE).write_bytes(json_bytes({"plan": plan.to_json(), "proof": proof}))

    card = write_checkpoint(
        out / "checkpoint",
        target,
        apply_plan(plan, tensors, own),
        words.tokenizer,
        {
            "method": "transfer",
            "made_by": {
                "command": "transfer",
                "code_version": code_version(),
                "spec_sha256": spec_sha256(spec),
                "seed": spec.seed,
            },
            "parents": [one.weights_sha256 for one in (source, base) if one is not None],
            "transfer": plan.counts(),
            **({"frozen": plan.frozen} if plan.frozen else {}),
            **carried(source.card),
            **_said(source, plan, target),
        },
        dropout=source.dropout,
        prove=prove,
        verbatim=as_they_are,
        progress=_told(events, "copying"),
    )
    frozen = set(plan.frozen)
    fixed = sum(one.size for one in target.tensors() if one.trained and one.name in frozen)
    weights = plan.counts() | {"verified": True}
    events.emit("weights", **weights)
    write_report(
        out,
        "transfer",
        spec,
        time.monotonic() - started,
        {
            "seed": spec.seed,
            "parameters": {"total": card["parameters"], "trainable": card["parameters"] - fixed},
            "weights": weights,
            "weights_sha256": card["weights_sha256"],
            "plan": plan.to_json(),
            "proof": proof,
        },
    )
    return {"report": "report.json", "result": "checkpoint"}


@dataclass(frozen=True)
class _Words:
    """The new model's tokenizer, and how its rows correspond to the source's.

    Attributes:
        tokenizer: None for models that read no text.
        same: Whether it is the source's, or the new model has none.
        rows: Where it is not: see :func:`training.weights.vocabulary.token_rows`; None: they start
            afresh.
    """

    tokenizer: TextTokenizer | None
    same: bool
    rows: list[list[int]] | None = None


def _said(source: Checkpoint, plan: Plan, target: BackboneConfig) -> dict[str, Any]:
    """What the source's head says, its classes or a number, where the whole head has come along."""
    rows = {row.target: row for row in plan.rows}
    head = [rows[name] for name in target.label_head]
    whole = bool(head) and all(row.copied == row.parameters for row in head)
    return {name: source.card[name] for name in SAID if whole and name in source.card}


def _words(
    spec: CopySpec,
    target: BackboneConfig,
    source: Checkpoint,
    base: Checkpoint | None,
    events: EventLog,
) -> _Words:
    """What the new model reads text with, by the new model and not by the source.

    Raises:
        TrainingError: ``tokenizer_needed``, ``tokenizer_does_not_fit``, and what reading a
            tokenizer refuses.
    """
    if target.vocabulary is None:
        return _Words(None, same=True)
    ours = tokenizer_of(source) if source.config.vocabulary is not None else None
    owner: Checkpoint | None = None
    match spec.tokenizer.kind:
        case "source":
            owner = base or source
            other = ours if base is None else tokenizer_of(base)
        case "checkpoint":
            owner = read_checkpoint(Path(spec.tokenizer.checkpoint))
            other = tokenizer_of(owner)
        case "gpt2":
            other = Tokenizer.gpt2()
        case _:
            assert spec.data is not None
            events.emit("phase", name="tokenizing", fraction=None, detail="vocabulary")
            texts = (text for text, _ in documents(Path(spec.data.path) / "train.jsonl"))
            other = Tokenizer.train(texts, spec.tokenizer.vocabulary_size)
    if other is None:
        raise TrainingError("tokenizer_needed", field="tokenizer.kind")
    # One read from this very architecture's checkpoint will be read again; trying takes seconds.
    if owner is None or owner.config.architecture != target.architecture:
        require_readable(other, target)
    if ours is None or other.sha256 == ours.sha256:
        return _Words(other, same=ours is not None)
    by_token = spec.settings.vocabulary == "tokens"
    return _Words(other, same=False, rows=token_rows(ours, other) if by_token else None)


def _for_tokenizer(config: BackboneConfig, words: _Words, *, kept: bool) -> BackboneConfig:
    """The configuration with a row for each token, and the tokenizer's id of padding.

    One that was given more rows keeps them.

    Args:
        config: The new model.
        words: Its tokenizer.
        kept: Whether it has values of its own already, and with them its rows and its padding.

    Raises:
        TrainingError: ``vocabulary_too_small``.
    """
    assert words.tokenizer is not None
    size, rows = words.tokenizer.size, config.vocabulary or 0
    if not words.same and not kept:
        config = config.model_copy(update={"vocab_size": size})
    elif rows < size:
        raise TrainingError(
            "vocabulary_too_small", field="model.vocab_size", vocabulary=rows, tokens=size
        )
    return config if kept else with_padding(config, words.tokenizer.special_ids)


def with_padding(config: BackboneConfig, special_ids: Mapping[str, int]) -> BackboneConfig:
    """The configuration with a tokenizer's id of padding, where its positions go by that."""
    name = "pad_token_id"
    if name not in type(config).model_fields or name not in special_ids:
        return config
    return config.model_copy(update={name: special_ids[name]})


def require_readable(tokenizer: TextTokenizer, config: BackboneConfig) -> None:
    """Refuse a tokenizer that the new model's architecture would read otherwise, or not at all.

    Raises:
        TrainingError: ``tokenizer_does_not_fit``.
    """
    refused = TrainingError(
        "tokenizer_does_not_fit",
        field="tokenizer.kind",
        architecture=BACKBONES[config.architecture].title,
    )
    with TemporaryDirectory() as folder:
        tokenizer.save(Path(folder), config.context)
        try:
            read = read_tokenizer(Path(folder), config.architecture)
        except TrainingError as error:
            raise refused from error
    # By ids and not by its hash: an OPT takes GPT-2's as one of its own whose texts stand alone.
    if read.sha256 != tokenizer.sha256 and _ids_of(read) != _ids_of(tokenizer):
        raise refused


def _ids_of(tokenizer: TextTokenizer) -> tuple[Any, ...]:
    text = "A text, and more of it."
    return tokenizer.vocabulary, tokenizer.end_of_text, tokenizer.encode_input(text)


def _told(events: EventLog, name: str) -> Callable[[float], None]:
    """Tells how far a phase is, at most once a second."""
    told = -math.inf

    def tell(fraction: float) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_S:
            told = time.monotonic()
            events.emit("phase", name=name, fraction=fraction, detail="")

    tell(0.0)
    return tell
