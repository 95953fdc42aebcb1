"""One step of gradient descent, as both stages take it (Section 3.1)."""

from collections.abc import Callable
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
      momentum: what the optimiser remembers: of SGD, like `params`.
    """

    params: Any
    stats: Any
    momentum: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What `module.apply` takes."""
        return {"params": self.params, **self.stats}


def learning_rate(step: Any, base: float, halve_every: float) -> Any:
    """`base * 0.5 ^ (step / halve_every)`: smooth, and of the global step alone."""
    return base * 0.5 ** (step / halve_every)


Descent = Callable[[Any], optax.GradientTransformation]
"""What makes a step of a gradient, by its learning rate, as `optax.adam` does."""


def sgd(rate: jax.Array, momentum: float) -> optax.GradientTransformation:
    """SGD with momentum: `m <- momentum m + g`, `p <- p - rate m`.

    It remembers m alone, where `optax.sgd` has m in a tuple.

    Args:
      rate: the learning rate of this step.
      momentum: its decay.
    """
    trace = optax.trace(momentum)

    def update(gradient: Any, m: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        moved, after = trace.update(gradient, optax.TraceState(m))
        return jax.tree.map(lambda m: -rate * m, moved), after.trace

    return optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params), update
    )


def fresh(variables: dict[str, Any], rule: optax.GradientTransformation) -> Net:
    """A network with these variables, of which the optimiser remembers nothing."""
    stats = {name: value for name, value in variables.items() if name != "params"}
    params = variables["params"]
    return Net(params, stats, rule.init(params))


def descend(
    net: Net, gradient: Any, stats: Any, rule: optax.GradientTransformation
) -> Net:
    """One step.

    Args:
      net: before the step.
      gradient: like `net.params`.
      stats: the other collections after the forward pass.
      rule: of this step.
    """
    update, momentum = rule.update(gradient, net.momentum, net.params)
    return Net(optax.apply_updates(net.params, update), stats, momentum)
