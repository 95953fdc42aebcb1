"""Stage 2: N copies of the surrogate, each trained with its own setting and scored."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from surrojax.evaluate import Evaluation, evaluate
from surrojax.losses import objective, total_loss
from surrojax.method import Data, Method
from surrojax.networks import forward_in_training
from surrojax.sgd import Arrays, Net, descend, fresh
from surrojax.sites import Hyper


def candidate_step(
    method: Method,
    net: Net,
    hyper: Hyper,
    train: Arrays,
    key: jax.Array,
    step: jax.Array,
) -> Net:
    """One step of one surrogate under eq. 4; arguments as in `stage1.fit_step`."""
    batch_key, dropout_key = jax.random.split(key)
    images, labels = method.minibatch(batch_key, train)

    def loss(params: Any) -> tuple[jax.Array, Any]:
        (logits, sites), stats = forward_in_training(
            method.pair.surrogate,
            {"params": params, **net.stats},
            images,
            hyper.ratio,
            dropout_key,
        )
        value = total_loss(logits, labels, sites, hyper.coefficient, method.norm)
        return value, stats

    gradient, stats = jax.grad(loss, has_aux=True)(net.params)
    rate = method.learning_rate(step)
    return descend(net, gradient, stats, rate, method.momentum)


def train_candidate(
    method: Method,
    surrogate: Net,
    hyper: Hyper,
    train: Arrays,
    key: jax.Array,
    step: jax.Array,
) -> Net:
    """NI steps of one copy of the surrogate, from momentum 0 (lines 11 and 12).

    Args:
      method: static.
      surrogate: the one that stage 1 retained.
      hyper: scalars, the candidate's setting.
      train: the training split.
      key: the run's key for stage 2; each step folds its number in.
      step: the global step at which the round began.
    """

    def one(net: Net, step: jax.Array) -> tuple[Net, None]:
        key_now = jax.random.fold_in(key, step)
        return candidate_step(method, net, hyper, train, key_now, step), None

    steps = step + jnp.arange(method.iterations_per_round)
    return jax.lax.scan(one, fresh(surrogate.variables), steps)[0]


def score(
    method: Method, variables: dict[str, Any], validation: Arrays
) -> tuple[jax.Array, Evaluation]:
    """A surrogate's score on the validation split (eq. 11), and what it is made of."""
    result = evaluate(
        method.pair.surrogate,
        method.normalize,
        variables,
        validation,
        method.evaluation_batch,
    )
    return (
        objective(
            result.accuracy,
            result.cross_entropy,
            result.hoyer,
            method.kappa,
            method.objective,
        ),
        result,
    )


def compete(
    method: Method,
    surrogate: Net,
    vectors: jax.Array,
    data: Data,
    key: jax.Array,
    step: jax.Array,
) -> tuple[jax.Array, Evaluation]:
    """Trains and scores the population (lines 10 to 14): one vmap.

    Args:
      method: static.
      surrogate: the one that stage 1 retained.
      vectors: `[N, D]` the candidates.
      data: training and validation splits.
      key: the run's key for stage 2.
      step: the global step at which the round began.

    Returns:
      Scores `[N]`, and the evaluations behind them.
    """
    hypers = jax.vmap(method.space.to_hyper)(vectors)
    if method.common_random_numbers:
        keys, key_axis = key, None
    else:
        keys, key_axis = jax.random.split(key, len(vectors)), 0
    train = partial(train_candidate, method)
    nets = jax.vmap(train, in_axes=(None, 0, None, key_axis, None))(
        surrogate, hypers, data.train, keys, step
    )
    evaluated = jax.vmap(partial(score, method), in_axes=(0, None))
    return evaluated(nets.variables, data.validation)
