"""AffectNet: faces from the web, labelled by hand, in both of its distributions."""

import os
import tokenize
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np

from surrojax.data.csvs import Row, find, read_rows
from surrojax.data.labels import CONTEMPT
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.walk import IMAGE_SUFFIXES, child, find_root
from surrojax.errors import InputError, one_line

OFFICIAL = 3500
"""Validation images of seven classes: what is reported."""

WHERE_FROM = (
    "AffectNet from Mohammad Mahoor, University of Denver (mohammadmahoor.com; for "
    "research only, after signing the agreement)"
)

_NAMES = ("AffectNet",)
_TABLES = {"test": "validation.csv", "train": "training.csv"}
_SETS = {"test": "val_set", "train": "train_set"}
_LISTS = "Manually_Annotated_file_lists"
_COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_PATH, _LABEL = _COLUMNS[0], "expression"
_BOX = _COLUMNS[1:5]
_CODES = (
    "neutral",
    "happy",
    "sad",
    "surprise",
    "fear",
    "disgust",
    "angry",
    CONTEMPT,
    "no expression",
    "uncertain",
    "no face",
)
_BY_CODE = {str(code): name for code, name in enumerate(_CODES)}
_LEFT_OUT = frozenset(_CODES[7:])
_ENDING = "_exp.npy"
# What numpy raises at bytes that are not the array they should be; SystemError is
# Python's for a character beyond Unicode.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    MemoryError,
    SystemError,
    tokenize.TokenError,
)


def scan(folder: Path) -> Listing:
    """Finds the labelled images of AffectNet in one of its two distributions.

    The first: `training.csv` and `validation.csv`, also in a folder
    `Manually_Annotated_file_lists`, with or without a header, whose rows name images
    below `Manually_Annotated_Images` (also inside `Manually_Annotated`, or right in the
    folder) and give the box around the face. The later one: `train_set` and `val_set`,
    each with `images/<id>.jpg` and `annotations/<id>_exp.npy`, cut to the face.

    Contempt is left out, and so is what the annotators found to have no expression, to
    be uncertain or to be no face, and a row whose box is `NULL`. An image that both
    splits name is a test image only.

    Args:
      folder: where AffectNet is, or what has it in a sub-folder.

    Returns:
      Seven classes; the splits `train`, and `test` of the 3,500 validation images.

    Raises:
      InputError: there is no AffectNet, or a row or an annotation is wrong.
    """
    root = find_root(
        folder,
        _NAMES,
        lambda place: _has_sets(place) or _has_tables(place),
        f"{' and '.join(_TABLES.values())}, nor {' and '.join(_SETS.values())},",
        WHERE_FROM,
    )
    findings = _Findings(root)
    if _has_sets(root):
        layout = "train_set and val_set"
        _scan_sets(root, findings)
    else:
        layout = "training.csv and validation.csv"
        _scan_tables(root, findings)
    frames = sorted(
        findings.frames.values(), key=lambda f: (f.split != "train", f.file)
    )
    listing = Listing(
        name="affectnet",
        root=root,
        layout=layout,
        classes=canonical(frame.label for frame in frames),
        frames=tuple(frames),
        left_out=tuple(sorted(findings.left_out, key=lambda e: (e.reason, e.file))),
        notes=tuple(_notes(frames)),
    )
    return check(listing, f"get {WHERE_FROM} whole")


