"""Oulu-CASIA: sequences from neutral to the peak, by camera and light."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.labels import expression
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.walk import child, files, files_below, find_root, folders, is_image
from surrojax.errors import InputError
from surrojax.fields import check_known

CAMERAS = ("VL", "NI")
"""Visible light and near infrared."""

LIGHTS = ("Strong", "Weak", "Dark")

OFFICIAL = (480, 80)
"""Sequences of a camera and light, and subjects, as distributed."""

PEAK = 3
"""How many frames of a sequence count, at its end."""

WHERE_FROM = (
    "Oulu-CASIA NIR&VIS from the University of Oulu, Center for Machine Vision and "
    "Signal Analysis (www.oulu.fi/cmvs; for research, after signing their agreement)"
)

_NAMES = (
    "Oulu-CASIA",
    "oulu",
    "oulucasia",
    "Oulu-CASIA-NIR-VIS",
    "Oulu-CASIA-NIR&VIS",
)
_EXPRESSIONS = tuple(name for name in EXPRESSIONS if name != "neutral")
_SUBJECT = re.compile("P[0-9]+", re.IGNORECASE)
_NUMBER = re.compile("[0-9]+$")


def scan(folder: Path, camera: str = "VL", light: str = "Strong") -> Listing:
    """Finds the sequences of Oulu-CASIA that one camera took in one light.

    They lie as `B_OriginalImg/VL/Strong/P001/Anger/000.jpeg` or cropped as
    `PreProcess_Img/VL_Acropped/Strong/P001/Anger/000.jpeg`; the outermost folder may be
    missing. Where both are, the originals are read. The last three frames of a
    sequence, by the numbers in their names, show its expression; the frames before are
    no part of the protocol.

    Args:
      folder: where Oulu-CASIA is, or what has it in a sub-folder.
      camera: one of `CAMERAS`.
      light: one of `LIGHTS`.

    Returns:
      Six classes.

    Raises:
      InputError: there is no Oulu-CASIA, or none of that camera and light.
    """
    check_known("config.dataset.camera", camera, CAMERAS)
    check_known("config.dataset.light", light, LIGHTS)
    root = find_root(
        folder,
        _NAMES,
        lambda place: any(_sources(place)),
        "B_OriginalImg or PreProcess_Img with VL or NI",
        WHERE_FROM,
    )
    source, notes = _choose(root, camera, light)
    left_out: list[LeftOut] = []
    sequences = _sequences(root, source.folder, left_out)
    frames = [
        Frame(file.relative_to(root).as_posix(), label, f"{subject}/{label}", subject)
        for (subject, label), files in sequences.items()
        for file in files[-PEAK:]
    ]
    listing = Listing(
        name="oulu",
        root=root,
        layout=f"{source.layout}, {camera} {light}",
        classes=canonical(frame.label for frame in frames),
        frames=tuple(frames),
        left_out=tuple(left_out),
        notes=(*notes, *_notes(sequences)),
    )
    return check(listing, f"get {WHERE_FROM} whole")


class _Source(NamedTuple):
    """Where the subjects' folders of one camera and light are."""

    camera: str
    light: str
    layout: str
    folder: Path


def _sources(place: Path) -> Iterator[_Source]:
    """What is there, originals first."""
    for layout, outer, ending in (
        ("original images", "B_OriginalImg", ""),
        ("original images", "", ""),
        ("cropped images", "PreProcess_Img", "_Acropped"),
        ("cropped images", "", "_Acropped"),
    ):
        for camera, light in product(CAMERAS, LIGHTS):
            found: Path | None = place
            for name in filter(None, (outer, camera + ending, light)):
                found = found and child(found, name)
            if found:
                yield _Source(camera, light, layout, found)


def _choose(root: Path, camera: str, light: str) -> tuple[_Source, list[str]]:
    """What is read, and a note if there was a choice."""
    sources = list(_sources(root))
    chosen = [source for source in sources if source[:2] == (camera, light)]
    if not chosen:
        there = ", ".join(
            dict.fromkeys(f"{source.camera} {source.light}" for source in sources)
        )
        raise InputError(
            f"{root}: no images of camera {camera!r} in light {light!r}; there are "
            f"{there}: set --config.dataset.camera and --config.dataset.light to one "
            f"of these, or get {WHERE_FROM} whole"
        )
    if len(chosen) == 1:
        return chosen[0], []
    read, *others = (source.folder.relative_to(root).as_posix() for source in chosen)
    return chosen[0], [f"{read} is read, and not {', '.join(others)}: same sequences"]


def _sequences(
    root: Path, place: Path, left_out: list[LeftOut]
) -> dict[tuple[str, str], list[Path]]:
    """The frames of each subject and label, in order; other things join `left_out`."""
    sequences: dict[tuple[str, str], list[Path]] = {}
    folder_of: dict[tuple[str, str], Path] = {}

    def leave_out(path: Path, reason: str) -> None:
        left_out.append(LeftOut(path.relative_to(root).as_posix(), reason))

    for file in files(place):
        leave_out(file, "outside the sequences")
    for person in folders(place):
        if not _SUBJECT.fullmatch(person.name):
            leave_out(person, "folder of no subject")
            continue
        for file in files(person):
            leave_out(file, "outside the sequences")
        for folder in folders(person):
            label = expression(folder.name)
            if label not in _EXPRESSIONS:
                leave_out(folder, "folder of no class")
                continue
            key = person.name.upper(), label
            other = folder_of.setdefault(key, folder)
            if other != folder:
                raise InputError(
                    f"{folder}: is by its name the same sequence as {other}; keep one "
                    "of them there"
                )
            sequence = _in_order(folder, leave_out)
            if sequence:
                sequences[key] = sequence
            else:
                leave_out(folder, "no images")
    return sequences


def _in_order(folder: Path, leave_out: Callable[[Path, str], None]) -> list[Path]:
    """A sequence's frames by their numbers."""
    by_number: dict[int, Path] = {}
    for file in files_below(folder):
        number = _NUMBER.search(file.stem)
        if not is_image(file):
            leave_out(file, "not an image")
        elif number is None:
            leave_out(file, "name not understood")
        elif by_number.setdefault(int(number[0]), file) != file:
            leave_out(file, "same frame twice")
    return [by_number[number] for number in sorted(by_number)]


def _notes(sequences: Mapping[tuple[str, str], Sequence[Path]]) -> list[str]:
    notes = []
    short = sum(len(files) < PEAK for files in sequences.values())
    if short:
        notes.append(f"{short} sequences have fewer than {PEAK} frames")
    subjects = dict.fromkeys(subject for subject, _ in sequences)
    missing = [
        f"{subject} {label}"
        for subject, label in product(subjects, _EXPRESSIONS)
        if (subject, label) not in sequences
    ]
    if missing:
        some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        notes.append(f"{len(missing)} sequences of these subjects are missing: {some}")
    if (len(sequences), len(subjects)) != OFFICIAL:
        notes.append(
            f"{len(sequences)} sequences of {len(subjects)} subjects, not the official "
            f"{OFFICIAL[0]} of {OFFICIAL[1]}: published results do not compare"
        )
    return notes
