"""The folder of a comparison: what it holds, and what it refuses.

baselines.json                     the configuration that all its runs share
METHOD/budget=B/seed=K.json        a run
NAME/config.json                   the configuration of the method's row
NAME/budget=1/seed=K/              the run's folder of the method itself
trials/HASH.json                   a training
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surrojax import filenames
from surrojax.baselines.store import Store, locked
from surrojax.errors import InputError
from surrojax.fields import Record, flatten
from surrojax.paths import path_of
from surrojax.run.files import read_json, write_json
from surrojax.run.records import MAY_DIFFER, refuse_another

OWN = ("config.seed", *(f for f in MAY_DIFFER if f != "config.max_iterations"))
"""Fields in which the calls of one folder may differ; `--seeds` has the seeds."""


@dataclass(frozen=True)
class Run:
    """Which run: the name of a method, its budget and its seed."""

    method: str
    budget: float
    seed: int

    def __str__(self) -> str:
        return f"{self.method}/budget={self.budget:g}/seed={self.seed}"


class Folder:
    """A comparison's folder.

    Args:
      path: made when something is written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_of(path).absolute()

    def claim(self, description: Record) -> Store:
        """Makes the folder this configuration's, or checks that it is already.

        Args:
          description: `config`, `data` and `options` of all runs.

        Returns:
          Where its trainings are kept.

        Raises:
          InputError: the folder holds runs of another one; the message names the
            fields.
        """
        file = self.path / filenames.BASELINES
        mine = json.loads(json.dumps(description))
        with locked(self.path / filenames.LOCK, wait=True):
            if not file.exists():
                if (self.path / filenames.CONFIG).exists():
                    raise InputError(
                        f"{self.path}: holds a run; choose another --workdir for a "
                        "comparison"
                    )
                write_json(file, mine)
        there = read_json(file)
        refuse_another(self.path, "runs", there, mine, OWN)
        # As it was claimed: one that lacks `LATER` fields keeps its trainings.
        text = json.dumps(sorted(_decisive(there)))
        identity = hashlib.sha256(text.encode()).hexdigest()
        return Store(self.path / "trials", identity)

    def claim_method(self, name: str, config: Record) -> None:
        """The same for the configuration of a row of the method itself.

        Raises:
          InputError: the row was made with another one.
        """
        file = self.path / name / filenames.CONFIG
        mine = json.loads(json.dumps({"config": config}))
        with locked(self.path / filenames.LOCK, wait=True):
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, mine)
        refuse_another(file.parent, "runs", read_json(file), mine, OWN)

    def lock(self, run: Run) -> AbstractContextManager[bool]:
        """Keeps other processes from a run; false where one is at it."""
        file = self._file(run)
        return locked(file.with_name(f".{file.stem}.lock"))

    def read(self, run: Run) -> Record | None:
        """What `write` wrote; None before that."""
        file = self._file(run)
        return read_json(file) if file.exists() else None

    def write(self, run: Run, record: Record) -> None:
        """Writes down a run that is finished."""
        write_json(self._file(run), record)

    def own(self, run: Run) -> Path:
        """The folder of a run of the method itself."""
        return self._file(run).with_suffix("")

    def runs(self) -> Iterator[Record]:
        """All runs that are finished."""
        for file in sorted(self.path.glob("*/budget=*/seed=*.json")):
            yield read_json(file)

    def _file(self, run: Run) -> Path:
        return self.path / f"{run}.json"


def _decisive(description: Record) -> Iterator[tuple[str, Any]]:
    return ((f, value) for f, value in flatten(description) if f not in OWN)
