"""The fully connected layers, which every original shares with its surrogate.

Section 2.2 of the paper: the surrogate keeps the higher layers, the losses and the
hyper-parameters of the original. All four sites of the method are in here.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from surrojax.networks.dropout import dropout, levels_at
from surrojax.networks.layers import uniform_fan_in
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

        # The networks compute in the images' type; losses are sums of float32.
        dtype = z.dtype
        samples, n_z = z.shape
        V, bias_V = self._layer("V", n_z, self.hidden or self.classes)
        shapes = Sites(z.shape, V.shape, None, None)
        if self.hidden is not None:
            W, bias_W = self._layer("W", self.hidden, self.classes)
            shapes = Sites(z.shape, V.shape, (samples, self.hidden), W.shape)
        levels = None
        if train:
            levels = levels_at(self.make_rng("dropout"), shapes)
            self.sow("intermediates", "levels", levels)

        def drop(site: str, a: jax.Array) -> jax.Array:
            a = a.astype(dtype)
            if levels is None:
                return a
            return dropout(getattr(levels, site), getattr(ratio, site), a)

        def exact(a: jax.Array) -> jax.Array:
            return a.astype(jnp.float32)

        y = drop("z", z) @ drop("V", V) + bias_V.astype(dtype)
        if self.hidden is None:
            return exact(y), Sites(exact(z), V, None, None)
        x = self.activation(y)
        y = drop("x", x) @ drop("W", W) + bias_W.astype(dtype)
        return exact(y), Sites(exact(z), V, exact(x), W)

    def _layer(self, name: str, inputs: int, outputs: int) -> tuple[Any, Any]:
        weights = self.param(name, self.kernel_init, (inputs, outputs))
        return weights, self.param(f"bias_{name}", nn.initializers.zeros, (outputs,))
