"""What a report is made of: the small files of one run's folder, or of several."""

import ast
import csv
import glob
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from surrojax import filenames
from surrojax.cli.calls import named
from surrojax.errors import InputError
from surrojax.fields import flatten
from surrojax.losses import OBJECTIVES
from surrojax.run.outcome import cost_in_steps
from surrojax.run.records import (
    MAY_DIFFER,
    Record,
    config_in,
    read_json,
)

DEPTH = 2
"""Folders below that of a sweep in which its runs lie: a point, a seed of it."""

REPEATS = ("seed", "dataset.fold", "fold")
"""Fields in which the runs of one setting differ."""

POOLED = (filenames.FOLDS, filenames.CROSS)

REMEDY = "restore the file, or let the run write it again"


@dataclass(frozen=True)
class Run:
    """A run's records.

    Attributes:
      path: its folder.
      description: of config.json.
      records: of the rounds done.
      result: of result.json; None where rounds were done after it, or it is missing.

    A run of `surrojax.tune` has no database in its config, and may have no test data.
    """

    path: Path
    description: Record
    records: list[Record]
    result: Record | None

    @property
    def config(self) -> Record:
        """The resolved config."""
        return self.description["config"]

    @property
    def is_own(self) -> bool:
        """Whether `surrojax.tune` made it, of a user's own network and arrays."""
        return "dataset" not in self.config

    @property
    def network(self) -> str:
        """The network's name; of a user's own, that of its class."""
        return re.split(r"\W", self.config["network"], maxsplit=1)[0]

    @property
    def database(self) -> str:
        """The database's name."""
        return "own data" if self.is_own else self.config["dataset"]["name"]

    @property
    def has_test(self) -> bool:
        """Whether there are test data; a database always has some."""
        return _has_test(self.description)

    @property
    def reported(self) -> str:
        """The split whose accuracy stands for the run: `test`, else `validation`."""
        return "test" if self.has_test else "validation"

    @property
    def steps(self) -> int:
        """Steps of the network, from its first to its last."""
        return self.records[-1]["step"] if self.records else 0

    @property
    def ratio(self) -> float | None:
        """Multiply-accumulates of a surrogate's step over those of the network's."""
        macs = self.description.get("multiply_accumulates")
        return macs["surrogate"] / macs["original"] if macs else None

    @property
    def cost(self) -> float | None:
        """In trainings of the network, of as many steps as this one had."""
        if self.result is None or self.ratio is None:
            return None
        original, surrogate = (
            self.result[f"{name}_steps"] for name in ("original", "surrogate")
        )
        return cost_in_steps(original, surrogate, self.ratio) / self.steps

    @property
    def tested(self) -> int:
        """Units of the test split."""
        rows = self.result.get("confusion_matrix", ()) if self.result else ()
        return sum(map(sum, rows))


@dataclass(frozen=True)
class Several:
    """The runs of a sweep, of a protocol's folds, or of several seeds.

    Attributes:
      path: the folder that holds theirs.
      runs: by their folder below it, in the order of the sweep's command; those of
        which it says nothing after them, the untuned ones first.
      broken: why others could not be read, by their folder.
      failed: points of sweep.csv that failed, `FIELD=VALUE` each.
      pooled: folds as one result, by setting.
    """

    path: Path
    runs: dict[str, Run]
    broken: dict[str, str]
    failed: list[str]
    pooled: dict[str, Record]

    @cached_property
    def settings(self) -> dict[str, dict[str, Run]]:
        """The runs by what they have in common: their folder without seed and fold."""
        found: dict[str, dict[str, Run]] = {}
        for name, run in self.runs.items():
            found.setdefault(setting_of(name), {})[name] = run
        return found


def setting_of(name: str) -> str:
    """Of a run's folder, `optimizer=de,seed=1`: what it shares with its repeats."""
    words = re.split(r"[,/]", name)
    kept = [word for word in words if word.partition("=")[0] not in REPEATS]
    return ",".join(kept) or "all"


