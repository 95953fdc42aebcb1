"""Pixels to what a network takes: size, crops, mirror, shift, type; on the device."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import struct

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
                f"crops: {self.crops} is neither 1, g^2 nor 2 g^2 with g of 2 "
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
        return mirror(index >= self.grid**2, cropped)

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
        """`normalized` in the type of the network's computation."""
        return normalized(images).astype(self.dtype)

    def see_center(self, images: jax.Array, index: jax.Array) -> jax.Array:
        """The one view of an image that validation takes while tuning."""
        del index
        return self.normalize(self.center(self.whole(images)))

    def see_crop(self, images: jax.Array, index: jax.Array) -> jax.Array:
        """View `index` of the `crops` views of an image."""
        return self.normalize(self.window(self.whole(images), index))


def normalized(pixels: jax.Array) -> jax.Array:
    """Grey levels of 0 to 255 as float32 around 0: `(pixel - 127.5) / 128`."""
    return (pixels.astype(jnp.float32) - 127.5) / 128


def mirror(flip: jax.Array, images: jax.Array) -> jax.Array:
    """Images `[B, H, W, C]` mirrored left to right where `flip` `[B]` is true."""
    return jnp.where(flip[:, None, None, None], images[:, :, ::-1], images)


def shift(starts: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Each image is shifted by up to `pixels` in each direction; its edge is repeated.

    Args:
      starts: `[B, 2]` int in [0, 2 pixels]: the corner in the padded image from which
        a window of the old size is cut.
      images: `[B, H, W, C]`.
      pixels: the largest shift.
    """
    _, h, w, c = images.shape
    edge = (pixels, pixels)
    padded = jnp.pad(images, ((0, 0), edge, edge, (0, 0)), mode="edge")

    def cut(image: jax.Array, start: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (start[0], start[1], 0), (h, w, c))

    return jax.vmap(cut)(padded, starts)


@struct.dataclass
class Changes:
    """What chance decides of the images of a minibatch; None where it is off.

    Attributes:
      crops: `[B]` int, the window of each.
      starts: `[B, 2]` int, of `shift`.
      flip: `[B]` bool, of `mirror`.
    """

    crops: jax.Array | None
    starts: jax.Array | None
    flip: jax.Array | None


@dataclass(frozen=True)
class Augment:
    """A random crop, shift and mirror, then normalisation.

    Attributes:
      look: what the network is to receive.
      mirrored: whether to mirror half of the images.
      pixels: the largest shift; 0 for none, the default for FER2013.
    """

    look: Look
    mirrored: bool
    pixels: int = 0

    def draw(self, key: jax.Array, count: int) -> Changes:
        """The changes of `count` images, which a whole round can draw at once."""
        mirror_key, shift_key = jax.random.split(key)
        crop_key = jax.random.fold_in(key, 2)
        many, most = self.look.crops, 2 * self.pixels + 1
        return Changes(
            crops=jax.random.randint(crop_key, (count,), 0, many) if many > 1 else None,
            starts=jax.random.randint(shift_key, (count, 2), 0, most)
            if self.pixels
            else None,
            flip=jax.random.bernoulli(mirror_key, 0.5, (count,))
            if self.mirrored
            else None,
        )

    def apply(self, changes: Changes, images: jax.Array) -> jax.Array:
        """Images `[B, H, W, C]` uint8, changed, as the network takes them."""
        images = self.look.whole(images)
        if changes.crops is not None:
            images = self.look.window(images, changes.crops)
        if changes.starts is not None:
            images = shift(changes.starts, images, self.pixels)
        if changes.flip is not None:
            images = mirror(changes.flip, images)
        return self.look.normalize(images)
