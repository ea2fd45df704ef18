"""A report on predictions, shaped for its page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.predicting.targets import LABEL
from webapp import classifiers, regressions, storage
from webapp.jobs.selectors import sentence
from webapp.predictions.models import Prediction

Words = str | Promise

PHASES: dict[str, Words] = {
    "loading": _("Loading"),
    "predicting": _("Predicting"),
    "evaluating": _("Scoring"),
    "saving": _("Saving"),
}
SPLITS: dict[str, Words] = {
    "all": _("all data"),
    "train": _("training split"),
    "validation": _("validation split"),
    "test": _("test split"),
}
ORDERS: dict[str, Words] = {
    "worst": _("most wrong first"),
    "uncertain": _("least certain first"),
    "first": _("in the order of the data"),
}
#: Remarks that say that the scores are to be taken with care, or that there are none.
GRAVE = frozenset(
    {
        "predicted_learned",
        "predicted_no_known_class",
        "predicted_no_number",
        "predicted_labels_unknown",
        "predicted_labels_unread",
        "predicted_categories_unseen",
        "predicted_column_parsed",
        "predicted_column_empty",
    }
)
#: Examples of a page.
PAGE = 25


@dataclass(frozen=True)
class Page:
    """Some of the examples, in an order.

    Attributes:
        rows: ``{example, told}``.
        order: A key of :data:`ORDERS`.
        orders: Those that there are, with their titles.
        number: Of the page, from 1.
        count: Of the pages.
        start: Place of the first row, from 1.
        total: Rows of all pages.
        of_all: Examples that were predicted.
    """

    rows: list[dict[str, Any]]
    order: str
    orders: list[tuple[str, Words]]
    number: int
    count: int
    start: int
    total: int
    of_all: int


def of_report(row: Prediction) -> dict[str, Any]:
    """What the page shows of finished predictions."""
    report = row.job.report
    targets = [_target(one, number) for number, one in enumerate(report["targets"])]
    codes = [one["code"] for one in report["remarks"]]
    return {
        "report": report,
        "split": SPLITS[report["split"]],
        "splits": [(SPLITS[name], count) for name, count in report["splits"].items()],
        "targets": targets,
        "remarks": [_remark(one) for one in report["remarks"]],
        "is_grave": bool(GRAVE.intersection(codes)),
        "columns": [one for one in report["columns"] if _has_news(one)],
    }


def _remark(one: dict[str, Any]) -> str:
    params = one["params"]
    if params.get("target") == LABEL:
        params = params | {"target": gettext("label")}
    return sentence(one["code"], params)


def _has_news(column: dict[str, Any]) -> bool:
    told = column["missing"], column["unread"]["rows"], column["unseen"]["rows"]
    return any(told) or column["found"] != column["type"]


def _target(one: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"about": one, "number": f"-{number}", "mine": None}
    if not one.get("scores"):
        return found
    split = SPLITS.get(one["split"], one["split"])
    shape = classifiers.shown if one["type"] == "category" else regressions.shown
    return found | shape(one, split)


def page_of(row: Prediction, order: str, number: int) -> Page:
    """A page of the examples that can be looked at.

    Args:
        row: Finished predictions.
        order: A key of :data:`ORDERS`; another: the first that there is.
        number: Of the page, from 1; another: the nearest that there is.

    Raises:
        storage.BlobMissing: The file is no longer there.
    """
    there = row.job.report["shown"]
    orders = [(key, title) for key, title in ORDERS.items() if key in there]
    if order not in there:
        order = orders[0][0]
    with storage.open_blob(row.manifest[f"{order}.json"]["blake3"]) as file:
        rows = json.load(file)["rows"]
    count = max(1, -(-len(rows) // PAGE))
    number = min(max(number, 1), count)
    start = (number - 1) * PAGE
    return Page(
        rows[start : start + PAGE],
        order,
        orders,
        number,
        count,
        start + 1,
        len(rows),
        row.job.report["examples"],
    )
