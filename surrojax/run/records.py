"""The files of a run's folder: config.json, metrics.jsonl, schedule.csv, result.json.

    config.json    the resolved configuration, with versions and the data's manifest
    metrics.jsonl  a line a round
    schedule.csv   the hyper-parameters that the retained model was trained with
    result.json    written when the run is finished

Every file but metrics.jsonl is replaced as a whole, so that none is ever half there.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.fields import Record, flatten
from surrojax.paths import path_of
from surrojax.run.files import csv_of, explained, read_json, write_json, write_text

LIMITS = ("max_iterations", "time_budget", "early_stop")
"""Fields that say how far a run goes."""

MAY_DIFFER = (
    *(f"config.{field}" for field in LIMITS),
    "config.dataset.dir",
    "config.dataset.target_dir",
    "config.dataset.stream",
    "config.init_from",
    "config.replay",
    "config.execution.devices",
    "config.execution.settings",
    "config.execution.candidates",
    "config.execution.rounds",
    "config.replicas",
    "config.fidelity.rounds",
    "config.fidelity.drawn",
    "config.fidelity.seeds",
)
"""Fields that may differ when a run is continued.

Where data and weights lie decides nothing: their hashes are compared. How a run is
computed changes no more than the last bits of its figures.
"""


LATER: Record = {
    "config.stage1_settings": 2,
    "config.stage2_share": 1.0,
    "config.shared_layers": 0,
    "config.class_weights": [],
    "config.first_setting": "candidate",
}
"""Fields that some of the records in results/ lack, and what their runs did."""

HASHES = {
    "data.fingerprint": "the data themselves",
    "data.schedule": "the schedule that is followed",
    "data.variables": "the weights to begin with",
    "data.init_from": "the weights to begin with",
    "data.init_from.hash": "the weights to begin with",
    "data.surrogate": "the surrogate's weights",
}
"""What hashes in config.json are of."""

WRITTEN = (
    *(filenames.SCHEDULE, filenames.RESULT, filenames.PREDICTIONS, filenames.WEIGHTS),
    *(filenames.BEST, filenames.REPORT, filenames.PLOTS, filenames.TENSORBOARD),
)
"""What a run writes beside config.json, metrics.jsonl and checkpoints."""

OF_SEVERAL = (filenames.SWEEP, filenames.CROSS)
"""Files of a folder that holds several runs."""

OWNED = (
    *(filenames.CONFIG, filenames.METRICS, filenames.CHECKPOINTS, filenames.LOCK),
    *(*WRITTEN, *OF_SEVERAL, filenames.FOLDS, filenames.BASELINES),
)
"""What a run's folder, or one of several, has of its own."""


