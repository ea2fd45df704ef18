"""Token classification: a network with a head that gives each word of a sentence a tag.

    loss = −(1/W) Σ log p(tag_w | sentence)        W: the words of the batch, whatever sentence
           [ + α/2 Σ ‖w − w₀‖² over the backbone's kernels ]

A word is cut into pieces; its tag is read off the last block's state at its first piece [0], and
other pieces count in no loss and no score (label −100 in ``transformers``). The policies are those
of :mod:`.classification`; both are :mod:`training.fine_tuning`.

- [0] Devlin et al., 2019, "BERT", section 5.3, https://arxiv.org/abs/1810.04805

Details people get wrong: a mean over sentences of means over words weighs the words of short
sentences more; a head at every piece trains long words several times; RoBERTa's pieces differ with
the space before a word, so that every word, the first too, is cut as after one; a word beyond the
limit has no tag, and must be told of and not counted as right or wrong; a text classifier's head of
the same size and even the same names is another head.

``docs/methods/token_classification.md`` has the commands and the figures that this rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.backbones.contract import BackboneConfig
from training.data.inputs import WordInputs
from training.data.labelled import Labelled, tag_names, tagged_split
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.events import EventLog
from training.fine_tuning.loaded import SPLITS, LoadedExamples
from training.fine_tuning.method import fine_tuning_method
from training.methods.task_related.token_classification_spec import (
    TokenClassificationSpec,
    tags_of,
)


class LoadedTags(LoadedExamples):
    """Sentences whose words have tags; see :class:`training.fine_tuning.loaded.LoadedExamples`.

    Attributes:
        names: The tags, in the source's order where they are the source's.
        scheme: Of entities, as ``dataset.json`` has it; None: tags are not those of entities.
        seen: Of each split, which words of each sentence have a piece within the limit, bool
            [words] of each. A sentence without any is in no split.
        unseen: Of each split ``{cut, sentences, pieceless}``: words cut off by the limit, in so
            many sentences, and words that the tokenizer makes nothing of.
    """

    HEAD = "token_classification"
    TEXTS = WordInputs
    inputs: WordInputs

    def __init__(
        self,
        spec: TokenClassificationSpec,
        out: Path,
        events: EventLog,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        super().__init__(spec, out, events, splits)
        self.seen: dict[str, list[np.ndarray]] = {}
        self.unseen: dict[str, dict[str, int]] = {}
        for split, examples in self.splits.items():
            self._look(split, examples)
        train = np.concatenate(self.seen_labels("train"))
        if train.min() == train.max():
            raise TrainingError(
                "tag_one_in_training", field="examples", tag=self.names[int(train[0])]
            )

    def _look(self, split: str, examples: Labelled) -> None:
        """Find which words of a split are seen, and leave out the sentences without any."""
        most = self.shown["most_tokens"]
        seen, cut, sentences, pieceless = [], 0, 0, 0
        for row in examples.rows:
            starts = self.inputs.starts(row)
            here = np.array([start is not None for start in starts], bool)
            lost = self.inputs.cut_off(row, starts)
            seen.append(here)
            cut, sentences = cut + lost, sentences + bool(lost)
            pieceless += int((~here).sum()) - lost
        kept = np.flatnonzero([here.any() for here in seen])
        if not len(kept):
            raise TrainingError(
                "words_all_cut", field="inputs.most_tokens", split=split, tokens=most
            )
        self.splits[split] = examples.chosen(kept)
        self.seen[split] = [seen[place] for place in kept]
        self.unseen[split] = {"cut": cut, "sentences": sentences, "pieceless": pieceless}

    def seen_labels(self, split: str) -> list[np.ndarray]:
        """The tags of the words that are seen, int32 [words] of each sentence."""
        labels = self.splits[split].labels
        return [one[here] for one, here in zip(labels, self.seen[split], strict=True)]

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        from training.methods.task_related.token_classification_task import TokenTask

        return TokenTask(self, compute_dtype, strategy, events)

    def require_trained(self, config: BackboneConfig) -> None:
        METHOD.require_trained(config)

    def head(self, about: dict[str, Any]) -> tuple[list[str], bool]:
        told = tag_names(about)
        self.scheme: str | None = about["labels"]["scheme"]
        known = tags_of(self.source.config) if self.source else []
        keeps = sorted(known) == sorted(told)
        return (known if keeps else told), keeps

    def read_split(
        self, dataset: Path, split: str, about: dict[str, Any], most: int | None
    ) -> Labelled | None:
        examples = tagged_split(dataset, split, about, self.names)
        if examples is None or most is None or most >= len(examples):
            return examples
        chosen = np.random.default_rng(self.spec.seed).permutation(len(examples))[:most]
        return examples.chosen(np.sort(chosen))


METHOD: Final = fine_tuning_method(
    name="token_classification",
    title=_("Token classification"),
    summary=_(
        "Train a network with a head that gives each word of a sentence a tag, such as a part of "
        "speech or a named entity: from a source that is adapted (fine-tuning)."
    ),
    data=("tagged_text",),
    settings=TokenClassificationSpec,
    load=LoadedTags,
    kinds=("text",),
)
