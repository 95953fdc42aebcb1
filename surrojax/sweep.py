"""Sweeps: a product of config fields, each point a run in a folder of its own."""

import ast
import copy
import csv
import io
import itertools
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from surrojax import pooling, replicas, report
from surrojax.calls import override, without
from surrojax.errors import InputError
from surrojax.experiment import train
from surrojax.processes import want_one
from surrojax.progress import say
from surrojax.records import Record, explained, write_json, write_text
from surrojax.settings import flatten, resolve, suggest

Point = dict[str, Any]
Outcome = tuple[Point, Record | InputError]

FOLD = "dataset.fold"

COLUMNS = ("test_accuracy", "validation_accuracy", "train_accuracy")


def run_sweep(
    config: ConfigDict,
    workdir: str,
    specifications: Sequence[str],
    command: Sequence[str] = (),
    dry_run: bool = False,
    quiet: bool = False,
) -> list[Outcome]:
    """Runs every point one after the other; a point that fails does not stop the rest.

    The table at the end is printed and kept in `sweep.csv`.

    Args:
      config: what the points have in common.
      workdir: holds a folder for each point.
      specifications: `FIELD=A,B,...`; several make a product. Runs over
        `dataset.fold` are pooled in a second table, which is kept in `folds.json`.
      command: how the sweep was called, for each config.json.
      dry_run: print the command of each point, and stop.
      quiet: no progress.

    Returns:
      Each point with its result, or with what was wrong with it.

    Raises:
      InputError: a specification cannot be read.
    """
    root = Path(workdir).expanduser().absolute()
    named = [(name_of(point), point) for point in points(config, specifications)]
    outcomes = run_points(config, root, named, command, dry_run, quiet)
    if not dry_run:
        say(table(outcomes))
        if not succeeded(outcomes) and (root / "sweep.csv").exists():
            return outcomes  # an earlier table is worth more
        write_text(root / "sweep.csv", _csv(outcomes))
        if FOLD in outcomes[0][0]:
            pooled = _pool_folds(outcomes)
            say(pooling.table(pooled))
            write_json(root / "folds.json", pooled)
        report.write(root)
    return outcomes


def succeeded(outcomes: Sequence[Outcome]) -> bool:
    """Whether any point did not fail."""
    return any(isinstance(result, dict) for _, result in outcomes)


def run_points(
    config: ConfigDict,
    root: Path,
    named: Sequence[tuple[str, Point]],
    command: Sequence[str] = (),
    dry_run: bool = False,
    quiet: bool = False,
) -> list[Outcome]:
    """Runs points, each in the folder of its name; one that fails stops no other.

    Args:
      config: what the points have in common.
      root: holds the points' folders.
      named: folder and point.
      command, dry_run, quiet: of `run_sweep`.

    Raises:
      InputError: the folder holds a run, or this is one process of several.
    """
    if not dry_run:
        want_one("several runs want", "--dry_run prints the command of each")
    if (root / "config.json").exists():
        raise InputError(f"{root}: holds a run; choose another --workdir for a sweep")
    outcomes: list[Outcome] = []
    for name, point in named:
        folder = root / name
        if dry_run:
            say(_command(command, point, folder))
            continue
        say(f"== {folder}", quiet)
        outcomes += _run(at(config, point), point, folder, command, quiet)
    if not dry_run:
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
    return outcomes


def _run(
    config: ConfigDict,
    point: Point,
    folder: Path,
    command: Sequence[str],
    quiet: bool,
) -> list[Outcome]:
    """The outcome of a point, or of each of its replicas."""
    try:
        if config.replicas == 1:
            return [(point, train(config, folder, command, quiet))]
        results = replicas.train(config, folder, command, quiet)
    except InputError as error:
        say(f"failed: {error}")
        return [(point, error)]
    for result in results.values():
        if isinstance(result, InputError):
            say(f"failed: {result}")
    return [(point | {"seed": seed}, result) for seed, result in results.items()]


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
        resolve(at(config, point))
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


def table(outcomes: Sequence[Outcome]) -> str:
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
    return pooling.aligned(rows)


def at(config: ConfigDict, point: Point) -> ConfigDict:
    """A copy of a config with a point's values."""
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(point)
    return changed


def _pool_folds(outcomes: Sequence[Outcome]) -> dict[str, Record]:
    """The folds of each otherwise equal point, pooled."""
    groups: dict[str, list[Record]] = {}
    for point, result in outcomes:
        rest = {field: value for field, value in point.items() if field != FOLD}
        runs = groups.setdefault(name_of(rest) or "all", [])
        if isinstance(result, dict):
            runs.append(result)
    return {name: pooling.pool(runs) for name, runs in groups.items() if runs}


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
    kept = without(command, "sweep", "workdir", "dry_run")
    overrides = [override(field, value) for field, value in point.items()]
    return shlex.join(["python", *kept, *overrides, f"--workdir={folder}"])


def _csv(outcomes: Sequence[Outcome]) -> str:
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
