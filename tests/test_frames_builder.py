"""A listing's files to prepared pixels: order, cache, faults, kills, faces not found."""

import csv
import logging
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from surrojax.data import align, examples, frames_builder, keypoints, video
from surrojax.data.frames_builder import BUILDERS, FramesConfig, Prepared, prepare
from surrojax.data.listing import Frame, Listing
from surrojax.errors import InputError

ROOT = Path(__file__).parent.parent


def draw(i: int) -> np.ndarray:
    """Photo number i, 40 x 30; its first pixel says which."""
    image = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
    image[0, 0] = i
    return image


def make(root: Path, count: int = 11) -> Listing:
    """Photos in two classes; of three subjects, the last half in the test split."""
    root.mkdir(exist_ok=True)
    frames = []
    for i in range(count):
        Image.fromarray(draw(i)).save(root / f"{i:03}.png")
        split = "test" if i >= count // 2 else "train"
        label = ("happy", "sad")[i % 2]
        frames.append(Frame(f"{i:03}.png", label, f"s{i // 3}", f"P{i % 3}", split))
    return Listing("folder", root, "drawn", ("happy", "sad"), tuple(frames))


@pytest.fixture
def listing(tmp_path):
    return make(tmp_path / "data")


@pytest.fixture
def ready(tmp_path):
    """`prepare` with a cache of its own."""

    def call(listing: Listing, size=16, channels=3, align=False) -> Prepared:
        return prepare(listing, size, channels, align, cache=tmp_path / "cache")

    return call


class Finder:
    """A detector that finds a face in every photo but those of `without`."""

    without: tuple[int, ...] = ()
    looked: list[int] = []

    def landmarks(self, image):
        number = int(image[0, 0, 0])
        Finder.looked.append(number)
        return None if number in self.without else POINTS


POINTS = (align.TEMPLATE / 4).astype(np.float32)


@pytest.fixture
def finder(monkeypatch):
    monkeypatch.setattr(align, "Detector", Finder)
    monkeypatch.setattr(Finder, "without", ())
    monkeypatch.setattr(Finder, "looked", [])
    return Finder


def central(i: int, size: int = 16) -> np.ndarray:
    square = Image.fromarray(draw(i)[:, 5:35])
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("shard", [1, 4, 1000])
def test_frames_are_prepared_in_the_order_of_the_listing(
    listing, ready, shard, monkeypatch
):
    monkeypatch.setattr(frames_builder, "SHARD", shard)
    prepared = ready(listing)
    assert prepared.frames == listing.frames
    assert prepared.images.shape == (11, 16, 16, 3)
    assert len(prepared.images) == 11
    expected = np.stack([central(i) for i in range(11)])
    for rows in (np.arange(11), np.array([7, 0, 7]), slice(2, 9, 3), np.array([], int)):
        got = prepared.images[rows]
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, expected[rows])
    np.testing.assert_array_equal(prepared.images[-2], expected[-2])
    with pytest.raises(IndexError):
        prepared.images[11]


def test_digests_are_those_of_the_pixels(listing, ready):
    import hashlib

    prepared = ready(listing)
    assert prepared.digests.tolist() == [
        hashlib.sha256(central(i).tobytes()).hexdigest()[:32] for i in range(11)
    ]


def test_grey_and_size(listing, ready):
    prepared = ready(listing, size=9, channels=1)
    grey = Image.fromarray(draw(4)[:, 5:35]).convert("L")
    expected = grey.resize((9, 9), Image.Resampling.BILINEAR)
    assert prepared.images.shape == (11, 9, 9, 1)
    np.testing.assert_array_equal(prepared.images[4][..., 0], np.asarray(expected))


def test_box_is_cut_out(listing, ready):
    boxed = replace(listing.frames[3], box=(4, 6, 20, 18))
    listing = replace(listing, frames=(*listing.frames[:3], boxed))
    np.testing.assert_array_equal(ready(listing).images[3], draw(3)[4:20, 4:20])


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (90, 0, 99, 9), (-999, -999, 999, 999)])
def test_box_that_does_not_fit_is_named(listing, ready, box):
    frames = (replace(listing.frames[0], box=box),)
    with pytest.raises(InputError, match=r"000\.png: its face's box .* 40 x 30 pixels"):
        ready(replace(listing, frames=frames))


def test_second_time_nothing_is_decoded(listing, ready, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, logger="surrojax"):
        first = ready(listing)
        assert "preparing folder" in caplog.text
        monkeypatch.setattr(examples, "open_rgb", None)
        second = ready(listing)
    assert len(caplog.records) == 1
    assert first.frames == second.frames
    np.testing.assert_array_equal(first.images[:], second.images[:])
    np.testing.assert_array_equal(first.digests, second.digests)


def test_changed_file_is_prepared_anew(listing, ready):
    ready(listing)
    Image.fromarray(draw(77)).save(listing.root / "004.png")
    os.utime(listing.root / "004.png", ns=(1, 1))
    np.testing.assert_array_equal(ready(listing).images[4], central(77))


def test_images_can_be_sent_and_read_by_threads(listing, ready):
    images = ready(listing).images
    sent = pickle.loads(pickle.dumps(images))
    expected = np.stack([central(i) for i in range(11)])
    rows = [np.random.default_rng(i).integers(0, 11, 40) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        for asked, got in zip(rows, pool.map(sent.__getitem__, rows), strict=True):
            np.testing.assert_array_equal(got, expected[asked])


def test_two_at_once_give_the_same(listing, tmp_path, monkeypatch):
    decoded = []
    read = examples.open_rgb
    monkeypatch.setattr(
        examples, "open_rgb", lambda file: decoded.append(file) or read(file)
    )

    def call(_):
        return prepare(listing, 16, 3, False, cache=tmp_path / "cache").images[:]

    before = sys.stdout
    with ThreadPoolExecutor(4) as pool:
        a, *others = pool.map(call, range(4))
    for other in others:
        np.testing.assert_array_equal(a, other)
    assert len(decoded) == 11
    assert sys.stdout is before


SCRIPT = """
import os, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_frames_builder import make
from surrojax.data import examples, keypoints, align
from surrojax.data.frames_builder import prepare
{before}
listing = make(Path({data!r}))
prepared = prepare(listing, 16, 3, {align}, cache={cache!r})
print(prepared.digests.tolist())
"""


def script(tmp_path: Path, before: str = "", align: bool = False) -> list[str]:
    code = SCRIPT.format(
        tests=str(ROOT / "tests"),
        root=str(ROOT),
        data=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        before=textwrap.dedent(before),
        align=align,
    )
    return [sys.executable, "-W", "error", "-c", code]


def test_two_processes_at_once_and_nothing_on_the_terminal(tmp_path):
    make(tmp_path / "data")
    # Drawn again by the processes, the files would be new ones.
    still = "import test_frames_builder; test_frames_builder.Image.Image.save = " + (
        "lambda *a: None; make = test_frames_builder.make"
    )
    encode = (
        "import surrojax.data.tfds_local as t, io\n"
        "from PIL import Image\n"
        "real = Image.Image.save\n"
        "Image.Image.save = lambda self, file, *a, **k: "
        "isinstance(file, io.BytesIO) and real(self, file, *a, **k)\n"
    )
    del still
    running = [
        subprocess.Popen(
            script(tmp_path, encode),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    (a, errors_a), (b, errors_b) = (p.communicate(timeout=60) for p in running)
    assert (errors_a, errors_b) == ("", "")
    assert a == b
    assert len(a.split(",")) == 11
