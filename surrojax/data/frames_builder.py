"""Databases of image and video files as builders of TensorFlow Datasets.

`prepare` is what the rest of the package uses; the builders are what it is made of.
"""

import contextlib
import csv
import dataclasses
import hashlib
import io
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from surrojax.data import align as faces
from surrojax.data import video
from surrojax.data.dataset import digest_of
from surrojax.data.keypoints import KeyPoints
from surrojax.data.listing import Frame, Listing
from surrojax.data.pixels import open_rgb, resize, to_square
from surrojax.data.tfds_local import (
    LocalInfo,
    cache_folder,
    lock,
    name_damage,
    quiet_tfds,
)
from surrojax.data.tfds_local import prepare as write
from surrojax.errors import InputError

SPLIT = "frames"
"""The one split of a builder: official splits are a feature."""

SHARD = 1000
"""Frames a file. TFDS holds a file's examples in memory before it counts them."""

NO_FACE = "no face found"
UNREADABLE = "frame cannot be decoded"

_LOG_SECONDS = 10

_log = logging.getLogger("surrojax")


@dataclasses.dataclass(eq=False)
class FramesConfig(tfds.core.BuilderConfig):
    """What is made of a database's frames.

    Attributes:
      name: made of the others unless given.
      image_size: height and width of the images, in pixels.
      channels: 1 for grey, 3 for RGB.
      align: whether faces are found and aligned by five key points; else the central
        square is taken, or that around the frame's box.
      options: keyword arguments of the reader's `scan`.
    """

    name: str = ""
    image_size: int = 227
    channels: int = 3
    align: bool = True
    options: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            self.name = f"{self.image_size}x{self.image_size}x{self.channels}"
            if self.align:
                self.name += "-aligned"
            if self.options:
                text = repr(sorted(self.options.items()))
                self.name += "-" + hashlib.sha256(text.encode()).hexdigest()[:8]


class Frames(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Faces of a database, as they lie in a user's folder.

    There is one split, `frames`. An example has `image` (`[S, S, C]` uint8), `label`
    (the name of its class), `sequence`, `subject`, `split` (the official one, or
    empty), `file`, `number` (which frame of a video; -1 for an image), `digest` (of
    its pixels, as `dataset.digest_of`) and `index`, its place in the listing.
    `info.metadata` has `classes`, `index` and `digest` of all examples in the order in
    which they are stored, and `not_found` and `unreadable`, the indices of the frames
    that were left out.

    It is based on shards because other builders shuffle, which takes TensorFlow from
    1 GB on. Prepare it with `file_format="array_record"` and read it with
    `as_data_source`; neither needs TensorFlow.
    """

    # It also stands for how faces are found and cut: another way is another version.
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar[list[FramesConfig]] = [FramesConfig(name="default")]
    READER: ClassVar[str]
    """The module of `surrojax.data` whose `scan` lists the frames."""

    listing: Listing | None = None
    """What to prepare; None: what the reader finds in TFDS's manual folder."""

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        text = tfds.features.Text()
        return LocalInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(config.image_size, config.image_size, config.channels),
                        encoding_format="png",
                    ),
                    "label": text,
                    "sequence": text,
                    "subject": text,
                    "split": text,
                    "file": text,
                    "number": tfds.features.Scalar(np.int64),
                    "digest": text,
                    "index": tfds.features.Scalar(np.int64),
                }
            ),
            metadata=tfds.core.MetadataDict(),
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, list[Callable[[], Iterator[tuple[int, dict[str, Any]]]]]]:
        config, listing = self.builder_config, self.listing
        if listing is None:
            scan = import_module(f"surrojax.data.{self.READER}").scan
            listing = scan(Path(dl_manager.manual_dir), **config.options)
        rows = _by_file(listing)
        self.info.metadata.update(
            classes=listing.classes, index=[], digest=[], not_found=[], unreadable=[]
        )
        # Beside the sizes: what was found for one serves all.
        root = self.data_path.parents[2]
        points = KeyPoints(root / _points_name(listing), len(listing.frames))
        making = _Making(listing, config, points, self.info.metadata, len(rows))
        shards = [rows[at : at + SHARD] for at in range(0, len(rows), SHARD)]
        return {SPLIT: [partial(making.examples, shard) for shard in shards]}


class CkPlus(Frames):
    """CK+, the extended Cohn-Kanade database: see `surrojax.data.ck`."""

    READER = "ck"


class OuluCasia(Frames):
    """Oulu-CASIA: see `surrojax.data.oulu`."""

    READER = "oulu"


class Mmi(Frames):
    """The MMI facial expression database: see `surrojax.data.mmi`."""

    READER = "mmi"


class Afew(Frames):
    """AFEW, Acted Facial Expressions in the Wild: see `surrojax.data.afew`."""

    READER = "afew"


class AffectNet(Frames):
    """AffectNet: see `surrojax.data.affectnet`."""

    READER = "affectnet"


