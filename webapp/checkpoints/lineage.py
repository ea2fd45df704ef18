"""Where a checkpoint came from and what came of it, as a small graph one clicks through."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.db.models import Case, Count, Value, When
from django.urls import reverse
from django.utils.translation import gettext

from webapp.accounts.models import User
from webapp.checkpoints.models import Checkpoint
from webapp.checkpoints.selectors import main_score
from webapp.runs.models import Run

#: Generations shown each way, and nodes a generation.
DEPTH = 3
BREADTH = 6

NODE_WIDTH, NODE_HEIGHT = 196, 54
GAP_X, GAP_Y = 36, 12


@dataclass
class Node:
    """A checkpoint, or a run that has not made one yet.

    Attributes:
        key: Its primary key.
        level: 0 is the checkpoint looked at, negative its sources, positive what came of it.
        title: Its name.
        detail: How it was made.
        url: Its page.
        score: Title and value of its main score; None: it has none.
        is_here: Whether the page that shows the graph is about it.
        kind: ``trained``, ``hub``, ``upload``, ``copied``, ``merged`` or ``run``.
        x: Left edge, pixels.
        y: Upper edge, pixels.
    """

    key: Any
    level: int
    title: str
    detail: str
    url: str
    kind: str
    score: tuple[str, str] | None = None
    is_here: bool = False
    x: int = 0
    y: int = 0


@dataclass
class Lineage:
    """Nodes and the curves between them.

    Attributes:
        nodes: From the oldest generation on.
        edges: SVG paths.
        hidden: Direct children that there was no room for.
        width: Of the drawing, pixels.
        height: Of the drawing, pixels.
    """

    nodes: list[Node]
    edges: list[str] = field(default_factory=list)
    hidden: int = 0
    width: int = 0
    height: int = 0

    @property
    def node_width(self) -> int:
        return NODE_WIDTH

    @property
    def node_height(self) -> int:
        return NODE_HEIGHT

    @property
    def alone(self) -> bool:
        return len(self.nodes) == 1

    @property
    def generations(self) -> list[tuple[str, list[Node]]]:
        """The same as a list for narrow screens: a title and its nodes, the oldest first."""
        return [
            (_generation_title(level), list(nodes))
            for level, nodes in groupby(self.nodes, key=lambda node: node.level)
        ]


def _generation_title(level: int) -> str:
    match level:
        case -1:
            return gettext("Sources")
        case 0:
            return gettext("Here")
        case 1:
            return gettext("What came of it")
    return gettext("Their sources") if level < 0 else gettext("What came of that")


def lineage(checkpoint: Checkpoint, user: User, *, here: Any = None) -> Lineage:
    """The checkpoint's relatives, a few generations each way; two or three queries a generation.

    Args:
        checkpoint: The one in the middle.
        user: Who looks: relatives of other teams are left out.
        here: Key of the node that the page is about, when that is another.
    """
    graph = Lineage([_node(checkpoint, 0)])
    seen = {checkpoint.pk}
    pairs: set[tuple[Any, Any]] = set()
    for way in (-1, 1):
        generation = [checkpoint.pk]
        for level in range(1, DEPTH + 1):
            found = _relatives(generation, user, up=way < 0)
            fresh: list[Checkpoint] = []
            runs = _open_runs(generation, user, here) if way > 0 else []
            for relative, pair in found:
                if relative.pk not in seen and len(fresh) + len(runs) < BREADTH:
                    seen.add(relative.pk)
                    fresh.append(relative)
                    graph.nodes.append(_node(relative, way * level))
                elif relative.pk not in seen and way * level == 1:
                    graph.hidden += 1
                if relative.pk in seen:
                    pairs.add(pair)
            for run in runs:
                graph.nodes.append(_run_node(run, level))
                pairs.add((run.source_checkpoint_id, run.pk))
            generation = [relative.pk for relative in fresh]
            if not generation:
                break
    for node in graph.nodes:
        node.is_here = node.key == (here or checkpoint.pk)
    _lay_out(graph, pairs)
    return graph


def _relatives(keys: list[Any], user: User, *, up: bool) -> list[tuple[Any, Any]]:
    """The parents (``up``) or children of some checkpoints with the (parent, child) pair."""
    links = Checkpoint.parents.through.objects
    # The relation's own table: from_checkpoint is the child, to_checkpoint the parent.
    if up:
        rows = links.filter(from_checkpoint__in=keys)
    else:
        rows = links.filter(to_checkpoint__in=keys)
    pairs = list(rows.values_list("to_checkpoint", "from_checkpoint").order_by("pk")[:200])
    wanted = {parent if up else child for parent, child in pairs}
    visible = {
        relative.pk: relative
        for relative in Checkpoint.objects.for_user(user)
        .filter(pk__in=wanted)
        .select_related("dataset_version__dataset")
        .annotate(further=Count("parents" if up else "children", distinct=True))
        .only("name", "origin", "created_at", "scores", "dataset_version__dataset__name")
    }
    found = [
        (visible[pair[0 if up else 1]], pair) for pair in pairs if pair[0 if up else 1] in visible
    ]
    # Those that go on first, then the newest: the graph has room for few.
    found.sort(key=lambda item: (item[0].further > 0, item[0].created_at), reverse=True)
    return found


def _open_runs(keys: list[Any], user: User, here: Any) -> list[Run]:
    """Runs from these checkpoints that have made none of their own: ``here``, then the newest."""
    return list(
        Run.objects.for_user(user)
        .filter(source_checkpoint__in=keys, checkpoint=None)
        .select_related("job")
        .only("name", "source_checkpoint", "job__state")
        .order_by(Case(When(pk=here, then=Value(0)), default=Value(1)), "-created_at")[
            : BREADTH // 2
        ]
    )


def _node(checkpoint: Checkpoint, level: int) -> Node:
    detail = checkpoint.get_origin_display()
    if checkpoint.dataset_version is not None:
        detail = checkpoint.dataset_version.dataset.name
    return Node(
        checkpoint.pk,
        level,
        checkpoint.name,
        detail,
        reverse("checkpoints:detail", args=[checkpoint.pk]),
        checkpoint.origin,
        main_score(checkpoint),
    )


def _run_node(run: Run, level: int) -> Node:
    return Node(
        run.pk,
        level,
        run.name,
        run.job.get_state_display(),
        reverse("runs:detail", args=[run.pk]),
        "run",
    )


def _stagger(graph: Lineage, pairs: set[tuple[Any, Any]]) -> None:
    """Put every parent further left than its children.

    A merge may have as parents a checkpoint and what was trained from it: one generation by their
    distance, two by their descent.
    """
    by_key = {node.key: node for node in graph.nodes}
    links = [(by_key[p], by_key[c]) for p, c in pairs if p in by_key and c in by_key]
    for _round in graph.nodes:  # no chain is longer than that
        crossed = [(parent, child) for parent, child in links if parent.level >= child.level]
        for parent, child in crossed:
            if child.level > 0:
                child.level = parent.level + 1
            else:
                parent.level = child.level - 1
        if not crossed:
            return


def _lay_out(graph: Lineage, pairs: set[tuple[Any, Any]]) -> None:
    """Generations as columns, each centred; curves from a node's right edge to the next's left."""
    _stagger(graph, pairs)
    graph.nodes.sort(key=lambda node: node.level)
    columns: dict[int, list[Node]] = {}
    for node in graph.nodes:
        columns.setdefault(node.level, []).append(node)
    tallest = max(len(column) for column in columns.values())
    graph.height = tallest * (NODE_HEIGHT + GAP_Y) - GAP_Y
    for place, level in enumerate(sorted(columns)):
        column = columns[level]
        top = (graph.height - (len(column) * (NODE_HEIGHT + GAP_Y) - GAP_Y)) // 2
        for row, node in enumerate(column):
            node.x = place * (NODE_WIDTH + GAP_X)
            node.y = top + row * (NODE_HEIGHT + GAP_Y)
    graph.width = len(columns) * (NODE_WIDTH + GAP_X) - GAP_X
    by_key = {node.key: node for node in graph.nodes}
    for parent, child in sorted(pairs, key=str):
        if parent not in by_key or child not in by_key:
            continue
        start, end = by_key[parent], by_key[child]
        x1, y1 = start.x + NODE_WIDTH, start.y + NODE_HEIGHT // 2
        x2, y2 = end.x, end.y + NODE_HEIGHT // 2
        middle = (x1 + x2) // 2
        graph.edges.append(f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
