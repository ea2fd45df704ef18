"""Two checkpoints side by side: settings, scores, tensors by their hashes, shared ancestry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from training.weights.card import CARD_FILE
from webapp import storage
from webapp.accounts.models import User
from webapp.checkpoints import layers, selectors
from webapp.checkpoints.models import Checkpoint
from webapp.jobs.models import Job
from webapp.runs import settings_diff

#: A card names about 200 bytes a tensor: room for 100,000 of them.
CARD_LIMIT = 32 * 2**20
#: Generations up that a shared ancestor is looked for.
GENERATIONS = 30
#: Tensors of a block that are named.
NAMED = 50


@dataclass(frozen=True)
class Row:
    """One setting or score.

    Attributes:
        title: For people.
        values: The first's and the second's; None where it does not apply.
        difference: The second's less the first's, where both are numbers.
    """

    title: str
    values: tuple[Any, Any]
    difference: float | None = None


@dataclass
class BlockRow:
    """One part of the models.

    Attributes:
        title: For people.
        equal: Tensors with the same values, bit for bit.
        differ: Tensors of the same name with other values, another shape or another type.
        only_first: Tensors that only the first has.
        only_second: Tensors that only the second has.
        named: ``(name, what)`` of the first few that are not equal.
    """

    title: str
    equal: int = 0
    differ: int = 0
    only_first: int = 0
    only_second: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)

    @property
    def unequal(self) -> int:
        return self.differ + self.only_first + self.only_second

    @property
    def unnamed(self) -> int:
        """Of those that are not equal, how many are not named."""
        return self.unequal - len(self.named)


@dataclass(frozen=True)
class Ancestor:
    """A checkpoint that both came from, and how many generations up it stands."""

    checkpoint: Checkpoint
    first: int
    second: int


@dataclass(frozen=True)
class Comparison:
    """All that tells two checkpoints apart.

    Attributes:
        first: One.
        second: The other.
        settings: What differs in the model and in how it was made.
        same: Settings that are the same in both.
        scores: All scores of either.
        blocks: Their tensors by block; None: the hashes of one are not in the store any more.
        ancestors: The nearest that they share; one of the two when it came from the other.
    """

    first: Checkpoint
    second: Checkpoint
    settings: list[Row]
    same: int
    scores: list[Row]
    blocks: list[BlockRow] | None
    ancestors: list[Ancestor]

    @property
    def same_weights(self) -> bool:
        return self.first.weights_sha256 == self.second.weights_sha256

    @property
    def totals(self) -> BlockRow:
        """The sums over all blocks."""
        total = BlockRow("")
        for block in self.blocks or ():
            total.equal += block.equal
            total.differ += block.differ
            total.only_first += block.only_first
            total.only_second += block.only_second
        return total

    @property
    def descent(self) -> Ancestor | None:
        """Set when one of the two came from the other."""
        for ancestor in self.ancestors:
            if not (ancestor.first and ancestor.second):
                return ancestor
        return None

    @property
    def both_write(self) -> bool:
        """Whether the playground can ask both."""
        return all(selectors.writes_text(one) for one in (self.first, self.second))


def compare(first: Checkpoint, second: Checkpoint, user: User) -> Comparison:
    """Everything about two checkpoints; one small file of each is read, no tensor."""
    rows = _settings(first, second)
    different = [row for row in rows if row.values[0] != row.values[1]]
    return Comparison(
        first=first,
        second=second,
        settings=different,
        same=len(rows) - len(different),
        scores=_scores(first, second),
        blocks=_blocks(first, second),
        ancestors=_shared(first, second, user),
    )


# --- settings and scores --------------------------------------------------------------------------


def _settings(first: Checkpoint, second: Checkpoint) -> list[Row]:
    both = (first, second)
    rows = [
        Row(
            gettext("Architecture"),
            _pair(selectors.architecture_title(c.architecture) for c in both),
        )
    ]
    rows += _side_by_side([dict(selectors.settings_of(one)) for one in both])
    rows += _side_by_side([_made(one) for one in both])
    specs = [_training(one.job) for one in both]
    if any(specs):
        rows += [
            Row(row.title, (row.values[0], row.values[1]))
            for row in settings_diff.side_by_side(specs)
            if not row.path.startswith("model.")
        ]
    return rows


def _made(checkpoint: Checkpoint) -> dict[str, Any]:
    """How it was made, by title."""
    made_by = checkpoint.card.get("made_by") or {}
    return {
        gettext("Task"): selectors.task_title(checkpoint.task) or None,
        gettext("Method"): selectors.method_title(checkpoint.method) or None,
        gettext("Data"): str(checkpoint.dataset_version) if checkpoint.dataset_version else None,
        gettext("Steps"): checkpoint.card.get("steps") or None,
        gettext("Seed"): made_by.get("seed"),
        gettext("Code version"): made_by.get("code_version"),
    }


def _training(job: Job | None) -> dict[str, Any]:
    """The spec of the run that trained it; empty when none did."""
    return job.spec if job is not None and job.kind == "train" and job.spec else {}


def _side_by_side(settings: list[dict[str, Any]]) -> list[Row]:
    titles = dict.fromkeys(title for one in settings for title in one)
    return [Row(title, _pair(one.get(title) for one in settings)) for title in titles]


def _scores(first: Checkpoint, second: Checkpoint) -> list[Row]:
    found = [dict(selectors.score_values(one)) for one in (first, second)]
    rows = []
    for name in dict.fromkeys(name for one in found for name in one):
        title, places = selectors.score_title(name)
        one, other = found[0].get(name), found[1].get(name)
        difference = None if one is None or other is None else round(other - one, places)
        texts = _pair(None if value is None else f"{value:.{places}f}" for value in (one, other))
        rows.append(Row(title, texts, difference))
    return rows


def _pair(values: Any) -> tuple[Any, Any]:
    first, second = values
    return first, second


# --- tensors --------------------------------------------------------------------------------------


def _hashes(checkpoint: Checkpoint) -> dict[str, str] | None:
    """The hash of every tensor from the stored card; None when the store has it no more."""
    entry = checkpoint.manifest.get(CARD_FILE)
    if entry is None or int(entry["size"]) > CARD_LIMIT:
        return None
    try:
        with storage.open_blob(entry["blake3"]) as file:
            card: Mapping[str, Any] = json.loads(file.read())
    except storage.StoreError:
        return None
    return {tensor["name"]: tensor["blake3"] for tensor in card.get("tensors", ())}


def _blocks(first: Checkpoint, second: Checkpoint) -> list[BlockRow] | None:
    """The tensors of both by block; equal are those of one name, type, shape and hash."""
    hashes = [_hashes(one) for one in (first, second)]
    if not all(hashes):
        return None
    one, other = ({t["name"]: t for t in c.tensors} for c in (first, second))
    rows: dict[str, BlockRow] = {}
    for checkpoint, mine, theirs in ((first, one, other), (second, other, one)):
        for block in layers.blocks(checkpoint):
            row = rows.setdefault(block.name, BlockRow(block.title))
            for tensor in block.tensors:
                name = tensor["name"]
                if name not in theirs:
                    _note(row, "only_first" if mine is one else "only_second", name, tensor, None)
                elif mine is one:
                    same = _same(tensor, theirs[name]) and len({h[name] for h in hashes if h}) == 1
                    if same:
                        row.equal += 1
                    else:
                        _note(row, "differ", name, tensor, theirs[name])
    return list(rows.values())


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one["dtype"] == other["dtype"] and one["shape"] == other["shape"]


def _note(
    row: BlockRow,
    what: str,
    name: str,
    tensor: Mapping[str, Any],
    other: Mapping[str, Any] | None,
) -> None:
    setattr(row, what, getattr(row, what) + 1)
    if len(row.named) >= NAMED:
        return
    if other is not None and not _same(tensor, other):
        text = f"{_describe(tensor)} → {_describe(other)}"
    elif other is not None:
        text = gettext("other values")
    elif what == "only_first":
        text = gettext("only in the first")
    else:
        text = gettext("only in the second")
    row.named.append((name, text))


def _describe(tensor: Mapping[str, Any]) -> str:
    return f"{layers.shape_text(tensor['shape'])} {tensor['dtype']}"


# --- ancestry -------------------------------------------------------------------------------------


def _shared(first: Checkpoint, second: Checkpoint, user: User) -> list[Ancestor]:
    """The ancestors of both that are nearest to them, that the person may see."""
    one, other = _ancestors(first), _ancestors(second)
    shared = {pk: (one[pk], other[pk]) for pk in one.keys() & other.keys()}
    if not shared:
        return []
    nearest = min(sum(ways) for ways in shared.values())
    wanted = [pk for pk, ways in shared.items() if sum(ways) == nearest]
    visible = Checkpoint.objects.for_user(user).filter(pk__in=wanted).only("name")
    return [Ancestor(row, *shared[row.pk]) for row in visible.order_by("name", "pk")]


def _ancestors(checkpoint: Checkpoint) -> dict[Any, int]:
    """Key → generations up, itself with 0; one query a generation."""
    found = {checkpoint.pk: 0}
    generation = [checkpoint.pk]
    links = Checkpoint.parents.through.objects
    for up in range(1, GENERATIONS + 1):
        rows = links.filter(from_checkpoint__in=generation).values_list("to_checkpoint", flat=True)
        generation = [pk for pk in set(rows) if pk not in found]
        if not generation:
            break
        found |= dict.fromkeys(generation, up)
    return found
