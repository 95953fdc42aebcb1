"""A listing of files to samples: prepared pixels, labels, and what was read."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from surrojax.data import frames_builder
from surrojax.data.dataset import Split
from surrojax.data.listing import Frame, Listing
from surrojax.data.protocols import Samples

_log = logging.getLogger("surrojax")


def samples(listing: Listing, side: int, channels: int, align: bool) -> Samples:
    """Prepares a listing's pixels, or reads those prepared earlier, and says so.

    Args:
      listing: what a reader found.
      side: height and width of the images, in pixels.
      channels: 1 for grey, 3 for RGB.
      align: whether faces are found and aligned by five key points.

    Raises:
      InputError: a file cannot be read, or no frame is left.
    """
    prepared = frames_builder.prepare(listing, side, channels, align)
    frames = prepared.frames
    place = {name: index for index, name in enumerate(listing.classes)}
    subjects = np.array([frame.subject for frame in frames])
    splits = np.array([frame.split for frame in frames])
    split = Split(
        prepared.images,
        np.array([place[frame.label] for frame in frames], np.int32),
        subjects if all(frame.subject for frame in frames) else None,
        np.array([frame.sequence for frame in frames]),
        np.array([frame.file for frame in frames]),
        prepared.digests,
    )
    read = hashlib.sha256()
    for digest, frame in zip(prepared.digests.tolist(), frames, strict=True):
        read.update(f"{digest} {frame.label} {frame.sequence}\n".encode())
    left = replace(
        listing, frames=frames, notes=(*listing.notes, *_lost(listing, frames))
    )
    manifest = left.summary() | {
        "aligned": align,
        "no_face_found": len(prepared.not_found),
        "unreadable": len(prepared.unreadable),
        "sha256": read.hexdigest(),
    }
    _log.info("%s", _sentence(listing, manifest))
    return Samples(
        listing.name,
        listing.classes,
        split,
        splits if splits.any() else None,
        manifest,
    )


def _lost(listing: Listing, frames: Iterable[Frame]) -> list[str]:
    """Says that sequences have no frame left."""
    every = {frame.sequence for frame in listing.frames}
    lost = len(every) - len({frame.sequence for frame in frames})
    if not lost:
        return []
    why = "no face found, or not decoded"
    if len(every) == len(listing.frames):
        told = f"{lost} of {len(every)} images are left out ({why})"
    else:
        told = f"{lost} of {len(every)} sequences have no frame left ({why})"
    own = listing.name == "folder"  # of which nothing is published
    return [told if own else f"{told}: published results do not compare"]


def _sentence(listing: Listing, manifest: dict) -> str:
    """What was read, on one line a subject."""
    frames, sequences = manifest["frames"], manifest["sequences"]
    one, unit, much = "frames", "sequences", f"{frames} frames of {sequences} sequences"
    if frames == sequences:
        one, unit, much = "images", "images", f"{frames} images"
    classes = ", ".join(f"{n} {name}" for name, n in manifest["classes"].items())
    left_out = ", ".join(f"{n} {why}" for why, n in manifest["left_out"].items())
    read = [f"left out: {left_out or 'nothing'}"]
    if manifest["aligned"]:
        read.append(f"no face found in {manifest['no_face_found']} {one}")
    if manifest["unreadable"]:
        read.append(f"{manifest['unreadable']} unreadable")
    lines = [
        f"{listing.name} from {listing.root} ({listing.layout}): {much}, "
        f"{manifest['subjects'] or 'no'} subjects; {unit} by class: {classes}",
        f"  {'; '.join(read)}; sha256 {manifest['sha256'][:16]}",
    ]
    return "\n".join(lines + [f"  note: {note}" for note in manifest["notes"]])
