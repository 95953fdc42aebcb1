"""Budgets, counted in trainings of the original from its first step to its last."""

import math
from dataclasses import dataclass

from surrojax.networks import Pair, blank
from surrojax.networks.macs import macs

TRIALS = 10
"""Trainings on which a black box bases its choice, at the least."""


def surrogate_ratio(pair: Pair) -> float:
    """r: multiply-accumulates of the surrogate over those of the original."""
    image = blank(pair)
    return macs(pair.surrogate, image) / macs(pair.original, image)


def cost_of_method(ratio: float, population: int) -> float:
    """What one run of the method costs, in trainings of the original.

    Two originals with their surrogates (stage 1) and N surrogates (stage 2) are
    trained in every round: `2 (1 + r) + N r`.

    Args:
      ratio: r, of `surrogate_ratio`.
      population: N.
    """
    return 2 * (1 + ratio) + population * ratio


@dataclass(frozen=True)
class Trials:
    """How a black box spends its budget.

    Attributes:
      count: trainings that are scored.
      rounds: of each.
      retrain: whether the best setting is then trained at full length.
    """

    count: int
    rounds: int
    retrain: bool


@dataclass(frozen=True)
class Budget:
    """What a method may spend.

    Attributes:
      runs: in full trainings of the original.
      rounds: of a full training.
    """

    runs: float
    rounds: int

    @property
    def trainings(self) -> int:
        """Full trainings that the budget pays for."""
        return math.floor(self.runs)

    @property
    def total_rounds(self) -> int:
        """Rounds that the budget pays for."""
        return math.floor(self.runs * self.rounds)

    def trials(self) -> Trials:
        """How black boxes spend it: the rule for all of them.

        A budget of ten full trainings or more is spent on so many, and the best of
        them by validation is kept. Of a smaller one, ten short trainings share all but
        one run, which trains the best setting at full length. They are at least one
        round long, and fewer where the budget has fewer rounds.
        """
        if self.trainings >= TRIALS:
            return Trials(self.trainings, self.rounds, retrain=False)
        spare = math.floor((self.runs - 1) * self.rounds)
        count = min(TRIALS, spare)
        return Trials(count, spare // count, retrain=True)
