"""Dropout of features and weights (eq. 7), whose ratio may be traced."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.random import threefry2x32_p
from jax.sharding import PartitionSpec

LEVELS = 2**16
"""Dropout ratios are rounded to whole multiples of its inverse."""


_ROW = 512


def levels_at(key: jax.Array, shapes: Any) -> Any:
    """Whole numbers in [0, `LEVELS`), for the dropout masks of a network's step.

    Two are cut out of each word of Threefry's stream, both words of a block are used,
    and one draw serves all sites. `jax.random.uniform` would compute four times as
    much, once for each site, and take a tenth of a training step of LeNet.

    Args:
      key: a random key.
      shapes: a tree of shapes.

    Returns:
      The same tree of uint32 arrays.
    """
    is_shape = {"is_leaf": lambda leaf: type(leaf) is tuple}
    sizes = [math.prod(shape) for shape in jax.tree.leaves(shapes, **is_shape)]
    # In rows, by which XLA shares the work out among a CPU's threads.
    rows = -(-sum(sizes) // (4 * _ROW))
    count = jax.lax.iota(jnp.uint32, rows * _ROW).reshape(rows, _ROW)
    words = threefry2x32_p.bind(*jax.random.key_data(key), count, count + count.size)
    quarters = [part for word in words for part in (word & (LEVELS - 1), word >> 16)]
    levels = jnp.concatenate(quarters).reshape(-1)
    ends = itertools.accumulate(sizes)
    parts = iter([levels[end - n : end] for n, end in zip(sizes, ends, strict=True)])
    return jax.tree.map(
        lambda shape: _on_each_device(next(parts).reshape(shape)), shapes, **is_shape
    )


def _on_each_device(levels: jax.Array) -> jax.Array:
    """Levels that all devices of a mesh draw as a whole, though each needs a part.

    Else the devices that share a minibatch would draw parts of the stream, which are
    not those of the sites, and exchange them dozens of times in every step.
    """
    if not jax.sharding.get_abstract_mesh().auto_axes:
        return levels
    return jax.lax.with_sharding_constraint(levels, PartitionSpec())


def dropout(levels: jax.Array, ratio: jax.Array, a: jax.Array) -> jax.Array:
    """Dropout of features or weights (eq. 7), inverted; the ratio may be traced.

    Args:
      levels: uint32, of `levels_at` and the shape of `a`. The same ones give nested
        masks for different ratios, so candidates that share them are compared on common
        random numbers.
      ratio: p, the probability to drop.
      a: any shape: `[B, n]` gets one mask a sample, weights one mask a step.

    Returns:
      `a` with each entry set to 0 with probability p, else divided by 1 - p, so
      that evaluation is the identity.
    """
    dropped = jnp.round(jnp.asarray(ratio) * LEVELS).astype(jnp.uint32)
    return jnp.where(levels >= dropped, a, 0) * jnp.asarray(1 / (1 - ratio), a.dtype)
