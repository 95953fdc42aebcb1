"""Images of every kind to RGB, squares, and a resize known from numpy."""

import numpy as np
import pytest
from PIL import Image

from surrojax.data.pixels import Square, cut, open_rgb, resize, square_of, to_square
from surrojax.errors import InputError


def gradient(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "gif", "jpg"])
@pytest.mark.parametrize("colour", [(250, 0, 0), (0, 0, 250)], ids=["red", "blue"])
def test_colours_are_in_the_order_red_green_blue(tmp_path, suffix, colour):
    file = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.new("RGB", (24, 16), colour).save(file, **lossless)
    pixels = open_rgb(file)
    assert pixels.shape == (16, 24, 3)
    assert pixels.dtype == np.uint8
    # JPEG's own rounding is a few levels.
    np.testing.assert_allclose(
        pixels.astype(int), np.broadcast_to(colour, (16, 24, 3)), atol=4
    )


def test_colour_file_is_read_exactly(tmp_path):
    Image.fromarray(gradient(5, 7)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(open_rgb(tmp_path / "a.png"), gradient(5, 7))


GREYS = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)


def grey_image(mode: str) -> Image.Image:
    if mode == "I;16":
        # 257 times a level is the same share of 65535.
        return Image.fromarray(GREYS.astype(np.uint16) * 257)
    if mode == "P":
        image = Image.fromarray(255 - GREYS).convert("P")
        image.putpalette([255 - i for i in range(256) for _ in range(3)])
        return image
    if mode == "CMYK":
        return Image.fromarray(GREYS).convert("RGB").convert("CMYK")
    return Image.fromarray(GREYS).convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("L", "png"),
        ("LA", "png"),
        ("RGBA", "png"),
        ("P", "png"),
        ("I;16", "png"),
        ("I;16", "tiff"),
        ("I;16", "pgm"),
        ("CMYK", "tiff"),
    ],
)
def test_every_mode_of_a_grey_image(tmp_path, mode, suffix):
    file = tmp_path / f"a.{suffix}"
    grey_image(mode).save(file)
    np.testing.assert_array_equal(open_rgb(file), np.stack([GREYS] * 3, -1))


def test_one_bit_is_black_and_white(tmp_path):
    bits = np.array([[True, False, True]])
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert open_rgb(tmp_path / "a.png")[0, :, 1].tolist() == [255, 0, 255]


def test_16_bits_keep_the_scale(tmp_path):
    # A dark image stays dark: it is not stretched to its own brightest pixel.
    Image.fromarray(np.array([[0, 256, 1000, 65535]], np.uint16)).save(
        tmp_path / "a.png"
    )
    assert open_rgb(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 3, 255]


def test_transparent_is_black(tmp_path):
    pixels = np.full((1, 3, 4), 200, np.uint8)
    pixels[0, :, 3] = [255, 0, 51]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    # 51 of 255 is a fifth.
    assert open_rgb(tmp_path / "a.png")[0, :, 0].tolist() == [200, 0, 40]
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 8, 7, 90, 80, 70])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png", transparency=0)
    assert open_rgb(tmp_path / "p.png").tolist() == [[[0, 0, 0], [90, 80, 70]]]


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a, 1)),
        (2, lambda a: a[:, ::-1]),
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(gradient(4, 6)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(open_rgb(tmp_path / "a.png"), turned(gradient(4, 6)))


def damage(content: bytes, how: str) -> bytes:
    return {
        "empty": b"",
        "text": b"no image",
        "truncated": content[: len(content) // 2],
    }[how]


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "gif"])
@pytest.mark.parametrize("how", ["empty", "text", "truncated"])
def test_unreadable_file_is_named(tmp_path, suffix, how):
    file = tmp_path / f"face.{suffix}"
    Image.fromarray(gradient(60, 50)).save(file)
    file.write_bytes(damage(file.read_bytes(), how))
    with pytest.raises(
        InputError, match=r"face\.\w+: cannot be read .* restore it"
    ) as e:
        open_rgb(file)
    assert "\n" not in str(e.value)


def test_absent_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.png: is absent; restore it"):
        open_rgb(tmp_path / "no.png")
    with pytest.raises(InputError, match="cannot be read"):
        open_rgb(tmp_path)


def test_fractions_are_refused(tmp_path):
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match="fractions; 8 or 16 bits"):
        open_rgb(tmp_path / "a.tiff")


def test_square_of_an_image_is_its_middle():
    assert square_of((10, 16, 3)) == Square(3, 0, 10)
    assert square_of((16, 9, 3)) == Square(0, 3, 9)
    wide = gradient(10, 16)
    np.testing.assert_array_equal(to_square(wide), wide[:, 3:13])


def test_square_of_a_box_has_its_longer_side_and_its_centre():
    image = gradient(40, 40)
    np.testing.assert_array_equal(
        to_square(image, (10, 12, 20, 32)), image[12:32, 5:25]
    )


def test_outside_the_image_its_edge_goes_on():
    image = gradient(6, 8)
    square = to_square(image, (-3, 2, 3, 8))
    padded = np.pad(image, ((0, 2), (3, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(square, padded[2:8, 0:6])
    np.testing.assert_array_equal(
        cut(image, Square(7, 5, 3)), np.broadcast_to(image[5, 7], (3, 3, 3))
    )


def triangle(line: np.ndarray, size: int) -> np.ndarray:
    """A line `[n, ...]` resized: each result is a weighted mean of what is near.

    The weights fall linearly from the result's place; they reach as far as one pixel,
    or one result's width where that is wider.
    """
    step = len(line) / size
    reach = max(1.0, step)
    out = []
    for i in range(size):
        distance = np.abs(np.arange(len(line)) + 0.5 - (i + 0.5) * step)
        weights = np.maximum(0, 1 - distance / reach)
        out.append(np.tensordot(weights / weights.sum(), line, 1))
    return np.stack(out)


@pytest.mark.parametrize("size", [5, 16, 31])
def test_resize_is_the_triangle_filter(size):
    image = gradient(17, 12)
    down = triangle(image.astype(float), size)
    expected = triangle(down.swapaxes(0, 1), size).swapaxes(0, 1)
    got = resize(image, size, 3)
    assert got.shape == (size, size, 3)
    assert np.abs(got - expected).max() <= 1


def test_grey_is_luma_then_resized():
    image = gradient(9, 9)
    luma = np.rint(image @ np.array([0.299, 0.587, 0.114]))
    expected = triangle(triangle(luma, 4).T, 4).T
    got = resize(image, 4, 1)
    assert got.shape == (4, 4, 1)
    assert np.abs(got[..., 0] - expected).max() <= 1
    same = resize(image, 9, 1)[..., 0]
    assert np.abs(same - luma).max() <= 1


def test_resize_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resize(gradient(8, 8), 8, 3), gradient(8, 8))
