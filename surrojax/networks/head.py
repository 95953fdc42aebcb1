"""The fully connected layers, which every original shares with its surrogate.

Section 2.2 of the paper: the surrogate keeps the higher layers, the losses and the
hyper-parameters of the original. All four sites of the method are in here.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from surrojax.networks.layers import dropout, uniform_fan_in
from surrojax.sites import Sites


class Head(nn.Module):
    """FC1 and FC2, or FC1 alone, with dropout at each site (eq. 7).

    Attributes:
      classes: K.
      hidden: n_x, the units between FC1 and FC2; None: FC1 yields the logits, and
        the sites x and W do not exist.
      activation: applied to FC1's output where there is an FC2.
      kernel_init: initialiser of V and W.
    """

    classes: int
    hidden: int | None = None
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    kernel_init: Initializer = uniform_fan_in

    @nn.compact
    def __call__(
        self, z: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        """Logits `[B, K]`, and the values at the sites before their own dropout.

        Args:
          z: `[B, n_z]`.
          ratio: dropout ratios at the sites; used in training only.
          train: whether to drop; needs the random stream `dropout`.
        """

        def drop(a: jax.Array, p: jax.Array) -> jax.Array:
            return dropout(self.make_rng("dropout"), p, a) if train else a

        def layer(name: str, inputs: int, outputs: int) -> tuple[jax.Array, jax.Array]:
            weights = self.param(name, self.kernel_init, (inputs, outputs))
            bias = self.param(f"bias_{name}", nn.initializers.zeros, (outputs,))
            return weights, bias.astype(dtype)

        def drop_weights(weights: jax.Array, p: jax.Array) -> jax.Array:
            return drop(weights.astype(dtype), p)

        def exact(a: jax.Array) -> jax.Array:
            return a.astype(jnp.float32)

        # The networks compute in the images' type; losses are sums of float32.
        dtype = z.dtype
        V, bias = layer("V", z.shape[-1], self.hidden or self.classes)
        y = drop(z, ratio.z) @ drop_weights(V, ratio.V) + bias
        if self.hidden is None:
            return exact(y), Sites(exact(z), V, None, None)
        x = self.activation(y)
        W, bias = layer("W", self.hidden, self.classes)
        y = drop(x, ratio.x) @ drop_weights(W, ratio.W) + bias
        return exact(y), Sites(exact(z), V, exact(x), W)
