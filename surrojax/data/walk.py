"""Files and folders of a database, found by names alone, in an order of their own.

A copy of a database has been through several hands: the case of its names differs,
an archive has left a folder more, a desktop has left files of its own. What is found
here does not depend on any of that, nor on the order in which a disk lists names.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from surrojax.errors import InputError

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
)
"""Of the files that count as images, in lower case."""

_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}
# Control characters, and what Python makes of bytes that are not UTF-8: names with
# them can be neither hashed nor printed.
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def find_root(
    folder: Path,
    names: Sequence[str],
    has: Callable[[Path], bool],
    what: str,
    where_from: str,
) -> Path:
    """Where a database lies in the folder that the user named.

    Args:
      folder: it, or what has it in a sub-folder.
      names: of such a sub-folder, or of one inside that; in any case, with `-`, `_` or
        a blank between the words.
      has: whether the database begins at a folder.
      what: is looked for: names of files or folders, for the message.
      where_from: whom to get it from and under which licence, after the word `get`.

    Returns:
      The first of `folder`, its sub-folders in the order of `names`, and theirs.

    Raises:
      InputError: there is none; the message says what to get and where to put it.
    """
    level = [folder]
    for _ in range(3):
        for place in level:
            if place.is_dir() and has(place):
                return place
        level = [
            found
            for place in level
            if place.is_dir()
            for name in names
            for found in _named(folders(place), name)
        ]
    absent = "" if folder.is_dir() else ", which is no folder"
    raise InputError(
        f"no {what} in {folder}{absent}: get {where_from}, and put it there or into "
        f"{folder / names[0]}, or set --config.dataset.dir or SURROJAX_DATA to the "
        "folder that has it"
    )


def child(folder: Path, *names: str) -> Path | None:
    """The sub-folder with the first of `names` that is there; None: there is none.

    Case does not matter, nor whether `-`, `_` or a blank is between the words.

    Raises:
      InputError: two sub-folders have that name, in different spellings.
    """
    for name in names:
        found = _named(folders(folder), name)
        if len(found) > 1:
            raise InputError(
                f"{folder}: has both {found[0].name!r} and {found[1].name!r}, and "
                "nothing tells which of them is the database's; keep one of them there"
            )
        if found:
            return found[0]
    return None


def folders(folder: Path) -> list[Path]:
    """The sub-folders, in natural order, without hidden ones."""
    return [Path(entry) for entry in _entries(folder) if _is_folder(entry)]


def files(folder: Path, suffixes: Iterable[str] | None = None) -> list[Path]:
    """The files directly in a folder, in natural order, without hidden ones.

    Args:
      folder: where they are.
      suffixes: which endings count, in lower case; None: all.
    """
    found = [
        entry
        for entry in _entries(folder)
        if not _is_folder(entry) and _ends(entry.name, suffixes)
    ]
    for entry in found:
        if entry.is_symlink() and not os.path.exists(entry):
            raise InputError(f"{entry.path}: is a link to nothing; mend or delete it")
    return [Path(entry) for entry in found]


def files_below(folder: Path, suffixes: Iterable[str] | None = None) -> list[Path]:
    """The files in a folder and all its sub-folders: see `files`.

    A folder's own files come before those of its sub-folders.
    """
    return [file for place in _places(folder) for file in files(place, suffixes)]


def images(folder: Path) -> list[Path]:
    """The image files in a folder and all its sub-folders, in natural order."""
    return files_below(folder, IMAGE_SUFFIXES)


def images_and_others(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The same, and how many files there are that are no images, by their ending."""
    found, others = list[Path](), Counter[str]()
    for place in _places(folder):
        found += files(place, IMAGE_SUFFIXES)
        others.update(
            os.path.splitext(entry.name)[1].lower().rstrip(".") or "without an ending"
            for entry in _entries(place)
            if not _is_folder(entry) and not _ends(entry.name, IMAGE_SUFFIXES)
        )
    return found, others


def is_image(file: PurePath) -> bool:
    """Whether a file counts as an image, by its ending."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def find_file(root: Path, path: PurePosixPath) -> PurePosixPath | None:
    """The file of a path in a folder, as it is spelled there; None: there is none.

    Args:
      root: the folder.
      path: relative to it, without `..`; of any spelling that `composed` makes equal.
    """
    if (root / path).is_file():
        return path
    level = [root]
    for part in path.parts:
        level = [
            Path(entry)
            for place in level
            if place.is_dir()
            for entry in _entries(place)
            if composed(entry.name) == composed(part)
        ]
    found = [PurePosixPath(file.relative_to(root)) for file in level if file.is_file()]
    return found[0] if found else None


def natural(name: str) -> tuple[Any, ...]:
    """A sorting key by which `x2` comes before `x10`, whatever the case."""
    parts = re.split("([0-9]+)", name.casefold())
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts)), name


def composed(name: str) -> str:
    """A name by which spellings of it are compared, never opened: in Unicode's NFC.

    A Mac writes `é` as two characters where others write one.
    """
    return unicodedata.normalize("NFC", name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder never counts: hidden, or left there by a desktop."""
    return name.startswith(".") or name.casefold() in _LITTER


def _places(folder: Path, way: tuple[Path, ...] = ()) -> Iterator[Path]:
    """A folder and all its sub-folders, each before those that it has.

    Args:
      folder: the first.
      way: the real folders that it lies in.
    """
    # A link to a folder that it lies in would be followed without end.
    if (real := folder.resolve()) in way:
        return
    yield folder
    for inner in folders(folder):
        yield from _places(inner, (*way, real))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listed:
            entries = [entry for entry in listed if not is_hidden(entry.name)]
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); check its name and its "
            "permissions"
        ) from error
    for entry in entries:
        if _UNFIT.search(entry.name):
            raise InputError(
                f"{folder}: the name {entry.name!r} in it is not UTF-8 text on one "
                "line; rename it"
            )
    return sorted(entries, key=lambda entry: natural(entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _ends(name: str, suffixes: Iterable[str] | None) -> bool:
    return suffixes is None or os.path.splitext(name)[1].lower() in suffixes


def _named(places: Iterable[Path], name: str) -> list[Path]:
    return [place for place in places if _plain(place.name) == _plain(name)]


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-").replace(" ", "-")
