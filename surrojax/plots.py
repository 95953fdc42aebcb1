"""Figures from the records of a run, in the paper's form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

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
    figure = Figure(figsize=(7, 8), layout="constrained")
    coefficients, ratios, accuracy = figure.subplots(3, 1, sharex=True)
    for index, name in enumerate(records[0]["hyper"]):
        values = np.array([r["hyper"][name] for r in records])
        axes = coefficients if name.startswith("lambda") else ratios
        # A coefficient of 0 is not searched and has no place on a log axis.
        if axes is ratios or (values > 0).all():
            axes.plot(rounds, values, label=_symbol(name), color=f"C{index % 4}")
    coefficients.set(ylabel="coefficient", yscale="log")
    ratios.set(ylabel="dropout ratio", ylim=(0, 1))
    for axes in (coefficients, ratios):
        if axes.lines:
            axes.legend(ncols=4)
    test = [100 * r["test"]["original"]["accuracy"] for r in records]
    accuracy.plot(rounds, test, color="C0")
    accuracy.set(ylabel="test accuracy [%]", xlabel="round")
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
    axes.legend()
    return figure


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
