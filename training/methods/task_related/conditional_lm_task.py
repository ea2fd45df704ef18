"""A GPT-2 on texts of classes: what the loop trains for :mod:`.conditional_lm`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.backbones.gpt2.config import GPT2Config
from training.command_specs import GenerateSpec
from training.control.blocks import Places
from training.control.likelihood import Losses, Reader, by_label, perplexity, posterior
from training.control.report import as_classifier, balanced, changed, judged
from training.data.labelled import Labelled
from training.data.order import rows_of_batch, spread_batches
from training.evaluation.baselines import majority
from training.events import EventLog
from training.methods.contract import Batch
from training.methods.self_supervised.causal_lm_task import TextTask
from training.methods.task_related.conditional_lm_spec import (
    MOST_SHOWN,
    MOST_WRITTEN,
    ConditionalLMSpec,
)
from training.report import describe_dataset
from training.weights.initial import generator

if TYPE_CHECKING:
    from training.methods.task_related.conditional_lm import LoadedLabelledText

#: Texts that the report reads under every label, and how often a text is read in all.
MOST_READ, MOST_READINGS = 400, 6000
#: Held-out texts that the judge is tried on.
MOST_JUDGED = 5000


class ConditionalTextTask(TextTask):
    """See :class:`training.methods.contract.Task`."""

    loaded: LoadedLabelledText
    spec: ConditionalLMSpec

    def token_rows(self) -> list[list[int]] | None:
        """A label's row starts as the mean of its words' rows; all others are what they were."""
        loaded = self.loaded
        new = loaded.tokenizer.size - loaded.plain.size
        if loaded.source is None or not new or not self.same_tokenizer:
            return None
        known = loaded.source.config.vocabulary or 0
        config = loaded.config
        assert isinstance(config, GPT2Config)
        rows = [[row] if row < known else [] for row in range(config.vocab_size)]
        for name, number in loaded.tokenizer.control.items():
            if number >= loaded.plain.size:
                rows[number] = loaded.plain.encode(f" {name}")
        return rows

    # --- labels ------------------------------------------------------------------------------

    @property
    def given(self) -> bool:
        """Whether the model is told labels."""
        return self.spec.control.given

    @property
    def knows_none(self) -> bool:
        """Whether it has learned texts without a label."""
        return not self.given or self.spec.control.unlabelled_share > 0

    @property
    def end_of_text(self) -> int:
        return self.loaded.tokenizer.end_of_text

    @cached_property
    def heads(self) -> np.ndarray:
        """The token of each of the data's classes, int32 [classes]."""
        control = self.loaded.tokenizer.control
        names = self.loaded.names
        found = [control[name] if self.given else self.end_of_text for name in names]
        return np.array(found, np.int32)

    def _unlabelled(self, count: int) -> np.ndarray:
        return np.full(count, self.end_of_text, np.int32)

    # --- training ----------------------------------------------------------------------------

    def batch(self, index: int) -> Batch:
        blocks = self.loaded.labelled["train"]
        rows = rows_of_batch(self.spec.seed, index, self._batch_size, blocks.count)
        heads = self.heads[blocks.labels[rows]]
        share = self.spec.control.unlabelled_share
        drawn = generator(self.spec.seed, f"unlabelled.{index}").random(len(rows))
        return blocks.take(rows, np.where(drawn < share, self.end_of_text, heads).astype(np.int32))

    # --- evaluation --------------------------------------------------------------------------

    def evaluation_batches(self, split: str, limit: int) -> Iterator[Batch]:
        """Inputs, the head of a wrong label, targets, mask."""
        if split not in self.loaded.labelled:
            return
        blocks = self.loaded.labelled[split]
        wrong = self._wrong_labels(split)
        for rows, real in spread_batches(blocks.count, self._batch_size, limit):
            inputs, targets, mask = blocks.take(rows, self.heads[blocks.labels[rows]])
            mask[real:] = 0
            yield inputs, self.heads[wrong[rows]], targets, mask

    def _wrong_labels(self, split: str) -> Places:
        """For each sequence another class than its text's, the same for all of a text's."""
        blocks, classes = self.loaded.labelled[split], len(self.loaded.names)
        texts = int(blocks.texts[-1]) + 1
        further = generator(self.spec.seed, f"wrong.{split}").integers(1, classes, texts)
        return np.asarray((blocks.labels + further[blocks.texts]) % classes)

    def scores(self, parts: Any) -> dict[str, Any]:
        import tensorflow as tf

        inputs, wrong, targets, mask = parts
        found = super().scores((inputs, targets, mask))
        if not self.given:
            return found

        def loss_with(heads: Any) -> Any:
            other = tf.concat([heads[:, None], inputs[:, 1:]], 1)
            return super(ConditionalTextTask, self).scores((other, targets, mask))["loss"]

        found["wrong_loss"] = loss_with(wrong)
        if self.knows_none:
            found["unlabelled_loss"] = loss_with(tf.fill(tf.shape(wrong), self.end_of_text))
        return found

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """In nats per real token: ``loss`` with the true label, ``wrong_loss``,
        ``unlabelled_loss``; perplexity and accuracy with the true one; tokens."""
        found = super().summarise(sums)
        for name in ("wrong_loss", "unlabelled_loss"):
            if name in sums:
                found[name] = sums[name] / sums["tokens"]
        return found

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        others = {
            f"validation_{name}": scores[name]
            for name in ("wrong_loss", "unlabelled_loss")
            if name in scores
        }
        return {**super().look(scores), **others}

    # --- what it writes ----------------------------------------------------------------------

    def _write_texts(
        self, classes: list[int | None], prompts: list[str], seeds: list[int]
    ) -> list[str]:
        """A text of each class (None: without a label) after its prompt."""
        names, tokenizer = self.loaded.names, self.loaded.tokenizer
        starts = [
            self.generator.start(prompt, names[one] if one is not None and self.given else "")
            for one, prompt in zip(classes, prompts, strict=True)
        ]
        request = GenerateSpec(checkpoint="", max_tokens=self.spec.evaluation.sample_tokens)
        found: dict[int, str] = {}
        for length in {len(start) for start in starts}:
            places = [place for place, start in enumerate(starts) if len(start) == length]
            texts = self.generator.together(
                [starts[place] for place in places], [seeds[place] for place in places], request
            )
            found |= {
                place: tokenizer.decode(ids) for place, ids in zip(places, texts, strict=True)
            }
        return [found[place] for place in range(len(starts))]

    def samples(self) -> Iterator[dict[str, Any]]:
        """A row of texts for each class, and one without a label; the same seeds at every look."""
        shown: list[int | None] = []
        if self.given:
            shown += range(min(MOST_SHOWN, len(self.loaded.names)))
        if self.knows_none:
            shown.append(None)
        prompts = self.loaded.prompts
        count = max(self.spec.evaluation.samples, len(prompts))
        cells = [(one, place) for one in shown for place in range(count)]
        seeds = [zlib.crc32(f"{self.spec.seed}:{place}".encode()) >> 1 for _one, place in cells]
        chosen = [prompts[place % len(prompts)] for _one, place in cells]
        texts = self._write_texts([one for one, _place in cells], chosen, seeds)
        for (one, place), prompt, text in zip(cells, chosen, texts, strict=True):
            label = "" if one is None else self.loaded.names[one]
            yield {"label": label, "place": place, "prompt": prompt, "text": text}

    # --- the result --------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """What the labels gave: on held-out texts, and in those that it writes."""
        loaded, seed = self.loaded, self.spec.seed
        split = "test" if "test" in loaded.splits else "validation"
        about = {"data": describe_dataset(Path(self.spec.data.path))}
        blocks, held_out = loaded.labelled[split], loaded.splits[split]
        texts = self._read_texts(held_out)
        labels = held_out.labels[texts]
        heads = [*(self.heads if self.given else []), *([self.end_of_text] * self.knows_none)]

        def told(share: float) -> None:
            events.emit("phase", name="evaluating", fraction=round(share, 3), detail=split)

        reader = Reader(self.model, self._batch_size)
        losses, tokens = reader.text_losses(blocks, texts, [int(head) for head in heads], told)
        written: dict[str, Any] = {
            "split": split,
            "given": self.given,
            "examples": len(texts),
            "tokens": int(tokens.sum()),
            "classes": loaded.names,
        }
        if not self.given:
            unlabelled = {"unlabelled": perplexity(losses[:, 0], tokens, seed)}
            return {**about, "written": {**written, "perplexity": unlabelled}}
        classes = len(loaded.names)
        none = losses[:, classes] if self.knows_none else None
        written |= by_label(losses[:, :classes], none, tokens, labels, seed)
        events.emit("phase", name="evaluating", fraction=None, detail="judge")
        written |= self._judged(held_out, texts, losses[:, :classes])
        written["changed"] = changed(written, classes)
        return {**about, "written": written}

    def _read_texts(self, held_out: Labelled) -> Places:
        """Texts that are read under every label, spread evenly over the split."""
        most = min(MOST_READ, max(1, MOST_READINGS // (len(self.loaded.names) + 1)))
        taken = min(len(held_out), most)
        return np.arange(taken, dtype=np.int64) * len(held_out) // taken

    def _judged(self, held_out: Labelled, texts: Places, losses: Losses) -> dict[str, Any]:
        """The model as a classifier, and what it writes before a classifier of real texts."""
        loaded, seed, names = self.loaded, self.spec.seed, self.loaded.names
        train, every = loaded.splits["train"], held_out.texts
        count = min(self.spec.evaluation.judged, max(2, MOST_WRITTEN // len(names)))
        wanted = np.repeat(np.arange(len(names), dtype=np.int64), count)
        sides = {"labelled": (self._written("judged", wanted, labelled=True), wanted)}
        if self.knows_none:
            sides["unlabelled"] = (self._written("judged", wanted, labelled=False), wanted)
        alike = balanced(held_out.labels, count, len(names))
        sides["real"] = (self._cut([every[one] for one in alike]), held_out.labels[alike])
        # The very texts that the model was read with come first; then others, for the judge alone.
        others = np.setdiff1d(np.arange(len(held_out)), texts)
        more = others[: max(0, MOST_JUDGED - len(texts))]
        tried = np.concatenate([texts, more])
        found, words = judged(
            train.texts,
            train.labels,
            [every[one] for one in tried],
            held_out.labels[tried],
            sides,
            names,
            seed,
        )
        shares = np.bincount(train.labels, minlength=len(names)) / len(train)
        bayes = as_classifier(
            posterior(losses, shares),
            words[: len(texts)],
            majority(train.labels, len(texts), len(names)),
            held_out.labels[texts],
            names,
            seed,
        )
        return {**found, "bayes": bayes}

    def _written(self, name: str, wanted: Places, *, labelled: bool) -> list[str]:
        seeds = [
            zlib.crc32(f"{self.spec.seed}:{name}:{n}".encode()) >> 1 for n in range(len(wanted))
        ]
        classes: list[int | None] = [int(one) if labelled else None for one in wanted]
        return self._write_texts(classes, [""] * len(wanted), seeds)

    def _cut(self, texts: list[str]) -> list[str]:
        """Real texts, no longer than written ones."""
        tokenizer, most = self.loaded.tokenizer, self.spec.evaluation.sample_tokens
        most = min(most, self.loaded.config.n_positions - 1)
        return [tokenizer.decode(ids[:most]) for ids in tokenizer.encode_batch(texts)]
