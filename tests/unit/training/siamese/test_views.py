"""Two views of an image: what is drawn, and each change by itself against NumPy."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from training.data.pixels import GREY
from training.siamese import views
from training.siamese.settings import ViewsSpec
from training.siamese.views import (
    BLUR_PX,
    BRIGHTNESS,
    COLOURED,
    CONTRAST,
    HUE,
    MOST_STRETCH,
    SATURATION,
    YIQ,
    Draws,
    blurred,
    cropped,
    one_view,
    recoloured,
    two_views,
)

Array = np.ndarray

#: Everything that can happen does.
ALL = ViewsSpec(least_area=0.2, flip=True, colour=1, grey=0.3, blur=0.5)
NOTHING = ViewsSpec(least_area=1, flip=False, colour=0, grey=0, blur=0)
#: Of a uniform draw: its middle. A crop keeps its proportions, and a factor is one.
MIDDLE = 0.5


class Scripted(Draws):
    """Draws that are given: each as a share of the way from its least value to its largest."""

    def __init__(self, shares: list[float], count: int = 1) -> None:
        super().__init__(None, count)
        self.left, self.count = list(shares), count

    def uniform(self, low: float, high: float) -> Any:
        return tf.fill([self.count], tf.constant(low + (high - low) * self.left.pop(0), tf.float32))


def pixels(seed: int, shape: tuple[int, ...] = (3, 20, 20, 3)) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def images(seed: int, shape: tuple[int, ...] = (3, 20, 20, 3)) -> Array:
    return pixels(seed, shape).astype(np.float32) / 255


def seen(spec: ViewsSpec, given: Array, *seed: int) -> tuple[Array, Array]:
    first, second = two_views(given, tf.constant(seed or (3, 0), tf.int32), spec)
    return np.array(first), np.array(second)


def grey(some: Array) -> Array:
    return some @ np.array(GREY, np.float32)


def position_image(count: int, side: int = 21) -> Array:
    """Each pixel says where it is: 0 to 1 from top to bottom, and from left to right."""
    line = np.linspace(0, 1, side, dtype=np.float32)
    down, right = np.meshgrid(line, line, indexing="ij")
    return np.repeat(np.stack([down, right, 0 * down], -1)[None], count, axis=0)


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", [ALL, ViewsSpec(), NOTHING])
def test_views_are_images_of_the_same_shape_with_values_from_0_to_1(
    spec: ViewsSpec, channels: int
) -> None:
    given = pixels(0, (40, 24, 24, channels))
    for view in seen(spec, given):
        assert view.shape == given.shape
        assert view.dtype == np.float32
        assert view.min() >= 0
        assert view.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_seed_gives_the_same_views_and_another_gives_others(channels: int) -> None:
    given = pixels(1, (6, 24, 24, channels))
    one, again = seen(ALL, given, 3, 7), seen(ALL, given, 3, 7)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    for seed in ((3, 8), (4, 7)):
        for a, b in zip(one, seen(ALL, given, *seed), strict=True):
            assert all(not np.array_equal(*pair) for pair in zip(a, b, strict=True))


def test_the_two_views_of_an_image_differ_and_so_do_those_of_equal_images() -> None:
    given = np.repeat(pixels(2, (1, 24, 24, 3)), 8, axis=0)
    first, second = seen(ALL, given)
    every = [view.tobytes() for view in (*first, *second)]
    assert len(set(every)) == 16


def test_in_a_graph_they_are_the_same_whatever_number_of_images_it_is_made_for() -> None:
    traced = tf.function(
        lambda some, seed: two_views(some, seed, ALL),
        input_signature=[
            tf.TensorSpec([None, 24, 24, 3], tf.uint8),
            tf.TensorSpec([2], tf.int32),
        ],
        autograph=False,
    )
    given = pixels(3, (5, 24, 24, 3))
    found = traced(given, tf.constant([3, 0]))
    for a, b in zip(found, seen(ALL, given), strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_shares_are_those_asked_for() -> None:
    """Images so small that a thousand are seen at once: half dark and half light, coloured."""
    given = np.zeros([2000, 4, 4, 3], np.uint8)
    given[..., 0] = 200
    given[:, :, 2:, 1] = 90
    chances = ViewsSpec(least_area=1, flip=True, colour=0, grey=0.3, blur=0)
    for view in seen(chances, given):
        turned = view[:, 0, 0, 1] > view[:, 0, 3, 1]
        no_colour = np.ptp(view[:, 0, 0], axis=-1) < 1e-6
        assert (turned & ~no_colour).mean() == pytest.approx(0.5 * 0.7, abs=0.04)
        assert no_colour.mean() == pytest.approx(0.3, abs=0.04)
    (view, _other) = seen(NOTHING.model_copy(update={"colour": 0.5}), given[:, :, :2])
    assert (abs(view[:, 0, 0, 0] - 200 / 255) > 1e-4).mean() == pytest.approx(COLOURED, abs=0.03)


def test_the_two_views_are_drawn_independently() -> None:
    """How bright one is says nothing of the other; nor of where it was cut."""
    given = np.full([2000, 2, 2, 1], 100, np.uint8)
    first, second = seen(NOTHING.model_copy(update={"colour": 0.5}), given)
    assert abs(np.corrcoef(first[:, 0, 0, 0], second[:, 0, 0, 0])[0, 1]) < 0.08
    places = (position_image(2000, 5) * 255).astype(np.uint8)
    first, second = seen(NOTHING.model_copy(update={"least_area": 0.2}), places)
    for channel in (0, 1):
        one, other = first[:, 0, 0, channel], second[:, 0, 0, channel]
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.08
    assert abs(np.corrcoef(first[:, 0, 0, 0], first[:, 0, 0, 1])[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("off", "on"),
    [("colour", 1.0), ("grey", 1.0), ("blur", 1.0), ("flip", True)],
)
def test_what_is_off_changes_nothing_and_what_is_on_does(
    off: str, on: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = images(4)
    # The crop is all of the image; then, as far as they are asked for: mirrored; brightness,
    # contrast, saturation, hue and whether; grey; width of the blur and whether.
    script = [1.0, MIDDLE, 0.0, 0.0, 0.0, *[0.3] * 4, 0.0, 0.0, 0.0]
    if off != "flip":
        del script[4]
    monkeypatch.setattr(views, "Draws", lambda _seed, _count: Scripted(script, 3))
    assert np.array_equal(one_view(given, None, NOTHING), given)
    changed = one_view(given, None, NOTHING.model_copy(update={off: on}))
    assert np.abs(np.array(changed) - given).max() > 0.05


# --- crops and mirrors ----------------------------------------------------------------------------


def test_all_of_an_image_is_the_image() -> None:
    given = images(5, (2, 17, 17, 3))
    whole = cropped(given, Scripted([1.0, MIDDLE, 0.7, 0.2], 2), 0.2, flip=False)
    assert np.array_equal(whole, given)


def test_a_mirrored_view_is_mirrored_exactly() -> None:
    given = images(6, (2, 17, 17, 3))
    draws = [1.0, MIDDLE, 0.7, 0.2]
    kept = cropped(given, Scripted([*draws, 0.9], 2), 0.2, flip=True)
    turned = cropped(given, Scripted([*draws, 0.1], 2), 0.2, flip=True)
    assert np.array_equal(kept, given)
    assert np.allclose(turned, given[:, :, ::-1], atol=1e-6)


def test_a_mirrored_part_is_the_part_mirrored() -> None:
    given = images(7)
    draws = [0.3, 0.8, 0.6, 0.4]
    kept = np.array(cropped(given, Scripted([*draws, 0.9], 3), 0.2, flip=True))
    turned = np.array(cropped(given, Scripted([*draws, 0.1], 3), 0.2, flip=True))
    assert np.allclose(turned, kept[:, :, ::-1], atol=1e-5)


@pytest.mark.parametrize("draws", [[0.0, 0.2, 0.3, 0.9], [0.5, 0.9, 0.0, 1.0], [0.6, 0.1, 1.0, 0]])
def test_a_part_is_scaled_bilinearly(draws: list[float]) -> None:
    """Corner to corner, written out pixel by pixel."""
    side, least = 9, 0.25
    given = images(8, (1, side, side, 3))
    found = np.array(cropped(given, Scripted(draws), least, flip=False))[0]
    area = least + (1 - least) * draws[0]
    ratio = math.exp(math.log(MOST_STRETCH) * (2 * draws[1] - 1) / 2)
    height, width = min(math.sqrt(area) * ratio, 1), min(math.sqrt(area) / ratio, 1)
    top, left = draws[2] * (1 - height), draws[3] * (1 - width)
    for row in range(side):
        for column in range(side):
            y = (top + height * row / (side - 1)) * (side - 1)
            x = (left + width * column / (side - 1)) * (side - 1)
            y0, x0 = min(int(y), side - 2), min(int(x), side - 2)
            expected = sum(
                (1 - abs(y - yy)) * (1 - abs(x - xx)) * given[0, yy, xx]
                for yy in (y0, y0 + 1)
                for xx in (x0, x0 + 1)
            )
            assert np.allclose(found[row, column], expected, atol=1e-4), (row, column)


def boxes(least_area: float) -> tuple[Array, Array, Array, Array]:
    """Top, left, height and width of many drawn parts, as shares of the image."""
    draws = Draws(tf.constant([0, 1]), 3000)
    found = np.array(cropped(position_image(3000), draws, least_area, flip=False))
    top, left = found[:, 0, 0, 0], found[:, 0, 0, 1]
    return top, left, found[:, -1, 0, 0] - top, found[:, 0, -1, 1] - left


def test_parts_lie_within_the_image_anywhere_and_are_neither_too_small_nor_too_narrow() -> None:
    top, left, height, width = boxes(0.2)
    for start, size in ((top, height), (left, width)):
        assert start.min() >= 0
        assert (start + size).max() <= 1 + 1e-5
        # At both edges as well as in the middle.
        free = size < 0.9
        assert np.histogram(start[free] / (1 - size[free]), 4, (0, 1))[0].min() > free.sum() / 5
    area, stretch = height * width, height / width
    assert area.min() == pytest.approx(0.2, abs=0.01)
    assert area.max() > 0.95
    assert stretch.max() <= MOST_STRETCH + 1e-3
    assert stretch.min() >= 1 / MOST_STRETCH - 1e-3
    assert np.median(stretch) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("least_area", [0.5, 0.9, 1.0])
def test_no_part_is_smaller_than_asked_for(least_area: float) -> None:
    """Of a part that is nearly all, the shape has to give way, and not the size."""
    _top, _left, height, width = boxes(least_area)
    assert (height * width).min() >= least_area - 1e-3


def test_no_pixel_comes_from_outside_the_image() -> None:
    white = np.ones([4000, 24, 24, 1], np.float32)
    for flip in (False, True):
        draws = Draws(tf.constant([1, int(flip)]), len(white))
        assert np.array(cropped(white, draws, 0.2, flip=flip)).min() > 1 - 1e-5


# --- colours --------------------------------------------------------------------------------------

#: The changes happen.
YES, NO = 0.0, 1.0


def factor(share: float, most: float) -> float:
    """At strength 1: from max(0, 1 − most) to 1 + most."""
    return max(0.0, 1 - most) + share * (1 + most - max(0.0, 1 - most))


def test_without_change_colours_stay_and_so_they_do_in_one_of_five_views() -> None:
    given = images(9)
    same = recoloured(given, Scripted([MIDDLE] * 4 + [YES], 3), 1)
    assert np.allclose(same, given, atol=1e-5)
    assert np.array_equal(recoloured(given, Scripted([0.1, 0.9, 0.2, 0.8, NO], 3), 1), given)
    assert np.array_equal(recoloured(given, Scripted([0.1] * 4 + [COLOURED + 0.01], 3), 1), given)
    changed = recoloured(given, Scripted([0.1] * 4 + [COLOURED - 0.01], 3), 1)
    assert not np.allclose(changed, given, atol=0.01)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_brightness_is_a_factor(share: float) -> None:
    given = images(10)
    found = recoloured(given, Scripted([share, MIDDLE, MIDDLE, MIDDLE, YES], 3), 1)
    assert np.allclose(found, given * factor(share, BRIGHTNESS), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_is_about_the_image_s_own_mean(share: float, channels: int) -> None:
    given = images(11, (3, 8, 8, channels)) * np.array([0.2, 0.6, 1])[:, None, None, None]
    draws = [MIDDLE, share, *[MIDDLE] * (2 if channels == 3 else 0), YES]
    found = np.array(recoloured(given.astype(np.float32), Scripted(draws, 3), 1))
    own = grey(given) if channels == 3 else given[..., 0]
    mean = own.mean((1, 2))[:, None, None, None]
    assert np.allclose(found, mean + (given - mean) * factor(share, CONTRAST), atol=1e-5)
    after = grey(found) if channels == 3 else found[..., 0]
    assert np.allclose(after.mean((1, 2)), mean[:, 0, 0, 0], atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_saturation_is_about_each_pixel_s_grey(share: float) -> None:
    given = images(12)
    found = np.array(recoloured(given, Scripted([MIDDLE, MIDDLE, share, MIDDLE, YES], 3), 1))
    own = grey(given)[..., None]
    assert np.allclose(found, own + (given - own) * factor(share, SATURATION), atol=1e-5)
    assert np.allclose(grey(found), grey(given), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_a_hue_is_turned_by_an_angle_and_luma_and_saturation_stay(
    share: float, strength: float
) -> None:
    given = images(13)
    draws = Scripted([MIDDLE, MIDDLE, MIDDLE, share, YES], 3)
    before, after = (some @ YIQ.T for some in (given, np.array(recoloured(given, draws, strength))))
    assert np.allclose(after[..., 0], before[..., 0], atol=1e-5)
    chroma = before[..., 1] + 1j * before[..., 2]
    angle = 2 * math.pi * HUE * strength * (2 * share - 1)
    turned = after[..., 1] + 1j * after[..., 2]
    assert np.allclose(turned, chroma * np.exp(1j * angle), atol=1e-4)


def test_grey_pixels_have_no_hue_to_turn() -> None:
    given = np.repeat(images(14, (3, 8, 8, 1)), 3, axis=-1)
    found = recoloured(given, Scripted([MIDDLE, MIDDLE, 0.9, 0.1, YES], 3), 1)
    assert np.allclose(found, given, atol=1e-4)


def test_strength_says_how_much() -> None:
    """At 0.5 a factor of brightness is 0.6 to 1.4, at 1 it is 0.2 to 1.8."""
    given = np.full([1, 2, 2, 3], 0.5, np.float32)
    for strength, ends in ((0.5, (0.6, 1.4)), (1.0, (0.2, 1.8))):
        for share, end in zip((0.0, 1.0), ends, strict=True):
            draws = Scripted([share, MIDDLE, MIDDLE, MIDDLE, YES])
            assert np.allclose(recoloured(given, draws, strength), 0.5 * end, atol=1e-5)


def test_a_grey_view_has_three_equal_channels_weighed_as_eyes_do() -> None:
    given = np.repeat(pixels(15, (4, 1, 1, 3)), 6, axis=1).repeat(6, axis=2)
    for view in seen(NOTHING.model_copy(update={"grey": 1.0}), given):
        expected = grey(given.astype(np.float32) / 255)
        assert np.allclose(view, expected[..., None], atol=1e-5)
        assert np.array_equal(view[..., 0], view[..., 1])
        assert np.array_equal(view[..., 0], view[..., 2])


# --- blur -----------------------------------------------------------------------------------------


def gaussian_of_numpy(image: Array, deviation: float, reach: int) -> Array:
    """Along both axes, edges repeated."""
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded, side = np.pad(image, padding, mode="edge"), image.shape[axis]
        image = sum(
            weight * np.take(padded, np.arange(place, place + side), axis)
            for place, weight in enumerate(weights)
        )
    return image


@pytest.mark.parametrize(("side", "reach"), [(16, 1), (24, 1), (40, 2), (64, 3)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_blur_is_gaussian_with_repeated_edges(
    side: int, reach: int, share: float, channels: int
) -> None:
    given = images(16, (2, side, side, channels))
    found = np.array(blurred(given, Scripted([share], 2)))
    deviation = BLUR_PX[0] + share * (BLUR_PX[1] - BLUR_PX[0])
    for one, image in zip(found, given, strict=True):
        assert np.allclose(one, gaussian_of_numpy(image, deviation, reach), atol=1e-5)


def test_a_blur_leaves_what_is_one_colour_and_is_each_image_s_own() -> None:
    flat = np.broadcast_to(images(17, (50, 1, 1, 3)), (50, 20, 20, 3))
    draws = Draws(tf.constant([0, 2]), 50)
    assert np.allclose(blurred(flat, draws), flat, atol=1e-6)
    same = np.repeat(images(18, (1, 20, 20, 3)), 50, axis=0)
    found = np.array(blurred(same, draws))
    assert len({one.tobytes() for one in found}) == 50
