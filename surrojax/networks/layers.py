"""Layers shared by the networks: convolution in three forms, and pooling."""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

ConvForm = Literal["matmul", "direct", "lax"]
"""Ways to compute a convolution, all with the same result to float tolerance.

`lax` is XLA's convolution and its gradient, a GPU's library. XLA's gradient of it is
some fifty times slower than need be in a CPU's loops. `direct` is XLA's convolution
with a gradient of two more convolutions, which a CPU computes near its peak. `matmul`
is a product of windows and kernels: the fastest for few channels, for kernels that do
not overlap, and wherever kernels are vmapped, which would make a grouped convolution.
"""

uniform_fan_in: Initializer = jax.nn.initializers.variance_scaling(
    1.0, "fan_in", "uniform"
)
"""Uniform within +-sqrt(3 / fan_in): Caffe's filler for LeNet."""

he_normal: Initializer = jax.nn.initializers.he_normal()
"""He et al.'s initialisation, for ResNet20."""


computed_once = jax.lax.optimization_barrier
"""Computes an array once, where XLA would work it into each of its uses."""


def patches(images: jax.Array, kernel: int, stride: int) -> jax.Array:
    """The windows under a kernel, `[B, H, W, C] -> [B, h, w, kernel^2 C]`, row-major.

    Without overlap this is a reshape. With it, the windows are cut out of the rows
    first and then put on top of each other: long runs of memory are copied, and the
    gradient adds `2 kernel` arrays rather than `kernel^2`.
    """
    b, height, width, c = images.shape
    h, w = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    if kernel == stride:
        images = images[:, : h * kernel, : w * kernel]
        cut = images.reshape(b, h, kernel, w, kernel, c)
        return cut.transpose(0, 1, 3, 2, 4, 5).reshape(b, h, w, kernel * kernel * c)
    rows = images.reshape(b, height, width * c)
    starts = range(0, w * stride * c, stride * c)
    strips = computed_once(
        jnp.stack([rows[:, :, i : i + kernel * c] for i in starts], axis=2)
    )
    down = stride * (h - 1) + 1
    return jnp.concatenate(
        [strips[:, i : i + down : stride] for i in range(kernel)], axis=-1
    )


def convolve(images: jax.Array, kernel: jax.Array, stride: int, pad: int) -> jax.Array:
    """XLA's convolution of `[B, H, W, C]` with a kernel `[k, k, C, features]`."""
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


FEWEST_DIRECT = 3
"""Channels from which on `direct` is faster than `matmul`."""