class _Findings:
    """Frames and what is left out, each image once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.frames: dict[str, Frame] = {}
        self.left_out: list[LeftOut] = []
        self._seen: set[str] = set()

    def add(
        self,
        file: str,
        label: str,
        split: str,
        box: Callable[[], tuple[int, int, int, int] | None] = lambda: None,
        boxless: bool = False,
    ) -> None:
        """One labelled image; its box is asked for only if it is kept.

        `boxless`: there should be a box, but none is known.
        """
        if file in self._seen:
            self.leave_out(file, "image listed twice")
        elif label in _LEFT_OUT:
            self.leave_out(file, label)
        elif boxless:
            self.leave_out(file, "no face box")
        else:
            self.frames[file] = Frame(file, label, file, "", split, box=box())
        self._seen.add(file)

    def leave_out(self, file: str, reason: str) -> None:
        self.left_out.append(LeftOut(file, reason))

    def without_annotation(self, images: Iterable[str]) -> None:
        """Leaves out those of `images` that nothing was said about."""
        for file in images:
            if file not in self._seen:
                self.leave_out(file, "image without annotation")


def _has_tables(place: Path) -> bool:
    return all(_table(place, name) for name in _TABLES.values())


def _table(place: Path, name: str) -> Path | None:
    lists = child(place, _LISTS)
    return find(place, name) or (lists and find(lists, name))


def _scan_tables(root: Path, findings: _Findings) -> None:
    images = _images(root)
    # Listed once: to ask of each row whether its file exists would take minutes.
    there = _listed(root, images)
    by_folded = {file.casefold(): file for file in there}
    around = _below(root, images)
    for split, name in _TABLES.items():
        table = _table(root, name)
        assert table is not None
        for row in read_rows(table, (_PATH, *_BOX, _LABEL), headless=_headless):
            label = _BY_CODE.get(row.fields[_LABEL].removesuffix(".0"))
            if label is None:
                raise row.fault(
                    _LABEL,
                    f"{row.fields[_LABEL][:20]!r} is not a code of 0 to 10",
                    "get the file again",
                )
            wanted = around + row.fields[_PATH].replace("\\", "/")
            file = by_folded.get(wanted.casefold())
            if file is None:
                findings.leave_out(wanted, "image missing")
            else:
                boxless = "NULL" in map(row.fields.get, _BOX)
                findings.add(file, label, split, partial(_box, row), boxless)
    findings.without_annotation(file for file in there if _is_image(file))


def _listed(root: Path, folder: Path) -> list[str]:
    """All files below a folder, relative to `root`, sorted.

    There are hundreds of thousands, of which `walk` would make paths in natural order.

    Raises:
      InputError: a folder cannot be read.
    """

    def complain(error: OSError) -> NoReturn:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); check its "
            "permissions"
        ) from error

    found: list[str] = []
    for place, _, names in os.walk(folder, onerror=complain):
        around = _below(root, Path(place))
        found += [around + name for name in names if not name.startswith(".")]
    return sorted(found)


def _below(root: Path, folder: Path) -> str:
    """What stands before the names of a folder's files to make them relative."""
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _is_image(file: str) -> bool:
    return os.path.splitext(file)[1].lower() in IMAGE_SUFFIXES


def _images(root: Path) -> Path:
    """The folder that the paths in the tables are relative to."""
    around = child(root, "Manually_Annotated") or root
    return child(around, "Manually_Annotated_Images") or around


def _headless(first: Sequence[str]) -> Sequence[str]:
    """The columns of a table whose first line begins with an image's path."""
    begins = first[0].strip()
    return _COLUMNS if "/" in begins or _is_image(begins) else ()


def _box(row: Row) -> tuple[int, int, int, int]:
    x, y = (row.whole(column) for column in _BOX[:2])
    width, height = (row.whole(column, 1) for column in _BOX[2:])
    return x, y, x + width, y + height


def _has_sets(place: Path) -> bool:
    return all(child(place, name) for name in _SETS.values())


def _scan_sets(root: Path, findings: _Findings) -> None:
    for split, name in _SETS.items():
        part = child(root, name) or root
        # Some archives hold a folder inside one of the same name.
        while inner := child(part, name):
            part = inner
        images, annotations = child(part, "images"), child(part, "annotations")
        if images is None or annotations is None:
            absent = "images" if images is None else "annotations"
            raise InputError(f"{part}: has no folder {absent}; get {WHERE_FROM} whole")
        _scan_set(root, split, images, annotations, findings)


def _scan_set(
    root: Path, split: str, images: Path, annotations: Path, findings: _Findings
) -> None:
    there = [file for file in _listed(root, images) if _is_image(file)]
    names = {PurePosixPath(file).stem: file for file in there}
    for annotation in _listed(root, annotations):
        if annotation.endswith(_ENDING):
            name = PurePosixPath(annotation).name.removesuffix(_ENDING)
            if name in names:
                findings.add(names[name], _read_label(root / annotation), split)
            else:
                findings.leave_out(annotation, "image missing")
    findings.without_annotation(there)


def _read_label(file: Path) -> str:
    """The label in an array of one string or number."""
    try:
        with file.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
        return _BY_CODE[array.astype(str).item().removesuffix(".0")]
    except KeyError as error:
        raise InputError(
            f"{file}: has {error} where a code of 0 to 10 must be; get it again"
        ) from None
    except _UNREADABLE as error:
        raise InputError(
            f"{file}: is no whole array of one label ({one_line(error)}); get it again"
        ) from error


def _notes(frames: Sequence[Frame]) -> list[str]:
    test = sum(frame.split == "test" for frame in frames)
    if test == OFFICIAL:
        return []
    return [
        f"{test} validation images of the seven classes, not the official {OFFICIAL}: "
        "published results do not compare"
    ]
