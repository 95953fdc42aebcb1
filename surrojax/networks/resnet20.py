"""ResNet20 of He et al. for small images, and its surrogate (Table 2).

Both have one FC layer, so only the sites z and V exist: four hyper-parameters.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.networks.head import Head
from surrojax.networks.layers import Conv, ConvForm, he_normal
from surrojax.sites import Sites


class ResNet20(nn.Module):
    """The CIFAR network: 3 groups of 3 blocks of 16, 32, 64 maps, global average, FC K.

    Shortcuts are the identity, sub-sampled and padded with zero maps where a group
    begins (He et al.'s option A). z is the `[B, 64]` average.
    """

    classes: int
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(
        self, images: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        def conv(y: jax.Array, features: int, stride: int = 1) -> jax.Array:
            y = Conv(
                features,
                3,
                stride,
                1,
                use_bias=False,
                kernel_init=he_normal,
                form=self.form,
            )(y)
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, dtype=y.dtype
            )(y)

        y = nn.relu(conv(images, 16))
        for features in (16, 32, 64):
            for block in range(3):
                stride = 2 if block == 0 and features > 16 else 1
                residual = conv(nn.relu(conv(y, features, stride)), features)
                more = features - y.shape[-1]
                shortcut = jnp.pad(
                    y[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, more))
                )
                y = nn.relu(shortcut + residual)
        z = y.mean(axis=(1, 2))
        return Head(self.classes, kernel_init=he_normal, name="head")(z, ratio, train)


class ResNet20Surrogate(nn.Module):
    """conv 64@6x6 with stride 4 and pad 1, ReLU, global average, FC K; no batch norm.

    The ReLU lets it match ResNet20's z, which is an average of values at least 0;
    an average of a linear convolution could carry no more than the mean image.
    """

    classes: int

    @nn.compact
    def __call__(
        self, images: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        y = nn.relu(Conv(64, 6, stride=4, pad=1, kernel_init=he_normal)(images))
        z = y.mean(axis=(1, 2))
        return Head(self.classes, kernel_init=he_normal, name="head")(z, ratio, train)
