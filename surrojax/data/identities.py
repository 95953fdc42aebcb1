"""Photos of many people, a folder each: what a face-recognition network learns from.

The layout of LFW, CASIA-WebFace and VGGFace2: `name/photo.jpg`, in a folder or in a
`.tar` of one. A folder around all of the people's is nobody's, and so are `train` and
`test`.
"""

import hashlib
import io
import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from surrojax.data.labels import split_of
from surrojax.data.pixels import decode_rgb
from surrojax.data.walk import composed, images, is_hidden, is_image
from surrojax.errors import InputError, one_line
from surrojax.fields import some_of

WHERE_FROM = (
    "put photos there as NAME/PHOTO.jpg, as LFW (vis-www.cs.umass.edu/lfw), "
    "CASIA-WebFace or VGGFace2 are distributed, for research"
)


FEW, MANY = 4, 10
"""At most so many folders, of at least so many people each, are sets and no people."""


@dataclass(frozen=True)
class Identities:
    """Photos and who they show.

    Attributes:
      photos: of random access, `[n, h, w, 3]` uint8.
      people: `[n]` int32, who: an index into `names`.
      names: of the people, sorted.
      source: the name of the folder or archive.
    """

    photos: "Photos"
    people: np.ndarray
    names: tuple[str, ...]
    source: str

    def rows_of(self, people: np.ndarray) -> np.ndarray:
        """The photos of some people."""
        return np.flatnonzero(np.isin(self.people, people))


@dataclass(frozen=True)
class Photos:
    """Encoded photos, decoded as they are asked for: an `Images`.

    Attributes:
      entries: bytes of a photo, or the file that has them.
      titles: what each is called in a message.
      height, width: that they are given, in pixels.
      window: share of the shorter side that is kept around the middle, where the face
        is; it is cut to the wanted proportions.
    """

    entries: tuple[bytes | Path, ...]
    titles: tuple[str, ...]
    height: int
    width: int
    window: float

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.entries), self.height, self.width, 3)

    def __getitem__(self, rows: Any) -> Any:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, row in enumerate(rows):
            images[place] = self._decode(row)
        return images

    def fingerprint(self) -> str:
        """A hash of all encoded photos, their order and what is cut out of them."""
        digest = hashlib.sha256(repr((self.shape, self.window)).encode())
        for row in range(len(self.entries)):
            digest.update(self._bytes(row))
        return digest.hexdigest()

    def _bytes(self, row: int) -> bytes:
        entry = self.entries[row]
        if isinstance(entry, bytes):
            return entry
        try:
            return entry.read_bytes()
        except OSError as error:
            raise self._fault(row, one_line(error)) from error

    def _decode(self, row: int) -> np.ndarray:
        encoded = self._bytes(row)
        try:
            rgb = decode_rgb(io.BytesIO(encoded))
        except UnidentifiedImageError as error:
            # Pillow names the stream, which says nothing.
            raise self._fault(row, "it is no image of a known kind") from error
        except Exception as error:
            raise self._fault(row, one_line(error)) from error
        box_height = self.window * min(rgb.height, rgb.width * self.height / self.width)
        box_width = box_height * self.width / self.height
        left, top = (rgb.width - box_width) / 2, (rgb.height - box_height) / 2
        box = (left, top, left + box_width, top + box_height)
        size = (self.width, self.height)
        return np.asarray(rgb.resize(size, Image.Resampling.BILINEAR, box))

    def _fault(self, row: int, why: str) -> InputError:
        return InputError(
            f"{self.titles[row]}: cannot be read as a photo ({why}); replace or delete "
            "it"
        )


def read(source: Path, height: int, width: int, window: float = 1.0) -> Identities:
    """Finds the photos of a folder or a `.tar` of one; none is decoded yet.

    Args:
      source: the folder of the people's folders, or its archive.
      height, width: of the photos, in pixels.
      window: of `Photos`.

    Raises:
      InputError: there is nothing, or fewer than two people; or photos lie so deep that
        nothing tells which folder is a person's.
    """
    find = _in_folder if source.is_dir() else _in_archive
    if not source.exists():
        raise InputError(f"{source}: no such folder or .tar archive; {WHERE_FROM}")
    every = sorted(find(source), key=lambda entry: entry[0].parts)
    person = _people(source, {path.parent for path, _ in every})
    found = [(path, entry) for path, entry in every if path.parent in person]
    who = [person[path.parent] for path, _ in found]
    names = tuple(sorted(set(who)))
    if len(names) < 2:
        raise InputError(f"{source}: photos of {len(names)} people found; {WHERE_FROM}")
    place = {name: index for index, name in enumerate(names)}
    photos = Photos(
        tuple(entry for _, entry in found),
        tuple(f"{source}, {path}" for path, _ in found),
        height,
        width,
        window,
    )
    people = np.array([place[name] for name in who], np.int32)
    return Identities(photos, people, names, source.name)


