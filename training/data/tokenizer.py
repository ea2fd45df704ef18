"""GPT-2's tokenizer: byte-level BPE, the published vocabulary or one trained on a user's corpus.

- Radford et al., 2019, "Language Models are Unsupervised Multitask Learners", section 2.2: any
  text is a sequence of UTF-8 bytes, so nothing is ever unknown; merges never cross the classes of
  characters (letters, digits, other, white space) that a regular expression separates.

The characters ``<|endoftext|>`` inside a text are ordinary text (``<``, ``|``, ``endo`` …); see
:mod:`training.data.text_tokenizer`.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from training.data.published import PUBLISHED_FOLDER
from training.data.text_tokenizer import (
    CONTROL_TOKEN,
    MAX_SIZE,
    PIECE_CHARACTERS,
    WORD_CHARACTERS,
    Frame,
    TextTokenizer,
    added_tokens,
    check_places,
    declared,
    encodable,
    frame_of,
    pieces_of,
    pretty,
    read_object,
    read_text,
    require_known,
    special_token,
    write_files,
)
from training.errors import TrainingError

END_OF_TEXT = "<|endoftext|>"

#: A vocabulary of natural text is settled long before this; the trainer's counts stay in memory.
TRAINING_CHARACTERS = 200_000_000
#: Longer words are learned from in parts: the trainer's time grows with the square of a word's
#: length, and three million times "a" kept it busy for minutes.
_LONG_WORD = re.compile(r"[^\W\d_]{500}|\d{500}|(?:[^\w\s]|_){500}")
#: Places where GPT-2's expression starts a new token, whatever stands further left or right: after
#: a letter, before punctuation or before one space or line break that another word follows.
_LETTER = "A-Za-z\u4e00-\u9fff"
_CUT = re.compile(rf"(?<=[{_LETTER}])(?=[ \n][0-9{_LETTER}]|[.,;:!?，。！？；：])")


class Tokenizer(TextTokenizer):
    """Text to ids and back.

    Args:
        vocabulary: Token string (in GPT-2's byte alphabet) → id.
        merges: Pairs in the order in which they were learned.
        added: ``added_tokens`` as in ``tokenizer.json``; the end-of-text token is among them.
        end_of_text: The string of the token that ends a document.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        merges: Sequence[tuple[str, str]],
        added: Sequence[dict[str, Any]] = (),
        end_of_text: str = END_OF_TEXT,
    ) -> None:
        self._merges = list(merges)
        listed = list(added)
        if not any(token["content"] == end_of_text for token in listed):
            place = vocabulary.get(end_of_text, 1 + max(vocabulary.values()))
            listed.append(special_token(end_of_text, place))
        super().__init__(vocabulary, listed)
        self.end_of_text = self._vocabulary[end_of_text]
        self._whole = {token["id"] for token in self._added}
        self._start(self._as_json())
        # Such models know no pairs; a line's end parts texts in what they have read.
        self.between = tuple(self.encode("\n"))

    @classmethod
    def gpt2(cls) -> Tokenizer:
        """GPT-2's published vocabulary: 50,257 tokens, end-of-text the last."""
        return _published()

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
        """Learn a vocabulary; the same texts give the same one.

        Args:
            texts: Documents; the first 200 million characters are looked at.
            vocabulary_size: Tokens wanted, the 256 bytes and end-of-text (the last) among them.
                A corpus in which too few pairs occur twice gives fewer: see :attr:`size`.
        """
        if vocabulary_size < 257:
            raise ValueError("the 256 bytes and end-of-text are always in")
        import tokenizers
        from tokenizers import models, pre_tokenizers, trainers

        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size - 1,
            min_frequency=2,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        backend.train_from_iterator(_at_most(texts, TRAINING_CHARACTERS), trainer)
        model = json.loads(backend.to_str())["model"]
        return cls(model["vocab"], [_pair(merge) for merge in model["merges"]])

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Read ``tokenizer.json``, or ``vocab.json`` with ``merges.txt``.

        Raises:
            TrainingError: ``tokenizer_missing``, ``tokenizer_too_large``, ``tokenizer_damaged`` or
                ``tokenizer_unsupported``: anything that is not byte-level BPE as GPT-2 has it.
        """
        parts = read_byte_pairs(folder, plain=True)
        known = parts.vocabulary.keys() | {token["content"] for token in parts.added}
        for candidate in (*declared(folder, "eos_token"), END_OF_TEXT):
            if candidate in known:
                return cls(parts.vocabulary, parts.merges, parts.added, candidate)
        raise TrainingError(
            "tokenizer_unsupported", item="eos_token", value="-", wanted=END_OF_TEXT
        )

    def with_control(self, names: Iterable[str]) -> Self:
        """The same with a control token [0] for each class that has none yet, behind all others.

        - [0] Keskar et al., 2019, "CTRL", https://arxiv.org/abs/1909.05858

        Args:
            names: The classes.

        Raises:
            TrainingError: ``control_token_taken``: the tokenizer has a token of that name which
                text may contain; ``tokenizer_unsupported``: text may contain its end-of-text token.
        """
        if self.end_of_text not in {token["id"] for token in self._added if token["special"]}:
            end = self.token_string(self.end_of_text)
            raise TrainingError(
                "tokenizer_unsupported", item=end, value="special: false", wanted="special: true"
            )
        added = list(self._added)
        for name in names:
            if name in self.control:
                continue
            content = CONTROL_TOKEN.format(encodable(name))
            if content in self._vocabulary:
                raise TrainingError(
                    "control_token_taken", field="tokenizer.kind", name=name, token=content
                )
            added.append(special_token(content, self.size + len(added) - len(self._added)))
        return self._with_added(added)

    def _with_added(self, added: Sequence[dict[str, Any]]) -> Self:
        end = self.token_string(self.end_of_text)
        return type(self)(self._vocabulary, self._merges, added, end)

    @property
    def merges(self) -> list[tuple[str, str]]:
        """Pairs in the order in which they were learned."""
        return list(self._merges)

    @property
    def special_ids(self) -> dict[str, int]:
        """``config.json``'s keys for special tokens → ids."""
        return {"bos_token_id": self.end_of_text, "eos_token_id": self.end_of_text}

    def _pieces(self, text: str) -> Iterator[str]:
        return pieces_of(text, _CUT, PIECE_CHARACTERS, WORD_CHARACTERS)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; broken UTF-8 becomes U+FFFD, end-of-text ``<|endoftext|>``."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, number: int) -> bytes:
        """The UTF-8 bytes a token stands for, perhaps part of a character."""
        string = self.token_string(number)
        if number in self._whole:
            return string.encode()
        return bytes(_BYTES[character] for character in string)

    def pieces(self, string: str) -> list[int]:
        """Ids of the tokens that make up another vocabulary's token string (``Ġthe``); none where a
        character of it is not of the byte alphabet."""
        if any(character not in _BYTES for character in string):
            return []
        return [token.id for token in self._backend.model.tokenize(string)]

    @functools.cached_property
    def sha256(self) -> str:
        content = {
            "vocabulary": sorted(self._vocabulary.items()),
            "merges": self._merges,
            "added": [(token["content"], token["special"]) for token in self._added],
            "end_of_text": self.end_of_text,
        }
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def save(self, folder: Path, context: int | None = None) -> None:
        end = self.token_string(self.end_of_text)
        special: dict[str, Any] = {"bos_token": end, "eos_token": end, "unk_token": end}
        special |= self._told_control()
        settings: dict[str, Any] = {
            "add_prefix_space": False,
            "added_tokens_decoder": {
                str(token["id"]): {key: token[key] for key in token if key != "id"}
                for token in self._added
            },
            **special,
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "tokenizer_class": "GPT2Tokenizer",
        }
        if context is not None:
            settings["model_max_length"] = context
        in_order = dict(sorted(self._vocabulary.items(), key=lambda item: item[1]))
        merges = "".join(f"{left} {right}\n" for left, right in self._merges)
        write_files(
            folder,
            {
                "tokenizer.json": pretty(self._as_json()),
                "tokenizer_config.json": pretty(settings),
                "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
                "vocab.json": json.dumps(in_order, ensure_ascii=False) + "\n",
                "merges.txt": "#version: 0.2\n" + merges,
            },
        )

    def _told_control(self) -> dict[str, Any]:
        """The control tokens, as ``transformers`` is told of further special tokens."""
        tokens = [self.token_string(number) for number in self.control.values()]
        return {"additional_special_tokens": tokens} if tokens else {}

    def _byte_level(self) -> dict[str, Any]:
        return {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        }

    def _post_processor(self) -> dict[str, Any]:
        return self._byte_level()

    def _as_json(self) -> dict[str, Any]:
        byte_level = self._byte_level()
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": self._added,
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": self._post_processor(),
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": dict(sorted(self._vocabulary.items(), key=lambda item: item[1])),
                "merges": [list(pair) for pair in self._merges],
            },
        }