class RunFolder:
    """A run's folder, locked against a second process. A context manager."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_of(path).absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot make this folder ({error.strerror}); choose "
                "another workdir"
            ) from error
        _check_free(self.path)  # before anything is written
        self._lock = FileLock(self.path / filenames.LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"{self.path}: another process is running in this folder; wait for it "
                "or choose another workdir"
            ) from None
        # filelock raises the second where a file system knows no locks.
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{self.path}: cannot write or lock here ({reason}); choose another "
                "workdir"
            ) from error

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def checkpoints(self) -> Path:
        return self.path / filenames.CHECKPOINTS

    @property
    def plots(self) -> Path:
        return self.path / filenames.PLOTS

    @property
    def tensorboard(self) -> Path:
        return self.path / filenames.TENSORBOARD

    @property
    def metrics(self) -> Path:
        return self.path / filenames.METRICS

    def claim(
        self, description: Mapping[str, Any], may_differ: Collection[str] = MAY_DIFFER
    ) -> None:
        """Makes the folder this run's, or checks that it is already.

        Args:
          description: what goes into config.json; `config` and `data` decide whether
            two runs are the same one.
          may_differ: fields of it that do not.

        Raises:
          InputError: the folder holds another run; the message names the fields.
        """
        file = self.path / filenames.CONFIG
        description = json.loads(json.dumps(description))
        _check_free(self.path)
        if not file.exists():
            write_json(file, description)
            return
        there = read_json(file)
        parts = ("config", "data")
        old, new = ({p: of.get(p, {}) for p in parts} for of in (there, description))
        refuse_another(self.path, "a run", old, new, may_differ)

    def renew(self, description: Mapping[str, Any]) -> None:
        """Writes config.json anew where further rounds have other limits.

        Args:
          description: of `claim`.
        """
        file = self.path / filenames.CONFIG
        there, here = read_json(file)["config"], description["config"]
        if any(there.get(field) != here.get(field) for field in LIMITS):
            write_json(file, description)

    def read_metrics(self, rounds: int) -> list[Record]:
        """The records of the first rounds.

        A round's line is written before its checkpoint, so a killed run may have one
        line, or a part of one, too many; `cut_metrics` cuts it off.

        Raises:
          InputError: lines of those rounds are missing or damaged.
        """
        lines = self.metrics.read_bytes().splitlines() if self.metrics.exists() else []
        records = []
        for number, line in enumerate(lines[:rounds], start=1):
            try:
                record = json.loads(line)
                if not _is_of_round(record, number):
                    raise ValueError
            except ValueError:
                raise InputError(
                    f"{self.metrics}, line {number}: not the record of round {number}; "
                    "restore the file or choose another workdir"
                ) from None
            records.append(record)
        if len(records) < rounds:
            raise InputError(
                f"{self.metrics}: ends after round {len(records)}, but the checkpoint "
                f"is of round {rounds}; restore the file or choose another workdir"
            )
        return records

    def cut_metrics(self, records: list[Record]) -> None:
        """Leaves these first records alone, of `read_metrics`."""
        if not self.metrics.exists():
            return
        with explained(self.metrics):
            many = len(self.metrics.read_bytes().splitlines()) > len(records)
        if many:
            write_text(self.metrics, "".join(_line(r) for r in records))

    def append_metrics(self, record: Record) -> None:
        """Adds a round's line and sees it on the disk."""
        with explained(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())

    def write_schedule(self, records: list[Record]) -> None:
        """The hyper-parameters by round, as CSV."""
        write_text(self.path / filenames.SCHEDULE, csv_of(schedule_rows(records)))

    def mend_schedule(self, records: list[Record]) -> None:
        """Takes a round out of the CSV that was killed before its checkpoint.

        Args:
          records: of the rounds that are kept.
        """
        file = self.path / filenames.SCHEDULE
        with explained(file):
            if not records:
                file.unlink(missing_ok=True)
                return
            wanted = csv_of(schedule_rows(records)).encode()
            if not file.exists() or file.read_bytes() != wanted:
                self.write_schedule(records)

    def read_result(self, length: str = "rounds") -> Record | None:
        """What `write_result` wrote; None before that. `length`: of `result_of`."""
        return result_of(self.path / filenames.RESULT, length)

    def write_result(self, result: Record) -> None:
        write_json(self.path / filenames.RESULT, result)


def _check_free(path: Path) -> None:
    """Sees that a folder holds a run, or nothing that a run would write over.

    Raises:
      InputError: it holds something else.
    """
    file = path / filenames.CONFIG
    if file.exists():
        if config_in(read_json(file)) is None:
            raise InputError(
                f"{file}: is no run's config.json; restore it or choose another workdir"
            )
        return
    if any((path / name).exists() for name in OF_SEVERAL):
        raise InputError(
            f"{path}: holds a sweep or a comparison; choose another workdir for a run"
        )
    if (path / filenames.METRICS).exists() or (path / filenames.CHECKPOINTS).exists():
        raise InputError(
            f"{path}: holds a run without a config.json; choose another workdir"
        )
    for name in WRITTEN:
        there = path / name
        if any(there.iterdir()) if there.is_dir() else there.exists():
            raise InputError(
                f"{there}: is of something else, and a run would write over it; choose "
                "another workdir"
            )


