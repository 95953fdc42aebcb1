"""LeNet as Caffe ships it, for 28x28 images, and its surrogate (Table 2)."""

import flax.linen as nn
import jax

from surrojax.networks.head import Head
from surrojax.networks.layers import Conv, ConvForm, ConvPool, matching
from surrojax.sites import Sites


class LeNet(nn.Module):
    """conv 20@5x5, pool 2, conv 50@5x5, pool 2, FC 500 + ReLU, FC K.

    As in Caffe, nothing follows the convolutions but the pooling. z has 800 units
    and x has 500 for images of 28x28.
    """

    classes: int
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(
        self, images: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        y = ConvPool(20, 5, self.form, name="Conv_0")(images)
        y = ConvPool(50, 5, self.form, name="Conv_1")(y)
        z = y.reshape(y.shape[0], -1)
        return Head(self.classes, hidden=500, name="head")(z, ratio, train)


class LeNetSurrogate(nn.Module):
    """conv 50@7x7 with stride 7, FC 500 + ReLU, FC K.

    For images of another size than 28x28, the convolution's kernel and stride are
    those that yield as many units as LeNet has.

    No activation follows the convolution, so that it can match LeNet's signed z.
    """

    classes: int

    @nn.compact
    def __call__(
        self, images: jax.Array, ratio: Sites, train: bool
    ) -> tuple[jax.Array, Sites]:
        kernel, pad = matching(images.shape[1], _side(images.shape[1]))
        y = Conv(50, kernel, stride=kernel, pad=pad)(images)
        z = y.reshape(y.shape[0], -1)
        return Head(self.classes, hidden=500, name="head")(z, ratio, train)


def _side(size: int) -> int:
    """Height and width of LeNet's last feature map for images of `size` pixels."""
    return ((size - 4) // 2 - 4) // 2
