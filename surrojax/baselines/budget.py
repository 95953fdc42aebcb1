"""Budgets, counted in trainings of the original from its first step to its last."""

import math
from dataclasses import dataclass

from surrojax.errors import InputError
from surrojax.method import Method, macs_of

TRIALS = 10
"""Trainings on which a black box bases its choice, at the least."""


def cost_of_method(method: Method) -> float:
    """What one run of the method costs, in trainings of the original.

    Two originals, with their surrogates where those are fitted (stage 1), and N
    candidates, the leader too where it is scored again (stage 2), are trained in every
    round: `2 (1 + r) + N r` in the paper's form, r being the surrogate's
    multiply-accumulates over those of the original; less where only one setting is
    trained, or candidates train fewer steps. Multiply-accumulates are those of one
    device: where candidates on a shared trunk are spread over several, each works
    through the trunk for its own, which nobody is charged for.
    """
    cost = macs_of(method)
    ratio = cost["surrogate"] / cost["original"]
    share = method.stage2_iterations / method.iterations_per_round
    stage1 = method.stage1_settings * (1 + ratio * method.fits)
    return stage1 + method.candidates * ratio * share


def _whole(number: float) -> int:
    """The whole part of a product whose last bits may be missing."""
    return math.floor(number + 1e-9)


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

    def check(self) -> None:
        """Checks that it pays for one full training.

        Raises:
          InputError: it does not.
        """
        if _whole(self.runs) < 1:
            raise InputError(
                f"a budget of {self.runs:.2f} trainings pays for no whole one; give "
                "more with --budgets"
            )

    @property
    def trainings(self) -> int:
        """Full trainings that the budget pays for, at least one.

        Raises:
          InputError: for none.
        """
        self.check()
        return _whole(self.runs)

    @property
    def total_rounds(self) -> int:
        """Rounds that the budget pays for."""
        return _whole(self.runs * self.rounds)

    def trials(self) -> Trials:
        """How black boxes spend it: the rule for all of them.

        A budget of ten full trainings or more is spent on so many, and the best of
        them by validation is kept. Of a smaller one, ten short trainings share all but
        one run, which trains the best setting at full length. They are at least one
        round long, and fewer where the budget has fewer rounds.

        Raises:
          InputError: there are none.
        """
        if self.trainings >= TRIALS:
            return Trials(self.trainings, self.rounds, retrain=False)
        spare = _whole((self.runs - 1) * self.rounds)
        if spare < 1:
            raise InputError(
                f"a budget of {self.runs:.2f} trainings of {self.rounds} rounds leaves "
                "no round to search in; give more with --budgets, or shorter rounds"
            )
        count = min(TRIALS, spare)
        return Trials(count, spare // count, retrain=True)
