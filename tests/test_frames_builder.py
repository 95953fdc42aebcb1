"""A listing's files to prepared pixels: order, cache, faults, faces not found."""

import csv
import hashlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from surrojax.data import align, examples, frames_builder, keypoints, video
from surrojax.data.dataset import digest_of
from surrojax.data.frames_builder import BUILDERS, FramesConfig, Prepared, prepare
from surrojax.data.listing import Frame, Listing
from surrojax.errors import InputError

ROOT = Path(__file__).parent.parent


def draw(i: int) -> np.ndarray:
    """Photo number i, 40 x 30; its first pixel says which."""
    image = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
    image[0, 0] = i
    return image


def listed(root: Path, count: int = 11) -> Listing:
    """The photos in two classes; of three subjects, the last half in the test split."""
    frames = tuple(
        Frame(
            f"{i:03}.png",
            ("happy", "sad")[i % 2],
            f"s{i // 3}",
            f"P{i % 3}",
            "test" if i >= count // 2 else "train",
        )
        for i in range(count)
    )
    return Listing("folder", root, "drawn", ("happy", "sad"), frames)


def make(root: Path, count: int = 11) -> Listing:
    """A folder of photos, and what a reader finds in it."""
    root.mkdir()
    for i in range(count):
        Image.fromarray(draw(i)).save(root / f"{i:03}.png")
    return listed(root, count)


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
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_frames_builder import Finder, listed
from surrojax.data import align, examples, frames_builder, keypoints
from surrojax.errors import InputError
align.Detector = Finder
{before}
prepare = frames_builder.prepare
try:
    prepared = prepare(listed(Path({data!r})), 16, 3, {align}, cache={cache!r})
    print(prepared.digests.tolist())
except InputError as error:
    print(error)
