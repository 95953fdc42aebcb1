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
    if "params" not in variables:
        raise InputError(
            "variables: have no 'params'; give all that the network's init makes, "
            '{"params": params} where it is that alone'
        )
    given = jax.tree.map(jnp.asarray, own_of(method).split(dict(variables)))
    for path, leaf in jax.tree.leaves_with_path(variables):
        if not np.all(np.isfinite(np.asarray(leaf, np.float32))):
            raise InputError(
                f"variables: {jax.tree_util.keystr(path)} holds NaN or infinity; give "
                "finite ones, or leave them out"
            )
    wanted, found = (
        {
            jax.tree_util.keystr(path): (leaf.shape, str(leaf.dtype))
            for path, leaf in leaves
        }
        for leaves in (
            jax.tree.leaves_with_path(original.variables),
            jax.tree.leaves_with_path(given),
        )
    )
    different = sorted(wanted.items() ^ found.items())
    if different:
        raise InputError(
            f"variables: {different[0][0]} is not as the network's own; give what its "
            "init makes"
        )
    return replace(state, fusion=replace(state.fusion, original=method.fresh(given)))
