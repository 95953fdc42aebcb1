"""Sweeps: a product of config fields, each point a run in a folder of its own."""

import ast
import copy
import csv
import io
import itertools
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from surrojax import filenames, report
from surrojax.cli.calls import named, override, without
from surrojax.errors import InputError
from surrojax.experiment import train
from surrojax.fields import Record, flatten, suggest
from surrojax.paths import path_of
from surrojax.report.tables import percent, with_error
from surrojax.run import pooling, replicas
from surrojax.run.execution import tunes
from surrojax.run.files import explained, write_json, write_text
from surrojax.run.idle import idle
from surrojax.run.processes import want_one
from surrojax.run.progress import Runs, duration, say

Point = dict[str, Any]
Outcome = tuple[Point, Record | InputError]

FOLD = "dataset.fold"


class FailedError(InputError):
    """Why a point failed.

    Attributes:
      again: the command that runs it alone.
    """

    def __init__(self, reason: str, again: str) -> None:
        super().__init__(reason)
        self.again = again


PACE = (
    *("network", "dataset", "batch_size", "max_iterations", "iterations_per_round"),
    *("time_budget", "early_stop", "stage1_settings", "stage2_share", "double_every"),
    *("surrogate", "search.population", "fidelity", "compute_dtype", "convolution"),
    *("execution", "replicas"),
)
"""Fields, and groups of them, by which a run takes longer or shorter."""

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
    root = path_of(workdir).absolute()
    named = [(name_of(point), point) for point in points(config, specifications)]
    keep = partial(_keep_table, root)
    outcomes = run_points(config, root, named, command, dry_run, quiet, keep)
    if not dry_run:
        say(table(outcomes))
        if not succeeded(outcomes):
            return outcomes  # an earlier table is worth more
        write_text(root / filenames.SWEEP, _csv(outcomes))
        if FOLD in outcomes[0][0]:
            pooled = _pool_folds(outcomes)
            say(pooling.table(pooled))
            write_json(root / filenames.FOLDS, pooled)
        say(f"report: {report.shown(report.write(root))}", quiet)
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
    keep: Callable[[Sequence[Outcome]], None] | None = None,
) -> list[Outcome]:
    """Runs points, each in the folder of its name; one that fails stops no other.

    Where it is interrupted, it says what has finished.

    Args:
      config: what the points have in common.
      root: holds the points' folders.
      named: folder and point.
      command, dry_run, quiet: of `run_sweep`.
      keep: is given all outcomes so far after each point.

    Raises:
      InputError: the folder holds a run, or this is one process of several.
    """
    if not dry_run:
        want_one("several runs want", "--dry_run prints the command of each")
    if (root / filenames.CONFIG).exists():
        raise InputError(f"{root}: holds a run; choose another --workdir for a sweep")
    if dry_run:
        for name, point in named:
            say(command_of(command, point, root / name))
        return []
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with Runs([_kind(at(config, point)) for _, point in named], quiet) as runs:
        try:
            for name, point in named:
                runs.begin(str(root / name))
                found = _run(at(config, point), point, root / name, command, quiet)
                outcomes += found
                _tell(runs, found)
                if keep is not None:
                    keep(outcomes)
        except BaseException:
            if outcomes:
                say(f"{len(outcomes)} runs had ended:\n{table(outcomes)}")
            raise
    return outcomes


def _kind(config: ConfigDict) -> tuple[str, ...]:
    """What runs have in common that take about equally long."""
    fields = (
        f"{field}={value}"
        for field, value in flatten(config.to_dict())
        if field != FOLD and any(f"{field}.".startswith(f"{of}.") for of in PACE)
    )
    return (*fields, f"tunes={tunes(config)}")


def _tell(runs: Runs, outcomes: Sequence[Outcome]) -> None:
    """Says how a point ended, or its replicas."""
    done = [result for _, result in outcomes if isinstance(result, dict)]
    wrong = [f"failed: {r}" for _, r in outcomes if isinstance(r, InputError)]
    if not done:
        runs.end("; ".join(wrong), None)
        return
    seconds = sum(result["seconds"] for result in done)
    figures = (
        f"{name} {100 * sum(r[column] for r in done) / len(done):.2f} %"
        for name, column in zip(
            ("test", "validation", "training"), COLUMNS, strict=True
        )
    )
    count = f"{len(done)} replicas, mean: " if len(done) > 1 else ""
    told = f"{count}{', '.join(figures)}, {duration(seconds)}"
    runs.end("; ".join([told, *wrong]), seconds)


def say_failed(outcomes: Sequence[Outcome]) -> None:
    """Says which points failed, and how to run each of them again.

    Args:
      outcomes: of `run_points`.
    """
    wrong = [(p, error) for p, error in outcomes if isinstance(error, FailedError)]
    for again, failures in itertools.groupby(wrong, key=lambda entry: entry[1].again):
        for point, error in failures:
            say(f"failed: {name_of(point)}: {error}")
        say(f"  to run it again: {again}")


def _run(
    config: ConfigDict,
    point: Point,
    folder: Path,
    command: Sequence[str],
    quiet: bool,
) -> list[Outcome]:
    """The outcome of a point, or of each of its replicas."""

    def failed(error: InputError) -> FailedError:
        return FailedError(str(error), command_of(command, point, folder))

    try:
        if config.replicas == 1:
            return [(point, train(config, folder, command, quiet))]
        results = replicas.train(config, folder, command, quiet)
    except InputError as error:
        return [(point, failed(error))]
    return [
        (
            point | {"seed": seed},
            failed(result) if isinstance(result, InputError) else result,
        )
        for seed, result in results.items()
    ]


