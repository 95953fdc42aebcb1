"""Whether what a user gives can train a network in both stages."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from surrojax.errors import InputError, one_line
from surrojax.keys import key_of
from surrojax.method import Method
from surrojax.networks.liveness import needs
from surrojax.own.settings import Settings
from surrojax.search import OPTIMIZERS
from surrojax.sgd import Descent
from surrojax.stage1 import new_fusion
from surrojax.stage2 import copies, source

GIVE = "give a function of the learning rate, such as optax.adamw"


def check_descent(descent: Descent, settings: Settings) -> None:
    """Sees that it is a function of the rate, and what is said beside it.

    Raises:
      InputError: it cannot be used.
    """
    if isinstance(descent, optax.GradientTransformation):
        raise InputError(
            "optimizer: has its learning rate already; give optax.adamw itself, or a "
            "function of the rate that makes it, and the rate as learning_rate"
        )
    if isinstance(descent, str) and descent in OPTIMIZERS:
        raise InputError(
            f"optimizer: trains the network; the search is search={descent!r}"
        )
    if not callable(descent):
        raise InputError(f"optimizer: {descent!r} is no function; {GIVE}")
    if settings.learning_rate is None:
        raise InputError(
            "optimizer: wants a learning_rate beside it, such as 1e-3 for optax.adam; "
            "that of SGD would be too high for most"
        )
    if settings.momentum != Settings.momentum:
        raise InputError(
            f"momentum: {settings.momentum} is of SGD and has no effect beside "
            "optimizer; leave it out"
        )


def check_steps(method: Method, descent: Descent) -> None:
    """Sees that steps can be taken with it, of all that is trained.

    Raises:
      InputError: they cannot.
    """
    for params in _trained(method):
        _try(descent, params)


def ignores_rate(method: Method) -> bool:
    """Whether the steps of a user's optimiser are the same at every learning rate."""
    descent = method.descent
    if descent is None:
        return False

    def step(params: Any, rate: jax.Array) -> Any:
        rule = descent(rate)
        return rule.update(params, rule.init(params), params)

    rate = jax.ShapeDtypeStruct((), jnp.float32)
    return not any(needs(step, params, rate)[1] for params in _trained(method))


def _trained(method: Method) -> list[Any]:
    """Shapes of the parameters that are trained: of networks, and of a candidate."""
    plain = replace(method, descent=None)

    def trained() -> list[Any]:
        fusion = new_fusion(plain, key_of(0))
        nets = [fusion.original, fusion.surrogate]
        if plain.tunes:
            candidates = copies(plain, source(plain, fusion), 1).nets
            nets.append(jax.tree.map(lambda leaf: leaf[0], candidates))
        return [net.params for net in nets if net is not None]

    return jax.eval_shape(trained)


def _try(descent: Descent, params: Any) -> None:
    """Takes a step of parameters, on shapes alone."""

    def steps(params: Any, rate: jax.Array) -> Any:
        rule = descent(rate)
        if not isinstance(rule, optax.GradientTransformation):
            wrapped = hasattr(rule, "gradient_transformation")
            raise InputError(
                f"optimizer: yields a {type(rule).__name__}, no transformation of "
                "optax; "
                + ("let it yield its gradient_transformation()" if wrapped else GIVE)
            )
        before = rule.init(params)
        return (params, before), rule.update(params, before, params)

    rate = jax.ShapeDtypeStruct((), jnp.float32)
    try:
        before, after = jax.eval_shape(steps, params, rate)
        _, kept = needs(lambda p, rate: descent(rate).init(p), params, rate)
    except InputError:
        raise
    # The function is the user's, and may raise anything.
    except Exception as error:
        raise InputError(
            f"optimizer: takes no step ({type(error).__name__}: "
            f"{one_line(error, 200)}); {GIVE}; what it is given are the "
            "parameters in two parts, trunk and head, of candidates those that they "
            "train"
        ) from error
    if _kinds(before) != _kinds(after):
        raise InputError(
            "optimizer: a step changes the shape or type of what it remembers, or of "
            f"the parameters; {GIVE}"
        )
    if kept:
        raise InputError(
            "optimizer: remembers the learning rate that it begins with, which would "
            "not fall, as optax.inject_hyperparams does; give the optimiser itself"
        )


def _kinds(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
