"""CK+ in both layouts, from names and label files alone."""

import random
from functools import partial
from pathlib import Path

import pytest
import readers
from readers import by_sequence

from surrojax.data import ck
from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.listing import LeftOut

SIX = EXPRESSIONS[:6]
# Subject, sequence, how many frames, label; None: it has no label file.
SEQUENCES = [
    ("S005", "001", 11, 3),
    ("S005", "002", 7, 7),
    ("S010", "001", 8, None),
    ("S010", "002", 9, 1),
    ("S010", "010", 6, 4),
    ("S011", "001", 6, 2),
    ("S100", "003", 6, 5),
    ("S100", "004", 6, 6),
]


def image(subject: str, sequence: str, number: int, ending: str = ".png") -> str:
    return (
        f"cohn-kanade-images/{subject}/{sequence}/"
        f"{subject}_{sequence}_{number:08}{ending}"
    )


def label(subject: str, sequence: str, number: int) -> str:
    return f"Emotion/{subject}/{sequence}/{subject}_{sequence}_{number:08}_emotion.txt"


def official() -> dict[str, bytes]:
    """What each file holds, by its name."""
    tree = {}
    for subject, sequence, count, code in SEQUENCES:
        for number in range(1, count + 1):
            tree[image(subject, sequence, number)] = b"x"
        if code is not None:
            tree[label(subject, sequence, count)] = f"   {code}.0000000e+00\n".encode()
    return tree


def draw(root: Path, tree: dict[str, bytes]) -> Path:
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def moved(tree: dict[str, bytes], old: str, new: str) -> dict[str, bytes]:
    return {name.replace(old, new): content for name, content in tree.items()}


complaint = partial(readers.complaint, ck.scan)


def frames_of(subject: str, sequence: str, *numbers: int) -> list[str]:
    return [image(subject, sequence, number) for number in numbers]


EXPECTED = {
    "S005/001": ("S005", "disgust", frames_of("S005", "001", 9, 10, 11)),
    "S005/002": ("S005", "surprise", frames_of("S005", "002", 5, 6, 7)),
    "S005/neutral": ("S005", "neutral", frames_of("S005", "001", 1, 2, 3)),
    "S010/002": ("S010", "angry", frames_of("S010", "002", 7, 8, 9)),
    "S010/010": ("S010", "fear", frames_of("S010", "010", 4, 5, 6)),
    "S010/neutral": ("S010", "neutral", frames_of("S010", "002", 1, 2, 3)),
    "S100/003": ("S100", "happy", frames_of("S100", "003", 4, 5, 6)),
    "S100/004": ("S100", "sad", frames_of("S100", "004", 4, 5, 6)),
    "S100/neutral": ("S100", "neutral", frames_of("S100", "003", 1, 2, 3)),
}


def test_official_layout_is_read_back_exactly(tmp_path):
    listing = ck.scan(draw(tmp_path, official()))
    assert (listing.name, listing.root) == ("ck", tmp_path)
    assert listing.layout == "official layout"
    assert listing.classes == EXPRESSIONS
    assert by_sequence(listing) == EXPECTED
    assert list(by_sequence(listing)) == list(EXPECTED)
    assert listing.left_out == (
        LeftOut("cohn-kanade-images/S010/001", "no label"),
        LeftOut("cohn-kanade-images/S011/001", "contempt"),
    )
    assert listing.notes == (
        "6 sequences of 3 subjects show one of the six expressions, not the official "
        "309 of 106: published results do not compare",
    )


def test_each_code_is_its_expression(tmp_path):
    codes = {1: "angry", 3: "disgust", 4: "fear", 5: "happy", 6: "sad", 7: "surprise"}
    for code, name in codes.items():
        tree = official()
        tree[label("S005", "001", 11)] = str(code).encode()
        listing = ck.scan(draw(tmp_path, tree))
        assert by_sequence(listing)["S005/001"][1] == name


