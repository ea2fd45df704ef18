"""One image file as pixels: decoded with care, turned upright, without alpha, not too large.

What comes in may be anything. A file is judged by its content and never by its name; a size is
believed before a pixel is decoded, since 20 kB of PNG can claim 13,000 × 13,000.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from training.data.archive import MemberRefused

#: What is decoded; Pillow knows many more, and each is a parser of its own.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
MOST_PIXELS = 100_000_000
#: What shows through where an image is transparent.
BACKGROUND = (255, 255, 255)

#: What Pillow's decoders raise at damaged files; memory is not one of them.
_DAMAGE = (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError)

Pixels = npt.NDArray[np.uint8]


class ImageRefused(MemberRefused):
    """An image that cannot be used."""


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: uint8 [height, width, channels], 1 channel for grey and 3 for RGB.
        mode: What the file held, in Pillow's names: ``RGB``, ``L``, ``P``, ``RGBA``, ``CMYK`` …
        width, height: Of the file, upright.
        animated: Whether there are more frames than this first one.
    """

    pixels: Pixels
    mode: str
    width: int
    height: int
    animated: bool


def read_image(data: bytes, longest_px: int) -> Picture:
    """Decode a file.

    Args:
        data: Its content.
        longest_px: A larger image is made smaller until its longer side has so many pixels.

    Raises:
        ImageRefused: It is no image, is cut off, or claims too many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large images and odd metadata: both are judged here
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _read(image, longest_px)
        except Image.DecompressionBombError as error:
            raise ImageRefused("too many pixels") from error
        except UnidentifiedImageError as error:
            raise ImageRefused("no image, or of a kind that is not read") from error
        except _DAMAGE as error:
            raise ImageRefused(str(error)[:100] or type(error).__name__) from error


def _read(image: Image.Image, longest_px: int) -> Picture:
    if image.width * image.height > MOST_PIXELS:
        raise ImageRefused(f"{image.width} × {image.height} pixels")
    mode, animated = image.mode, bool(getattr(image, "is_animated", False))
    width, height = image.size
    image.draft("RGB", (2 * longest_px, 2 * longest_px))  # a JPEG decodes smaller right away
    image.load()
    upright = ImageOps.exif_transpose(image)
    if (upright.width > upright.height) != (image.width > image.height):
        width, height = height, width
    plain = _plain(upright)
    longest = max(plain.size)
    if longest > longest_px:
        size = [max(1, round(side * longest_px / longest)) for side in plain.size]
        plain = plain.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    pixels = np.asarray(plain, np.uint8)
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], mode, width, height, animated)


def _plain(image: Image.Image) -> Image.Image:
    """As ``L`` or ``RGB``; what is transparent shows :data:`BACKGROUND`."""
    if image.mode.startswith("I;16"):
        # Pillow would cut off what is above 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ImageRefused(f"32 bits a pixel (mode {image.mode})")
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return image.convert("L")
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        under = Image.new("RGBA", whole.size, (*BACKGROUND, 255))
        return Image.alpha_composite(under, whole).convert("RGB")
    return image.convert("RGB")


def write_png(pixels: Pixels) -> bytes:
    """The pixels as PNG, without loss."""
    file = io.BytesIO()
    plain = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    # The lowest compression takes a third of the time and a tenth more space.
    Image.fromarray(plain).save(file, "PNG", compress_level=1)
    return file.getvalue()


def read_png(data: bytes) -> Pixels:
    """What :func:`write_png` wrote: uint8 [height, width, channels]."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        pixels = np.asarray(image, np.uint8)
    return pixels if pixels.ndim == 3 else pixels[..., None]
