"""Image files that are of no database: found, and prepared as a folder's are."""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from surrojax.data import align as faces
from surrojax.data.pixels import Box, open_rgb, resize, to_square
from surrojax.data.walk import images_and_others, natural
from surrojax.errors import InputError
from surrojax.fields import some_of
from surrojax.paths import path_of

_log = logging.getLogger("surrojax")


def find(places: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The image files of some places, each once, in natural order of their paths.

    Args:
      places: files, which are taken whatever their ending is; and folders, of which all
        images are taken, those of sub-folders included.

    Raises:
      InputError: there is no such place, or no image in a folder.
    """
    found: dict[Path, None] = {}
    for place in map(Path, places):
        place = path_of(place)
        if not place.is_dir():
            if not place.exists():
                raise InputError(
                    f"{place}: there is no such file or folder; name images or folders "
                    "of them"
                )
            found[place] = None
            continue
        inside, others = images_and_others(place)
        passed = some_of([f"{n} {ending}" for ending, n in others.most_common()])
        if not inside:
            raise InputError(
                f"{place}: has no images ({passed or 'nothing'}); name a folder that "
                "has some, or the files themselves"
            )
        if passed:
            _log.warning(
                "%s: passed over, not named as images are: %s; an image of another "
                "ending is taken where it is named itself",
                place,
                passed,
            )
        found |= dict.fromkeys(inside)
    return sorted(found, key=lambda file: natural(file.as_posix()))


def face_of(
    image: np.ndarray,
    size: int,
    channels: int,
    points: np.ndarray | None = None,
    box: Box | None = None,
) -> np.ndarray:
    """What a network gets of an image: its face, or its central square.

    Args:
      image: `[H, W, 3]` uint8, RGB.
      size: height and width of the result, in pixels.
      channels: 1 for grey, 3 for RGB.
      points: `[5, 2]` of `align.Detector.landmarks`, which go to the template; None:
        the face is not aligned.
      box: the square around it is taken where the face is not aligned; None: the
        central square.

    Returns:
      `[size, size, channels]` uint8.
    """
    if points is not None:
        return resize(faces.align(image, points, size), size, channels)
    return resize(to_square(image, box), size, channels)


@dataclass(frozen=True)
class Preparation:
    """How the images of a run were read from their files.

    Attributes:
      side: height and width that they are given, in pixels.
      channels: 1 for grey, 3 for RGB.
      align: whether faces are found and aligned by five key points.
    """

    side: int
    channels: int
    align: bool = False

    def read(self, file: Path) -> np.ndarray | None:
        """Reads an image.

        Returns:
          `[side, side, channels]` uint8; None where a face is looked for and none is
          found.

        Raises:
          ImageError: the file is no image.
          InputError: what finds faces is not installed.
        """
        image, points = open_rgb(file), None
        if self.align:
            points = self._detector.landmarks(image)
            if points is None:
                return None
        return face_of(image, self.side, self.channels, points)

    @cached_property
    def _detector(self) -> faces.Detector:
        return faces.Detector()
