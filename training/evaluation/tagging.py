"""How well words are tagged: by word, by tag, and by entity where tags are those of entities.

    accuracy  = words with the right tag / words
    macro-F1  = mean of F1 over the tags that the scored words have
    precision = entities found that are right / entities found
    recall    = entities found that are right / entities there are        F1: their harmonic mean

An entity is right when its type, its first and its last word are [0]. Entities are read off the
tags leniently, as ``conlleval`` and the default of ``seqeval`` do (:mod:`training.data.entities`).

- [0] Tjong Kim Sang and De Meulder, 2003, "Introduction to the CoNLL-2003 Shared Task",
  https://aclanthology.org/W03-0419

Details people get wrong: words of a sentence are not independent, so that an interval resamples
sentences (Efron, 1979) and would be too narrow by words; accuracy by word says little where most
words are outside of every entity; F1 over all entities is of their sums, no mean over types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.entities import Entity, entities
from training.evaluation.classification import (
    INTERVAL,
    RESAMPLES,
    Labels,
    Probabilities,
    losses,
)

#: Sentences that a report shows, tags of its table of confusion, and pairs of its list of them.
SHOWN = 40
MOST_TAGS = 20
MOST_PAIRS = 20
#: Resamples taken at a time.
RESAMPLED_AT_ONCE = 100

Found = list[list[Entity]]


@dataclass(frozen=True)
class Sentences:
    """The sentences of a split, as far as a network sees them.

    Attributes:
        ids: Of each, its place in the upload.
        words: Of each.
        tags: Of each word, int32 [words] of each sentence; none is empty.
    """

    ids: list[int]
    words: list[list[str]]
    tags: list[npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def labels(self) -> Labels:
        """The tags of all words, one sentence after the other."""
        return np.concatenate(self.tags).astype(np.int64)

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """Which sentence each word is of."""
        return np.repeat(np.arange(len(self)), [len(one) for one in self.words])

    def parted(self, values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Values of all words by sentence."""
        return np.split(values, np.cumsum([len(one) for one in self.words])[:-1])


