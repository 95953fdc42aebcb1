"""AffectNet: its tables and its later sets, boxes, codes, counts and every fault."""

import io
import os
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import readers
from readers import draw, left_out

from surrojax.data import affectnet
from surrojax.data.listing import Frame

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    "expression,valence,arousal"
)
NAMES = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "angry"]


def row(path: str, code: object, box: str = "10,20,30,40") -> str:
    return f"{path},{box},1.5;2.5;3.5,{code},0.1,-0.2"


def tables(
    root: Path,
    train: list[str],
    test: list[str],
    header: str | None = HEADER,
    folder: str = "",
) -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, rows in (("training.csv", train), ("validation.csv", test)):
        lines = [header, *rows] if header else rows
        (root / folder / name).write_text("\r\n".join(lines) + "\r\n")
    return root


def annotate(root: Path, part: str, name: str, value: object) -> Path:
    file = root / f"{part}_set/annotations/{name}_exp.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, value)
    return file


complaint = partial(readers.complaint, affectnet.scan)


IMAGES = "Manually_Annotated_Images"


@pytest.mark.parametrize("header", [HEADER, "\ufeff" + HEADER, None])
@pytest.mark.parametrize(
    ("images", "lists"),
    [
        ("Manually_Annotated_Images/", ""),
        ("manually_annotated/Manually_Annotated_Images/", ""),
        ("Manually_Annotated/", "Manually_Annotated_file_lists"),
        ("", ""),
    ],
)
def test_tables_are_read_with_their_boxes(tmp_path, header, images, lists):
    draw(tmp_path, *(f"{images}{name}" for name in ("7/b.JPG", "7/a.png", "12/c.jpg")))
    tables(
        tmp_path,
        [row("7/b.JPG", 1), row("7/a.png", 0, "-3,0,224.0,1")],
        [row("12/c.jpg", 6)],
        header,
        lists,
    )
    listing = affectnet.scan(tmp_path)

    def frame(name: str, label: str, split: str, box: tuple) -> Frame:
        return Frame(images + name, label, images + name, "", split, None, box)

    assert listing.frames == (
        frame("7/a.png", "neutral", "train", (-3, 0, 221, 1)),
        frame("7/b.JPG", "happy", "train", (10, 20, 40, 60)),
        frame("12/c.jpg", "angry", "test", (10, 20, 40, 60)),
    )
    assert listing.left_out == ()
    assert listing.classes == ("angry", "happy", "neutral")
    assert listing.layout == "training.csv and validation.csv"
    assert listing.name == "affectnet" and listing.root == tmp_path


def test_codes_are_those_of_the_database_and_the_others_are_counted(tmp_path):
    draw(tmp_path, *(f"{IMAGES}/1/{code}.jpg" for code in range(11)), f"{IMAGES}/t.jpg")
    # What is left out needs no box.
    boxes = ["1,2,3,4"] * 7 + ["NULL,NULL,NULL,NULL"] * 4
    rows = [row(f"1/{code}.jpg", code, box) for code, box in enumerate(boxes)]
    listing = affectnet.scan(tables(tmp_path, rows, [row("t.jpg", "1.0")]))
    labels = {frame.file: frame.label for frame in listing.frames}
    expected = {f"{IMAGES}/1/{code}.jpg": name for code, name in enumerate(NAMES)}
    assert labels == expected | {f"{IMAGES}/t.jpg": "happy"}
    assert left_out(listing) == {
        (f"{IMAGES}/1/7.jpg", "contempt"),
        (f"{IMAGES}/1/8.jpg", "no expression"),
        (f"{IMAGES}/1/9.jpg", "uncertain"),
        (f"{IMAGES}/1/10.jpg", "no face"),
    }
    canonical = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert listing.classes == canonical


@pytest.mark.parametrize("box", ["NULL,NULL,NULL,NULL", "1,2, NULL ,4"])
def test_a_kept_row_without_a_box_is_left_out_and_counted(tmp_path, box):
    draw(tmp_path, *(f"{IMAGES}/{name}.jpg" for name in "abcd"))
    rows = [row("a.jpg", 1), row("b.jpg", 2, box), row("c.jpg", 7, box)]
    listing = affectnet.scan(tables(tmp_path, rows, [row("d.jpg", 0)]))
    files = [frame.file for frame in listing.frames]
    assert files == [f"{IMAGES}/a.jpg", f"{IMAGES}/d.jpg"]
    assert listing.summary()["left_out"] == {"contempt": 1, "no face box": 1}
    assert (f"{IMAGES}/b.jpg", "no face box") in left_out(listing)


