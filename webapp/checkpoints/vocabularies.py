"""Vocabularies of stored checkpoints, as a copy's preview needs them: without their tokenizer."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django import forms
from django.utils.translation import gettext

from training.backbones.registry import config_of
from training.data.published import VOCABULARY_FILE
from training.data.tokenizers import read_tokenizer
from training.weights.checkpoint import TOKENIZER_FILES
from training.weights.transfer import require_readable
from webapp import storage
from webapp.checkpoints.models import Checkpoint

#: A file larger than this is not read for a preview.
MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Vocabulary:
    """What a tokenizer calls its tokens.

    Attributes:
        ids: Token string → id.
        bytes: Whether the strings stand for bytes, as GPT-2's do, and not for pieces of words.
    """

    ids: Mapping[str, int]
    bytes: bool

    @property
    def size(self) -> int:
        return 1 + max(self.ids.values(), default=0)


def published_gpt2() -> Vocabulary:
    """GPT-2's own."""
    return Vocabulary(json.loads(VOCABULARY_FILE.read_bytes()), bytes=True)


def vocabulary_of(checkpoint: Checkpoint) -> Vocabulary:
    """From the checkpoint's own files.

    Raises:
        forms.ValidationError: There is none that can be read; for the field ``tokenizer``.
    """
    entry = checkpoint.manifest.get("tokenizer.json")
    try:
        if entry is not None and entry["size"] <= MOST_BYTES:
            return _stored(entry["blake3"])
    except (storage.BlobMissing, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise _unreadable(checkpoint)


def _unreadable(checkpoint: Checkpoint) -> forms.ValidationError:
    said = gettext("The vocabulary of %(name)s is not in the store, or too large to be read here.")
    return forms.ValidationError({"tokenizer": said % {"name": checkpoint.name}})


@functools.lru_cache(maxsize=4)
def _stored(digest: str) -> Vocabulary:
    """A file in the store never changes, and a form asks for the same ones again and again."""
    with storage.open_blob(digest) as file:
        content: dict[str, Any] = json.load(file)
    model = content["model"]
    ids = {**model["vocab"], **{one["content"]: one["id"] for one in content["added_tokens"]}}
    return Vocabulary(ids, bytes=model.get("type") != "WordPiece")


def rows_by_string(source: Vocabulary, target: Vocabulary) -> list[list[int]] | None:
    """How the rows of a new embedding go, as far as the strings alone can tell.

    Returns:
        For each id of the target one source row where both know the token's string, two (which
        says: several) where the source has only its parts. None where strings mean different
        things in the two.
    """
    if source.bytes != target.bytes:
        return None
    made_of_parts = [0, 0] if source.bytes else []
    rows: list[list[int]] = [[] for _row in range(target.size)]
    for string, number in target.ids.items():
        rows[number] = [source.ids[string]] if string in source.ids else list(made_of_parts)
    return rows


def special_ids(source: Checkpoint, target: str) -> Mapping[str, int]:
    """Ids of a tokenizer's special tokens, for a model of another architecture that takes it over.

    Args:
        source: Whose tokenizer.
        target: Key of the architecture.

    Raises:
        TrainingError: ``tokenizer_*``: the architecture cannot have it.
        forms.ValidationError: Its files are not in the store; for the field ``tokenizer``.
    """
    files = [
        (name, entry["blake3"], entry["size"])
        for name in TOKENIZER_FILES
        if (entry := source.manifest.get(name))
    ]
    try:
        return _special_ids(tuple(files), source.architecture, target)
    except storage.StoreError:
        raise _unreadable(source) from None


@functools.lru_cache(maxsize=64)
def _special_ids(
    files: tuple[tuple[str, str, int], ...], architecture: str, target: str
) -> Mapping[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        manifest = {name: {"blake3": digest, "size": size} for name, digest, size in files}
        storage.materialise(manifest, Path(folder))
        tokenizer = read_tokenizer(Path(folder), architecture)
        require_readable(tokenizer, config_of({"architecture": target}))
        return tokenizer.special_ids
