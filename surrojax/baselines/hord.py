"""HORD, the paper's RBF-based surrogate: DYCORS with a cubic RBF, of pySOT.

pySOT draws from NumPy's global generator, whose state is its own while it works. Its
Latin hypercube knows no seed, so the design is ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from poap.strategy import EvalRecord
from pySOT.experimental_design import ExperimentalDesign
from pySOT.optimization_problems import OptimizationProblem
from pySOT.strategy import DYCORSStrategy
from pySOT.surrogate import CubicKernel, LinearTail, RBFInterpolant
from scipy.stats import qmc

from surrojax.baselines.black_box import Problem
from surrojax.errors import InputError


class Hord:
    """A `BlackBox`.

    It begins with a Latin hypercube of 2 (D + 1) points, or, where that is more than
    half of all trials, of the D + 1 that its RBF wants at the least.

    Raises:
      InputError: there is one dimension alone, which DYCORS cannot search, or there
        are fewer trials than the RBF wants.
    """

    def __init__(self, problem: Problem) -> None:
        dimensions, least = problem.dimensions, problem.dimensions + 1
        if dimensions < 2 or problem.trials < least:
            raise InputError(
                f"hord: wants at least 2 hyper-parameters in config.tune and a budget "
                f"of {least} trials; there are {dimensions} and {problem.trials}"
            )
        points = 2 * least if 4 * least <= problem.trials else least
        self._random = np.random.RandomState(problem.seed).get_state()
        cube = _Cube(dimensions)
        with self._drawing():
            self._strategy = DYCORSStrategy(
                # Its decay divides by the logarithm of what is left after the design.
                max_evals=max(problem.trials, points + 2),
                opt_prob=cube,
                exp_design=_Design(dimensions, points, problem.seed),
                surrogate=RBFInterpolant(
                    dimensions,
                    lb=cube.lb,
                    ub=cube.ub,
                    kernel=CubicKernel(),
                    tail=LinearTail(dimensions),
                ),
                asynchronous=True,
                num_cand=100 * dimensions,
            )
        self._record: EvalRecord

    def ask(self) -> np.ndarray:
        with self._drawing():
            proposal = self._strategy.propose_action()
            self._record = proposal.record = EvalRecord(proposal.args)
            proposal.accept()
        return np.array(proposal.args[0])

    def tell(self, _: np.ndarray, score: float) -> None:
        with self._drawing():
            self._record.complete(-score)  # it minimises

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        outside = np.random.get_state()
        np.random.set_state(self._random)
        try:
            yield
        finally:
            self._random = np.random.get_state()
            np.random.set_state(outside)


class _Cube(OptimizationProblem):
    """[0, 1] in each dimension. Who trains is no business of pySOT's."""

    def __init__(self, dimensions: int) -> None:
        self.dim = dimensions
        self.lb, self.ub = np.zeros(dimensions), np.ones(dimensions)
        self.int_var, self.cont_var = np.array([], int), np.arange(dimensions)

    def eval(self, x: np.ndarray) -> float:
        raise NotImplementedError


class _Design(ExperimentalDesign):
    """A Latin hypercube with a seed; another one after a restart."""

    def __init__(self, dimensions: int, points: int, seed: int) -> None:
        self.dim, self.num_pts = dimensions, points
        self._sampler = qmc.LatinHypercube(dimensions, rng=seed)

    def generate_points(
        self, lb: np.ndarray, ub: np.ndarray, int_var: np.ndarray
    ) -> np.ndarray:
        return self._sampler.random(self.num_pts)
