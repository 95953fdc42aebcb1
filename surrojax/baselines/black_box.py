"""Tuners that see nothing but settings and their scores, all under one rule."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from surrojax.baselines.attempt import Attempt, Kept, Trained, best
from surrojax.baselines.external import load
from surrojax.baselines.trainer import Trial
from surrojax.losses import Objective


@dataclass(frozen=True)
class Problem:
    """What a tuner is told before it begins.

    Attributes:
      dimensions: D.
      trials: that it may ask for.
      population: N of the method, for tuners that have one.
      seed: of its draws.
    """

    dimensions: int
    trials: int
    population: int
    seed: int


class BlackBox(Protocol):
    """A tuner. It maximises, and is told the score of each setting it asks for."""

    def ask(self) -> np.ndarray:
        """The next setting, `[D]` in [0, 1], a coordinate of the box each."""

    def tell(self, unit: np.ndarray, score: float, /) -> None:
        """Takes the score of the setting that was asked for last."""


TUNERS = {
    "tpe": ("optuna_tuners", "Tpe"),
    "cma": ("optuna_tuners", "Cma"),
    "nevergrad_de": ("nevergrad_tuners", "De"),
    "nevergrad_pso": ("nevergrad_tuners", "Pso"),
    "hord": ("hord", "Hord"),
}
"""Module and class by name."""


def make(name: str, problem: Problem) -> BlackBox:
    """A tuner of `TUNERS`.

    Raises:
      InputError: its package is missing, or does not suit the problem.
    """
    return load(*TUNERS[name])(problem)


def tuned_by(name: str) -> Callable[[Attempt], Kept]:
    """The best setting of those that a tuner asks for, by the rule of `Budget`."""

    def play(attempt: Attempt) -> Kept:
        attempt.box.check()
        box, rule = attempt.box, attempt.budget.trials()
        problem = Problem(
            box.dimensions, rule.count, attempt.config.search.population, attempt.seed
        )
        tuner = make(name, problem)
        found: list[Trained] = []
        for _ in range(rule.count):
            with attempt.clocked():
                unit = tuner.ask()
            found.append(attempt.train(box.setting(box.point(unit)), rule.rounds))
            with attempt.clocked():
                tuner.tell(unit, score_of(found[-1].trial, attempt.by))
        kept = best(found, attempt.by)
        return attempt.keep(attempt.train(kept.setting) if rule.retrain else kept)

    return play


WORST = {"accuracy": 0.0, "cross_entropy": -100.0}
"""What tuners are told of a training that diverged; few can be told infinity."""


def score_of(trial: Trial, by: Objective) -> float:
    """What tuners are told, to be maximised: accuracy, or negated cross-entropy."""
    score = trial.rank(by)[0]
    return score if math.isfinite(score) else WORST[by]
