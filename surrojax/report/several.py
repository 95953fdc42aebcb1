"""The page on a folder of several runs."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from surrojax import filenames, plots
from surrojax.fields import Record
from surrojax.report import result
from surrojax.report.figures import Picture, picture
from surrojax.report.folder import REPEATS, Run, Several
from surrojax.report.origin import command, shown, title
from surrojax.report.page import render
from surrojax.report.tables import (
    Cell,
    Link,
    Table,
    count,
    number,
    percent,
    with_error,
)
from surrojax.run.pooling import mean_and_error
from surrojax.run.progress import duration


def page(several: Several) -> str:
    """The HTML of the report on a sweep, on folds, or on seeds."""
    every = list(several.runs.values())
    finished = [run for run in every if run.result]
    context: dict[str, Any] = {
        "title": _title(several),
        "facts": _facts(several),
        "failed": several.failed,
        "broken": several.broken,
        "settings": _settings(several) if several.runs else None,
        "single": _reported(several) == "test"
        and any(len(runs) == 1 for runs in several.settings.values()),
        "has_test": _reported(several) == "test",
        "each": _each(several) if several.runs else None,
        "comparison": _comparison(several),
        "pooled": [_pooled(*pair) for pair in enumerate(several.pooled.items())],
        "summary": _summary(several.pooled) if several.pooled else None,
        "costs": _costs(several) if finished else None,
        "commands": list(dict.fromkeys(filter(None, map(command, every)))),
    }
    return render("several.html", context)


def _title(several: Several) -> str:
    """What its runs are of, where they all are of the same."""
    titles = {title(run) for run in several.runs.values()}
    return f"Runs of {titles.pop()}" if len(titles) == 1 else several.path.name


def _facts(several: Several) -> list[tuple[str, str]]:
    runs = several.runs.values()
    done = sum(run.result is not None for run in runs)
    found = [("folder", shown(several.path)), ("runs", f"{done} finished")]
    others = len(runs) - done
    if others:
        found.append(("unfinished", str(others)))
    for name, values in (
        ("network", dict.fromkeys(run.network for run in runs)),
        ("database", dict.fromkeys(run.database for run in runs)),
    ):
        if values:
            found.append((name, ", ".join(values)))
    return found


def _reported(several: Several) -> str:
    """The split by which settings are compared: `test`, where all runs have one."""
    splits = {run.reported for run in several.runs.values()}
    return "validation" if "validation" in splits else "test"


def _settings(several: Several) -> Table:
    """A row for each setting: means over its runs, and the gain over the first."""
    rows = []
    first, split = _reference(several), _reported(several)
    accuracy = f"{split}_accuracy"
    reference = _by_repeat(several.settings[first])
    for name, runs in several.settings.items():
        done = [run for run in runs.values() if run.result]
        gains = [
            run.result[accuracy] - other.result[accuracy]
            for repeat, run in _by_repeat(runs).items()
            if (other := reference.get(repeat)) and run.result and other.result
        ]
        rows.append(
            [name, _test(done)]
            + [
                with_error(*mean_and_error([r.result[key] for r in done if r.result]))
                for key in ("validation_accuracy", "train_accuracy")
            ]
            + ["" if name == first else with_error(*mean_and_error(gains), sign="+")]
            + [str(len(done)), _steps(done)]
            + [number(mean_and_error([r.cost for r in done if r.cost])[0])]
            + [_time(done)]
        )
    head = ["setting", "test [%]", "validation [%]", "training [%]"]
    gained = "gain" if split == "test" else "validation gain"
    head += [f"{gained} over {first} [points]", "runs", "steps", "cost [trainings]"]
    head += ["time of a run"]
    return Table("Means over the runs of each setting", head, rows)


def _reference(several: Several) -> str:
    """The setting over which the others gain: the first that has a finished run."""
    done = (
        name
        for name, runs in several.settings.items()
        if any(run.result for run in runs.values())
    )
    return next(done, next(iter(several.settings)))


def _steps(done: list[Run]) -> str:
    """Of the network; several numbers where the runs are not equally long."""
    return " / ".join(dict.fromkeys(count(run.steps) for run in done)) or "–"


def _test(done: list[Run]) -> str:
    """With the standard error over several runs, or over the samples of one."""
    found = [r.result["test_accuracy"] for r in done if r.result and r.has_test]
    mean, error = mean_and_error(found)
    if len(done) == len(found) == 1:
        error = result.test_error(done[0])
        return with_error(mean, error) + ("" if error is None else " †")
    return with_error(mean, error)


def _time(done: list[Run]) -> str:
    mean, _ = mean_and_error([run.result["seconds"] for run in done if run.result])
    return "–" if mean is None else duration(mean, 1)


def _by_repeat(runs: Mapping[str, Run]) -> dict[str, Run]:
    """By the seed and the fold in the name of a run's folder."""
    return {
        ",".join(w for w in re.split("[,/]", name) if w.partition("=")[0] in REPEATS): r
        for name, r in runs.items()
    }