def test_the_order_of_creation_does_not_matter(tmp_path):
    tree = official()
    first = ck.scan(draw(tmp_path / "a/CK+", tree))
    names = list(tree)
    random.Random(0).shuffle(names)
    second = ck.scan(draw(tmp_path / "b/CK+", {name: tree[name] for name in names}))
    assert (first.frames, first.left_out) == (second.frames, second.left_out)


def test_peak_is_by_number_not_by_text(tmp_path):
    tree = official()
    for number in (9, 10, 11):
        del tree[image("S005", "001", number)]
    for name in ("S005_001_9.png", "S005_001_10.png", "S005_001_0011.png"):
        tree[f"cohn-kanade-images/S005/001/{name}"] = b"x"
    found = by_sequence(ck.scan(draw(tmp_path, tree)))["S005/001"][2]
    names = [Path(file).name for file in found]
    assert names == ["S005_001_9.png", "S005_001_10.png", "S005_001_0011.png"]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("Cohn-Kanade-Images", "emotion"),
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("extended-cohn-kanade-images", "Emotion_labels"),
        ("ck+/cohn-kanade-images", "ck+/Emotion"),
        ("CKplus/cohn_kanade_images", "CKplus/EMOTION_LABELS/emotion"),
    ],
)
def test_folders_under_other_names(tmp_path, images, labels):
    tree = moved(official(), "cohn-kanade-images", images)
    listing = ck.scan(draw(tmp_path, moved(tree, "Emotion", labels)))
    found = {
        key: (s, name, len(files))
        for key, (s, name, files) in by_sequence(listing).items()
    }
    assert found == {key: (s, name, 3) for key, (s, name, _) in EXPECTED.items()}


def test_upper_case_endings_and_lower_case_subjects(tmp_path):
    tree = {
        name.replace(".png", ".PNG").replace("S005_", "s005_"): content
        for name, content in official().items()
    }
    listing = ck.scan(draw(tmp_path, tree))
    assert list(by_sequence(listing)) == list(EXPECTED)
    assert listing.frames[0].file.endswith("s005_001_00000009.PNG")


def test_what_is_no_frame_is_left_out_and_counted(tmp_path):
    tree = official() | {
        "cohn-kanade-images/S005/001/.DS_Store": b"x",
        "cohn-kanade-images/S005/001/._S005_001_00000012.png": b"x",
        "cohn-kanade-images/S005/001/Thumbs.db": b"x",
        "cohn-kanade-images/S005/001/S005_001_00000011.jpg": b"x",
        "cohn-kanade-images/S005/001/copy of peak.png": b"x",
        "cohn-kanade-images/S005/001/S005_001_00000011 (1).png": b"x",
        "cohn-kanade-images/ReadMe.txt": b"x",
        "Emotion/S005/001/notes.txt": b"x",
        "Emotion/._S005_001_00000011_emotion.txt": b"x",
        label("S999", "001", 5): b"1",
        label("S100", "003", 6): b"0.0\n",
    }
    listing = ck.scan(draw(tmp_path, tree))
    place = "cohn-kanade-images/S005/001"
    # Of one frame in two files, the first by name counts.
    assert set(listing.left_out) == {
        LeftOut("cohn-kanade-images/S010/001", "no label"),
        LeftOut("cohn-kanade-images/S011/001", "contempt"),
        LeftOut("cohn-kanade-images/S100/003", "label 0, neutral"),
        LeftOut("cohn-kanade-images/ReadMe.txt", "not an image"),
        LeftOut(f"{place}/S005_001_00000011.png", "same frame twice"),
        LeftOut(f"{place}/S005_001_00000011 (1).png", "name not understood"),
        LeftOut(f"{place}/copy of peak.png", "name not understood"),
        LeftOut("Emotion/S005/001/notes.txt", "name not understood"),
        LeftOut(label("S999", "001", 5), "label without images"),
    }
    assert len(listing.left_out) == 9
    # The subject's neutral moves to its next sequence that is kept.
    assert by_sequence(listing)["S100/neutral"][2] == frames_of("S100", "004", 1, 2, 3)


