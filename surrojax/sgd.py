"""One step of stochastic gradient descent, as both stages take it (Section 3.1)."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct


@struct.dataclass
class Targets:
    """What the predictions for a split's images are compared with.

    Attributes:
      labels: `[n]` int32.
      units: `[n]` int32, the unit that an image belongs to: its sequence; None where
        each image is a unit.
      unit_labels: `[U]` int32; None with `units`.
    """

    labels: jax.Array
    units: jax.Array | None = None
    unit_labels: jax.Array | None = None


@struct.dataclass
class Arrays:
    """One split of a database, resident on the device.

    Attributes:
      images: `[n, H, W, C]` uint8; of a user's own network, inputs `[n, ...]`.
      targets: of these images.
    """

    images: jax.Array
    targets: Targets

    @property
    def labels(self) -> jax.Array:
        """`[n]` int32."""
        return self.targets.labels


@struct.dataclass
class Drawn:
    """Minibatches that were drawn on the host: those of S steps, or of one.

    Attributes:
      images: `[S, B, H, W, C]` or `[B, H, W, C]` uint8; as in `Arrays`.
      labels: `[S, B]` or `[B]` int32.
    """

    images: jax.Array
    labels: jax.Array


@struct.dataclass
class Net:
    """A network in training.

    Attributes:
      params: the trained values.
      stats: the other collections, e.g. `batch_stats`; empty where there are none.
      momentum: like `params`.
    """

    params: Any
    stats: Any
    momentum: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What `module.apply` takes."""
        return {"params": self.params, **self.stats}


def fresh(variables: dict[str, Any]) -> Net:
    """A network with these variables and momentum 0."""
    stats = {name: value for name, value in variables.items() if name != "params"}
    params = variables["params"]
    return Net(params, stats, jax.tree.map(jnp.zeros_like, params))


def learning_rate(step: jax.Array, base: float, halve_every: float) -> jax.Array:
    """`base * 0.5 ^ (step / halve_every)`: smooth, and of the global step alone."""
    return base * 0.5 ** (step / halve_every)


def descend(
    net: Net, gradient: Any, stats: Any, rate: jax.Array, momentum: float
) -> Net:
    """One step of SGD with momentum: `m <- momentum m + g`, `p <- p - rate m`.

    Args:
      net: before the step.
      gradient: like `net.params`.
      stats: the other collections after the forward pass.
      rate: the learning rate of this step.
      momentum: its decay.
    """
    update, trace = optax.trace(momentum).update(
        gradient, optax.TraceState(net.momentum)
    )
    step = jax.tree.map(lambda m: -rate * m, update)
    return Net(optax.apply_updates(net.params, step), stats, trace.trace)
