"""What is worth saying about a data set that can be used all the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.errors import MESSAGES

FEW_TOKENS = 20_000
SHORT_TOKENS = 8
LONG_TOKENS = 20_000

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]+")


@dataclass
class DocumentStatistics:
    """Numbers gathered while documents pass by."""

    empty: int = 0
    unpaired: int = 0
    replaced: int = 0
    documents: int = 0
    mostly_han: int = 0
    hardly_han: int = 0
    characters: int = 0
    han: int = 0

    def add(self, normalised: str) -> None:
        """Count a document, its white space already reduced to single spaces."""
        characters = len(normalised) - normalised.count(" ")
        han = 0 if normalised.isascii() else sum(map(len, _HAN.findall(normalised)))
        self.documents += 1
        self.characters += characters
        self.han += han
        self.mostly_han += han > 0.5 * characters
        self.hardly_han += han < 0.05 * characters

    @property
    def han_share(self) -> float:
        """Share of Han characters among those that are not white space, 0..1."""
        return round(self.han / max(self.characters, 1), 4)


def remark(code: str, **params: Any) -> dict[str, Any]:
    """A warning as ``dataset.json`` holds it: a code and params to translate it by, and English."""
    return {"code": code, "params": params, "message": MESSAGES[code] % params}


def remarks(
    statistics: DocumentStatistics,
    counts: dict[str, int],
    tokens: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
    train: dict[str, int],
    *,
    sentences: bool = False,
) -> list[dict[str, Any]]:
    """Warnings as ``{code, params, message}``.

    Args:
        counts: Of ``dataset.json``.
        tokens: Length of each document kept.
        ids: Its place in the upload.
        train: The training split's counts.
        sentences: Whether documents are such, and short by nature.
    """
    found: list[dict[str, Any]] = []

    def say(code: str, **params: Any) -> None:
        found.append(remark(code, **params))

    if train["tokens"] < FEW_TOKENS and not sentences:
        say("warning_few_tokens", tokens=train["tokens"])
    short = int((tokens < SHORT_TOKENS).sum())
    if short >= 0.1 * len(tokens) and not sentences:
        say("warning_short_documents", percent=percent(short, len(tokens)), tokens=SHORT_TOKENS)
    longest, total = int(tokens.argmax()), int(tokens.sum())
    if tokens[longest] >= LONG_TOKENS and tokens[longest] >= 0.1 * total:
        say(
            "warning_long_document",
            id=int(ids[longest]),
            tokens=int(tokens[longest]),
            percent=percent(int(tokens[longest]), total),
        )
    if counts["duplicates"] >= max(1, 0.05 * counts["documents"]):
        say(
            "warning_duplicates",
            duplicates=counts["duplicates"],
            documents=counts["documents"],
            percent=percent(counts["duplicates"], counts["documents"]),
        )
    if statistics.empty:
        say("warning_empty", empty=statistics.empty)
    if statistics.unpaired:
        say("warning_unpaired", unpaired=statistics.unpaired)
    mixed = min(statistics.mostly_han, statistics.hardly_han)
    if mixed >= 0.1 * statistics.documents:
        say(
            "warning_mixed_languages",
            han_percent=percent(statistics.mostly_han, statistics.documents),
        )
    if statistics.replaced:
        say("warning_replaced", documents=statistics.replaced)
    return found


def percent(part: int, whole: int) -> int:
    """A share in whole percent."""
    return round(100 * part / max(whole, 1))
