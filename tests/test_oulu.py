"""Oulu-CASIA in its layouts, from names alone."""

import random
from functools import partial
from pathlib import Path

import pytest
import readers
from readers import by_sequence, draw

from surrojax.data import oulu
from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.listing import LeftOut

SIX = EXPRESSIONS[:6]
NAMES = dict(
    zip(
        ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"),
        SIX,
        strict=True,
    )
)
PLACE = "B_OriginalImg/VL/Strong"


def tree(place: str = PLACE, subjects: int = 2, count: int = 5) -> list[str]:
    return [
        f"{place}/P{subject:03}/{name}/{number:03}.jpeg"
        for subject in range(1, subjects + 1)
        for name in NAMES
        for number in range(count)
    ]


complaint = partial(readers.complaint, oulu.scan)


def expected(place: str = PLACE, subjects: int = 2) -> dict:
    return {
        f"P{subject:03}/{label}": (
            f"P{subject:03}",
            label,
            [f"{place}/P{subject:03}/{name}/{n:03}.jpeg" for n in (2, 3, 4)],
        )
        for subject in range(1, subjects + 1)
        for name, label in NAMES.items()
    }


def test_the_original_layout_is_read_back_exactly(tmp_path):
    listing = oulu.scan(draw(tmp_path, *tree()))
    assert (listing.name, listing.root) == ("oulu", tmp_path)
    assert listing.layout == "original images, VL Strong"
    assert listing.classes == SIX
    assert by_sequence(listing) == expected()
    assert list(by_sequence(listing)) == list(expected())
    assert listing.left_out == ()
    assert listing.notes == (
        "12 sequences of 2 subjects, not the official 480 of 80: published results do "
        "not compare",
    )


@pytest.mark.parametrize(
    ("place", "layout"),
    [
        ("VL/Strong", "original images"),
        ("b_originalimg/vl/STRONG", "original images"),
        ("PreProcess_Img/VL_Acropped/Strong", "cropped images"),
        ("VL_Acropped/Strong", "cropped images"),
    ],
)
def test_other_layouts(tmp_path, place, layout):
    draw(tmp_path, *tree(f"Oulu_CASIA/{place}"))
    listing = oulu.scan(tmp_path)
    assert listing.root == tmp_path / "Oulu_CASIA"
    assert listing.layout == f"{layout}, VL Strong"
    assert by_sequence(listing) == expected(place)


def test_originals_go_before_crops_and_it_is_said(tmp_path):
    crops = "PreProcess_Img/VL_Acropped/Strong"
    listing = oulu.scan(draw(tmp_path, *tree(crops, count=9), *tree()))
    assert by_sequence(listing) == expected()
    assert listing.notes[0] == f"{PLACE} is read, and not {crops}: same sequences"


@pytest.mark.parametrize("camera", ["VL", "NI"])
@pytest.mark.parametrize("light", ["Strong", "Weak", "Dark"])
def test_camera_and_light_are_chosen(tmp_path, camera, light):
    for c in ("VL", "NI"):
        for each in ("Strong", "Weak", "Dark"):
            draw(tmp_path, *tree(f"B_OriginalImg/{c}/{each}", subjects=1))
    listing = oulu.scan(tmp_path, camera, light)
    assert by_sequence(listing) == expected(
        f"B_OriginalImg/{camera}/{light}", subjects=1
    )
    assert listing.layout.endswith(f"{camera} {light}")


def test_an_absent_camera_or_light_is_named_with_what_is_there(tmp_path):
    draw(tmp_path, *tree(), *tree("PreProcess_Img/NI_Acropped/Weak"))
    message = complaint(tmp_path, camera="NI", light="Dark")
    assert message.startswith(
        f"{tmp_path}: no images of camera 'NI' in light 'Dark'; there are VL Strong, "
        "NI Weak: set --config.dataset.camera and --config.dataset.light"
    )
    assert "University of Oulu" in message


def test_unknown_options_are_named(tmp_path):
    assert complaint(tmp_path, camera="IR") == (
        "config.dataset.camera: 'IR' is unknown; choose from VL, NI"
    )
    assert complaint(tmp_path, light="strong") == (
        "config.dataset.light: 'strong' is unknown (did you mean 'Strong'?); choose "
        "from Strong, Weak, Dark"
    )


def test_the_order_of_creation_does_not_matter(tmp_path):
    files = tree(subjects=12)
    first = oulu.scan(draw(tmp_path / "a/oulu", *files))
    random.Random(0).shuffle(files)
    second = oulu.scan(draw(tmp_path / "b/oulu", *files))
    assert first.frames == second.frames
    subjects = list(dict.fromkeys(frame.subject for frame in first.frames))
    assert subjects == [f"P{number:03}" for number in range(1, 13)]


def test_peak_is_by_number_in_any_spelling_of_the_files(tmp_path):
    files = [name for name in tree(subjects=1) if "Anger" not in name]
    files += [
        f"{PLACE}/P001/ANGRY/{name}"
        for name in ("9.JPEG", "10.jpg", "frame 011.PNG", "8.jpeg")
    ]
    found = by_sequence(oulu.scan(draw(tmp_path, *files)))["P001/angry"][2]
    names = [Path(file).name for file in found]
    assert names == ["9.JPEG", "10.jpg", "frame 011.PNG"]


def test_what_is_no_frame_is_left_out_and_counted(tmp_path):
    extra = [
        "P001/Anger/.DS_Store",
        "P001/Anger/._004.jpeg",
        "P001/Anger/Thumbs.db",
        "P001/Anger/004.png",
        "P001/Anger/landmarks.txt",
        "P001/Anger/peak.jpeg",
        "P001/Neutral/000.jpeg",
        "P001/Talking/000.jpeg",
        "P001/face.jpeg",
        "notes.txt",
        "extras/Anger/000.jpeg",
    ]
    draw(tmp_path, *tree(), *(f"{PLACE}/{name}" for name in extra))
    listing = oulu.scan(tmp_path)
    assert by_sequence(listing) == expected()
    assert set(listing.left_out) == {
        LeftOut(f"{PLACE}/{file}", reason)
        for file, reason in {
            "P001/Anger/004.png": "same frame twice",
            "P001/Anger/landmarks.txt": "not an image",
            "P001/Anger/peak.jpeg": "name not understood",
            "P001/Neutral": "folder of no class",
            "P001/Talking": "folder of no class",
            "P001/face.jpeg": "outside the sequences",
            "notes.txt": "outside the sequences",
            "extras": "folder of no subject",
        }.items()
    }
    assert len(listing.left_out) == 8


def test_missing_and_short_sequences_are_noted(tmp_path):
    files = [
        name
        for name in tree()
        if "P001/Fear" not in name and "P002/Anger/00" not in name
    ]
    files.append(f"{PLACE}/P002/Anger/000.jpeg")
    draw(tmp_path, *files)
    (tmp_path / PLACE / "P001/Fear").mkdir()
    listing = oulu.scan(tmp_path)
    assert listing.left_out == (LeftOut(f"{PLACE}/P001/Fear", "no images"),)
    assert by_sequence(listing)["P002/angry"][2] == [f"{PLACE}/P002/Anger/000.jpeg"]
    assert listing.notes == (
        "1 sequences have fewer than 3 frames",
        "1 sequences of these subjects are missing: P001 fear",
        "11 sequences of 2 subjects, not the official 480 of 80: published results do "
        "not compare",
    )


def test_a_subject_with_one_image(tmp_path):
    files = [*tree(subjects=1), f"{PLACE}/P002/Sadness/000.jpeg"]
    listing = oulu.scan(draw(tmp_path, *files))
    assert [f.file for f in listing.frames if f.subject == "P002"] == files[-1:]
    assert listing.notes[1] == (
        "5 sequences of these subjects are missing: P002 angry, P002 disgust, P002 "
        "fear, P002 happy, P002 surprise"
    )


def test_one_sequence_in_two_folders_is_named(tmp_path):
    draw(tmp_path, *tree(), f"{PLACE}/P001/angry/000.jpeg")
    message = complaint(tmp_path)
    first, second = (tmp_path / PLACE / "P001" / name for name in ("Anger", "angry"))
    assert message == (
        f"{second}: is by its name the same sequence as {first}; keep one of them there"
    )


def test_no_oulu_says_where_to_get_it(tmp_path):
    message = complaint(tmp_path)
    for part in ("B_OriginalImg", str(tmp_path), "University of Oulu", "agreement"):
        assert part in message


def test_no_image_at_all_is_an_error_that_counts(tmp_path):
    (tmp_path / PLACE / "P001/Anger").mkdir(parents=True)
    message = complaint(tmp_path)
    assert "no labelled face of oulu found (1 left out: no images); get" in message


def test_a_complete_copy_has_the_papers_counts_and_no_note(tmp_path):
    listing = oulu.scan(draw(tmp_path, *tree(subjects=80, count=3)))
    summary = listing.summary()
    assert (summary["sequences"], summary["frames"]) == (480, 1440)
    assert summary["classes"] == dict.fromkeys(SIX, 80)
    assert listing.notes == ()
