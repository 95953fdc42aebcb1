"""Convolutions of users' networks in a form that suits the machine.

XLA's gradient of a convolution is some fifty times slower than need be in a CPU's
loops, so Flax's own layer is intercepted there and computed as the package's are.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.networks.calls import Path
from surrojax.networks.layers import (
    FEWEST_DIRECT,
    ConvForm,
    convolve_directly,
    patches,
)


class Faster:
    """An interceptor that computes `nn.Conv` in another form, where it can be.

    A layer of another rank, with groups, dilation, a mask or a kernel that is not
    square is left as it is.

    Args:
      form: `lax` leaves all of them, but those that are multiplied.
      multiplied: paths of layers that are computed in the form `matmul` in any case.
    """

    def __init__(
        self, form: ConvForm, multiplied: frozenset[Path] = frozenset()
    ) -> None:
        self._form, self._multiplied = form, multiplied

    def __call__(
        self,
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        module = context.module
        form = "matmul" if module.path in self._multiplied else self._form
        if (
            form == "lax"
            or type(module) is not nn.Conv  # a subclass computes something else
            or context.method_name != "__call__"
            or module.is_initializing()
            or len(arguments) != 1
            or options
            or not _plain(module, arguments[0])
        ):
            return call(*arguments, **options)
        return _convolve(module, arguments[0], form)


def _plain(module: nn.Conv, images: jax.Array) -> bool:
    """Whether a layer is one of those that the package computes itself."""
    kernel = module.kernel_size
    square = not isinstance(kernel, int) and len(kernel) == 2 and len(set(kernel)) == 1
    return (
        square
        and images.ndim == 4
        and _one(module.strides) is not None
        and _one(module.input_dilation) == 1
        and _one(module.kernel_dilation) == 1
        and module.feature_group_count == 1
        and module.mask is None
        and module.precision is None
        and (not isinstance(module.padding, str) or module.padding in ("SAME", "VALID"))
        and module.conv_general_dilated is None
        and module.conv_general_dilated_cls is None
        and module.promote_dtype is nn.dtypes.promote_dtype
    )


def _one(values: Any) -> int | None:
    """The number that all of them are; None: they differ."""
    several = {1 if values is None else values} if _is_single(values) else set(values)
    return several.pop() if len(several) == 1 else None


def _is_single(values: Any) -> bool:
    return values is None or isinstance(values, int)


def _convolve(module: nn.Conv, images: jax.Array, form: ConvForm) -> jax.Array:
    params = module.variables["params"]
    images, kernel, bias = nn.dtypes.promote_dtype(
        images, params["kernel"], params.get("bias"), dtype=module.dtype
    )
    size, stride = kernel.shape[0], _one(module.strides) or 1
    images = jnp.pad(images, ((0, 0), *_pads(module, images, size, stride), (0, 0)))
    if form == "direct" and images.shape[-1] >= FEWEST_DIRECT:
        y = convolve_directly(images, kernel, stride, 0)
    else:
        y = patches(images, size, stride) @ kernel.reshape(-1, kernel.shape[-1])
    return y if bias is None else y + bias


def _pads(
    module: nn.Conv, images: jax.Array, size: int, stride: int
) -> list[tuple[int, int]]:
    """Rows and columns of zeros before and after, as `nn.Conv` adds them."""
    asked: Any = module.padding
    if isinstance(asked, str):
        return jax.lax.padtype_to_pads(
            images.shape[1:3], (size, size), (stride, stride), asked
        )
    pairs = [asked, asked] if isinstance(asked, int) else list(asked)
    return [(pad, pad) if isinstance(pad, int) else tuple(pad) for pad in pairs]
