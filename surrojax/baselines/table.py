"""The table and the figure that come of a comparison's runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from surrojax.baselines.folder import Folder
from surrojax.baselines.methods import METHODS, OURS
from surrojax.errors import InputError
from surrojax.progress import say
from surrojax.records import Record, explained

HEAD = (
    "method",
    "budget",
    "test %",
    "se",
    "validation %",
    "gain over",
    "se",
    "cost [runs]",
    "seconds",
    "seeds",
)


class Mean(NamedTuple):
    """A mean and its standard error, NaN where it cannot be told."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Of independent values."""
        count = len(values)
        error = np.std(values, ddof=1) / math.sqrt(count) if count > 1 else math.nan
        return cls(float(np.mean(values)) if count else math.nan, float(error))


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


def show(workdir: str, against: str = OURS) -> None:
    """Prints the table and draws `accuracy_cost.png`.

    Args:
      workdir: the comparison's folder.
      against: the method over which gains are taken, at budget 1.

    Raises:
      InputError: no run has finished there.
    """
    folder = Folder(workdir)
    records = list(folder.runs())
    if not records:
        raise InputError(f"{folder.path}: no run has finished here")
    rows = rows_of(records, against)
    say(markdown(rows, against, not_run(rows)))
    with explained(folder.path):
        write(folder.path, rows)


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


def not_run(rows: Sequence[Row]) -> list[tuple[str, float]]:
    """Methods without a row, each at every budget of the others that it takes."""
    budgets = {1.0, *(row.budget for row in rows)}
    there = {(row.method, row.budget) for row in rows}
    return [
        (name, budget)
        for name, entry in METHODS.items()
        for budget in sorted(budgets)
        if entry.takes(budget) and (name, budget) not in there
    ]


def markdown(
    rows: Sequence[Row], against: str = OURS, missing: Sequence[tuple[str, float]] = ()
) -> str:
    """The rows as a table.

    Args:
      rows: of `rows_of`.
      against: of `rows_of`.
      missing: of `not_run`: lines after them that say so.
    """
    head = [f"{cell} {against}" if cell == "gain over" else cell for cell in HEAD]
    lines = [head, ["---"] + ["---:"] * (len(HEAD) - 1)] + [
        [
            row.method,
            f"{row.budget:g}",
            _number(row.test.mean),
            _number(row.test.error),
            _number(row.validation.mean),
            _number(row.gain.mean, "+.2f"),
            _number(row.gain.error),
            _number(row.cost),
            _number(row.seconds, ".0f"),
            str(row.seeds),
        ]
        for row in rows
    ]
    lines += [
        [name, f"{budget:g}", "not run"] + [""] * (len(HEAD) - 3)
        for name, budget in missing
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Draws the figure into a folder."""
    part = folder / ".accuracy_cost.part"
    plot(rows).savefig(part, format="png", dpi=120)
    part.replace(folder / "accuracy_cost.png")


def plot(rows: Sequence[Row]) -> Figure:
    """Test accuracy by cost, with standard errors."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for index, row in enumerate(rows):
        error = None if math.isnan(row.test.error) else row.test.error
        axes.errorbar(
            row.cost,
            row.test.mean,
            yerr=error,
            fmt="s" if row.method == OURS else "o",
            # A replay needs a schedule that was paid for before.
            markerfacecolor="none" if row.method.startswith("replay") else None,
            capsize=3,
            color=f"C{index % 10}",
        )
        axes.annotate(
            row.method,
            (row.cost, row.test.mean),
            xytext=(5, 3),
            textcoords="offset points",
            fontsize="small",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.margins(x=0.15)  # room for the names
    axes.set(xlabel="cost [trainings of the original]", ylabel="test accuracy [%]")
    return figure


def _number(value: float, form: str = ".2f") -> str:
    return "-" if math.isnan(value) else format(value, form)