def _people(source: Path, folders: Iterable[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Whose each folder with photos is; those that are nobody's are left out.

    Args:
      source: what they lie in, for the message.
      folders: with photos right in them, relative to `source`.

    Raises:
      InputError: some lie in others that are neither around all nor a split's.
    """
    inside = {folder: folder.parts for folder in folders if folder.parts}
    while any(len(parts) > 1 for parts in inside.values()):
        outer = {parts[0] for parts in inside.values()}
        if len(outer) > 1 and not _are_sets(outer, inside.values()):
            raise _unclear(source, inside)
        inside = {
            folder: parts[1:] for folder, parts in inside.items() if len(parts) > 1
        }
    return {folder: composed(parts[0]) for folder, parts in inside.items()}


def _are_sets(outer: Iterable[str], inside: Collection[tuple[str, ...]]) -> bool:
    """Whether outer folders are splits, or sets of many people, who are in one each."""
    if all(map(split_of, outer)):
        return True
    people = {(parts[0], composed(parts[1])) for parts in inside if parts[1:]}
    many = Counter(folder for folder, _ in people)
    names = {name for _, name in people}
    plain = all(
        len(parts) > 1 and not parts[1].casefold().startswith(parts[0].casefold())
        for parts in inside
    )
    sizes = many.values()
    return (
        plain and len(sizes) <= FEW and min(sizes) >= MANY and len(names) == len(people)
    )


def _unclear(source: Path, inside: dict[PurePosixPath, tuple[str, ...]]) -> InputError:
    """Names two folders that may be people's or albums, of one name if they can be.

    Or the folder that is beside splits, and no split itself.
    """
    deep = {parts[0] for parts in inside.values() if len(parts) > 1}
    beside = sorted({parts[0] for parts in inside.values()} - deep)
    if all(map(split_of, deep)):
        splits = " and ".join(sorted(deep))
        return InputError(
            f"{source}: photos lie in {some_of(beside)}, beside {splits}, and nothing "
            "tells whose they are; move them into one of those, or away"
        )
    folders = sorted(inside, key=lambda f: (len(inside[f]) == 1, f.parts))
    first: dict[str, PurePosixPath] = {}
    alike = [
        (other, folder)
        for folder in folders
        if (other := first.setdefault(composed(folder.name), folder)) != folder
    ]
    inner, second = alike[0] if alike else folders[:2]
    return InputError(
        f"{source}: photos lie in {inner} and {second}, and nothing tells whether "
        f"{inner.parent.name} or {inner.name} is a person; put photos there as "
        f"NAME/PHOTO.jpg: those in {inner} right into {inner.parent}, or the folder "
        f"{inner.name} beside {inner.parent.name}"
    )


Entry = tuple[PurePosixPath, bytes | Path]


def _in_folder(source: Path) -> Iterator[Entry]:
    """The photos; of a folder that links lead to as well, once."""
    seen: set[Path] = set()
    for folder, files in groupby(images(source), key=lambda file: file.parent):
        if (real := folder.resolve()) in seen:
            continue
        seen.add(real)
        for file in files:
            yield PurePosixPath(file.relative_to(source).as_posix()), file


def _in_archive(source: Path) -> Iterator[Entry]:
    try:
        with tarfile.open(source) as archive:
            members = {PurePosixPath(m.name): m for m in archive if m.isfile()}
            _check_end(archive)
            for path, member in members.items():
                wanted = is_image(path) and not any(map(is_hidden, path.parts))
                content = archive.extractfile(member) if wanted else None
                if content is not None:
                    yield path, content.read()
    except (
        OSError,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        tarfile.TarError,
    ) as error:
        raise InputError(
            f"{source}: cannot be read ({one_line(error)}): it is "
            "damaged, cut off or no .tar archive; get it again"
        ) from error


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises what is wrong with the end of an archive whose members have been listed.

    `tarfile` ends without a word where it is cut off, or where a header is damaged;
    the sum of a compressed archive comes last.
    """
    file = archive.fileobj
    assert file is not None
    if file.tell() - archive.offset < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("unexpected end of data")
    while file.read(1 << 20):
        pass
    if isinstance(file, io.BufferedReader):  # of a plain one, a zero block follows
        file.seek(archive.offset)
        if any(file.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("a header is damaged")


@dataclass(frozen=True)
class Sides:
    """Who trains and who does not: disjoint people.

    Attributes:
      train, validation, held_out: `[.]` indices into `Identities.names`.
    """

    train: np.ndarray
    validation: np.ndarray
    held_out: np.ndarray


def deal(
    identities: Identities, seed: int, held_out: int, validation: int, min_photos: int
) -> Sides:
    """Draws the people that are verified, those that choose, and those that train.

    Args:
      identities: all of them; people with a single photo cannot be verified.
      seed: of the draw.
      held_out: people for the reported verification.
      validation: people for the choice of settings.
      min_photos: photos that a person needs to be trained on.

    Raises:
      InputError: there are too few people.
    """
    photos = np.bincount(identities.people, minlength=len(identities.names))
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(photos >= 2))
    taken = held_out + validation
    rest = np.setdiff1d(np.arange(len(photos)), drawn[:taken])
    train = rest[photos[rest] >= min_photos]
    if len(drawn) < taken or len(train) < 2:
        raise InputError(
            f"{identities.source}: {len(drawn)} people have two photos or more; "
            f"{taken} of them are held out "
            "(config.dataset.held_out, config.dataset.validation) "
            f"and {len(train)} are left to train on; hold out fewer"
        )
    return Sides(train, np.sort(drawn[held_out:taken]), np.sort(drawn[:held_out]))
