"""What every tokenizer of a text model can do, whatever its kind.

Documents are data, not commands: the characters of a special token inside a text (``[SEP]``,
``</s>``, ``<|endoftext|>``) are encoded as ordinary text, never as that token. Otherwise a document
that merely quotes them would cut itself in two, and a prompt could end itself. Only here do ids
differ from those of ``transformers``, unless it is told ``split_special_tokens=True``. Where the
token is meant, as in a text with a ``[MASK]`` to fill in, :meth:`TextTokenizer.encode_input` takes
it for one on request.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError

if TYPE_CHECKING:
    import tokenizers

#: The configurations' bound on the vocabulary; also what keeps a hostile file from the memory.
MAX_SIZE = 1_000_000
MAX_FILE_BYTES = 128 * 2**20
#: Longer texts are encoded in pieces: an encoding takes about 100 bytes a token while it lives.
PIECE_CHARACTERS = 100_000
#: Where a longer piece is cut even inside a word; no natural text has such a word.
WORD_CHARACTERS = 1_000_000

#: How the token is written that tells a model to write text of a class.
CONTROL_TOKEN = "<|control:{}|>"
_CONTROL = re.compile(r"<\|control:(.+)\|>", re.DOTALL)

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class TextTokenizer:
    """Text to ids and back.

    Args:
        vocabulary: Token string → id.
        added: ``added_tokens`` as in ``tokenizer.json``.

    Attributes:
        size: One more than the largest id.
        before: Ids that stand before every input of the model.
        after: Ids that stand after it.
        between: Ids between the two texts of a pair.
        types_differ: Whether the second text of a pair, and what stands after it, has the token
            type 1; otherwise all have the type 0.
        end_of_text: Id of the token that ends a text.
    """

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    types_differ: bool = False
    end_of_text: int

    def __init__(self, vocabulary: Mapping[str, int], added: Sequence[Mapping[str, Any]]) -> None:
        self._vocabulary = dict(vocabulary)
        self._added = sorted((dict(token) for token in added), key=lambda token: token["id"])
        for token in self._added:
            self._vocabulary.setdefault(token["content"], token["id"])
        self.size = 1 + max(self._vocabulary.values())
        self._strings: list[str | None] = [None] * self.size
        for string, number in self._vocabulary.items():
            self._strings[number] = string

    def _start(self, pipeline: Mapping[str, Any]) -> None:
        """Make the encoder of a ``tokenizer.json``; call it at the end of ``__init__``.

        Raises:
            TrainingError: ``tokenizer_damaged``.
        """
        import tokenizers  # not with the module, which the portal imports too

        try:
            self._backend = tokenizers.Tokenizer.from_str(json.dumps(pipeline))
        except Exception as error:  # the library has no class of its own
            raise TrainingError(
                "tokenizer_damaged", file="tokenizer.json", detail=str(error)[:200]
            ) from error
        self._backend.encode_special_tokens = True

    @functools.cached_property
    def _literal(self) -> tokenizers.Tokenizer:
        """The same encoder, to which a special token quoted in a text is that token."""
        return type(self._backend).from_str(self._backend.to_str())

    @property
    def special_ids(self) -> dict[str, int]:
        """``config.json``'s keys for special tokens → ids."""
        raise NotImplementedError

    @property
    def sha256(self) -> str:
        """Identity: equal for tokenizers that give equal ids, whatever files they came from."""
        raise NotImplementedError

    def save(self, folder: Path, context: int | None = None) -> None:
        """Write the files that ``transformers`` reads.

        Args:
            folder: Where to, made if need be.
            context: The model's longest input in tokens, for ``model_max_length``.
        """
        raise NotImplementedError

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """Ids of a text alone; special tokens inside are ordinary text."""
        return self.encode_batch([text])[0]

    def encode_input(
        self, text: str, most: int | None = None, *, as_tokens: bool = False
    ) -> list[int]:
        """Ids as the model wants them, with the special tokens around.

        Args:
            text: What to encode.
            most: Ids at most; the text's last ones are left out. None: all.
            as_tokens: Let special tokens quoted in the text be those tokens, as ``transformers``
                does: for a ``[MASK]`` to fill in, never for documents.
        """
        ids = (
            self._literal.encode(text, add_special_tokens=False).ids
            if as_tokens
            else self.encode(text)
        )
        if most is not None:
            ids = ids[: max(0, most - len(self.before) - len(self.after))]
        return [*self.before, *ids, *self.after]

    def encode_pair(
        self, first: str, second: str, most: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Ids of two texts as the model wants them, and the token type of each.

        Args:
            first: What stands first.
            second: What stands second.
            most: Ids at most; see :func:`shortened`. None: all.
        """
        one, two = self.encode_batch([first, second])
        if most is not None:
            around = len(self.before) + len(self.between) + len(self.after)
            kept = shortened(len(one), len(two), max(0, most - around))
            one, two = one[: kept[0]], two[: kept[1]]
        head, tail = [*self.before, *one, *self.between], [*two, *self.after]
        return head + tail, [0] * len(head) + [int(self.types_differ)] * len(tail)

    def encode_words(
        self, words: Sequence[str], most: int | None = None
    ) -> tuple[list[int], list[int | None]]:
        """Ids of a sentence given word by word, as the model wants them, and each word's first.

        Each word is cut into pieces by itself, after a space where spaces are part of tokens: as
        ``transformers`` does with ``is_split_into_words`` (of RoBERTa also ``add_prefix_space``).

        Args:
            words: The sentence's.
            most: Ids at most; the last ones are left out. None: all.

        Returns:
            The ids, special tokens around them, and of each word the place of its first piece in
            them; None: it was cut off, or the tokenizer makes nothing of it.
        """
        encoding = self._by_word.encode(
            [encodable(word) for word in words], is_pretokenized=True, add_special_tokens=False
        )
        ids, owners = encoding.ids, encoding.word_ids
        if most is not None:
            room = max(0, most - len(self.before) - len(self.after))
            ids, owners = ids[:room], owners[:room]
        starts: list[int | None] = [None] * len(words)
        for place, owner in enumerate(owners, len(self.before)):
            if owner is not None and starts[owner] is None:
                starts[owner] = place
        return [*self.before, *ids, *self.after], starts

    @functools.cached_property
    def _by_word(self) -> tokenizers.Tokenizer:
        """The same encoder, to which every word begins as after a space."""
        pipeline = json.loads(self._backend.to_str())
        if (pipeline["pre_tokenizer"] or {}).get("type") == "ByteLevel":
            pipeline["pre_tokenizer"]["add_prefix_space"] = True
        found = type(self._backend).from_str(json.dumps(pipeline))
        found.encode_special_tokens = True
        return found

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

    def token_string(self, number: int) -> str:
        """A token as the vocabulary writes it. Empty for an id not in use."""
        return (self._strings[number] if 0 <= number < self.size else None) or ""

    @functools.cached_property
    def control(self) -> dict[str, int]:
        """Class → id of the token that tells a model to write text of it, in the order of ids.

        Only tokens that no text can contain are among them.
        """
        return {
            found[1]: token["id"]
            for token in self._added
            if token["special"] and (found := _CONTROL.fullmatch(token["content"]))
        }

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token string → id, added tokens included; for carrying embeddings over by token."""
        return dict(self._vocabulary)

    def _pieces(self, text: str) -> Iterator[str]:
        """Cut a long text where the tokens stay the same as without the cut."""
        raise NotImplementedError

    def _encoded(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        """(Index of a text, ids of its next piece); about four long pieces live at a time."""
        pieces: list[str] = []
        owners: list[int] = []
        size = 0
        for index, text in enumerate(texts):
            for piece in self._pieces(encodable(text)):
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


def pieces_of(
    text: str, cut: re.Pattern[str], piece: int = PIECE_CHARACTERS, word: int = WORD_CHARACTERS
) -> Iterator[str]:
    """Cut a long text at the first match of ``cut`` after so many characters.

    Args:
        text: What to cut.
        cut: Matches nothing, at places where a cut changes no token.
        piece: Characters of a piece, at least.
        word: And at most, where no such place comes.
    """
    start = 0
    while len(text) - start > piece:
        found = cut.search(text, start + piece, start + word)
        end = found.start() if found else min(start + word, len(text))
        yield text[start:end]
        start = end
    if start < len(text) or not text:
        yield text[start:]


def shortened(first: int, second: int, most: int) -> tuple[int, int]:
    """How many tokens of each text are kept, so that both fit: the longer one gives first.

    As ``tokenizers`` has it (``longest_first``): where half of the room is enough for the shorter
    one it stays whole; otherwise each has half of it, the longer one the odd token.

    Args:
        first: Tokens of the first text.
        second: Tokens of the second.
        most: Tokens at most.
    """
    if first + second <= most:
        return first, second
    half = most // 2
    if first <= half:
        return first, most - first
    if second <= half:
        return most - second, second
    return (half + most % 2, half) if first > second else (half, half + most % 2)


def special_token(content: str, number: int) -> dict[str, Any]:
    """An entry of ``added_tokens`` that is never made from text."""
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def added_tokens(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The added tokens of a ``tokenizer.json``, each with all its flags."""
    return [
        special_token(token["content"], token["id"])
        | {key: bool(token.get(key)) for key in _FLAGS if key in token}
        for token in content.get("added_tokens") or []
    ]


def check_places(vocabulary: Any, added: Sequence[Mapping[str, Any]], file: str) -> None:
    """Refuse a vocabulary that the Rust side would choke on.

    Raises:
        TrainingError: ``tokenizer_damaged`` or ``tokenizer_too_large``.
    """

    def damaged(detail: str) -> TrainingError:
        return TrainingError("tokenizer_damaged", file=file, detail=detail)

    if not isinstance(vocabulary, dict):
        raise damaged("not an object")
    places: dict[str, Any] = dict(vocabulary)
    for token in added:
        content, number = token["content"], token["id"]
        if not isinstance(content, str) or not content or type(number) is not int:
            raise damaged(f"added token {str(content)[:80]!r}")
        if places.setdefault(content, number) != number:
            raise damaged(f"{content!r} has two ids")
    if len(places) > MAX_SIZE:
        raise TrainingError("tokenizer_too_large", file=file, limit=f"{MAX_SIZE:,} tokens")
    seen: set[int] = set()
    for string, number in places.items():
        if encodable(string) != string:
            raise damaged(f"{string[:80]!a} is no text")
        if not isinstance(number, int) or isinstance(number, bool) or number in seen:
            raise damaged(f"id {number!r} of {string[:80]!r}")
        if not 0 <= number < MAX_SIZE:
            raise damaged(f"id {number} of {string[:80]!r}")
        seen.add(number)


def require_known(wanted: Iterable[tuple[str, Any, tuple[Any, ...]]]) -> None:
    """Refuse the first part of a tokenizer that would give other ids.

    Args:
        wanted: (Where it stands, what is there, what may be there).

    Raises:
        TrainingError: ``tokenizer_unsupported``.
    """
    for item, value, allowed in wanted:
        if value not in allowed:
            raise TrainingError(
                "tokenizer_unsupported",
                item=item,
                value=json.dumps(value)[:80],
                wanted=json.dumps(allowed[0]),
            )


#: Tokens before and after every text.
Frame = tuple[tuple[str, ...], tuple[str, ...]]


def frame_of(post_processor: Mapping[str, Any] | None) -> Frame:
    """The tokens that a ``tokenizer.json``'s post-processor puts around a single text.

    Raises:
        TrainingError: ``tokenizer_unsupported``.
        KeyError, TypeError: It is damaged.
    """
    if post_processor is None:
        return (), ()
    match post_processor["type"]:
        case "ByteLevel":
            return (), ()
        case "RobertaProcessing" | "BertProcessing":
            return (post_processor["cls"][0],), (post_processor["sep"][0],)
        case "TemplateProcessing":
            parts = post_processor["single"]
            text = [place for place, part in enumerate(parts) if "Sequence" in part]
            names = [part["SpecialToken"]["id"] for part in parts if "SpecialToken" in part]
            if len(text) == 1 and len(names) == len(parts) - 1:
                return tuple(names[: text[0]]), tuple(names[text[0] :])
        case "Sequence":
            frames = [frame_of(part) for part in post_processor["processors"]]
            found = [frame for frame in frames if frame != ((), ())]
            if len(found) < 2:
                return found[0] if found else ((), ())
    raise TrainingError(
        "tokenizer_unsupported",
        item="post_processor",
        value=json.dumps(post_processor)[:80],
        wanted="TemplateProcessing",
    )


def encodable(text: str) -> str:
    """The text with lone surrogates (JSON can hold them, UTF-8 cannot) as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


def read_text(folder: Path, name: str) -> str:
    """A tokenizer's file.

    Raises:
        TrainingError: ``tokenizer_too_large`` or ``tokenizer_damaged``.
    """
    path = folder / name
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TrainingError(
            "tokenizer_too_large", file=name, limit=f"{MAX_FILE_BYTES // 2**20} MiB"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TrainingError("tokenizer_damaged", file=name, detail=str(error)) from error


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object in a tokenizer's file.

    Raises:
        TrainingError: ``tokenizer_too_large`` or ``tokenizer_damaged``.
    """
    try:
        content = json.loads(read_text(folder, name))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no JSON error
        raise TrainingError("tokenizer_damaged", file=name, detail=str(error)[:200]) from error
    if not isinstance(content, dict):
        raise TrainingError("tokenizer_damaged", file=name, detail="not an object")
    return content


def declared(folder: Path, key: str, kind: type = str) -> Iterator[Any]:
    """What a folder's settings say of ``key``, if of that kind; the more specific file first."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            value = read_object(folder, name).get(key)
            if isinstance(value, dict):
                value = value.get("content")
            if isinstance(value, kind):
                yield value


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write a tokenizer's files, name → text."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def pretty(payload: Any) -> str:
    """JSON as it stands in a tokenizer's files."""
    return json.dumps(payload, ensure_ascii=False, indent=2) + "\n"
