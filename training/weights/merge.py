"""Checkpoints of one architecture merged into one, in NumPy, a slice of a tensor at a time.

- ``interpolate``: (1 − α) · a + α · b. Wortsman et al., 2022, "Robust fine-tuning of zero-shot
  models" (WiSE-FT), https://arxiv.org/abs/2109.01903
- ``soup_uniform``, ``soup_greedy``: the mean of all, or of those that make it better. Wortsman et
  al., 2022, "Model soups", https://arxiv.org/abs/2203.05482
- ``task_arithmetic``: base + Σ λᵢ (mᵢ − base). Ilharco et al., 2023, "Editing models with task
  arithmetic", https://arxiv.org/abs/2212.04089
- ``ties``: trim, elect sign, disjoint mean. Yadav et al., 2023, "TIES-Merging",
  https://arxiv.org/abs/2306.01708
- ``lora``: base + Σ λᵢ · the low-rank update that a model was trained to. Hu et al., 2021, "LoRA",
  https://arxiv.org/abs/2106.09685

Arithmetic is in float32, the result in the type that all sources have in common (float32 where they
differ). Nothing is merged that does not fit: the architecture, every setting, every tensor's shape
and the tokenizer must be the same, since equal places in two models mean the same only then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from training.backbones.lora import Update, read_adapter
from training.backbones.registry import require_self_contained
from training.data.tokenizers import tokenizer_of
from training.errors import TrainingError
from training.weights.checkpoint import Checkpoint
from training.weights.tensors import NUMPY_TYPES, LazyTensors, slices

#: One slice of every model, flat float32, in the models' order → the merged slice.
Combine = Callable[[list[np.ndarray]], np.ndarray]


def require_mergeable(models: Sequence[Checkpoint]) -> None:
    """Refuse models that differ in anything but the values of their weights.

    Raises:
        TrainingError: ``model_of_tables``; ``merge_architectures``, ``merge_settings``,
            ``merge_tensors`` or ``merge_tokenizers``, by the first difference.
    """
    first, *others = models
    require_self_contained(first.config)
    ours = first.config.model_dump()
    tokenizer: str | None = None
    for number, other in enumerate(others, start=2):
        theirs = other.config.model_dump()
        if ours["architecture"] != theirs["architecture"]:
            raise TrainingError(
                "merge_architectures",
                number=number,
                found=theirs["architecture"],
                wanted=ours["architecture"],
            )
        for name, value in ours.items():
            if theirs[name] != value:
                raise TrainingError(
                    "merge_settings",
                    number=number,
                    name=name,
                    found=str(theirs[name]),
                    wanted=str(value),
                )
        for name, info in first.infos.items():
            if name not in other.infos or other.infos[name].shape != info.shape:
                raise TrainingError("merge_tensors", number=number, name=name)
        if first.config.vocabulary is not None:
            tokenizer = tokenizer or tokenizer_of(first).sha256
            if tokenizer_of(other).sha256 != tokenizer:
                raise TrainingError("merge_tokenizers", number=number)


class Merged(Mapping[str, np.ndarray]):
    """Name → merged tensor, made when looked up: memory holds it and a slice of every source.

    Running variances never come out below the smallest of the models': a formula that goes beyond
    its models could make them negative, whose root is no number, or so small that norms explode.

    Args:
        models: What is merged; see :func:`require_mergeable`.
        combine: The formula.
    """

    def __init__(self, models: Sequence[Checkpoint], combine: Combine) -> None:
        self._combine = combine
        self._tensors = [model.tensors() for model in models]
        self._infos = models[0].infos
        specs = models[0].config.tensors()
        self._variances = {spec.name for spec in specs if spec.variance}
        self._types: dict[str, np.dtype] = {}
        for name in self._infos:
            types = {NUMPY_TYPES[model.infos[name].dtype] for model in models}
            self._types[name] = types.pop() if len(types) == 1 else np.dtype(np.float32)

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        """Type and shape, without any arithmetic."""
        return self._types[name], self._infos[name].shape

    def __getitem__(self, name: str) -> np.ndarray:
        """The merged tensor.

        Raises:
            TrainingError: ``tensor_not_finite``.
        """
        dtype, shape = self.layout(name)
        merged = np.empty(math.prod(shape), dtype)
        for values, parts in slices(self._tensors, name, np.float32):
            # Taken first: a formula works in its parts' own memory.
            least = np.minimum.reduce(parts) if name in self._variances else None
            # A sum may leave what a smaller type can hold: refused below, not warned of.
            with np.errstate(over="ignore", invalid="ignore"):
                made = self._combine(parts)
                merged[values] = made if least is None else np.maximum(made, least)
            if not np.isfinite(merged[values]).all():
                raise TrainingError("tensor_not_finite", name=name)
        return merged.reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)


def add_adapters(
    base: Checkpoint, models: Sequence[Checkpoint], scales: Sequence[float]
) -> LazyTensors:
    """base + Σ λᵢ · (alphaᵢ / rankᵢ) · Bᵢ Aᵢ: the low-rank updates that models keep apart.

    Args:
        base: Whose weights; not necessarily what the updates were trained from.
        models: Checkpoints that were trained with LoRA.
        scales: λ of each.

    Returns:
        Tensors in the base's types; one that is no longer finite is refused as it is made.

    Raises:
        TrainingError: ``merge_adapter``, ``adapter_unreadable``.
    """
    tensors = base.tensors()
    updates: dict[str, list[tuple[Update, float]]] = {}
    for number, (model, scale) in enumerate(zip(models, scales, strict=True), start=1):
        adapter = read_adapter(model.folder / "adapter")
        if not adapter or not all(
            name in base.infos and update.shape == base.infos[name].shape
            for name, update in adapter.items()
        ):
            raise TrainingError("merge_adapter", number=number)
        for name, update in adapter.items():
            updates.setdefault(name, []).append((update, scale))

    def make(name: str) -> np.ndarray:
        if name not in updates:
            return tensors[name]
        total = np.array(tensors[name], np.float32)
        for update, scale in updates[name]:
            total += update.times(scale)
        # A sum may leave what a smaller type can hold.
        with np.errstate(over="ignore"):
            made = total.astype(NUMPY_TYPES[base.infos[name].dtype])
        if not np.isfinite(made).all():
            raise TrainingError("tensor_not_finite", name=name)
        return made

    return LazyTensors(
        {name: partial(make, name) for name in base.infos},
        {name: (NUMPY_TYPES[info.dtype], info.shape) for name, info in base.infos.items()},
    )


def interpolate(a: Checkpoint, b: Checkpoint, alpha: float) -> Merged:
    """(1 − α) · a + α · b; at 0 and 1 the bits of a and of b.

    Args:
        a: The model at α = 0: with WiSE-FT the one that was fine-tuned from.
        b: The model at α = 1: the fine-tuned one.
        alpha: 0..1.
    """

    def combine(parts: list[np.ndarray]) -> np.ndarray:
        if alpha in (0, 1):  # sums would lose the sign of −0
            return parts[int(alpha)]
        return np.float32(1 - alpha) * parts[0] + np.float32(alpha) * parts[1]

    return Merged((a, b), combine)


def soup_uniform(models: Sequence[Checkpoint]) -> Merged:
    """The mean of all; of one, that one bit for bit."""

    def combine(parts: list[np.ndarray]) -> np.ndarray:
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total / np.float32(len(parts)) if len(parts) > 1 else total

    return Merged(models, combine)


@dataclass(frozen=True)
class GreedyStep:
    """One model tried for a greedy soup.

    Attributes:
        model: Its place among the models, from 0.
        loss: Of the soup with it.
        kept: Whether it stays in.
    """

    model: int
    loss: float
    kept: bool


def soup_greedy(
    losses: Sequence[float], loss_of: Callable[[list[int]], float]
) -> tuple[list[int], list[GreedyStep]]:
    """Which models make the best soup, found greedily: recipe 1 of "Model soups".

    The best model comes first; each further one, by its own loss, stays in when the mean with it is
    no worse than the mean without it. The loss must be of data that no model was trained on, and
    the soup needs other data to be judged by.

    Args:
        losses: Each model's own.
        loss_of: The loss of the mean of some models, given by their places.

    Returns:
        The places of those that stay, in the order in which they came in, and every step.
    """
    order = sorted(range(len(losses)), key=lambda place: losses[place])
    kept, best = [order[0]], losses[order[0]]
    steps = [GreedyStep(order[0], best, True)]
    for place in order[1:]:
        loss = loss_of([*kept, place])
        better = loss <= best
        if better:
            kept, best = [*kept, place], loss
        steps.append(GreedyStep(place, loss, better))
    return kept, steps


def task_arithmetic(
    base: Checkpoint, models: Sequence[Checkpoint], scales: Sequence[float]
) -> Merged:
    """base + Σ λᵢ (mᵢ − base); a negative λ takes a task away.

    Args:
        base: What all were fine-tuned from.
        models: The fine-tuned ones.
        scales: λ of each.
    """

    def combine(parts: list[np.ndarray]) -> np.ndarray:
        start, *tuned = parts
        total = start.copy()
        for part, scale in zip(tuned, scales, strict=True):
            total += np.float32(scale) * (part - start)
        return total

    return Merged((base, *models), combine)


def ties(base: Checkpoint, models: Sequence[Checkpoint], keep: float, scale: float) -> Merged:
    """base + λ · τ, with τ from the task vectors τᵢ = mᵢ − base in three steps.

    Trim: of each τᵢ only the ``keep`` largest by magnitude stay, over the whole model at once and
    not by tensor; equal ones at the edge stay together. Elect: each value's sign is that of Σ τᵢ.
    Merge: the mean of those τᵢ alone that have this sign and are not zero.

    Args:
        base: What all were fine-tuned from.
        models: The fine-tuned ones.
        keep: Share of values that stay, 0 < keep ≤ 1; the paper takes 0.2.
        scale: λ; the paper takes 1 when it cannot be chosen by validation.
    """
    edges = [np.float32(_edge(base, model, keep)) for model in models]

    def combine(parts: list[np.ndarray]) -> np.ndarray:
        start, *tuned = parts
        for part, edge in zip(tuned, edges, strict=True):
            part -= start
            part[np.abs(part) < edge] = 0
        sign = np.sign(sum(tuned[1:], tuned[0]))
        total, count = np.zeros_like(start), np.zeros_like(start)
        total[np.isnan(sign)] = np.nan  # has no sign that agrees, and must not pass for no change
        for part in tuned:
            agrees = (np.sign(part) == sign) & (part != 0)
            total += np.where(agrees, part, np.float32(0))
            count += agrees
        return start + np.float32(scale) * (total / np.maximum(count, np.float32(1)))

    return Merged((base, *models), combine)


def _edge(base: Checkpoint, model: Checkpoint, keep: float) -> float:
    """The smallest magnitude that stays when the ``keep`` largest of a task vector do.

    Exact, in two passes without sorting: the bits of a float32 ≥ 0, read as a number, are in the
    order of its value, so a histogram of their upper halves finds the lower half's.
    """
    left = math.ceil(keep * sum(info.size for info in base.infos.values()))

    def passing(count_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        counts = np.zeros(1 << 16, np.int64)
        for name in base.infos:
            for _values, (a, b) in slices((base.tensors(), model.tensors()), name, np.float32):
                with np.errstate(over="ignore", invalid="ignore"):  # refused where it is merged
                    change = np.abs(b - a)
                counts += np.bincount(count_of(change.view(np.uint32)), minlength=1 << 16)
        return counts

    def place(counts: np.ndarray, wanted: int) -> tuple[int, int]:
        """The bin that holds the wanted-th from above, and how many lie above that bin."""
        above = np.cumsum(counts[::-1])
        bin_from_above = int(np.searchsorted(above, wanted))
        before = int(above[bin_from_above - 1]) if bin_from_above else 0
        return (1 << 16) - 1 - bin_from_above, before

    high, before = place(passing(lambda bits: bits >> 16), left)
    low, _before = place(passing(lambda bits: bits[bits >> 16 == high] & 0xFFFF), left - before)
    return float(np.array((high << 16) | low, np.uint32).view(np.float32))


def merge_card(method: str, parameters: Mapping[str, Any], models: Sequence[Checkpoint]) -> dict:
    """The card's fields about a merge: every parent, and what was done with them."""
    return {
        "method": "merge",
        "parents": list(dict.fromkeys(model.weights_sha256 for model in models)),
        "merge": {"method": method, **parameters},
    }
