"""Several runs in one figure."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from surrojax.fields import Record

STYLES = ("-", "--", ":", "-.")
"""Of lines, for further settings when the ten colours are used up."""


def plot_comparison(runs: Mapping[str, Sequence[Sequence[Record]]]) -> Figure:
    """Validation and test accuracy of several settings, by step of the network.

    Test accuracy is left out where a run has no test data.

    Args:
      runs: by the name of a setting, the records of its runs, such as one of each seed.
        A thin line is a run, and a thick one their mean over the rounds that all have.
    """
    figure = Figure(figsize=(7, 3.6 + 0.22 * len(runs)), layout="constrained")
    splits: dict[str, Callable[[Record], float]] = {
        "validation": lambda record: record["original"]["validation_accuracy"],
        "test": lambda record: record["test"]["original"]["accuracy"],
    }
    if any("test" not in run[0] for of in runs.values() for run in of):
        del splits["test"]
    panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
    handles: list[Line2D] = []
    for axes, (split, accuracy) in zip(panels, splits.items(), strict=True):
        handles = [
            _plot(axes, of, accuracy, f"C{index % 10}", STYLES[index // 10 % 4])
            for index, of in enumerate(runs.values())
        ]
        axes.set_title(f"{split} accuracy [%]", fontsize="medium")
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    # With a space before it, no name is taken for one that is to be hidden.
    names = [f" {name}" for name in runs]
    legend = figure.legend(handles, names, loc="outside lower left", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _plot(
    axes: Axes,
    runs: Sequence[Sequence[Record]],
    accuracy: Callable[[Record], float],
    color: str,
    style: str,
) -> Line2D:
    """Draws the runs of a setting; the line of their mean."""
    percents = [[100 * accuracy(record) for record in run] for run in runs]
    if len(runs) > 1:
        for run, percent in zip(runs, percents, strict=True):
            steps = [record["step"] for record in run]
            axes.plot(steps, percent, color=color, ls=style, lw=0.7, alpha=0.6)
    shared = min(map(len, runs))
    steps = [record["step"] for record in runs[0][:shared]]
    mean = np.mean([percent[:shared] for percent in percents], axis=0)
    return axes.plot(steps, mean, color=color, ls=style, lw=1.8)[0]