def test_a_frame_is_never_both_peak_and_neutral(tmp_path):
    tree = official()
    for number in (6, 5, 4, 3, 2):
        del tree[image("S100", "003", number)]
    for number in (1, 2):
        del tree[image("S010", "002", number)]
        del tree[image("S010", "002", number + 4)]
    listing = ck.scan(draw(tmp_path, tree))
    found = by_sequence(listing)
    assert found["S100/003"][2] == frames_of("S100", "003", 1)
    assert "S100/neutral" not in found
    assert found["S010/002"][2] == frames_of("S010", "002", 7, 8, 9)
    assert found["S010/neutral"][2] == frames_of("S010", "002", 3, 4)
    assert len({frame.file for frame in listing.frames}) == len(listing.frames)
    assert listing.notes[:2] == (
        "1 sequences have fewer than 3 frames",
        "2 subjects have fewer than 3 neutral frames before the peak of their first "
        "sequence",
    )


def test_a_label_without_images_makes_no_subject(tmp_path):
    tree = {k: v for k, v in official().items() if "cohn" not in k or "S100" not in k}
    listing = ck.scan(draw(tmp_path, tree))
    assert {frame.subject for frame in listing.frames} == {"S005", "S010"}
    reasons = [entry.reason for entry in listing.left_out]
    assert reasons.count("label without images") == 2


@pytest.mark.parametrize(
    "text", ["", " \n", "happy", "8", "-1", "1.5", "nan", "inf", "1 2", "3.0\n4.0"]
)
def test_a_label_that_is_none_is_named(tmp_path, text):
    file = label("S010", "002", 9)
    message = complaint(draw(tmp_path, official() | {file: text.encode()}))
    assert message == (
        f"{tmp_path / file}: has {text.strip()!r} where one whole number of 0 to 7 "
        "must be; get it again"
    )


def test_a_label_that_is_no_text_is_named(tmp_path):
    file = label("S010", "002", 9)
    message = complaint(draw(tmp_path, official() | {file: b"\xff\xfe3"}))
    assert message.startswith(f"{tmp_path / file}: cannot be read (")
    assert message.endswith("get it again")


def test_two_labels_of_a_sequence_must_agree(tmp_path):
    first, second = label("S010", "002", 9), label("S010", "002", 8)
    listing = ck.scan(draw(tmp_path, official() | {second: b"1"}))
    assert list(by_sequence(listing)) == list(EXPECTED)
    message = complaint(draw(tmp_path, {second: b"5"}))
    assert (
        f"{tmp_path / first}: says angry, but {tmp_path / second} says happy" in message
    )
    assert message.endswith("get the labels again")


def test_images_without_labels_and_labels_without_images(tmp_path):
    tree = official()
    halves = {
        "images": {k: v for k, v in tree.items() if k.startswith("cohn")},
        "labels": {k: v for k, v in tree.items() if k.startswith("Emotion")},
    }
    for half, (there, absent) in {
        "images": ("cohn-kanade-images", "Emotion with the labels"),
        "labels": ("Emotion", "cohn-kanade-images"),
    }.items():
        message = complaint(draw(tmp_path / half, halves[half]))
        assert f"{tmp_path / half}: has {there} but no folder {absent}; put" in message
        assert "www.jeffcohn.net" in message


def test_no_ck_says_where_to_get_it(tmp_path):
    message = complaint(tmp_path)
    for part in ("cohn-kanade-images", str(tmp_path), "Jeffrey Cohn", "agreement"):
        assert part in message


def test_nothing_labelled_is_an_error_that_counts(tmp_path):
    tree = {k: v for k, v in official().items() if k.startswith("cohn")}
    draw(tmp_path, tree)
    (tmp_path / "Emotion").mkdir()
    message = complaint(tmp_path)
    assert "8 left out: no label" in message
    assert "get CK+" in message


