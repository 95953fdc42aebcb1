"""What happened round by round: figures, and the tables beside them."""

import base64

from surrojax import plots
from surrojax.fields import Record
from surrojax.report.figures import Picture, picture
from surrojax.report.folder import Run
from surrojax.report.tables import Table, count, number, percent
from surrojax.run.files import csv_of
from surrojax.run.importance import chance, importance
from surrojax.run.records import schedule_rows

CAPTIONS = {
    "schedule": "The schedule: the hyper-parameters that the network was trained with "
    "in each round. What is 0 throughout is not drawn. Below, its {reported} accuracy.",
    "history": "Accuracy after each round. The validation figures choose{only}.",
    "parallel_coordinate": "The candidates of all rounds, a line each: from left to "
    "right its hyper-parameters, then its score, of which more is better: {score} The "
    "score's axis is the key to the colours.",
    "importance": "Rank correlation of each hyper-parameter with the score, centred by "
    "round. To the right: larger values scored better. Between the dotted lines lie "
    "95 % of what chance alone yields, and bars that end there are grey; proposals "
    "that follow from each other are less certain than that.",
    "fidelity": "How well the surrogate stands in for the network: the distances to "
    "which it was fitted; where it was measured, Kendall's tau between its ranking and "
    "the network's own with 95 % intervals, and what its choice loses.",
    "confusion_matrix": "Test samples by label and prediction, in percent of each "
    "label.",
}


SCORES = {
    "accuracy": "validation accuracy, from 0 to 1, less kappa times the sparseness "
    "||x||_1 / ||x||_2 of the features (eq. 11).",
    "cross_entropy": "minus the validation cross-entropy, less kappa times the "
    "sparseness ||x||_1 / ||x||_2 of the features (eq. 11 with the cross-entropy in "
    "the accuracy's place), so it is negative.",
}
"""What a candidate's score is, by objective."""

UNDONE = "; * undone: with another setting the network fell far behind what it was"

HINT = (1, 10)
"""Rounds that are named where the fidelity was not measured."""


def pictures(run: Run) -> dict[str, Picture]:
    """The figures that a run's records allow, by name."""
    only = "; the test figures are only reported" if run.has_test else ""
    score = SCORES[run.config.get("objective", "accuracy")]
    words = {"reported": run.reported, "only": only, "score": score}
    return {
        name: picture(
            name, draw, _alternative(name, run), CAPTIONS[name].format(**words)
        )
        for name, draw in plots.drawable(run.records, run.result).items()
    }


def _alternative(name: str, run: Run) -> str:
    """What a figure says, for those who cannot see it."""
    records = run.records
    if name == "schedule":
        moved = [
            f"{key} from {number(first)} to {number(records[-1]['hyper'][key])}"
            for key, first in records[0]["hyper"].items()
            if first or records[-1]["hyper"][key]
        ]
        told = "; ".join(moved) or "all hyper-parameters are 0"
        return f"Hyper-parameters over {len(records)} rounds: {told}"
    if name == "history":
        first, last = (_validation(record) for record in (records[0], records[-1]))
        told = (
            f"Validation accuracy over {len(records)} rounds: {percent(first)} % after "
            f"the first, {percent(last)} % after the last"
        )
        return told + (
            f"; test accuracy {percent(_test(records[-1]))} %" if run.has_test else ""
        )
    if name == "parallel_coordinate":
        return "Candidates of all rounds over their hyper-parameters, by score"
    if name == "importance":
        pairs = (f"{key} {value:+.2f}" for key, value in importance(records).items())
        return f"Rank correlations with the score: {', '.join(pairs)}"
    if name == "fidelity":
        return "The surrogate's distances and its fidelity by round"
    recall = (run.result or {})["recall"]
    told = ", ".join(f"{key} {percent(value)} %" for key, value in recall.items())
    return f"Confusion matrix; recall: {told}"


def _validation(record: Record) -> float:
    return record["original"]["validation_accuracy"]


def _test(record: Record) -> float:
    return record["test"]["original"]["accuracy"]


def schedule(run: Run) -> Table:
    """The hyper-parameters of each round, and how well it went."""
    names = list(run.records[0]["hyper"])
    rows = [
        [count(r["round"]) + "*" * ("undone" in r), count(r["step"])]
        + [number(r["hyper"][name]) for name in names]
        + [percent(_validation(r))]
        + ([percent(_test(r))] if run.has_test else [])
        for r in run.records
    ]
    head = ["round", "step", *names, "validation [%]"]
    head += ["test [%]"] if run.has_test else []
    undone = any("undone" in r for r in run.records)
    return Table(f"The schedule by round{UNDONE * undone}", head, rows)


def schedule_link(run: Run) -> str:
    """The schedule as a CSV file inside a link, with all its digits."""
    text = csv_of(schedule_rows(run.records))
    data = base64.b64encode(text.encode()).decode()
    return f"data:text/csv;charset=utf-8;base64,{data}"


def importances(run: Run) -> Table | None:
    """The correlations in numbers."""
    found = importance(run.records)
    if not found:
        return None
    rows = [
        [name, f"{value:+.2f}"]
        for name, value in sorted(found.items(), key=lambda pair: -abs(pair[1]))
    ]
    caption = f"Importance; chance alone: ± {1.96 * chance(run.records):.2f}"
    return Table(caption, ["hyper-parameter", "rank correlation"], rows)


def to_measure(run: Run) -> str:
    """Rounds that a run as long as this one could measure the fidelity of."""
    done = len(run.records)
    return ",".join(map(str, dict.fromkeys(min(hint, done) for hint in HINT)))


def fidelities(run: Run) -> Table | None:
    """Kendall's tau and regret of the rounds after which they were measured."""
    measured = [r for r in run.records if "fidelity" in r]
    if not measured:
        return None
    rows = []
    for record in measured:
        taus, regret = (record["fidelity"][key] for key in ("tau", "regret"))
        names = ("cross_entropy", "ceiling_cross_entropy", "score", "ceiling_accuracy")
        rows.append(
            [count(record["round"])]
            + [_interval(taus.get(name) or {}) for name in names]
            + [percent(regret["accuracy"].get(who)) for who in ("surrogate", "random")]
        )
    head = [
        "round",
        "tau, cross-entropy",
        "the network with itself",
        "tau, score to accuracy",
        "the network with itself",
        "regret of the surrogate's choice [points]",
        "of a random choice [points]",
    ]
    return Table("Fidelity of the surrogate, with 95 % intervals", head, rows)


def _interval(tau: Record) -> str:
    value, low, high = (tau.get(part) for part in ("value", "low", "high"))
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
