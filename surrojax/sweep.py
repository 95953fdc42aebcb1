"""Sweeps: a product of config fields, each point a run in a folder of its own."""

import ast
import csv
import io
import itertools
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from surrojax.errors import InputError
from surrojax.experiment import train
from surrojax.progress import say
from surrojax.records import Record, explained, write_text
from surrojax.settings import flatten, resolve, suggest

Point = dict[str, Any]

COLUMNS = ("test_accuracy", "validation_accuracy", "train_accuracy")


def run_sweep(
    config: ConfigDict,
    workdir: str,
    specifications: Sequence[str],
    command: Sequence[str] = (),
    dry_run: bool = False,
    quiet: bool = False,
) -> list[tuple[Point, Record | InputError]]:
    """Runs every point one after the other; a point that fails does not stop the rest.

    The table at the end is printed and kept in `sweep.csv`.

    Args:
      config: what the points have in common.
      workdir: holds a folder for each point.
      specifications: `FIELD=A,B,...`; several make a product.
      command: how the sweep was called, for each config.json.
      dry_run: print the command of each point, and stop.
      quiet: no progress.

    Returns:
      Each point with its result, or with what was wrong with it.

    Raises:
      InputError: a specification cannot be read.
    """
    outcomes: list[tuple[Point, Record | InputError]] = []
    root = Path(workdir).expanduser().absolute()
    if (root / "config.json").exists():
        raise InputError(f"{root}: holds a run; choose another --workdir for a sweep")
    for point in points(config, specifications):
        folder = root / name_of(point)
        if dry_run:
            say(_command(command, point, folder))
            continue
        say(f"== {folder}", quiet)
        try:
            outcomes.append((point, train(_at(config, point), folder, command, quiet)))
        except InputError as error:
            say(f"failed: {error}")
            outcomes.append((point, error))
    if not dry_run:
        say(table(outcomes))
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
        write_text(root / "sweep.csv", _csv(outcomes))
    return outcomes


def points(config: ConfigDict, specifications: Sequence[str]) -> list[Point]:
    """The product of `FIELD=A,B,...`, with values of the config's types.

    Raises:
      InputError: a specification has no value, an unknown field, a field twice or a
        value of the wrong type, or a point cannot be run.
    """
    fields = dict(flatten(config.to_dict()))
    axes: dict[str, list[Any]] = {}
    for specification in specifications:
        field, _, values = specification.removeprefix("config.").partition("=")
        if field not in fields:
            raise InputError(
                f"--sweep={specification}: the config has no field {field!r}"
                f"{suggest(field, list(fields))}"
            )
        if field in axes or not values:
            raise InputError(
                f"--sweep={specification}: wants FIELD=A,B,... and each field once"
            )
        axes[field] = [
            _parse(text, fields[field], specification) for text in _split(values)
        ]
    found = [
        dict(zip(axes, values, strict=True))
        for values in itertools.product(*axes.values())
    ]
    for point in found:
        resolve(_at(config, point))
    names = [name_of(point) for point in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--sweep: two points would share the folder {name}")
    return found


def name_of(point: Point) -> str:
    """The folder of a point: `search.optimizer=de,seed=1`."""

    def text(value: Any) -> str:
        plain = (
            "+".join(map(str, value)) or "none" if isinstance(value, tuple) else value
        )
        return re.sub(r"[^\w.+-]", "_", str(plain))

    return ",".join(f"{field}={text(value)}" for field, value in point.items())


def table(outcomes: Sequence[tuple[Point, Record | InputError]]) -> str:
    """Accuracies in percent, with the gain in test accuracy over the first point."""
    rows = [["run", "test %", "validation %", "training %", "gain", "minutes"]]
    first = next((r["test_accuracy"] for _, r in outcomes if isinstance(r, dict)), 0.0)
    for point, result in outcomes:
        if isinstance(result, InputError):
            rows.append([name_of(point), "failed", "", "", "", ""])
            continue
        rows.append(
            [name_of(point)]
            + [f"{100 * result[column]:.2f}" for column in COLUMNS]
            + [f"{100 * (result['test_accuracy'] - first):+.2f}"]
            + [f"{result['seconds'] / 60:.1f}"]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _at(config: ConfigDict, point: Point) -> ConfigDict:
    changed = ConfigDict(config)
    changed.update_from_flattened_dict(point)
    return changed


def _split(values: str) -> list[str]:
    """Splits at commas that are not inside parentheses."""
    return re.split(r",(?![^(]*\))", values)


def _parse(text: str, like: Any, specification: str) -> Any:
    if isinstance(like, tuple):
        words = [word.strip(" '\"") for word in text.strip("()").split(",")]
        return tuple(_literal(word) for word in words if word)
    if like is None or isinstance(like, str):
        return text
    value = _literal(text)
    if isinstance(like, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(like):
        raise InputError(
            f"--sweep={specification}: {text!r} is no {type(like).__name__}"
        )
    return value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _command(command: Sequence[str], point: Point, folder: Path) -> str:
    """The command that runs one point alone, on this machine or another."""
    words, kept = iter(command), []
    for word in words:
        flag = re.match(r"--?(sweep|workdir|(no)?dry_run)(=|$)", word)
        if flag is None:
            kept.append(word)
        elif flag[1] in ("sweep", "workdir") and not flag[3]:
            next(words)  # its value is a word of its own
    overrides = [
        f"--config.{field}={_plain(field, value)}" for field, value in point.items()
    ]
    return shlex.join(["python", *kept, *overrides, f"--workdir={folder}"])


def _plain(field: str, value: Any) -> Any:
    """A value as a command line takes it with the least quoting."""
    return ",".join(value) if field == "tune" and value else value


def _csv(outcomes: Sequence[tuple[Point, Record | InputError]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*outcomes[0][0], *COLUMNS, "original_steps", "surrogate_steps", "seconds"]
    )
    for point, result in outcomes:
        values = [str(value) for value in point.values()]
        if isinstance(result, InputError):
            writer.writerow([*values, "failed"])
            continue
        numbers = [result[column] for column in COLUMNS]
        writer.writerow(
            [*values, *numbers]
            + [result[key] for key in ("original_steps", "surrogate_steps", "seconds")]
        )
    return text.getvalue()
