"""TensorFlow Datasets without TensorFlow, network or noise: what all builders share."""

import contextlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from filelock import FileLock
from PIL import Image

from surrojax.errors import InputError, one_line

_one_at_a_time = threading.RLock()


class LocalInfo(tfds.core.DatasetInfo):
    """Information that TFDS does not look for in its bucket on the network."""

    def initialize_from_bucket(self) -> None:
        """Does nothing; TFDS's own also leaves a temporary folder behind."""


@contextlib.contextmanager
def quiet_tfds() -> Iterator[None]:
    """Keeps TFDS's banners, bars and INFO lines from the terminal."""
    # What is printed is turned away for the whole process, so threads take turns.
    with _one_at_a_time:
        tfds.disable_progress_bar()
        verbosity = absl_logging.get_verbosity()
        absl_logging.set_verbosity(absl_logging.ERROR)
        try:
            # The banners are printed, not logged.
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            absl_logging.set_verbosity(verbosity)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds a cache folder; a second process waits, then finds the data there."""
    held = FileLock(folder.with_name(folder.name + ".lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except OSError as error:
        raise InputError(
            f"{folder.parent}: the cache cannot be written ({error}); name "
            "another folder in SURROJAX_CACHE"
        ) from error
    try:
        yield
    finally:
        held.release()


@contextlib.contextmanager
def name_damage(folder: Path) -> Iterator[None]:
    """Says which folder is to be deleted when prepared data cannot be read."""
    try:
        yield
    except Exception as error:
        # What TFDS, array_record and protobuf raise here has no common class.
        raise InputError(
            f"{folder}: the prepared data are damaged "
            f"({one_line(error)}); delete this folder, and they are "
            "prepared anew"
        ) from error


def prepare(
    builder: tfds.core.DatasetBuilder, manual_folder: Path, folder: Path
) -> None:
    """Prepares a builder's data from the user's files.

    Raises:
      InputError: the files are wrong, or `folder` cannot be written.
    """
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_folder, try_download_gcs=False
            )
        )
    # array_record raises the second where the disk is full.
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{folder}: the prepared data cannot be written "
            f"({one_line(error)}); make room, or name another folder in "
            "SURROJAX_CACHE"
        ) from error


def encode_png(image: np.ndarray) -> bytes:
    """PNG of `[H, W]`, `[H, W, 1]` or `[H, W, 3]` uint8.

    TFDS turns PNG bytes into a record as they are, but would need TensorFlow for an
    array.
    """
    buffer = io.BytesIO()
    grey = image[..., 0] if image.shape[2:] == (1,) else image
    # Half the time of the usual level, 6, for a few hundredths more bytes.
    Image.fromarray(grey).save(buffer, format="png", compress_level=3)
    return buffer.getvalue()


def decode_png(content: bytes) -> np.ndarray:
    """`[H, W]` or `[H, W, 3]` uint8; TFDS's decoder asks for OpenCV in a warning."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)
