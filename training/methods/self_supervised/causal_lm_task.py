"""A GPT-2 on its blocks: what the loop trains for :mod:`.causal_lm`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.packing import batch, sequential_batches
from training.data.tokenizer import Tokenizer
from training.data.tokenizers import tokenizer_of
from training.engine.phases import Phase, one_phase
from training.events import EventLog
from training.methods.contract import Batch, Task
from training.spec import LanguageModelSpec
from training.weights.carrying import plan_from, start_weights
from training.weights.checkpoint import Checkpoint
from training.weights.plan import Plan

if TYPE_CHECKING:
    from training.methods.self_supervised.causal_lm import LoadedText


class TextTask(Task):
    """A GPT-2 on its blocks; see :class:`training.methods.contract.Task`."""

    counts = "tokens"

    def __init__(
        self, loaded: LoadedText, compute_dtype: str, fused: bool, strategy: Any, events: EventLog
    ) -> None:
        from training.backbones.registry import model_class
        from training.engine.generate import Generator

        self.loaded, self.spec, self.fused = loaded, loaded.spec, fused
        training = self.spec.training
        self.sample_every = self.spec.evaluation.sample_every
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
        rows = self.token_rows()
        return plan_from(
            loaded.source,
            loaded.config,
            spec.source.reinitialise,
            same_tokenizer=rows is None and self.same_tokenizer,
            token_rows=rows,
        )

    @property
    def same_tokenizer(self) -> bool:
        """Whether the model reads text as its source does."""
        return same_tokenizer(self.spec, self.loaded.source, self.loaded.plain)

    def token_rows(self) -> list[list[int]] | None:
        """How rows of the embedding follow from the source's; None: each is what it was, or all
        are new."""
        return None

    def _frozen(self) -> frozenset[str]:
        """What stays as the source had it; a tensor with values that are new is trained."""
        rows = self.plan.rows if self.plan is not None else []
        whole = {row.target for row in rows if row.copied == row.parameters}
        return self.loaded.frozen & whole

    def _start_weights(self, events: EventLog) -> dict[str, Any] | None:
        """Set every variable; LoRA's factors are new, whatever the source."""
        from training.backbones.gpt2.lora import adapted_matrices
        from training.backbones.lora import initial_factors
        from training.weights.initial import initial_weights

        loaded, spec = self.loaded, self.spec
        factors: dict[str, np.ndarray] = {}
        if spec.training.lora:
            matrices = adapted_matrices(loaded.config, spec.training.lora)
            factors = initial_factors(matrices, spec.training.lora.rank, spec.seed)
        return start_weights(
            self.plan,
            loaded.source,
            initial_weights(loaded.config, spec.seed),
            events,
            load=lambda tensors: self.model.load_named(_Joined(tensors, factors)),
            named=lambda: _Variables(self.model),
        )

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
            "method": self.spec.method,
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


def same_tokenizer(
    spec: LanguageModelSpec, source: Checkpoint | None, tokenizer: Tokenizer
) -> bool:
    """Whether a row of the source's embedding means the same token to the new model."""
    if spec.tokenizer.kind == "source":
        return True
    return source is not None and tokenizer_of(source).sha256 == tokenizer.sha256
