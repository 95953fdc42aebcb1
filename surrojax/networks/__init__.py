"""The networks: each original side by side with its surrogate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.errors import InputError
from surrojax.keys import key_of
from surrojax.networks import mresnet
from surrojax.networks.layers import ConvForm
from surrojax.networks.lenet import LeNet, LeNetSurrogate
from surrojax.networks.mresnet import MResNet, MResNetSurrogate
from surrojax.networks.resnet20 import ResNet20, ResNet20Surrogate
from surrojax.sites import Sites


class Entry(NamedTuple):
    """A row of `NETWORKS`.

    Attributes:
      original: `(classes, form) -> module`, as in `Pair`.
      surrogate: `(classes) -> module`.
      image_size: height and width of its images, in pixels.
      channels: of its images.
      smallest: pixels: the least height that leaves a feature map of at least 1 x 1.
    """

    original: Callable[[int, ConvForm], nn.Module]
    surrogate: Callable[[int], nn.Module]
    image_size: int
    channels: int
    smallest: int


NETWORKS: dict[str, Entry] = {
    "lenet": Entry(LeNet, LeNetSurrogate, 28, 1, 16),
    "resnet20": Entry(ResNet20, ResNet20Surrogate, 28, 1, 4),
    "mresnet": Entry(MResNet, MResNetSurrogate, 227, 3, mresnet.SMALLEST),
}
"""The pairs of the paper's Table 2 and Figure 3, by the names that a config gives."""

HEAD = "head"
"""Where an original keeps the parameters of its fully connected layers."""

NO_DROPOUT = Sites(0.0, 0.0, 0.0, 0.0)


class Network(Protocol):
    """A Flax module, or what has its `init` and `apply`.

    Called as `network(images [B, H, W, C], ratio, train)`, it returns the logits
    `[B, K]` and the `Sites` before their own dropout.
    """

    def init(self, key: Any, /, *arguments: Any, **options: Any) -> Any:
        """Fresh variables."""

    def apply(self, variables: Any, /, *arguments: Any, **options: Any) -> Any:
        """The way forward."""


@dataclass(frozen=True)
class Pair:
    """An original network, its surrogate, and the inputs that both take.

    Their sites have the same shapes.

    Attributes:
      original, surrogate: the networks.
      shape: of one input: `(H, W, C)` of an image.
      dtype: of the inputs.
    """

    original: Network
    surrogate: Network
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def image_size(self) -> int:
        """Height and width of the images in pixels."""
        return self.shape[0]

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.shape[-1]


def make_pair(
    name: str,
    classes: int,
    form: ConvForm = "matmul",
    image_size: int = 0,
    channels: int = 0,
) -> Pair:
    """The pair that `name`, of `NETWORKS`, means.

    Args:
      name: of the network.
      classes: K.
      form: of the original's convolutions.
      image_size: height and width in pixels; 0 for the paper's.
      channels: of the images; 0 for the paper's.

    Raises:
      InputError: the images are too small for the network.
    """
    entry = NETWORKS[name]
    size, depth = image_size or entry.image_size, channels or entry.channels
    if size < entry.smallest:
        raise InputError(
            f"image_size: {size} is too small for {name}; the least is {entry.smallest}"
        )
    return Pair(
        entry.original(classes, form), entry.surrogate(classes), (size, size, depth)
    )


def blank(pair: Pair, batch: int = 1) -> jax.Array:
    """Inputs of zeros, `[batch, ...]`, for shapes and initialisation."""
    return jnp.zeros((batch, *pair.shape), pair.dtype)


def init(module: Network, key: jax.Array, images: jax.Array) -> dict[str, Any]:
    """Fresh variables of a module: `params`, and `batch_stats` where it has any."""
    return dict(module.init(key, images, NO_DROPOUT, train=False))


def shapes(module: Network, images: jax.Array) -> dict[str, Any]:
    """What `init` makes, without making it: shapes and types alone."""
    return jax.eval_shape(lambda: init(module, key_of(0), images))


def sites_of(module: Network, images: jax.Array) -> Sites:
    """Shapes at the sites that a module has, None at the others."""

    def values(images: jax.Array) -> Sites:
        variables = init(module, key_of(0), images)
        return forward(module, variables, images)[1]

    return jax.eval_shape(values, images)


def forward_in_training(
    module: Network,
    variables: dict[str, Any],
    images: jax.Array,
    ratio: Sites,
    key: jax.Array,
) -> tuple[tuple[jax.Array, Sites], dict[str, Any]]:
    """Logits `[B, K]` and sites with dropout, and the collections that changed.

    Args:
      module: as in `Pair`.
      variables: the module's; `params` alone are not returned.
      images: `[B, H, W, C]` float32.
      ratio: dropout ratios at the sites.
      key: for the dropout masks.
    """
    output: Any = module.apply(
        variables,
        images,
        ratio,
        train=True,
        mutable=[name for name in variables if name != "params"],
        rngs={"dropout": key},
    )
    return output


def forward(
    module: Network, variables: dict[str, Any], images: jax.Array
) -> tuple[jax.Array, Sites]:
    """Logits `[B, K]` and sites in evaluation mode: no dropout, running statistics."""
    output: Any = module.apply(variables, images, NO_DROPOUT, train=False)
    return output
