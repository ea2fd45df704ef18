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

import math
import os
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.backbones.gpt2.config import PRESETS, GPT2Config
from training.data.packing import Blocks, batch, documents, load_blocks, sequential_batches
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import read_byte_level, tokenizer_of
from training.engine.phases import Phase, one_phase
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.estimate import Estimate, assumed_speed, estimate
from training.events import EventLog
from training.methods.contract import Batch, LoopMethod
from training.spec import RunSpec
from training.twin import scratch_twin
from training.weights.checkpoint import Checkpoint, read_checkpoint
from training.weights.plan import Plan
from training.weights.planner import make_plan

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
        config: The model, its vocabulary set by the tokenizer.
        source: The opened source, or None.
    """

    def __init__(
        self, spec: RunSpec, out: Path, events: EventLog, splits: Sequence[str] = SPLITS
    ) -> None:
        self.spec = spec
        dataset = Path(spec.data.path)
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        if self.source is not None and spec.model is None:
            METHOD.require_trained(self.source.config)
        self.tokenizer = _tokenizer(spec, dataset, self.source, out, events)
        self.config = _config(spec, self.source, self.tokenizer)
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
                dataset,
                split,
                self.tokenizer,
                spec.training.sequence_length,
                spec.training.packing,
                out / "cache",
                progress,
            )
        self.prompts = list(spec.evaluation.prompts) or _prompts(dataset)

    @property
    def width(self) -> int:
        return self.config.n_embd

    def needed_memory(self) -> int:
        return estimate(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        return TextTask(self, compute_dtype, fused, strategy, events)


class TextTask:
    """A GPT-2 on its blocks; see :class:`training.methods.contract.Task`."""

    counts: Final = "tokens"
    rates: Mapping[str, float] = {}

    def __init__(
        self, loaded: LoadedText, compute_dtype: str, fused: bool, strategy: Any, events: EventLog
    ) -> None:
        from training.backbones.registry import model_class
        from training.engine.generate import Generator

        self.loaded, self.spec, self.fused = loaded, loaded.spec, fused
        training = self.spec.training
        self.sample_every: int | None = self.spec.evaluation.sample_every
        events.emit("phase", name="building", fraction=None, detail="")
        self.plan = self._plan()
        with strategy.scope():
            self.model = model_class(loaded.config.architecture)(
                loaded.config,
                compute_dtype=compute_dtype,
                dropout=training.dropout,
                lora=training.lora,
                frozen=self._frozen(),
            )
        self.weights_event = self._start_weights(events)
        trained = self.model.trainable_names()
        total = loaded.config.parameter_count()
        count = sum(math.prod(self.model.named_variables[name].shape) for name in trained)
        self.parameters = {"total": total, "trainable": count}
        self.phases = one_phase(trained)
        self.generator = Generator(self.model, loaded.tokenizer)

    def _plan(self) -> Plan | None:
        """Which weights come from the source; None: there is none."""
        loaded, spec = self.loaded, self.spec
        if loaded.source is None or spec.source is None:
            return None
        return make_plan(
            loaded.config,
            loaded.source.config,
            {name: info.shape for name, info in loaded.source.infos.items()},
            same_tokenizer=_same_tokenizer(spec, loaded.source, loaded.tokenizer),
            reinitialise=spec.source.reinitialise,
        )

    def _frozen(self) -> frozenset[str]:
        """What stays as the source had it; a tensor with values that are new is trained."""
        rows = self.plan.rows if self.plan is not None else []
        whole = {row.target for row in rows if row.copied == row.parameters}
        return self.loaded.frozen & whole

    def _start_weights(self, events: EventLog) -> dict[str, Any] | None:
        """Set every variable from the seed, or from the source by a plan; prove the copy."""
        from training.backbones.gpt2.lora import adapted_matrices
        from training.backbones.lora import initial_factors
        from training.weights.copy import apply_plan, verify
        from training.weights.initial import initial_weights

        loaded, spec, plan = self.loaded, self.spec, self.plan
        initial = initial_weights(loaded.config, spec.seed)
        factors: dict[str, np.ndarray] = {}
        if spec.training.lora:
            matrices = adapted_matrices(loaded.config, spec.training.lora)
            factors = initial_factors(matrices, spec.training.lora.rank, spec.seed)
        if loaded.source is None or plan is None:
            self.model.load_named(_Joined(initial, factors))
            return None
        events.emit("phase", name="copying", fraction=None, detail="")
        source = loaded.source
        tensors = apply_plan(plan, source.tensors(), initial, np.float32)
        self.model.load_named(_Joined(tensors, factors))
        proof = verify(plan, source.tensors(), _Variables(self.model))
        proof.require_exact()
        return plan.counts() | {"verified": proof.exact}

    # --- training ----------------------------------------------------------------------------

    def batch(self, index: int) -> Batch:
        return batch(self.loaded.blocks["train"], self.spec.seed, index, self._batch_size)

    def epoch(self, sequences: int) -> tuple[int, int]:
        return divmod(sequences, self.loaded.blocks["train"].count)

    @property
    def _batch_size(self) -> int:
        return self.spec.training.batch_size

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, real tokens, and gradients of the sum; to be traced.

        Args:
            parts: inputs int32 [B, T], targets int32 [B, T], mask float32 [B, T].
            seed: int32 [2], for dropout.
            variables: What to differentiate by.
            phase: Which part of the run; there is only one.
        """
        import tensorflow as tf

        from training.engine.losses import cross_entropy_sum, cross_entropy_sum_fused

        inputs, targets, mask = parts
        targets, mask = tf.reshape(targets, [-1]), tf.reshape(mask, [-1])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = self.model.head(self.model.hidden(inputs, training=True, seed=seed))
        sum_of = cross_entropy_sum_fused if self.fused else cross_entropy_sum
        loss, upstream = sum_of(tf.stop_gradient(logits), targets, mask)
        gradients = tape.gradient(logits, variables, output_gradients=upstream)
        return loss, tf.reduce_sum(mask), gradients

    # --- evaluation --------------------------------------------------------------------------

    def evaluation_batches(self, split: str, limit: int) -> Iterator[Batch]:
        return sequential_batches(self.loaded.blocks[split], self._batch_size, limit)

    def scores(self, parts: Any) -> dict[str, Any]:
        import tensorflow as tf

        from training.engine.losses import token_scores

        inputs, targets, mask = parts
        logits = self.model.head(self.model.hidden(inputs))
        return token_scores(logits, tf.reshape(targets, [-1]), tf.reshape(mask, [-1]))

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Mean loss in nats per real token, perplexity, accuracy, tokens."""
        tokens = sums["tokens"]
        loss = sums["loss"] / tokens
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {
            "loss": loss,
            "perplexity": perplexity,
            "accuracy": sums["correct"] / tokens,
            "tokens": int(tokens),
        }

    def samples(self) -> Iterator[dict[str, str]]:
        """Each prompt continued; the seed follows from the run's and the prompt's place."""
        from training.command_specs import GenerateSpec

        for place, prompt in enumerate(self.loaded.prompts):
            request = GenerateSpec(
                checkpoint="",
                prompt=prompt,
                max_tokens=self.spec.evaluation.sample_tokens,
                seed=zlib.crc32(f"{self.spec.seed}:{place}".encode()) >> 1,
            )
            yield {"prompt": prompt, "text": self.generator.complete(request)}

    # --- the result --------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        return {}

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/`` (LoRA merged, its factors in ``adapter/``)."""
        from training.backbones.gpt2.lora import adapted_matrices, modules
        from training.backbones.lora import merge, write_adapter
        from training.weights.checkpoint import write_checkpoint

        lora, source = self.spec.training.lora, self.loaded.source
        dataset = Path(self.spec.data.path)
        about = {
            "method": METHOD.name,
            "parents": [source.weights_sha256] if source else [],
            "data": {"sha256": self.loaded.blocks["train"].sha256, "name": dataset.name},
            **about,
        }
        config, tokenizer = self.loaded.config, self.loaded.tokenizer
        rate = self.spec.training.dropout
        dropout = {"embd_pdrop": rate, "attn_pdrop": rate, "resid_pdrop": rate} if rate else None
        if lora is None:
            trained_or_not = _Joined(best, _Variables(self.model, without=best))
            return write_checkpoint(
                folder, config, trained_or_not, tokenizer, about, dropout=dropout
            )
        matrices = adapted_matrices(config, lora)
        merged = merge(_Variables(self.model), best, config, matrices, lora.alpha / lora.rank)
        return write_checkpoint(
            folder,
            config,
            merged,
            tokenizer,
            about,
            dropout=dropout,
            extras=lambda temporary: write_adapter(
                temporary / "adapter",
                best,
                matrices,
                lora,
                modules=modules(lora),
                task="CAUSAL_LM",
            ),
        )


class _Joined(Mapping[str, np.ndarray]):
    """Two mappings seen as one; nothing is looked up before it is asked for."""

    def __init__(self, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> None:
        self._parts = (first, second)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._parts[name not in self._parts[0]][name]

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            yield from part

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)


class _Variables(Mapping[str, np.ndarray]):
    """A model's variables (without some), each copied out when it is looked up."""

    def __init__(self, model: Any, without: Container[str] = ()) -> None:
        self._variables = {
            name: one for name, one in model.named_variables.items() if name not in without
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return np.asarray(self._variables[name].value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _tokenizer(
    spec: RunSpec, dataset: Path, source: Checkpoint | None, out: Path, events: EventLog
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


def _config(spec: RunSpec, source: Checkpoint | None, tokenizer: Tokenizer) -> GPT2Config:
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


def _same_tokenizer(spec: RunSpec, source: Checkpoint, tokenizer: Tokenizer) -> bool:
    if spec.tokenizer.kind == "source":
        return True
    return tokenizer_of(source).sha256 == tokenizer.sha256


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


def _estimate(spec: RunSpec, config: GPT2Config) -> Estimate:
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
    estimate=_estimate,
)
