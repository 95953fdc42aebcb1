"""What a module of linen says that stands for a network of another kind."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import flax.linen as nn
import numpy as np

if TYPE_CHECKING:
    from flax import nnx

    UserNetwork: TypeAlias = nn.Module | nnx.Module
    """A network, or a surrogate's trunk, as users have it."""
else:  # nnx takes seconds to import, and networks of linen want none of it
    UserNetwork = Any


class StandIn(nn.Module):
    """A network that is of linen in form alone, and begins with weights of its own."""

    def weights(self) -> dict[str, np.ndarray]:
        """Those that it begins with, by name."""
        raise NotImplementedError

    @property
    def wants(self) -> str:
        """What must hold for it to be called, for a message."""
        raise NotImplementedError

    @property
    def class_name(self) -> str:
        """That of what it stands for."""
        raise NotImplementedError

    def named(self, layers: Sequence[str]) -> list[str]:
        """Names of layers here, of those in what it stands for."""
        raise NotImplementedError

    def state(self, variables: Mapping[str, Any]) -> Any:
        """What the network itself takes, of variables as linen has them."""
        raise NotImplementedError


class Passed(nn.Module):
    """A layer that may stand between the last two dense ones."""


def class_of(module: nn.Module) -> str:
    """The name of a network's class, or of that which it stands for."""
    return module.class_name if isinstance(module, StandIn) else type(module).__name__