"""


def process(tmp_path: Path, before: str = "", align: bool = False) -> subprocess.Popen:
    """Another process that prepares the same photos."""
    code = SCRIPT.format(
        tests=str(ROOT / "tests"),
        root=str(ROOT),
        data=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        before=textwrap.dedent(before),
        align=align,
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_and_no_noise(listing, tmp_path):
    both = [process(tmp_path) for _ in range(2)]
    outputs = [one.communicate(timeout=60) for one in both]
    digests = prepare(listing, 16, 3, False, cache=tmp_path / "cache").digests
    assert outputs == [(f"{digests.tolist()}\n", "")] * 2


def test_kill_loses_a_chunk_of_key_points_and_leaves_nothing_prepared(
    listing, tmp_path, ready, finder
):
    kill = """
    keypoints.CHUNK = 3
    read = examples.open_rgb
    def until_the_eighth(file):
        if file.name == "007.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return read(file)
    examples.open_rgb = until_the_eighth
    """
    killed = process(tmp_path, kill, align=True)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(ready(listing, align=True).images) == 11
    # Two chunks of three were kept; the seventh face is looked for again.
    assert finder.looked == [6, 7, 8, 9, 10]


def test_interrupted_preparation_keeps_the_key_points(
    listing, ready, finder, monkeypatch, tmp_path
):
    read = examples.open_rgb

    def interrupted(file):
        if file.name == "007.png":
            raise KeyboardInterrupt
        return read(file)

    with monkeypatch.context() as patch:
        patch.setattr(examples, "open_rgb", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ready(listing, align=True)
    assert not list((tmp_path / "cache").rglob("dataset_info.json"))
    ready(listing, align=True)
    assert finder.looked == list(range(11))


def test_full_disk_is_one_line_and_leaves_nothing(listing, tmp_path, ready):
    limit = """
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    """
    message, _ = process(tmp_path, limit).communicate(timeout=60)
    assert message.count("\n") == 1
    assert "the prepared data cannot be written" in message
    assert "make room" in message
    assert not list((tmp_path / "cache").rglob("dataset_info.json"))
    assert len(ready(listing).images) == 11


def test_cache_that_cannot_be_written(listing, ready, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(InputError, match="cache cannot be written .* SURROJAX_CACHE"):
        ready(listing)


def test_damaged_cache_is_named(listing, ready, tmp_path):
    images = ready(listing).images
    (records,) = (tmp_path / "cache").rglob("*array_record*")
    os.truncate(records, 100)
    with pytest.raises(InputError, match="damaged .* delete this folder"):
        ready(listing)
    with pytest.raises(InputError, match="damaged .* delete this folder"):
        pickle.loads(pickle.dumps(images))[[3]]


def test_damaged_facts_are_named(listing, ready, tmp_path):
    ready(listing)
    for file in (tmp_path / "cache").rglob("1.0.0/metadata.json"):
        file.write_text("{")
    with pytest.raises(InputError, match="damaged .* delete this folder"):
        ready(listing)


def test_unreadable_image_is_named_and_nothing_is_left(listing, ready, tmp_path):
    (listing.root / "005.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"005\.png: cannot be read"):
        ready(listing)
    assert not list((tmp_path / "cache").rglob("*array_record*"))
    assert not list((tmp_path / "cache").rglob("dataset_info.json"))


def test_file_that_has_gone_is_named(listing, ready):
    (listing.root / "005.png").unlink()
    with pytest.raises(InputError, match=r"005\.png: cannot be read .* restore it"):
        ready(listing)


@pytest.mark.parametrize(("size", "channels"), [(0, 3), (16, 2)])
def test_wrong_arguments(listing, ready, size, channels):
    with pytest.raises(InputError, match="image_size is 0|channels is 2"):
        ready(listing, size, channels)


def manifest(tmp_path: Path) -> list[list[str]]:
    (file,) = (tmp_path / "cache").rglob("manifest.csv")
    with file.open(newline="") as text:
        return list(csv.reader(text))


@pytest.mark.parametrize("shard", [2, 1000])
def test_faces_not_found_are_left_out_and_listed(
    listing, ready, finder, tmp_path, monkeypatch, shard
):
    # 4 and 5 are a shard of their own: one without any example.
    monkeypatch.setattr(frames_builder, "SHARD", shard)
    finder.without = (0, 4, 5)
    prepared = ready(listing, align=True)
    kept = [1, 2, 3, 6, 7, 8, 9, 10]
    assert prepared.frames == tuple(listing.frames[i] for i in kept)
    assert prepared.not_found == ("000.png", "004.png", "005.png")
    assert prepared.unreadable == ()
    for place, i in enumerate(kept):
        expected = align.align(draw(i), POINTS, 16)
        np.testing.assert_array_equal(prepared.images[place], expected)
    assert manifest(tmp_path) == [
        ["file", "frame", "reason"],
        ["000.png", "", "no face found"],
        ["004.png", "", "no face found"],
        ["005.png", "", "no face found"],
    ]


def test_manifest_that_a_kill_prevented_is_written_later(listing, ready, tmp_path):
    ready(listing)
    (file,) = (tmp_path / "cache").rglob("manifest.csv")
    file.unlink()
    ready(listing)
    assert manifest(tmp_path) == [["file", "frame", "reason"]]


def test_no_face_at_all(listing, ready, finder, tmp_path):
    finder.without = tuple(range(11))
    with pytest.raises(InputError, match=r"no face found in 11.*align=False"):
        ready(listing, align=True)
    assert not list((tmp_path / "cache").rglob("dataset_info.json"))


def test_another_size_does_not_look_again(listing, ready, finder):
    ready(listing, size=16, align=True)
    finder.looked.clear()
    large = ready(listing, size=24, align=True)
    assert finder.looked == []
    np.testing.assert_array_equal(large.images[2], align.align(draw(2), POINTS, 24))


def test_face_is_looked_for_around_its_box(listing, ready, monkeypatch):
    seen = []

    class Around:
        def landmarks(self, image):
            seen.append(image)
            return POINTS

    monkeypatch.setattr(align, "Detector", Around)
    frame = replace(listing.frames[3], box=(10, 8, 20, 18))
    prepared = ready(replace(listing, frames=(frame,)), align=True)
    # Half as large again: 2.5 pixels on each side, rounded to even.
    np.testing.assert_array_equal(seen[0], draw(3)[6:20, 8:22])
    expected = align.align(draw(3), POINTS + np.float32((8, 6)), 16)
    np.testing.assert_array_equal(prepared.images[0], expected)


def test_half_a_record_is_dropped_and_a_wrong_one_named(tmp_path, finder):
    file = tmp_path / "points.bin"
    frame = Frame("a.png", "happy", "a")
    points = keypoints.KeyPoints(file, 3)
    for row in range(3):
        points.of(row, frame, draw(row))
    points.flush()
    os.truncate(file, file.stat().st_size - 5)
    finder.looked.clear()
    again = keypoints.KeyPoints(file, 3)
    for row in range(3):
        np.testing.assert_array_equal(again.of(row, frame, draw(row)), POINTS)
    assert finder.looked == [2]
    again.flush()
    last = keypoints.KeyPoints(file, 3)
    np.testing.assert_array_equal(last.of(2, frame, draw(2)), POINTS)
    assert finder.looked == [2]
    with pytest.raises(InputError, match=r"points\.bin: .* damaged; delete this file"):
        keypoints.KeyPoints(file, 2)


def test_images_want_no_opencv(listing, ready, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert len(ready(listing).frames) == len(listing.frames)


def test_videos_are_decoded_once_and_bad_frames_listed(
    listing, ready, monkeypatch, tmp_path
):
    opened = []

    def read_frames(file, numbers):
        opened.append((file.name, sorted(numbers)))
        for n in sorted(numbers):
            if n != 3:
                yield n, draw(10 * int(file.stem[1]) + n)

    monkeypatch.setattr(video, "read_frames", read_frames)
    for name in ("v1.avi", "v2.avi"):
        (listing.root / name).write_bytes(b"x")
    frames = tuple(
        Frame(name, "sad", name, number=number)
        for number in (2, 0, 3)
        for name in ("v1.avi", "v2.avi")
    )
    prepared = ready(replace(listing, frames=frames))
    assert sorted(opened) == [("v1.avi", [0, 2, 3]), ("v2.avi", [0, 2, 3])]
    assert prepared.frames == frames[:4]
    for place, i in enumerate([12, 22, 10, 20]):
        np.testing.assert_array_equal(prepared.images[place], central(i))
        assert prepared.digests[place] == digest_of(prepared.images[place])
    assert prepared.unreadable == ("v1.avi, frame 3", "v2.avi, frame 3")
    assert manifest(tmp_path)[1:] == [
        ["v1.avi", "3", "frame cannot be decoded"],
        ["v2.avi", "3", "frame cannot be decoded"],
    ]


def test_progress_is_logged_where_there_is_no_terminal(
    listing, ready, monkeypatch, caplog, capfd
):
    monkeypatch.setattr(examples, "LOG_SECONDS", -1)
    with caplog.at_level(logging.INFO, logger="surrojax"):
        ready(listing)
    assert "folder: 1 of 11 frames" in caplog.text
    assert "folder: 11 of 11 frames" in caplog.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", BUILDERS)
def test_builder_scans_the_manual_folder(name, listing, tmp_path, monkeypatch):
    """As a user of TFDS prepares it, without `prepare`."""
    asked = []

    def scan(folder, **options):
        asked.append((folder, options))
        return replace(listing, name=name)

    monkeypatch.setattr(import_module(f"surrojax.data.{name}"), "scan", scan)
    config = FramesConfig(image_size=8, align=False, options={"a": "b"})
    builder = BUILDERS[name](
        config=config, data_dir=tmp_path / "tfds", file_format="array_record"
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=tmp_path, try_download_gcs=False
        )
    )
    assert asked == [(tmp_path, {"a": "b"})]
    source = builder.as_data_source(
        "frames", decoders={"image": tfds.decode.SkipDecoding()}
    )
    assert len(source) == 11
    record = source[7]
    texts = {
        key: record[key].decode() for key in ("label", "sequence", "subject", "split")
    }
    assert texts == {"label": "sad", "sequence": "s2", "subject": "P1", "split": "test"}
    assert (record["file"], record["number"], record["index"]) == (b"007.png", -1, 7)
    assert builder.info.metadata["classes"] == ["happy", "sad"]


def test_settings_have_names_of_their_own():
    settings = [
        FramesConfig(),
        FramesConfig(align=False),
        FramesConfig(image_size=48),
        FramesConfig(channels=1),
        FramesConfig(options={"camera": "NI"}),
        FramesConfig(options={"camera": "VL"}),
    ]
    assert settings[0].name == "227x227x3-aligned"
    assert len({one.name for one in settings}) == 6
