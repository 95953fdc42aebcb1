"""Random keys of one kind, whatever JAX makes by default in this process.

Dropout draws from Threefry's stream itself, copies of a network under `vmap` have to
draw what each would draw alone, and a run goes on where its keys mean what they meant.
"""

from typing import Any

import jax

IMPL = "threefry2x32"


def key_of(seed: int | jax.Array) -> jax.Array:
    """The key of a seed."""
    return jax.random.key(seed, impl=IMPL)


def key_with(data: jax.Array) -> jax.Array:
    """The keys `[...]` whose `jax.random.key_data` is `[..., 2]`."""
    return jax.random.wrap_key_data(data, impl=IMPL)


def is_key(leaf: Any) -> bool:
    """Whether a leaf of a tree is an array of keys."""
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(
        leaf.dtype, jax.dtypes.prng_key
    )


def data_of(leaf: Any) -> Any:
    """The data of keys; any other leaf as it is."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf
