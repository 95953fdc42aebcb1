"""AFEW: clips as videos and as crops, the frames that stand for them, every fault."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import readers
from readers import left_out
from test_video import write_video

from surrojax.data import afew, align, frames_builder, video
from surrojax.data.frames import samples
from surrojax.data.listing import Frame
from surrojax.errors import InputError

FACES = "AlignedFaces_LBPTOP_Points/Faces"
VAL_FACES = "AlignedFaces_LBPTOP_Points_Val/Faces"


@pytest.fixture
def counted(monkeypatch):
    """Videos that are not decoded: as many frames as bytes."""
    monkeypatch.setattr(afew, "count_frames", lambda file: file.stat().st_size)


def crops(clip: str, count: int, ending: str = "jpg") -> list[str]:
    return [f"{clip}/{number}.{ending}" for number in range(count)]


complaint = partial(readers.complaint, afew.scan)
draw = partial(readers.draw, size=9)


def chosen(listing, sequence: str) -> list[str | int]:
    """The numbers of the frames that stand for a clip, or the names of its crops."""
    frames = [listing.frames[row] for row in listing.chosen(range(len(listing.frames)))]
    return [
        Path(frame.file).name if frame.number is None else frame.number
        for frame in frames
        if frame.sequence == sequence
    ]


def test_videos_alone_give_the_frames_that_decode(tmp_path):
    write_video(tmp_path / "Train_AFEW/Angry/000046280.avi", 8)
    write_video(tmp_path / "Train_AFEW/Surprise/000046281.AVI", 2)
    write_video(tmp_path / "Val_AFEW/Happy/000046280.avi", 3)
    draw(tmp_path, "Val_AFEW/Sad/1.avi")
    listing = afew.scan(tmp_path)
    assert listing.frames == (
        *(
            Frame(
                "Train_AFEW/Angry/000046280.avi",
                "angry",
                "train/000046280",
                "",
                "train",
                number,
            )
            for number in range(8)
        ),
        *(
            Frame(
                "Train_AFEW/Surprise/000046281.AVI",
                "surprise",
                "train/000046281",
                "",
                "train",
                number,
            )
            for number in (0, 1)
        ),
        *(
            Frame(
                "Val_AFEW/Happy/000046280.avi",
                "happy",
                "test/000046280",
                "",
                "test",
                number,
            )
            for number in (0, 1, 2)
        ),
    )
    assert [chosen(listing, f"train/00004628{n}") for n in (0, 1)] == [
        [3, 4, 5],
        [0, 1],
    ]
    assert left_out(listing) == {("Val_AFEW/Sad/1.avi", "video does not decode")}
    assert listing.classes == ("angry", "happy", "surprise")
    assert listing.name == "afew" and listing.root == tmp_path


def test_crops_win_over_videos_and_videos_stand_in_for_absent_crops(tmp_path, counted):
    draw(
        tmp_path,
        "Train_AFEW/Angry/1.avi",
        "Train_AFEW/Neutral/2.avi",
        *crops(f"Train_AFEW/{FACES}/1", 12),
        "Val_AFEW/Fear/3.avi",
        *crops(f"Val_AFEW/{VAL_FACES}/3", 2, "JPG"),
    )
    listing = afew.scan(tmp_path)
    # By number, not by letter: 10 and 11 come last.
    assert chosen(listing, "train/1") == ["5.jpg", "6.jpg", "7.jpg"]
    assert chosen(listing, "train/2") == [3, 4, 5]
    assert chosen(listing, "test/3") == ["0.JPG", "1.JPG"]
    assert listing.notes == (
        "train: 1 clips from crops, 1 from videos",
        "test: 1 clips from crops, 0 from videos",
        "2 training and 1 validation clips, not the 757 and 365 that the paper used: "
        "its results do not compare",
    )
    assert listing.left_out == ()
    labels = {frame.sequence: (frame.label, frame.split) for frame in listing.frames}
    assert labels == {
        "train/1": ("angry", "train"),
        "train/2": ("neutral", "train"),
        "test/3": ("fear", "test"),
    }


def test_as_many_clips_as_the_paper_used_need_no_note(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(afew, "OFFICIAL", {"train": 2, "test": 1})
    clips = ("Train/Angry/1.avi", "Train/Sad/2.avi", "Val/Fear/3.avi")
    assert len(afew.scan(draw(tmp_path, *clips)).notes) == 2
    assert len(afew.scan(draw(tmp_path, "Val/Fear/4.avi")).notes) == 3


@pytest.mark.parametrize(
    ("frames", "expected"), [("middle", [4, 5, 6]), ("spread", [2, 5, 7])]
)
def test_a_clip_is_shown_by_frames_with_a_face(tmp_path, monkeypatch, frames, expected):
    """Not by the middle ones of all: a clip would be lost whose middle shows none."""

    class Finder:
        """Sees a face in every frame but the fourth, and in none of clip 3."""

        def landmarks(self, image):
            clip, number = image[0, 0, :2].tolist()
            seen = number != 3 and clip != 3
            return align.TEMPLATE / 4 if seen else None

    def read_frames(file, numbers):
        pixels = np.zeros((30, 40, 3), np.uint8)
        for number in sorted(numbers):
            pixels[0, 0, :2] = int(file.stem), number
            yield number, pixels.copy()

    monkeypatch.setattr(align, "Detector", Finder)
    monkeypatch.setattr(afew, "count_frames", lambda file: 9)
    monkeypatch.setattr(video, "read_frames", read_frames)
    monkeypatch.setenv("SURROJAX_CACHE", str(tmp_path / "cache"))
    clips = ("Train_AFEW/Angry/1.avi", "Train_AFEW/Sad/2.avi", "Train_AFEW/Sad/3.avi")
    draw(tmp_path, *clips, "Val_AFEW/Angry/4.avi", "Val_AFEW/Sad/5.avi")
    read = samples(afew.scan(tmp_path, frames), side=16, channels=3, align=True)
    sequences = ["train/1", "train/2", "test/4", "test/5"]
    assert list(dict.fromkeys(read.all.sequences)) == sequences
    _, shown = np.unique(read.all.sequences, return_counts=True)
    assert shown.tolist() == [3] * 4
    prepared = frames_builder.prepare(afew.scan(tmp_path, frames), 16, 3, align=True)
    assert [frame.number for frame in prepared.frames] == expected * 4
    assert len(prepared.not_found) == 9 + 4
    # What is said is of what is left.
    counts = {key: read.manifest[key] for key in ("frames", "sequences", "classes")}
    assert counts == {"frames": 12, "sequences": 4, "classes": {"angry": 2, "sad": 2}}
    assert read.manifest["notes"][-1].startswith("1 of 5 sequences have no frame left")


def test_no_face_in_any_clip_is_one_line(tmp_path, monkeypatch, counted):
    class Blind:
        def landmarks(self, image):
            return None

    black = np.zeros((30, 40, 3), np.uint8)
    monkeypatch.setattr(align, "Detector", Blind)
    monkeypatch.setattr(
        video,
        "read_frames",
        lambda file, numbers: ((n, black) for n in sorted(numbers)),
    )
    monkeypatch.setenv("SURROJAX_CACHE", str(tmp_path / "cache"))
    draw(tmp_path, "Train_AFEW/Angry/1.avi", "Val_AFEW/Sad/2.avi")
    with pytest.raises(
        InputError, match=r"no face found in 18, 0 cannot .*align=False"
    ):
        samples(afew.scan(tmp_path), side=16, channels=3, align=True)


def test_frames_may_be_spread_over_the_clip(tmp_path, counted):
    draw(tmp_path, "Train_AFEW/Angry/1.avi", "Val_AFEW/Sad/2.avi", size=101)
    draw(tmp_path, *crops(f"Val_AFEW/{VAL_FACES}/2", 8))
    listing = afew.scan(tmp_path, frames="spread")
    assert chosen(listing, "train/1") == [25, 50, 75]
    assert chosen(listing, "test/2") == ["2.jpg", "4.jpg", "6.jpg"]


@pytest.mark.parametrize(
    "faces",
    [
        "AlignedFaces_LBPTOP_Points/Faces",
        "alignedfaces/faces",
        "AlignedFaces_LBPTOP_Points/AlignedFaces_LBPTOP_Points/Faces",
        "AlignedFaces_LBPTOP_Points",
    ],
)
@pytest.mark.parametrize("parts", [("Train_AFEW", "Val_AFEW"), ("train", "VAL")])
def test_crops_in_folders_of_labels_need_no_video(tmp_path, faces, parts):
    for part in parts:
        for clip in ("Happy/5", "Disgust/6"):
            draw(tmp_path, *crops(f"AFEW/{part}/{faces}/{clip}", 4))
    listing = afew.scan(tmp_path)
    labels = {frame.sequence: frame.label for frame in listing.frames}
    assert labels == {
        "train/5": "happy",
        "train/6": "disgust",
        "test/5": "happy",
        "test/6": "disgust",
    }
    assert chosen(listing, "test/6") == ["1.jpg", "2.jpg", "3.jpg"]
    assert listing.root == tmp_path / "AFEW" and listing.left_out == ()


def test_what_is_left_out_is_listed_with_its_reason(tmp_path, counted):
    draw(
        tmp_path,
        "Train_AFEW/Train_AFEW/Angry/1.avi",
        "Train_AFEW/Train_AFEW/Angry/2.avi",
        "Train_AFEW/Train_AFEW/Sad/2.avi",
        "Train_AFEW/Train_AFEW/Sad/2.xml",
        "Train_AFEW/Train_AFEW/Sad/Thumbs.db",
        "Train_AFEW/Train_AFEW/Other/7.avi",
        "Train_AFEW/Train_AFEW/readme.txt",
        *crops(f"Train_AFEW/Train_AFEW/{FACES}/8", 3),
        f"Train_AFEW/Train_AFEW/{FACES}/Fear/9/points.mat",
        f"Train_AFEW/Train_AFEW/{FACES}/list.txt",
        "Val_AFEW/Happy/1.avi",
        "Test_AFEW/3.avi",
    )
    listing = afew.scan(tmp_path)
    assert {frame.sequence for frame in listing.frames} == {"train/1", "test/1"}
    part = "Train_AFEW/Train_AFEW"
    assert left_out(listing) == {
        (f"{part}/Angry/2.avi", "labels disagree"),
        (f"{part}/Sad/2.xml", "not a video"),
        (f"{part}/Other", "folder of no class"),
        (f"{part}/readme.txt", "outside the clips"),
        (f"{part}/{FACES}/8", "no label"),
        (f"{part}/{FACES}/Fear/9", "no face crops"),
        (f"{part}/{FACES}/Fear/9/points.mat", "not an image"),
        (f"{part}/{FACES}/list.txt", "outside the clips"),
        ("Test_AFEW", "no label"),
    }


def test_the_order_depends_on_names_only(tmp_path, counted):
    names = [
        f"{part}_AFEW/{label}/{number}{ending}"
        for part in ("Train", "Val")
        for number, label in enumerate(("Sad", "Angry", "Fear", "Neutral") * 3)
        for ending in (".avi", ".mp4")[: 1 + number % 2]
    ]
    found = []
    for copy in ("a", "b"):
        random.Random(copy).shuffle(names)
        found.append(afew.scan(draw(tmp_path / copy, *names)))
    assert found[0].frames == found[1].frames
    assert found[0].left_out == found[1].left_out
    order = list(dict.fromkeys(frame.sequence for frame in found[0].frames))
    assert order == [f"{s}/{n}" for s in ("train", "test") for n in range(12)]


def test_a_clip_in_two_files_is_read_once(tmp_path, counted):
    draw(tmp_path, "Train/Sad/1.avi", "Train/Sad/1.mp4", "Val/Fear/2.avi")
    draw(tmp_path, *crops(f"Val/{FACES}/2", 1), *crops(f"Val/{FACES}/Fear/2", 3))
    listing = afew.scan(tmp_path)
    assert {frame.file for frame in listing.frames} == {
        "Train/Sad/1.avi",
        f"Val/{FACES}/2/0.jpg",
    }
    assert left_out(listing) == {
        ("Train/Sad/1.mp4", "same clip twice"),
        (f"Val/{FACES}/Fear/2", "same clip twice"),
    }


def test_nothing_there_says_whom_to_ask(tmp_path):
    # A folder of images in splits is another database.
    draw(tmp_path, "train/angry/1.png", "val/sad/2.png")
    message = complaint(tmp_path)
    assert f"no Train_AFEW and Val_AFEW with clips in {tmp_path}" in message
    assert "Abhinav Dhall" in message and "agreement" in message


@pytest.mark.parametrize(("there", "absent"), [("Train", "Val"), ("Val", "Train")])
def test_a_missing_part_is_named(tmp_path, there, absent):
    draw(tmp_path, f"{there}_AFEW/Angry/1.avi")
    message = complaint(tmp_path)
    assert message.startswith(f"{tmp_path}: no {absent}_AFEW with clips; put it there")


def test_two_folders_of_crops_are_named(tmp_path):
    draw(tmp_path, *crops(f"Train_AFEW/{FACES}/1", 1))
    draw(tmp_path, *crops(f"Train_AFEW/{VAL_FACES}/2", 1))
    message = complaint(tmp_path)
    assert (
        "'AlignedFaces_LBPTOP_Points' and 'AlignedFaces_LBPTOP_Points_Val'" in message
    )
    assert "keep one of them" in message


def test_an_unknown_choice_of_frames_is_named(tmp_path):
    message = complaint(tmp_path, frames="last")
    assert message == (
        "config.dataset.frames: 'last' is unknown; choose from middle, spread"
    )


def test_no_clip_that_decodes_says_why(tmp_path, counted):
    draw(tmp_path, "Train_AFEW/Angry/1.avi", "Val_AFEW/Sad/2.avi", size=0)
    assert "2 left out: video does not decode" in complaint(tmp_path)
