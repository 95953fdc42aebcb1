"""Stage 1: the original is trained, and the surrogate is fitted to it (Fig. 1)."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from surrojax.errors import InputError
from surrojax.losses import euclidean, weighted
from surrojax.method import Choice, Method
from surrojax.networks import HEAD, blank, forward_in_training, init
from surrojax.sgd import Arrays, Drawn, Net, descend
from surrojax.sites import Hyper


@struct.dataclass
class Fusion:
    """The 'original + surrogate' network.

    Attributes:
      original: the network that the user wants.
      surrogate: its stand-in; None where none is fitted.
    """

    original: Net
    surrogate: Net | None


def new_fusion(method: Method, key: jax.Array) -> Fusion:
    """A fresh 'original + surrogate' network, of which nothing is remembered."""
    pair, (first, second) = method.pair, jax.random.split(key)
    original = method.fresh(init(pair.original, first, blank(pair)))
    if not method.fits:
        if method.tunes and HEAD not in original.params:
            raise InputError(
                f"surrogate: shared wants a network whose fully connected layers are "
                f"a module {HEAD!r}; this one has {', '.join(original.params)}"
            )
        return Fusion(original, None)
    surrogate = init(pair.surrogate, second, blank(pair))
    return Fusion(original, method.fresh(surrogate))


class Chance(NamedTuple):
    """What chance decides of one step; with a leading axis `[S]`, of several.

    Attributes:
      step: `[]` int32, the global step, from which the learning rate follows.
      choice: the minibatch.
      original, surrogate: keys of the dropout masks.
    """

    step: jax.Array
    choice: Choice
    original: jax.Array
    surrogate: jax.Array

    @classmethod
    def of(
        cls, method: Method, key: jax.Array, samples: int, step: jax.Array
    ) -> "Chance":
        """That of a global step, from the run's key for stage 1."""
        batch, *masks = jax.random.split(jax.random.fold_in(key, step), 3)
        return cls(step, method.draw(batch, samples), *masks)


def fit_step(
    method: Method,
    fusion: Fusion,
    hyper: Hyper,
    train: Arrays | Drawn,
    chance: Chance,
) -> tuple[Fusion, dict[str, Any]]:
    """One step of the fusion network with one setting.

    The original minimises eq. 4; the surrogate the softmax loss and the Euclidean
    losses (eq. 9), without sparseness terms, under the same dropout ratios and masks
    of its own. Nothing of the surrogate reaches the original.

    Args:
      method: static.
      fusion: before the step.
      hyper: scalars.
      train: the training split, or this step's minibatch.
      chance: of this step; the same for both settings of a round.

    Returns:
      The fusion network after the step, and the losses in training mode.
    """
    images, labels = method.minibatch(chance.choice, train)
    images = method.layout.split_batch(images)

    def loss(params: tuple[Any, Any]) -> tuple[jax.Array, Any]:
        (logits, sites), original_stats = forward_in_training(
            method.pair.original,
            {"params": params[0], **fusion.original.stats},
            images,
            hyper.ratio,
            chance.original,
        )
        value = method.loss(logits, labels, sites, hyper.coefficient)
        metrics: dict[str, Any] = {"loss": method.softmax_loss(logits, labels)}
        if fusion.surrogate is None:
            return value, (original_stats, None, metrics)
        (fitted_logits, fitted), surrogate_stats = forward_in_training(
            method.pair.surrogate,
            {"params": params[1], **fusion.surrogate.stats},
            images,
            hyper.ratio,
            chance.surrogate,
        )
        # Section 2.2: the fitting is unilateral; stop_gradient is in euclidean.
        softmax = method.softmax_loss(fitted_logits, labels)
        distances = euclidean(sites, fitted)
        value += softmax + weighted(distances, method.eta)
        metrics |= {"surrogate_loss": softmax, "euclidean": distances}
        return value, (original_stats, surrogate_stats, metrics)

    surrogate = fusion.surrogate
    params = (fusion.original.params, surrogate and surrogate.params)
    gradient, (original_stats, surrogate_stats, metrics) = jax.grad(loss, has_aux=True)(
        params
    )
    rule = method.rule(chance.step)
    original = descend(fusion.original, gradient[0], original_stats, rule)
    if surrogate is not None:
        surrogate = descend(surrogate, gradient[1], surrogate_stats, rule)
    return Fusion(original, surrogate), metrics


def fit(
    method: Method,
    fusion: Fusion,
    hyper: Hyper,
    train: Arrays | Drawn,
    key: jax.Array,
    steps: jax.Array,
) -> tuple[Fusion, dict[str, Any]]:
    """Steps with one setting; NI of them are line 8 of Algorithm 1.

    Args:
      method: static.
      fusion: before the steps.
      hyper: scalars.
      train: the training split, or the minibatches of these steps.
      key: the run's key for stage 1.
      steps: `[S]` the global steps.

    Returns:
      The fusion network, and the losses `[S]` of each step.
    """
    drawn = train if isinstance(train, Drawn) else None
    of = partial(Chance.of, method, key, len(train.labels))

    def one(
        fusion: Fusion, now: tuple[Chance, Drawn | None]
    ) -> tuple[Fusion, dict[str, Any]]:
        chance, minibatch = now
        return fit_step(method, fusion, hyper, minibatch or train, chance)

    # All at once, since a draw of a few numbers costs as much as one of thousands.
    return jax.lax.scan(one, fusion, (jax.vmap(of)(steps), drawn))


def fit_settings(
    method: Method,
    fusions: Fusion,
    vectors: jax.Array,
    train: Arrays | Drawn,
    key: jax.Array,
    steps: jax.Array,
) -> tuple[Fusion, dict[str, Any]]:
    """`fit` with several settings, on the same minibatches and random numbers.

    Args:
      method: static.
      fusions: before the steps, with a leading axis of settings.
      vectors: their settings, each `[D]`, with the same axis.
      train, key, steps: of `fit`.

    Returns:
      The same as `fit`, with the leading axis; losses are sums over the steps.
    """

    def one(fusion: Fusion, vector: jax.Array, *given: Any) -> Any:
        hyper = method.space.to_hyper(vector)
        fusion, losses = fit(method, fusion, hyper, *given)
        return fusion, jax.tree.map(jnp.sum, losses)

    axes = (0, 0, None, None, None)
    return method.layout.spread_settings(one, axes, fusions, vectors, train, key, steps)
