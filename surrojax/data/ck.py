"""CK+, the extended Cohn-Kanade database: sequences from neutral to the peak."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from surrojax.data.labels import CONTEMPT, expression
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.walk import (
    child,
    files_below,
    find_root,
    folders,
    images,
    is_image,
    natural,
)
from surrojax.errors import InputError

OFFICIAL = (309, 106)
"""Sequences of the six expressions and their subjects, as distributed."""

PEAK = 3
"""How many frames of a sequence count, at its end; so many neutral ones too."""

WHERE_FROM = (
    "CK+ from Jeffrey Cohn's group at the University of Pittsburgh "
    "(www.jeffcohn.net/resources; for non-commercial research, after signing their "
    "agreement)"
)

_NAMES = (
    "CK+",
    "ck",
    "ckplus",
    "ck-plus",
    "CK+48",
    "ck48",
    "cohn-kanade",
    "extended-cohn-kanade",
)
_CODES = {
    0.0: "neutral",
    1.0: "angry",
    2.0: CONTEMPT,
    3.0: "disgust",
    4.0: "fear",
    5.0: "happy",
    6.0: "sad",
    7.0: "surprise",
}
# Official data have no label 0.
_REASONS = {None: "no label", CONTEMPT: CONTEMPT, "neutral": "label 0, neutral"}
_FRAME = re.compile("(S[0-9]+)_([0-9]+)_([0-9]+)", re.IGNORECASE)
_LABEL = re.compile("(S[0-9]+)_([0-9]+)_[0-9]+_emotion", re.IGNORECASE)

_Key = tuple[str, str]
_Sequence = dict[int, Path]


def scan(folder: Path) -> Listing:
    """Finds the labelled sequences of CK+ in one of two layouts.

    Official: `cohn-kanade-images/S005/001/S005_001_00000011.png` and
    `Emotion/S005/001/S005_001_00000011_emotion.txt`, also inside folders
    `extended-cohn-kanade-images` and `Emotion_labels`. The last three frames of each
    labelled sequence show its expression; the first three of a subject's first such
    sequence are the subject's one neutral sample, `S005/neutral`. The frames between
    are no part of the protocol. A frame is never both: of a sequence with fewer than
    six, fewer are neutral.

    Folders: `anger/S010_004_00000017.png`, also inside `CK+48`: the peak frames alone,
    cut to 48 x 48 pixels; 981 images of 118 subjects as distributed, 927 of 106 without
    contempt. All frames count, and there is no neutral.

    What a file shows is taken from its own name, whatever folder it is in. Contempt is
    left out.

    Args:
      folder: where CK+ is, or what has it in a sub-folder.

    Returns:
      Six classes, and neutral from the official layout.

    Raises:
      InputError: there is no CK+, a part of it is missing, or a label is wrong.
    """
    root = find_root(
        folder,
        _NAMES,
        lambda place: _is_official(place) or _is_folders(place),
        "cohn-kanade-images and Emotion, nor anger/S010_004_00000017.png,",
        WHERE_FROM,
    )
    listing = _scan_official(root) if _is_official(root) else _scan_folders(root)
    expressions = [frame for frame in listing.frames if frame.label != "neutral"]
    found = (
        len({frame.sequence for frame in expressions}),
        len({frame.subject for frame in expressions}),
    )
    if found != OFFICIAL:
        note = (
            f"{found[0]} sequences of {found[1]} subjects show one of the six "
            f"expressions, not the official {OFFICIAL[0]} of {OFFICIAL[1]}: published "
            "results do not compare"
        )
        listing = replace(listing, notes=(*listing.notes, note))
    return check(listing, f"get {WHERE_FROM} whole")


def _is_official(place: Path) -> bool:
    return _image_folder(place) is not None or _label_folder(place) is not None


def _image_folder(place: Path) -> Path | None:
    return _nested(place, "extended-cohn-kanade-images", "cohn-kanade-images")


def _label_folder(place: Path) -> Path | None:
    return _nested(place, "Emotion_labels", "Emotion")


def _nested(place: Path, outer: str, inner: str) -> Path | None:
    """A folder `inner`, `outer/inner` or, where that is not split up, `outer`."""
    around = child(place, outer)
    return child(place, inner) or (around and (child(around, inner) or around))


def _is_folders(place: Path) -> bool:
    return any(
        _FRAME.fullmatch(file.stem)
        for inner in folders(place)
        if expression(inner.name)
        for file in images(inner)
    )


def _scan_official(root: Path) -> Listing:
    image_folder, label_folder = _image_folder(root), _label_folder(root)
    if image_folder is None or label_folder is None:
        there, absent = (
            (image_folder, "Emotion with the labels")
            if label_folder is None
            else (label_folder, "cohn-kanade-images")
        )
        assert there is not None
        raise InputError(
            f"{root}: has {there.relative_to(root)} but no folder {absent}; put it "
            f"there; it comes with {WHERE_FROM}"
        )
    left_out: list[LeftOut] = []
    sequences = _by_sequence(root, files_below(image_folder), left_out)
    labels = _read_labels(root, label_folder, left_out)
    for key, (_, file) in labels.items():
        if key not in sequences:
            left_out.append(_left_out(root, file, "label without images"))
    kept: dict[str, list[_Key]] = {}
    for key in sorted(sequences, key=_order):
        label = labels[key][0] if key in labels else None
        if label in _REASONS:
            place = next(iter(sequences[key].values())).parent
            left_out.append(_left_out(root, place, _REASONS[label]))
        else:
            kept.setdefault(key[0], []).append(key)
    frames: list[Frame] = []
    short = fewer_neutral = 0
    for subject, keys in kept.items():
        for key in keys:
            files = _in_order(sequences[key])
            frames += _frames(root, files[-PEAK:], key, labels[key][0])
            short += len(files) < PEAK
        neutral = _in_order(sequences[keys[0]])[:-PEAK][:PEAK]
        frames += _frames(root, neutral, (subject, "neutral"), "neutral")
        fewer_neutral += len(neutral) < PEAK
    notes = []
    if short:
        notes.append(f"{short} sequences have fewer than {PEAK} frames")
    if fewer_neutral:
        notes.append(
            f"{fewer_neutral} subjects have fewer than {PEAK} neutral frames before "
            "the peak of their first sequence"
        )
    return _listing(root, "official layout", frames, left_out, notes)


def _scan_folders(root: Path) -> Listing:
    left_out: list[LeftOut] = []
    by_label: dict[str, list[Path]] = {}
    for place in folders(root):
        label = expression(place.name)
        if label is None or label == "neutral":
            left_out.append(_left_out(root, place, "folder of no class"))
        else:
            by_label.setdefault(label, []).extend(files_below(place))
    left_out += [_left_out(root, file, CONTEMPT) for file in by_label.pop(CONTEMPT, [])]
    found: dict[_Key, tuple[str, _Sequence]] = {}
    for label, files in by_label.items():
        for key, sequence in _by_sequence(root, files, left_out).items():
            other, file = found.get(key), next(iter(sequence.values()))
            if other is not None:
                raise InputError(
                    f"{file}: its sequence {'/'.join(key)} is also in a folder of the "
                    f"expression {other[0]!r}; a sequence has one expression: get the "
                    "copy again"
                )
            found[key] = label, sequence
    frames = [
        frame
        for key in sorted(found, key=_order)
        for frame in _frames(root, _in_order(found[key][1]), key, found[key][0])
    ]
    note = (
        "this copy of CK+ has no neutral; the paper's protocol of seven classes needs "
        "the official layout"
    )
    return _listing(root, "folders of 48 x 48 images", frames, left_out, [note])


def _by_sequence(
    root: Path, files: Iterable[Path], left_out: list[LeftOut]
) -> dict[_Key, _Sequence]:
    """Frames by subject and sequence, then by number; others join `left_out`."""
    sequences: dict[_Key, _Sequence] = {}
    for file in files:
        name = _FRAME.fullmatch(file.stem)
        if not is_image(file):
            left_out.append(_left_out(root, file, "not an image"))
        elif name is None:
            left_out.append(_left_out(root, file, "name not understood"))
        else:
            sequence = sequences.setdefault((name[1].upper(), name[2]), {})
            if sequence.setdefault(int(name[3]), file) != file:
                left_out.append(_left_out(root, file, "same frame twice"))
    return sequences


def _read_labels(
    root: Path, folder: Path, left_out: list[LeftOut]
) -> dict[_Key, tuple[str, Path]]:
    """The label of each sequence and the file that says so."""
    labels: dict[_Key, tuple[str, Path]] = {}
    for file in files_below(folder):
        name = _LABEL.fullmatch(file.stem)
        if name is None or file.suffix.lower() != ".txt":
            left_out.append(_left_out(root, file, "name not understood"))
            continue
        label = _read_label(file)
        key = name[1].upper(), name[2]
        earlier, other = labels.setdefault(key, (label, file))
        if earlier != label:
            raise InputError(
                f"{file}: says {label}, but {other} says {earlier} of the same "
                "sequence; get the labels again"
            )
    return labels


def _read_label(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); get it again") from error
    try:
        return _CODES[float(text)]
    except (ValueError, KeyError):
        raise InputError(
            f"{file}: has {text[:20]!r} where one whole number of 0 to 7 must be; "
            "get it again"
        ) from None


def _frames(root: Path, files: Iterable[Path], key: _Key, label: str) -> list[Frame]:
    return [
        Frame(file.relative_to(root).as_posix(), label, "/".join(key), key[0])
        for file in files
    ]


def _in_order(sequence: _Sequence) -> list[Path]:
    return [sequence[number] for number in sorted(sequence)]


def _order(key: _Key) -> tuple[object, ...]:
    return natural(key[0]), natural(key[1])


def _left_out(root: Path, file: Path, reason: str) -> LeftOut:
    return LeftOut(file.relative_to(root).as_posix(), reason)


def _listing(
    root: Path,
    layout: str,
    frames: list[Frame],
    left_out: list[LeftOut],
    notes: list[str],
) -> Listing:
    return Listing(
        name="ck",
        root=root,
        layout=layout,
        classes=canonical(frame.label for frame in frames),
        frames=tuple(frames),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
