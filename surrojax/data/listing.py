"""What a database's reader finds in a folder, before any pixel is decoded."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.video import choose
from surrojax.errors import InputError


@dataclass(frozen=True)
class Frame:
    """One face to be read.

    Attributes:
      file: path of the image or the video, relative to `Listing.root`, with slashes.
      label: the name of its class.
      sequence: what it is a frame of, unique within the database: the unit that is
        classified. An image by itself is its own sequence.
      subject: who it shows; empty where that is not known.
      split: `train`, `validation` or `test` where the database has official splits;
        else empty, and subjects are dealt into folds.
      number: which frame of a video, from 0; None: the file is an image.
      box: left, top, right, bottom of the face in pixels; None: not given.
    """

    file: str
    label: str
    sequence: str
    subject: str = ""
    split: str = ""
    number: int | None = None
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class LeftOut:
    """Something in the folder that is no part of the database's protocol, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """A database as it lies in a user's folder.

    Attributes:
      name: of the database, as in the config field `dataset.name`.
      root: the folder that all files are relative to.
      layout: which of the known layouts it is in, in a few words.
      classes: names of the classes, in label order.
      frames: in a fixed order that depends on names alone.
      choice: how three frames stand for a sequence (`video.choose`), among those that
        can be used: in which a face is found, where faces are aligned; empty: all do.
      left_out: what was passed over, a line each.
      notes: what the user should know, a sentence each.
    """

    name: str
    root: Path
    layout: str
    classes: tuple[str, ...]
    frames: tuple[Frame, ...]
    choice: str = ""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def signature(self) -> str:
        """A hash of what was found: names, labels, and the files' sizes and times.

        It tells whether data prepared earlier are still those of this folder.
        """
        digest = hashlib.sha256(repr((self.name, self.classes)).encode())
        for frame in self.frames:
            digest.update(repr(frame).encode())
        digest.update(self.choice.encode())
        for file in sorted({frame.file for frame in self.frames}):
            status = (self.root / file).stat()
            digest.update(f"{file} {status.st_size} {status.st_mtime_ns}".encode())
        return digest.hexdigest()

    def chosen(self, usable: Iterable[int]) -> list[int]:
        """The rows of the frames that count, rising.

        Args:
          usable: rows of the frames that can be used, rising.
        """
        if not self.choice:
            return list(usable)
        sequences: dict[str, list[int]] = {}
        for row in usable:
            sequences.setdefault(self.frames[row].sequence, []).append(row)
        return sorted(
            rows[number]
            for rows in sequences.values()
            for number in choose(len(rows), self.choice)
        )

    def summary(self) -> dict[str, Any]:
        """Counts, ready for JSON: frames, sequences, subjects, classes, left out."""
        label_of = {frame.sequence: frame.label for frame in self.frames}
        sequences = Counter(label_of.values())
        return {
            "layout": self.layout,
            "frames": len(self.frames),
            "sequences": len(label_of),
            "subjects": len({f.subject for f in self.frames if f.subject}),
            "classes": {name: sequences[name] for name in self.classes},
            "left_out": dict(Counter(entry.reason for entry in self.left_out)),
            "notes": list(self.notes),
        }


def canonical(classes: Iterable[str]) -> tuple[str, ...]:
    """The classes that occur: `EXPRESSIONS` in their order, then others by name."""
    found = set(classes)
    known = tuple(name for name in EXPRESSIONS if name in found)
    return known + tuple(sorted(found - set(EXPRESSIONS)))


def check(listing: Listing, remedy: str) -> Listing:
    """The listing itself, if a network could be trained on it.

    Args:
      listing: what a reader found.
      remedy: what the user should do if it is not enough.

    Raises:
      InputError: it has no frame, or fewer than two classes.
    """
    if not listing.frames:
        reasons = listing.summary()["left_out"]
        why = "; ".join(
            f"{count} left out: {reason}" for reason, count in reasons.items()
        )
        raise InputError(
            f"{listing.root}: no labelled face of {listing.name} found"
            + (f" ({why})" if why else "")
            + f"; {remedy}"
        )
    if len(listing.classes) < 2:
        raise InputError(
            f"{listing.root}: only the class {listing.classes[0]!r} of {listing.name} "
            f"found; {remedy}"
        )
    return listing
