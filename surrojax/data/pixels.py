"""Image files to pixels: RGB, square, of one size, grey or in colour."""

import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from surrojax.errors import InputError, one_line

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are the first outside."""


class ImageError(InputError):
    """A file is no image that can be read.

    Attributes:
      reason: the same without a remedy: file, and what is wrong with it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason


class Square(NamedTuple):
    """A square in an image, which it may leave: pixels from the image's corner."""

    left: int
    top: int
    side: int


def decode_rgb(image: Path | BinaryIO) -> Image.Image:
    """Reads any image that Pillow knows, the first one where a file holds several.

    It is turned as its EXIF orientation says. Transparent parts become black, as
    everything outside a cut-out face is. 16-bit grey levels keep their upper 8 bits:
    65535 becomes 255, whatever the brightest pixel is.

    Args:
      image: the file, or its bytes.

    Returns:
      Of mode RGB; a grey image has three equal channels.

    Raises:
      Exception: it is no image, or damaged; what decoders raise has no common class.
    """
    # Pillow warns of odd metadata and of many pixels; neither harms here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(image) as opened:
            ImageOps.exif_transpose(opened, in_place=True)
            return _to_rgb(opened)


def open_rgb(file: Path) -> np.ndarray:
    """The pixels of an image file, as `decode_rgb` reads them.

    Args:
      file: of the image.

    Returns:
      `[H, W, 3]` uint8, RGB.

    Raises:
      ImageError: the file is absent, empty, truncated or no image.
    """
    try:
        return np.array(decode_rgb(file))
    except FileNotFoundError as error:
        raise ImageError(f"{file}: is absent", "restore it") from error
    except Exception as error:
        raise ImageError(
            f"{file}: cannot be read as an image ({one_line(error)})",
            "restore it, or take it out of the folder and its lists",
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are fractions; 8 or 16 bits are read")
    if image.mode.startswith("I"):
        # Pillow's own conversion would cut off at 255.
        levels = np.asarray(image).astype(np.int64) >> 8
        image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        black = Image.new("RGBA", seen.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, seen)
    return image.convert("RGB")


def square_of(shape: tuple[int, ...], box: Box | None = None) -> Square:
    """The square that stands for an image `[H, W, ...]` or for a box in it.

    Without a box it is the largest in the image's centre; with one, the box's longer
    side around the box's centre.
    """
    height, width = shape[:2]
    if box is None:
        side = min(height, width)
        return Square((width - side) // 2, (height - side) // 2, side)
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    return Square((left + right - side) // 2, (top + bottom - side) // 2, side)


def cut(image: np.ndarray, square: Square) -> np.ndarray:
    """The pixels `[side, side, C]` of a square; outside, the image's edge goes on."""
    height, width = image.shape[:2]
    steps = np.arange(square.side)
    rows = (square.top + steps).clip(0, height - 1)
    columns = (square.left + steps).clip(0, width - 1)
    return image[rows[:, None], columns]


def to_square(image: np.ndarray, box: Box | None = None) -> np.ndarray:
    """`[H, W, C]` to `[S, S, C]`: `cut` at `square_of`."""
    return cut(image, square_of(image.shape, box))


def resize(image: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Resizes bilinearly, with antialiasing where that makes the image smaller.

    Grey is ITU-R 601's luma, 0.299 R + 0.587 G + 0.114 B, rounded to a whole level
    before the size is changed.

    Args:
      image: `[H, W, 3]` uint8, RGB.
      size: height and width of the result, in pixels.
      channels: 1 for grey, 3 for RGB.

    Returns:
      `[size, size, channels]` uint8.
    """
    picture = Image.fromarray(image)
    if channels == 1:
        picture = picture.convert("L")
    picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(picture).reshape(size, size, channels)
