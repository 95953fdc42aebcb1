"""A surrogate for a user's network: a small trunk below a copy of its upper layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.errors import InputError
from surrojax.keys import key_of
from surrojax.networks import HEAD, NO_DROPOUT, shapes
from surrojax.networks.calls import explained, init_plain, mode_argument, mode_of
from surrojax.networks.convolutions import Faster
from surrojax.networks.liveness import needs
from surrojax.networks.own import TRUNK, OwnNetwork
from surrojax.sites import Sites


@dataclass(frozen=True, eq=False)
class OwnSurrogate:
    """A small trunk below a copy of a user's upper layers; a `Network`.

    Section 2.2: the surrogate keeps the higher layers, the losses and the
    hyper-parameters of the original.

    Attributes:
      trunk: from the inputs to `[B, n_z]`.
      network: whose upper layers are copied.
      hollow: shapes of the network's variables, of which those below z are not used.
    """

    trunk: nn.Module
    network: OwnNetwork
    hollow: Any

    def init(
        self, key: jax.Array, inputs: jax.Array, ratio: Sites, train: bool
    ) -> dict[str, Any]:
        """Fresh variables: the trunk's, and those of the network's head."""
        below, above = jax.random.split(key)
        trunk = init_plain(self.trunk, below, inputs, mode_of(self.trunk))
        upper = self._upper(self.network.init(above, inputs, ratio, train))
        params = {TRUNK: trunk.get("params", {}), HEAD: upper["params"][HEAD]}
        names = (trunk.keys() | upper.keys()) - {"params"}
        return {"params": params} | {
            name: ({TRUNK: trunk[name]} if name in trunk else {}) | upper.get(name, {})
            for name in sorted(names)
        }

    def apply(
        self,
        variables: Mapping[str, Any],
        inputs: jax.Array,
        ratio: Sites,
        train: bool,
        mutable: Sequence[str] | bool = False,
        rngs: Mapping[str, jax.Array] | None = None,
    ) -> Any:
        """As `OwnNetwork.apply`."""
        trunk = {name: of[TRUNK] for name, of in variables.items() if TRUNK in of}
        keys = None if rngs is None else dict(rngs)
        # The candidates' kernels are vmapped, which would make grouped convolutions.
        with nn.intercept_methods(Faster("matmul")):
            z, below = self.trunk.apply(
                trunk,
                inputs,
                mutable=[name for name in trunk if name != "params"],
                rngs=keys,
                **mode_argument(mode_of(self.trunk), train),
            )
        names, statistics = list[str](), list[str]()
        if not isinstance(mutable, bool):
            # The network's own trunk runs along, on zeros: it has to be let, too.
            names, statistics = [*mutable], sorted(self.hollow.keys() - {"params"})
        result, changed = self.network.apply(
            self._fill(variables), inputs, ratio, train, statistics, keys, z
        )
        if mutable is False:
            return result
        upper = self._upper(changed)
        return result, {
            name: ({TRUNK: below[name]} if name in below else {}) | upper.get(name, {})
            for name in names
        }

    def _upper(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the network's variables that its head needs."""
        return {n: {HEAD: tree[HEAD]} for n, tree in variables.items() if HEAD in tree}

    def _fill(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The network's variables, with zeros where nothing needs them."""
        filled = {n: jax.tree.map(_zeros, tree) for n, tree in self.hollow.items()}
        for name, parts in filled.items():
            if HEAD in parts:
                parts[HEAD] = variables[name][HEAD]
        return filled


def with_surrogate(
    network: OwnNetwork, trunk: nn.Module, inputs: jax.Array
) -> OwnSurrogate:
    """A surrogate that goes from the inputs to z by `trunk`.

    Args:
      network: the original.
      trunk: called as `trunk(inputs)`; yields `[B, n_z]`, or what has as many elements.
      inputs: `[B, ...]` some inputs, as the network is given them.

    Raises:
      InputError: the trunk yields another size, or the network's upper layers need
        more than z.
    """
    if isinstance(trunk, type) or not isinstance(trunk, nn.Module):
        raise InputError(
            f"surrogate: {trunk!r} is no Flax module; give one, as nn.Dense(8) is"
        )
    hollow = shapes(network, inputs)
    surrogate = OwnSurrogate(trunk, network, hollow)
    wanted = network.layers[0].shape
    mode = mode_of(trunk)

    def below() -> Any:
        variables = init_plain(trunk, key_of(0), inputs, mode)
        return trunk.apply(variables, inputs, **mode_argument(mode, False))

    with explained(trunk, inputs, "surrogate"):
        yielded = jax.eval_shape(below)
    if not hasattr(yielded, "shape"):
        raise InputError("surrogate: yields no single array; let it yield z alone")
    size = math.prod(wanted)
    if yielded.size != len(inputs) * size:
        raise InputError(
            f"surrogate: yields {yielded.shape[1:]} for each input, while layer "
            f"{network.layers[0].name!r} receives {wanted}; let it yield {size} values"
        )

    def above(inputs: jax.Array, z: jax.Array) -> jax.Array:
        variables = jax.tree.map(_zeros, hollow)
        return network.apply(variables, inputs, NO_DROPOUT, False, z=z)[0]

    z = jax.ShapeDtypeStruct((len(inputs), size), jnp.float32)
    if needs(above, inputs, z)[0]:
        raise InputError(
            f"surrogate: what follows layer {network.layers[0].name!r} also needs what "
            "lies before it (a shortcut around the layer), which a surrogate of its "
            "own has not; use surrogate='shared' or name other layers"
        )
    return surrogate


def _zeros(leaf: Any) -> jax.Array:
    return jnp.zeros(leaf.shape, leaf.dtype)
