"""The rows of fer2013.csv and of FER+'s votes, checked field by field."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.fer2013_files import open_csv
from surrojax.errors import InputError

SIDE = 48
"""Height and width of the images, in pixels."""

USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
"""The splits' names in the csv, and here."""

LEFT_OUT = ("contempt", "unknown", "NF", "tie")
"""Why a row has no label under FER+; `NF` is its name for `not a face`."""

_VOTE_COLUMNS = {
    "neutral": "neutral",
    "happiness": "happy",
    "surprise": "surprise",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "contempt": None,
    "unknown": None,
    "NF": None,
}
_RATERS = 10

# Looking a token up is fast and, unlike numpy's parsing, lets no other text pass.
_LEVELS = {str(level): level for level in range(256)}
_LABELS = {str(label): label for label in range(len(EXPRESSIONS))}
_VOTES = {str(votes): votes for votes in range(_RATERS + 1)}
_USAGE_INDEX = {usage: index for index, usage in enumerate(USAGES)}

_GET_AGAIN = "the file is damaged or cut off: get it again"


@dataclass(frozen=True)
class Faces:
    """All rows of the Kaggle file, in its order.

    Attributes:
      pixels: `[n, SIDE, SIDE]` uint8, grey levels.
      labels: `[n]` int32, indices into `EXPRESSIONS`.
      usage: `[n]` int32, indices into `USAGES`.
      title: the name of the file, for messages.
    """

    pixels: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    title: str


@dataclass(frozen=True)
class Prepared:
    """The labelled rows of one split, in the order of the Kaggle file.

    Attributes:
      pixels: `[n, SIDE, SIDE]` uint8, grey levels.
      labels: `[n]` int32, indices into `EXPRESSIONS`.
    """

    pixels: np.ndarray
    labels: np.ndarray


def read_faces(path: Path) -> Faces:
    """Reads Kaggle's fer2013.csv or icml_face_data.csv, alone or in an archive.

    Args:
      path: the csv or the archive. The columns `emotion`, `pixels` and `Usage` may be
        in any order, with blanks around their names.

    Raises:
      InputError: the file cannot be read, or a field of it is not as Kaggle's; the
        message names the line (1 is the header) and the column.
    """
    pixels, labels, usage = bytearray(), [], []
    with open_csv(path) as (stream, title):
        for row in _read_rows(stream, title, ("emotion", "pixels", "Usage")):
            label, levels, use = row.fields
            labels.append(row.look_up("emotion", label, _LABELS, "a label of 0 to 6"))
            usage.append(_look_up_usage(row, use))
            pixels += _parse_pixels(row, levels)
    faces = Faces(
        np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE),
        np.array(labels, np.int32),
        np.array(usage, np.int32),
        title,
    )
    _check_splits(faces.usage, title, "use the whole file")
    return faces


