"""What made images are worth: of the class that was meant, as varied as real ones, no copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.generative.frechet import frechet_distance, is_rough
from training.generative.judge import Judge
from training.weights.initial import generator

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

#: Training images that a made one is compared with, many times as many as a look takes at most, and
#: images that are compared.
COMPARED, TRIED = 20, 200
#: Made images that are this much nearer to a training image than real ones are: copies.
COPIED = 0.5


@dataclass(frozen=True)
class Reference:
    """Real images that training never saw, as the judge sees them.

    Attributes:
        labels: Their classes.
        features: float32 [images, width].
    """

    labels: Labels
    features: npt.NDArray[np.float32]


def measured(judge: Judge, reference: Reference, images: Images) -> dict[str, Any]:
    """``class_accuracy``: share taken for the class that was meant; ``frechet``: distance of their
    features from the reference's; ``classes``: the accuracy of each class that is there.

    Args:
        judge: Looks at them.
        reference: As many real images of the same classes.
        images: One for each of the reference's labels.
    """
    features, told = judge.look(images)
    right = told == reference.labels
    count = int(reference.labels.max()) + 1
    sizes = np.bincount(reference.labels, minlength=count)
    hits = np.bincount(reference.labels, weights=right, minlength=count)
    return {
        "class_accuracy": float(right.mean()),
        "frechet": frechet_distance(features, reference.features),
        "classes": {int(c): float(hits[c] / sizes[c]) for c in np.flatnonzero(sizes)},
    }


def noise(shape: Sequence[int], seed: int) -> Images:
    """Images of evenly random pixels: the ceiling of the distance."""
    found = generator(seed, "measures.noise").random(shape, dtype=np.float32)
    return np.asarray(found)


def class_means(of_classes: Iterable[Images], wanted: Labels) -> Images:
    """The mean image of each wanted class: right, and always the same.

    Args:
        of_classes: Images of each class, in the order of the classes.
        wanted: Classes.
    """
    return np.stack([images.mean(0) for images in of_classes])[wanted]


def real_ones(labels: Labels, wanted: Labels, seed: int) -> Labels:
    """Places of training images of the wanted classes, each drawn as seldom as it can be."""
    random, found = generator(seed, "measures.real"), np.empty(len(wanted), np.int64)
    for one in np.unique(wanted):
        places, slots = np.flatnonzero(labels == one), np.flatnonzero(wanted == one)
        rounds = -(-len(slots) // len(places))
        drawn = np.concatenate([random.permutation(places) for _ in range(rounds)])
        found[slots] = drawn[: len(slots)]
    return found


def beaten_by(sides: dict[str, dict[str, Any]]) -> list[str]:
    """What needs no learning and has a distance that is no larger."""
    mine = sides["model"]["frechet"]
    return [name for name in ("means", "noise") if sides[name]["frechet"] <= mine]


def nearest(images: Images, known: Images, count: int = 1) -> tuple[Labels, npt.NDArray[Any]]:
    """The known images nearest to each, by the root mean square of the pixels' differences.

    Args:
        images: [images, height, width, channels].
        known: The same of others.
        count: How many of each.

    Returns:
        Places in ``known`` and distances, [images, count], the nearest first.
    """
    flat = known.reshape(len(known), -1)
    squares, size = np.einsum("ij,ij->i", flat, flat), flat.shape[1]
    places, distances = [], []
    for start in range(0, len(images), 64):
        part = images[start : start + 64].reshape(-1, size)
        apart = np.square(part).sum(1)[:, None] + squares - 2 * (part @ flat.T)
        chosen = np.argsort(apart, 1, kind="stable")[:, :count]
        places.append(chosen)
        found = np.take_along_axis(apart, chosen, 1)
        distances.append(np.sqrt(np.maximum(found, 0) / size))
    return np.concatenate(places), np.concatenate(distances)


def spread(count: int, most: int) -> Labels:
    """At most so many places of a split, evenly over all of it: images often stand class by
    class."""
    taken = min(count, most)
    return np.arange(taken, dtype=np.int64) * count // max(1, taken)


def copying(made: Images, real: Images, known: Images) -> dict[str, Any]:
    """Whether made images lie nearer to training images than real, unseen ones do.

    Args:
        made: Images, in whatever order.
        real: Those that training never saw.
        known: Training images.

    Returns:
        ``made`` and ``real``: median distance to the nearest training image, pixels in 0..1;
        ``copies``: whether the first is below :data:`COPIED` of the second; ``images``: how many
        were compared.
    """
    medians = [
        float(np.median(nearest(one[spread(len(one), TRIED)], known)[1])) for one in (made, real)
    ]
    copies = medians[0] < COPIED * medians[1]
    return {
        "made": medians[0],
        "real": medians[1],
        "copies": bool(copies),
        "images": min(TRIED, len(made)),
        "known": len(known),
    }


def compared(
    judge: Judge, reference: Reference, sides: dict[str, Images], real_accuracy: float
) -> dict[str, Any]:
    """The report's table: the model beside what it should come near to, and what it must beat.

    Args:
        judge: Looks at all of them.
        reference: Held-out images.
        sides: ``model``, ``real`` (training images), ``means``, ``noise`` and others: as many
            images each, of the same classes.
        real_accuracy: The judge's on held-out images: it knows the training images by heart.
    """
    found = {name: measured(judge, reference, images) for name, images in sides.items()}
    found["real"]["class_accuracy"] = real_accuracy
    classes = found["model"]["classes"]
    for one in found.values():
        del one["classes"]
    return {
        "sides": found,
        "classes": classes,
        "beaten_by": beaten_by(found),
        "images": len(reference.labels),
        "width": judge.width,
        "rough": is_rough(len(reference.labels), judge.width),
        "judge": {"kind": judge.kind, "accuracy": judge.accuracy, "examples": judge.examples},
    }
