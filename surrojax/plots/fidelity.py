"""How well the surrogate stands in for the original."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from surrojax.fields import Record

TAU = {
    "cross_entropy": ("C0", "o", "cross-entropy against cross-entropy"),
    "ceiling_cross_entropy": ("C0", "_", "the original with itself, cross-entropy"),
    "score": ("C1", "s", "score against accuracy"),
    "ceiling_accuracy": ("C1", "_", "the original with itself, accuracy"),
}
"""Of `fidelity.compare`: colour, marker and label."""


def plot_fidelity(records: list[Record]) -> Figure:
    """How well the surrogate stands in for the original, by round.

    The fitting errors (eq. 9); and, of rounds after which it was measured, Kendall's
    tau with its interval, and the regret of the surrogate's choice and of a random one.
    """
    measured = [r for r in records if "fidelity" in r]
    fitted = [r for r in records if "euclidean" in r]
    count = bool(fitted) + 2 * bool(measured)
    figure = Figure(figsize=(7, 1 + 2.5 * count), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    if fitted:
        _plot_errors(panels[0], fitted)
    if measured:
        _plot_tau(panels[-2], measured)
        _plot_regret(panels[-1], measured)
    panels[-1].set(xlabel="round")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _plot_errors(axes: Axes, fitted: list[Record]) -> None:
    rounds = [r["round"] for r in fitted]
    for site in fitted[0]["euclidean"]:
        errors = [r["euclidean"][site] for r in fitted]
        axes.plot(rounds, np.array(errors, float), label=site)
    axes.set(ylabel="fitting error (eq. 9)", yscale="log")
    axes.legend(ncols=4)


def _plot_tau(axes: Axes, measured: list[Record]) -> None:
    for offset, (name, (color, marker, label)) in enumerate(TAU.items()):
        found = [
            (r["round"] + 0.12 * (offset - 1.5), tau["value"], tau["low"], tau["high"])
            for r in measured
            if (tau := r["fidelity"]["tau"].get(name)) and tau["value"] is not None
        ]
        if not found:
            continue
        at, value, low, high = np.array(found, float).T
        reach = np.nan_to_num(np.abs(np.stack([value - low, high - value])))
        axes.errorbar(at, value, reach, color=color, marker=marker, ls="", label=label)
    axes.set(ylabel="Kendall's tau", ylim=(-1.05, 1.05))
    axes.axhline(0, color="0.8", lw=0.8)
    _legend_above(axes, columns=1)


def _plot_regret(axes: Axes, measured: list[Record]) -> None:
    for who, color in (("surrogate", "C0"), ("random", "C3")):
        regret = [
            np.nan
            if (lost := r["fidelity"]["regret"]["accuracy"][who]) is None
            else 100 * lost
            for r in measured
        ]
        axes.plot(
            [r["round"] for r in measured],
            regret,
            color=color,
            marker="o",
            label=f"{who}'s choice" if who == "surrogate" else "a random choice",
        )
    axes.set(ylabel="regret [points]")
    _legend_above(axes, columns=2)


def _legend_above(axes: Axes, columns: int) -> None:
    """Where it covers no data."""
    axes.legend(
        fontsize="small",
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
    )
