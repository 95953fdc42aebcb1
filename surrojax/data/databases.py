"""The databases by name: where each is read, and under which protocol it is used."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module

from surrojax.data import faces, folder
from surrojax.data.dataset import Dataset
from surrojax.data.fer2013_csv import SIDE
from surrojax.data.listing import Listing
from surrojax.data.pictures import Preparation
from surrojax.data.places import data_folder
from surrojax.data.protocols import (
    Samples,
    cross_database,
    duplicates,
    held_out,
    official,
    samples_of,
    ten_folds,
    with_classes,
)
from surrojax.errors import InputError
from surrojax.fields import check_known

LARGEST_DRAWN = 64
"""Pixels: the drawn faces have no more detail; larger images are enlarged from them."""

READERS = {
    "ck": (),
    "oulu": ("camera", "light"),
    "mmi": (),
    "afew": ("frames",),
    "affectnet": (),
    "folder": ("subject_pattern", "sequence_pattern"),
}
"""The databases of image and video files, and what `Source.options` may say of each."""

GREY = ("fer2013", "ferplus")
"""The databases of grey images of 48 x 48 pixels."""

DATASETS = ("faces", *GREY, *READERS)

FOLDED = ("ck", "oulu", "mmi")
"""The databases without official splits; a folder may be with or without."""


@dataclass(frozen=True)
class Source:
    """Which database is read, from where, and how.

    Attributes:
      name: one of `DATASETS`.
      directory: where it lies; None: `$SURROJAX_DATA`, else TFDS's manual folder.
      side: height and width that its images are given, in pixels.
      channels: 1 for grey, 3 for RGB.
      classes: 6, 7, or 0 for those that it has.
      align: whether faces are found and aligned by five key points.
      options: what `READERS` lists for it.
    """

    name: str
    directory: str | os.PathLike[str] | None
    side: int
    channels: int
    classes: int = 0
    align: bool = False
    options: tuple[tuple[str, str], ...] = ()

    @property
    def preparation(self) -> Preparation:
        """How its images are read.

        Those of a database whose images are small keep their size and their grey
        levels: a larger image is made of them on the device, which saves memory.
        """
        if self.name == "faces":
            return Preparation(min(self.side, LARGEST_DRAWN), self.channels)
        if self.name in GREY:
            return Preparation(min(self.side, SIDE), 1)
        return Preparation(self.side, self.channels, self.align)


@dataclass(frozen=True)
class Protocol:
    """How samples become three splits.

    Attributes:
      fold: which of ten tests, or validates where there is a target; 0 for a database
        with official splits.
      target: the database that is tested on, if another one.
      held_out: whether a tenth of training stands in for an official test split.
      train_on_fold, mask_absent: of `protocols.cross_database`.
    """

    fold: int = 0
    target: Source | None = None
    held_out: bool = False
    train_on_fold: bool = False
    mask_absent: bool = True


def load(source: Source, protocol: Protocol) -> Dataset:
    """A database under its protocol, with what was read counted in its manifest.

    Raises:
      InputError: the data are missing or damaged, or do not suit the protocol; the
        message says what to do.
    """
    samples = read(source)
    if protocol.held_out and protocol.target is not None:
        raise InputError(
            "dataset.held_out: with a dataset.target, the target is tested on; give "
            "one of the two"
        )
    if protocol.held_out:
        samples = held_out(samples)
    if protocol.target is not None:
        dataset = cross_database(
            samples,
            _read_target(protocol.target),
            protocol.fold,
            protocol.train_on_fold,
            protocol.mask_absent,
        )
    elif samples.official is None:
        dataset = ten_folds(samples, protocol.fold)
    elif protocol.fold:
        raise InputError(
            f"dataset.fold: {source.name} as read has official splits, so there is no "
            f"fold {protocol.fold}; it must be 0"
        )
    else:
        dataset = official(samples)
    counts = {
        name: {
            "images": len(split),
            "sequences": len(split.units()[1]),
            "subjects": 0 if split.subjects is None else len(set(split.subjects)),
        }
        for name, split in dataset.splits.items()
    }
    found = {"splits": counts, "duplicates": duplicates(dataset)}
    return replace(dataset, manifest=dataset.manifest | found)


def read(source: Source) -> Samples:
    """All samples of a database.

    Raises:
      InputError: the data are missing or damaged, or there is no such database.
    """
    check_known("database", source.name, DATASETS)
    if source.name == "faces":
        how = source.preparation
        samples = samples_of(faces.load(how.side, how.channels))
    elif source.name in GREY:
        samples = _read_fer2013(source)
    else:
        samples = _read_files(source)
    # Folds, duplicates and the fingerprint all ask for the hashes: work them out once.
    hashed = replace(samples.all, digests=samples.all.hashes())
    return with_classes(replace(samples, all=hashed), source.classes)


def _read_target(source: Source) -> Samples:
    """The same, where a message names the field of the target's directory."""
    try:
        return read(source)
    except InputError as error:
        told = str(error).replace("config.dataset.dir", "config.dataset.target_dir")
        raise InputError(told) from error


def folder_has_splits(directory: str | os.PathLike[str] | None) -> bool:
    """Whether the database `folder` has official splits, so that there are no folds."""
    return folder.has_splits(data_folder(directory))


def _read_fer2013(source: Source) -> Samples:
    # TFDS takes seconds to import, and the drawn faces do not need it.
    from surrojax.data import fer2013

    how = source.preparation
    return samples_of(
        fer2013.load(source.name, how.side, how.channels, source.directory)
    )


def _read_files(source: Source) -> Samples:
    from surrojax.data import frames

    scan: Callable[..., Listing] = import_module(f"surrojax.data.{source.name}").scan
    listing = scan(data_folder(source.directory), **dict(source.options))
    return frames.samples(listing, source.side, source.channels, source.align)
