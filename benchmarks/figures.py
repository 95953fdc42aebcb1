"""The paper's Figures 5 to 7, drawn from the records of the rows that they show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from benchmarks.rows import LONG, SCHEDULES
from surrojax.plots import plot_history, plot_schedule
from surrojax.run.records import metrics_of

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
      draw: of `Shown`.
    """

    title: str
    records: Path
    file: Path
    draw: Callable[[list[Any]], Figure]


def places(results: Path) -> list[Place]:
    """All figures, by schedule."""
    return [
        Place(
            f"Figure {number}, {schedule}: {caption}",
            _records(results / "paper" / f"lenet_{schedule}", row),
            results / FOLDER / f"figure_{number}_{row}_{schedule}.png",
            draw,
        )
        for number, caption, row, draw in FIGURES
        for schedule in SCHEDULES
    ]


def _records(rows: Path, row: str) -> Path:
    """Those of a row's longer run, where there is one."""
    longer, usual = (
        rows / name / "seed=0/metrics.jsonl" for name in (f"{row}{LONG}", row)
    )
    return longer if longer.exists() else usual


def text(results: Path) -> str:
    """What the page says of them."""
    parts = []
    for title, records, file, _ in places(results):
        if records.exists():
            rounds = len(metrics_of(records))
            picture = f"../results/{FOLDER}/{file.name}"
            parts.append(f"{title}, {rounds} rounds.\n\n![{title}]({picture})")
        else:
            parts.append(f"{title}: not run.")
    return "\n\n".join(parts)


def draw(results: Path) -> None:
    """Draws those whose rows were run."""
    for _, records, file, draw_records in places(results):
        if records.exists():
            file.parent.mkdir(exist_ok=True)
            draw_records(metrics_of(records)).savefig(file, dpi=80)
