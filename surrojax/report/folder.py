"""What a report is made of: the small files of one run's folder, or of several."""

import ast
import csv
import glob
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from surrojax import filenames
from surrojax.cli.calls import named
from surrojax.errors import InputError
from surrojax.fields import Record, flatten
from surrojax.report import checks
from surrojax.report.checks import REMEDY
from surrojax.run.files import read_json
from surrojax.run.outcome import cost_in_steps
from surrojax.run.records import MAY_DIFFER, config_in

DEPTH = 2
"""Folders below that of a sweep in which its runs lie: a point, a seed of it."""

REPEATS = ("seed", "dataset.fold", "fold")
"""Fields in which the runs of one setting differ."""

POOLED = (filenames.FOLDS, filenames.CROSS)


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
        return _is_own(self.description)

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
    checks.of_description(path / filenames.CONFIG, description, _is_own(description))
    has_test = _has_test(description)
    records = _read_metrics(path / filenames.METRICS, has_test)
    file = path / filenames.RESULT
    result = read_json(file) if file.exists() else None
    if result is not None:
        checks.of_result(file, result, has_test)
    is_whole = result and records and result["rounds"] == len(records)
    return Run(path, description, records, result if is_whole else None)


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
        head, *rows = csv.reader(file.read_text(encoding="utf-8").splitlines())
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
        checks.of_folds(file, of, f"{name}: ")
    return pooled


def _read_metrics(file: Path, has_test: bool) -> list[Record]:
    """The records of the rounds done; a last line that was cut off is none."""
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
        checks.of_round(file, record, where, has_test)
        if record["round"] != number:
            raise InputError(f"{file}: {where}not of round {number}; {REMEDY}")
        if record["step"] < number:
            raise InputError(
                f"{file}: {where}of step {record['step']}, where a round has one at "
                f"least; {REMEDY}"
            )
        if records and list(record["hyper"]) != list(records[0]["hyper"]):
            raise InputError(
                f"{file}: {where}has other hyper-parameters than line 1; {REMEDY}"
            )
        records.append(record)
    return records
