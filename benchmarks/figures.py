"""The paper's Figures 5 to 7, drawn from the records of the rows that they show."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from benchmarks.rows import SCHEDULES
from surrojax.plots import plot_history, plot_schedule

FOLDER = "figures"


class Shown(NamedTuple):
    """A figure.

    Attributes:
      number: of the paper's.
      caption: what it shows.
      row: the name of a row of LeNet's.
      draw: makes it of a run's records.
    """

    number: int
    caption: str
    row: str
    draw: Callable[[list[Any]], Figure]


FIGURES = (
    Shown(5, "lambda_x by PSO, and accuracy", "lambda_x_pso", plot_schedule),
    Shown(5, "p_z and p_x by PSO, and accuracy", "p_z_p_x_pso", plot_schedule),
    Shown(6, "all eight by PSO", "coefficients_ratios_pso", plot_schedule),
    Shown(7, "LeNet and its surrogate", "coefficients_ratios_pso", plot_history),
)


class Place(NamedTuple):
    """Where a figure comes from and goes to.

    Attributes:
      title: with the schedule.
      records: its run's, one a line; not there where the row was not run.
      file: the drawing.
    """

    title: str
    records: Path
    file: Path


def places(results: Path) -> dict[Place, Shown]:
    """All figures, by schedule."""
    found = {}
    for shown in FIGURES:
        for schedule in SCHEDULES:
            run = results / "paper" / f"lenet_{schedule}" / shown.row / "seed=0"
            name = f"figure_{shown.number}_{shown.row}_{schedule}.png"
            place = Place(
                f"Figure {shown.number}, {schedule}: {shown.caption}",
                run / "metrics.jsonl",
                results / FOLDER / name,
            )
            found[place] = shown
    return found


def text(results: Path) -> str:
    """What the page says of them."""
    parts = []
    for title, records, file in places(results):
        if records.exists():
            rounds = len(records.read_text().splitlines())
            picture = f"../results/{FOLDER}/{file.name}"
            parts.append(f"{title}, {rounds} rounds.\n\n![{title}]({picture})")
        else:
            parts.append(f"{title}: not run.")
    return "\n\n".join(parts)


def draw(results: Path) -> None:
    """Draws those whose rows were run."""
    for place, shown in places(results).items():
        if place.records.exists():
            lines = place.records.read_text().splitlines()
            place.file.parent.mkdir(exist_ok=True)
            shown.draw([json.loads(line) for line in lines]).savefig(place.file, dpi=80)