def read(path: Path) -> Run | Several:
    """What a folder holds.

    Raises:
      InputError: it holds no run, or a file of its run is damaged.
    """
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder; give that of a run")
    if (path / filenames.CONFIG).exists():
        return read_run(path)
    if (path / filenames.BASELINES).exists():
        raise InputError(
            f"{path}: holds a comparison of methods; its table is made by "
            f"python -m surrojax.baselines --workdir={path} --table"
        )
    runs, broken = {}, {}
    for folder in _folders(path):
        name = folder.relative_to(path).as_posix()
        try:
            runs[name] = read_run(folder)
        except InputError as error:
            broken[name] = str(error)
    points = _points(path / filenames.SWEEP)
    tables = [path / name for name in (filenames.SWEEP, *POOLED)]
    if not (runs or broken or any(file.exists() for file in tables)):
        raise InputError(
            f"{path}: holds neither a run nor a sweep; give a folder with a config.json"
        )
    pooled = [_pooled(path / file) for file in POOLED if (path / file).exists()]
    places = {frozenset(point): place for place, point in enumerate(points)}

    def place(name: str) -> tuple[int, bool]:
        """In the sweep, in which a folder is named by its point."""
        words = frozenset(re.split("[,/]", name))
        return places.get(words, len(places)), bool(runs[name].config["tune"])

    return Several(
        path,
        {name: runs[name] for name in sorted(runs, key=place)},
        broken,
        [",".join(point) for point, failed in points.items() if failed],
        {name: of for one in pooled for name, of in one.items()},
    )


def read_run(path: Path) -> Run:
    """The run of a folder.

    Raises:
      InputError: a file is missing or damaged.
    """
    description = read_json(path / filenames.CONFIG)
    if "task" in (config_in(description) or {}):
        raise InputError(
            f"{path}: holds a pre-training; a report is made of runs and sweeps"
        )
    fields: dict[str, type] = {
        "config.network": str,
        "config.max_iterations": int,
        "config.seed": int,
        "config.tune": list,
    }
    if not _is_own(description):
        fields["config.dataset.name"] = str
    _check(path / filenames.CONFIG, description, fields)
    _check_said(path / filenames.CONFIG, description)
    has_test = _has_test(description)
    records = _read_metrics(path / filenames.METRICS, has_test)
    file = path / filenames.RESULT
    result = read_json(file) if file.exists() else None
    if result is not None:
        _check_result(file, result, has_test)
    is_whole = result and records and result["rounds"] == len(records)
    return Run(path, description, records, result if is_whole else None)


def _check_said(file: Path, description: Record) -> None:
    """What not every config.json has."""
    groups = {"versions": dict, "data": dict, "manifest": dict, "command": list}
    _check_given(file, description, groups)
    groups = {f"manifest.{name}": dict for name in ("splits", "counts")}
    search = str if _is_own(description) else dict
    _check_given(file, description, groups | {"config.search": search})
    if "multiply_accumulates" in description:
        macs = ("original", "surrogate")
        fields = {f"multiply_accumulates.{name}": float for name in macs}
        _check(file, description, fields)
        if description["multiply_accumulates"]["original"] <= 0:
            raise InputError(
                f"{file}: multiply_accumulates.original is not above 0; {REMEDY}"
            )
    objective = description["config"].get("objective", OBJECTIVES[0])
    if objective not in OBJECTIVES:
        raise InputError(
            f"{file}: config.objective: {objective!r} is none of "
            f"{', '.join(OBJECTIVES)}; {REMEDY}"
        )


def _is_own(description: Any) -> bool:
    """Whether a config.json is of a run of `surrojax.tune`: its config is flat."""
    config = config_in(description) or {}
    return "dataset" not in config and "layers" in config


def _has_test(description: Record) -> bool:
    manifest = description.get("manifest") or {}
    return not _is_own(description) or "test" in (manifest.get("counts") or {})


