"""Layers shared by the networks: convolution in two forms, pooling, dropout."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

ConvForm = Literal["matmul", "lax"]

uniform_fan_in: Initializer = jax.nn.initializers.variance_scaling(
    1.0, "fan_in", "uniform"
)
"""Uniform within +-sqrt(3 / fan_in): Caffe's filler for LeNet."""

he_normal: Initializer = jax.nn.initializers.he_normal()
"""He et al.'s initialisation, for ResNet20."""


def patches(images: jax.Array, kernel: int, stride: int) -> jax.Array:
    """The windows under a kernel, `[B, H, W, C] -> [B, h, w, kernel^2 C]`, row-major.

    Without overlap this is a reshape; with it, a concatenation of slices.
    """
    b, height, width, c = images.shape
    h, w = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    if kernel == stride:
        images = images[:, : h * kernel, : w * kernel]
        cut = images.reshape(b, h, kernel, w, kernel, c)
        return cut.transpose(0, 1, 3, 2, 4, 5).reshape(b, h, w, kernel * kernel * c)
    down, across = stride * (h - 1) + 1, stride * (w - 1) + 1
    slices = [
        images[:, i : i + down : stride, j : j + across : stride]
        for i in range(kernel)
        for j in range(kernel)
    ]
    return jnp.concatenate(slices, axis=-1)


class Conv(nn.Module):
    """Convolution with a square kernel, `[B, H, W, C] -> [B, h, w, features]`.

    Attributes:
      features: number of feature maps.
      kernel, stride, pad: in pixels; padding is with zeros on all four sides.
      use_bias: whether a bias is added.
      kernel_init: initialiser of the kernel `[kernel, kernel, C, features]`.
      form: `matmul` (patches and one matrix product) is the faster one on a CPU,
        where XLA's convolution is slow inside a scan, and wherever kernels are
        vmapped, which would make a grouped convolution; `lax` is XLA's convolution.
    """

    features: int
    kernel: int
    stride: int = 1
    pad: int = 0
    use_bias: bool = True
    kernel_init: Initializer = uniform_fan_in
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        shape = (self.kernel, self.kernel, images.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        kernel = kernel.astype(images.dtype)
        if self.form == "lax":
            y = jax.lax.conv_general_dilated(
                images,
                kernel,
                window_strides=(self.stride, self.stride),
                padding=((self.pad, self.pad), (self.pad, self.pad)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        else:
            edge = (self.pad, self.pad)
            padded = jnp.pad(images, ((0, 0), edge, edge, (0, 0)))
            windows = patches(padded, self.kernel, self.stride)
            y = windows @ kernel.reshape(-1, self.features)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + bias.astype(y.dtype)
        return y


def matching(side: int, wanted: int) -> tuple[int, int]:
    """Kernel (which is also the stride) and pad that turn `side` pixels into `wanted`.

    A surrogate's last convolution has them, so that its z has the size of the
    original's for any size of image: 7 and 0 for LeNet's 28 pixels and 4 columns, 3
    and 1 for M-ResNet's 13 columns and 5 (Table 2, Fig. 3).
    """
    kernel = -(-side // wanted)
    return kernel, -(-(kernel * wanted - side) // 2)


def max_pool(images: jax.Array, window: int = 2) -> jax.Array:
    """Max pooling without overlap; a remainder at the right and bottom is dropped.

    A reshape and a maximum have a cheaper gradient on a CPU than a reduce-window.
    """
    b, h, w, c = images.shape
    h, w = h // window, w // window
    images = images[:, : h * window, : w * window]
    return images.reshape(b, h, window, w, window, c).max(axis=(2, 4))


def dropout(key: jax.Array, ratio: jax.Array, a: jax.Array) -> jax.Array:
    """Dropout of features or weights (eq. 7), inverted; the ratio may be traced.

    Args:
      key: a random key; the same key gives nested masks for different ratios, so
        candidates that share it are compared on common random numbers.
      ratio: p, the probability to drop.
      a: any shape: `[B, n]` gets one mask a sample, weights one mask a step.

    Returns:
      `a` with each entry set to 0 with probability p, else divided by 1 - p, so
      that evaluation is the identity.
    """
    keep = jax.random.uniform(key, a.shape) < 1 - ratio
    return jnp.where(keep, a, 0) / jnp.asarray(1 - ratio, a.dtype)
