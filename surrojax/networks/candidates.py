"""The network of candidates that train convolutions on a trunk that they share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import flax.linen as nn

from surrojax.networks import Network
from surrojax.networks.calls import Path
from surrojax.networks.layers import Conv, ConvPool
from surrojax.networks.own import OwnNetwork


@dataclass(frozen=True, eq=False)
class Multiplied:
    """A network some of whose convolutions are matrix products.

    Attributes:
      network: a Flax module.
      layers: paths of those convolutions.
    """

    network: Network
    layers: frozenset[Path]

    def init(self, key: Any, /, *arguments: Any, **options: Any) -> Any:
        """Fresh variables."""
        return self.network.init(key, *arguments, **options)

    def apply(self, variables: Any, /, *arguments: Any, **options: Any) -> Any:
        """The way forward."""
        with nn.intercept_methods(self._multiply):
            return self.network.apply(variables, *arguments, **options)

    def _multiply(
        self,
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        module = context.module
        if (
            not isinstance(module, Conv | ConvPool)
            or module.form == "matmul"  # as it is, or one that was made below
            or module.path not in self.layers
        ):
            return call(*arguments, **options)
        other = module.clone(form="matmul", parent=None)
        return other.apply(
            {"params": module.variables["params"]}, *arguments, **options
        )


def multiplied(network: Network, trained: frozenset[Path]) -> Network:
    """The same, with matrix products in place of the convolutions that it trains.

    Their kernels are vmapped, which would make grouped convolutions of them. Those that
    are held still are faster as they are. (Measured on a CPU alone.)

    Args:
      network: the original of a `Pair`.
      trained: of `networks.reach`.
    """
    layers = frozenset(path[1:-1] for path in trained if path[0] == "params")
    if isinstance(network, OwnNetwork):
        # A tuned layer is computed by itself, outside of the network.
        own = {(), *(path[1:] for path in layers)}
        return replace(network, multiplied=frozenset(own))
    return Multiplied(network, layers)
