"""Trunks of surrogates for users' networks, made from shapes as the paper's are.

Table 2: a single convolution whose kernel is its stride, so that the last feature map
has the size of the original's; with a global average where the original has one.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.errors import InputError
from surrojax.keys import key_of
from surrojax.networks import NO_DROPOUT, forward_in_training
from surrojax.networks.layers import matching, uniform_fan_in
from surrojax.networks.own import OwnNetwork

WORD = 32
"""Most values into which a surrogate embeds a token."""


class PatchTrunk(nn.Module):
    """A convolution whose windows do not overlap, `[B, H, W, C] -> [B, n_z]`.

    Attributes:
      grid: height and width of the feature map.
      features: number of feature maps.
      average: whether the map is averaged over its places; else it is flattened.
      rectify: whether a ReLU follows the convolution.
    """

    grid: tuple[int, int]
    features: int
    average: bool
    rectify: bool

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        b, *sides, c = images.shape
        cuts = [matching(n, m) for n, m in zip(sides, self.grid, strict=True)]
        pads = [
            (pad, kernel * m - n - pad)
            for n, m, (kernel, pad) in zip(sides, self.grid, cuts, strict=True)
        ]
        images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
        (h, w), (high, wide) = self.grid, (kernel for kernel, _ in cuts)
        windows = images.reshape(b, h, high, w, wide, c).transpose(0, 1, 3, 2, 4, 5)
        y = _dense(self.features)(windows.reshape(b, h, w, high * wide * c))
        y = nn.relu(y) if self.rectify else y
        return y.mean(axis=(1, 2)) if self.average else y.reshape(b, -1)


class TokenTrunk(nn.Module):
    """The mean of embedded tokens and a dense layer, `[B, L] int -> [B, n_z]`.

    Attributes:
      vocabulary: number of tokens.
      units: n_z.
      rectify: whether a ReLU follows.
    """

    vocabulary: int
    units: int
    rectify: bool

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        words = nn.Embed(self.vocabulary, min(WORD, self.units))(tokens)
        y = _dense(self.units)(words.reshape(len(tokens), -1, words.shape[-1]).mean(1))
        return nn.relu(y) if self.rectify else y


class FlatTrunk(nn.Module):
    """A dense layer, `[B, ...] -> [B, n_z]`.

    Attributes:
      units: n_z.
      rectify: whether a ReLU follows.
    """

    units: int
    rectify: bool

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        y = _dense(self.units)(inputs.reshape(len(inputs), -1))
        return nn.relu(y) if self.rectify else y


def trunk_for(network: OwnNetwork, inputs: jax.Array) -> nn.Module:
    """The trunk of a surrogate for a network.

    Images get the paper's convolution, of as many maps as the network's last feature
    map has; tokens, which are whole numbers, an embedding; all else a dense layer. A
    ReLU follows where z was never negative, as in ResNet20's surrogate.

    Args:
      network: the original.
      inputs: `[B, ...]` some inputs, as the network is given them.

    Raises:
      InputError: nothing lies below the first layer that could be stood in for.
    """
    first, calls = network.layers[0], network.calls
    before = calls[: next(i for i, c in enumerate(calls) if c.path == first.path)]
    if not any(call.params for call in before):
        raise InputError(
            f"surrogate: layer {first.name!r} receives the inputs themselves, so there "
            "is nothing below it to stand in for; use surrogate='shared' or name a "
            "later layer"
        )
    units, rectify = math.prod(first.shape), _never_negative(network, inputs)
    if jnp.issubdtype(inputs.dtype, jnp.integer):
        known = [call.tokens for call in before if call.tokens is not None]
        if not known:
            raise InputError(
                f"surrogate: inputs of type {inputs.dtype} and no nn.Embed before "
                f"layer {first.name!r} say how many tokens there are; give "
                "surrogate=MODULE, from inputs to that layer's, or 'shared'"
            )
        return TokenTrunk(max(known), units, rectify)
    maps = [c.output.shape for c in before if c.output and len(c.output.shape) == 4]
    if inputs.ndim == 4 and maps:
        (_, h, w, c), (height, width) = maps[-1], inputs.shape[1:3]
        if units == c:
            coarse = (max(1, round(height / 4)), max(1, round(width / 4)))
            return PatchTrunk(coarse, c, average=True, rectify=rectify)
        grid = _grid(units // c, h / w) if units % c == 0 else None
        if grid is not None and grid[0] <= height and grid[1] <= width:
            return PatchTrunk(grid, c, average=False, rectify=rectify)
    return FlatTrunk(units, rectify)


def _grid(places: int, aspect: float) -> tuple[int, int] | None:
    """Height and width whose product is `places`, as near `h / w` as can be."""
    divisors = [h for h in range(1, places + 1) if places % h == 0]
    if not divisors:
        return None
    h = min(divisors, key=lambda h: abs(math.log(h * h / places / aspect)))
    return h, places // h


def _never_negative(network: OwnNetwork, inputs: jax.Array) -> bool:
    """Whether a fresh network's z is at least 0 for all inputs."""

    def smallest() -> Any:
        variables = network.init(key_of(0), inputs, NO_DROPOUT, False)
        # In training mode: running statistics have seen nothing yet.
        key = key_of(0)
        output, _ = forward_in_training(network, variables, inputs, NO_DROPOUT, key)
        return output[1].z.min()

    return float(jax.jit(smallest)()) >= 0


def _dense(units: int) -> nn.Dense:
    return nn.Dense(units, kernel_init=uniform_fan_in)
