"""Labelled examples as a network's arrays: tokens and masks, pixels, what augmentation may do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.parity.text import word_pieces
from tests.pictures import encoded, picture
from tests.small import TOKENIZER
from training.data.inputs import ImageInputs, TextInputs, augmented
from training.data.labelled import Labelled
from training.data.pixels import NORMALISATIONS, fitted
from training.data.text_tokenizer import TextTokenizer

PIECES = word_pieces(lowercase=True)
PADDING = PIECES.special_ids["pad_token_id"]


def texts(*found: str) -> Labelled:
    rows = [{"id": number, "text": text} for number, text in enumerate(found)]
    return Labelled(rows, np.zeros(len(rows), np.int64), Path())


def images(folder: Path, *found: Any) -> Labelled:
    """A split of these images, in a file as a prepared data set has them: end to end."""
    path, rows, content = folder / "train.zip", [], b""
    for number, image in enumerate(found):
        data = encoded(image)
        rows.append({"id": number, "offset": len(content), "size": len(data)})
        content += data
    path.write_bytes(content)
    return Labelled(rows, np.zeros(len(rows), np.int64), path)


def taken(tokenizer: TextTokenizer, most: int, *found: str) -> tuple[np.ndarray, np.ndarray]:
    split = texts(*found)
    found = TextInputs(tokenizer, split.rows, most).take(split, np.arange(len(split)))
    tokens, mask, types = found
    assert all(array.dtype == np.int32 and array.shape == tokens.shape for array in found)
    assert not types.any()
    return tokens, mask


# --- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "length"), [(0, 8), (6, 8), (7, 16), (14, 16), (15, 24)])
def test_a_batch_is_as_long_as_the_longest_text_in_steps_of_eight(words: int, length: int) -> None:
    """Two of the tokens are those around the text."""
    tokens, mask = taken(PIECES, 128, " ".join("a" * words), "a")
    assert tokens.shape == (2, length)
    assert mask.sum(1).tolist() == [words + 2, 3]


@pytest.mark.parametrize("most", [4, 10, 16])
def test_longer_texts_are_cut_and_still_end_as_the_tokenizer_ends_them(most: int) -> None:
    tokens, mask = taken(PIECES, most, " ".join("abcd" * 20), "b")
    assert tokens.shape == (2, most)
    assert mask[0].all()
    assert tokens[0].tolist() == PIECES.encode_input(" ".join("abcd" * 20), most)
    assert tokens[0, -1] == PIECES.after[0]


def test_tokens_are_those_of_the_text_and_the_rest_is_padding_that_is_not_seen() -> None:
    found = ["a b c", "a", "so it goes, and so it went"]
    tokens, mask = taken(PIECES, 128, *found)
    for row, text in enumerate(found):
        ids = PIECES.encode_input(text)
        assert tokens[row].tolist() == ids + [PADDING] * (tokens.shape[1] - len(ids))
        assert mask[row].tolist() == [1] * len(ids) + [0] * (tokens.shape[1] - len(ids))


def test_a_text_without_a_token_is_one_padding_that_is_seen() -> None:
    """GPT-2's tokens have nothing around them, and no padding of their own."""
    tokens, mask = taken(TOKENIZER, 16, "", "so it goes")
    assert tokens[0].tolist() == [TOKENIZER.end_of_text] * tokens.shape[1]
    assert mask[0].tolist() == [1] + [0] * (tokens.shape[1] - 1)
    assert mask[1].sum() == len(TOKENIZER.encode("so it goes"))


def test_rows_come_in_the_order_asked_for_and_as_often() -> None:
    split = texts("a", "b c", "d")
    inputs = TextInputs(PIECES, split.rows, 16)
    every, mask, _types = inputs.take(split, np.arange(3))
    some, some_mask, _types = inputs.take(split, np.array([2, 0, 2]))
    assert np.array_equal(some, every[[2, 0, 2]])
    assert np.array_equal(some_mask, mask[[2, 0, 2]])


@pytest.mark.parametrize("most", [128, 12, 9])
def test_a_pair_is_both_texts_with_their_types(most: int) -> None:
    rows = [
        {"id": 0, "text": "so it goes", "text_pair": "a b c d e f g"},
        {"id": 1, "text": "a", "text_pair": "b"},
    ]
    split = Labelled(rows, np.zeros(2, np.int64), Path())
    tokens, mask, types = TextInputs(PIECES, rows, most).take(split, np.arange(2))
    for place, row in enumerate(rows):
        ids, kinds = PIECES.encode_pair(row["text"], row["text_pair"], most)
        rest = tokens.shape[1] - len(ids)
        assert tokens[place].tolist() == ids + [PADDING] * rest
        assert mask[place].tolist() == [1] * len(ids) + [0] * rest
        assert types[place].tolist() == kinds + [0] * rest
    assert types.any(1).all()


