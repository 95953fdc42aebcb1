"""Figures from the records of a run, in the paper's form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Record = dict[str, Any]

STYLE = {"original": ("C0", "original"), "surrogate": ("C1", "surrogate")}


def write(folder: Path, records: list[Record], result: Record | None = None) -> None:
    """Writes all figures that the records allow as PNG files.

    Args:
      folder: made if it is missing.
      records: of all rounds so far.
      result: of a finished run; adds the confusion matrix.
    """
    folder.mkdir(exist_ok=True)
    figures = {
        "schedule": plot_schedule(records),
        "history": plot_history(records),
    }
    if any("euclidean" in r or "fidelity" in r for r in records):
        figures["fidelity"] = plot_fidelity(records)
    if result is not None:
        figures["confusion_matrix"] = plot_confusion_matrix(
            np.array(result["confusion_matrix"]), list(result["recall"])
        )
    for name, figure in figures.items():
        part = folder / f".{name}.part"
        figure.savefig(part, format="png", dpi=120)
        part.replace(folder / f"{name}.png")


def plot_schedule(records: list[Record]) -> Figure:
    """Evolution of the hyper-parameters (Fig. 6), test accuracy below (Fig. 5)."""
    rounds = [r["round"] for r in records]
    values = {n: [r["hyper"][n] for r in records] for n in records[0]["hyper"]}
    # What is 0 throughout is off, and has no place on a log axis.
    groups = {
        label: [n for n in values if n.startswith(kind) and any(values[n])]
        for label, kind in (("coefficient", "lambda"), ("dropout ratio", "p"))
    }
    groups = {label: names for label, names in groups.items() if names}
    figure = Figure(figsize=(7, 2 + 2.5 * len(groups)), layout="constrained")
    panels = figure.subplots(len(groups) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, names) in zip(panels, groups.items(), strict=False):
        for index, name in enumerate(values):
            if name in names:
                axes.plot(
                    rounds,
                    values[name],
                    label=_symbol(name),
                    color=f"C{index % 4}",
                    drawstyle="steps-mid",
                )
        axes.set(ylabel=label)
        axes.legend(ncols=4)
        if label == "coefficient":
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1)
    test = [100 * r["test"]["original"]["accuracy"] for r in records]
    panels[-1].plot(rounds, test, color="C0")
    panels[-1].set(ylabel="test accuracy [%]", xlabel="round")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_history(records: list[Record]) -> Figure:
    """Validation and test accuracy of original and surrogate by round (Fig. 7)."""
    rounds = [r["round"] for r in records]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for network, (color, label) in STYLE.items():
        if network not in records[0]:
            continue
        validation = [100 * r[network]["validation_accuracy"] for r in records]
        test = [100 * r["test"][network]["accuracy"] for r in records]
        axes.plot(
            rounds, validation, color=color, ls="--", label=f"{label}, validation"
        )
        axes.plot(rounds, test, color=color, label=f"{label}, test")
    axes.set(xlabel="round", ylabel="accuracy [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


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
    _legend_above(axes)


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
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """Where it covers no data."""
    axes.legend(
        fontsize="small",
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
    )


def plot_confusion_matrix(confusion: np.ndarray, classes: Sequence[str]) -> Figure:
    """Confusion matrix in percent of each label's samples (Fig. 8).

    Args:
      confusion: `[K, K]` counts; rows are the labels.
      classes: K names.
    """
    share = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, label="%")
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45, ha="right")
    axes.set_yticks(ticks, classes)
    axes.set(xlabel="predicted", ylabel="label")
    for row in ticks:
        for column in ticks:
            value = share[row, column]
            axes.text(
                column,
                row,
                f"{value:.1f}",
                ha="center",
                va="center",
                color="white" if value > 50 else "black",
            )
    return figure


def _symbol(name: str) -> str:
    kind, site = name.split("_")
    return rf"$\{kind}_{site}$" if kind == "lambda" else f"${kind}_{site}$"
