"""Whether what a user gives can train a network in both stages."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from surrojax.errors import InputError
from surrojax.own.settings import Settings
from surrojax.sgd import Descent

GIVE = "give a function of the learning rate, such as optax.adamw"

_PARAMS = {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}


def check_descent(descent: Descent, settings: Settings) -> None:
    """Sees that steps can be taken with it, and with what is said beside it.

    Raises:
      InputError: they cannot.
    """
    if isinstance(descent, optax.GradientTransformation):
        raise InputError(
            "descent: has its learning rate already; give optax.adamw itself, or a "
            "function of the rate that makes it, and the rate as learning_rate"
        )
    if not callable(descent):
        raise InputError(f"descent: {descent!r} is no function; {GIVE}")
    if settings.learning_rate is None:
        raise InputError(
            "descent: wants a learning_rate beside it, such as 1e-3 for optax.adam; "
            "that of SGD would be too high for most"
        )
    if settings.momentum != Settings.momentum:
        raise InputError(
            f"momentum: {settings.momentum} is of SGD and has no effect on descent; "
            "leave it out"
        )
    _try(descent)


def _try(descent: Descent) -> None:
    def steps(rate: jax.Array) -> Any:
        rule = descent(rate)
        if not isinstance(rule, optax.GradientTransformation):
            raise InputError(
                f"descent: yields a {type(rule).__name__}, no transformation of optax; "
                f"{GIVE}"
            )
        before = rule.init(_PARAMS)
        return (_PARAMS, before), rule.update(_PARAMS, before, _PARAMS)

    try:
        before, after = jax.eval_shape(steps, jnp.float32(0))
    except InputError:
        raise
    # The function is the user's, and may raise anything.
    except Exception as error:
        raise InputError(
            f"descent: takes no step with a learning rate that changes "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); {GIVE}"
        ) from error
    if _kinds(before) != _kinds(after):
        raise InputError(
            "descent: a step changes the shape or type of what it remembers, or of "
            f"the parameters; {GIVE}"
        )


def _kinds(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
