"""What a finished run is worth: the network, its schedule, tables and figures."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from surrojax import plots
from surrojax.errors import InputError
from surrojax.records import Record
from surrojax.schedule import Schedule
from surrojax.weights import save


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
      variables: as its own module takes them: `params`, and what else it has.
      probabilities: `inputs [n, ...] -> [n, K]`, as the run was given its inputs.
    """

    variables: Mapping[str, Any]
    probabilities: Callable[[Any], np.ndarray]


class Result:
    """A run's records, and the network that they led to.

    Args:
      records: of all rounds, as metrics.jsonl has them.
      trained: makes the network after the last round, when it is asked for.
      classes: K names.
      outcome: what result.json holds; None where the run has none yet.
      folder: of the run; None where it has none.
      best: makes the network of the round of the highest validation accuracy.

    Attributes:
      records, classes, outcome, folder: as given.
    """

    def __init__(
        self,
        records: Sequence[Record],
        trained: Callable[[], Trained],
        classes: Sequence[str],
        outcome: Record | None = None,
        folder: Path | None = None,
        best: Callable[[], Trained] | None = None,
    ) -> None:
        if not records:
            raise InputError("result: the run has done no round yet; let it go on")
        self.records, self.classes = list(records), tuple(classes)
        self.outcome, self.folder = outcome, folder
        self._make, self._make_best = trained, best or trained

    def __repr__(self) -> str:
        setting = ", ".join(f"{n}={v:.3g}" for n, v in self.setting.items())
        test = (
            ""
            if self.test_accuracy is None
            else f", test accuracy {100 * self.test_accuracy:.2f} %"
        )
        return (
            f"Result({len(self.records)} rounds, validation accuracy "
            f"{100 * self.validation_accuracy:.2f} %{test}; {setting})"
        )

    @cached_property
    def _trained(self) -> Trained:
        return self._make()

    @property
    def variables(self) -> Mapping[str, Any]:
        """The network's after the last round, as its own module takes them."""
        return self._trained.variables

    @cached_property
    def best(self) -> Trained:
        """The network of the round of the highest validation accuracy."""
        return self._make_best()

    @property
    def setting(self) -> dict[str, float]:
        """The setting of the last round: the one that the schedule ends with."""
        return dict(self.records[-1]["hyper"])

    @property
    def best_round(self) -> Record:
        """The record of the round of the highest validation accuracy, the first of
        equals."""
        return max(self.records, key=lambda r: r["original"]["validation_accuracy"])

    @property
    def best_setting(self) -> dict[str, float]:
        """The setting that the network was trained with in that round."""
        return dict(self.best_round["hyper"])

    @property
    def validation_accuracy(self) -> float:
        """Of the network after the last round, in [0, 1]."""
        return self.records[-1]["original"]["validation_accuracy"]

    @property
    def test_accuracy(self) -> float | None:
        """The same of test data; None where there are none. It chose nothing."""
        if self.outcome is not None and "test_accuracy" in self.outcome:
            return self.outcome["test_accuracy"]
        test = self.records[-1].get("test")
        return None if test is None else test["original"]["accuracy"]

    @property
    def schedule(self) -> Schedule:
        """The hyper-parameters that the network was trained with, by step."""
        return Schedule.of(self.records)

    @property
    def history(self) -> Any:
        """A pandas `DataFrame` with a row a round.

        Columns: `step`, `learning_rate`, the hyper-parameters, `chosen`,
        `validation_accuracy`, `validation_cross_entropy`, `training_loss`,
        `surrogate_validation_accuracy` where one is fitted, `best_score` of the
        candidates, `test_accuracy` where there are test data, `seconds`.
        """
        import pandas as pd

        return pd.DataFrame([_row(r) for r in self.records]).set_index("round")

    @property
    def candidates(self) -> Any:
        """A pandas `DataFrame` with a row for each candidate of each round.

        Columns: `round`, the hyper-parameters, `score`, `validation_accuracy`,
        `validation_cross_entropy`.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {"round": r["round"]}
                | c["hyper"]
                | {name: value for name, value in c.items() if name != "hyper"}
                for r in self.records
                for c in r.get("candidates", ())
            ]
        )

    def predict(self, inputs: Any) -> np.ndarray:
        """The network's probabilities of each class, `[n, K]`.

        Args:
          inputs: `[n, ...]`, as the run was given its own.
        """
        return self._trained.probabilities(inputs)

    def save_weights(self, file: str | os.PathLike[str]) -> None:
        """Writes the network's parameters as `.safetensors` or `.npz`.

        Raises:
          InputError: the file has another suffix or cannot be written.
        """
        save(Path(file).expanduser(), self.variables["params"])

    def plot_schedule(self) -> Figure:
        """Hyper-parameters by round (Fig. 6), accuracy below (Fig. 5)."""
        return plots.plot_schedule(self.records)

    def plot_history(self) -> Figure:
        """Accuracy of original and surrogate by round (Fig. 7)."""
        return plots.plot_history(self.records)

    def plot_parallel_coordinate(self) -> Figure:
        """All candidates, a line each, coloured by score."""
        return plots.plot_parallel_coordinate(self.records)

    def plot_importance(self) -> Figure:
        """Rank correlation of each hyper-parameter with the score."""
        return plots.plot_importance(self.records)

    def plot_confusion_matrix(self) -> Figure:
        """Of test data (Fig. 8).

        Raises:
          InputError: the run has none, or has not finished.
        """
        if self.outcome is None or "confusion_matrix" not in self.outcome:
            raise InputError(
                "plot_confusion_matrix: this run has no test figures yet; let it "
                "finish, and give it test data"
            )
        confusion = np.array(self.outcome["confusion_matrix"])
        return plots.plot_confusion_matrix(confusion, self.classes)


def _row(record: Record) -> dict[str, Any]:
    original, row = record["original"], {}
    for name in ("round", "step", "learning_rate"):
        row[name] = record[name]
    row |= record["hyper"] | {
        "chosen": record["chosen"],
        "validation_accuracy": original["validation_accuracy"],
        "validation_cross_entropy": original["validation_cross_entropy"],
        "training_loss": record["training_loss"],
    }
    if "surrogate" in record:
        surrogate = record["surrogate"]["validation_accuracy"]
        row["surrogate_validation_accuracy"] = surrogate
    scores = [
        c["score"] for c in record.get("candidates", ()) if c["score"] is not None
    ]
    if scores:
        row["best_score"] = max(scores)
    if "test" in record:
        row["test_accuracy"] = record["test"]["original"]["accuracy"]
    row["seconds"] = record["seconds"]
    return row
