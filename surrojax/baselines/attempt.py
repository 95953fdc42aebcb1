"""One run of a method, as the method sees it: what it may spend, and its bill."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from ml_collections import ConfigDict

from surrojax.baselines.box import RANGES, Box, Ranges, Setting, check_ranges
from surrojax.baselines.budget import Budget
from surrojax.baselines.folder import Folder, Run
from surrojax.baselines.trainer import Plan, Trainer, Trial
from surrojax.errors import InputError
from surrojax.losses import Objective
from surrojax.run.progress import say


class Kept(NamedTuple):
    """The network that a method decides for.

    Attributes:
      setting: that it was trained with, at the end.
      trial: its validation figures.
      test: yields its test accuracy; for the runner alone, when all is decided.
    """

    setting: Setting
    trial: Trial
    test: Callable[[], float]


class Trained(NamedTuple):
    """A training that was done.

    Attributes:
      setting: of its last round.
      plan: of the training.
      trial: its validation figures.
    """

    setting: Setting
    plan: Plan
    trial: Trial


@dataclass(frozen=True)
class Options:
    """What all runs of a comparison share, beside the config.

    Attributes:
      ranges: of the tuners' box.
      pbt_every: rounds between two exchanges of PBT.
      command: how the comparison was called.
      quiet: no progress.
    """

    ranges: Ranges = field(default_factory=lambda: dict(RANGES))
    pbt_every: int = 5
    command: Sequence[str] = ()
    quiet: bool = False

    def check(self) -> None:
        """Checks each by itself.

        Raises:
          InputError: one makes no sense.
        """
        check_ranges(self.ranges)
        if self.pbt_every < 1:
            raise InputError(f"--pbt_every: {self.pbt_every} is less than one round")


@dataclass
class Bill:
    """What was spent.

    Attributes:
      original_steps, surrogate_steps: of the two networks.
      seconds: of training and choosing.
      trainings: that were begun.
      ratio: multiply-accumulates of a surrogate's step over those of an original's.
    """

    original_steps: int = 0
    surrogate_steps: int = 0
    seconds: float = 0.0
    trainings: int = 0
    ratio: float = 0.0


@dataclass
class Attempt:
    """One run.

    Attributes:
      run: which one. Its seed is that of its trainings, and of a tuner's own draws.
      trainer: does the trainings.
      box: where a tuner searches.
      budget: what may be spent.
      config: of the method that is compared with.
      beginnings: by row, the setting around which a config's search begins.
      options: of the comparison.
      folder: that holds it.
      bill: what was spent.
    """

    run: Run
    trainer: Trainer
    box: Box
    budget: Budget
    config: ConfigDict
    beginnings: Mapping[str, Setting]
    options: Options
    folder: Folder
    bill: Bill = field(default_factory=Bill)

    @property
    def by(self) -> Objective:
        """By what trainings are compared: as the method's own stage 1 does."""
        return self.config.selection

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.run.seed

    def train(
        self,
        setting: Setting,
        rounds: int | None = None,
        seed: int | None = None,
    ) -> Trained:
        """A training with one setting.

        Args:
          setting: values of all hyper-parameters.
          rounds: its length; else that of a full one.
          seed: else the run's.
        """
        return self.follow([setting], rounds, seed)

    def follow(
        self,
        schedule: Sequence[Setting],
        rounds: int | None = None,
        seed: int | None = None,
    ) -> Trained:
        """The same with a setting for each round."""
        seed = self.seed if seed is None else seed
        plan = self.trainer.plan(schedule, seed, rounds)
        trial, seconds = self.trainer.train(plan)
        self.bill.original_steps += plan.rounds * self.trainer.steps_per_round
        self.bill.seconds += seconds
        self.bill.trainings += 1
        self.tell(trial, f"{plan.rounds} rounds, {seconds:.1f} s")
        return Trained(schedule[-1], plan, trial)

    def keep(self, trained: Trained) -> Kept:
        """Decides for a training."""
        setting, plan, trial = trained
        return Kept(setting, trial, partial(self.trainer.tested, plan))

    @contextmanager
    def clocked(self) -> Iterator[None]:
        """Puts the seconds of what is done inside on the bill."""
        self.trainer.read()
        start = time.perf_counter()
        yield
        self.bill.seconds += time.perf_counter() - start

    def tell(self, trial: Trial, text: str) -> None:
        """Says how a training went."""
        accuracy = 100 * trial.validation_accuracy
        say(
            f"  training {self.bill.trainings}: validation {accuracy:.2f} %, {text}",
            self.options.quiet,
        )


def best(trained: Sequence[Trained], by: Objective) -> Trained:
    """The best by validation; of equals, the first."""
    return max(trained, key=lambda one: one.trial.rank(by))
