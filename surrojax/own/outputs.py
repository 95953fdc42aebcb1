"""What a user's network yields, looked at before it is trained."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.errors import InputError
from surrojax.method import Method
from surrojax.networks import forward
from surrojax.networks.liveness import made_by

ROWS = 16
"""Inputs that are looked at."""


def check_seen(method: Method, name: str, inputs: Any) -> None:
    """Sees that no input becomes NaN, of which the losses would tell too late.

    Args:
      method: of the run.
      name: of the split.
      inputs: `[n, ...]` of it, as they are stored.

    Raises:
      InputError: one does.
    """

    @jax.jit
    def finite(stored: jax.Array) -> jax.Array:
        seen = method.views.see(stored, jnp.int32(0))
        return jnp.all(jnp.isfinite(seen), axis=tuple(range(1, seen.ndim)))

    size = method.evaluation_batch
    for at in range(0, len(inputs), size):
        fine = np.asarray(finite(jnp.asarray(inputs[at : at + size])))
        if not fine.all():
            raise InputError(
                f"preprocess: makes NaN or infinity of {name}, row "
                f"{at + np.argmin(fine)}; let it yield finite numbers"
            )


def check_outputs(method: Method, variables: dict[str, Any], inputs: Any) -> list[str]:
    """Looks for mistakes that train, but badly, and that nothing later would show.

    Args:
      method: of the run.
      variables: of the network, as the method has them.
      inputs: `[n, ...]` as they are stored.

    Returns:
      Lines about what may be a mistake.

    Raises:
      InputError: outputs are NaN; or probabilities, of which the loss would take the
        softmax again; or come from a ReLU; or one input's depend on the other inputs.
    """

    @jax.jit
    def logits(variables: dict[str, Any], seen: jax.Array) -> jax.Array:
        return forward(method.pair.original, variables, seen)[0]

    some = jnp.asarray(inputs[:ROWS])
    seen, seen_alone = (method.views.see(x, jnp.int32(0)) for x in (some, some[:1]))
    if len(some) > 1 and _differ(seen[:1], seen_alone):
        raise InputError(
            "preprocess: what it makes of an input depends on the other inputs of its "
            "batch; take means and the like once, of all training data"
        )
    found = logits(variables, seen)
    if (bad := np.asarray(jnp.isnan(found).any(axis=-1))).any():
        raise InputError(
            f"network: what it yields for row {np.argmax(bad)} is NaN before anything "
            "is trained; see that it computes nothing such as the logarithm of what "
            "is negative"
        )
    # float32 as the method takes them, whatever the network computes in.
    if bool(jnp.all(found >= 0) & jnp.all(jnp.abs(found.sum(axis=-1) - 1) < 0.02)):
        raise InputError(
            "network: what it yields sums to 1, as probabilities do; leave out the "
            "softmax at its end, for the loss takes logits"
        )
    # Zeros alone are a row of zeros, or layers that begin with zeros.
    beside = (found == 0) & (found.max(axis=-1, keepdims=True) > 0)
    if bool(jnp.all(found >= 0) & jnp.any(beside)):
        raise InputError(
            "network: what it yields is never negative, and 0 for some, as after a "
            "ReLU; leave out the activation at its end, for the loss takes logits"
        )
    if len(some) > 1 and _differ(found[:1], logits(variables, seen_alone)):
        channels = (
            "; images want an axis of channels: x[..., None]" if seen.ndim > 2 else ""
        )
        raise InputError(
            f"network: what it yields for an input of shape {seen.shape[1:]} depends "
            "on the other inputs of its batch; nothing may mix examples when it is "
            f"not trained{channels}"
        )
    if made_by(jax.make_jaxpr(logits)(variables, seen).jaxpr) == "logistic":
        return [
            "network: what it yields comes out of a sigmoid; leave it out, for the "
            "loss takes logits"
        ]
    return []


def _differ(there: jax.Array, here: jax.Array) -> bool:
    """Whether two arrays differ by more than rounding of any sort."""
    if there.shape != here.shape:
        return True
    there, here = there.astype(jnp.float32), here.astype(jnp.float32)
    scale = jnp.maximum(jnp.max(jnp.abs(there)), jnp.max(jnp.abs(here)))
    return bool(jnp.max(jnp.abs(there - here)) > 0.02 * scale)
