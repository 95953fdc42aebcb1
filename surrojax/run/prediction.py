"""What a trained network says of image files: a table, and its CSV file."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surrojax.data.pictures import Preparation, find
from surrojax.data.pixels import ImageError
from surrojax.errors import InputError
from surrojax.run.files import write_text

BATCH = 256
"""Images that are read at a time, which bounds the memory."""

_log = logging.getLogger("surrojax")


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network says of n images.

    Attributes:
      classes: K names.
      files: n paths, as they were given, in natural order.
      probabilities: `[n, K]`; NaN where no face was found, or the file is no image.
      unreadable: those of `files` that are no images.
    """

    classes: tuple[str, ...]
    files: tuple[Path, ...]
    probabilities: np.ndarray
    unreadable: tuple[Path, ...] = ()

    def label(self, row: int) -> str | None:
        """The most probable class; None where there is none."""
        mass = self.probabilities[row]
        return None if np.isnan(mass).any() else self.classes[int(mass.argmax())]

    @property
    def frame(self) -> Any:
        """A pandas `DataFrame`: `file`, `prediction`, and a probability a class.

        Its `attrs["unreadable"]` lists the files that are no images.
        """
        import pandas as pd

        columns = [f"probability_{name}" for name in self.classes]
        table = pd.DataFrame(self.probabilities, columns=columns)
        files = [file.as_posix() for file in self.files]
        table.insert(0, "file", files)
        table.insert(1, "prediction", [self.label(row) for row in range(len(files))])
        table.attrs["unreadable"] = [file.as_posix() for file in self.unreadable]
        return table

    def write(self, file: Path) -> None:
        """Writes the table as CSV, replacing the file as a whole.

        Raises:
          InputError: it cannot be written.
        """
        text = self.frame.to_csv(index=False, float_format="%.4f", lineterminator="\n")
        write_text(file, text)


def predict_files(
    places: Iterable[str | os.PathLike[str]],
    preparation: Preparation,
    probabilities: Callable[[Any], np.ndarray],
    classes: Sequence[str],
) -> Predictions:
    """Puts image files through a network, some at a time.

    A file that is no image, and an image in which no face is found, are named in the
    log and have no prediction.

    Args:
      places: of `data.pictures.find`.
      preparation: how the network's images are read.
      probabilities: `images [n, S, S, C] uint8 -> [n, K]`.
      classes: K names.

    Raises:
      InputError: a place has no image, or none of the files is one.
    """
    files = find(places)
    found = np.full((len(files), len(classes)), np.nan)
    wrong: dict[Path, ImageError] = {}
    for begin in range(0, len(files), BATCH):
        rows, pixels = [], []
        for row, file in enumerate(files[begin : begin + BATCH], begin):
            try:
                image = preparation.read(file)
            except ImageError as error:
                wrong[file] = error
                if len(files) > 1:
                    _log.warning("%s; it has no prediction", error.reason)
                continue
            if image is None:
                _log.warning("%s: no face found; it has no prediction", file)
                continue
            rows.append(row)
            pixels.append(image)
        if rows:
            found[rows] = probabilities(np.stack(pixels))
    if len(wrong) == len(files):
        raise InputError(
            f"{wrong[files[0]].reason}; name an image"
            if len(files) == 1
            else f"none of the {len(files)} files can be read; name images, or folders "
            "of them"
        )
    return Predictions(tuple(classes), tuple(files), found, tuple(wrong))