def tagging_scores(
    probabilities: Probabilities,
    sentences: Sentences,
    names: Sequence[str],
    scheme: str | None,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that a report says about tags.

    Args:
        probabilities: [words, tags], rows sum to 1.
        sentences: What is scored.
        names: Of the tags.
        scheme: Of entities; None: tags are not those of entities.
        seed: Of the resampling.

    Returns:
        ``accuracy``, ``macro_f1``, ``loss`` (nats a word), ``words``, ``sentences``; ``tags``
        ``[{name, precision, recall, f1, words}]`` of those that are there or are predicted;
        ``entities`` ``{precision, recall, f1, entities, types: [{name, precision, recall, f1,
        entities}]}`` or None; ``intervals`` ``{accuracy, macro_f1, entity_f1 if there are
        entities: [low, high]}``, 95 %, by the percentile bootstrap over sentences.

    Raises:
        ValueError: No sentences.
    """
    if not len(sentences):
        raise ValueError("no sentences to score")
    labels, predicted = sentences.labels, probabilities.argmax(1)
    count = len(names)
    right = np.bincount(labels[labels == predicted], minlength=count)
    there = np.bincount(labels, minlength=count)
    said = np.bincount(predicted, minlength=count)
    f1 = 2 * right / np.maximum(there + said, 1)
    found = (
        (_entities(sentences, labels, names), _entities(sentences, predicted, names))
        if scheme is not None
        else None
    )
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1[there > 0].mean()),
        "loss": float(losses(probabilities, labels).mean()),
        "words": len(labels),
        "sentences": len(sentences),
        "tags": [
            {
                "name": names[tag],
                **_rates(int(right[tag]), int(said[tag]), int(there[tag])),
                "words": int(there[tag]),
            }
            for tag in np.flatnonzero(there + said).tolist()
        ],
        "entities": entity_scores(*found) if found else None,
        "intervals": _intervals(sentences, predicted, count, found, seed),
    }


def entity_scores(true: Found, predicted: Found) -> dict[str, Any]:
    """Precision, recall and F1 over all entities, and of each type.

    Args:
        true: The entities of each sentence.
        predicted: Those that were found.

    Returns:
        ``precision``, ``recall``, ``f1``, ``entities`` (that there are), ``types``: the same of
        each, by name; 0 where there is nothing to divide by.
    """
    right = Counter(_types(map(_both, true, predicted)))
    there, said = Counter(_types(true)), Counter(_types(predicted))
    return {
        **_rates(right.total(), said.total(), there.total()),
        "entities": there.total(),
        "types": [
            {"name": name, **_rates(right[name], said[name], there[name]), "entities": there[name]}
            for name in sorted(there | said)
        ],
    }


def _both(true: list[Entity], predicted: list[Entity]) -> list[Entity]:
    return list(set(true) & set(predicted))


def _types(found: Iterable[list[Entity]]) -> Iterable[str]:
    return (type for sentence in found for type, _first, _last in sentence)


def _entities(sentences: Sentences, tags: Labels, names: Sequence[str]) -> Found:
    return [entities([names[tag] for tag in one]) for one in sentences.parted(tags)]


def _rates(right: int, said: int, there: int) -> dict[str, float]:
    return {
        "precision": right / said if said else 0.0,
        "recall": right / there if there else 0.0,
        "f1": 2 * right / (said + there) if said + there else 0.0,
    }


def _intervals(
    sentences: Sentences,
    predicted: Labels,
    count: int,
    found: tuple[Found, Found] | None,
    seed: int,
) -> dict[str, list[float]]:
    """By resampling the sentences: how often each is drawn weighs what was counted in it."""
    from scipy.sparse import csr_array

    labels, owners, total = sentences.labels, sentences.owners, len(sentences)

    def counted(tags: Labels, those: npt.NDArray[np.bool_]) -> Any:
        ones = np.ones(int(those.sum()))
        return csr_array((ones, (owners[those], tags[those])), (total, count)).T.tocsr()

    everywhere = np.ones(len(labels), bool)
    right, there, said = (
        counted(labels, labels == predicted),
        counted(labels, everywhere),
        counted(predicted, everywhere),
    )
    words = np.array([len(one) for one in sentences.words])
    entity = None
    if found is not None:
        entity = np.array(
            [[len(_both(a, b)), len(a) + len(b)] for a, b in zip(*found, strict=True)], np.float64
        )
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {"accuracy": [], "macro_f1": []}
    if entity is not None:
        drawn["entity_f1"] = []
    for _ in range(RESAMPLES // RESAMPLED_AT_ONCE):
        times = random.multinomial(total, np.full(total, 1 / total), RESAMPLED_AT_ONCE).T
        rights, theres, saids = right @ times, there @ times, said @ times
        drawn["accuracy"] += (rights.sum(0) / (words @ times)).tolist()
        f1 = 2 * rights / np.maximum(theres + saids, 1)
        drawn["macro_f1"] += ((f1 * (theres > 0)).sum(0) / (theres > 0).sum(0)).tolist()
        if entity is not None:
            hits, both = entity.T @ times
            drawn["entity_f1"] += (2 * hits / np.maximum(both, 1)).tolist()
    return {name: np.percentile(values, INTERVAL).tolist() for name, values in drawn.items()}


def tagging_report(
    split: str,
    train: Sentences,
    scored: Sentences,
    names: Sequence[str],
    scheme: str | None,
    predicted: Mapping[str, Probabilities],
    seed: int,
) -> dict[str, Any]:
    """The fields of a report on tags.

    Args:
        split: That is scored.
        train: What was learned from.
        scored: That split's sentences.
        names: Of the tags.
        scheme: Of entities; None: tags are not those of entities.
        predicted: Probabilities [words, tags] of ``model`` and of what stands beside it.
        seed: Of the resampling.

    Returns:
        ``tags``, ``scheme``, ``examples`` and ``words`` (learned from), ``split``, ``scores`` of
        each; ``measure``: ``entity_f1`` where there are entities, else ``accuracy``;
        ``beaten_by``: what is at least as good by it, the best first; ``confusion`` ``{tags,
        words}``: of the :data:`MOST_TAGS` commonest [true][predicted]; ``confused`` ``[{tag,
        predicted, words, share}]``, the most frequent mistakes, the share being that of the tag's
        words; ``predictions``: the sentences with the highest loss, those with a mistake first,
        ``[{id, loss, wrong, words, tags, predicted}]``.
    """
    scores = {
        name: tagging_scores(one, scored, names, scheme, seed) for name, one in predicted.items()
    }
    measure = "accuracy" if scheme is None else "entity_f1"
    mine = measured(scores["model"], measure)
    others = {name: measured(one, measure) for name, one in scores.items() if name != "model"}
    return {
        "tags": list(names),
        "scheme": scheme,
        "examples": len(train),
        "words": len(train.labels),
        "split": split,
        "scores": scores,
        "measure": measure,
        "beaten_by": sorted(
            (name for name, value in others.items() if value >= mine),
            key=lambda name: -others[name],
        ),
        **_confused(scored.labels, predicted["model"].argmax(1), names),
        "predictions": _worst(scored, predicted["model"], names),
    }


def measured(scores: Mapping[str, Any], measure: str) -> float:
    """What one side is judged by: ``accuracy``, or ``entity_f1``."""
    return float(scores["accuracy"] if measure == "accuracy" else scores["entities"]["f1"])


def _confused(labels: Labels, predicted: Labels, names: Sequence[str]) -> dict[str, Any]:
    count = len(names)
    sizes = np.bincount(labels, minlength=count)
    pairs, times = np.unique(labels * count + predicted, return_counts=True)
    of = dict(zip(pairs.tolist(), times.tolist(), strict=True))
    shown = sorted(range(count), key=lambda tag: -sizes[tag])[:MOST_TAGS]
    shown = sorted(tag for tag in shown if sizes[tag])
    wrong = sorted(
        (pair for pair in of if pair // count != pair % count), key=lambda pair: -of[pair]
    )
    return {
        "confusion": {
            "tags": [names[tag] for tag in shown],
            "words": [[of.get(true * count + said, 0) for said in shown] for true in shown],
        },
        "confused": [
            {
                "tag": names[pair // count],
                "predicted": names[pair % count],
                "words": of[pair],
                "share": float(of[pair] / sizes[pair // count]),
            }
            for pair in wrong[:MOST_PAIRS]
        ],
    }


def _worst(
    scored: Sentences, probabilities: Probabilities, names: Sequence[str]
) -> list[dict[str, Any]]:
    labels, predicted = scored.labels, probabilities.argmax(1)
    loss = np.bincount(scored.owners, losses(probabilities, labels))
    wrong = np.bincount(scored.owners, predicted != labels)
    said = scored.parted(predicted)
    return [
        {
            "id": scored.ids[place],
            "loss": float(loss[place]),
            "wrong": int(wrong[place]),
            "words": scored.words[place],
            "tags": [names[tag] for tag in scored.tags[place]],
            "predicted": [names[tag] for tag in said[place]],
        }
        for place in np.lexsort((-loss, wrong == 0))[:SHOWN].tolist()
    ]