FOLDERS = {
    "anger": [("S010", "004", (17, 18, 19)), ("S011", "001", (9, 10, 11))],
    "contempt": [("S138", "008", (7, 8, 9))],
    "disgust": [("S005", "001", (9, 10, 11))],
    "fear": [("S011", "003", (12, 13, 14))],
    "happy": [("S010", "006", (13, 14, 15))],
    "sadness": [("S011", "002", (20, 21, 22))],
    "surprise": [("S010", "002", (12,))],
}


def small() -> dict[str, bytes]:
    return {
        f"{folder}/{subject}_{sequence}_{number:08}.png": b"x"
        for folder, sequences in FOLDERS.items()
        for subject, sequence, numbers in sequences
        for number in numbers
    }


@pytest.mark.parametrize("place", [".", "CK+48", "ck/ck+48"])
def test_folder_form_is_read_back_exactly(tmp_path, place):
    root = draw(tmp_path / place, small())
    listing = ck.scan(tmp_path)
    assert listing.root == root
    assert listing.layout == "folders of 48 x 48 images"
    assert listing.classes == SIX
    names = dict(zip(FOLDERS, ("angry", None, *SIX[1:]), strict=True))
    expected = {
        f"{subject}/{sequence}": (
            subject,
            names[folder],
            [f"{folder}/{subject}_{sequence}_{number:08}.png" for number in numbers],
        )
        for folder, sequences in FOLDERS.items()
        for subject, sequence, numbers in sequences
        if folder != "contempt"
    }
    assert by_sequence(listing) == expected
    assert list(by_sequence(listing)) == sorted(expected)
    assert [entry.reason for entry in listing.left_out] == ["contempt"] * 3
    assert "no neutral" in listing.notes[0]
    assert "7 sequences of 3 subjects" in listing.notes[1]


def test_folder_form_leaves_out_what_it_does_not_know(tmp_path):
    tree = small() | {
        "anger/angry face.png": b"x",
        "anger/S010_004_00000019.PNG": b"x",
        "happy/list.txt": b"x",
        "neutral/S010_004_00000001.png": b"x",
        "models/net.bin": b"x",
        "anger/.DS_Store": b"x",
    }
    listing = ck.scan(draw(tmp_path, tree))
    reasons = {entry.file: entry.reason for entry in listing.left_out}
    assert {file: why for file, why in reasons.items() if why != "contempt"} == {
        "anger/angry face.png": "name not understood",
        # The first by name counts; capitals sort first.
        "anger/S010_004_00000019.png": "same frame twice",
        "happy/list.txt": "not an image",
        "neutral": "folder of no class",
        "models": "folder of no class",
    }
    assert len(by_sequence(listing)) == 7


def test_folder_form_with_a_sequence_of_two_expressions(tmp_path):
    file = "happy/S010_004_00000017.png"
    message = complaint(draw(tmp_path, small() | {file: b"x"}))
    assert f"{tmp_path / file}: its sequence S010/004 is also in a folder" in message
    assert "'angry'" in message
    assert message.endswith("get the copy again")


def complete() -> dict[str, bytes]:
    """309 sequences of six expressions by 106 subjects, each of six frames."""
    tree = {}
    for index in range(309):
        subject, sequence = f"S{index % 106:03}", f"{index // 106:03}"
        for number in range(6):
            tree[image(subject, sequence, number)] = b"x"
        tree[label(subject, sequence, 5)] = str((1, 3, 4, 5, 6, 7)[index % 6]).encode()
    return tree


def test_a_complete_copy_has_the_papers_counts_and_no_note(tmp_path):
    listing = ck.scan(draw(tmp_path, complete()))
    summary = listing.summary()
    assert (summary["sequences"], summary["frames"]) == (415, 1245)
    assert (summary["subjects"], summary["classes"]["neutral"]) == (106, 106)
    assert listing.notes == ()
