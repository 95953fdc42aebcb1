"""The folder of one run of a config, from its first line to result.json."""

import copy
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from ml_collections import ConfigDict

from surrojax import report
from surrojax.algorithm import RunState
from surrojax.data import Dataset
from surrojax.fields import Record
from surrojax.method import Method
from surrojax.run import processes
from surrojax.run.diary import Diary, described
from surrojax.run.learnt import verdict
from surrojax.run.outcome import classify, result
from surrojax.run.progress import say
from surrojax.run.replay import hash_of as hash_of_schedule
from surrojax.run.rounds import Placed
from surrojax.run.setup import Setup
from surrojax.run.stopping import Reason
from surrojax.run.stream import Streamed
from surrojax.settings import make_look, make_views, views_of_test
from surrojax.sgd import Arrays
from surrojax.weights import Fitted, hash_of

_log = logging.getLogger("surrojax")


class Keeper(Diary):
    """The folder of one run of a config. A context manager.

    Args:
      setup: of the run.
      workdir: its folder; made if it is missing.
      begin: the state before round 1.
      command: how the run was called.
      seed: of the run; else the config's.

    Raises:
      InputError: the folder cannot be used.
    """

    def __init__(
        self,
        setup: Setup,
        workdir: str | os.PathLike[str],
        begin: RunState,
        command: Sequence[str],
        seed: int | None = None,
    ) -> None:
        self._setup = setup
        self._config = copy.deepcopy(setup.config)
        if seed is not None:
            self._config.seed = seed
        self._fitted = setup.fit(begin)[1]
        description = _describe(
            self._config,
            setup.method,
            setup.dataset,
            setup.weights,
            self._fitted,
            command,
        )
        super().__init__(workdir, description, begin)

    @property
    def reached(self) -> Reason | None:
        """Why the run ends after the rounds that it has done; None: it goes on."""
        return self._setup.limits.reached(self.records)

    @property
    def finished(self) -> Record | None:
        """The result, where the run has done all rounds that are asked for."""
        result = self.folder.read_result()
        is_whole = result and len(self.records) == result["rounds"] and self.reached
        return result if is_whole else None

    def say_state(self, quiet: bool) -> None:
        """Says what the folder holds already."""
        done, path = len(self.records), self.folder.path
        self.say_files(quiet)
        steps = self.records[-1]["step"] if done else 0
        if self.finished:
            told = self._told()
            say(f"{path}: finished after {done} rounds, {steps} steps; {told}", quiet)
        elif done:
            say(f"{path}: goes on after round {done}", quiet)
        elif self._fitted is not None:
            say(str(self._fitted), quiet)

    def say_reached(self, quiet: bool) -> None:
        """Says why the run ends before its last round, if it does."""
        if self.reached != "max_iterations":
            done, path = len(self.records), self.folder.path
            say(f"{path}: stopped after round {done}: {self._told()}", quiet)

    def _told(self) -> str:
        following = self._setup.method.iterations_after(len(self.records))
        assert self.reached is not None
        return self._setup.limits.told(self.reached, self.records, following)

    def conclude(self, data: Placed, state: RunState, quiet: bool) -> Record:
        """Writes figures, predictions, weights and result.json; returns the last."""
        config, dataset, method = self._config, self._setup.dataset, self._setup.method
        views = {
            "train": make_views(make_look(config, method.pair), False),
            "validation": method.views,
            "test": views_of_test(config, method.pair, dataset.allowed),
        }
        found = {
            name: classify(method, state, views[name], split, _on_one(data[name]))
            for name, split in dataset.splits.items()
        }
        outcome = result(method, dataset, found, state, self.records)
        outcome |= {"seed": config.seed, "stopped": self.reached or "diverged"}
        # Without weights, it is said round by round.
        train, weights = found["train"], method.class_weights
        told = weights and verdict(train.predictions, train.labels, weights)
        if told:
            say(f"mind: {told}", quiet)
        self.finish(dataset, found, state.fusion.original.variables, outcome)
        report.write(self.folder.path)
        return outcome


def _describe(
    config: ConfigDict,
    method: Method,
    dataset: Dataset,
    weights: dict[str, np.ndarray] | None,
    fitted: Fitted | None,
    command: Sequence[str],
) -> Record:
    origin: Record = {}
    if method.schedule is not None:
        origin = {"schedule": hash_of_schedule(method.schedule)}
    if weights is not None and fitted is not None:
        origin |= {"init_from": {"hash": hash_of(weights)} | asdict(fitted)}
    return described(method, dataset, config.to_dict(), origin, command)


def _on_one(data: Arrays | Streamed) -> Arrays | Streamed:
    """Resident images as one device has them; every device has a copy."""
    return data if isinstance(data, Streamed) else processes.here(data)
