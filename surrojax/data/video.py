"""Videos: how many of their frames decode, and the pixels of some of them."""

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from surrojax.errors import InputError

VIDEO_SUFFIXES = frozenset(
    {".avi", ".mp4", ".mov", ".mpg", ".mpeg", ".m4v", ".mkv", ".wmv"}
)
"""Of the files that count as videos, in lower case."""

CHOICES = ("middle", "spread")
"""How three frames of a sequence are chosen: see `choose`."""


def choose(count: int, how: str = "middle") -> tuple[int, ...]:
    """Which three frames stand for a sequence.

    Args:
      count: how many frames it has.
      how: `middle`: the middle one and its two neighbours; `spread`: those at one
        quarter, one half and three quarters.

    Returns:
      Their numbers, from 0, rising; all there are if `count` is below three.
    """
    middle = count // 2
    numbers = {
        "middle": (middle - 1, middle, middle + 1),
        "spread": (count // 4, middle, 3 * count // 4),
    }[how]
    return tuple(sorted({n for n in numbers if 0 <= n < count}))


def count_frames(file: Path) -> int:
    """How many frames of a video decode, counted by decoding them.

    What a container's header says is not asked: it is wrong where a file was cut off.

    Args:
      file: the video.

    Returns:
      0 for a file that is no video, or is damaged from the start.

    Raises:
      InputError: OpenCV is not installed.
    """
    count = 0
    with _opened(file) as video:
        while video.read()[0]:
            count += 1
    return count


def read_frames(
    file: Path, numbers: Collection[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Some frames of a video, one at a time, in one pass from its start.

    Seeking is avoided: between key frames it lands elsewhere with some codecs.

    Args:
      file: the video.
      numbers: which frames, from 0.

    Yields:
      Numbers, rising, and pixels `[H, W, 3]` uint8, RGB. Frames that do not decode, or
      lie behind the end, are absent.

    Raises:
      InputError: OpenCV is not installed.
    """
    with _opened(file) as video:
        for number in range(max(numbers, default=-1) + 1):
            if not video.grab():
                break
            if number in numbers:
                decoded, pixels = video.retrieve()
                if decoded:
                    # OpenCV's order is blue, green, red.
                    yield number, np.ascontiguousarray(pixels[..., ::-1])


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    cv2 = _opencv()
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        # Left to choose, OpenCV takes a damaged S001-001.avi for numbered images.
        video = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
        yield video
        video.release()
    finally:
        log.setLogLevel(level)


def _opencv() -> Any:
    # FFmpeg would complain of each damaged frame on stderr, where the readers say by
    # name which videos do not decode. OpenCV looks at these when it opens its first.
    os.environ.setdefault("OPENCV_FFMPEG_DEBUG", "1")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            "reading videos needs OpenCV: pip install 'surrojax[faces]'"
        ) from error
    return cv2
