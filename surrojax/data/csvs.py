"""Rows of a csv file by the names of its columns, and how to complain about them."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from surrojax.data.walk import files
from surrojax.errors import InputError

# Tables that were saved once more write 224 as 224.0.
_WHOLE = re.compile(r"(-?[0-9]{1,9})(?:\.0*)?")


@dataclass(frozen=True)
class Row:
    """One row of a csv file.

    Attributes:
      file: the csv file.
      line: where the row ends in it, from 1.
      fields: by column, without blanks around them.
    """

    file: Path
    line: int
    fields: dict[str, str]

    def whole(self, column: str, least: int | None = None) -> int:
        """A field as a whole number.

        Raises:
          InputError: it is none, or below `least`.
        """
        text = self.fields[column]
        match = _WHOLE.fullmatch(text)
        if match is None or (least is not None and int(match[1]) < least):
            range_ = "" if least is None else f" of {least} or more"
            raise self.fault(column, f"{text[:20]!r} is not a whole number{range_}")
        return int(match[1])

    def fault(self, column: str, what: str, remedy: str = "correct it") -> InputError:
        """The complaint that a field is wrong."""
        return InputError(
            f"{self.file}: line {self.line}, column {column!r}: {what}; {remedy}"
        )


def find(folder: Path, name: str) -> Path | None:
    """The file called `name` in a folder, in any case; None: there is none."""
    return next(
        (f for f in files(folder) if f.name.casefold() == name.casefold()), None
    )


def read_rows(
    file: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    headless: Callable[[Sequence[str]], Sequence[str]] = lambda first: (),
) -> Iterator[Row]:
    """The rows of a csv file, one after the other.

    Args:
      file: text in UTF-8, with commas between the fields and a header.
      columns: that must be there, in any order and case.
      optional: that may be.
      headless: given the fields of the first line, the names of all columns if that
        line is no header but a row already; else nothing.

    Raises:
      InputError: the file cannot be read, a column is absent or a row is cut off.
    """
    wanted = (*columns, *optional)
    try:
        with file.open("rb") as stream:
            reader = csv.reader(_decoded(stream, file), strict=True)
            header: Sequence[str] = ()
            for fields in reader:
                if not any(fields):
                    continue
                if not header:
                    header = headless(fields)
                    if not header:
                        header = [_column(field, wanted) for field in fields]
                        _check_header(file, reader.line_num, header, columns)
                        continue
                if len(fields) != len(header):
                    raise InputError(
                        f"{file}: line {reader.line_num}: has {len(fields)} fields, "
                        f"not {len(header)}; the file is damaged or cut off: mend it "
                        "or get it again"
                    )
                values = dict(zip(header, fields, strict=True))
                yield Row(
                    file,
                    reader.line_num,
                    {name: values[name].strip() for name in wanted if name in values},
                )
    except (OSError, csv.Error) as error:
        raise InputError(
            f"{file}: cannot be read ({error}); mend it or get it again"
        ) from error


def _column(field: str, wanted: Sequence[str]) -> str:
    """The wanted column that a field of the header means, or the field itself."""
    name = field.strip().casefold()
    return next((column for column in wanted if column.casefold() == name), name)


def _check_header(
    file: Path, line: int, header: Sequence[str], columns: Sequence[str]
) -> None:
    for name in columns:
        if header.count(name) != 1:
            count = "two columns" if name in header else "no column"
            raise InputError(
                f"{file}: line {line}: {count} {name!r}; the columns must be "
                f"{','.join(columns)}, with commas between them"
            )


def _decoded(stream: IO[bytes], file: Path) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        try:
            # Spreadsheets put a byte order mark before the header.
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file}: line {number}: byte {error.start + 1} of the line is not "
                "UTF-8 text; save the file as UTF-8"
            ) from error
