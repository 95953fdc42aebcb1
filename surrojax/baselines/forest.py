"""The figure of a comparison's paired differences, with their intervals."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from surrojax.baselines.figure import LOOKS, explain, kind_of, name_of
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Row
from surrojax.plots.files import put

MARGIN = 0.2
"""Of the axes beyond the outermost mean, in widths of all means. Longer intervals, of
few seeds, leave the axes: else they would press all others together."""


def write(folder: Path, rows: Sequence[Row], against: str = OURS) -> None:
    """Draws the figure into a folder, as `gains.png`, where there is an interval.

    Args:
      folder: of the comparison.
      rows: of `rows_of`.
      against: the method over which gains are taken.
    """
    found = with_interval(rows, against)
    if found:
        put(plot(found, against), folder / "gains.png")


def with_interval(rows: Sequence[Row], against: str = OURS) -> list[Row]:
    """Those with two seeds or more in common with a method, the best last."""
    found = [row for row in rows if row.gain.size > 1 and row.method != against]
    return sorted(found, key=lambda row: row.gain.mean)


def plot(shown: Sequence[Row], against: str = OURS) -> Figure:
    """Gains in test accuracy over a method, with intervals of 95 %, the best on top.

    Args:
      shown: of `with_interval`, at least one.
      against: as there.
    """
    figure = Figure(figsize=(8, 1.2 + 0.28 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="0.7", lw=1)
    kinds = [kind_of(row.method) for row in shown]
    for height, (row, kind) in enumerate(zip(shown, kinds, strict=True)):
        low, high = row.gain.interval
        error = [[row.gain.mean - low], [high - row.gain.mean]]
        axes.errorbar(
            row.gain.mean, height, xerr=error, capsize=3, **LOOKS[kind].style()
        )
    means = [0.0, *(row.gain.mean for row in shown)]
    beyond = MARGIN * (max(means) - min(means))
    axes.set_xlim(min(means) - beyond, max(means) + beyond)
    axes.set_yticks(
        range(len(shown)),
        [f"{name_of(row)}, {row.gain.size} seeds" for row in shown],
        fontsize="small",
    )
    axes.set_xlabel(f"test accuracy over that of {against} [points], 95 % intervals")
    explain(axes, kinds)
    return figure
