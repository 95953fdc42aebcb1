"""What a comparison's runs come to: a row for each method and budget."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scipy.stats import t

from surrojax.baselines.methods import METHODS, OURS
from surrojax.fields import Record
from surrojax.run.pooling import mean_and_error


class Mean(NamedTuple):
    """A mean and its standard error, NaN where it cannot be told; of so many values."""

    mean: float
    error: float
    size: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Of independent values."""
        mean, error = (math.nan if f is None else f for f in mean_and_error(values))
        return cls(mean, error, len(values))

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, by Student's t."""
        half = t.ppf(0.975, self.size - 1) * self.error if self.size > 1 else math.nan
        return self.mean - half, self.mean + half

    @property
    def p_value(self) -> float:
        """That the values are of mean 0: two-sided, by Student's t."""
        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * t.sf(abs(self.mean) / self.error, self.size - 1))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values by name, corrected for their number after Holm (1979), least first.

    Those that are NaN, of a single seed, are no part of it.
    """
    told = {name: p for name, p in p_values.items() if not math.isnan(p)}
    corrected, least = dict[str, float](), 0.0
    for done, name in enumerate(sorted(told, key=told.__getitem__)):
        least = max(least, min(1.0, (len(told) - done) * told[name]))
        corrected[name] = least
    return corrected


@dataclass(frozen=True)
class Row:
    """A method at a budget, over its seeds; accuracies in percent.

    Attributes:
      test, validation: of the kept networks.
      gain: test accuracy over that of the reference, on the seeds that both have.
      cost: in full trainings of the original.
    """

    method: str
    budget: float
    test: Mean
    validation: Mean
    gain: Mean
    cost: float
    seconds: float
    seeds: int


def rows_of(records: Iterable[Record], against: str = OURS) -> list[Row]:
    """A row for each method and budget, the best test accuracy first."""
    groups: dict[tuple[str, float], dict[int, Record]] = {}
    for record in records:
        group = groups.setdefault((record["method"], record["budget"]), {})
        group[record["seed"]] = record
    reference = groups.get((against, 1), {})
    rows = [_row(*key, runs, reference) for key, runs in groups.items()]
    return sorted(rows, key=lambda row: -row.test.mean)


def _row(
    method: str,
    budget: float,
    runs: Mapping[int, Record],
    reference: Mapping[int, Record],
) -> Row:
    def values(name: str) -> list[float]:
        return [run[name] for run in runs.values() if run[name] is not None]

    def percent(name: str) -> list[float]:
        return [100 * value for value in values(name)]

    gains = [
        100 * (run["test_accuracy"] - reference[seed]["test_accuracy"])
        for seed, run in runs.items()
        if seed in reference
    ]
    return Row(
        method=method,
        budget=budget,
        test=Mean.of(percent("test_accuracy")),
        validation=Mean.of(percent("validation_accuracy")),
        gain=Mean.of(gains),
        cost=Mean.of(values("cost_in_runs")).mean,
        seconds=Mean.of(values("seconds")).mean,
        seeds=len(runs),
    )


def not_run(rows: Sequence[Row], network: str) -> list[tuple[str, float]]:
    """Methods without a row, each at every budget of the others that it takes.

    Args:
      rows: of `rows_of`.
      network: that is trained; methods for another one are left out.
    """
    budgets = {1.0, *(row.budget for row in rows)}
    there = {(row.method, row.budget) for row in rows}
    return [
        (name, budget)
        for name, entry in METHODS.items()
        for budget in sorted(budgets)
        if entry.takes(budget)
        and entry.network in (None, network)
        and (name, budget) not in there
    ]