class StreamDecoder:
    """Turns ids that come one by one into text, never half a character.

    stream = StreamDecoder(tokenizer)
    text = "".join(stream.feed(number) for number in ids) + stream.flush()
    assert text == tokenizer.decode(ids)
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, number: int) -> str:
        """The text that this token makes certain, perhaps none."""
        return self._decoder.decode(self._tokenizer.token_bytes(number))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that was never finished."""
        return self._decoder.decode(b"", final=True)


@functools.lru_cache(maxsize=1)
def _published() -> Tokenizer:
    return Tokenizer.load(PUBLISHED_FOLDER)


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte, reversed: ``Ġ`` → 0x20.

    Printable Latin-1 stands for itself; the rest is shifted up past U+0100 in order.
    """
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {
        chr(256 + index): byte for index, byte in enumerate(others)
    }


_BYTES = _byte_alphabet()


def _at_most(texts: Iterable[str], characters: int) -> Iterator[str]:
    for text in texts:
        for piece in pieces_of(encodable(text), _CUT, PIECE_CHARACTERS, WORD_CHARACTERS):
            if characters <= 0:
                return
            start = 0
            for word in _LONG_WORD.finditer(piece[:characters]):
                yield piece[start : word.end()]
                start = word.end()
            yield piece[start:characters]
            characters -= len(piece)


def _pair(merge: Any) -> tuple[str, str]:
    """A merge as tokenizers writes it now (a list) or wrote it before 0.20 (``"a b"``)."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(left, str) or not isinstance(right, str):
        raise TypeError(f"a merge of {str(merge)[:80]}")
    return left, right


