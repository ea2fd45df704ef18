"""What tags of words must beat: one tag for all, each word's commonest, its form and neighbours.

- ``majority``: every word gets the training words' shares of the tags.
- ``lexicon``: a word gets the shares that it has in training; one that is not there, those of all.
- ``forms``: logistic regression on a word, its ends and beginning, its shape, and the two words
  around it (Ratnaparkhi, 1996, "A Maximum Entropy Model for Part-Of-Speech Tagging", without the
  tags before). The strength of the regularisation is chosen on training sentences held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from training.evaluation.baselines import majority
from training.evaluation.choosing import CHOOSING_ITERATIONS, FOLDS, fit
from training.evaluation.classification import Labels, Probabilities, losses
from training.evaluation.tagging import Sentences

#: Inverse regularisation that is tried.
GRID = (0.3, 1.0, 3.0, 10.0)
#: Training words fitted on, whole sentences drawn by the seed: a fit on more takes minutes.
MOST_WORDS = 50_000
#: Forms that are known, the commonest.
MOST_FORMS = 50_000


def without_a_model(
    train: Sentences, scored: Sentences, tags: int, seed: int
) -> dict[str, Probabilities]:
    """Probabilities of the scored words' tags by what no model is needed for, [words, tags] each.

    Args:
        train: What is learned from.
        scored: What is predicted.
        tags: How many there are.
        seed: Of what is held out.

    Returns:
        ``forms``, ``lexicon`` and ``majority``.
    """
    return {
        "forms": forms(train, scored, tags, seed),
        "lexicon": lexicon(train, scored, tags),
        "majority": majority(train.labels, len(scored.labels), tags),
    }


def lexicon(train: Sentences, scored: Sentences, tags: int) -> Probabilities:
    """Each word's own shares, with those of all words as one word more."""
    shares = np.bincount(train.labels, minlength=tags) / len(train.labels)
    counts: dict[str, Any] = {}
    for word, tag in zip(_words(train), train.labels, strict=True):
        counts.setdefault(word, np.zeros(tags))[tag] += 1
    nothing = np.zeros(tags)
    # One more of all words decides between equals and never against the commonest.
    found = np.stack([counts.get(word, nothing) + shares for word in _words(scored)])
    return np.asarray(found / found.sum(1, keepdims=True))


def forms(train: Sentences, scored: Sentences, tags: int, seed: int) -> Probabilities:
    """Logistic regression on the forms of words and of those beside them."""
    from sklearn.feature_extraction.text import CountVectorizer

    train = _some(train, seed)
    vectoriser = CountVectorizer(analyzer=list, binary=True, max_features=MOST_FORMS)
    known = vectoriser.fit_transform(list(_forms(train))).astype(np.float64)
    unknown = vectoriser.transform(list(_forms(scored))).astype(np.float64)
    labels = train.labels
    strength = _strength(known, train, tags, seed)
    model = fit(_logistic(strength, 1000), known, labels)
    return _spread(model.predict_proba(unknown), model.classes_, tags)


def _strength(known: Any, train: Sentences, tags: int, seed: int) -> float:
    """The inverse regularisation that is right most often on a fifth of the sentences."""
    order = np.random.default_rng(seed).permutation(len(train))
    held_out = np.isin(train.owners, order[: len(train) // FOLDS])
    labels = train.labels
    if not held_out.any() or len(np.unique(labels[~held_out])) < 2:
        return GRID[len(GRID) // 2]
    best, chosen = (-1, 0.0), GRID[0]
    model = _logistic(GRID[0], CHOOSING_ITERATIONS)
    for strength in GRID:
        model.C = strength
        fit(model, known[~held_out], labels[~held_out])
        said = _spread(model.predict_proba(known[held_out]), model.classes_, tags)
        right = int((said.argmax(1) == labels[held_out]).sum())
        score = (right, -float(losses(said, labels[held_out]).sum()))
        if score > best:
            best, chosen = score, strength
    return chosen


def _logistic(strength: float, iterations: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=iterations, warm_start=True)


def _spread(found: Any, classes: Labels, tags: int) -> Probabilities:
    """Probabilities of the tags that were fitted as those of all."""
    wide = np.zeros((len(found), tags))
    wide[:, classes] = found
    return wide


def _some(train: Sentences, seed: int) -> Sentences:
    """Whole sentences with :data:`MOST_WORDS` words or little more."""
    if len(train.labels) <= MOST_WORDS:
        return train
    order = np.random.default_rng(seed).permutation(len(train))
    lengths = np.cumsum([len(train.words[place]) for place in order])
    chosen = np.sort(order[: int(np.searchsorted(lengths, MOST_WORDS)) + 1]).tolist()
    return Sentences(
        [train.ids[place] for place in chosen],
        [train.words[place] for place in chosen],
        [train.tags[place] for place in chosen],
    )


def _words(sentences: Sentences) -> Iterator[str]:
    return (word for sentence in sentences.words for word in sentence)


def _forms(sentences: Sentences) -> Iterator[list[str]]:
    """What is known of each word."""
    for words in sentences.words:
        for place, word in enumerate(words):
            yield list(_form(words, place, word))


def _form(words: Sequence[str], place: int, word: str) -> Iterator[str]:
    low = word.lower()
    yield f"word {word}"
    yield f"lower {low}"
    for length in (1, 2, 3, 4):
        yield f"end{length} {low[-length:]}"
    for length in (1, 2, 3):
        yield f"begin{length} {low[:length]}"
    yield f"shape {_shape(word)}"
    yield "first" if place == 0 else "later"
    yield f"shape {_shape(word)} {place == 0}"
    for name, at in (("before", place - 1), ("after", place + 1)):
        other = words[at].lower() if 0 <= at < len(words) else "·"
        yield f"{name} {other}"
        yield f"{name} end {other[-3:]}"
        if 0 <= at < len(words):
            yield f"{name} shape {_shape(words[at])}"
    for name, at in (("two before", place - 2), ("two after", place + 2)):
        yield f"{name} {words[at].lower() if 0 <= at < len(words) else '·'}"


def _shape(word: str) -> str:
    """Kinds of its characters, each run of one kind once: Aa, 0.0, a-a …"""
    found = ""
    for character in word:
        if character.isdigit():
            kind = "0"
        elif character.isalpha():
            kind = "A" if character.isupper() else "a"
        else:
            kind = character
        if not found.endswith(kind):
            found += kind
    return found[:10]
