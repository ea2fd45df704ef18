"""Causal language modelling: predict each token from those before it.

    loss = −(1/N) Σ log p(token_t | token_1 … token_{t−1})      over the N real tokens

- Radford et al., 2018, "Improving Language Understanding by Generative Pre-Training"
- Radford et al., 2019, "Language Models are Unsupervised Multitask Learners"

Details people get wrong: the target of position t is token t + 1 (shifted once, by the data);
padding counts neither in the sum nor in N; with accumulation and several devices, sums are added
and divided by all real tokens once (a mean of means weighs short batches too much); perplexity is
exp of the mean over all tokens, not the mean of batches' perplexities.

``docs/methods/causal_lm.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.data.packing import Blocks, documents, load_blocks
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import read_byte_level
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.estimate import Estimate, assumed_speed, estimate
from training.events import EventLog
from training.methods.contract import LoopMethod
from training.spec import LanguageModelSpec, RunSpec
from training.weights.checkpoint import Checkpoint, read_checkpoint

SPLITS = ("train", "validation", "test")
#: Prompts taken from validation texts when the spec names none.
PROMPTS, PROMPT_WORDS = 3, 8


class LoadedText:
    """Tokenizer, blocks and configuration of a run; see :class:`training.methods.contract.Loaded`.

    Args:
        spec: The run.
        out: Its folder: keeps encoded text, and the tokenizer that is trained.
        events: Told how far the encoding is.
        splits: Which are read.

    Attributes:
        plain: The tokenizer, before the method adds tokens of its own.
        tokenizer: The tokenizer.
        config: The model, its vocabulary set by the tokenizer.
        source: The opened source, or None.
    """

    spec: Any

    def __init__(
        self, spec: LanguageModelSpec, out: Path, events: EventLog, splits: Sequence[str] = SPLITS
    ) -> None:
        self.spec = spec
        dataset = Path(spec.data.path)
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        if self.source is not None and spec.model is None:
            METHOD.require_trained(self.source.config)
        self.read(dataset, splits)
        self.plain = _tokenizer(spec, dataset, self.source, out, events)
        self.tokenizer = self.complete(self.plain)
        config = _config(spec, self.source, self.plain)
        rows = config.vocab_size + self.tokenizer.size - self.plain.size
        self.config = config.model_copy(update={"vocab_size": rows})
        #: Tensors that the plan of the copy which the source came from asked to leave as they are.
        self.frozen: frozenset[str] = frozenset(
            self.source.card.get("frozen", ()) if self.source else ()
        )
        self.blocks: dict[str, Blocks] = {}
        for number, split in enumerate(splits):

            def progress(share: float, number: int = number, split: str = split) -> None:
                fraction = (number + share) / len(splits)
                events.emit("phase", name="tokenizing", fraction=fraction, detail=split)

            self.blocks[split] = load_blocks(
                dataset, split, self.tokenizer, *self.cut, out / "cache", progress
            )
        self.prompts = list(spec.evaluation.prompts) or self.usual_prompts(dataset)

    # --- what a method may have otherwise ------------------------------------------------------

    def read(self, dataset: Path, splits: Sequence[str]) -> None:
        """Read what else it learns from."""

    def complete(self, tokenizer: Tokenizer) -> Tokenizer:
        """The tokenizer with the tokens that this method adds behind all others."""
        return tokenizer

    @property
    def cut(self) -> tuple[int, bool]:
        """Targets of a block, and whether documents are packed."""
        training = self.spec.training
        return training.sequence_length, training.packing

    def usual_prompts(self, dataset: Path) -> list[str]:
        """Prompts of the samples where the spec names none."""
        return _prompts(dataset)

    @property
    def width(self) -> int:
        return self.config.n_embd

    def needed_memory(self) -> int:
        return estimate(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        from training.methods.self_supervised.causal_lm_task import TextTask

        return TextTask(self, compute_dtype, fused, strategy, events)


def _tokenizer(
    spec: LanguageModelSpec,
    dataset: Path,
    source: Checkpoint | None,
    out: Path,
    events: EventLog,
) -> Tokenizer:
    wanted = spec.tokenizer
    if wanted.kind == "source" and source is not None:
        return _byte_level_of(source)
    if wanted.kind == "checkpoint":
        return _byte_level_of(read_checkpoint(Path(wanted.checkpoint)))
    if wanted.kind == "gpt2":
        return Tokenizer.gpt2()
    # Kept, so that a resumed run cannot come to another vocabulary.
    kept = out / "tokenizer"
    if (kept / "tokenizer.json").exists():
        return Tokenizer.load(kept)
    events.emit("phase", name="tokenizing", fraction=None, detail="vocabulary")
    texts = (text for text, _offset in documents(dataset / "train.jsonl"))
    trained = Tokenizer.train(texts, wanted.vocabulary_size)
    from training.durable import durable_folder

    with durable_folder(kept, point="tokenizer") as folder:
        trained.save(folder)
    return trained


def _byte_level_of(checkpoint: Checkpoint) -> Tokenizer:
    """A checkpoint's tokenizer, refused where its tokens do not stand for bytes: a model that
    writes text with them could not write all of it."""
    return read_byte_level(checkpoint.tokenizer_folder, checkpoint.config.architecture)


def _config(spec: LanguageModelSpec, source: Checkpoint | None, tokenizer: Tokenizer) -> GPT2Config:
    """The model's configuration, with as many rows as the tokenizer has tokens.

    A source's own tokenizer may have fewer tokens than its (padded) embedding has rows; they stay.
    """
    if spec.model is None:
        assert source is not None
        assert isinstance(source.config, GPT2Config)
        config = source.config
        if spec.training.sequence_length > config.n_positions:
            raise TrainingError(
                "sequence_too_long_for_source",
                field="training.sequence_length",
                context=config.n_positions,
            )
    else:
        config = spec.model
    rows: int | None = tokenizer.size
    if source is not None and spec.tokenizer.kind == "source":
        rows = source.config.vocabulary
        if rows is None or rows < tokenizer.size:
            raise TrainingError("vocabulary_too_small", vocabulary=rows, tokens=tokenizer.size)
    elif spec.tokenizer.kind == "checkpoint":
        rows = read_checkpoint(Path(spec.tokenizer.checkpoint)).config.vocabulary
    return config.model_copy(update={"vocab_size": rows})


def _prompts(dataset: Path) -> list[str]:
    """The first words of the first validation texts that have enough of them."""
    return list(_first_words(text for text, _offset in documents(dataset / "validation.jsonl")))


def _first_words(texts: Iterable[str]) -> Iterator[str]:
    found = 0
    for text in texts:
        words = text[:2000].split()
        # Chinese has no spaces: there, a handful of characters is a prompt.
        prompt = " ".join(words[:PROMPT_WORDS]) if len(words) >= PROMPT_WORDS else text.strip()[:12]
        if prompt:
            yield prompt[:200]
            found += 1
        if found == PROMPTS:
            return


def scratch_twin(spec: LanguageModelSpec, source: GPT2Config) -> LanguageModelSpec:
    """The same data, tokens, seed, steps and evaluation, but random weights.

    The tokenizer stays the source's where it was: losses per token compare only over the same
    tokens. LoRA goes, since low-rank updates of random weights train nothing of use.

    Args:
        spec: The transfer; has a source.
        source: The source's architecture, used where the transfer names none.

    Raises:
        ValueError: When the spec has no source.
    """
    if spec.source is None:
        raise ValueError("only a transfer has a scratch twin")
    tokenizer = spec.tokenizer
    if tokenizer.kind == "source":
        tokenizer = tokenizer.model_copy(
            update={"kind": "checkpoint", "checkpoint": spec.source.checkpoint}
        )
    return type(spec).model_validate(
        spec.model_copy(
            update={
                "source": None,
                "model": spec.model or source,
                "tokenizer": tokenizer,
                "training": spec.training.model_copy(update={"lora": None}),
            }
        ).model_dump()
    )


def estimate_run(spec: LanguageModelSpec, config: GPT2Config) -> Estimate:
    """At an assumed speed; a source's own tokenizer leaves the rows as they are."""
    rows = {"train": spec.tokenizer.vocabulary_size, "gpt2": PRESETS["gpt2"].vocab_size}
    if spec.model is not None and spec.tokenizer.kind in rows:
        config = config.model_copy(update={"vocab_size": rows[spec.tokenizer.kind]})
    return estimate(spec, config, assumed_speed(len(os.sched_getaffinity(0))))


METHOD = LoopMethod(
    name="causal_lm",
    family="self_supervised",
    title=_("Causal language modelling"),
    summary=_("Predict each token from those before it: GPT-2's own way to learn from text."),
    data=("text",),
    backbones=("gpt2", "gpt3"),
    settings=RunSpec,
    example={
        "data": {"path": "DATASET"},
        "tokenizer": {"kind": "train"},
        "model": PRESETS["nano"].model_dump(),
    },
    checkpoints=("source.checkpoint", "tokenizer.checkpoint"),
    load=LoadedText,
    twin=scratch_twin,
    estimate=estimate_run,
)
