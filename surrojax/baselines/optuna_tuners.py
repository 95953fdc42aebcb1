"""Optuna's TPE and CMA-ES."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, TPESampler

from surrojax.baselines.black_box import Problem

STARTUP = 10
"""TPE's random trials, as Optuna has them; half of all, where that is fewer."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Optuna from telling of every trial, and of what is experimental in it."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def unit_cube(dimensions: int) -> dict[str, BaseDistribution]:
    """What Optuna calls a search space: [0, 1] in each dimension."""
    return {f"x{index}": FloatDistribution(0, 1) for index in range(dimensions)}


def coordinates(trial: optuna.Trial, dimensions: int) -> np.ndarray:
    """A trial's point of the cube, `[D]`."""
    return np.array([trial.params[name] for name in unit_cube(dimensions)])


def tpe(seed: int, trials: int = 2 * STARTUP) -> TPESampler:
    """The tree-structured Parzen estimator."""
    return TPESampler(seed=seed, n_startup_trials=min(STARTUP, trials // 2))


class _Tuner:
    def __init__(self, problem: Problem, sampler: BaseSampler) -> None:
        self._dimensions = problem.dimensions
        with quiet():
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._trial: optuna.Trial

    def ask(self) -> np.ndarray:
        with quiet():
            self._trial = self._study.ask(unit_cube(self._dimensions))
        return coordinates(self._trial, self._dimensions)

    def tell(self, _: np.ndarray, score: float) -> None:
        with quiet():
            self._study.tell(self._trial, score)


class Tpe(_Tuner):
    """TPE, a `BlackBox`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, tpe(problem.seed, problem.trials))


class Cma(_Tuner):
    """CMA-ES with the method's own population, a `BlackBox`."""

    def __init__(self, problem: Problem) -> None:
        with quiet():
            sampler = CmaEsSampler(
                seed=problem.seed,
                popsize=problem.population,
                warn_independent_sampling=False,
            )
        super().__init__(problem, sampler)