def test_missing_and_repeated_images_are_listed_once_as_test_images(tmp_path):
    names = ("1/a.jpg", "1/b.JPG", "1/extra.png", "2/t.jpg", "2/notes.txt")
    draw(tmp_path, *(f"{IMAGES}/{name}" for name in names), f"{IMAGES}/1/._a.jpg")
    tables(
        tmp_path,
        [
            row("1/a.jpg", 1),
            row("1/a.jpg", 7),
            row("2/t.jpg", 2),
            row("1/gone.jpg", 3),
            row("1\\b.jpg", 4),
            row("../../etc/hosts", 1),
        ],
        [row("2/t.jpg", 0)],
    )
    listing = affectnet.scan(tmp_path)
    assert [(f.file, f.label, f.split) for f in listing.frames] == [
        (f"{IMAGES}/1/a.jpg", "happy", "train"),
        (f"{IMAGES}/1/b.JPG", "fear", "train"),
        (f"{IMAGES}/2/t.jpg", "neutral", "test"),
    ]
    twice = "image listed twice"
    assert sorted((e.file, e.reason) for e in listing.left_out) == [
        (f"{IMAGES}/../../etc/hosts", "image missing"),
        (f"{IMAGES}/1/a.jpg", twice),
        (f"{IMAGES}/1/extra.png", "image without annotation"),
        (f"{IMAGES}/1/gone.jpg", "image missing"),
        (f"{IMAGES}/2/t.jpg", twice),
    ]


def test_the_order_depends_on_names_only(tmp_path):
    names = [f"{number % 7}/{number}.jpg" for number in range(40)]
    found = []
    for copy in ("a", "b"):
        random.Random(copy).shuffle(names)
        root = draw(tmp_path / copy, *(f"{IMAGES}/{name}" for name in names))
        rows = [row(name, int(Path(name).stem) % 11) for name in names]
        found.append(affectnet.scan(tables(root, rows, [row("0/0.jpg", 0)])))
    assert found[0].frames == found[1].frames
    assert found[0].left_out == found[1].left_out


@pytest.mark.parametrize(
    ("code", "box", "fault"),
    [
        (11, "1,2,3,4", "column 'expression': '11' is not a code of 0 to 10"),
        ("happy", "1,2,3,4", "column 'expression': 'happy' is not a code"),
        ("", "1,2,3,4", "column 'expression': '' is not a code"),
        (1, "null,2,3,4", "column 'face_x': 'null' is not a whole number;"),
        (1, "1,2.5,3,4", "column 'face_y': '2.5' is not a whole number;"),
        (1, "1,2,0,4", "column 'face_width': '0' is not a whole number of 1 or more"),
        (1, "1,2,3,-4", "column 'face_height': '-4' is not a whole number of 1"),
        (1, "1,2,3,nan", "column 'face_height': 'nan' is not a whole number of 1"),
        (1, "1,2,3", "has 8 fields, not 9; the file is damaged or cut off"),
    ],
)
@pytest.mark.parametrize("header", [HEADER, None])
def test_a_wrong_row_is_named(tmp_path, header, code, box, fault):
    draw(tmp_path, f"{IMAGES}/1/a.jpg", f"{IMAGES}/1/b.jpg")
    rows = [row("1/a.jpg", 1), row("1/b.jpg", code, box)]
    message = complaint(tables(tmp_path, rows, [row("1/a.jpg", 0)], header))
    line = 3 if header else 2
    assert message.startswith(f"{tmp_path / 'training.csv'}: line {line}")
    assert fault in message


def test_an_absent_column_is_named(tmp_path):
    tables(tmp_path, [], [], HEADER.replace("expression", "emotion"))
    message = complaint(tmp_path)
    assert message.startswith(f"{tmp_path / 'validation.csv'}: line 1: no column")
    assert "'expression'" in message


@pytest.mark.parametrize("above", ["", "AffectNet/", "affectnet/"])
@pytest.mark.parametrize("inner", ["", "train_set/"])
def test_sets_are_read_with_labels_of_all_types(tmp_path, above, inner):
    root = tmp_path / above
    train = f"{inner}train" if inner else "train"
    values = ["0", 1, b"2", np.array(3), np.array(["4"]), np.float64(5), np.int64(6)]
    for number, value in enumerate(values):
        annotate(root, train, str(number), value)
        for ending in ("aro", "val", "lnd"):
            draw(root, f"{train}_set/annotations/{number}_{ending}.npy")
        draw(root, f"{train}_set/images/{number}.jpg")
    annotate(root, "val", "10", "1")
    draw(root, "val_set/images/10.JPEG")
    listing = affectnet.scan(tmp_path)
    expected = [
        Frame(file, label, file, "", "train")
        for number, label in enumerate(NAMES)
        for file in [f"{train}_set/images/{number}.jpg"]
    ]
    test = "val_set/images/10.JPEG"
    assert list(listing.frames) == [*expected, Frame(test, "happy", test, "", "test")]
    assert listing.left_out == ()
    assert listing.layout == "train_set and val_set"
    assert listing.notes == (
        "1 validation images of the seven classes, not the official 3500: published "
        "results do not compare",
    )


def test_what_is_left_out_of_sets_is_listed_with_its_reason(tmp_path):
    for number in range(4):
        annotate(tmp_path, "train", str(number), str(number * 3 + 1))
    annotate(tmp_path, "val", "0", "0")
    draw(tmp_path, *(f"train_set/images/{number}.jpg" for number in (0, 1, 2, 9)))
    draw(tmp_path, "val_set/images/0.jpg", "val_set/images/1.png")
    listing = affectnet.scan(tmp_path)
    assert [(f.file, f.label) for f in listing.frames] == [
        ("train_set/images/0.jpg", "happy"),
        ("train_set/images/1.jpg", "fear"),
        ("val_set/images/0.jpg", "neutral"),
    ]
    assert left_out(listing) == {
        ("train_set/images/2.jpg", "contempt"),
        ("train_set/annotations/3_exp.npy", "image missing"),
        ("train_set/images/9.jpg", "image without annotation"),
        ("val_set/images/1.png", "image without annotation"),
    }


def test_the_official_count_of_validation_images_needs_no_note(tmp_path, monkeypatch):
    monkeypatch.setattr(affectnet, "OFFICIAL", 8)
    rows = [row(f"1/{number}.jpg", number) for number in range(8)]
    more = [row(f"2/{number}.jpg", 0) for number in range(2)]
    for number in range(8):
        draw(tmp_path, f"{IMAGES}/1/{number}.jpg", f"{IMAGES}/2/{number}.jpg")
    tables(tmp_path, more, [*rows, row("2/3.jpg", 4)])
    # Contempt is one of the nine.
    assert affectnet.scan(tmp_path).notes == ()


def whole_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, "3")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        whole_array()[:-2],
        whole_array().replace(b"descr", b"d'scr"),
        # A character beyond Unicode.
        whole_array()[:-1] + b"p",
    ],
)
def test_a_damaged_annotation_is_named(tmp_path, content):
    draw(tmp_path, "train_set/images/1.jpg", "val_set/images/1.jpg")
    annotate(tmp_path, "val", "1", "1")
    file = annotate(tmp_path, "train", "1", "1")
    file.write_bytes(content)
    message = complaint(tmp_path)
    assert message.startswith(f"{file}: is no whole array of one label (")
    assert message.endswith("get it again")


@pytest.mark.parametrize("value", ["11", "-1", "happy", 2.5, "", True])
def test_a_wrong_label_is_named(tmp_path, value):
    draw(tmp_path, "train_set/images/1.jpg", "val_set/images/1.jpg")
    annotate(tmp_path, "val", "1", "1")
    file = annotate(tmp_path, "train", "1", value)
    message = complaint(tmp_path)
    assert message == (
        f"{file}: has {str(value)!r} where a code of 0 to 10 must be; get it again"
    )


@pytest.mark.parametrize("value", [[1, 2], np.array(["1"], object)])
def test_an_annotation_must_be_one_plain_value(tmp_path, value):
    draw(tmp_path, "train_set/images/1.jpg", "val_set/images/1.jpg")
    annotate(tmp_path, "val", "1", value)
    annotate(tmp_path, "train", "1", "1")
    assert "val_set/annotations/1_exp.npy: is no whole array" in complaint(tmp_path)


@pytest.mark.parametrize("absent", ["images", "annotations"])
def test_a_missing_folder_of_a_set_is_named(tmp_path, absent):
    draw(tmp_path, "train_set/images/1.jpg", "val_set/images/1.jpg")
    for part in ("train", "val"):
        annotate(tmp_path, part, "1", "1")
    (tmp_path / "train_set" / absent).rename(tmp_path / "elsewhere")
    message = complaint(tmp_path)
    assert message.startswith(f"{tmp_path / 'train_set'}: has no folder {absent}; get")


@pytest.mark.parametrize("there", ["", "training.csv", "val_set/images/1.jpg"])
def test_without_both_splits_the_message_says_whom_to_ask(tmp_path, there):
    if there:
        draw(tmp_path, there)
    message = complaint(tmp_path)
    assert "no validation.csv and training.csv, nor val_set and train_set," in message
    assert "Mohammad Mahoor" in message and "agreement" in message


def test_no_image_at_all_says_why(tmp_path):
    tables(tmp_path, [row("1/a.jpg", 1)], [row("1/b.jpg", 2), row("1/c.jpg", 3)])
    assert "3 left out: image missing" in complaint(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    draw(tmp_path, f"{IMAGES}/1/a.jpg")
    tables(tmp_path, [row("1/a.jpg", 1)], [row("1/a.jpg", 2)])
    locked, scandir = tmp_path / IMAGES / "1", os.scandir

    def refuse(place):
        if Path(place) == locked:
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert complaint(tmp_path) == (
        f"{locked}: cannot be read (Permission denied); check its permissions"
    )
