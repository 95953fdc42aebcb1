"""Whether a network has learnt anything at all."""

from collections.abc import Sequence

import numpy as np

from surrojax.fields import Record

PATIENCE = 2
"""Rounds in a row after which a run is told that it learns nothing."""


def share(labels: np.ndarray, counts: np.ndarray | None = None) -> float:
    """The accuracy that naming the one class that makes the most has, in [0, 1].

    Args:
      labels: `[n]`, of which there is at least one.
      counts: `[n]`, what each of them counts; None: the same.
    """
    mass = np.bincount(labels, counts)
    return float(np.max(mass) / np.sum(mass))


def nothing(accuracy: float, most: float) -> bool:
    """Whether less than a tenth of the errors of naming one class are gone.

    Args:
      accuracy: of the network, in [0, 1].
      most: of `share`, on the same examples.
    """
    return most < 1 and 1 - accuracy >= 0.9 * (1 - most)


def verdict(
    predictions: np.ndarray,
    labels: np.ndarray,
    weights: Sequence[float] | None = None,
) -> str | None:
    """A line about a network that learnt nothing.

    Args:
      predictions, labels: `[n]` of the training split.
      weights: of the classes, by which examples are counted; None: all the same.
    """
    counts = None if weights is None else np.asarray(weights)[labels]
    accuracy = float(np.average(predictions == labels, weights=counts))
    most = share(labels, counts)
    if not nothing(accuracy, most):
        return None
    counted = "" if weights is None else ", counted by class_weights,"
    return (
        f"the network has not learnt: {100 * accuracy:.1f} % of the training examples "
        f"are right{counted} and naming one class throughout would have "
        f"{100 * most:.1f} %; try another learning_rate, or a larger max_iterations"
    )


class Stalled:
    """Notices, while a run goes on, that its network learns nothing.

    Args:
      labels: `[U]` of the validation split's units.
      done: validation accuracies of the rounds that were done before, of which nothing
        is said any more.
      weighted: whether classes count differently. Nothing is said then: records have
        accuracies in which they count the same, and those may well be low.
    """

    def __init__(
        self,
        labels: np.ndarray,
        done: Sequence[float] = (),
        weighted: bool = False,
    ) -> None:
        self._most = 1.0 if weighted else share(labels)
        self._rounds = 0
        for accuracy in done:
            self.told(accuracy)

    @classmethod
    def after(
        cls, labels: np.ndarray, records: Sequence[Record], weighted: bool
    ) -> "Stalled":
        """The same, after the rounds of some records."""
        done = [r["original"]["validation_accuracy"] for r in records]
        return cls(labels, done, weighted)

    def told(self, accuracy: float) -> str | None:
        """A line, once, after `PATIENCE` rounds in a row of which that is so.

        Args:
          accuracy: on the validation split after a round.
        """
        self._rounds = self._rounds + 1 if nothing(accuracy, self._most) else 0
        if self._rounds != PATIENCE:
            return None
        self._most = 1.0  # said once
        return (
            f"for {PATIENCE} rounds the network has been no better than naming the "
            "most frequent class; if it stays so, try another learning rate"
        )
