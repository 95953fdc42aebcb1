"""Several test results as one: the folds of a protocol, pooled and averaged."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from surrojax.evaluate import class_figures
from surrojax.fields import Record


def pool(results: Sequence[Record]) -> Record:
    """Pooled confusion matrix, and mean and standard deviation over the results.

    Args:
      results: result.json of each fold; those of one network and class set.

    Returns:
      `mean` and `sd` (of a sample; None for one result) of the test accuracies in
      `each`; `pooled_accuracy`, `balanced_accuracy`, `recall` and `macro_f1` of the
      summed confusion matrix.
    """
    each = [result["test_accuracy"] for result in results]
    confusion = np.sum([result["confusion_matrix"] for result in results], axis=0)
    classes = list(results[0]["recall"])
    return {
        "runs": len(results),
        "mean": float(np.mean(each)),
        "sd": float(np.std(each, ddof=1)) if len(each) > 1 else None,
        "pooled_accuracy": float(np.trace(confusion) / confusion.sum()),
        "frame_accuracy": float(np.mean([r["test_frame_accuracy"] for r in results])),
        **class_figures(confusion, classes),
        "each": each,
    }


def mean_and_error(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and standard error of independent values; None where there are too few."""
    if not values:
        return None, None
    if len(values) == 1:
        return values[0], None
    return statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5


def table(pooled: Mapping[str, Record]) -> str:
    """A line a name, then each pooled confusion matrix; accuracies in percent."""
    rows = [["", "runs", "mean %", "sd", "pooled %", "frames %", "macro-F1 %"]]
    for name, of in pooled.items():
        rows.append(
            [name, str(of["runs"]), _percent(of["mean"]), _percent(of["sd"])]
            + [
                _percent(of[key])
                for key in ("pooled_accuracy", "frame_accuracy", "macro_f1")
            ]
        )
    parts = [aligned(rows)]
    for name, of in pooled.items():
        classes = list(of["recall"])
        matrix = [["", *classes, "recall %"]] + [
            [label, *map(str, counts), _percent(of["recall"][label])]
            for label, counts in zip(classes, of["confusion_matrix"], strict=True)
        ]
        parts.append(f"{name}: rows are labels, columns predictions\n{aligned(matrix)}")
    return "\n\n".join(parts)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"
