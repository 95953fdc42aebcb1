"""Which classes are taken for which: the paper's Fig. 8."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


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
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)  # a class may be called anything
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
