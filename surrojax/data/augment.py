"""Pixels to what a network takes, and the augmentation, on the device."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def normalize(images: jax.Array) -> jax.Array:
    """`(pixel - 127.5) / 128`: uint8 `[..., H, W, C]` to float32 in (-1, 1)."""
    return (images.astype(jnp.float32) - 127.5) / 128


def mirror(key: jax.Array, images: jax.Array) -> jax.Array:
    """Each image of `[B, H, W, C]` is mirrored left to right with probability 0.5."""
    flip = jax.random.bernoulli(key, 0.5, (images.shape[0], 1, 1, 1))
    return jnp.where(flip, images[:, :, ::-1], images)


def shift(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Each image is shifted by up to `pixels` in each direction; its edge is repeated.

    The window of the old size is cut at random out of the padded image.
    """
    b, h, w, c = images.shape
    edge = (pixels, pixels)
    padded = jnp.pad(images, ((0, 0), edge, edge, (0, 0)), mode="edge")
    starts = jax.random.randint(key, (b, 2), 0, 2 * pixels + 1)

    def cut(image: jax.Array, start: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (start[0], start[1], 0), (h, w, c))

    return jax.vmap(cut)(padded, starts)


def make_augment(
    mirrored: bool, pixels: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`(key, images uint8) -> float32`: shift, mirror, normalise.

    Args:
      mirrored: whether to mirror half of the images.
      pixels: the largest shift; 0 for none, the default for FER2013.
    """

    def augment(key: jax.Array, images: jax.Array) -> jax.Array:
        mirror_key, shift_key = jax.random.split(key)
        if pixels:
            images = shift(shift_key, images, pixels)
        if mirrored:
            images = mirror(mirror_key, images)
        return normalize(images)

    return augment