def _each(several: Several) -> Table:
    """A row for each run, with the way to its own report."""
    rows: list[list[Cell]] = []
    for name, run in several.runs.items():
        link = Link(f"{name}/{filenames.REPORT}", name) if run.records else name
        if run.result is None:
            asked = count(run.config["max_iterations"])
            said = f"unfinished: {count(run.steps)} of {asked} steps"
            rows.append([link, said, *["–"] * 5])
            continue
        rows.append(
            [
                link,
                with_error(run.result.get("test_accuracy"), result.test_error(run)),
                *(
                    percent(run.result.get(key))
                    for key in ("validation_accuracy", "train_accuracy", "macro_f1")
                ),
                number(run.cost),
                duration(run.result["seconds"], 1),
            ]
        )
    head = ["run", "test [%]", "validation [%]", "training [%]", "macro-F1 [%]"]
    head += ["cost [trainings]", "time"]
    return Table("Each run, with its own report", head, rows)


def _comparison(several: Several) -> Picture | None:
    runs = {
        name: records
        for name, of in several.settings.items()
        if (records := [run.records for run in of.values() if run.records])
    }
    if not runs:
        return None
    ends = (
        f"{name} {percent(float(np.mean([_last(run) for run in of])))} %"
        for name, of in runs.items()
    )
    return picture(
        "comparison",
        lambda: plots.plot_comparison(runs),
        f"Accuracy by step; validation after the last round: {', '.join(ends)}",
        f"Validation {'and test ' if _reported(several) == 'test' else ''}accuracy by "
        "step of the network. Thick: the mean over a setting's runs; thin: each of "
        "several.",
    )


def _last(records: list[Record]) -> float:
    return records[-1]["original"]["validation_accuracy"]


def _summary(pooled: Mapping[str, Record]) -> Table:
    """A row for each setting whose folds are pooled."""
    rows = [
        [
            name,
            str(of["runs"]),
            percent(of["mean"]),
            percent(of.get("sd")),
            percent(of["pooled_accuracy"]),
            percent(of["macro_f1"]),
        ]
        for name, of in pooled.items()
    ]
    head = ["setting", "folds", "mean test [%]", "standard deviation"]
    head += ["pooled test [%]", "macro-F1 [%]"]
    return Table("Folds as one result", head, rows)


def _pooled(index: int, pair: tuple[str, Record]) -> dict[str, Any]:
    """The pooled confusion matrix of a setting: figure and tables."""
    name, of = pair
    classes = list(of["recall"])
    confusion = np.array(of["confusion_matrix"])
    told = ", ".join(f"{key} {percent(value)} %" for key, value in of["recall"].items())
    return {
        "name": name,
        "picture": picture(
            f"pooled{index}",
            lambda: plots.plot_confusion_matrix(confusion, classes),
            f"Confusion matrix of all folds; recall: {told}",
            "Test samples of all folds by label and prediction, in percent of each "
            "label.",
        ),
        "table": result.confusion(of["confusion_matrix"], classes),
        "recall": Table(
            "Recall by class, all folds",
            ["class", "test samples", "recall [%]"],
            [
                [key, count(sum(row)), percent(value)]
                for (key, value), row in zip(
                    of["recall"].items(), of["confusion_matrix"], strict=True
                )
            ],
        ),
    }


def _costs(several: Several) -> Table:
    """What each setting's runs took together."""
    rows = []
    for name, runs in several.settings.items():
        results = [run.result for run in runs.values() if run.result]
        costs = [run.cost for run in runs.values() if run.cost]
        rows.append(
            [name]
            + [
                count(sum(result[key] for result in results))
                for key in ("original_steps", "surrogate_steps")
            ]
            + [number(sum(costs) if costs else None)]
            + [duration(sum(result["seconds"] for result in results), 1)]
        )
    head = ["setting", "steps of the network", "steps of surrogates"]
    head += ["in trainings of the network", "time"]
    return Table("What all runs of a setting took", head, rows)
