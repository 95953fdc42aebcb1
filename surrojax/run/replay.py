"""Schedules in files: those that runs leave, and those that are handed on."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.paths import path_of
from surrojax.run.files import csv_of, write_json, write_text
from surrojax.run.records import refuse_owned
from surrojax.schedule import Schedule

SUFFIXES = (".csv", ".json")


def read_schedule(path: str | os.PathLike[str]) -> Schedule:
    """Reads a schedule.

    Args:
      path: a run's folder, or a `.csv` or `.json` file with `step` and a column for
        each hyper-parameter.

    Raises:
      InputError: there is none, or it is damaged; the message names the row.
    """
    file = path_of(path)
    if file.is_dir():
        file = file / filenames.SCHEDULE
    if not file.exists():
        raise InputError(
            f"{file}: there is no such folder or file; name a run's folder, or a .csv "
            "or .json file with a schedule"
        )
    _check_suffix(file)
    try:
        text = file.read_text(encoding="utf-8-sig")  # a spreadsheet's CSV has a mark
        rows = json.loads(text) if file.suffix == ".json" else _rows_of(text)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: cannot be read ({error}); name a run's folder or a schedule.csv"
        ) from error
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        raise InputError(f"{file}: holds no rows; a schedule has a row for each round")
    names = tuple(name for name in rows[0] if name not in ("round", "step", "", None))
    if not names:
        raise InputError(
            f"{file}: has no hyper-parameter; a schedule has a column for each"
        )
    ends, values = [], []
    for number, row in enumerate(rows, 1):
        where = f"{file}, row {number}"
        if isinstance(row, dict):
            _check_names(where, row, rows[0])
        numbers = _numbers_of(where, row, ("step", *names))
        ends.append(int(numbers[0]))
        values.append(numbers[1:])
    try:
        return Schedule(names, np.array(ends), np.array(values, float))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _rows_of(text: str) -> list[dict[str, str]]:
    """The rows of a CSV; a ValueError where its columns cannot be told."""
    reader = csv.DictReader(io.StringIO(text))
    names = list(reader.fieldnames or ())
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise ValueError("write it with commas between its columns, and decimal points")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ValueError(f"column {twice[0]} is there twice; keep one of them")
    return list(reader)


def _check_names(where: str, row: dict[Any, Any], first: dict[Any, Any]) -> None:
    if None in row:  # where a CSV's further cells are
        raise InputError(f"{where}: has a cell too many; remove it")
    if other := sorted(row.keys() - first.keys()):
        raise InputError(
            f"{where}: has {', '.join(other)}, which the first row lacks; each row has "
            "the same names"
        )


def _numbers_of(where: str, row: Any, names: Sequence[str]) -> list[float]:
    """A row's values of some columns, of which the first is its step.

    Raises:
      InputError: one is missing or no number; the message names it.
    """
    found = []
    for name in names:
        cell = row.get(name) if isinstance(row, dict) else None
        if cell in (None, ""):
            raise InputError(
                f"{where}: {name} is missing; each row has {', '.join(names)}"
            )
        try:
            found.append(float(cell))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{where}: {name} is {cell!r}, which is no number") from (
                error
            )
    if not found[0].is_integer():  # which spreadsheets may write as 20.0
        raise InputError(f"{where}: {names[0]} is {row[names[0]]!r}, no whole number")
    return found


def write_schedule(schedule: Schedule, path: str | os.PathLike[str]) -> None:
    """Writes a schedule to a `.csv` or `.json` file, which is replaced as a whole.

    Raises:
      InputError: another suffix, it is a file of a run, or it cannot be written.
    """
    file = path_of(path)
    _check_suffix(file)
    refuse_owned(file)
    rows = schedule.rows()
    if file.suffix == ".json":
        write_json(file, rows)
        return
    write_text(file, csv_of(rows))


def hash_of(schedule: Schedule) -> str:
    """A hash of steps, names and values."""
    return hashlib.sha256(json.dumps(schedule.rows()).encode()).hexdigest()


def _check_suffix(file: Path) -> None:
    if file.suffix not in SUFFIXES:
        raise InputError(
            f"{file}: a schedule is a run's folder, a .csv or a .json file"
        )
