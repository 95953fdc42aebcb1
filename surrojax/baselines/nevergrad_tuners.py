"""Nevergrad's differential evolution and particle swarm, with populations as small.

They tell what the method's surrogate network adds to its optimiser.
"""

import warnings
from typing import Any

import nevergrad as ng
import numpy as np

from surrojax.baselines.black_box import Problem


class _Tuner:
    def __init__(self, problem: Problem, optimizer: Any) -> None:
        cube = ng.p.Array(shape=(problem.dimensions,), lower=0.0, upper=1.0)
        cube.random_state = np.random.RandomState(problem.seed)
        self._optimizer = optimizer(cube, budget=problem.trials)
        self._candidate: Any = None

    def ask(self) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ng.errors.NevergradWarning)
            self._candidate = self._optimizer.ask()
        return np.array(self._candidate.value)

    def tell(self, _: np.ndarray, score: float) -> None:
        self._optimizer.tell(self._candidate, -score)  # it minimises


class De(_Tuner):
    """Differential evolution, a `BlackBox`.

    Its population is twice the method's: with six it soon stands still, and is worse
    than random search on a quadratic. Of few trials it is half, so that scores count.
    """

    def __init__(self, problem: Problem) -> None:
        size = min(2 * problem.population, max(4, problem.trials // 2))
        family = ng.families.DifferentialEvolution(popsize=size)
        super().__init__(problem, family)


class Pso(_Tuner):
    """Particle swarm optimisation with the method's own population, a `BlackBox`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, ng.families.ConfPSO(popsize=problem.population))
