"""Stage 2: N copies of the surrogate, each trained with its own setting and scored.

A fitted surrogate (the paper's) is copied whole. A shared one is the original itself:
its trunk, all that comes before z, is held still and is worked through once for all
candidates, whose copies are of the fully connected layers alone. So lambda_z, whose
gradient would only reach the trunk, cannot be told apart. With `shared_layers`, the
trunk's last layers are copied and trained as well.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
from flax.traverse_util import flatten_dict, unflatten_dict

from surrojax.evaluate import Evaluation, evaluate
from surrojax.layout import several
from surrojax.losses import objective
from surrojax.method import Choice, Data, Method
from surrojax.networks import Network, forward_in_training
from surrojax.networks.candidates import multiplied
from surrojax.sgd import Arrays, Drawn, Net, descend
from surrojax.sites import Hyper
from surrojax.stage1 import Fusion


class Chance(NamedTuple):
    """What chance decides of one step; as of stage 1, with one key for dropout."""

    step: jax.Array
    choice: Choice
    dropout: jax.Array

    @classmethod
    def of(
        cls, method: Method, key: jax.Array, samples: int, step: jax.Array
    ) -> "Chance":
        """That of a global step, from the candidate's key for stage 2."""
        batch, masks = jax.random.split(jax.random.fold_in(key, step))
        return cls(step, method.draw(batch, samples), masks)


class Copies(NamedTuple):
    """What the candidates of a round are made of.

    Attributes:
      held: variables that they share and do not train.
      nets: what they train, nothing being remembered; with a leading axis N.
    """

    held: dict[str, Any]
    nets: Net


def copies(method: Method, surrogate: Net, candidates: int) -> Copies:
    """N copies of the surrogate.

    Args:
      method: static.
      surrogate: of `source`.
      candidates: N.
    """
    if method.surrogate == "fitted":
        return Copies({}, several(method.fresh(surrogate.variables), candidates))
    flat = flatten_dict(surrogate.variables)
    trained = {path: a for path, a in flat.items() if path in method.trained}
    held = {path: a for path, a in flat.items() if path not in method.trained}
    net = method.fresh(unflatten_dict(trained))
    return Copies(unflatten_dict(held), several(net, candidates))


def source(method: Method, fusion: Fusion) -> Net:
    """The network whose copies compete: the fitted surrogate, or the original."""
    shared = method.surrogate == "shared"
    return fusion.original if shared else cast(Net, fusion.surrogate)


def module_of(method: Method) -> Network:
    """The candidates' module."""
    if method.surrogate == "fitted":
        return method.pair.surrogate
    original = method.pair.original
    as_it_is = getattr(original, "form", "matmul") == "matmul"
    return original if as_it_is else multiplied(original, method.trained)