def read_votes(path: Path, faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Reads FER+'s fer2013new.csv, whose rows are those of the Kaggle file.

    A row's label is the class with the most of the ten votes. The row has none when
    that class is contempt, unknown or NF, or when several have the most.

    Args:
      path: the csv file.
      faces: the Kaggle file's rows; the number of rows and `Usage` must agree.

    Returns:
      labels: `[n]` int32, indices into `EXPRESSIONS`, -1 for a row left out.
      reasons: `[n]` int32, indices into `LEFT_OUT`, -1 for a row that is kept.

    Raises:
      InputError: the file cannot be read, a field of it is wrong, or it does not
        agree with the Kaggle file.
    """
    votes: list[list[int]] = []
    with open_csv(path) as (stream, title):
        for row in _read_rows(stream, title, ("Usage", *_VOTE_COLUMNS)):
            use, *counts = row.fields
            _check_usage(row, use, faces, len(votes))
            votes.append(_parse_votes(row, counts))
    if len(votes) != len(faces.usage):
        raise InputError(
            f"{title}: has {len(votes)} rows, but {faces.title} has "
            f"{len(faces.usage)}: the two must be row by row of the same images; get "
            "both whole"
        )
    labels, reasons = _most_voted(np.array(votes, np.int32))
    _check_splits(
        faces.usage[labels >= 0], title, "none of its rows has a label by the votes"
    )
    return labels, reasons


def _check_splits(usage: np.ndarray, title: str, remedy: str) -> None:
    """Raises InputError when one of the three splits has no row."""
    for index, (name, split) in enumerate(USAGES.items()):
        if not (usage == index).any():
            raise InputError(
                f"{title}: column 'Usage': no row of {name!r} to make the {split} "
                f"split of; {remedy}"
            )


@dataclass(frozen=True)
class _Row:
    """The wanted fields of one line, and how to complain about them."""

    title: str
    line: int
    fields: list[str]

    def look_up(self, column: str, text: str, table: dict[str, int], what: str) -> int:
        if text not in table:
            raise self.fault(column, f"{_shorten(text)} is not {what}")
        return table[text]

    def fault(self, column: str, what: str, remedy: str = _GET_AGAIN) -> InputError:
        return InputError(
            f"{self.title}: line {self.line}, column {column!r}: {what}; {remedy}"
        )


def _read_rows(stream: IO[bytes], title: str, columns: Sequence[str]) -> Iterator[_Row]:
    """Yields the fields of each row in the order of `columns`."""
    lines = _read_lines(stream, title)
    _, header = next(lines, (0, []))
    if not header:
        raise InputError(f"{title}: is empty; get it again")
    absent = [column for column in columns if column not in header]
    if absent:
        raise InputError(
            f"{title}: line 1: no column {absent[0]!r}; the columns must be "
            f"{','.join(columns)}"
        )
    places = [header.index(column) for column in columns]
    rows = 0
    for line, fields in lines:
        if len(fields) != len(header):
            column = header[min(len(fields), len(header) - 1)]
            raise _Row(title, line, fields).fault(
                column, f"the row has {len(fields)} fields, not {len(header)}"
            )
        yield _Row(title, line, [fields[place] for place in places])
        rows += 1
    if not rows:
        raise InputError(f"{title}: has a header but no rows; get it again")


def _read_lines(stream: IO[bytes], title: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines that are not blank, split at the commas, with their numbers."""
    for number, line in enumerate(stream, start=1):
        try:
            # Spreadsheets put a byte order mark before the header.
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{title}: line {number}: byte {error.start + 1} of the line is not "
                f"UTF-8 text; {_GET_AGAIN}"
            ) from error
        if text.strip():
            yield number, [field.strip(' \t\r\n"') for field in text.split(",")]


def _look_up_usage(row: _Row, text: str) -> int:
    return row.look_up("Usage", text, _USAGE_INDEX, f"one of {', '.join(USAGES)}")


def _parse_pixels(row: _Row, text: str) -> bytes:
    tokens = text.split()
    if len(tokens) != SIDE**2:
        raise row.fault(
            "pixels", f"{len(tokens)} pixels, not {SIDE} x {SIDE} = {SIDE**2}"
        )
    try:
        return bytes(map(_LEVELS.__getitem__, tokens))
    except KeyError:
        place = next(i for i, token in enumerate(tokens) if token not in _LEVELS)
        raise row.fault(
            "pixels",
            f"pixel {place + 1} is {_shorten(tokens[place])}, not a whole number of 0 "
            "to 255",
        ) from None


def _parse_votes(row: _Row, counts: Sequence[str]) -> list[int]:
    what = f"a number of votes (whole, 0 to {_RATERS})"
    return [
        row.look_up(column, text, _VOTES, what)
        for column, text in zip(_VOTE_COLUMNS, counts, strict=True)
    ]


def _check_usage(row: _Row, text: str, faces: Faces, index: int) -> None:
    usage = _look_up_usage(row, text)
    if index < len(faces.usage) and usage != faces.usage[index]:
        raise row.fault(
            "Usage",
            f"{text!r}, but row {index + 1} of {faces.title} has "
            f"{list(USAGES)[faces.usage[index]]!r}",
            "the two files must be row by row of the same images: get both whole",
        )


def _most_voted(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Votes `[n, 10]` in the order of `_VOTE_COLUMNS` to labels and reasons `[n]`."""
    label_of = np.array(
        [-1 if e is None else EXPRESSIONS.index(e) for e in _VOTE_COLUMNS.values()],
        np.int32,
    )
    reason_of = np.array(
        [LEFT_OUT.index(c) if c in LEFT_OUT else -1 for c in _VOTE_COLUMNS], np.int32
    )
    winner = votes.argmax(axis=1)
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    labels = np.where(tied, -1, label_of[winner])
    reasons = np.where(tied, LEFT_OUT.index("tie"), reason_of[winner])
    return labels.astype(np.int32), reasons.astype(np.int32)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 20 else text[:20] + "...")
