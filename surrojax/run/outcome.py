"""What a finished run reports: result.json and a table of predictions."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.algorithm import RunState
from surrojax.data import Dataset, Split
from surrojax.evaluate import Views, class_figures, confusion_matrix, predict, vote
from surrojax.fields import Record, finite_or_none
from surrojax.method import Method
from surrojax.run.stream import Streamed, predict_streamed
from surrojax.sgd import Arrays


class Voted(NamedTuple):
    """What the trained network says of the units of a split.

    Attributes:
      labels, predictions: `[U]` int.
      probabilities: `[U, K]`, averaged over a unit's frames and their views.
      frame_accuracy: share of the frames whose own prediction is right.
      cross_entropy: the softmax loss of a frame (eq. 5), in nats.
    """

    labels: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray
    frame_accuracy: float
    cross_entropy: float

    @property
    def accuracy(self) -> float:
        """Share of the units whose prediction is right."""
        return float((self.predictions == self.labels).mean())

    def figures(self, classes: Sequence[str]) -> Record:
        """What result.json says of the test split."""
        confusion = confusion_matrix(self.labels, self.predictions, len(classes))
        return {
            "test_accuracy": self.accuracy,
            "test_frame_accuracy": self.frame_accuracy,
            "test_cross_entropy": finite_or_none(self.cross_entropy),
        } | class_figures(confusion, classes)


def classify(
    method: Method, state: RunState, views: Views, split: Split, data: Arrays | Streamed
) -> Voted:
    """Puts a split through the trained network.

    Args:
      method: of the run.
      state: after its last round.
      views: how to look at the images.
      split, data: the same samples, for their units and for their pixels.
    """
    variables, batch = state.fusion.original.variables, method.evaluation_batch
    program = jax.jit(
        partial(predict, method.pair.original, views), static_argnames="batch"
    )
    if isinstance(data, Streamed):
        one = partial(program, batch=batch)
        found = predict_streamed(one, variables, data.images, batch)
    else:
        found = program(variables, data.images, batch=batch)
    return voted(found.log_probabilities, split)


def voted(log_probabilities: jax.Array, split: Split) -> Voted:
    """What a network says of a split's units.

    Args:
      log_probabilities: `[n, K]`, of its frames.
      split: their labels and units.
    """
    here = np.asarray(log_probabilities)
    of_labels = np.take_along_axis(here, split.labels[:, None], axis=1)
    units, labels = split.units()
    mass = np.zeros((len(labels), here.shape[-1]))
    np.add.at(mass, units, np.exp(here, dtype=np.float64))
    frames = here.argmax(axis=-1)
    return Voted(
        labels=labels,
        predictions=np.asarray(
            vote(log_probabilities, jnp.asarray(units), len(labels))
        ),
        probabilities=mass / np.bincount(units)[:, None],
        frame_accuracy=float((frames == split.labels).mean()),
        cross_entropy=-float(of_labels.mean(dtype=np.float64)),
    )


def result(
    method: Method,
    dataset: Dataset,
    found: Mapping[str, Voted],
    state: RunState,
    records: list[Record],
) -> Record:
    """What result.json holds: of the last round's model, and the best round beside.

    Args:
      method: of the run.
      dataset: that it was trained on.
      found: by split, what `classify` yields; test data may be missing.
      state: after the last round.
      records: of all rounds.
    """
    last, best = records[-1], records[int(state.best_round) - 1]

    def steps(count: Callable[[Record], int]) -> int:
        return sum(r["iterations"] * count(r) for r in records)

    settings = steps(lambda r: len(r["stage1"]))
    candidates = sum(
        method.of_length(r["iterations"]).stage2_iterations
        * len(r.get("candidates", ()))
        for r in records
    )
    figures = found["test"].figures(dataset.classes) if "test" in found else {}
    return figures | {
        "validation_accuracy": last["original"]["validation_accuracy"],
        "train_accuracy": found["train"].accuracy,
        "hyper": last["hyper"],
        "best_round": {
            "round": best["round"],
            "validation_accuracy": best["original"]["validation_accuracy"],
        }
        | (
            {"test_accuracy": best["test"]["original"]["accuracy"]}
            if "test" in best
            else {}
        ),
        "rounds": len(records),
        "original_steps": settings,
        "surrogate_steps": candidates + (settings if method.fits else 0),
        "seconds": round(sum(r["seconds"] for r in records), 1),
    }


def cost_in_steps(original: float, surrogate: float, ratio: float) -> float:
    """What was trained altogether, in steps of the original.

    Args:
      original, surrogate: steps of each.
      ratio: a surrogate's multiply-accumulates over those of the original.
    """
    return original + ratio * surrogate


def predictions_csv(dataset: Dataset, found: Mapping[str, Voted]) -> str:
    """A line a unit of the validation and test splits: label, prediction, certainty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["split", "sample", "subject", "label", "prediction"]
        + [f"probability_{name}" for name in dataset.classes]
    )
    for name in (name for name in ("validation", "test") if name in found):
        split, voted = dataset.splits[name], found[name]
        first = np.unique(split.units()[0], return_index=True)[1]
        for unit, row in enumerate(first.tolist()):
            writer.writerow(
                [
                    name,
                    _value(split.sequences, row, row),
                    _value(split.subjects, row, ""),
                    dataset.classes[voted.labels[unit]],
                    dataset.classes[voted.predictions[unit]],
                ]
                + [f"{p:.4f}" for p in voted.probabilities[unit].tolist()]
            )
    return text.getvalue()


def _value(values: np.ndarray | None, row: int, otherwise: Any) -> Any:
    return otherwise if values is None else values[row]