def metrics_of(file: Path) -> list[Record]:
    """All whole lines of a metrics.jsonl, which may still grow.

    Raises:
      InputError: it is missing or damaged.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError) as error:
        if not file.exists() and (file.parent / filenames.CONFIG).exists():
            raise InputError(
                f"{file.parent}: this run has finished no round yet; let it go on"
            ) from error
        raise InputError(
            f"{file}: cannot be read ({error}); name the folder of a run"
        ) from error
    for number, record in enumerate(records, start=1):
        if not _is_of_round(record, number):
            raise InputError(
                f"{file}, line {number}: not the record of round {number}; restore the "
                "file"
            )
    return records


def _is_of_round(record: Any, number: int) -> bool:
    """Whether a line of metrics.jsonl is that of a round."""
    return (
        isinstance(record, dict)
        and record.get("round") == number
        and isinstance(record.get("step"), int)
    )


def config_in(description: Any) -> Record | None:
    """The config that a config.json holds; None where it is no run's."""
    config = description.get("config") if isinstance(description, dict) else None
    return config if isinstance(config, dict) else None


def result_of(file: Path, length: str = "rounds") -> Record | None:
    """What a result.json says; None where there is none.

    Args:
      file: to read.
      length: the field that says how long the run was.

    Raises:
      InputError: it is damaged.
    """
    if not file.exists():
        return None
    result = read_json(file)
    if (
        not isinstance(result, dict)
        or not isinstance(result.get(length), int)
        or not isinstance(result.get("test_accuracy", 0.0), float | int)
    ):
        raise InputError(f"{file}: is no run's result.json; restore the file")
    return result


def schedule_rows(records: Sequence[Record]) -> list[Record]:
    """A row a round: `round`, `step`, and the hyper-parameters by name."""
    return [{k: r[k] for k in ("round", "step")} | r["hyper"] for r in records]


def refuse_owned(file: Path) -> None:
    """Sees that a file that a user names is none of those that runs have.

    Raises:
      InputError: it is one of a run's, or of a folder of several.
    """
    place = Path(os.path.realpath(path_of(file)))
    for folder in place.parents:
        if place.relative_to(folder).parts[0] in OWNED and _holds_runs(folder):
            raise InputError(
                f"{file}: is a file of the run in {folder}; name another file"
            )


def _holds_runs(folder: Path) -> bool:
    """Whether a folder is that of a run, or of several."""
    there = {name for name in OWNED if (folder / name).exists()}
    if there & {*OF_SEVERAL, filenames.FOLDS, filenames.BASELINES}:
        return True
    if filenames.CONFIG not in there:
        return False
    try:
        return config_in(read_json(folder / filenames.CONFIG)) is not None
    except InputError:  # of another program, or a run's that is damaged
        return filenames.METRICS in there


def refuse_another(
    path: Path, held: str, there: Record, here: Record, may_differ: Collection[str]
) -> None:
    """Sees that a folder was made with this configuration.

    Args:
      path: of the folder.
      held: what it holds, as its user calls it.
      there: the description in the folder.
      here: the present one, as JSON gives it back.
      may_differ: fields, by their dotted names, that need not agree.

    Raises:
      InputError: another field differs; the message names all of them.
    """
    old, new = dict(flatten(there)), dict(flatten(here))
    old = {field: value for field, value in LATER.items() if field in new} | old
    fields = sorted((old.keys() | new.keys()).difference(may_differ))
    different = [
        _difference(field, old, new)
        for field in fields
        if field not in old or field not in new or old[field] != new[field]
    ]
    if different:
        raise InputError(
            f"{path}: holds {held} of another configuration; choose another workdir. "
            f"Different: {', '.join(different)}"
        )


def _difference(field: str, old: Record, new: Record) -> str:
    """A field that differs, with both values; of hashes, what they are of."""
    if field in HASHES:
        return f"{HASHES[field]} ({field})"
    there, here = _seen(old, field), _seen(new, field)
    return f"{field.removeprefix('config.')} ({there} there, {here} here)"


def _seen(fields: Record, name: str) -> str:
    return repr(fields[name]) if name in fields else "absent"


def _line(record: Record) -> str:
    return json.dumps(record, allow_nan=False) + "\n"
