"""Evaluation on a split: views averaged, frames voting, accuracy, confusion matrix."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from surrojax.fields import Record, finite_or_none
from surrojax.layout import Layout
from surrojax.losses import hoyer_ratios, softmax_losses
from surrojax.networks import Network, forward
from surrojax.sgd import Arrays, Targets
from surrojax.sites import last


@dataclass(frozen=True)
class Views:
    """How the images of a split are looked at when a network is evaluated.

    Attributes:
      see: `(images uint8 [B, H, W, C], index) -> float` images as a network takes them.
      count: the views of an image, over which its probabilities are averaged.
      allowed: `[K]`, the classes that may be predicted; None: all of them.
    """

    see: Callable[[jax.Array, jax.Array], jax.Array]
    count: int = 1
    allowed: tuple[bool, ...] | None = None


@struct.dataclass
class Predictions:
    """What a network makes of images, averaged over the views of each.

    Attributes:
      log_probabilities: `[n, K]`; -inf for a class that is not allowed.
      hoyer: `[n]`, `||x||_1 / ||x||_2` of the last FC layer's input (eq. 11).
    """

    log_probabilities: jax.Array
    hoyer: jax.Array


@struct.dataclass
class Evaluation:
    """Means over a split; scalars, or `[N]` for a population.

    Attributes:
      accuracy: share of the units (sequences, or images where each is a unit) whose
        frames' majority is the label, in [0, 1].
      weighted_accuracy: the same where a unit counts by the weight of its class.
      frame_accuracy: share of the images whose most probable class is the label.
      cross_entropy: the softmax loss of an image (eq. 5), which counts by the weight of
        its class.
      hoyer: of `Predictions` (eq. 11).
    """

    accuracy: jax.Array
    weighted_accuracy: jax.Array
    frame_accuracy: jax.Array
    cross_entropy: jax.Array
    hoyer: jax.Array


def predict(
    module: Network,
    views: Views,
    variables: dict[str, Any],
    images: jax.Array,
    batch: int,
    layout: Layout | None = None,
) -> Predictions:
    """A network's predictions in evaluation mode.

    Args:
      module: as in `Pair`.
      views: how to look at the images.
      variables: the module's.
      images: `[n, H, W, C]` uint8, or what else `views` looks at.
      batch: images that are worked on at a time; bounds the memory.
      layout: over whose devices the images are spread; None: over none.
    """
    layout = layout or Layout()
    n, ways = images.shape[0], layout.devices
    batch = min(batch, -(-n // ways))
    times = -(-n // (ways * batch))
    # Images are gathered by the batch: padding them would copy the whole split.
    rows = (jnp.arange(ways * times * batch) % n).reshape(ways, times, batch)

    def one(
        variables: dict[str, Any], images: jax.Array, rows: jax.Array
    ) -> Predictions:
        chunk = images[rows]

        def look(index: jax.Array) -> Predictions:
            logits, sites = forward(module, variables, views.see(chunk, index))
            if views.allowed is not None:
                logits = jnp.where(jnp.array(views.allowed), logits, -jnp.inf)
            return Predictions(jax.nn.log_softmax(logits), hoyer_ratios(last(sites)))

        if views.count == 1:
            return look(jnp.array(0))
        seen = jax.lax.map(look, jnp.arange(views.count))
        return Predictions(
            jax.nn.logsumexp(seen.log_probabilities, axis=0) - jnp.log(views.count),
            seen.hoyer.mean(axis=0),
        )

    def some(
        rows: jax.Array, variables: dict[str, Any], images: jax.Array
    ) -> Predictions:
        return jax.lax.map(partial(one, variables, images), rows)

    predictions = layout.spread(some, (0, None, None), rows, variables, images)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[3:])[:n], predictions)


def classifier(
    module: Network, views: Views, variables: Mapping[str, Any], batch: int
) -> Callable[[Any], np.ndarray]:
    """A trained network as a function of images `[n, ...]`: probabilities `[n, K]`.

    Args:
      module, views, variables, batch: of `predict`.
    """
    program = jax.jit(partial(predict, module, views), static_argnames="batch")

    def probabilities(images: Any) -> np.ndarray:
        found = program(variables, jnp.asarray(images), batch=batch)
        return np.exp(np.asarray(found.log_probabilities))

    return probabilities


def vote(log_probabilities: jax.Array, units: jax.Array, count: int) -> jax.Array:
    """The class `[U]` that most frames of a unit are given; ties go by probability.

    Args:
      log_probabilities: `[n, K]`, of the frames.
      units: `[n]` int32 in [0, count), the unit of each frame.
      count: U.
    """
    frames, k = log_probabilities.shape
    ballots = jax.nn.one_hot(jnp.argmax(log_probabilities, axis=-1), k)

    def add(a: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(a, units, count)

    votes, mass = add(ballots), add(jnp.exp(log_probabilities))
    # The summed probability of all frames of a unit stays below one more vote.
    return jnp.argmax(votes + mass / (add(jnp.ones((frames, 1))) + 1), axis=-1)


def measure(
    predictions: Predictions,
    targets: Targets,
    class_weights: Sequence[float] | None = None,
) -> Evaluation:
    """The figures of a split from the predictions for its images.

    Args:
      predictions: of all its images.
      targets: theirs.
      class_weights: of `Method`.
    """
    log_probabilities, labels = predictions.log_probabilities, targets.labels

    def weighted(values: jax.Array, labels: jax.Array) -> jax.Array:
        if class_weights is None:
            return jnp.mean(values)
        weights = jnp.array(class_weights, jnp.float32)[labels]
        return jnp.average(values, weights=weights)

    right = jnp.argmax(log_probabilities, axis=-1) == labels
    units_right, unit_labels = right, labels
    if targets.units is not None and targets.unit_labels is not None:
        unit_labels = targets.unit_labels
        voted = vote(log_probabilities, targets.units, len(unit_labels))
        units_right = voted == unit_labels
    return Evaluation(
        accuracy=jnp.mean(units_right),
        weighted_accuracy=weighted(units_right, unit_labels),
        frame_accuracy=jnp.mean(right),
        cross_entropy=weighted(softmax_losses(log_probabilities, labels), labels),
        hoyer=jnp.mean(predictions.hoyer),
    )


def effective_size(
    targets: Targets, class_weights: Sequence[float] | None = None
) -> jax.Array:
    """Units behind an accuracy: of weighted ones, Kish's effective number.

    Args:
      targets: of the split.
      class_weights: of `Method`.
    """
    labels = targets.labels if targets.unit_labels is None else targets.unit_labels
    weights = jnp.ones(len(labels))
    if class_weights is not None:
        weights = jnp.array(class_weights, jnp.float32)[labels]
    return weights.sum() ** 2 / jnp.square(weights).sum()


def evaluate(
    module: Network,
    views: Views,
    variables: dict[str, Any],
    data: Arrays,
    batch: int,
    layout: Layout | None = None,
    class_weights: Sequence[float] | None = None,
) -> Evaluation:
    """A network's `Evaluation` on a split; arguments as in `predict` and `measure`."""
    predictions = predict(module, views, variables, data.images, batch, layout)
    return measure(predictions, data.targets, class_weights)


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, classes: int
) -> np.ndarray:
    """Counts `[K, K]`: rows are the labels, columns the predictions."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def recall(confusion: np.ndarray) -> np.ndarray:
    """Share of each class that was found, `[K]`; NaN for a class without samples."""
    support = confusion.sum(axis=1)
    found = confusion.diagonal() / np.maximum(support, 1)
    return np.where(support > 0, found, np.nan)


def balanced_accuracy(confusion: np.ndarray) -> float:
    """Mean recall of the classes that have samples; also unweighted average recall."""
    return float(np.nanmean(recall(confusion)))


def macro_f1(confusion: np.ndarray) -> float:
    """Mean over the classes that occur of the harmonic mean of precision and recall."""
    seen = confusion.sum(axis=1) + confusion.sum(axis=0)
    f1 = 2 * confusion.diagonal() / np.maximum(seen, 1)
    return float(f1[seen > 0].mean())


def class_figures(confusion: np.ndarray, classes: Sequence[str]) -> Record:
    """What a confusion matrix comes to, as result.json has it."""
    shares = zip(classes, recall(confusion).tolist(), strict=True)
    return {
        "balanced_accuracy": balanced_accuracy(confusion),
        "macro_f1": macro_f1(confusion),
        "recall": {name: finite_or_none(share) for name, share in shares},
        "confusion_matrix": confusion.tolist(),
    }
