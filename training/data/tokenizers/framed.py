"""Byte-level BPE whose texts stand between special tokens: RoBERTa's and OPT's tokenizers.

- Liu et al., 2019, "RoBERTa": ``<s> text </s>``.
- Zhang et al., 2022, "OPT: Open Pre-trained Transformer Language Models": ``</s> text``. The token
  that ends a text begins it, too; many forget it, and the model's first words are odd.

Both have GPT-2's merges; what texts mean in bytes is :class:`training.data.tokenizer.Tokenizer`'s.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from training.data.text_tokenizer import (
    Frame,
    declared,
    pretty,
    require_known,
    special_token,
    write_files,
)
from training.data.tokenizer import Tokenizer, read_byte_pairs
from training.errors import TrainingError


@dataclass(frozen=True)
class Style:
    """How a home frames its texts.

    Attributes:
        tokenizer_class: In ``transformers``.
        specials: Special tokens by their names there.
        before: Which of them stand before a text.
        after: Which stand after it.
        optional: Whether a folder may also have neither.
    """

    tokenizer_class: str
    specials: Mapping[str, str]
    before: tuple[str, ...]
    after: tuple[str, ...]
    optional: bool = False


#: By architecture.
STYLES: dict[str, Style] = {
    "roberta": Style(
        "RobertaTokenizer",
        {
            "bos_token": "<s>",
            "cls_token": "<s>",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "sep_token": "</s>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
        },
        before=("cls_token",),
        after=("sep_token",),
    ),
    "opt": Style(
        "GPT2Tokenizer",
        {"pad_token": "<pad>", "bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>"},
        before=("bos_token",),
        after=(),
        optional=True,
    ),
}


class FramedTokenizer(Tokenizer):
    """Text to ids and back, with special tokens around.

    Args:
        vocabulary: Token string (in GPT-2's byte alphabet) → id.
        merges: Pairs in the order in which they were learned.
        added: ``added_tokens`` as in ``tokenizer.json``.
        style: Whose frame.
        names: The special tokens, by the style's names.
        framed: False: texts stand alone, where the style lets them.
        prefix_space: Whether a text gets a space in front, so that its first word is like others.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        merges: Sequence[tuple[str, str]],
        added: Sequence[dict[str, Any]],
        *,
        style: Style,
        names: Mapping[str, str],
        framed: bool = True,
        prefix_space: bool = False,
    ) -> None:
        self.style, self.names, self._prefix_space = style, dict(names), prefix_space
        places = dict(vocabulary) | {token["content"]: token["id"] for token in added}
        for key, content in self.names.items():
            if content not in places:
                raise TrainingError(
                    "tokenizer_unsupported", item=key, value="-", wanted=json.dumps(content)
                )
        self._places = {key: places[content] for key, content in self.names.items()}
        listed = {token["content"]: token for token in added}
        for key, content in self.names.items():
            # RoBERTa's mask takes the space before it along.
            own = special_token(content, places[content]) | {"lstrip": key == "mask_token"}
            listed.setdefault(content, own)
        if framed:
            self.before = tuple(self._places[key] for key in style.before)
            self.after = tuple(self._places[key] for key in style.after)
        super().__init__(vocabulary, merges, list(listed.values()), self.names["eos_token"])
        if self.after:
            # RoBERTa's ends twice between two texts, and has one token type.
            self.between = self.after * 2

    @classmethod
    def load_as(cls, folder: Path, style: Style) -> FramedTokenizer:
        """Read a folder's tokenizer.

        Raises:
            TrainingError: ``tokenizer_*``; ``tokenizer_unsupported`` for another frame.
        """
        parts = read_byte_pairs(folder, plain=False)
        known = parts.vocabulary.keys() | {token["content"] for token in parts.added}
        needed = {"bos_token", "eos_token", *style.before, *style.after}
        names = {
            key: name
            for key, usual in style.specials.items()
            if (name := next(declared(folder, key), usual)) in known or key in needed
        }
        frame: Frame = (
            tuple(names[key] for key in style.before),
            tuple(names[key] for key in style.after),
        )
        found, bare = parts.frame, list[Frame]([((), ())] if style.optional else [])
        if found is None:
            # Without tokenizer.json, as transformers takes it: bare if nothing is said.
            bos = not style.optional or next(declared(folder, "add_bos_token", bool), False)
            found = frame if bos else bare[0]
        require_known([("post_processor", found, (frame, *bare))])
        prefix_space = parts.prefix_space
        for space in declared(folder, "add_prefix_space", bool):
            prefix_space = prefix_space or (parts.frame is None and space)
        return cls(
            parts.vocabulary,
            parts.merges,
            parts.added,
            style=style,
            names=names,
            framed=found == frame,
            prefix_space=prefix_space,
        )

    def _with_added(self, added: Sequence[dict[str, Any]]) -> Self:
        return type(self)(
            self._vocabulary,
            self._merges,
            added,
            style=self.style,
            names=self.names,
            framed=bool(self.before or self.after),
            prefix_space=self._prefix_space,
        )

    @property
    def special_ids(self) -> dict[str, int]:
        keys = ("bos_token", "eos_token", "pad_token")
        return {f"{key}_id": self._places[key] for key in keys if key in self._places}

    @functools.cached_property
    def sha256(self) -> str:
        around = [super().sha256, self.before, self.after, self._prefix_space, self._places]
        return hashlib.sha256(json.dumps(around, sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path, context: int | None = None) -> None:
        super().save(folder, context)
        settings: dict[str, Any] = {
            "add_prefix_space": self._prefix_space,
            "added_tokens_decoder": {
                str(token["id"]): {key: token[key] for key in token if key != "id"}
                for token in self._added
            },
            **self.names,
            **self._told_control(),
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "tokenizer_class": self.style.tokenizer_class,
        }
        if self.style.optional:
            settings["add_bos_token"] = bool(self.before)
        if context is not None:
            settings["model_max_length"] = context
        write_files(
            folder,
            {
                "tokenizer_config.json": pretty(settings),
                "special_tokens_map.json": pretty(self.names | self._told_control()),
            },
        )

    def _byte_level(self) -> dict[str, Any]:
        return super()._byte_level() | {"add_prefix_space": self._prefix_space}

    def _post_processor(self) -> dict[str, Any]:
        if not self.before and not self.after:
            return super()._byte_level()
        if self.after:
            sep, cls = self.names["sep_token"], self.names["cls_token"]
            return {
                "type": "RobertaProcessing",
                "sep": [sep, self._places["sep_token"]],
                "cls": [cls, self._places["cls_token"]],
                "trim_offsets": True,
                "add_prefix_space": self._prefix_space,
            }
        begin, number = self.names["bos_token"], self.before[0]

        def text(name: str, kind: int) -> list[dict[str, Any]]:
            return [
                {"SpecialToken": {"id": begin, "type_id": kind}},
                {"Sequence": {"id": name, "type_id": kind}},
            ]

        return {
            "type": "TemplateProcessing",
            "single": text("A", 0),
            "pair": [*text("A", 0), *text("B", 1)],
            "special_tokens": {begin: {"id": begin, "ids": [number], "tokens": [begin]}},
        }
