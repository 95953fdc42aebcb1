"""All runs that are asked for, one after the other, each kept when it is finished."""

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

import jax
from ml_collections import ConfigDict

from surrojax.baselines.attempt import Attempt, Options
from surrojax.baselines.box import Box
from surrojax.baselines.budget import Budget, cost_of_method
from surrojax.baselines.folder import Folder, Run
from surrojax.baselines.methods import OURS, check, methods_of
from surrojax.baselines.replay import NotYetError
from surrojax.baselines.trainer import Trainer, alone, figures_of
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.method import Method
from surrojax.run.outcome import cost_in_steps
from surrojax.run.progress import say
from surrojax.run.setup import Setup
from surrojax.settings import make_method, resolve
from surrojax.sites import named
from surrojax.values import MOST
from surrojax.versions import versions
from surrojax.weights import hash_of

TUNERS = ("optuna", "cmaes", "nevergrad", "pySOT", "POAP")
"""Packages whose versions are written down where they are installed."""


@dataclass(frozen=True)
class Asked:
    """What is to be run.

    Attributes:
      methods: names.
      seeds: of the runs.
      budgets: multiples of what one run of the method costs; at least 1.
      others: configs of the method by name, beside the main one.
      options: that all runs share.
    """

    methods: Sequence[str]
    seeds: Sequence[int] = (0,)
    budgets: Sequence[float] = (1,)
    others: Mapping[str, ConfigDict] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    def check(self) -> None:
        """Checks all that can be checked before anything is read or trained.

        Raises:
          InputError: something cannot be run.
        """
        for budget in self.budgets:
            if not 1 <= budget < math.inf:
                raise InputError(f"--budgets: {budget:g} is no number from 1 on")
        check(self.methods, list(self.others), self.budgets)
        self.options.check()
        for seed in self.seeds:
            if seed < 0:
                raise InputError(f"--seeds: {seed} is too small; the least is 0")
            if seed > MOST["seed"]:
                raise InputError(
                    f"--seeds: {seed} is too large; the most is {MOST['seed']}"
                )


@dataclass(frozen=True)
class Done:
    """How the runs ended.

    Attributes:
      records: of those that are finished.
      missing: why each of the others is not.
      failed: those among them that cannot be had by calling again.
    """

    records: list[Record] = field(default_factory=list)
    missing: dict[Run, str] = field(default_factory=dict)
    failed: list[Run] = field(default_factory=list)


def run_all(config: ConfigDict, workdir: str, asked: Asked) -> Done:
    """Runs what is not finished yet.

    A run that fails, or that another process is at, stops no other.

    Args:
      config: of the method; what its `tune` names is what all tuners search.
      workdir: the comparison's folder.
      asked: what is to be run.

    Raises:
      InputError: nothing can be run.
    """
    asked.check()
    bench, done = Bench(config, Folder(workdir), asked), Done()
    for run in bench.runs():
        try:
            record = bench.find(run)
        except InputError as error:
            done.missing[run] = str(error)
            if not isinstance(error, NotYetError):
                done.failed.append(run)
            continue
        if record is None:
            done.missing[run] = "another process is at it"
        else:
            done.records.append(record)
    return done


