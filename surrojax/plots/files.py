"""Which figures a run has, and their files."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from surrojax.fields import Record
from surrojax.plots.candidates import (
    plot_importance,
    plot_parallel_coordinate,
    searched,
)
from surrojax.plots.confusion import plot_confusion_matrix
from surrojax.plots.fidelity import plot_fidelity
from surrojax.plots.rounds import plot_history, plot_schedule
from surrojax.run.importance import importance

AT_THE_END = ("parallel_coordinate", "importance")
"""Figures that are not drawn again and again while a run goes on."""


def drawable(
    records: list[Record], result: Record | None = None
) -> dict[str, Callable[[], Figure]]:
    """By name, what draws each figure that the records allow.

    Args:
      records: of all rounds so far.
      result: of a finished run; adds the confusion matrix, if it has test data.
    """
    figures: dict[str, Callable[[], Figure]] = {
        "schedule": lambda: plot_schedule(records),
        "history": lambda: plot_history(records),
    }
    if any("euclidean" in r or "fidelity" in r for r in records):
        figures["fidelity"] = lambda: plot_fidelity(records)
    if searched(records):
        figures["parallel_coordinate"] = lambda: plot_parallel_coordinate(records)
    if importance(records):
        figures["importance"] = lambda: plot_importance(records)
    if result is not None and "confusion_matrix" in result:
        confusion = np.array(result["confusion_matrix"])
        classes = list(result["recall"])
        figures["confusion_matrix"] = lambda: plot_confusion_matrix(confusion, classes)
    return figures


def write(folder: Path, records: list[Record], result: Record | None = None) -> None:
    """Writes the figures that the records allow as PNG files.

    Args:
      folder: made if it is missing.
      records: of all rounds so far.
      result: of a finished run; adds the confusion matrix, and the figures of its
        candidates.
    """
    folder.mkdir(exist_ok=True)
    for name, draw in drawable(records, result).items():
        if result is None and name in AT_THE_END:
            continue
        put(draw(), folder / f"{name}.png")


def put(figure: Figure, file: Path) -> None:
    """Replaces a PNG file as a whole."""
    part = file.with_name(f".{file.stem}.part")
    with warnings.catch_warnings():
        # Letters that matplotlib's own font lacks are boxes here, and letters in the
        # report, whose reader's browser has them.
        warnings.filterwarnings("ignore", r"Glyph .* missing", UserWarning)
        figure.savefig(part, format="png", dpi=120)
    part.replace(file)
