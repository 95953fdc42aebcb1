"""Any folder of images with a sub-folder for each class, with or without splits."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from surrojax.data import csvs
from surrojax.data.labels import expression, split_of
from surrojax.data.listing import Frame, LeftOut, Listing, canonical, check
from surrojax.data.walk import (
    composed,
    files,
    files_below,
    folders,
    is_image,
    natural,
)
from surrojax.errors import InputError

SUBJECTS_CSV = "subjects.csv"
CLASSES_CSV = "classes.csv"

LAYOUT = (
    "put the images into a sub-folder for each class, such as happy/1.png, or into "
    "such sub-folders of train and test"
)


class _Image(NamedTuple):
    """An image in a label's folder: all paths relative to the root, with slashes."""

    file: str
    place: str
    split: str

    @property
    def folder(self) -> str:
        return composed(PurePosixPath(self.place).name)


class _Person(NamedTuple):
    """Who an image shows and which sequence it is of, each empty where not said."""

    subject: str
    sequence: str


def scan(
    folder: Path,
    subject_pattern: str = "",
    sequence_pattern: str = "",
    name: str = "folder",
) -> Listing:
    """Finds the images of a folder, `happy/1.png` or `train/happy/1.png`.

    The images of a class may lie at any depth below its folder. With a folder `train`
    or `test` that has sub-folders, the label is one level further down; `validation`
    (`valid`, `val`) is optional.

    Where all folders are named after expressions, in any of the spellings of
    `labels.expression`, these are the classes, in their order; else the folders' names
    are, as they stand. A file `classes.csv` in `folder`, with the columns `folder` and
    `name`, renames them first.

    A file `subjects.csv` in `folder`, with the columns `image` (its path in `folder`,
    or its bare name), `subject` and if wanted `sequence` (may be blank), says who is in
    each image. It takes precedence over the patterns.

    Names are compared in Unicode's NFC: an `é` is one, in whatever way it is written.

    Args:
      folder: it.
      subject_pattern: a regular expression that is searched in the name of each file,
        or, if it has a `/`, in the file's path in `folder`. Its group 1, or where it
        has no group all that it matches, is the subject. Empty: the subjects are
        unknown.
      sequence_pattern: the same for the sequence; images of a class and split with the
        same match are one sequence. Empty: each image is a sequence of its own.
      name: of the database.

    Raises:
      InputError: there is no such folder, it has fewer than two classes, or a pattern
        or one of the csv files does not suit it.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: is no folder; set --config.dataset.dir to the one to read and "
            f"{LAYOUT}"
        )
    left_out: list[LeftOut] = []
    notes: list[str] = []
    images = _find_images(folder, left_out, notes)
    class_of, classes = _classes(folder, images, left_out, notes)
    persons = _persons(folder, images, left_out)
    match_subject = _matcher("subject_pattern", subject_pattern)
    match_sequence = _matcher("sequence_pattern", sequence_pattern)
    frames = []
    for image in images:
        subject, sequence = persons.get(image.file, _Person("", ""))
        if match_subject and not subject:
            subject = match_subject(image.file)
        if match_sequence and not sequence:
            sequence = composed(f"{image.place}/{match_sequence(image.file)}")
        frames.append(
            Frame(
                image.file,
                class_of[image.folder],
                sequence or image.file,
                subject,
                image.split,
            )
        )
    _check_sequences(frames)
    listing = Listing(
        name=name,
        root=folder,
        layout="a folder for each class"
        + (" in each split" if any(image.split for image in images) else ""),
        classes=classes,
        frames=tuple(frames),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )
    return check(listing, LAYOUT)


def has_splits(folder: Path) -> bool:
    """Whether there are folders `train` or `test` around those of the labels."""
    return folder.is_dir() and bool(_splits(folder))


def _splits(root: Path) -> dict[Path, str]:
    """The splits' folders; none where labels are outermost."""
    splits = {
        folder: name
        for folder in folders(root)
        if (name := split_of(folder.name)) and folders(folder)
    }
    return splits if {"train", "test"} & set(splits.values()) else {}


def _find_images(root: Path, left_out: list[LeftOut], notes: list[str]) -> list[_Image]:
    """The images in the labels' folders; other files join `left_out`."""
    found: list[_Image] = []
    tables = [csvs.find(root, name) for name in (SUBJECTS_CSV, CLASSES_CSV)]

    def leave_out(places: Iterable[Path], reason: str) -> None:
        for file in places:
            path = file.relative_to(root).as_posix()
            left_out.append(LeftOut(path, reason if is_image(file) else "not an image"))

    def find(around: Path, split: str) -> None:
        for folder in folders(around):
            place = folder.relative_to(root).as_posix()
            below = files_below(folder)
            images = [file for file in below if is_image(file)]
            leave_out((file for file in below if not is_image(file)), "not an image")
            if not images:
                notes.append(f"the folder {place} has no images")
            for file in images:
                path = file.relative_to(root).as_posix()
                found.append(_Image(path, place, split))

    splits = _splits(root)
    leave_out((f for f in files(root) if f not in tables), "in no folder of a class")
    if not splits:
        find(root, "")
        return found
    for folder in folders(root):
        if folder in splits:
            leave_out(files(folder), "in no folder of a class")
            find(folder, splits[folder])
        else:
            leave_out(files_below(folder), "in no split")
    return found


