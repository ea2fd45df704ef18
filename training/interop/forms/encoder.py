"""What the forms of BERT, DistilBERT and RoBERTa share: heads, labels, buffers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from training.backbones.contract import BackboneConfig
from training.backbones.encoder.config import MOST_LABELS
from training.errors import TrainingError

#: Keys that leave the function alone; the labels' names are read by :func:`labels_of`.
IGNORED = frozenset(
    {
        "id2label",
        "label2id",
        "num_labels",
        "_num_labels",
        # What a loss is made of, not the scores.
        "problem_type",
        "finetuning_task",
        "task_specific_params",
        "tokenizer_class",
        "prefix",
    }
)

#: Keys that would change the function at other values.
ONLY: dict[str, tuple[Any, ...]] = {
    "tie_word_embeddings": (True,),
    "is_decoder": (False,),
    "position_embedding_type": ("absolute",),
}


def labels_of(payload: Mapping[str, Any]) -> list[str]:
    """The classes' names in the order of their scores, as ``transformers`` takes them.

    Raises:
        TrainingError: ``config_unsupported`` or ``config_contradiction``.
    """
    count = payload.get("num_labels", payload.get("_num_labels"))
    names = payload.get("id2label")
    if names is None:
        found = [f"LABEL_{number}" for number in range(2 if count is None else _count(count))]
    else:
        found = _in_order(names)
        if count is not None and count != len(found):
            raise TrainingError("config_contradiction", name="num_labels", other="id2label")
    return found


def labels_told(config: BackboneConfig) -> dict[str, Any]:
    """The keys that ``transformers`` writes for our labels; none without them."""
    labels: list[str] = getattr(config, "labels", [])
    if not labels:
        return {}
    number = len(labels) == 1 and getattr(config, "head", "") == "classification"
    return {
        # One output is a number and no class: transformers' own reading of one label.
        **({"problem_type": "regression"} if number else {}),
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
    }


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_LABELS:
        raise _unsupported("num_labels", value, f"1 … {MOST_LABELS}")
    return value


def _in_order(names: Any) -> list[str]:
    try:
        by_number = {int(number): str(name) for number, name in names.items()}
        if not by_number or len(by_number) > MOST_LABELS:
            raise ValueError
        "".join(by_number.values()).encode()  # half a surrogate pair could not be written again
        return [by_number[number] for number in range(len(by_number))]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unsupported("id2label", names, '{"0": "…", "1": "…"}') from error


def _unsupported(name: str, value: Any, allowed: str) -> TrainingError:
    shown = json.dumps(value)[:120]
    return TrainingError("config_unsupported", name=name, value=shown, allowed=allowed)
