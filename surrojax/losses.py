"""The losses of both networks (eq. 2-6 and 9-10) and the candidates' score (eq. 11).

All functions are pure and take arrays and pytrees only.
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from surrojax.sites import Sites, total, where_present

Norm = Literal["l1", "l2", "l21"]
NORMS: tuple[Norm, ...] = get_args(Norm)
Objective = Literal["accuracy", "cross_entropy"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


def softmax_losses(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax loss (eq. 5) of each sample.

    Args:
      logits: `[B, K]`.
      labels: `[B]` int in [0, K).

    Returns:
      `[B]` float32; NaN where a label is none of the classes.
    """
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    # To pick an entry would have a scatter for its gradient, which accelerators do one
    # after the other, or in another order each time.
    own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    losses = -jnp.sum(jnp.where(own, log_p, 0.0), axis=-1)
    return jnp.where(own.any(axis=-1), losses, jnp.nan)


def softmax_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    class_weights: Sequence[float] | None = None,
) -> jax.Array:
    """Softmax loss (eq. 5), as the mean over the batch.

    Args:
      logits: `[B, K]`.
      labels: `[B]` int.
      class_weights: `[K]`, by which the loss of a sample is multiplied; None: 1.
    """
    losses = softmax_losses(logits, labels)
    if class_weights is not None:
        losses *= jnp.array(class_weights, jnp.float32)[labels]
    return jnp.mean(losses)


def row_norms(a: jax.Array) -> jax.Array:
    """The L2 norm of each row, `[R, n] -> [R]`, with gradient 0 at a row of zeros."""
    squared = jnp.sum(jnp.square(a), axis=-1)
    zero = squared == 0
    # The square root's gradient is infinite at 0, so 0 must not reach it.
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, squared)))


def absolute(a: jax.Array) -> jax.Array:
    """`|a|` with the gradient of eq. 6, SIGN(a): 0 at 0, in every version of JAX."""
    return a * jax.lax.stop_gradient(jnp.sign(a))


_PENALTY: dict[str, Callable[[jax.Array], jax.Array]] = {
    "l1": lambda a: jnp.sum(absolute(a)),
    "l2": lambda a: 0.5 * jnp.sum(jnp.square(a)),
    "l21": lambda a: jnp.sum(row_norms(a)),
}


def feature_sparseness(a: jax.Array, norm: Norm = "l1") -> jax.Array:
    """Feature sparseness (eq. 2) of z or x, `[B, n]`, as the mean over the batch.

    Its gradient for `l1` is eq. 6, with SIGN(0) = 0. `l2` is half the squared L2
    norm, `l21` the L2 norm, each as the mean over samples: the paper's future work.
    """
    return _PENALTY[norm](a) / a.shape[0]


def weight_sparseness(a: jax.Array, norm: Norm = "l1") -> jax.Array:
    """Weight sparseness (eq. 3) of V or W, `[inputs, outputs]`.

    `l2` is half the squared Frobenius norm (weight decay), `l21` the sum over inputs
    of the L2 norm of their outgoing weights.
    """
    return _PENALTY[norm](a)


def sparseness(sites: Sites, norm: Norm = "l1") -> Sites:
    """The sparseness loss at each site (eq. 2 and 3): scalars."""
    loss = Sites(
        z=feature_sparseness,
        V=weight_sparseness,
        x=feature_sparseness,
        W=weight_sparseness,
    )
    return jax.tree.map(lambda f, a: f(a, norm), where_present(loss, sites), sites)


def total_loss(
    logits: jax.Array,
    labels: jax.Array,
    sites: Sites,
    coefficient: Sites,
    norm: Norm = "l1",
    class_weights: Sequence[float] | None = None,
) -> jax.Array:
    """Softmax loss plus the weighted sparseness terms (eq. 4)."""
    softmax = softmax_cross_entropy(logits, labels, class_weights)
    return softmax + weighted(sparseness(sites, norm), coefficient)


def euclidean(original: Sites, surrogate: Sites) -> Sites:
    """Half the squared distance at each site (eq. 9): scalars.

    Features count as the mean over the batch, weights as they are. The gradient is
    eq. 10, into the surrogate only: everything of the original is held constant.
    """
    original = jax.lax.stop_gradient(original)
    batch = surrogate.z.shape[0]
    share = where_present(Sites(z=1 / batch, V=1.0, x=1 / batch, W=1.0), surrogate)
    return jax.tree.map(
        lambda o, s, c: 0.5 * c * jnp.sum(jnp.square(o - s)), original, surrogate, share
    )


def weighted(terms: Sites, weights: Sites) -> jax.Array:
    """The weighted sum over the sites of eq. 4 and 9; surplus weights are ignored."""
    weights = where_present(weights, terms)
    return total(jax.tree.map(jnp.multiply, terms, weights))


def hoyer_ratios(x: jax.Array) -> jax.Array:
    """`||x||_1 / ||x||_2` of each sample (eq. 11), `[B, n] -> [B]`; 0 for zeros."""
    l1, l2 = jnp.sum(jnp.abs(x), axis=-1), row_norms(x)
    return jnp.where(l2 > 0, l1 / jnp.where(l2 > 0, l2, 1.0), 0.0)


def fitness(
    accuracy: jax.Array, cross_entropy: jax.Array, kind: Objective
) -> jax.Array:
    """What networks are compared by; the higher, the better."""
    return {"accuracy": accuracy, "cross_entropy": -cross_entropy}[kind]


def objective(
    accuracy: jax.Array,
    cross_entropy: jax.Array,
    hoyer: jax.Array,
    kappa: float,
    kind: Objective = "accuracy",
) -> jax.Array:
    """The score of a candidate (eq. 11), to be maximised; -inf where not finite.

    Args:
      accuracy: on the validation set, in [0, 1].
      cross_entropy: on the validation set.
      hoyer: mean of `hoyer_ratios` over the validation set.
      kappa: weight of the feature sparseness.
      kind: `accuracy` is the paper's; `cross_entropy` puts the negated validation
        cross-entropy in its place.
    """
    score = fitness(accuracy, cross_entropy, kind) - kappa * hoyer
    # A network of NaNs still has an accuracy, so its loss has to be asked as well.
    finite = jnp.isfinite(score) & jnp.isfinite(cross_entropy)
    return jnp.where(finite, score, -jnp.inf)
