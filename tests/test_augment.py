"""Normalisation and augmentation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.data.augment import Augment, Look, mirror, shift
from surrojax.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (200, 5, 5, 1), dtype=np.uint8)


LOOK = Look(5, 1)


def test_normalize_maps_every_pixel_into_minus_1_to_1():
    pixels = np.arange(256, dtype=np.uint8)
    actual = LOOK.normalize(jnp.asarray(pixels))
    assert actual.dtype == jnp.float32
    np.testing.assert_array_equal(actual, (np.arange(256) - 127.5) / 128)
    assert actual.min() > -1 and actual.max() < 1


def changed(augment, key, images):
    return augment.apply(augment.draw(key, len(images)), images)


def moved(key, images, pixels):
    """What `shift` does with starts that are drawn as for training."""
    changes = Augment(LOOK, False, pixels).draw(key, len(images))
    return images if changes.starts is None else shift(changes.starts, images, pixels)


def mirrored_at_random(key, images):
    return mirror(Augment(LOOK, True).draw(key, len(images)).flip, images)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_mirror_flips_about_half_left_to_right(wrap):
    flipped = 0
    for before, after in zip(
        IMAGES,
        np.asarray(wrap(mirrored_at_random)(KEY, jnp.asarray(IMAGES))),
        strict=True,
    ):
        same = (after == before).all()
        assert same or (after == before[:, ::-1]).all()
        flipped += not same
    assert 70 < flipped < 130  # 4 standard deviations of Binomial(200, 0.5)


def test_shift_0_is_the_identity():
    starts = jnp.zeros((len(IMAGES), 2), int)
    np.testing.assert_array_equal(shift(starts, jnp.asarray(IMAGES), 0), IMAGES)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_shift_cuts_a_window_of_the_edge_padded_image(wrap):
    pixels = 2
    shifted = np.asarray(
        wrap(lambda key, images: moved(key, images, pixels))(KEY, jnp.asarray(IMAGES))
    )
    assert shifted.shape == IMAGES.shape
    starts = set()
    for before, after in zip(IMAGES, shifted, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="edge")
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if (padded[i : i + 5, j : j + 5] == after).all()
        ]
        assert found
        starts.update(found)
    assert starts == {(i, j) for i in range(5) for j in range(5)}


def test_augment_without_options_only_normalizes():
    augment = Augment(LOOK, mirrored=False)
    np.testing.assert_array_equal(
        changed(augment, KEY, jnp.asarray(IMAGES)), LOOK.normalize(IMAGES)
    )


def test_augment_mirrors_and_shifts_and_depends_on_the_key_alone():
    augment = jax.jit(partial(changed, Augment(LOOK, mirrored=True, pixels=1)))
    images = jnp.asarray(IMAGES)
    first, again = augment(KEY, images), augment(KEY, images)
    other = augment(jax.random.key(1), images)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    moves = set()
    normal = np.asarray(LOOK.normalize(IMAGES))
    for before, after in zip(normal, np.asarray(first), strict=True):
        padded = np.pad(before, ((1, 1), (1, 1), (0, 0)), mode="edge")
        found = [
            (i, j, flip)
            for i in range(3)
            for j in range(3)
            for flip in (1, -1)
            if (padded[i : i + 5, j : j + 5][:, ::flip] == after).all()
        ]
        assert found
        moves.update(found)
    assert len(moves) == 18


# Crops and views.


@pytest.mark.parametrize(
    ("crops", "grid", "mirrored"), [(18, 3, 2), (16, 4, 1), (25, 5, 1), (8, 2, 2)]
)
def test_the_crops_are_every_offset_once_and_their_mirror_images(crops, grid, mirrored):
    look = Look(45, 1, crops=crops)
    assert look.side == 50  # a window of 0.9
    image = RNG.integers(0, 256, (1, 50, 50, 1), dtype=np.uint8)
    offsets = np.round(np.arange(grid) * 5 / (grid - 1)).astype(int)
    expected = [
        image[0, top : top + 45, left : left + 45, :][:, ::flip]
        for flip in (1, -1)[:mirrored]
        for top in offsets
        for left in offsets
    ]
    assert len(expected) == crops
    for index, window in enumerate(expected):
        view = look.see_crop(jnp.asarray(image), jnp.array(index))
        np.testing.assert_array_equal(view[0], (window - 127.5) / 128)


def test_training_takes_every_crop_about_as_often_and_each_image_its_own():
    look = Look(45, 1, crops=16)
    image = RNG.integers(0, 256, (50, 50, 1), dtype=np.uint8)
    images = jnp.asarray(np.tile(image, (400, 1, 1, 1)))
    drawn = np.asarray(changed(Augment(look, False), KEY, images))
    views = [np.asarray(look.see_crop(images[:1], index))[0] for index in range(16)]
    counts = [(drawn == view).all(axis=(1, 2, 3)).sum() for view in views]
    assert sum(counts) == 400
    assert min(counts) > 5  # 4 standard deviations of Binomial(400, 1/16) below 25


def test_the_center_is_the_window_in_the_middle():
    look = Look(45, 1, crops=18)
    image = RNG.integers(0, 256, (1, 50, 50, 1), dtype=np.uint8)
    view = look.see_center(jnp.asarray(image), jnp.array(0))
    np.testing.assert_array_equal(view[0], (image[0, 2:47, 2:47] - 127.5) / 128)


def test_small_grey_images_are_enlarged_and_repeat_their_channel():
    look = Look(8, 3)
    image = np.array([[0, 200], [0, 200]], np.uint8).reshape(1, 2, 2, 1)
    view = np.asarray(look.see_center(jnp.asarray(image), jnp.array(0)))
    assert view.shape == (1, 8, 8, 3)
    # Bilinear between pixel centres at 2 and 6 of 8, constant beyond them.
    x = np.clip((np.arange(8) + 0.5 - 2) / 4, 0, 1) * 200
    expected = np.broadcast_to(((x - 127.5) / 128)[None, :, None], (8, 8, 3))
    np.testing.assert_allclose(view[0], expected, atol=1e-5)


def test_a_look_computes_in_its_type():
    look = Look(5, 1, dtype="bfloat16")
    augment = Augment(look, True, 1)
    assert changed(augment, KEY, jnp.asarray(IMAGES)).dtype == jnp.bfloat16
    assert look.see_center(jnp.asarray(IMAGES), 0).dtype == jnp.bfloat16


@pytest.mark.parametrize("crops", [2, 3, 5, 12, 17])
def test_a_number_of_crops_that_no_grid_has_is_refused(crops):
    with pytest.raises(InputError, match=f"^crops: {crops} is neither"):
        Look(28, 1, crops=crops)
