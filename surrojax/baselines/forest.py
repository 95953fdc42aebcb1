"""The figure of a comparison's paired differences, with their intervals."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from surrojax.baselines.figure import LOOKS, explain, kind_of, name_of
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Row
from surrojax.plots.files import put

NAME = "gains.png"

FEWEST = 3
"""Seeds in common from which on an interval is worth a look: of two, it is 13 standard
errors either way."""

MARGIN = 0.3
"""Of the axes beyond the outermost mean, in widths of all means. Longer intervals leave
the axes: else they would press all others together."""


def write(folder: Path, rows: Sequence[Row], against: str = OURS) -> None:
    """Draws the figure into a folder, as `gains.png`, or deletes an earlier one.

    Args:
      folder: of the comparison.
      rows: of `rows_of`.
      against: the method over which gains are taken.
    """
    found = with_interval(rows, against)
    if found:
        put(plot(found, against), folder / NAME)
    else:
        (folder / NAME).unlink(missing_ok=True)


def with_interval(rows: Sequence[Row], against: str = OURS) -> list[Row]:
    """Those with `FEWEST` seeds or more in common with a method, the best last."""
    found = [
        row
        for row in rows
        if row.gain.size >= FEWEST and (row.method, row.budget) != (against, 1)
    ]
    return sorted(found, key=lambda row: row.gain.mean)


def plot(shown: Sequence[Row], against: str = OURS) -> Figure:
    """Gains in test accuracy over a method, with intervals of 95 %, the best on top.

    Args:
      shown: of `with_interval`, at least one.
      against: as there.
    """
    figure = Figure(figsize=(8, 1.4 + 0.28 * len(shown)), layout="constrained")
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
    beyond = MARGIN * (max(means) - min(means)) or 1.0
    axes.set_xlim(min(means) - beyond, max(means) + beyond)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.set_yticks(
        range(len(shown)),
        [f"{name_of(row)}, {row.gain.size} seeds" for row in shown],
        fontsize="small",
    )
    axes.set_xlabel(f"test accuracy over that of {against} [points], 95 % intervals")
    explain(figure, kinds, loc="outside upper center", ncols=len(set(kinds)))
    return figure
