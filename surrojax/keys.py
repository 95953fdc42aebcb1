"""Random keys of one kind, whatever JAX makes by default in this process.

Dropout draws from Threefry's stream itself, copies of a network under `vmap` have to
draw what each would draw alone, and a run goes on where its keys mean what they meant.
"""

import jax

IMPL = "threefry2x32"


def key_of(seed: int | jax.Array) -> jax.Array:
    """The key of a seed."""
    return jax.random.key(seed, impl=IMPL)


def key_with(data: jax.Array) -> jax.Array:
    """The keys `[...]` whose `jax.random.key_data` is `[..., 2]`."""
    return jax.random.wrap_key_data(data, impl=IMPL)
