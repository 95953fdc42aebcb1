"""The figure that comes of a comparison's runs: accuracy against cost."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from scipy.optimize import isotonic_regression

from surrojax.baselines.methods import Kind, baseline_of
from surrojax.baselines.rows import Row
from surrojax.plots.files import put

NAME = "accuracy_cost.png"


class Look(NamedTuple):
    """How rows of one kind are drawn."""

    meaning: str
    marker: str
    color: str
    filled: bool = True

    def style(self) -> dict[str, Any]:
        """Of a line of matplotlib's that is points alone."""
        return {
            "linestyle": "none",
            "marker": self.marker,
            "color": self.color,
            "markerfacecolor": self.color if self.filled else "none",
        }


LOOKS: dict[Kind, Look] = {
    "ours": Look("surrojax", "s", "C1"),
    "replay": Look("its schedule again, paid for before", "s", "C1", filled=False),
    "tuner": Look("tuners", "o", "C0"),
    "fixed": Look("one fixed setting", "o", "0.45"),
}

LINE = 0.034
"""Height of a name, in heights of the axes."""

COLUMN = 0.08
"""Points nearer than this, in widths of the axes, have their names in one column."""


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Draws the figure into a folder, as `accuracy_cost.png`."""
    put(plot(rows), folder / NAME)


def plot(rows: Sequence[Row]) -> Figure:
    """Test accuracy by cost, with standard errors."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    kinds = [kind_of(row.method) for row in rows]
    for row, kind in zip(rows, kinds, strict=True):
        error = None if math.isnan(row.test.error) else row.test.error
        axes.errorbar(
            row.cost, row.test.mean, yerr=error, capsize=3, **LOOKS[kind].style()
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.25)  # room for the names
    axes.set(xlabel="cost [trainings of the original]", ylabel="test accuracy [%]")
    _name(axes, rows)
    explain(axes, kinds, loc="lower right")
    return figure


def explain(of: Axes | Figure, kinds: Collection[Kind], **place: Any) -> None:
    """Says what the looks of these kinds mean.

    Args:
      of: what is explained.
      kinds: that are there.
      place: of matplotlib's `legend`.
    """
    of.legend(
        handles=[
            Line2D([], [], label=look.meaning, **look.style())
            for kind, look in LOOKS.items()
            if kind in kinds
        ],
        fontsize="small",
        **place,
    )


def kind_of(method: str) -> Kind:
    """Of a row; what is no baseline is a config of the method."""
    baseline = baseline_of(method)
    return "ours" if baseline is None else baseline.kind


def name_of(row: Row) -> str:
    """A row's method, with the budget where it is not the method's own cost."""
    return row.method if row.budget == 1 else f"{row.method} ({row.budget:g})"


def _name(axes: Axes, rows: Sequence[Row]) -> None:
    """Writes the names beside the points, in columns, none over another."""
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    points = to_axes.transform([(row.cost, row.test.mean) for row in rows])
    order = np.argsort(points[:, 0])
    starts = np.flatnonzero(np.diff(points[order, 0]) > COLUMN) + 1
    for column in np.split(order, starts):
        column = column[np.argsort(points[column, 1])]
        left = points[column, 0].max() + 0.03
        for index, height in zip(column, spread(points[column, 1], LINE), strict=True):
            row = rows[index]
            axes.annotate(
                name_of(row),
                (row.cost, row.test.mean),
                xytext=(left, height),
                textcoords="axes fraction",
                arrowprops={"arrowstyle": "-", "color": "0.7", "lw": 0.6},
                fontsize="small",
                va="center",
            )


def spread(heights: np.ndarray, gap: float) -> np.ndarray:
    """The heights nearest to given ones, by least squares, that are a gap apart.

    All are within the axes where these have room for them.

    Args:
      heights: in rising order, in heights of the axes.
      gap: least distance of one from the next.
    """
    steps = gap * np.arange(len(heights))
    free = isotonic_regression(heights - steps).x
    highest = max(1 - gap - steps[-1], gap)
    return np.clip(free, gap, highest) + steps