def whole(held: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """A candidate's variables, those that it shares included."""
    return unflatten_dict(flatten_dict(held) | flatten_dict(variables))


def candidate_step(
    method: Method,
    held: dict[str, Any],
    net: Net,
    hyper: Hyper,
    train: Arrays | Drawn,
    chance: Chance,
) -> Net:
    """One step of one candidate under eq. 4.

    Args:
      method: static.
      held: of `Copies`.
      net: the candidate's.
      hyper, train, chance: of `stage1.fit_step`.
    """
    images, labels = method.minibatch(chance.choice, train)

    def loss(params: Any) -> tuple[jax.Array, Any]:
        (logits, sites), stats = forward_in_training(
            module_of(method),
            whole(held, {"params": params, **net.stats}),
            images,
            hyper.ratio,
            chance.dropout,
        )
        value = method.loss(logits, labels, sites, hyper.coefficient)
        # Of what is shared, running statistics do not change.
        changed = flatten_dict(stats)
        return value, unflatten_dict({p: changed[p] for p in flatten_dict(net.stats)})

    gradient, stats = jax.grad(loss, has_aux=True)(net.params)
    return descend(net, gradient, stats, method.rule(chance.step))


def train_candidate(
    method: Method,
    held: dict[str, Any],
    net: Net,
    hyper: Hyper,
    train: Arrays | Drawn,
    key: jax.Array,
    steps: jax.Array,
) -> Net:
    """Steps of one copy of the surrogate; NI of them are lines 11 and 12.

    Args:
      method: static.
      held: of `Copies`.
      net: before the steps.
      hyper: scalars, the candidate's setting.
      train: the training split, or the minibatches of these steps.
      key: the candidate's key for stage 2.
      steps: `[S]` the global steps.
    """
    drawn = train if isinstance(train, Drawn) else None
    of = partial(Chance.of, method, key, len(train.labels))

    def one(net: Net, now: tuple[Chance, Drawn | None]) -> tuple[Net, None]:
        chance, minibatch = now
        return candidate_step(
            method, held, net, hyper, minibatch or train, chance
        ), None

    return jax.lax.scan(one, net, (jax.vmap(of)(steps), drawn))[0]


class Keys(NamedTuple):
    """The candidates' keys for stage 2, and along which axis they differ.

    Attributes:
      value: one key for all, or `[N]`.
      axis: None for one key, else 0; minibatches that follow from it have it as well.
    """

    value: jax.Array
    axis: int | None

    @classmethod
    def of(cls, method: Method, key: jax.Array, candidates: int) -> "Keys":
        """With common random numbers, all candidates share the run's key."""
        if method.common_random_numbers:
            return cls(key, None)
        return cls(jax.random.split(key, candidates), 0)


def train_population(
    method: Method,
    held: dict[str, Any],
    nets: Net,
    vectors: jax.Array,
    train: Arrays | Drawn,
    key: jax.Array,
    steps: jax.Array,
) -> Net:
    """Steps of all candidates, as the layout spreads them: one vmap a device.

    Args:
      method: static.
      held: of `Copies`.
      nets: the candidates before the steps, with a leading axis N.
      vectors: `[N, D]` their settings.
      train: the training split, or the minibatches of these steps, with a leading N
        where the candidates do not share their random numbers.
      key: the run's key for stage 2.
      steps: `[S]` the global steps.
    """
    hypers = jax.vmap(method.space.to_hyper)(vectors)
    keys = Keys.of(method, key, len(vectors))
    train_axis = keys.axis if isinstance(train, Drawn) else None
    axes = (None, 0, 0, train_axis, keys.axis, None)
    one = partial(train_candidate, method)
    return method.layout.spread(one, axes, held, nets, hypers, train, keys.value, steps)


def score(method: Method, result: Evaluation) -> jax.Array:
    """The score of each candidate on the validation split (eq. 11)."""
    return objective(
        result.weighted_accuracy,
        result.cross_entropy,
        result.hoyer,
        method.kappa,
        method.objective,
    )


def compete(
    method: Method,
    surrogate: Net,
    vectors: jax.Array,
    data: Data,
    key: jax.Array,
    steps: jax.Array,
) -> tuple[jax.Array, Evaluation]:
    """Trains and scores the population (lines 10 to 14).

    Args:
      method: static.
      surrogate: of `source`, as stage 1 retained it.
      vectors: `[N, D]` the candidates.
      data: training and validation splits.
      key: the run's key for stage 2.
      steps: `[NI]` the global steps of the round.

    Returns:
      Scores `[N]`, and the evaluations behind them.
    """
    held, nets = copies(method, surrogate, len(vectors))
    nets = train_population(method, held, nets, vectors, data.train, key, steps)

    def of(held: dict[str, Any], net: Net, validation: Arrays) -> Evaluation:
        return evaluate(
            module_of(method),
            method.views,
            whole(held, net.variables),
            validation,
            method.evaluation_batch,
            class_weights=method.class_weights,
        )

    axes = (None, 0, None)
    evaluations = method.layout.spread(of, axes, held, nets, data.validation)
    return score(method, evaluations), evaluations
