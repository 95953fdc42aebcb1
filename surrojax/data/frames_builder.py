"""Databases of image and video files as builders of TensorFlow Datasets.

`prepare` is what the rest of the package uses; the builders are what it is made of.
"""

import csv
import dataclasses
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from surrojax.data import align as faces
from surrojax.data import tfds_local
from surrojax.data.examples import Examples, choose
from surrojax.data.keypoints import KeyPoints
from surrojax.data.listing import Frame, Listing
from surrojax.data.places import cache_folder
from surrojax.data.stored import StoredImages
from surrojax.errors import InputError

SPLIT = "frames"
"""The one split of a builder: official splits are a feature."""

SHARD = 1000
"""Frames a file. TFDS holds a file's examples in memory before it counts them."""

NO_FACE = "no face found"
UNREADABLE = "frame cannot be decoded"

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


class Frames(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
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
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The database's folder, in one of the layouts that its reader describes."
    )
    BUILDER_CONFIGS: ClassVar[list[FramesConfig]] = [FramesConfig(name="default")]
    READER: ClassVar[str]
    """The module of `surrojax.data` whose `scan` lists the frames."""

    listing: Listing | None = None
    """What to prepare; None: what the reader finds in TFDS's manual folder."""

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        text = tfds.features.Text()
        return tfds_local.LocalInfo(
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
        points = None
        if config.align:
            # Beside the sizes: what was found for one serves all.
            file = self.data_path.parents[2] / _points_name(listing)
            points = KeyPoints(file, len(listing.frames))
        chosen = choose(listing, points)
        examples = Examples(listing, chosen, config.image_size, config.channels, points)
        # Saved by TFDS when all examples are made.
        self.info.metadata.update(
            classes=list(listing.classes),
            index=examples.index,
            digest=examples.digest,
            not_found=examples.not_found,
            unreadable=examples.unreadable,
        )
        rows = chosen.rows
        shards = [rows[at : at + SHARD] for at in range(0, len(rows), SHARD)]
        return {SPLIT: [partial(examples.of, shard) for shard in shards]}


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


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A listing's frames as pixels, in the listing's order.

    Attributes:
      images: `[n, S, S, C]` uint8, on the disk.
      frames: n, those of the listing that count and are left.
      digests: `[n]` str, a hash of each image's pixels.
      not_found: the frames in which no face was found, left out of `frames`.
      unreadable: the frames that do not decode, left out of `frames`.
    """

    images: StoredImages
    frames: tuple[Frame, ...]
    digests: np.ndarray
    not_found: tuple[str, ...]
    unreadable: tuple[str, ...]


def prepare(
    listing: Listing,
    image_size: int,
    channels: int,
    align: bool,
    cache: str | os.PathLike[str] | None = None,
) -> Prepared:
    """Turns a listing into pixels, once; later only what was made is opened.

    It is kept in a folder of the cache that is named after the listing's signature.
    The frames that were left out are in `manifest.csv` there, beside the images of
    each size.

    Args:
      listing: what a reader found; at least one frame.
      image_size: height and width of the images, in pixels.
      channels: 1 for grey, 3 for RGB.
      align: whether faces are found and aligned by five key points; else the central
        square is taken, or that around the frame's box.
      cache: where prepared data are kept. Default: `$SURROJAX_CACHE`, else
        `~/.cache/surrojax`.

    Raises:
      InputError: a file cannot be read, no frame is left, or the cache cannot be
        written or is damaged.
    """
    if image_size < 1:
        raise InputError(f"image_size is {image_size}; it must be 1 or more pixels")
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}; it must be 1 (grey) or 3")
    name = f"{listing.name}-{_signature(listing)[:16]}"
    folder = cache_folder(cache) / name
    config = FramesConfig(image_size=image_size, channels=channels, align=align)
    # A second process waits, then finds the data there.
    with tfds_local.quiet_tfds(), tfds_local.lock(folder):
        with tfds_local.name_damage(folder):
            builder = BUILDERS.get(listing.name, ImageFolder)(
                config=config, data_dir=folder, file_format="array_record"
            )
        builder.listing = listing
        if not builder.data_path.exists():
            _log.info("preparing %s from %s in %s", listing.name, listing.root, folder)
            tfds_local.prepare(builder, listing.root, folder)
        with tfds_local.name_damage(folder):
            prepared = _open(builder, listing)
        _write_manifest(Path(builder.data_path.parent), listing, builder.info.metadata)
    return prepared


def _open(builder: Frames, listing: Listing) -> Prepared:
    metadata = builder.info.metadata
    index = np.array(metadata["index"])
    order = np.argsort(index)
    config = builder.builder_config
    shape = (len(index), config.image_size, config.image_size, config.channels)
    images = StoredImages(Path(builder.data_path), SPLIT, order, shape)
    # Each file's end says where its images are, so damage mostly shows in any of them.
    images[[0, -1]]
    return Prepared(
        images,
        tuple(listing.frames[row] for row in index[order]),
        np.array(metadata["digest"])[order],
        tuple(_name(listing.frames[row]) for row in sorted(metadata["not_found"])),
        tuple(_name(listing.frames[row]) for row in sorted(metadata["unreadable"])),
    )


def _name(frame: Frame) -> str:
    if frame.number is None:
        return frame.file
    return f"{frame.file}, frame {frame.number}"


def _write_manifest(folder: Path, listing: Listing, metadata: dict[str, Any]) -> None:
    """Writes which frames were left out, unless that is done."""
    file = folder / "manifest.csv"
    if file.exists():
        return
    reasons = dict.fromkeys(metadata["not_found"], NO_FACE)
    reasons |= dict.fromkeys(metadata["unreadable"], UNREADABLE)
    part = file.with_name(file.name + ".part")
    try:
        with part.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(["file", "frame", "reason"])
            for row, reason in sorted(reasons.items()):
                frame = listing.frames[row]
                number = "" if frame.number is None else frame.number
                writer.writerow([frame.file, number, reason])
        part.replace(file)
    except OSError as error:
        raise InputError(
            f"{file}: could not be written ({error.strerror}); make room, or name "
            "another folder in SURROJAX_CACHE"
        ) from error


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
    how = f"{_signature(listing)} {faces.SHORTER} {faces.SMALLEST} {faces.MARGINS}"
    return f"keypoints-{hashlib.sha256(how.encode()).hexdigest()[:16]}.bin"
