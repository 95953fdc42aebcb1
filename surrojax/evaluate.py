"""Evaluation of a network on a split: accuracy, cross-entropy, confusion matrix."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from surrojax.losses import hoyer_ratios, softmax_losses
from surrojax.networks import forward
from surrojax.sgd import Arrays
from surrojax.sites import last


@struct.dataclass
class Evaluation:
    """Means over a split; scalars, or `[N]` for a population.

    Attributes:
      accuracy: share of samples whose highest logit is at the label, in [0, 1].
      cross_entropy: the softmax loss (eq. 5).
      hoyer: `||x||_1 / ||x||_2` of the last FC layer's input (eq. 11).
    """

    accuracy: jax.Array
    cross_entropy: jax.Array
    hoyer: jax.Array


def predict(
    module: nn.Module,
    normalize: Callable[[jax.Array], jax.Array],
    variables: dict[str, Any],
    images: jax.Array,
    batch: int,
) -> tuple[jax.Array, jax.Array]:
    """Logits `[n, K]` and the last FC layer's input `[n, n_x]`, in evaluation mode.

    Args:
      module: as in `Pair`.
      normalize: uint8 images to the float32 that the module takes.
      variables: the module's.
      images: `[n, H, W, C]` uint8.
      batch: images that are worked on at a time; bounds the memory.
    """
    n = images.shape[0]
    batch = min(batch, n)
    short = -n % batch
    padded = jnp.concatenate([images, images[:short]]) if short else images
    chunks = padded.reshape(-1, batch, *images.shape[1:])

    def one(chunk: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, sites = forward(module, variables, normalize(chunk))
        return logits, last(sites)

    logits, x = jax.lax.map(one, chunks)
    return logits.reshape(-1, logits.shape[-1])[:n], x.reshape(-1, x.shape[-1])[:n]


def evaluate(
    module: nn.Module,
    normalize: Callable[[jax.Array], jax.Array],
    variables: dict[str, Any],
    data: Arrays,
    batch: int,
) -> Evaluation:
    """A network's `Evaluation` on a split; arguments as in `predict`."""
    logits, x = predict(module, normalize, variables, data.images, batch)
    return Evaluation(
        accuracy=jnp.mean(jnp.argmax(logits, axis=-1) == data.labels),
        cross_entropy=jnp.mean(softmax_losses(logits, data.labels)),
        hoyer=jnp.mean(hoyer_ratios(x)),
    )


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


def macro_f1(confusion: np.ndarray) -> float:
    """Mean over the classes that occur of the harmonic mean of precision and recall."""
    seen = confusion.sum(axis=1) + confusion.sum(axis=0)
    f1 = 2 * confusion.diagonal() / np.maximum(seen, 1)
    return float(f1[seen > 0].mean())