class ImageFolder(Frames):
    """A folder of labelled images: see `surrojax.data.folder`."""

    READER = "folder"


BUILDERS: dict[str, type[Frames]] = {
    builder.READER: builder
    for builder in (CkPlus, OuluCasia, Mmi, Afew, AffectNet, ImageFolder)
}
"""By the name of the reader; a listing of another name is an `ImageFolder`."""


def _by_file(listing: Listing) -> list[int]:
    """The listing's rows, those of one file together: it is opened once."""
    first: dict[str, int] = {}
    for row, frame in enumerate(listing.frames):
        first.setdefault(frame.file, row)
    return sorted(first_row_of(listing, first), key=lambda row: row)


def _signature(listing: Listing) -> str:
    try:
        return listing.signature()
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); restore it, or take "
            "it out of the lists"
        ) from error


def _points_name(listing: Listing) -> str:
    """Another listing or another way of looking is another file."""
    how = f"{_signature(listing)} {faces.SHORTER} {faces.SMALLEST}"
    return f"keypoints-{hashlib.sha256(how.encode()).hexdigest()[:16]}.bin"


class _Making:
    """Turns rows of a listing into examples, and notes those that are left out."""

    def __init__(
        self,
        listing: Listing,
        config: FramesConfig,
        points: KeyPoints,
        metadata: dict[str, Any],
        total: int,
    ) -> None:
        self._listing, self._config = listing, config
        self._points, self._metadata = points, metadata
        self._progress = _Progress(listing.name, total)

    def examples(self, rows: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The examples of some rows, each with its row as the key."""
        metadata = self._metadata
        try:
            for row, image in _decoded(self._listing, rows):
                self._progress.step()
                if image is None:
                    metadata["unreadable"].append(row)
                    continue
                pixels = self._face(row, image)
                if pixels is None:
                    metadata["not_found"].append(row)
                    continue
                digest = digest_of(pixels)
                metadata["index"].append(row)
                metadata["digest"].append(digest)
                yield row, _example(row, self._listing.frames[row], pixels, digest)
        finally:
            self._points.flush()
        if self._progress.done:
            self._progress.close()
            self._check_some()

    def _face(self, row: int, image: np.ndarray) -> np.ndarray | None:
        frame, config = self._listing.frames[row], self._config
        if frame.box is not None:
            _check_box(self._listing.root / frame.file, image.shape, frame.box)
        if not config.align:
            square = to_square(image, frame.box)
            return resize(square, config.image_size, config.channels)
        points = self._points.of(row, frame, image)
        if points is None:
            return None
        face = faces.align(image, points, config.image_size)
        return resize(face, config.image_size, config.channels)

    def _check_some(self) -> None:
        if self._metadata["index"]:
            return
        not_found, unreadable = (
            len(self._metadata[key]) for key in ("not_found", "unreadable")
        )
        raise InputError(
            f"{self._listing.root}: no frame of {self._listing.name} is left: no face "
            f"found in {not_found}, {unreadable} cannot be decoded; look at the files, "
            "or take the images as they are: --config.dataset.align=False"
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
        if self._bar.disable and time.monotonic() - self._said > _LOG_SECONDS:
            self._said = time.monotonic()
            _log.info("%s: %d of %d frames", self._name, self._count, self._total)

    def close(self) -> None:
        self._bar.close()


def _decoded(
    listing: Listing, rows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray | None]]:
    """The pixels `[H, W, 3]` of rows; None for a video's frame that does not decode."""
    for file, group in groupby(rows, lambda row: listing.frames[row].file):
        numbers = {row: listing.frames[row].number for row in group}
        if None in numbers.values():
            image = open_rgb(listing.root / file)
            yield from ((row, image) for row in numbers)
        else:
            wanted = {n for n in numbers.values() if n is not None}
            found = video.read_frames(listing.root / file, wanted)
            for row, number in numbers.items():
                yield row, found.get(number)  # type: ignore[arg-type]


def _check_box(
    file: Path, shape: tuple[int, ...], box: tuple[int, int, int, int]
) -> None:
    height, width = shape[:2]
    left, top, right, bottom = box
    inside = 0 <= left + right <= 2 * width and 0 <= top + bottom <= 2 * height
    if not inside or not 0 < max(right - left, bottom - top) <= 2 * max(height, width):
        raise InputError(
            f"{file}: its face's box {box} (left, top, right, bottom) does not fit its "
            f"{width} x {height} pixels; correct or remove its entry in the list"
        )


def _example(row: int, frame: Frame, pixels: np.ndarray, digest: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # A third of the time of the usual level, for a tenth more bytes.
    picture.save(buffer, format="png", compress_level=1)
    return {
        # TFDS turns PNG bytes into a record as they are, but would need TensorFlow for
        # an array.
        "image": buffer.getvalue(),
        "label": frame.label,
        "sequence": frame.sequence,
        "subject": frame.subject,
        "split": frame.split,
        "file": frame.file,
        "number": -1 if frame.number is None else frame.number,
        "digest": digest,
        "index": row,
    }
