"""Where the files of FER2013 and FER+ are, and how the csv in an archive is opened."""

import contextlib
import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from surrojax.errors import InputError, one_line

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
ARCHIVE_NAMES = (
    "fer2013.tar.gz",
    "fer2013.zip",
    "fer2013.csv.zip",
    "icml_face_data.csv.zip",
    "challenges-in-representation-learning-facial-expression-recognition-challenge.zip",
)
VOTES_NAME = "fer2013new.csv"

WHERE_FROM = (
    "get fer2013.tar.gz or icml_face_data.csv of the 'Challenges in Representation "
    "Learning: Facial Expression Recognition Challenge' from Kaggle "
    "(www.kaggle.com/c/challenges-in-representation-learning-facial-expression-"
    "recognition-challenge; for research, under Kaggle's terms)"
)
VOTES_WHERE_FROM = (
    f"get {VOTES_NAME} from Microsoft's repository FERPlus "
    "(github.com/microsoft/FERPlus; MIT licence)"
)

_CHUNK = 1 << 20
# What the standard library raises at bytes that are not the archive they should be;
# RuntimeError is zipfile's for an encrypted member.
_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Sources:
    """The files that one database is made from.

    Attributes:
      kaggle: the csv, or an archive of it.
      votes: FER+'s votes; None for FER2013 itself.
    """

    kaggle: Path
    votes: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.kaggle,) if self.votes is None else (self.kaggle, self.votes)


def find_sources(folder: Path, plus: bool) -> Sources:
    """Looks for the files in `folder` and in its sub-folder `fer2013`.

    Args:
      folder: where the user keeps what was downloaded.
      plus: whether FER+'s votes are needed too.

    Raises:
      InputError: a file is absent; the message says where to get it.
    """
    folders = (folder, folder / "fer2013")
    names = (*CSV_NAMES, *ARCHIVE_NAMES)
    kaggle = _first_file(place / name for place in folders for name in names)
    if kaggle is None:
        wanted = f"{WHERE_FROM}; {VOTES_WHERE_FROM}" if plus else WHERE_FROM
        raise InputError(
            f"no {' or '.join(CSV_NAMES)}, alone or in an archive, in "
            f"{' or '.join(map(str, folders))}: {wanted}, and put it there, or set "
            "--config.dataset.dir or SURROJAX_DATA to the folder that has it"
        )
    if not plus:
        return Sources(kaggle)
    votes = kaggle.with_name(VOTES_NAME)
    if not votes.is_file():
        raise InputError(
            f"no {VOTES_NAME} in {kaggle.parent}: {VOTES_WHERE_FROM}, and put it "
            f"beside {kaggle.name}"
        )
    return Sources(kaggle, votes)


def _first_file(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


@contextlib.contextmanager
def open_csv(path: Path) -> Iterator[tuple[IO[bytes], str]]:
    """Opens a csv file, or the csv of FER2013 inside an archive.

    Args:
      path: a `.csv`, `.zip` or `.tar.gz`. Inside Kaggle's zip the csv may be in a
        second archive.

    Yields:
      The bytes of the csv, and the name to use in messages.

    Raises:
      InputError: the file cannot be read or has no such csv in it, also when that
        shows only while the caller reads.
    """
    try:
        with path.open("rb") as file:
            if path.suffix == ".csv":
                yield file, str(path)
            else:
                with _open_archive(file, path.name, str(path)) as found:
                    yield found
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: cannot be read ({one_line(error)}): it is damaged, cut off or "
            "not what its name says; get it again"
        ) from error


@contextlib.contextmanager
def _open_archive(
    file: IO[bytes], name: str, title: str
) -> Iterator[tuple[IO[bytes], str]]:
    opener = _open_zip if name.endswith(".zip") else _open_tar_gz
    with opener(file, title) as found:
        yield found


@contextlib.contextmanager
def _open_tar_gz(file: IO[bytes], title: str) -> Iterator[tuple[IO[bytes], str]]:
    with (
        gzip.GzipFile(fileobj=file) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r:") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and PurePosixPath(member.name).name in CSV_NAMES:
                yield content, f"{title}, {member.name}"
                # gzip compares its checksum only at the end of the stream.
                while unpacked.read(_CHUNK):
                    pass
                return
    raise _no_csv(title)


@contextlib.contextmanager
def _open_zip(file: IO[bytes], title: str) -> Iterator[tuple[IO[bytes], str]]:
    with zipfile.ZipFile(file) as archive:
        by_name = {PurePosixPath(name).name: name for name in archive.namelist()}
        name = next((n for n in (*CSV_NAMES, *ARCHIVE_NAMES) if n in by_name), None)
        if name is None:
            raise _no_csv(title)
        inner = f"{title}, {by_name[name]}"
        with archive.open(by_name[name]) as content:
            if name in CSV_NAMES:
                yield content, inner
            else:
                with _open_archive(content, name, inner) as found:
                    yield found


def _no_csv(title: str) -> InputError:
    return InputError(f"{title}: has no {' or '.join(CSV_NAMES)} in it; {WHERE_FROM}")
