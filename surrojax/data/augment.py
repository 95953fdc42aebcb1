"""Pixels to what a network takes: size, crops, mirror, shift, type; on the device."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from surrojax.errors import InputError

WINDOW = 0.9
"""Side of a crop's window, as a share of the image's."""


@dataclass(frozen=True)
class Look:
    """What a network is to receive of the images of a database.

    Attributes:
      size: height and width that the network takes, in pixels.
      channels: 1 or 3; a grey image repeats its channel.
      crops: windows of an image: 1 is the whole image; g^2 are a window of 0.9 of the
        side at g x g offsets (16: 4x4, 25: 5x5); 2 g^2 are those and their mirror
        images (18: 3x3 x mirror).
      dtype: of the network's computation.
    """

    size: int
    channels: int
    crops: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        whole = self.crops == 1
        if not whole and (self.crops < 4 or self.mirrored * self.grid**2 != self.crops):
            raise InputError(
                f"dataset.crops: {self.crops} is neither 1, g^2 nor 2 g^2 with g of 2 "
                "or more; the paper's are 18, 16 and 25"
            )

    @property
    def mirrored(self) -> int:
        """2 where each window also counts mirrored, else 1."""
        return 1 if math.isqrt(self.crops) ** 2 == self.crops else 2

    @property
    def grid(self) -> int:
        """g, the offsets in each direction."""
        return math.isqrt(self.crops // self.mirrored)

    @property
    def side(self) -> int:
        """Height and width of the whole image that the windows are cut from."""
        return self.size if self.crops == 1 else round(self.size / WINDOW)

    def whole(self, images: jax.Array) -> jax.Array:
        """Images `[B, H, W, C]` uint8 at this look's side, channels and type, raw."""
        images = images.astype(jnp.float32)
        b, h, w, c = images.shape
        if (h, w) != (self.side, self.side):
            shape = (b, self.side, self.side, c)
            images = jax.image.resize(images, shape, "bilinear")
        return jnp.broadcast_to(images, (*images.shape[:3], self.channels))

    def window(self, images: jax.Array, index: jax.Array) -> jax.Array:
        """Crop `index` of each whole image: `[B, size, size, C]`.

        Args:
          images: as `whole` yields them.
          index: `[]` or `[B]` int in [0, crops): row by row over the offsets, then the
            mirrored ones.
        """
        if self.crops == 1:
            return images
        index = jnp.broadcast_to(index, images.shape[:1])
        place = index % self.grid**2
        last = self.side - self.size
        offsets = jnp.round(jnp.linspace(0, last, self.grid)).astype(jnp.int32)
        cropped = self._cut(
            images, offsets[place // self.grid], offsets[place % self.grid]
        )
        return _flip(cropped, index >= self.grid**2)

    def center(self, images: jax.Array) -> jax.Array:
        """The central window of each whole image: `[B, size, size, C]`."""
        start = (self.side - self.size) // 2
        return images[:, start : start + self.size, start : start + self.size]

    def _cut(self, images: jax.Array, top: jax.Array, left: jax.Array) -> jax.Array:
        def one(image: jax.Array, top: jax.Array, left: jax.Array) -> jax.Array:
            shape = (self.size, self.size, image.shape[-1])
            return jax.lax.dynamic_slice(image, (top, left, 0), shape)

        return jax.vmap(one)(images, top, left)

    def normalize(self, images: jax.Array) -> jax.Array:
        """`(pixel - 127.5) / 128` in the type of the network's computation."""
        return ((images - 127.5) / 128).astype(self.dtype)

    def see_center(self, images: jax.Array, index: jax.Array) -> jax.Array:
        """The one view of an image that validation takes while tuning."""
        del index
        return self.normalize(self.center(self.whole(images)))

    def see_crop(self, images: jax.Array, index: jax.Array) -> jax.Array:
        """View `index` of the `crops` views of an image."""
        return self.normalize(self.window(self.whole(images), index))


def _flip(images: jax.Array, flip: jax.Array) -> jax.Array:
    return jnp.where(flip[:, None, None, None], images[:, :, ::-1], images)


def mirror(key: jax.Array, images: jax.Array) -> jax.Array:
    """Each image of `[B, H, W, C]` is mirrored left to right with probability 0.5."""
    return _flip(images, jax.random.bernoulli(key, 0.5, (images.shape[0],)))


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
    look: Look, mirrored: bool, pixels: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`(key, images uint8) -> float`: a random crop, shift, mirror, normalise.

    Args:
      look: what the network is to receive.
      mirrored: whether to mirror half of the images.
      pixels: the largest shift; 0 for none, the default for FER2013.
    """

    def augment(key: jax.Array, images: jax.Array) -> jax.Array:
        mirror_key, shift_key = jax.random.split(key)
        images = look.whole(images)
        if look.crops > 1:
            crop_key = jax.random.fold_in(key, 2)
            crops = jax.random.randint(crop_key, (len(images),), 0, look.crops)
            images = look.window(images, crops)
        if pixels:
            images = shift(shift_key, images, pixels)
        if mirrored:
            images = mirror(mirror_key, images)
        return look.normalize(images)

    return augment
