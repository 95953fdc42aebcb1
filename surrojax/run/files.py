"""Files written as a whole or not at all, and what is said where one cannot be."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from surrojax.errors import InputError


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns as CSV, with all their digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_bytes(file: Path, content: bytes) -> None:
    """Replaces a file as a whole; nothing is left of one that cannot be written.

    A link stays one; into what is no file, such as /dev/stdout, it is only written.
    """
    if file.is_dir():
        raise InputError(f"{file}: is a folder; name a file")
    if is_stream(file):
        with explained(file), file.open("wb") as out:
            out.write(content)
        return
    place = Path(os.path.realpath(file)) if file.is_symlink() else file
    part = place.with_name(place.name + ".part")
    try:
        with explained(place):
            with part.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            part.replace(place)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def is_stream(file: Path) -> bool:
    """Whether it is a pipe or a device, of which nothing is kept."""
    return file.exists() and not file.is_file() and not file.is_dir()


def write_text(file: Path, text: str) -> None:
    """Replaces a file of text as a whole."""
    write_bytes(file, text.encode())


def write_json(file: Path, value: Any) -> None:
    """Replaces a JSON file as a whole; NaN and infinity are refused."""
    write_text(file, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(file: Path, remedy: str = "restore it or choose another workdir") -> Any:
    """Reads a JSON file.

    Args:
      file: to read.
      remedy: what its user may do where it cannot be read.

    Raises:
      InputError: the file is missing or damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}); {remedy}") from error


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turns the system's refusal to write a file into one clear line."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not os.path.isdir(file.parent):
            raise InputError(
                f"{file}: there is no folder {file.parent}; make it, then run the same "
                "command again"
            ) from error
        raise InputError(
            f"{file}: could not be written ({error.strerror}); make room or mend the "
            "folder's rights, then run the same command again"
        ) from error