def untuned_of(run: Run) -> Run | None:
    """The finished run beside a tuned one that differs in that nothing is tuned.

    It is looked for in the neighbouring folders, and in those of the same name in the
    neighbours of the folder above, as the seeds of a sweep's points are.
    """
    if not run.config["tune"]:
        return None
    above = run.path.parent
    files = [
        *sorted(above.glob("*/result.json")),
        *sorted(above.parent.glob(f"*/{glob.escape(run.path.name)}/result.json")),
    ]
    for folder in (file.parent for file in files):
        try:
            if read_json(folder / filenames.CONFIG)["config"]["tune"]:
                continue
            other = read_run(folder)
        except (InputError, KeyError, TypeError):
            continue  # what is wrong with another run is no matter of this one's
        if other.result and _alike(run.description, other.description):
            return other
    return None


def is_old(run: Run, untuned: Run | None) -> bool:
    """Whether a run has no report, or one that is older than what it would tell."""
    page = run.path / filenames.REPORT
    if not page.exists():
        return True
    sources = [run.path / name for name in (filenames.CONFIG, filenames.METRICS)]
    sources += [of.path / filenames.RESULT for of in (run, untuned) if of]
    newest = max(file.stat().st_mtime for file in sources if file.exists())
    return page.stat().st_mtime < newest


def _alike(a: Record, b: Record) -> bool:
    """Whether two runs had the same data and the same config but for `tune`."""

    def rest(description: Record) -> Record:
        free = {f.removeprefix("config.") for f in MAY_DIFFER} - {"max_iterations"}
        fields = dict(flatten(description["config"]))
        return {f: v for f, v in fields.items() if f not in free | {"tune"}}

    return a.get("data") == b.get("data") and rest(a) == rest(b)


def _folders(path: Path) -> list[Path]:
    """Those of runs, in natural order: seed=2 before seed=10."""
    found = [
        file.parent
        for depth in range(1, DEPTH + 1)
        for file in path.glob("/".join(["*"] * depth + [filenames.CONFIG]))
    ]
    return sorted(
        found,
        key=lambda folder: [
            (part.isdigit(), int(part) if part.isdigit() else part)
            for part in re.split(r"(\d+)", folder.relative_to(path).as_posix())
        ],
    )


def _points(file: Path) -> dict[tuple[str, ...], bool]:
    """Points of a sweep.csv, in its order, and whether they failed.

    A point is a tuple of words `FIELD=VALUE`, as its folder has them. A line of one
    that failed has no figures.
    """
    if not file.exists():
        return {}
    try:
        head, *rows = csv.reader(file.read_text().splitlines())
        fields = head[: head.index("test_accuracy")]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: is no table of a sweep ({error}); {REMEDY}"
        ) from None
    return {
        tuple(
            named(field, _value(text))
            for field, text in zip(fields, row, strict=False)
            if text  # replicas that failed together have no seed
        ): row[len(fields) :] == ["failed"]
        for row in rows
    }


def _value(text: str) -> Any:
    """A field's value of sweep.csv: a tuple, or what else it says."""
    if not re.fullmatch(r"\(.*\)", text):
        return text
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _pooled(file: Path) -> dict[str, Record]:
    pooled = read_json(file)
    if not isinstance(pooled, dict):
        raise InputError(f"{file}: is no table of folds; {REMEDY}")
    for name, of in pooled.items():
        wanted = {"runs": int, "mean": float, "pooled_accuracy": float}
        _check(file, of, wanted | {"macro_f1": float}, f"{name}: ")
        _check_confusion(file, of)
    return pooled


def _read_metrics(file: Path, has_test: bool) -> list[Record]:
    """The records of the rounds done; a last line that was cut off is none."""
    fields = {
        "round": int,
        "step": int,
        "hyper": dict,
        "original.validation_accuracy": float,
        "seconds": float,
    }
    if has_test:
        fields["test.original.accuracy"] = float
    lines = file.read_bytes().splitlines() if file.exists() else []
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        where = f"line {number}: "
        try:
            record = json.loads(line)
        except ValueError:
            if number == len(lines):
                break  # a run is writing it, or was killed doing so
            raise InputError(f"{file}: {where}is no JSON; {REMEDY}") from None
        _check(file, record, fields, where)
        if record["round"] != number:
            raise InputError(f"{file}: {where}not of round {number}; {REMEDY}")
        if record["step"] < number:
            raise InputError(
                f"{file}: {where}of step {record['step']}, where a round has one at "
                f"least; {REMEDY}"
            )
        _check_parts(file, record, where, has_test)
        if records and list(record["hyper"]) != list(records[0]["hyper"]):
            raise InputError(
                f"{file}: {where}has other hyper-parameters than line 1; {REMEDY}"
            )
        records.append(record)
    return records