# --- images ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_become_squares_of_bytes(tmp_path: Path, channels: int) -> None:
    split = images(tmp_path, picture(0, size=(24, 20)), picture(1, size=(9, 40)), picture(2))
    inputs = ImageInputs(16, channels, NORMALISATIONS["unit"])
    (seen,) = inputs.take(split, np.array([2, 0, 1]))
    assert seen.dtype == np.uint8
    assert seen.shape == (3, 16, 16, channels)
    for place, row in enumerate((2, 0, 1)):
        assert np.array_equal(seen[place], fitted(split.pixels(split.rows[row]), 16, channels))


def test_only_a_generator_augments_and_only_where_it_is_asked_for(tmp_path: Path) -> None:
    split, rows = images(tmp_path, *map(picture, range(6))), np.arange(6)

    def seen(augmentation: Any, random: np.random.Generator | None) -> np.ndarray:
        inputs = ImageInputs(16, 3, NORMALISATIONS["unit"], augmentation)
        return inputs.take(split, rows, random)[0]

    plain = seen("none", None)
    assert np.array_equal(seen("none", np.random.default_rng(0)), plain)
    assert np.array_equal(seen("shift_flip", None), plain)
    for augmentation, flip in (("shift", False), ("shift_flip", True)):
        expected = augmented(plain, np.random.default_rng(0), flip=flip)
        assert np.array_equal(seen(augmentation, np.random.default_rng(0)), expected)
        assert not np.array_equal(expected, plain)


# --- augmentation ---------------------------------------------------------------------------------


def some_images(count: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, height, width, 3), np.uint8)


def shifted(image: np.ndarray, down: int, right: int, *, flip: bool) -> np.ndarray:
    """Each pixel is the one so far down and right of it; beyond the edge, the edge's own."""
    height, width = image.shape[:2]
    found = np.empty_like(image)
    for row in range(height):
        for column in range(width):
            across = width - 1 - column if flip else column
            at = min(max(row + down, 0), height - 1), min(max(across + right, 0), width - 1)
            found[row, column] = image[at]
    return found


def ways(image: np.ndarray, seen: np.ndarray, most: tuple[int, int]) -> set[tuple[int, int, bool]]:
    """(Down, right, mirrored) that make one image of the other, by trying one after another."""
    return {
        (down, right, flip)
        for down in range(-most[0], most[0] + 1)
        for right in range(-most[1], most[1] + 1)
        for flip in (False, True)
        if np.array_equal(shifted(image, down, right, flip=flip), seen)
    }


@pytest.mark.parametrize("flip", [False, True])
def test_an_image_is_shifted_by_an_eighth_of_its_side_at_most_with_its_edges_repeated(
    flip: bool,
) -> None:
    given = some_images(24)
    found = augmented(given, np.random.default_rng(0), flip=flip)
    assert found.shape == given.shape
    assert found.dtype == np.uint8
    every = [ways(image, seen, (2, 3)) for image, seen in zip(given, found, strict=True)]
    assert {len(one) for one in every} == {1}, "not every image is one that was shifted so"
    drawn = [one.pop() for one in every]
    assert len(set(drawn)) > 10, "the images of a batch are shifted alike"
    assert {down for down, _right, _flip in drawn} == {-2, -1, 0, 1, 2}
    assert {right for _down, right, _flip in drawn} == {-3, -2, -1, 0, 1, 2, 3}
    mirrored = sum(flipped for _down, _right, flipped in drawn)
    assert (4 < mirrored < 20) if flip else mirrored == 0


def test_augmentation_follows_from_the_generator_alone() -> None:
    given = some_images(8)
    kept = given.copy()
    first, again, other = (
        augmented(given, np.random.default_rng(seed), flip=True) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(given, kept), "the images themselves were changed"


@pytest.mark.parametrize("side", [1, 7])
def test_images_with_no_eighth_stay_where_they_are(side: int) -> None:
    given = some_images(4, side, side)
    assert np.array_equal(augmented(given, np.random.default_rng(0), flip=False), given)
