"""What came out: accuracies, classes, and what it cost."""

from collections.abc import Mapping

from surrojax.report.folder import Run
from surrojax.report.tables import (
    Table,
    binomial_error,
    count,
    number,
    percent,
    wilson_interval,
    with_error,
)
from surrojax.run.progress import duration

ACCURACIES = {
    "test_accuracy": "test accuracy [%]",
    "validation_accuracy": "validation accuracy [%]",
    "train_accuracy": "training accuracy [%]",
    "balanced_accuracy": "mean recall on test [%]",
    "macro_f1": "macro-F1 on test [%]",
}


def finished(run: Run, untuned: Run | None) -> dict[str, Run]:
    """By the name of its column, each run that has a result."""
    runs = {"this run": run} | ({"untuned": untuned} if untuned else {})
    return {name: one for name, one in runs.items() if one.result is not None}


def test_error(run: Run) -> float | None:
    """Standard error of a run's test accuracy, by the number of its test samples."""
    if run.result is None or not run.has_test:
        return None
    return binomial_error(run.result["test_accuracy"], run.tested)


def ended_early(run: Run) -> str | None:
    """Why a run ended before max_iterations, in words; None: it did not."""
    stopped = (run.result or {}).get("stopped", "max_iterations")
    return None if stopped == "max_iterations" else str(stopped).replace("_", " ")


def headline(runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    """The figures that a reader looks for first, each with what it is."""
    results = [run.result for run in runs.values() if run.result]
    first = next(iter(runs.values()))
    error = test_error(first)
    found = [
        (
            f"{with_error(value, error if name == 'test_accuracy' else None)} %",
            label.removesuffix(" [%]"),
        )
        for name, label in ACCURACIES.items()
        if (value := results[0].get(name)) is not None
    ]
    if len(results) > 1:
        name = f"{first.reported}_accuracy"
        gain = results[0][name] - results[1][name]
        found.append(
            (f"{percent(gain, '+')} points", f"{first.reported}, over untuned")
        )
    return found


def accuracies(runs: Mapping[str, Run]) -> Table:
    """Accuracies of the last round's network, and the gain of the first run."""
    rows = []
    for name, label in ACCURACIES.items():
        results = [run.result for run in runs.values() if run.result]
        if any(of.get(name) is None for of in results):  # no test, or an old version
            continue
        values = [of[name] for of in results]
        errors = [
            test_error(run) if name == "test_accuracy" else None
            for run in runs.values()
        ]
        row = [with_error(v, e) for v, e in zip(values, errors, strict=True)]
        gain = [percent(values[0] - values[1], "+")] if len(values) > 1 else []
        rows.append([label, *row, *gain])
    head = ["", *runs, *(["gain [points]"] if len(runs) > 1 else [])]
    return Table("The network after the last round", head, rows)


def classes(runs: Mapping[str, Run]) -> Table:
    """Recall of each class on test data, beside how many samples it has."""
    results = {name: run.result for name, run in runs.items() if run.result}
    first = next(iter(results.values()))
    rows = []
    for place, name in enumerate(first["recall"]):
        samples = first["confusion_matrix"][place]
        found = [percent(result["recall"].get(name)) for result in results.values()]
        found[0] += _interval(samples[place], sum(samples))
        rows.append([name, count(sum(samples)), *found])
    head = ["class", "test samples", *(f"recall, {name} [%]" for name in results)]
    return Table("Recall by class", head, rows)


def _interval(right: int, total: int) -> str:
    """` [59.81, 85.81]` of a share in percent; nothing without samples."""
    if not total:
        return ""
    low, high = wilson_interval(right, total)
    return f" [{percent(low)}, {percent(high)}]"


def confusion(counts: list[list[int]], names: list[str]) -> Table:
    """A confusion matrix in numbers."""
    rows = [
        [name, *(count(cell) for cell in row)]
        for name, row in zip(names, counts, strict=True)
    ]
    caption = "Confusion matrix: rows are labels, columns predictions"
    return Table(caption, ["label", *names], rows)


def costs(runs: Mapping[str, Run]) -> Table:
    """Steps, trainings of the network, and seconds."""
    results = [run.result for run in runs.values() if run.result]
    rows = [
        ["steps of the network", *(count(r["original_steps"]) for r in results)],
        ["steps of surrogates", *(count(r["surrogate_steps"]) for r in results)],
        [
            "multiply-accumulates of a surrogate's step over the network's",
            *(number(run.ratio) for run in runs.values()),
        ],
        [
            "cost in trainings of the network",
            *(number(run.cost) for run in runs.values()),
        ],
        ["time of all rounds", *(duration(r["seconds"], 1) for r in results)],
    ]
    return Table("What it took", ["", *runs], rows)