def _classes(
    root: Path,
    images: Iterable[_Image],
    left_out: list[LeftOut],
    notes: list[str],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The class of each label's folder by its name, and the classes in order."""
    names = {
        folder: folder
        for folder in sorted({image.folder for image in images}, key=natural)
    }
    for row, folder, name in _new_names(root):
        if folder in names:
            names[folder] = name
        else:
            place = f"{CLASSES_CSV}, line {row.line}"
            left_out.append(LeftOut(place, "row without a folder of images"))
    unknown = [name for name in names.values() if expression(name) is None]
    if unknown:
        if len(unknown) < len(names):
            notes.append(
                f"the classes are called as the folders are: {unknown[0]!r} is none of "
                "the expressions"
            )
        spelling: dict[str, str] = {}
        class_of = {
            folder: spelling.setdefault(name.casefold(), name)
            for folder, name in names.items()
        }
        classes = tuple(sorted(set(class_of.values()), key=natural))
    else:
        class_of = {folder: str(expression(name)) for folder, name in names.items()}
        classes = canonical(class_of.values())
    for name in classes:
        merged = [folder for folder in class_of if class_of[folder] == name]
        if len(merged) > 1:
            notes.append(f"the folders {', '.join(merged)} are one class, {name}")
    return class_of, classes


def _new_names(root: Path) -> Iterator[tuple[csvs.Row, str, str]]:
    """The rows of classes.csv, if it is there, each with its folder and name."""
    table = csvs.find(root, CLASSES_CSV)
    first: dict[str, tuple[int, str]] = {}
    for row in csvs.read_rows(table, ("folder", "name")) if table else ():
        folder, name = composed(_filled(row, "folder")), composed(_filled(row, "name"))
        line, earlier = first.setdefault(folder, (row.line, name))
        if earlier != name:
            raise row.fault(
                "name",
                f"{name!r} for {folder!r}, but {earlier!r} in line {line}",
                "keep one of the lines",
            )
        yield row, folder, name


def _persons(
    root: Path, images: Sequence[_Image], left_out: list[LeftOut]
) -> dict[str, _Person]:
    """What subjects.csv says of each image; empty without that file."""
    table = csvs.find(root, SUBJECTS_CSV)
    if table is None:
        return {}
    exact = {image.file for image in images}
    meant: dict[str, list[str]] = {}
    for image in images:
        for name in (PurePosixPath(image.file).name, image.file):
            meant.setdefault(composed(name), []).append(image.file)
    said: dict[str, tuple[int, _Person]] = {}
    for row in csvs.read_rows(table, ("image", "subject"), ("sequence",)):
        name = _filled(row, "image")
        person = _Person(
            composed(_filled(row, "subject")), composed(row.fields.get("sequence", ""))
        )
        path = PurePosixPath(name.replace("\\", "/")).as_posix()
        found = [path] if path in exact else meant.get(composed(path), [])
        if not found:
            place = f"{SUBJECTS_CSV}, line {row.line}"
            left_out.append(LeftOut(place, "row without an image"))
            continue
        if len(found) > 1:
            raise row.fault(
                "image",
                f"{name!r} is the name of {len(found)} images",
                f"write the path, such as {found[0]}",
            )
        line, earlier = said.setdefault(found[0], (row.line, person))
        if earlier != person:
            raise row.fault(
                "image",
                f"{name!r} is in line {line} too, with another subject or sequence",
                "keep one of the lines",
            )
    absent = [image.file for image in images if image.file not in said]
    if absent:
        raise InputError(
            f"{table}: has no row for {absent[0]!r} ({len(absent)} such images); add "
            "one for each image"
        )
    return {file: person for file, (_, person) in said.items()}


def _filled(row: csvs.Row, column: str) -> str:
    if not row.fields[column]:
        raise row.fault(column, "is blank", "fill it in")
    return row.fields[column]


def _matcher(field: str, pattern: str) -> Callable[[str], str] | None:
    """What finds a subject or sequence in a file's path; None: not wanted."""
    if not pattern:
        return None
    try:
        wanted = re.compile(composed(pattern))
    except re.error as error:
        raise InputError(
            f"config.dataset.{field}: {pattern!r} is no regular expression ({error}); "
            "mend it"
        ) from error

    def match(file: str) -> str:
        text = composed(file if "/" in pattern else PurePosixPath(file).name)
        found = wanted.search(text)
        value = found and found[min(1, wanted.groups)]
        if not value:
            raise InputError(
                f"config.dataset.{field}: {pattern!r} matches nothing in {text!r}; "
                f"mend it, or say who is in each image in {SUBJECTS_CSV}"
            )
        return value

    return match


def _check_sequences(frames: Iterable[Frame]) -> None:
    """Raises InputError when frames of a sequence differ in what all must share."""
    first: dict[str, Frame] = {}
    for frame in frames:
        other = first.setdefault(frame.sequence, frame)
        for what in ("label", "subject", "split"):
            if getattr(frame, what) != getattr(other, what):
                raise InputError(
                    f"{frame.file}: has another {what} than {other.file}, but both are "
                    f"of the sequence {frame.sequence!r}; mend "
                    f"config.dataset.sequence_pattern or {SUBJECTS_CSV}"
                )