@dataclass(frozen=True)
class BytePairs:
    """What a folder says of a byte-level BPE.

    Attributes:
        vocabulary: Token string → id.
        merges: Pairs in order.
        added: ``added_tokens`` as in ``tokenizer.json``.
        prefix_space: Whether a text gets a space in front.
        frame: Tokens before and after every text.
    """

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]
    added: list[dict[str, Any]]
    prefix_space: bool = False
    frame: Frame | None = None


def read_byte_pairs(folder: Path, *, plain: bool) -> BytePairs:
    """Read ``tokenizer.json``, or ``vocab.json`` with ``merges.txt``.

    Args:
        folder: Where they are.
        plain: Refuse tokens around a text and a space before it: GPT-2 has neither.

    Raises:
        TrainingError: ``tokenizer_*``.
    """
    folder = Path(folder)
    if (folder / "tokenizer.json").is_file():
        parts = _read_tokenizer_json(folder, plain)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        parts = _read_vocabulary_and_merges(folder)
    else:
        raise TrainingError("tokenizer_missing")
    _check(parts.vocabulary, parts.merges, parts.added)
    return parts


def _read_tokenizer_json(folder: Path, plain: bool) -> BytePairs:
    name = "tokenizer.json"
    content = read_object(folder, name)
    try:
        _refuse_other_kinds(content, plain)
        model = content["model"]
        return BytePairs(
            model["vocab"],
            [_pair(merge) for merge in model["merges"]],
            added_tokens(content),
            bool((content.get("pre_tokenizer") or {}).get("add_prefix_space")),
            None if plain else frame_of(content.get("post_processor")),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise TrainingError("tokenizer_damaged", file=name, detail=detail) from error


def _refuse_other_kinds(content: dict[str, Any], plain: bool) -> None:
    """Compare the parts of a ``tokenizer.json`` that change ids with what GPT-2's has."""
    model = content["model"]
    before = content.get("pre_tokenizer") or {}
    after = (content.get("post_processor") or {}) if plain else {}
    spaces = (False,) if plain else (False, True)
    require_known(
        [
            ("model.type", model.get("type", "BPE" if "merges" in model else None), ("BPE",)),
            ("model.dropout", model.get("dropout"), (None, 0.0)),
            ("model.continuing_subword_prefix", model.get("continuing_subword_prefix"), ("", None)),
            ("model.end_of_word_suffix", model.get("end_of_word_suffix"), ("", None)),
            ("model.byte_fallback", model.get("byte_fallback", False), (False,)),
            ("model.ignore_merges", model.get("ignore_merges", False), (False,)),
            ("normalizer", (content.get("normalizer") or {}).get("type"), (None,)),
            ("pre_tokenizer", before.get("type"), ("ByteLevel",)),
            ("pre_tokenizer.add_prefix_space", before.get("add_prefix_space"), spaces),
            ("pre_tokenizer.use_regex", before.get("use_regex", True), (True,)),
            ("post_processor", _adds(after), (None,)),
        ]
    )


def _adds(post_processor: dict[str, Any]) -> str | None:
    """The kind of a post-processor that puts tokens around each text; None if it adds none."""
    kind = post_processor.get("type", "ByteLevel")
    if kind == "Sequence":
        return next(filter(None, map(_adds, post_processor["processors"])), None)
    # transformers 5 saves GPT-2's as a template that holds the text and nothing else.
    template = post_processor.get("single", [])
    if kind == "ByteLevel" or (
        kind == "TemplateProcessing" and all("Sequence" in p for p in template)
    ):
        return None
    return str(kind)


def _read_vocabulary_and_merges(folder: Path) -> BytePairs:
    vocabulary = read_object(folder, "vocab.json")
    merges = []
    for number, line in enumerate(read_text(folder, "merges.txt").split("\n"), 1):
        if (number == 1 and line.startswith("#version")) or not line:
            continue
        parts = line.rstrip("\r").split(" ")
        if len(parts) != 2:
            raise TrainingError(
                "tokenizer_damaged", file="merges.txt", detail=f"line {number}: {line[:80]!r}"
            )
        merges.append((parts[0], parts[1]))
    added = []
    if (folder / "added_tokens.json").is_file():
        for content, number in read_object(folder, "added_tokens.json").items():
            added.append(special_token(content, number) | {"special": False})
    return BytePairs(vocabulary, merges, added)


def _check(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], added: list[dict[str, Any]]
) -> None:
    """Refuse a vocabulary that the Rust side would choke on or that cannot write every byte."""
    check_places(vocabulary, added, "vocab.json")
    if len(merges) > MAX_SIZE:
        raise TrainingError("tokenizer_too_large", file="vocab.json", limit=f"{MAX_SIZE:,} tokens")
    for byte_character in _BYTES:
        if byte_character not in vocabulary:
            raise TrainingError(
                "tokenizer_unsupported",
                item="model.vocab",
                value=f"{len(_BYTES.keys() & vocabulary.keys())} bytes",
                wanted="256 bytes",
            )
    whole = {token["content"] for token in added}
    for string in vocabulary:
        # GPT-2's own vocab.json lists <|endoftext|> too; it happens to be in the byte alphabet.
        if string not in whole and not _BYTES.keys() >= set(string):
            raise TrainingError(
                "tokenizer_unsupported",
                item="model.vocab",
                value=json.dumps(string[:80], ensure_ascii=False),
                wanted="bytes",
            )
    for left, right in merges:
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise TrainingError(
                "tokenizer_damaged", file="merges.txt", detail=f"{left[:40]!r} {right[:40]!r}"
            )