def points(config: ConfigDict, specifications: Sequence[str]) -> list[Point]:
    """The product of `FIELD=A,B,...`, with values of the config's types.

    Raises:
      InputError: as `product`; or a field has no effect, or a point cannot be run.
    """
    found = product(config, specifications)
    unused = idle([at(config, point) for point in found], found[0])
    for field, why in unused.items():
        raise InputError(f"--sweep={field}=...: has no effect, because {why}")
    names = [name_of(point) for point in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--sweep: two points would share the folder {name}")
    return found


def product(config: ConfigDict, specifications: Sequence[str]) -> list[Point]:
    """The same, whether it can be run or not.

    Raises:
      InputError: a specification has no value, an unknown field, a field twice or a
        value of the wrong type.
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
    return [
        dict(zip(axes, values, strict=True))
        for values in itertools.product(*axes.values())
    ]


def name_of(point: Point) -> str:
    """The folder of a point: `search.optimizer=de,seed=1`."""
    return ",".join(named(field, value) for field, value in point.items())


def table(outcomes: Sequence[Outcome]) -> str:
    """Accuracies in percent, with the gain in test accuracy over the first point.

    Where a setting has several seeds, there is a row for each setting as well: means
    with standard errors, and the gain over the first setting, paired by seed. Folds
    have a table of their own, and no such rows.
    """
    rows = [["run", "test %", "validation %", "training %", "gain", "minutes"]]
    settings = _by("seed", outcomes)
    points = [point for point, _ in outcomes]
    several = len(settings) < len(points) and not any(FOLD in p for p in points)
    first = next((r["test_accuracy"] for _, r in outcomes if isinstance(r, dict)), 0.0)
    for point, result in outcomes:
        if isinstance(result, InputError):
            rows.append([name_of(point), "failed", "", "", "", ""])
            continue
        gain = "" if several else percent(result["test_accuracy"] - first, "+")
        rows.append(
            [name_of(point)]
            + [percent(result[column]) for column in COLUMNS]
            + [gain, f"{result['seconds'] / 60:.1f}"]
        )
    if several:
        rows += _means(settings)
    return pooling.aligned(rows)


def _by(field: str, outcomes: Sequence[Outcome]) -> dict[str, dict[Any, Record]]:
    """What those that did not fail found, by a field, of points equal otherwise."""
    groups: dict[str, dict[Any, Record]] = {}
    for point, result in outcomes:
        rest = {other: value for other, value in point.items() if other != field}
        runs = groups.setdefault(name_of(rest), {})
        if isinstance(result, dict):
            runs[point.get(field)] = result
    return groups


def _means(settings: Mapping[str, Mapping[Any, Record]]) -> list[list[str]]:
    rows: list[list[str]] = []
    reference = next(iter(settings.values()))
    for name, runs in settings.items():
        if not runs:
            continue
        gains = [
            result["test_accuracy"] - reference[seed]["test_accuracy"]
            for seed, result in runs.items()
            if seed in reference
        ]
        figures = [[run[column] for run in runs.values()] for column in COLUMNS]
        minutes = sum(run["seconds"] for run in runs.values()) / 60
        gain = with_error(*pooling.mean_and_error(gains), sign="+") if gains else ""
        rows.append(
            [", ".join(filter(None, [name, f"mean of {len(runs)}"]))]
            + [with_error(*pooling.mean_and_error(values)) for values in figures]
            + ["" if runs is reference else gain, f"{minutes:.1f}"]
        )
    return rows


def at(config: ConfigDict, point: Point) -> ConfigDict:
    """A copy of a config with a point's values."""
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(point)
    return changed


def _pool_folds(outcomes: Sequence[Outcome]) -> dict[str, Record]:
    """The folds of each otherwise equal point, pooled."""
    return {
        name or "all": pooling.pool([*folds.values()])
        for name, folds in _by(FOLD, outcomes).items()
        if folds
    }


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


def command_of(command: Sequence[str], point: Point, folder: Path) -> str:
    """The command that runs one point alone, on this machine or another.

    Args:
      command: that of the sweep.
      point: what the point changes.
      folder: of the point.
    """
    kept = without(command, "sweep", "workdir", "dry_run")
    overrides = [override(field, value) for field, value in point.items()]
    return shlex.join(["python", *kept, *overrides, f"--workdir={folder}"])


def _keep_table(root: Path, outcomes: Sequence[Outcome]) -> None:
    """Writes sweep.csv, unless an earlier call has left one that says more."""
    file, text = root / filenames.SWEEP, _csv(outcomes)
    earlier = file.read_text(encoding="utf-8") if file.exists() else ""
    if not earlier or _said(text) >= _said(earlier):
        write_text(file, text)


def _said(text: str) -> int:
    """How many points of a sweep.csv have succeeded."""
    return sum(not line.endswith(",failed") for line in text.splitlines())


def _csv(outcomes: Sequence[Outcome]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    fields = list(dict.fromkeys(field for point, _ in outcomes for field in point))
    writer.writerow([*fields, *COLUMNS, "original_steps", "surrogate_steps", "seconds"])
    for point, result in outcomes:
        # A point of replicas that failed as a whole has no seed.
        values = [str(point.get(field, "")) for field in fields]
        if isinstance(result, InputError):
            writer.writerow([*values, "failed"])
            continue
        numbers = [result[column] for column in COLUMNS]
        writer.writerow(
            [*values, *numbers]
            + [result[key] for key in ("original_steps", "surrogate_steps", "seconds")]
        )
    return text.getvalue()
