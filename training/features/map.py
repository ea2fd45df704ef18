"""A map of a data set by a model's features, and each example's nearest neighbours.

- van der Maaten and Hinton, 2008, "Visualizing Data using t-SNE"

Details people get wrong: on such a map, who is near whom means something, how far apart two groups
are and how large one is does not; and the neighbours are those in the features, by cosine, since
two dimensions cannot keep them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labelled import Places
from training.evaluation.classification_report import shown
from training.features.answers import Answers
from training.features.geometry import unit_vectors
from training.features.material import Material

#: Examples on a map, of the training and of the scored split; more is a blot.
MOST_TRAINING, MOST_SCORED = 1200, 800
NEIGHBOURS = 8
COMPONENTS, PERPLEXITY = 50, 30
#: Fewer points than this have no t-SNE worth the name; their principal components are shown.
LEAST = 10
#: Characters of a text.
SHOWN_CHARACTERS = 200
MAP_VERSION = 1

Matrix = npt.NDArray[np.float32]


def lay_out(features: Matrix, seed: int) -> npt.NDArray[np.float64]:
    """Places in the unit square, near each other where features are alike.

    t-SNE of the first principal components of features of length one, begun at the first two.

    Args:
        features: float32 [examples, width].
        seed: Of what is random in it.

    Returns:
        [examples, 2], the smallest and largest of each axis at 0 and 1.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count, width = features.shape
    components = min(COMPONENTS, count, width)
    places = PCA(components, random_state=seed).fit_transform(unit_vectors(features))
    if count >= LEAST:
        perplexity = min(PERPLEXITY, (count - 1) / 3)
        # Duplicates have no direction from each other; a hair's breadth gives them one.
        places = places + np.random.default_rng(seed).normal(0, 1e-6, places.shape)
        places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
            places.astype(np.float32)
        )
    found = np.zeros((count, 2))
    found[:, : min(2, components)] = places[:, :2]
    found -= found.min(0)
    return np.asarray(found / np.maximum(found.max(0), 1e-12))


def neighbours(features: Matrix, count: int) -> tuple[Places, npt.NDArray[np.float64]]:
    """The nearest others of each example, the nearest first.

    Args:
        features: float32 [examples, width].
        count: How many; fewer where there are no more.

    Returns:
        Places [examples, count] and their cosines.
    """
    unit = unit_vectors(features)
    cosine = unit.astype(np.float64) @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(count, len(features) - 1)]
    return nearest, np.take_along_axis(cosine, nearest, 1)


def feature_map(
    material: Material,
    features: Mapping[str, Matrix],
    predicted: npt.NDArray[np.float64],
    wrong: list[int],
    seed: int,
) -> dict[str, Any]:
    """``map.json``: see ``docs/formats.md``.

    Args:
        material: The examples.
        features: Of each split, float32 [examples, width].
        predicted: What the head says of the scored split.
        wrong: Places of scored examples that must be on the map.
        seed: Decides which examples are on it, and what is random in its layout.
    """
    answers = material.answers
    chosen = {
        "train": _some(answers, material.train.labels, MOST_TRAINING, [], seed),
        material.split: _some(answers, material.scored.labels, MOST_SCORED, wrong, seed),
    }
    together = np.concatenate([features[split][places] for split, places in chosen.items()])
    layout = lay_out(together, seed)
    nearest, cosine = neighbours(together, NEIGHBOURS)
    labels = np.concatenate(
        [material.splits[split].labels[places] for split, places in chosen.items()]
    )
    names, groups = answers.groups(labels)
    points: list[dict[str, Any]] = []
    for split, places in chosen.items():
        for place in places.tolist():
            point = len(points)
            example = shown(material.kind, split, material.splits[split].rows[place])
            for name in {"text", "text_pair"} & set(example):
                example[name] = example[name][:SHOWN_CHARACTERS]
            told = {
                "split": split,
                "label": names[groups[point]],
                **answers.told(labels[point]),
                "x": round(float(layout[point, 0]), 4),
                "y": round(float(layout[point, 1]), 4),
                "neighbours": [
                    [int(other), round(float(alike), 4)]
                    for other, alike in zip(nearest[point], cosine[point], strict=True)
                ],
                **example,
            }
            if split == material.split:
                told["predicted"] = answers.said(predicted[place])
            points.append(told)
    return {
        "version": MAP_VERSION,
        "classes": names,
        "agreement": round(float((groups[nearest] == groups[:, None]).mean()), 4),
        "points": points,
    }


def _some(
    answers: Answers, labels: npt.NDArray[Any], most: int, wanted: list[int], seed: int
) -> Places:
    """Places of at most so many examples, each label in its share, and of all that are wanted."""
    if len(labels) <= most:
        return np.arange(len(labels))
    names, _groups = answers.groups(labels)
    return np.union1d(answers.few(labels, max(most, len(names)), seed), wanted).astype(int)