def _check_parts(file: Path, record: Record, where: str, has_test: bool) -> None:
    """What not every round has."""
    _check_given(file, record, {"candidates": list}, where)
    settings = [record, *(record.get("candidates") or ())]
    for setting in settings:
        _check(file, setting, {"hyper": dict}, where)
        _check(file, setting["hyper"], dict.fromkeys(setting["hyper"], float), where)
    for candidate in settings[1:]:
        if candidate.get("score", math.nan) is not None:
            _check(file, candidate, {"score": float}, where)
        if list(candidate["hyper"]) != list(record["hyper"]):
            raise InputError(
                f"{file}: {where}a candidate has other hyper-parameters; {REMEDY}"
            )
    if "surrogate" in record:
        accuracies = ["surrogate.validation_accuracy"]
        if has_test:
            accuracies.append("test.surrogate.accuracy")
        _check(file, record, dict.fromkeys(accuracies, float), where)
    if "fidelity" in record:
        regret = dict.fromkeys(("fidelity.tau", "fidelity.regret.accuracy"), dict)
        _check(file, record, regret, where)
        taus = [f"fidelity.tau.{name}" for name in record["fidelity"]["tau"]]
        _check_given(file, record, dict.fromkeys(taus, dict), where)
        numbers = [f"{tau}.{part}" for tau in taus for part in ("value", "low", "high")]
        numbers += [f"fidelity.regret.accuracy.{w}" for w in ("surrogate", "random")]
        _check_given(file, record, dict.fromkeys(numbers, float), where)


def _check_result(file: Path, result: Record, has_test: bool) -> None:
    accuracies = ["validation_accuracy", "train_accuracy"]
    if has_test:
        accuracies += ["test_accuracy", "macro_f1"]
    wanted = dict.fromkeys(accuracies, float) | {"seconds": float, "rounds": int}
    _check(file, result, wanted | {"original_steps": int, "surrogate_steps": int})
    _check_given(file, result, {"best_round": dict, "balanced_accuracy": float})
    if has_test:
        _check_confusion(file, result)


def _check_confusion(file: Path, result: Record) -> None:
    _check(file, result, {"recall": dict, "confusion_matrix": list})
    for value in result["recall"].values():
        _check_given(file, {"recall": value}, {"recall": float})
    classes = len(result["recall"])
    rows = result["confusion_matrix"]
    if len(rows) != classes or not all(_are_counts(row, classes) for row in rows):
        raise InputError(
            f"{file}: its confusion_matrix is not {classes} by {classes} counts; "
            f"{REMEDY}"
        )


def _are_counts(row: Any, many: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == many
        and all(type(count) is int and count >= 0 for count in row)
    )


def _check(
    file: Path, record: Any, fields: Mapping[str, type], where: str = ""
) -> None:
    """Sees that a record has some fields, each of a type."""
    for field, kind in fields.items():
        value = _value_of(record, field)
        kinds = (int, float) if kind is float else (kind,)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise InputError(
                f"{file}: {where}{field} is missing or no {kind.__name__}; {REMEDY}"
            )


def _check_given(
    file: Path, record: Any, fields: Mapping[str, type], where: str = ""
) -> None:
    """The same of fields that may be missing, or null."""
    given = {
        field: kind
        for field, kind in fields.items()
        if _value_of(record, field) is not None
    }
    _check(file, record, given, where)


def _value_of(record: Any, field: str) -> Any:
    """A value by its dotted name; None: it is not there."""
    for name in field.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record
