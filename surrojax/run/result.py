"""What a finished run is worth: the network, its schedule, tables and figures."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from surrojax import plots, report
from surrojax.data.pictures import Preparation
from surrojax.data.walk import is_image
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.paths import path_of
from surrojax.run.prediction import predict_files
from surrojax.run.records import refuse_owned
from surrojax.run.stopping import best_round
from surrojax.schedule import Schedule
from surrojax.weights import save, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
      variables: as its own module takes them: `params`, and what else it has.
      probabilities: `inputs [n, ...] -> [n, K]`, as the run was given its inputs.
      preparation: how image files become its inputs; None: it was given arrays.
      state: of a network of flax.nnx, what `nnx.update(network, state)` takes; else
        None.
    """

    variables: Mapping[str, Any] = field(repr=False)
    probabilities: Callable[[Any], np.ndarray]
    preparation: Preparation | None = None
    state: Any = field(default=None, repr=False)


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
        on = [f"{n}={v:.3g}" for n, v in self.setting.items() if v]
        setting = ", ".join(on) or "no regularisation"
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

    @property
    def state(self) -> Any:
        """Of a network of flax.nnx: `nnx.update(network, result.state)` trains it.

        Raises:
          InputError: it is of flax.linen; take `variables`.
        """
        if self._trained.state is None:
            raise InputError(
                "result: its network is no module of flax.nnx (take result.variables), "
                "or was not given: surrojax.load(folder, network=...)"
            )
        return self._trained.state

    @cached_property
    def best(self) -> Trained:
        """The network of the round of the highest validation accuracy."""
        return self._make_best()

    @property
    def setting(self) -> dict[str, float]:
        """The setting of the last round: the one that the schedule ends with.

        It served a network that had learnt, and may keep a fresh one from learning:
        train again under the schedule.
        """
        return dict(self.records[-1]["hyper"])

    @property
    def best_round(self) -> Record:
        """The record of the round of the highest validation accuracy, the first of
        equals."""
        return self.records[best_round(self.records) - 1]

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

    def predict_folder(
        self,
        images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        out: str | os.PathLike[str] | None = None,
        *,
        best: bool = False,
        align: bool | None = None,
    ) -> Any:
        """What the network says of image files.

        They are read as the run read its own: made square, of its size, in its colours,
        averaged over its crops.

        Args:
          images: a file, a folder that is searched with all its sub-folders, or several
            of both.
          out: a CSV file to write as well; None: none.
          best: take the network of the round of the highest validation accuracy.
          align: whether faces are found and aligned; None: as the run did. An image in
            which none is found is named in the log and has no prediction; so is a file
            that cannot be read.

        Returns:
          A pandas `DataFrame` with a row an image, in natural order of the paths:
          `file`, `prediction`, and `probability_NAME` of each class. Its
          `attrs["unreadable"]` lists the files that could not be read.

        Raises:
          InputError: the run was given arrays, a place has no image, or none of the
            files can be read; nothing is written then.
        """
        file = None if out is None else path_of(out)
        if file is not None:
            refuse_owned(file)
            if is_image(file):
                raise InputError(
                    f"{file}: is named as an image is; name a file such as found.csv"
                )
        if file is not None and not file.absolute().parent.is_dir():
            raise InputError(
                f"{file}: its folder is not there; make it, or name another file"
            )
        trained = self.best if best else self._trained
        if trained.preparation is None:
            raise InputError(
                "predict_folder: this run was given arrays, so how images become its "
                "inputs is not known; read them yourself and call predict"
            )
        how = trained.preparation
        if align is not None:
            how = replace(how, align=align)
        places = [images] if isinstance(images, str | os.PathLike) else images
        found = predict_files(places, how, trained.probabilities, self.classes)
        if file is not None:
            found.write(file)
        return found.frame

    def save_weights(self, file: str | os.PathLike[str]) -> None:
        """Writes the network as `.safetensors` or `.npz`, an array a name.

        Names are the paths in its tree of parameters, joined by dots; running
        statistics, where it has any, follow under `batch_stats`.

        Raises:
          InputError: the file has another suffix or cannot be written.
        """
        refuse_owned(Path(file))
        save(path_of(file), whole(self.variables))

    def report(self, file: str | os.PathLike[str] | None = None) -> Path:
        """Writes the run's report, one HTML file.

        Args:
          file: where it goes; None: report.html in the run's folder.

        Returns:
          The file.

        Raises:
          InputError: the run has no folder, or the file is one of a run's or cannot
            be written.
        """
        if self.folder is None:
            raise InputError(
                "report: this run left no records to make a page of; give it a workdir"
            )
        if file is not None:
            refuse_owned(Path(file))
        return report.write(self.folder, file=file)

    def plot_schedule(self) -> "Figure":
        """Hyper-parameters by round (Fig. 6), accuracy below (Fig. 5)."""
        return plots.plot_schedule(self.records)

    def plot_history(self) -> "Figure":
        """Accuracy of original and surrogate by round (Fig. 7)."""
        return plots.plot_history(self.records)

    def plot_fidelity(self) -> "Figure":
        """Fitting errors (eq. 9) by round, and the surrogate's fidelity where measured.

        Raises:
          InputError: the run has neither.
        """
        if not any({"euclidean", "fidelity"} & r.keys() for r in self.records):
            raise InputError(
                "plot_fidelity: no surrogate was fitted in this run, and its fidelity "
                "was not measured"
            )
        return plots.plot_fidelity(self.records)

    def plot_parallel_coordinate(self) -> "Figure":
        """All candidates, a line each, coloured by score."""
        return plots.plot_parallel_coordinate(self.records)

    def plot_importance(self) -> "Figure":
        """Rank correlation of each hyper-parameter with the score."""
        return plots.plot_importance(self.records)

    def plot_confusion_matrix(self) -> "Figure":
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
