"""When a run ends: all rounds done, its time spent, or no longer getting better.

Records alone decide, so a run that goes on ends where one that never stopped would.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surrojax.fields import Record

Reason = Literal["max_iterations", "time_budget", "early_stop"]


@dataclass(frozen=True)
class Limits:
    """How far a run may go.

    Attributes:
      plan: steps of each round up to max_iterations.
      time_budget: seconds of all rounds together, over all resumes; 0: no limit. No
        round is begun that would, at the pace of the rounds so far, pass it; the first
        is always done.
      early_stop: rounds without a better validation accuracy after which the run ends;
        0: never.
    """

    plan: tuple[int, ...]
    time_budget: float = 0.0
    early_stop: int = 0

    def reached(self, records: Sequence[Record]) -> Reason | None:
        """Why the run ends after these rounds; None where it goes on."""
        done = len(records)
        if done >= len(self.plan):
            return "max_iterations"
        if self.early_stop and done - best_round(records) >= self.early_stop:
            return "early_stop"
        spent = seconds_of(records)
        late = spent >= self.time_budget or spent + self._next(records) > (
            self.time_budget
        )
        return "time_budget" if self.time_budget and done and late else None

    def left(self, records: Sequence[Record]) -> float | None:
        """Seconds that the budget has left; None where there is none."""
        if not self.time_budget:
            return None
        return max(0.0, self.time_budget - seconds_of(records))

    def told(self, reason: Reason, records: Sequence[Record], following: int) -> str:
        """A reason in words, with the field that goes on from there.

        Args:
          reason: of `reached`.
          records: of the rounds done.
          following: steps of the round that would come next.
        """
        if reason == "early_stop":
            return (
                f"validation was best after round {best_round(records)}, and "
                f"config.early_stop is {self.early_stop}; a larger one, or 0, goes on "
                "from there"
            )
        if reason == "time_budget":
            spent, more = seconds_of(records), self._next(records)
            late = spent < self.time_budget
            return (
                f"{spent:.1f} s of config.time_budget = {self.time_budget:g} are spent"
                + (f", and another round takes about {more:.1f} s" if late else "")
                + "; a larger one, or 0, goes on from there"
            )
        steps = records[-1]["step"] + following
        return f"a max_iterations of {steps} or more goes on from there"

    def _next(self, records: Sequence[Record]) -> float:
        """Seconds of the coming round; 0 where only one is known, which compiled."""
        warm = [record["seconds"] / record["iterations"] for record in records[1:]]
        return statistics.median_low(warm) * self.plan[len(records)] if warm else 0.0


def best_round(records: Sequence[Record]) -> int:
    """The first round of the highest validation accuracy; 0 before any."""
    if not records:
        return 0
    best = max(records, key=lambda r: r["original"]["validation_accuracy"])
    return best["round"]


def seconds_of(records: Sequence[Record]) -> float:
    """What all rounds took; measurements of fidelity are in none."""
    return sum(record["seconds"] for record in records)
