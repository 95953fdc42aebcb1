"""Key points of a listing's faces, kept in a file as they are found."""

from pathlib import Path

import numpy as np

from surrojax.data import align
from surrojax.data.listing import Frame
from surrojax.data.pixels import Square, cut, square_of
from surrojax.errors import InputError

CHUNK = 256
"""Frames after which what was found is written: as much is lost in a kill."""

CONTEXT = 1.5
"""Side of the square in which a face is looked for, times that of the given box."""

_RECORD = np.dtype([("row", "<i4"), ("points", "<f4", (5, 2))])


class KeyPoints:
    """Key points by frame: read from a file, found by `align.Detector` where missing.

    Args:
      file: of the records; it is made if need be. It must be of one listing and of one
        detector.
      frames: how many frames the listing has.

    Raises:
      InputError: the file cannot be read or is damaged.
    """

    def __init__(self, file: Path, frames: int) -> None:
        self._file = file
        self._found: dict[int, np.ndarray] = {}
        self._new: list[int] = []
        self._detector: align.Detector | None = None
        content = file.read_bytes() if file.exists() else b""
        # A kill while a chunk was written may leave a part of a record at the end.
        self._whole = len(content) // _RECORD.itemsize * _RECORD.itemsize
        for row, points in np.frombuffer(content[: self._whole], _RECORD).tolist():
            self._found[row] = np.array(points, np.float32)
        if any(not 0 <= row < frames for row in self._found):
            raise InputError(
                f"{file}: the key points are damaged; delete this file, and faces are "
                "looked for anew"
            )

    def of(self, row: int, frame: Frame, image: np.ndarray) -> np.ndarray | None:
        """The key points of the listing's frame `row`.

        Args:
          row: of the frame in the listing.
          frame: that frame; with a box, the face is looked for around it.
          image: its pixels `[H, W, 3]` uint8, RGB.

        Returns:
          `[5, 2]` float32, x and y in pixels; None where no face is found.
        """
        if row not in self._found:
            points = self._look(frame, image)
            self._found[row] = (
                np.full((5, 2), np.nan, np.float32) if points is None else points
            )
            self._new.append(row)
            if len(self._new) == CHUNK:
                self.flush()
        points = self._found[row]
        return None if np.isnan(points).any() else points

    def _look(self, frame: Frame, image: np.ndarray) -> np.ndarray | None:
        if self._detector is None:
            self._detector = align.Detector()
        if frame.box is None:
            return self._detector.landmarks(image)
        left, top, side = square_of(image.shape, frame.box)
        margin = round(side * (CONTEXT - 1) / 2)
        around = Square(left - margin, top - margin, side + 2 * margin)
        points = self._detector.landmarks(cut(image, around))
        if points is None:
            return None
        return points + np.array([around.left, around.top], np.float32)

    def flush(self) -> None:
        """Writes what was found since the last time; an OSError if that fails."""
        if not self._new:
            return
        records = np.array([(row, self._found[row]) for row in self._new], _RECORD)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.truncate(self._whole)
            file.write(records.tobytes())
        self._whole += records.nbytes
        self._new.clear()
