"""Oulu-CASIA: sequences from neutral to the peak, by camera and light."""

import re
from collections.abc import Iterator
from pathlib import Path

from surrojax.data.labels import expression
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.walk import child, files_below, find_root, folders, is_image
from surrojax.errors import InputError

CAMERAS = ("VL", "NI")
"""Visible light and near infrared."""

LIGHTS = ("Strong", "Weak", "Dark")

SUBJECTS = 80
"""As distributed; each shows the six expressions once."""

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
_EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise")
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
    _check_option("camera", camera, CAMERAS)
    _check_option("light", light, LIGHTS)
    root = find_root(
        folder,
        _NAMES,
        lambda place: any(_sources(place)),
        "B_OriginalImg or PreProcess_Img with VL or NI",
        WHERE_FROM,
    )
    sources = list(_sources(root))
    chosen = [found for found in sources if found[:2] == (camera, light)]
    if not chosen:
        there = ", ".join(dict.fromkeys(f"{found[0]} {found[1]}" for found in sources))
        raise InputError(
            f"{root}: no images of camera {camera!r} in light {light!r}; there are "
            f"{there}: set --config.dataset.camera and --config.dataset.light to one "
            f"of these, or get {WHERE_FROM} whole"
        )
    _, _, layout, place = chosen[0]
    left_out: list[LeftOut] = []
    notes = []
    if len(chosen) > 1:
        notes.append(
            f"of several copies of {camera} {light}, {place.relative_to(root)} is read"
        )
    frames: list[Frame] = []
    short = 0
    sequences = _sequences(root, place, left_out)
    for (subject, label), files in sequences.items():
        short += len(files) < PEAK
        frames += [
            Frame(
                file.relative_to(root).as_posix(), label, f"{subject}/{label}", subject
            )
            for file in files[-PEAK:]
        ]
    if short:
        notes.append(f"{short} sequences have fewer than {PEAK} frames")
    notes += _missing(sequences)
    listing = Listing(
        name="oulu",
        root=root,
        layout=f"{layout}, {camera} {light}",
        classes=canonical(frame.label for frame in frames),
        frames=tuple(frames),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
    return check(listing, f"get {WHERE_FROM} whole")


def _check_option(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(
            f"config.dataset.{name} is {value!r}; it must be one of "
            f"{', '.join(choices)}"
        )


def _sources(place: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Camera, light, layout and folder of what is there, originals first."""
    for layout, outer, ending in (
        ("original images", "B_OriginalImg", ""),
        ("original images", None, ""),
        ("cropped images", "PreProcess_Img", "_Acropped"),
        ("cropped images", None, "_Acropped"),
    ):
        around = child(place, outer) if outer else place
        for camera in CAMERAS if around else ():
            of_camera = around and child(around, camera + ending)
            for light in LIGHTS if of_camera else ():
                of_light = of_camera and child(of_camera, light)
                if of_light:
                    yield camera, light, layout, of_light


def _sequences(
    root: Path, place: Path, left_out: list[LeftOut]
) -> dict[tuple[str, str], list[Path]]:
    """The frames of each subject and label in order; what is none joins `left_out`."""
    found: dict[tuple[str, str], list[Path]] = {}
    folder_of: dict[tuple[str, str], Path] = {}

    def leave_out(path: Path, reason: str) -> None:
        left_out.append(LeftOut(path.relative_to(root).as_posix(), reason))

    for person in folders(place):
        if not _SUBJECT.fullmatch(person.name):
            leave_out(person, "folder of no subject")
            continue
        for sequence in folders(person):
            label = expression(sequence.name)
            if label not in _EXPRESSIONS:
                leave_out(sequence, "folder of no class")
                continue
            key = person.name.upper(), label
            if folder_of.setdefault(key, sequence) != sequence:
                raise InputError(
                    f"{sequence}: is the same sequence as {folder_of[key]} by its "
                    "name; keep one of them there"
                )
            frames = _numbered(sequence, leave_out)
            if frames:
                found[key] = frames
            else:
                leave_out(sequence, "no images")
    return found
