"""Normalisation and augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.data.augment import make_augment, mirror, normalize, shift

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).integers(0, 256, (200, 5, 4, 1), dtype=np.uint8)


def test_normalize_maps_every_pixel_into_minus_1_to_1():
    pixels = np.arange(256, dtype=np.uint8)
    actual = normalize(jnp.asarray(pixels))
    assert actual.dtype == jnp.float32
    np.testing.assert_array_equal(actual, (np.arange(256) - 127.5) / 128)
    assert actual.min() > -1 and actual.max() < 1


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_mirror_flips_about_half_left_to_right(wrap):
    flipped = 0
    for before, after in zip(
        IMAGES, np.asarray(wrap(mirror)(KEY, IMAGES)), strict=True
    ):
        same = (after == before).all()
        assert same or (after == before[:, ::-1]).all()
        flipped += not same
    assert 70 < flipped < 130  # 4 standard deviations of Binomial(200, 0.5)


def test_shift_0_is_the_identity():
    np.testing.assert_array_equal(shift(KEY, jnp.asarray(IMAGES), 0), IMAGES)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_shift_cuts_a_window_of_the_edge_padded_image(wrap):
    pixels = 2
    shifted = np.asarray(
        wrap(lambda key, images: shift(key, images, pixels))(KEY, jnp.asarray(IMAGES))
    )
    assert shifted.shape == IMAGES.shape
    starts = set()
    for before, after in zip(IMAGES, shifted, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="edge")
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if (padded[i : i + 5, j : j + 4] == after).all()
        ]
        assert found
        starts.update(found)
    assert starts == {(i, j) for i in range(5) for j in range(5)}


def test_augment_without_options_only_normalizes():
    augment = make_augment(mirrored=False, pixels=0)
    np.testing.assert_array_equal(augment(KEY, jnp.asarray(IMAGES)), normalize(IMAGES))


def test_augment_mirrors_and_shifts_and_depends_on_the_key_alone():
    augment = jax.jit(make_augment(mirrored=True, pixels=1))
    images = jnp.asarray(IMAGES)
    first, again = augment(KEY, images), augment(KEY, images)
    other = augment(jax.random.key(1), images)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    moves = set()
    normal = np.asarray(normalize(IMAGES))
    for before, after in zip(normal, np.asarray(first), strict=True):
        padded = np.pad(before, ((1, 1), (1, 1), (0, 0)), mode="edge")
        found = [
            (i, j, flip)
            for i in range(3)
            for j in range(3)
            for flip in (1, -1)
            if (padded[i : i + 5, j : j + 4][:, ::flip] == after).all()
        ]
        assert found
        moves.update(found)
    assert len(moves) == 18
