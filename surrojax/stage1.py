"""Stage 1: the original is trained, and the surrogate is fitted to it (Fig. 1)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from surrojax.losses import (
    euclidean,
    softmax_cross_entropy,
    total_loss,
    weighted,
)
from surrojax.method import Method
from surrojax.networks import blank, forward_in_training, init
from surrojax.sgd import Arrays, Net, descend, fresh
from surrojax.sites import Hyper


@struct.dataclass
class Fusion:
    """The 'original + surrogate' network.

    Attributes:
      original: the network that the user wants.
      surrogate: its stand-in; None where nothing is tuned.
    """

    original: Net
    surrogate: Net | None


def new_fusion(method: Method, key: jax.Array) -> Fusion:
    """A fresh 'original + surrogate' network with momentum 0."""
    pair, (first, second) = method.pair, jax.random.split(key)
    original = fresh(init(pair.original, first, blank(pair)))
    if not method.tunes:
        return Fusion(original, None)
    return Fusion(original, fresh(init(pair.surrogate, second, blank(pair))))


def fit_step(
    method: Method,
    fusion: Fusion,
    hyper: Hyper,
    train: Arrays,
    key: jax.Array,
    step: jax.Array,
) -> tuple[Fusion, dict[str, Any]]:
    """One step of the fusion network with one setting.

    The original minimises eq. 4; the surrogate the softmax loss and the Euclidean
    losses (eq. 9), without sparseness terms, under the same dropout ratios and masks
    of its own. Nothing of the surrogate reaches the original.

    Args:
      method: static.
      fusion: before the step.
      hyper: scalars.
      train: the training split.
      key: of this step; the same for both settings of a round.
      step: the global step, from which the learning rate follows.

    Returns:
      The fusion network after the step, and the losses in training mode.
    """
    batch_key, original_key, surrogate_key = jax.random.split(key, 3)
    images, labels = method.minibatch(batch_key, train)

    def loss(params: tuple[Any, Any]) -> tuple[jax.Array, Any]:
        (logits, sites), original_stats = forward_in_training(
            method.pair.original,
            {"params": params[0], **fusion.original.stats},
            images,
            hyper.ratio,
            original_key,
        )
        value = total_loss(logits, labels, sites, hyper.coefficient, method.norm)
        metrics: dict[str, Any] = {"loss": softmax_cross_entropy(logits, labels)}
        if fusion.surrogate is None:
            return value, (original_stats, None, metrics)
        (logits, fitted), surrogate_stats = forward_in_training(
            method.pair.surrogate,
            {"params": params[1], **fusion.surrogate.stats},
            images,
            hyper.ratio,
            surrogate_key,
        )
        # Section 2.2: the fitting is unilateral; stop_gradient is in euclidean.
        softmax = softmax_cross_entropy(logits, labels)
        distances = euclidean(sites, fitted)
        value += softmax + weighted(distances, method.eta)
        metrics |= {"surrogate_loss": softmax, "euclidean": distances}
        return value, (original_stats, surrogate_stats, metrics)

    surrogate = fusion.surrogate
    params = (fusion.original.params, surrogate and surrogate.params)
    gradient, (original_stats, surrogate_stats, metrics) = jax.grad(loss, has_aux=True)(
        params
    )
    rate = method.learning_rate(step)
    original = descend(
        fusion.original, gradient[0], original_stats, rate, method.momentum
    )
    if surrogate is not None:
        surrogate = descend(
            surrogate, gradient[1], surrogate_stats, rate, method.momentum
        )
    return Fusion(original, surrogate), metrics


def fit(
    method: Method,
    fusion: Fusion,
    hyper: Hyper,
    train: Arrays,
    key: jax.Array,
    step: jax.Array,
) -> tuple[Fusion, dict[str, Any]]:
    """NI steps with one setting (line 8 of Algorithm 1).

    Args:
      method: static.
      fusion: the retained model of the last round.
      hyper: scalars.
      train: the training split.
      key: the run's key for stage 1; each step folds its number in.
      step: the global step at which the round begins.

    Returns:
      The fusion network, and the means of the losses over the round.
    """

    def one(fusion: Fusion, step: jax.Array) -> tuple[Fusion, dict[str, Any]]:
        return fit_step(
            method, fusion, hyper, train, jax.random.fold_in(key, step), step
        )

    steps = step + jnp.arange(method.iterations_per_round)
    fusion, metrics = jax.lax.scan(one, fusion, steps)
    return fusion, jax.tree.map(jnp.mean, metrics)
