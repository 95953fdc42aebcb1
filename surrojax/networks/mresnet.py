"""M-ResNet, its surrogate, and the face-recognition network it is fine-tuned from.

The paper's Figure 3. CoPr is a convolution and a PReLU with one slope a map; Pool is
max pooling; nothing is batch-normalised. All names of layers are the figure's, and are
the names under which weights are saved and loaded (`surrojax.weights`).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from surrojax.networks.head import Head
from surrojax.networks.layers import (
    Conv,
    ConvForm,
    matching,
    max_pool,
    uniform_fan_in,
)
from surrojax.sites import Sites

SMALLEST = 99
"""Pixels: the least height and width of which M-ResNet's last pooling leaves any."""

STAGES = ((2, 64, 1), (3, 128, 2), (4, 256, 5), (5, 512, 3))
"""Number of the CoPr that opens a stage, its feature maps, and its residual blocks.

The first stage's blocks follow its pooling, as all others' do.
"""

residual_normal: Initializer = jax.nn.initializers.normal(0.01)
"""Wen et al.'s initialisation of the residual convolutions."""

linear: Initializer = uniform_fan_in
"""Caffe's `xavier`, of all other layers."""


class CoPr(nn.Module):
    """Convolution and PReLU, `[B, H, W, C] -> [B, h, w, features]`.

    Attributes: as of `Conv`.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    pad: int = 0
    use_bias: bool = True
    kernel_init: Initializer = linear
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        y = Conv(
            self.features,
            self.kernel,
            self.stride,
            self.pad,
            self.use_bias,
            self.kernel_init,
            self.form,
            name="conv",
        )(images)
        slope = self.param("slope", nn.initializers.constant(0.25), (self.features,))
        return jnp.where(y > 0, y, slope.astype(y.dtype) * y)


class ResBl(nn.Module):
    """`u + CoPr(CoPr(u))` with 3x3 kernels, padded by 1; nothing follows the sum."""

    form: ConvForm = "matmul"

    @nn.compact
    def __call__(self, u: jax.Array) -> jax.Array:
        y = u
        for name in ("CoPr1", "CoPr2"):
            y = CoPr(
                u.shape[-1],
                pad=1,
                use_bias=False,
                kernel_init=residual_normal,
                form=self.form,
                name=name,
            )(y)
        return u + y


def trunk(y: jax.Array, form: ConvForm) -> jax.Array:
    """From CoPr2 to the last residual block; its layers belong to the calling module.

    Args:
      y: `[B, H, W, 32]` what CoPr1 yields.
      form: of the convolutions.
    """
    for number, features, blocks in STAGES:
        y = max_pool(CoPr(features, form=form, name=f"CoPr{number}")(y))
        for block in range(1, blocks + 1):
            y = ResBl(form, name=f"ResBl{number - 1}_{block}")(y)
    return y


class MResNet(nn.Module):
    """M-ResNet for RGB images of 227x227; z has 12,800 units, x has 384, linear."""

    classes: int
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(
        self, images: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        y = CoPr(32, 9, stride=2, form=self.form, name="CoPr1")(images)
        y = trunk(y, self.form)
        return _head(self.classes)(y.reshape(y.shape[0], -1), ratio, train)


class MResNetSurrogate(nn.Module):
    """CoPr 16@6x6 with stride 6 and pad 4, pool 3, CoPr 512, and M-ResNet's FC layers.

    The second convolution's kernel, stride and pad are 3, 3 and 1 for 227x227; for
    another size, those that yield as many units as M-ResNet has.
    """

    classes: int

    @nn.compact
    def __call__(
        self, images: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        y = max_pool(CoPr(16, 6, stride=6, pad=4, name="CoPr1")(images), 3)
        kernel, pad = matching(y.shape[1], _side(images.shape[1]))
        y = CoPr(512, kernel, stride=kernel, pad=pad, name="CoPr2")(y)
        return _head(self.classes)(y.reshape(y.shape[0], -1), ratio, train)


class FaceNet(nn.Module):
    """M-ResNet's parent, the center-loss network of Wen et al. (ECCV 2016).

    Takes RGB images of 112x96 and yields the `[B, 512]` feature that its losses and
    face verification use. Everything between its first convolution (3x3, stride 1) and
    its FC layer is shaped as in M-ResNet.
    """

    features: int = 512
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        y = trunk(CoPr(32, form=self.form, name="CoPr1")(images), self.form)
        y = nn.Dense(self.features, kernel_init=linear, dtype=y.dtype, name="FC1")(
            y.reshape(y.shape[0], -1)
        )
        return y.astype(jnp.float32)


def _head(classes: int) -> Head:
    return Head(classes, hidden=384, activation=lambda y: y, name="head")


def _side(size: int) -> int:
    """Height and width of M-ResNet's last feature map for images of `size` pixels."""
    side = (size - 9) // 2 + 1
    for _ in STAGES:
        side = (side - 2) // 2
    return side
