"""seqeval's side of entities, in the virtual environment of ``make parity``.

    python -m tests.parity.make_entities

Writes ``tests/parity/reference/entities.json``: tags of random sentences, well-formed or not, the
entities that ``seqeval`` reads in them in its default mode, and its scores of one half against the
other.
"""

from __future__ import annotations

import json
import random
from typing import Any

from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from tests.parity.fixtures import REFERENCE

TYPES = ("PER", "LOC", "A-B")
#: Scheme → prefixes that its tags may have.
PREFIXES = {"IOB": "BI", "IOBES": "BIES"}


def drawn(prefixes: str, draw: random.Random) -> list[list[str]]:
    tags = ["O", "O", "O", *(f"{prefix}-{type}" for prefix in prefixes for type in TYPES)]
    return [[draw.choice(tags) for _ in range(draw.randint(1, 9))] for _ in range(60)]


def changed(sentences: list[list[str]], draw: random.Random) -> list[list[str]]:
    """The same with a fifth of the tags taken from elsewhere."""
    known = [tag for sentence in sentences for tag in sentence]
    return [
        [draw.choice(known) if draw.random() < 0.2 else tag for tag in sentence]
        for sentence in sentences
    ]


def main() -> None:
    found: dict[str, Any] = {}
    for scheme, prefixes in PREFIXES.items():
        draw = random.Random(scheme)
        true = drawn(prefixes, draw)
        predicted = changed(true, draw)
        report = classification_report(true, predicted, output_dict=True, zero_division=0)
        found[scheme] = {
            "true": true,
            "predicted": predicted,
            "entities": [get_entities(sentence) for sentence in true],
            "precision": precision_score(true, predicted),
            "recall": recall_score(true, predicted),
            "f1": f1_score(true, predicted),
            "types": {
                type: {
                    "precision": float(report[type]["precision"]),
                    "recall": float(report[type]["recall"]),
                    "f1": float(report[type]["f1-score"]),
                    "entities": int(report[type]["support"]),
                }
                for type in TYPES
            },
        }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    (REFERENCE / "entities.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
