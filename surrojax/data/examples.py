"""Frames of a listing to examples of a data set: decoded, cut, digested."""

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from surrojax.data import video
from surrojax.data.dataset import digest_of
from surrojax.data.keypoints import KeyPoints
from surrojax.data.listing import Frame, Listing
from surrojax.data.pictures import face_of
from surrojax.data.pixels import Box, open_rgb
from surrojax.data.tfds_local import encode_png
from surrojax.errors import InputError

LOG_SECONDS = 10
"""Between two lines that say how many frames are done."""

_log = logging.getLogger("surrojax")


class Chosen(NamedTuple):
    """Which frames of a listing are to become examples.

    Attributes:
      rows: theirs, those of one file together, so that it is opened once.
      not_found: rows in which no face was found when the others were chosen.
      unreadable: rows of a video that did not decode then.
    """

    rows: list[int]
    not_found: list[int]
    unreadable: list[int]


def choose(listing: Listing, points: KeyPoints | None) -> Chosen:
    """Chooses the frames that stand for their sequences.

    Where three are chosen and faces are aligned, all frames are looked at first: an
    expression is seen where a face is.

    Args:
      listing: what a reader found.
      points: where faces are; None: they are not aligned.

    Raises:
      InputError: an image cannot be read, or no frame can be used.
    """
    everything = range(len(listing.frames))
    if not listing.choice or points is None:
        return Chosen(_by_file(listing, listing.chosen(everything)), [], [])
    usable, not_found, unreadable = [], [], []
    progress = _Progress(f"{listing.name}, faces", len(everything))
    try:
        for row, image in _decoded(listing, _by_file(listing, everything)):
            if image is None:
                unreadable.append(row)
            elif points.of(row, listing.frames[row], image) is None:
                not_found.append(row)
            else:
                usable.append(row)
            progress.step()
    finally:
        progress.close()
        points.flush()
    if not usable:
        raise _nothing_left(listing, not_found, unreadable)
    chosen = listing.chosen(sorted(usable))
    return Chosen(_by_file(listing, chosen), not_found, unreadable)


def _by_file(listing: Listing, rows: Sequence[int]) -> list[int]:
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(listing.frames[row].file, row)
    return sorted(rows, key=lambda row: first[listing.frames[row].file])


class Examples:
    """Turns rows of a listing into examples, and notes those that are left out.

    Args:
      listing: what a reader found.
      chosen: its rows that are to be turned.
      image_size: height and width of the images, in pixels.
      channels: 1 for grey, 3 for RGB.
      points: where faces are, for aligning them; None: they are not aligned, but the
        central square is taken, or that around the frame's box.

    Attributes:
      index: rows of the examples made so far, in their order.
      digest: a hash of the pixels of each.
      not_found: rows in which no face was found.
      unreadable: rows of a video that do not decode.
    """

    def __init__(
        self,
        listing: Listing,
        chosen: Chosen,
        image_size: int,
        channels: int,
        points: KeyPoints | None,
    ) -> None:
        self._listing = listing
        self._image_size, self._channels = image_size, channels
        self._points = points
        self._progress = _Progress(listing.name, len(chosen.rows))
        self.index: list[int] = []
        self.digest: list[str] = []
        self.not_found = list(chosen.not_found)
        self.unreadable = list(chosen.unreadable)

    def of(self, rows: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The examples of some rows, each with its row as the key.

        Raises:
          InputError: an image cannot be read, a box does not fit, or all chosen frames
            were seen and none is left.
        """
        try:
            for row, image in _decoded(self._listing, rows):
                pixels = None if image is None else self._face(row, image)
                if image is None:
                    self.unreadable.append(row)
                elif pixels is None:
                    self.not_found.append(row)
                else:
                    self.index.append(row)
                    self.digest.append(digest_of(pixels))
                    frame = self._listing.frames[row]
                    yield row, _example(row, frame, pixels, self.digest[-1])
                self._progress.step()
            if self._progress.done and not self.index:
                raise _nothing_left(self._listing, self.not_found, self.unreadable)
        except BaseException:
            self._progress.close()
            raise
        finally:
            if self._points is not None:
                self._points.flush()

    def _face(self, row: int, image: np.ndarray) -> np.ndarray | None:
        frame = self._listing.frames[row]
        if frame.box is not None:
            _check_box(self._listing.root / frame.file, image.shape, frame.box)
        points = None
        if self._points is not None:
            points = self._points.of(row, frame, image)
            if points is None:
                return None
        return face_of(image, self._image_size, self._channels, points, frame.box)


def _nothing_left(
    listing: Listing, not_found: Sequence[int], unreadable: Sequence[int]
) -> InputError:
    return InputError(
        f"{listing.root}: no frame of {listing.name} is left: no face found in "
        f"{len(not_found)}, {len(unreadable)} cannot be decoded; look at the files, or "
        "take the images as they are: --config.dataset.align=False"
    )


class _Progress:
    """A bar on a terminal, a log line every ten seconds elsewhere."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._count = name, total, 0
        self._said = time.monotonic()
        self._bar = tqdm(total=total, desc=name, unit="frame", disable=None)

    @property
    def done(self) -> bool:
        return self._count == self._total

    def step(self) -> None:
        self._count += 1
        self._bar.update()
        if self._bar.disable and time.monotonic() - self._said > LOG_SECONDS:
            self._said = time.monotonic()
            _log.info("%s: %d of %d frames", self._name, self._count, self._total)
        if self.done:
            self.close()

    def close(self) -> None:
        self._bar.close()


def _decoded(
    listing: Listing, rows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray | None]]:
    """The pixels `[H, W, 3]` of rows; None for a video's frame that does not decode."""
    for file, group in groupby(rows, lambda row: listing.frames[row].file):
        place, images, by_number = listing.root / file, [], {}
        for row in group:
            if (number := listing.frames[row].number) is None:
                images.append(row)
            else:
                by_number[number] = row
        if images:
            image = open_rgb(place)
            yield from ((row, image) for row in images)
        # One at a time: all frames of a long clip would fill the memory.
        frames = video.read_frames(place, set(by_number)) if by_number else ()
        for number, pixels in frames:
            yield by_number.pop(number), pixels
        yield from ((row, None) for row in by_number.values())


def _check_box(file: Path, shape: tuple[int, ...], box: Box) -> None:
    height, width = shape[:2]
    left, top, right, bottom = box
    inside = 0 <= left + right <= 2 * width and 0 <= top + bottom <= 2 * height
    if not inside or not 0 < max(right - left, bottom - top) <= 2 * max(height, width):
        raise InputError(
            f"{file}: its face's box {box} (left, top, right, bottom) does not fit its "
            f"{width} x {height} pixels; correct or remove its entry in the list"
        )


def _example(row: int, frame: Frame, pixels: np.ndarray, digest: str) -> dict[str, Any]:
    return {
        "image": encode_png(pixels),
        "label": frame.label,
        "sequence": frame.sequence,
        "subject": frame.subject,
        "split": frame.split,
        "file": frame.file,
        "number": -1 if frame.number is None else frame.number,
        "digest": digest,
        "index": row,
    }
