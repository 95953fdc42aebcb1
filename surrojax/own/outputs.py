"""What a user's network yields, looked at before it is trained."""

from typing import Any

import jax
import jax.numpy as jnp

from surrojax.errors import InputError
from surrojax.method import Method
from surrojax.networks import forward

ROWS = 16
"""Inputs that are looked at."""


def check_outputs(method: Method, variables: dict[str, Any], inputs: Any) -> None:
    """Looks for mistakes that train, but badly, and that nothing later would show.

    Args:
      method: of the run.
      variables: of the network, as the method has them.
      inputs: `[n, ...]` as they are stored.

    Raises:
      InputError: outputs are probabilities, of which the loss would take the softmax
        again; or never negative; or one input's depend on the other inputs.
    """

    @jax.jit
    def logits(variables: dict[str, Any], inputs: jax.Array) -> jax.Array:
        seen = method.views.see(inputs, jnp.int32(0))
        return forward(method.pair.original, variables, seen)[0]

    some = jnp.asarray(inputs[:ROWS])
    found = logits(variables, some)
    # A constant is what layers make that begin with zeros.
    if bool(jnp.all(found >= 0) & (jnp.ptp(found) > 0)):
        if bool(jnp.all(jnp.abs(found.sum(axis=-1) - 1) < 1e-3)):
            raise InputError(
                "network: what it yields sums to 1, as probabilities do; leave out the "
                "softmax at its end, for the loss takes logits"
            )
        if len(some) > 1 and bool(jnp.any(found == 0)):
            raise InputError(
                "network: what it yields is never negative, as after a ReLU; leave "
                "out the activation at its end, for the loss takes logits"
            )
    if len(some) < 2:
        return
    alone = logits(variables, some[:1])
    scale = float(jnp.max(jnp.abs(found))) or 1.0
    if alone.shape != (1, *found.shape[1:]) or bool(
        jnp.max(jnp.abs(alone - found[:1])) > 1e-2 * scale
    ):
        raise InputError(
            f"network: what it yields for an input of shape {some.shape[1:]} depends "
            "on the other inputs of its batch; images want an axis of channels "
            "(x[..., None]), and nothing may mix examples when it is not trained"
        )
