"""Videos: which frames are chosen, counted and read, and damage without noise."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from surrojax.data import video
from surrojax.errors import InputError

COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10)]


def write_video(file: Path, count: int, codec: str = "MJPG") -> bytes:
    """A video whose frame i is all of `COLOURS[i % 4]` (RGB), 48 high and 64 wide."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*codec), 25.0, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {codec}")
    for number in range(count):
        blue_green_red = COLOURS[number % 4][::-1]
        writer.write(np.full((48, 64, 3), blue_green_red, np.uint8))
    writer.release()
    return file.read_bytes()


@pytest.mark.parametrize(
    ("how", "by_count"),
    [
        (
            "middle",
            {0: (), 1: (0,), 2: (0, 1), 3: (0, 1, 2), 4: (1, 2, 3), 101: (49, 50, 51)},
        ),
        (
            "spread",
            {0: (), 1: (0,), 2: (0, 1), 3: (0, 1, 2), 4: (1, 2, 3), 101: (25, 50, 75)},
        ),
    ],
)
def test_three_frames_stand_for_a_sequence(how, by_count):
    assert {count: video.choose(count, how) for count in by_count} == by_count


@pytest.mark.parametrize("codec", ["MJPG", "mp4v"])
def test_frames_are_counted_and_read_by_number_in_rgb(tmp_path, codec):
    file = tmp_path / ("clip.avi" if codec == "MJPG" else "clip.mp4")
    write_video(file, 10, codec)
    assert video.count_frames(file) == 10
    # 10 lies behind the end.
    frames = list(video.read_frames(file, [7, 0, 2, 9, 10]))
    assert [number for number, _ in frames] == [0, 2, 7, 9]
    for number, pixels in frames:
        assert pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        # What compression leaves of a solid colour.
        difference = pixels.astype(int) - COLOURS[number % 4]
        assert np.abs(difference).max() <= 6


def test_no_frame_is_read_where_none_is_wanted(tmp_path):
    write_video(tmp_path / "clip.avi", 3)
    assert not list(video.read_frames(tmp_path / "clip.avi", []))


def test_a_cut_off_video_has_the_frames_that_decode_whatever_its_header_says(
    tmp_path, capfd
):
    whole = write_video(tmp_path / "whole.avi", 20)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole[: len(whole) * 7 // 10])
    import cv2

    header = cv2.VideoCapture(str(cut), cv2.CAP_FFMPEG)
    assert header.get(cv2.CAP_PROP_FRAME_COUNT) == 20
    header.release()
    count = video.count_frames(cut)
    assert 0 < count < 20
    found = video.read_frames(cut, range(20))
    assert [number for number, _ in found] == list(range(count))


@pytest.mark.parametrize("content", [b"", b"RIFF", np.random.default_rng(0).bytes(999)])
def test_what_is_no_video_has_no_frames_and_says_nothing(tmp_path, capfd, content):
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    file = tmp_path / "S001-001.avi"
    file.write_bytes(content)
    # Numbered images beside it are not taken for it.
    for number in (1, 2):
        (tmp_path / f"S001-{number:03}.png").write_bytes(b"x")
    assert video.count_frames(file) == 0
    assert not list(video.read_frames(file, [0]))
    assert video.count_frames(tmp_path / "absent.avi") == 0
    assert capfd.readouterr() == ("", "")


def test_the_log_level_of_opencv_is_as_before(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    before = cv2.utils.logging.getLogLevel()
    video.count_frames(tmp_path / "absent.avi")
    assert cv2.utils.logging.getLogLevel() == before


def test_without_opencv_the_message_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_cv2(name, *rest):
        if name == "cv2":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_cv2)
    with pytest.raises(InputError, match=r"pip install 'surrojax\[faces\]'"):
        video.count_frames(tmp_path / "clip.avi")
