"""What a run writes down as it goes on: a folder, a line and a checkpoint a round."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import jax
from flax import serialization

from surrojax import filenames, plots
from surrojax.algorithm import RunState
from surrojax.data import Dataset
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.method import Method, macs_of
from surrojax.run.board import Board
from surrojax.run.checkpoint import Checkpoints
from surrojax.run.files import explained, write_bytes, write_text
from surrojax.run.outcome import Voted, predictions_csv
from surrojax.run.records import RunFolder
from surrojax.run.stopping import best_round
from surrojax.versions import versions
from surrojax.weights import save, whole

PLOT_EVERY = 10
"""Rounds between two drawings of the figures; they are drawn at the end as well."""

_log = logging.getLogger("surrojax")


class Diary:
    """The folder of one run while it goes on. A context manager.

    Args:
      workdir: the folder; made if it is missing.
      description: what goes into config.json.
      begin: the state before round 1.

    Attributes:
      folder: of the run.
      records: of the rounds done.

    Raises:
      InputError: the folder cannot be used.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        description: Mapping[str, Any],
        begin: RunState,
    ) -> None:
        self._begin, self._description = begin, description
        with ExitStack() as stack:
            self.folder = stack.enter_context(RunFolder(workdir))
            self.folder.claim(description)
            self.checkpoints = Checkpoints(self.folder.checkpoints)
            stack.enter_context(closing(self.checkpoints))
            self._stack = stack.pop_all()
        self._board: Board | None = None
        self.records: list[Record] = []
        # What writes takes seconds to import, which would be those of a round.
        for name in ("tensorboardX", "surrojax.plots.files"):
            import_module(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def restored(self, round_: int | None = None) -> RunState:
        """The state of the latest round, or of an earlier one that was kept."""
        latest = self.checkpoints.latest if round_ is None else round_
        self.records = self.folder.read_metrics(latest)
        state = self._begin
        if latest:
            state = self.checkpoints.restore(latest, state)
        # All that is kept has been read. In this order, so that no checkpoint is ever
        # ahead of the records.
        self.checkpoints.go_back(latest)
        self.folder.cut_metrics(self.records)
        self.folder.mend_schedule(self.records)
        # It waits where the run was killed after that round's checkpoint, or has gone
        # back to a checkpoint of before a better one.
        waiting = waiting_best(self.folder.path, best_round(self.records))
        if waiting.exists():
            waiting.replace(self.folder.path / filenames.BEST)
        self._keep_waiting(best_round(self.records[:-1]))
        return state

    def best(self, like: RunState) -> Any:
        """Variables of the network of the highest validation accuracy.

        Args:
          like: a state of the run.

        Raises:
          InputError: the file is missing or damaged.
        """
        variables = like.fusion.original.variables
        return best_of(self.folder.path, best_round(self.records), variables)

    def say_files(self, quiet: bool) -> None:
        """Logs, for those who want to know, where files go."""
        if not quiet:
            _log.debug(
                f"{self.folder.path}: metrics.jsonl, schedule.csv, checkpoints/ and "
                f"tensorboard/ follow each round, plots/ every {PLOT_EVERY}; "
                "result.json, predictions.csv and weights.safetensors come at the end"
            )

    def keep(self, state: RunState, record: Record) -> None:
        """Writes down a round."""
        if self._board is None:
            self.folder.renew(self._description)
            self._board = Board(self.folder.tensorboard, self.records)
            self._stack.enter_context(closing(self._board))
        former = best_round(self.records)
        self.folder.append_metrics(record)
        self.records.append(record)
        self.folder.write_schedule(self.records)
        path, file = self.folder.path, self.folder.path / filenames.BEST
        is_best = int(state.best_round) == record["round"]
        if is_best:
            if former and file.exists():  # for a way back to the checkpoint before
                write_bytes(waiting_best(path, former), file.read_bytes())
            best = serialization.to_bytes(state.fusion.original.variables)
            write_bytes(waiting_best(path, record["round"]), best)
        # Last, so that whatever a checkpoint counts is on the disk.
        self.checkpoints.save(record["round"], state)
        with explained(path):
            if is_best:
                waiting_best(path, record["round"]).replace(file)
            self._keep_waiting(former if is_best else 0)
            self._board.add(record)
            if record["round"] % PLOT_EVERY == 0:
                plots.write(self.folder.plots, self.records)

    def _keep_waiting(self, round_: int) -> None:
        """Deletes the networks that wait, but that of a round; 0: all."""
        path = self.folder.path
        for waiting in path.glob(waiting_best(path, "*").name):
            if waiting != waiting_best(path, round_):
                waiting.unlink()

    def finish(
        self,
        dataset: Dataset,
        found: Mapping[str, Voted],
        variables: Mapping[str, Any],
        outcome: Record,
    ) -> None:
        """Writes figures, predictions, weights and result.json.

        Args:
          dataset: that the run was given.
          found: by split, what `outcome.classify` yields.
          variables: of the network after the last round, as its users know them.
          outcome: what goes into result.json.
        """
        folder = self.folder
        with explained(folder.plots):
            plots.write(folder.plots, self.records, outcome)
        write_text(folder.path / filenames.PREDICTIONS, predictions_csv(dataset, found))
        save(folder.path / filenames.WEIGHTS, whole(variables))
        folder.write_result(outcome)


def described(
    method: Method,
    dataset: Dataset,
    config: Mapping[str, Any],
    origin: Mapping[str, Any],
    command: Sequence[str] = (),
) -> Record:
    """What config.json holds.

    Args:
      method, dataset: of the run.
      config: its settings, `seed` among them.
      origin: hashes of what it begins with, beside its data.
      command: how it was called; none: from Python.
    """
    return {
        "command": list(command),
        "seed": config["seed"],
        "config": dict(config),
        "data": {"fingerprint": dataset.fingerprint(), **origin},
        "classes": list(dataset.classes),
        "allowed": dataset.allowed,
        "manifest": dataset.manifest,
        # What a step of each network costs, for those who compare costs.
        "multiply_accumulates": macs_of(method),
        "versions": versions(),
        "device": jax.devices()[0].device_kind,
    }


def waiting_best(path: Path, round_: int | str) -> Path:
    """Where a run keeps the network of a round that is not its best one now.

    It may be the better one of a round that has no checkpoint yet, or the former best
    one, for a way back to the checkpoint before.
    """
    return path / f".best-{round_}.msgpack"


def best_of(path: Path, round_: int, like: Any) -> Any:
    """Variables of a run's network of the highest validation accuracy.

    Args:
      path: the run's folder.
      round_: which it is.
      like: variables of the same network.

    Raises:
      InputError: the file is missing or damaged.
    """
    waiting = waiting_best(path, round_)
    file = waiting if waiting.exists() else path / filenames.BEST
    try:
        return serialization.from_bytes(like, file.read_bytes())
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{file}: cannot be read ({error}); restore it, or begin anew in another "
            "workdir"
        ) from error