def convolve_directly(
    images: jax.Array, kernel: jax.Array, stride: int, pad: int
) -> jax.Array:
    """`convolve` by a convolution of stride 1, with a gradient of its own.

    With another stride, `stride x stride` pixels become the channels of one.
    """
    if stride == 1:
        return _direct(pad, images, kernel)
    k, s, features = kernel.shape[0], stride, kernel.shape[-1]
    wide = -(-k // s)
    # As many pixels as the windows of a kernel of `wide` such blocks reach.
    reach = [s * ((n + 2 * pad - k) // s + wide) for n in images.shape[1:3]]
    after = [r - n - pad for r, n in zip(reach, images.shape[1:3], strict=True)]
    zero = jnp.zeros((), images.dtype)
    images = jax.lax.pad(
        images, zero, ((0, 0, 0), (pad, after[0], 0), (pad, after[1], 0), (0, 0, 0))
    )
    more = wide * s - k
    kernel = jnp.pad(kernel, ((0, more), (0, more), (0, 0), (0, 0)))
    b, h, w, c = images.shape
    images = images.reshape(b, h // s, s, w // s, s, c)
    images = images.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // s, w // s, -1)
    kernel = kernel.reshape(wide, s, wide, s, c, features)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(wide, wide, -1, features)
    return _direct(0, images, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _direct(pad: int, images: jax.Array, kernel: jax.Array) -> jax.Array:
    return convolve(images, kernel, 1, pad)


def _direct_and_saved(pad: int, images: jax.Array, kernel: jax.Array) -> Any:
    return _direct(pad, images, kernel), (images, kernel)


def _direct_gradient(
    pad: int, saved: tuple[jax.Array, jax.Array], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    images, kernel = saved
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    d_images = convolve(change, turned, 1, kernel.shape[0] - 1 - pad)
    # Channels stand for images, images for channels, and the change is the kernel.
    across, window = computed_once(
        (images.transpose(3, 1, 2, 0), change.transpose(1, 2, 0, 3))
    )
    return d_images, convolve(across, window, 1, pad).transpose(1, 2, 0, 3)


_direct.defvjp(_direct_and_saved, _direct_gradient)


class Conv(nn.Module):
    """Convolution with a square kernel, `[B, H, W, C] -> [B, h, w, features]`.

    Attributes:
      features: number of feature maps.
      kernel, stride, pad: in pixels; padding is with zeros on all four sides.
      use_bias: whether a bias is added.
      kernel_init: initialiser of the kernel `[kernel, kernel, C, features]`.
      form: how it is computed.
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
            y = convolve(images, kernel, self.stride, self.pad)
        elif self.form == "direct" and images.shape[-1] >= FEWEST_DIRECT:
            y = convolve_directly(images, kernel, self.stride, self.pad)
        else:
            edge = (self.pad, self.pad)
            padded = jnp.pad(images, ((0, 0), edge, edge, (0, 0)))
            windows = patches(padded, self.kernel, self.stride)
            y = windows @ kernel.reshape(-1, self.features)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + bias.astype(y.dtype)
        return y


@jax.custom_vjp
def greatest_of_four(windows: jax.Array, block: jax.Array) -> jax.Array:
    """The greatest of the four products that a window and a block of weights have.

    Args:
      windows: `[B, h, w, m]`.
      block: `[m, 4 n]`, n columns after n columns.

    Returns:
      `[B, h, w, n]`. Where several are the greatest, the first has its gradient,
      as in Caffe and PyTorch.
    """
    return _greatest_of_four(windows, block)[0]


def _greatest_of_four(
    windows: jax.Array, block: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    four = windows @ block
    greatest = jnp.max(four.reshape(*four.shape[:-1], 4, -1), axis=-2)
    return greatest, (windows, block, four)


def _greatest_of_four_gradient(
    saved: tuple[jax.Array, ...], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    windows, block, four = saved
    a, b, c, d = jnp.split(four, 4, axis=-1)
    of_ab, of_cd, left = a >= b, c >= d, jnp.maximum(a, b) >= jnp.maximum(c, d)
    first = [left & of_ab, left & ~of_ab, ~left & of_cd, ~left & ~of_cd]
    parts = [jnp.where(is_first, change, 0) for is_first in first]
    # XLA would work this into both products, transposed in one of them.
    d_four = computed_once(jnp.concatenate(parts, axis=-1))
    flat, flat_d = (a.reshape(-1, a.shape[-1]) for a in (windows, d_four))
    d_block = computed_once(jax.lax.dot_general(flat_d, flat, (((0,), (0,)), ((), ()))))
    return (flat_d @ block.T).reshape(windows.shape), d_block.T


greatest_of_four.defvjp(_greatest_of_four, _greatest_of_four_gradient)


class ConvPool(nn.Module):
    """Convolution with stride 1 and no padding, then max pooling 2x2, as Caffe's LeNet.

    `[B, H, W, C] -> [B, h, w, features]`; a remainder at the right and bottom is
    dropped. The bias is added after the maximum, which commutes with it.

    In the form `matmul` one window holds the four neighbours that are pooled: it is a
    pixel wider and higher than the kernel, and a matrix product yields all four from
    it, with the kernel at four places among zeros. That multiplies by ((k + 1) / k)^2
    too often and copies a third of the memory, in chunks four times as long.

    Attributes:
      features: number of feature maps.
      kernel: k, in pixels.
      form: as of `Conv`.
    """

    features: int
    kernel: int
    form: ConvForm = "matmul"

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        k, c, n = self.kernel, images.shape[-1], self.features
        kernel = self.param("kernel", uniform_fan_in, (k, k, c, n))
        kernel = kernel.astype(images.dtype)
        bias = self.param("bias", nn.initializers.zeros, (n,))
        if self.form == "lax":
            y = max_pool(convolve(images, kernel, 1, 0))
        else:
            places = [
                jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0)))
                for i in (0, 1)
                for j in (0, 1)
            ]
            block = jnp.concatenate(places, axis=-1).reshape(-1, 4 * n)
            y = greatest_of_four(patches(images, k + 1, 2), block)
        return y + bias.astype(y.dtype)


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
