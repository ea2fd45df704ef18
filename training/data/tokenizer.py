"""GPT-2's tokenizer: byte-level BPE, the published vocabulary or one trained on a user's corpus.

- Radford et al., 2019, "Language Models are Unsupervised Multitask Learners", section 2.2: any
  text is a sequence of UTF-8 bytes, so nothing is ever unknown; merges never cross the classes of
  characters (letters, digits, other, white space) that a regular expression separates.

Documents are data, not commands: the characters ``<|endoftext|>`` inside a text are encoded as
ordinary text (``<``, ``|``, ``endo`` …), never as the special token. Otherwise a document that
merely quotes them would cut itself in two while training, and a prompt could end itself. Only here
do ids differ from those of ``transformers``, unless it is told ``split_special_tokens=True``.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from training.data.published import PUBLISHED_FOLDER
from training.errors import TrainingError

END_OF_TEXT = "<|endoftext|>"

#: GPT2Config's bound on the vocabulary; also what keeps a hostile file from taking the memory.
MAX_SIZE = 1_000_000
MAX_FILE_BYTES = 128 * 2**20
#: A vocabulary of natural text is settled long before this; the trainer's counts stay in memory.
TRAINING_CHARACTERS = 200_000_000
#: Longer texts are encoded in pieces: an encoding takes about 100 bytes a token while it lives.
PIECE_CHARACTERS = 100_000
#: Longer words are learned from in parts: the trainer's time grows with the square of a word's
#: length, and three million times "a" kept it busy for minutes.
_LONG_WORD = re.compile(r"[^\W\d_]{500}|\d{500}|(?:[^\w\s]|_){500}")
#: Where a longer piece is cut even inside a word; no natural text has such a word.
WORD_CHARACTERS = 1_000_000

#: Places where GPT-2's expression starts a new token, whatever stands further left or right: after
#: a letter, before punctuation or before one space or line break that another word follows.
_LETTER = "A-Za-z\u4e00-\u9fff"
_CUT = re.compile(rf"(?<=[{_LETTER}])(?=[ \n][0-9{_LETTER}]|[.,;:!?，。！？；：])")


class Tokenizer:
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
        self._vocabulary = dict(vocabulary)
        self._merges = list(merges)
        self._added = [dict(token) for token in added]
        if not any(token["content"] == end_of_text for token in self._added):
            place = self._vocabulary.get(end_of_text, 1 + max(self._vocabulary.values()))
            self._added.append(_special(end_of_text, place))
        for token in self._added:
            self._vocabulary.setdefault(token["content"], token["id"])
        self._added.sort(key=lambda token: token["id"])
        self.size = 1 + max(self._vocabulary.values())
        self.end_of_text = self._vocabulary[end_of_text]
        self._strings: list[str | None] = [None] * self.size
        for string, number in self._vocabulary.items():
            self._strings[number] = string
        self._whole = {token["id"] for token in self._added}
        self._backend = tokenizers.Tokenizer.from_str(json.dumps(self._as_json()))
        self._backend.encode_special_tokens = True

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
        folder = Path(folder)
        if (folder / "tokenizer.json").is_file():
            vocabulary, merges, added = _read_tokenizer_json(folder)
        elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            vocabulary, merges, added = _read_vocabulary_and_merges(folder)
        else:
            raise TrainingError("tokenizer_missing")
        _check(vocabulary, merges, added)
        known = vocabulary.keys() | {token["content"] for token in added}
        for candidate in (*_declared_end(folder), END_OF_TEXT):
            if candidate in known:
                return cls(vocabulary, merges, added, candidate)
        raise TrainingError(
            "tokenizer_unsupported", item="eos_token", value="-", wanted=END_OF_TEXT
        )

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without end-of-text; special tokens inside are ordinary text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, on all cores. Lone surrogates count as U+FFFD."""
        found: list[list[int]] = [[] for _ in texts]
        for index, ids in self._encoded(texts):
            found[index].extend(ids)
        return found

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """How many ids each text has; the ids themselves are not kept."""
        found = [0] * len(texts)
        for index, ids in self._encoded(texts):
            found[index] += len(ids)
        return found

    def _encoded(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        """(Index of a text, ids of its next piece); about four long pieces live at a time."""
        pieces: list[str] = []
        owners: list[int] = []
        size = 0
        for index, text in enumerate(texts):
            for piece in _pieces(_encodable(text)):
                pieces.append(piece)
                owners.append(index)
                size += len(piece)
                if size >= 4 * PIECE_CHARACTERS or len(pieces) >= 10_000:
                    yield from zip(owners, self._ids(pieces), strict=True)
                    pieces, owners, size = [], [], 0
        yield from zip(owners, self._ids(pieces), strict=True)

    def _ids(self, pieces: Sequence[str]) -> list[list[int]]:
        encodings = self._backend.encode_batch_fast(pieces, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; broken UTF-8 becomes U+FFFD, end-of-text ``<|endoftext|>``."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_string(self, number: int) -> str:
        """A token as ``vocab.json`` writes it: ``Ġthe`` is " the". Empty for an id not in use."""
        return (self._strings[number] if 0 <= number < self.size else None) or ""

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

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token string → id, added tokens included; for carrying embeddings over by token."""
        return dict(self._vocabulary)

    @functools.cached_property
    def sha256(self) -> str:
        """Identity: equal for tokenizers that give equal ids, whatever files they came from."""
        content = {
            "vocabulary": sorted(self._vocabulary.items()),
            "merges": self._merges,
            "added": [(token["content"], token["special"]) for token in self._added],
            "end_of_text": self.end_of_text,
        }
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def save(self, folder: Path, context: int | None = None) -> None:
        """Write the files that ``transformers`` reads.

        Args:
            folder: Where to, made if need be.
            context: The model's longest input in tokens, for ``model_max_length``.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        end = self.token_string(self.end_of_text)
        special = {"bos_token": end, "eos_token": end, "unk_token": end}
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
        for name, text in {
            "tokenizer.json": json.dumps(self._as_json(), ensure_ascii=False, indent=2) + "\n",
            "tokenizer_config.json": json.dumps(settings, ensure_ascii=False, indent=2) + "\n",
            "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
            "vocab.json": json.dumps(in_order, ensure_ascii=False) + "\n",
            "merges.txt": "#version: 0.2\n" + merges,
        }.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")

    def _as_json(self) -> dict[str, Any]:
        byte_level = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        }
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": self._added,
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": byte_level,
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


def _special(content: str, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _encodable(text: str) -> str:
    """The text with lone surrogates (JSON can hold them, UTF-8 cannot) as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text where the tokens stay the same as without the cut."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        cut = _CUT.search(text, start + PIECE_CHARACTERS, start + WORD_CHARACTERS)
        end = cut.start() if cut else min(start + WORD_CHARACTERS, len(text))
        yield text[start:end]
        start = end
    if start < len(text) or not text:
        yield text[start:]


def _at_most(texts: Iterable[str], characters: int) -> Iterator[str]:
    for text in texts:
        for piece in _pieces(_encodable(text)):
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
    return left, right


def _read(folder: Path, name: str) -> str:
    path = folder / name
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TrainingError(
            "tokenizer_too_large", file=name, limit=f"{MAX_FILE_BYTES // 2**20} MiB"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TrainingError("tokenizer_damaged", file=name, detail=str(error)) from error


def _read_object(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(_read(folder, name))
    except (json.JSONDecodeError, RecursionError) as error:
        raise TrainingError("tokenizer_damaged", file=name, detail=str(error)) from error
    if not isinstance(content, dict):
        raise TrainingError("tokenizer_damaged", file=name, detail="not an object")
    return content


Parts = tuple[dict[str, int], list[tuple[str, str]], list[dict[str, Any]]]


def _read_tokenizer_json(folder: Path) -> Parts:
    name = "tokenizer.json"
    content = _read_object(folder, name)
    try:
        _refuse_other_kinds(content)
        model = content["model"]
        merges = [_pair(merge) for merge in model["merges"]]
        added = [
            _special(token["content"], token["id"])
            | {key: bool(token.get(key)) for key in _FLAGS if key in token}
            for token in content.get("added_tokens") or []
        ]
        return model["vocab"], merges, added
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise TrainingError("tokenizer_damaged", file=name, detail=detail) from error


_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def _refuse_other_kinds(content: dict[str, Any]) -> None:
    """Compare the parts of a ``tokenizer.json`` that change ids with what GPT-2's has."""
    model = content["model"]
    before = content.get("pre_tokenizer") or {}
    after = content.get("post_processor") or {}
    wanted: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("model.type", model.get("type", "BPE" if "merges" in model else None), ("BPE",)),
        ("model.dropout", model.get("dropout"), (None, 0.0)),
        ("model.continuing_subword_prefix", model.get("continuing_subword_prefix"), ("", None)),
        ("model.end_of_word_suffix", model.get("end_of_word_suffix"), ("", None)),
        ("model.byte_fallback", model.get("byte_fallback", False), (False,)),
        ("model.ignore_merges", model.get("ignore_merges", False), (False,)),
        ("normalizer", (content.get("normalizer") or {}).get("type"), (None,)),
        ("pre_tokenizer", before.get("type"), ("ByteLevel",)),
        ("pre_tokenizer.add_prefix_space", before.get("add_prefix_space"), (False,)),
        ("pre_tokenizer.use_regex", before.get("use_regex", True), (True,)),
        ("post_processor", _adds(after), (None,)),
    ]
    for item, value, allowed in wanted:
        if value not in allowed:
            raise TrainingError(
                "tokenizer_unsupported",
                item=item,
                value=json.dumps(value)[:80],
                wanted=json.dumps(allowed[0]),
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


def _read_vocabulary_and_merges(folder: Path) -> Parts:
    vocabulary = _read_object(folder, "vocab.json")
    merges = []
    for number, line in enumerate(_read(folder, "merges.txt").split("\n"), 1):
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
        for content, number in _read_object(folder, "added_tokens.json").items():
            added.append(_special(content, number) | {"special": False})
    return vocabulary, merges, added


def _check(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], added: list[dict[str, Any]]
) -> None:
    """Refuse a vocabulary that the Rust side would choke on or that cannot write every byte."""

    def damaged(detail: str) -> TrainingError:
        return TrainingError("tokenizer_damaged", file="vocab.json", detail=detail)

    if not isinstance(vocabulary, dict):
        raise damaged("not an object")
    places: dict[str, Any] = dict(vocabulary)
    for token in added:
        content, number = token["content"], token["id"]
        if not isinstance(content, str) or not content:
            raise damaged(f"added token {content!r}")
        if places.setdefault(content, number) != number:
            raise damaged(f"{content!r} has two ids")
    if len(places) > MAX_SIZE or len(merges) > MAX_SIZE:
        raise TrainingError("tokenizer_too_large", file="vocab.json", limit=f"{MAX_SIZE:,} tokens")
    seen: set[int] = set()
    for string, number in places.items():
        if not isinstance(number, int) or isinstance(number, bool) or number in seen:
            raise damaged(f"id {number!r} of {string[:80]!r}")
        if not 0 <= number < MAX_SIZE:
            raise damaged(f"id {number} of {string[:80]!r}")
        seen.add(number)
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


def _declared_end(folder: Path) -> Iterator[str]:
    """The ``eos_token`` that the folder's settings name, first the more specific file's."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            token = _read_object(folder, name).get("eos_token")
            if isinstance(token, dict):
                token = token.get("content")
            if isinstance(token, str):
                yield token
