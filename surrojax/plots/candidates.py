"""What the candidates of a run's rounds were, and what they scored."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.plots.names import symbol
from surrojax.run.importance import chance, compared, finite, importance
from surrojax.sites import GROUPS

COLORS = LinearSegmentedColormap.from_list(
    "score", [(0.25, 0.47, 0.75, 0.35), (0.66, 0.31, 0.65, 0.6), (0.87, 0.38, 0.1, 1)]
)
"""From the worst score to the best; to be seen on a light and on a dark page."""

FAR_OUT = 3.0
"""Interquartile ranges below the lower quartile, where a score's axis ends."""

NOTHING = "the records have no candidates that differ: nothing was tuned"

MANY = 1000
"""Lines from which on a vector graphic holds them as pixels."""


class Scale(NamedTuple):
    """A vertical axis: what stands at its lower and upper end, and on what scale."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, values: np.ndarray, log: bool) -> "Scale":
        """From the least to the greatest; zeros have no place on a log scale."""
        low, high = float(values.min()), float(values.max())
        return cls(low, high, log and low > 0)

    def place(self, values: Any) -> np.ndarray:
        """Where values stand, from 0 at the lower end to 1 at the upper."""
        form = np.log if self.log else np.asarray
        low, high = form(self.low), form(self.high)
        return (form(values) - low) / (high - low) if high > low else 0.5 + 0 * values

    def ticks(self) -> np.ndarray:
        """Round values in between; the ends where there are none."""
        locator = LogLocator(numticks=6) if self.log else MaxNLocator(5)
        found = np.asarray(locator.tick_values(self.low, self.high))
        found = found[(found >= self.low) & (found <= self.high)]
        return found if len(found) > 1 else np.array([self.low, self.high])


def searched(records: Sequence[Record]) -> list[str]:
    """Names of the hyper-parameters that vary among candidates with a finite score."""
    candidates = _candidates(records)
    names = candidates[0]["hyper"] if candidates else ()
    return [n for n in names if len({c["hyper"][n] for c in candidates}) > 1]


def plot_parallel_coordinate(records: Sequence[Record]) -> Figure:
    """The candidates of all rounds: a line each, over its hyper-parameters.

    The colour and the last axis are the score, the best in front; coefficients have log
    axes. What never varies has no axis; a candidate whose score is not finite has no
    line. Scores far below all others are drawn at the lower end.

    Args:
      records: lines of metrics.jsonl.

    Raises:
      InputError: no hyper-parameter was searched.
    """
    names, candidates = searched(records), _candidates(records)
    if not names:
        raise InputError(NOTHING)
    candidates = sorted(candidates, key=lambda candidate: candidate["score"])
    columns = [np.array([c["hyper"][name] for c in candidates]) for name in names]
    scales = [
        Scale.of(column, log=GROUPS.get(name) == "coefficient")
        for name, column in zip(names, columns, strict=True)
    ]
    scores = np.array([candidate["score"] for candidate in candidates])
    lower, upper = np.percentile(scores, (25, 75))
    fence = lower - FAR_OUT * (upper - lower)
    shown = np.maximum(scores, scores[scores >= fence].min())
    scales.append(Scale.of(shown, log=False))
    heights = [s.place(v) for s, v in zip(scales, [*columns, shown], strict=True)]

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    places = list(range(len(scales)))
    lines = np.stack([np.tile(places, (len(scores), 1)), np.stack(heights, 1)], axis=-1)
    axes.add_collection(
        LineCollection(
            list(lines),
            array=heights[-1],
            cmap=COLORS,
            clim=(0, 1),
            linewidths=1 if len(lines) < 100 else 0.6,
            rasterized=len(lines) > MANY,
        )
    )
    for place, scale in zip(places, scales, strict=True):
        _draw_axis(axes, place, scale, -1 if place < places[-1] else 1)
    _draw_key(axes, places[-1])
    lost = sum(len(r.get("candidates") or ()) for r in records) - len(scores)
    axes.set_title(
        f"{len(scores)} candidates" + (f", {lost} without a finite score" * bool(lost)),
        fontsize="medium",
    )
    axes.set_xticks(places, [*map(symbol, names), "score"])
    axes.set(xlim=(-0.5, places[-1] + 0.6), ylim=(-0.03, 1.03), yticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _draw_axis(axes: Axes, place: float, scale: Scale, side: int) -> None:
    """An axis with its ticks, to the left (-1) or to the right (1) of it."""
    axes.axvline(place, color="0.5", lw=0.8, zorder=3)
    for tick in scale.ticks():
        height = float(scale.place(tick))
        label = f"{tick:.0e}".replace("e-0", "e-") if scale.log else f"{tick:g}"
        axes.annotate(
            label,
            (place, height),
            xytext=(5 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
            fontsize="x-small",
            bbox={
                "facecolor": axes.get_facecolor(),
                "edgecolor": "none",
                "alpha": 0.7,
                "pad": 0.5,
            },
            zorder=4,
        ).set_in_layout(False)
        ends = [place, place + 0.04 * side]
        axes.plot(ends, [height] * 2, color="0.5", lw=0.8, zorder=3)


def _draw_key(axes: Axes, place: float) -> None:
    """The score's axis shows which colour is which score."""
    ends = np.linspace(0, 1, 41)
    segments = [[(place, a), (place, b)] for a, b in zip(ends, ends[1:], strict=False)]
    axes.add_collection(
        LineCollection(
            segments, array=ends[1:], cmap=COLORS, clim=(0, 1), linewidths=5, zorder=3
        )
    )


def plot_importance(records: Sequence[Record]) -> Figure:
    """Rank correlation of each hyper-parameter with the score, centred by round.

    Bars to the right: larger values had the better scores. Between the dotted lines
    lie 95 % of what chance alone would yield; bars that end there are grey.

    Args:
      records: lines of metrics.jsonl; see `surrojax.run.importance.importance`.

    Raises:
      InputError: no hyper-parameter was searched.
    """
    found = importance(records)
    if not found:
        raise InputError(NOTHING)
    names = sorted(found, key=lambda name: abs(found[name]))
    values = [found[name] for name in names]
    figure = Figure(figsize=(7, 1.4 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    limit = 1.96 * chance(records)
    colors = ["C0" if v > limit else "C3" if v < -limit else "0.7" for v in values]
    bars = axes.barh([symbol(name) for name in names], values, color=colors)
    axes.bar_label(bars, fmt="{:+.2f}", padding=3)
    axes.axvline(0, color="0.5", lw=0.8)
    for side in (-limit, limit):
        axes.axvline(side, color="0.5", lw=0.8, ls=":")
    candidates, rounds = compared(records)
    axes.set_title(f"{candidates} candidates of {rounds} rounds", fontsize="medium")
    axes.set(xlabel="rank correlation with the score, within rounds", xlim=(-1.1, 1.1))
    return figure


def _candidates(records: Sequence[Record]) -> list[Record]:
    """Those of all rounds whose score is finite."""
    return [
        candidate
        for record in records
        for candidate in record.get("candidates") or ()
        if finite(candidate["score"])
    ]
