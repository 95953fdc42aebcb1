"""Where the settings, candidates, replicas and images of a round are worked on.

Everything here is JAX's own: `vmap` or a loop on one device, `shard_map` over the
devices of a mesh, which may belong to several processes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from surrojax.keys import is_key, key_with

Together = Literal["vmap", "loop"]

SEVERAL = "several"
"""The mesh's axis over which settings, candidates and replicas are spread."""

BATCH = "batch"
"""The mesh's axis over which the images of a minibatch are spread."""


@dataclass(frozen=True)
class Layout:
    """How copies of a computation are spread.

    Attributes:
      mesh: of axes `SEVERAL` and `BATCH`; None: the default device alone.
      settings: what a device does with several copies of the original: `vmap` works on
        all at once, `loop` on one after the other, in less memory.
      candidates: the same for copies of the surrogate.
    """

    mesh: Mesh | None = None
    settings: Together = "vmap"
    candidates: Together = "vmap"

    @property
    def devices(self) -> int:
        """Devices that are worked on."""
        return 1 if self.mesh is None else self.mesh.size

    def spread_settings(
        self, f: Callable[..., Any], axes: Sequence[int | None], *arguments: Any
    ) -> Any:
        """`f` of each copy, as `vmap(f, axes)(*arguments)`, over the first axis.

        Args:
          f: of one copy; returns a tree of arrays. It may use `split_batch`.
          axes: for each argument, 0 where it has a leading axis of copies, else None.
          arguments: trees of arrays; outside of a compiled function, of `everywhere`.

        Returns:
          What `f` returns, with a leading axis of copies.
        """
        return self._spread((SEVERAL,), self.settings, f, axes, arguments)

    def spread(
        self, f: Callable[..., Any], axes: Sequence[int | None], *arguments: Any
    ) -> Any:
        """The same over all devices; `f` may not use `split_batch`."""
        return self._spread((SEVERAL, BATCH), self.candidates, f, axes, arguments)

    def _spread(
        self,
        over: tuple[str, ...],
        together: Together,
        f: Callable[..., Any],
        axes: Sequence[int | None],
        arguments: Sequence[Any],
    ) -> Any:
        copies = next(
            jax.tree.leaves(argument)[0].shape[0]
            for argument, axis in zip(arguments, axes, strict=True)
            if axis is not None
        )
        if self.mesh is None:
            return _on_one(together, f, axes, arguments)
        if copies == 1:
            # So that `f` is seen to work on all of the mesh.
            with jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh):
                return _on_one(together, f, axes, arguments)
        ways = math.prod(self.mesh.shape[name] for name in over)
        # The last copy fills up what is left over, for every device gets as many.
        order = np.minimum(np.arange(-(-copies // ways) * ways), copies - 1)
        dealt = [
            argument if axis is None else jax.tree.map(lambda a: a[order], argument)
            for argument, axis in zip(arguments, axes, strict=True)
        ]
        shared, own = PartitionSpec(), PartitionSpec(over)
        spread = jax.shard_map(
            lambda *given: _on_one(together, f, axes, given),
            mesh=self.mesh,
            in_specs=tuple(shared if axis is None else own for axis in axes),
            out_specs=own,
            axis_names=set(over),
            check_vma=False,
        )(*dealt)
        return jax.tree.map(lambda a: a[:copies], spread)

    def split_batch(self, images: jax.Array) -> jax.Array:
        """`[B, ...]`, spread over the devices that work on the same setting.

        It is called in what `spread_settings` is given, of arrays that are everywhere.
        """
        if self.mesh is None:
            return images
        # Of several settings, each is on its own part of the mesh already.
        free = jax.sharding.get_abstract_mesh().auto_axes
        return jax.lax.with_sharding_constraint(images, PartitionSpec(free))

    def everywhere(self, tree: Any) -> Any:
        """A tree of arrays with a copy on each device."""
        if self.sharding is None:
            return tree
        if self.sharding.is_fully_addressable:
            return jax.device_put(tree, self.sharding)
        return jax.tree.map(partial(_on_own_devices, self.sharding), tree)

    @property
    def sharding(self) -> NamedSharding | None:
        """Of an array with a copy on each device; None for one device."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def compile(self, f: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """`jax.jit(f, **options)`, whose results every device has.

        Of several devices, one program works at a time: of two in flight, a CPU's
        devices may begin with different ones, and wait for each other for ever.
        """
        program = jax.jit(f, out_shardings=self.sharding, **options)
        if self.mesh is None:
            return program

        @wraps(program)
        def call(*arguments: Any) -> Any:
            return jax.block_until_ready(program(*arguments))

        return call

    def alone(self) -> "Layout":
        """The same on one device."""
        return replace(self, mesh=None)


def _on_own_devices(sharding: NamedSharding, leaf: jax.Array | np.ndarray) -> jax.Array:
    """This process's part of an array of which every device gets a copy.

    All processes hold the same. `device_put` would take no key and would send every
    array around to see that it is the same.
    """
    if is_key(leaf):
        data = _on_own_devices(sharding, jax.random.key_data(leaf))
        return key_with(data)
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return jax.device_put(leaf, sharding)  # it is on all devices already
    own = np.asarray(leaf)
    return jax.make_array_from_callback(own.shape, sharding, own.__getitem__)


def _on_one(
    together: Together,
    f: Callable[..., Any],
    axes: Sequence[int | None],
    arguments: Sequence[Any],
) -> Any:
    mapped = [a for a, axis in zip(arguments, axes, strict=True) if axis == 0]
    many = jax.tree.leaves(mapped)[0].shape[0] > 1
    if many and together == "vmap":
        return jax.vmap(f, in_axes=tuple(axes))(*arguments)

    def one(own: list[Any]) -> Any:
        rest = iter(own)
        return f(
            *(
                argument if axis is None else next(rest)
                for argument, axis in zip(arguments, axes, strict=True)
            )
        )

    if many:
        return jax.lax.map(one, mapped)
    # One copy alone is no vmap: a convolution would become a grouped one.
    alone = one(jax.tree.map(lambda a: a[0], mapped))
    return jax.tree.map(lambda a: a[None], alone)


def several(tree: Any, count: int) -> Any:
    """So many copies of a tree of arrays, along a leading axis."""
    return jax.tree.map(lambda a: jnp.broadcast_to(a, (count, *a.shape)), tree)


def make_mesh(
    devices: Sequence[jax.Device], batch_size: int, replicas: int = 1
) -> Mesh | None:
    """A mesh of all devices, or None for one.

    Stage 1 has two settings, so up to two devices work on a setting each; the more
    there are, the further minibatches are split, as evenly as they can be. Of
    replicas, each device plays whole rounds of its own, and splits none.

    Args:
      devices: whose number may be any; those that cannot be used evenly stay idle.
      batch_size: B.
      replicas: R.
    """
    if len(devices) == 1:
        return None
    rows, split = min(len(devices), replicas), 1
    if replicas == 1:
        halves = range(1, len(devices) // 2 + 1)
        rows, split = 2, max(n for n in halves if batch_size % n == 0)
    grid = np.array(devices[: rows * split]).reshape(rows, split)
    return Mesh(grid, (SEVERAL, BATCH))
