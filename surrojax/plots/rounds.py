"""What the rounds were trained with and how well: the paper's Figs. 5 to 7."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from surrojax.fields import Record
from surrojax.plots.names import symbol

STROKES = ("-", (0, (6, 3)), (0, (4, 2, 1, 2)), (0, (1, 2)))
"""Of the four sites, so that lines on one another are all seen."""

STYLE = {"original": ("C0", "original"), "surrogate": ("C1", "surrogate")}


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
                    label=symbol(name),
                    color=f"C{index % 4}",
                    ls=STROKES[index % 4],
                    drawstyle="steps-mid",
                )
        axes.set(ylabel=label)
        axes.legend(ncols=4)
        if label == "coefficient":
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())  # they double the drawing time
        else:
            axes.set_ylim(0, 1)
    split, accuracies = _reported(records)
    panels[-1].plot(rounds, accuracies, color="C0")
    panels[-1].set(ylabel=f"{split} accuracy [%]", xlabel="round")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _reported(records: list[Record]) -> tuple[str, list[float]]:
    """Of test data, as the paper's figures; of validation data where there are none."""
    if "test" in records[0]:
        return "test", [100 * r["test"]["original"]["accuracy"] for r in records]
    name = "validation"
    return name, [100 * r["original"]["validation_accuracy"] for r in records]


def plot_history(records: list[Record]) -> Figure:
    """Validation and test accuracy of original and surrogate by round (Fig. 7)."""
    rounds = [r["round"] for r in records]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for network, (color, label) in STYLE.items():
        if network not in records[0]:
            continue
        validation = [100 * r[network]["validation_accuracy"] for r in records]
        axes.plot(
            rounds, validation, color=color, ls="--", label=f"{label}, validation"
        )
        if "test" in records[0]:
            test = [100 * r["test"][network]["accuracy"] for r in records]
            axes.plot(rounds, test, color=color, label=f"{label}, test")
    axes.set(xlabel="round", ylabel="accuracy [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure
