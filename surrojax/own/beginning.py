"""The state before round 1, with fresh weights or the user's."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.algorithm import RunState, initial_state
from surrojax.errors import InputError
from surrojax.keys import key_of
from surrojax.method import Method
from surrojax.networks.stand_in import StandIn
from surrojax.own.method import own_of


def begin_with(
    method: Method, module: Any, seed: int, variables: Mapping[str, Any] | None
) -> RunState:
    """The state before round 1.

    Args:
      method: of the run.
      module: the user's network.
      seed: of the run.
      variables: of `tune`.

    Raises:
      InputError: the variables are not such as the network has.
    """
    fresh = jax.jit(partial(initial_state, method))(key_of(seed))
    if variables is None:
        return fresh
    if isinstance(module, StandIn):
        raise InputError(
            "variables: a network of flax.nnx begins with those that it has; put "
            "them in with nnx.update, and leave variables out"
        )
    return _with_variables(method, fresh, variables)


def _with_variables(
    method: Method, state: RunState, variables: Mapping[str, Any]
) -> RunState:
    """The state before round 1 with other weights."""
    original = state.fusion.original
    if not isinstance(variables, Mapping):
        raise InputError(
            f"variables: is of {type(variables).__name__}; give what the network's "
            'init makes, {"params": params} where it is that alone'
        )
    if "params" not in variables:
        raise InputError(
            "variables: have no 'params'; give all that the network's init makes, "
            '{"params": params} where it is that alone'
        )
    for path, leaf in jax.tree.leaves_with_path(variables):
        if not np.all(np.isfinite(np.asarray(leaf, np.float32))):
            raise InputError(
                f"variables: {jax.tree_util.keystr(path)} holds NaN or infinity; give "
                "finite ones, or leave them out"
            )
    own, given = own_of(method), jax.tree.map(jnp.asarray, dict(variables))
    wanted, found = map(_forms, (own.join(original.variables), given))
    for place, _ in sorted(wanted.items() ^ found.items()):
        wrong = "has another shape or type than the network's own"
        if place not in found:
            wrong = "is missing"
        elif place not in wanted:
            wrong = "is none of the network's"
        raise InputError(f"variables: {place} {wrong}; give what its init makes")
    begun = method.fresh(own.split(given))
    return replace(state, fusion=replace(state.fusion, original=begun))


def _forms(variables: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """By path, as a user writes it, shape and type of each variable."""
    return {
        jax.tree_util.keystr(path): (leaf.shape, str(leaf.dtype))
        for path, leaf in jax.tree.leaves_with_path(variables)
    }