class Bench:
    """What all runs of a comparison share.

    Args:
      config: of the method.
      folder: of the comparison; claimed for this config.
      asked: what is to be run.

    Raises:
      InputError: config, data or folder cannot be used.
    """

    def __init__(self, config: ConfigDict, folder: Folder, asked: Asked) -> None:
        self.config, self.folder, self.asked = resolve(config), folder, asked
        for of in (self.config, *asked.others.values()):
            _check_comparable(of)
        self.methods = methods_of(self.config, asked.others)
        self.setup = Setup.of(alone(self.config))
        options, weights = asdict(asked.options), self.setup.weights
        self._store = folder.claim(
            {
                "config": self.config.to_dict(),
                "data": {
                    "fingerprint": self.setup.dataset.fingerprint(),
                    "init_from": None if weights is None else hash_of(weights),
                },
                "options": {name: options[name] for name in ("ranges", "pbt_every")},
            }
        )
        for name, of in {OURS: self.config, **asked.others}.items():
            folder.claim_method(name, resolve(of).to_dict())
        self.reference = resolve(asked.others.get(OURS, self.config))
        method = self._method(self.reference)
        steps = sum(method.plan(self.reference.max_iterations))
        trained = sum(self.setup.method.plan(self.config.max_iterations))
        self.unit = cost_of_method(method) * steps / trained
        self._beginnings = {
            name: named(self._method(of).space.beginning)
            for name, of in {**asked.others, OURS: self.reference}.items()
        }

    def runs(self) -> list[Run]:
        """All that are asked for; those come last that want a run of the method."""
        found = [
            Run(method, budget, seed)
            for budget in self.asked.budgets
            for seed in self.asked.seeds
            for method in self.asked.methods
            if self.methods[method].takes(budget)
        ]
        return sorted(found, key=lambda run: run.method.startswith("replay"))

    def find(self, run: Run) -> Record | None:
        """A run's record, from the disk or else by running it.

        Returns:
          None where another process is at it.

        Raises:
          InputError: it cannot be run.
        """
        with self.folder.lock(run) as free:
            record = self.folder.read(run)
            if record is None and free:
                say(f"== {run}", self.asked.options.quiet)
                record = self._play(run)
                self.folder.write(run, record)
        return record

    def attempt(self, run: Run) -> Attempt:
        """What the method of a run is given."""
        return Attempt(
            run=run,
            trainer=self._trainer,
            box=self._box,
            budget=Budget(run.budget * self.unit, self._trainer.rounds),
            config=self.reference,
            beginnings=self._beginnings,
            options=self.asked.options,
            folder=self.folder,
        )

    @cached_property
    def _trainer(self) -> Trainer:
        """One for all runs, so that it compiles once."""
        return Trainer(self.setup, self._store)

    @cached_property
    def _box(self) -> Box:
        return Box.of(self._method(self.config).space, self.asked.options.ranges)

    def _method(self, config: ConfigDict) -> Method:
        return make_method(config, len(self.setup.dataset.classes))

    def _play(self, run: Run) -> Record:
        attempt = self.attempt(run)
        kept = self.methods[run.method].play(attempt)
        test_accuracy, bill = kept.test(), attempt.bill
        full = self._trainer.rounds * self._trainer.steps_per_round
        steps = cost_in_steps(bill.original_steps, bill.surrogate_steps, bill.ratio)
        record = {
            "method": run.method,
            "budget": run.budget,
            "seed": run.seed,
            "network": self.config.network,
            "max_iterations": self.config.max_iterations,
            "test_accuracy": test_accuracy,
            "validation_accuracy": figures_of(kept.trial)["validation_accuracy"],
            "hyper": kept.setting,
            "original_steps": bill.original_steps,
            "surrogate_steps": bill.surrogate_steps,
            "budget_in_runs": attempt.budget.runs,
            "cost_in_runs": steps / full,
            "seconds": round(bill.seconds, 1),
            "trainings": bill.trainings,
            "command": list(self.asked.options.command),
            "versions": _versions(),
            "device": jax.devices()[0].device_kind,
        }
        say(
            f"{run}: test {100 * test_accuracy:.2f} %, {record['cost_in_runs']:.2f} "
            f"runs of the original, {bill.seconds:.0f} s",
            self.asked.options.quiet,
        )
        return record


def _check_comparable(config: ConfigDict) -> None:
    """Checks that a run spends its budget of steps, and is judged as the others are."""
    if config.class_weights:
        raise InputError(
            "config.class_weights: tuners are told plain accuracies, in which all "
            "images count the same; leave it out"
        )
    for limit in ("time_budget", "early_stop"):
        if config[limit]:
            raise InputError(
                f"config.{limit}: the runs of a comparison share a budget of steps, "
                "which --budgets says; leave it at 0"
            )


def _versions() -> dict[str, str]:
    found = versions()
    for name in TUNERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
