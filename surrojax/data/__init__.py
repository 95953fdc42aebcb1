"""Databases: readers, the faces drawn by code, and augmentation on the device."""

import os

from surrojax.data import faces
from surrojax.data.dataset import EXPRESSIONS, Dataset, Split

DATASETS = ("faces", "fer2013", "ferplus")

__all__ = ["DATASETS", "EXPRESSIONS", "Dataset", "Split", "load"]


def load(
    name: str,
    image_size: int,
    channels: int,
    directory: str | os.PathLike[str] | None = None,
) -> Dataset:
    """A database under its protocol.

    Args:
      name: one of `DATASETS`.
      image_size: height and width that the images are given, in pixels.
      channels: 1 for grey, 3 for RGB.
      directory: where the database lies; None: `$SURROJAX_DATA`, else TFDS's manual
        folder. `faces` are drawn, so nothing has to lie anywhere.

    Raises:
      InputError: the data are missing or damaged; the message says what to do.
    """
    if name == "faces":
        return faces.load(image_size, channels)
    # TFDS takes seconds to import, and the drawn faces do not need it.
    from surrojax.data import fer2013

    return fer2013.load(name, image_size, channels, directory)
