"""Folders of images: layouts, classes, subjects and sequences, from names and csv."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import readers
from PIL import Image

from configs import fer2013_lenet
from surrojax.data import folder
from surrojax.data.listing import Frame, LeftOut, Listing
from surrojax.run.setup import Setup


def draw(root: Path, *files: str, **tables: str | bytes) -> Path:
    """Files of a byte, and csv files by name."""
    readers.draw(root, *files)
    for name, content in tables.items():
        content = content if isinstance(content, bytes) else content.encode()
        (root / f"{name}.csv").write_bytes(content)
    return root


complaint = partial(readers.complaint, folder.scan)


def subjects(listing: Listing) -> dict[str, str]:
    return {frame.file: frame.subject for frame in listing.frames}


def sequences(listing: Listing) -> dict[str, str]:
    return {frame.file: frame.sequence for frame in listing.frames}


JAFFE = ("anger/KA.AN1.39.tiff", "anger/KA.AN2.40.tiff", "joy/KL.HA1.158.TIFF")


def test_a_folder_for_each_class_is_read_back_exactly(tmp_path):
    files = [
        "Happiness/10.PNG",
        "Happiness/2.png",
        "anger/deep/er/x.jpg",
        "Neutral/a b.bmp",
    ]
    listing = folder.scan(draw(tmp_path, *files), name="mine")
    assert (listing.name, listing.root) == ("mine", tmp_path)
    assert listing.layout == "a folder for each class"
    assert listing.classes == ("angry", "happy", "neutral")
    assert listing.frames == (
        Frame("anger/deep/er/x.jpg", "angry", "anger/deep/er/x.jpg"),
        Frame("Happiness/2.png", "happy", "Happiness/2.png"),
        Frame("Happiness/10.PNG", "happy", "Happiness/10.PNG"),
        Frame("Neutral/a b.bmp", "neutral", "Neutral/a b.bmp"),
    )
    assert (listing.left_out, listing.notes) == ((), ())


@pytest.mark.parametrize(
    "names", [("train", "valid", "test"), ("Training", "VAL", "Testing")]
)
def test_splits_are_read_from_folders(tmp_path, names):
    train, validation, test = names
    listing = folder.scan(
        draw(
            tmp_path,
            f"{train}/happy/1.png",
            f"{train}/sad/deep/1.png",
            f"{validation}/Happiness/1.png",
            f"{test}/sad/1.png",
        )
    )
    assert listing.layout == "a folder for each class in each split"
    assert listing.classes == ("happy", "sad")
    assert {(f.file, f.label, f.split) for f in listing.frames} == {
        (f"{train}/happy/1.png", "happy", "train"),
        (f"{train}/sad/deep/1.png", "sad", "train"),
        (f"{validation}/Happiness/1.png", "happy", "validation"),
        (f"{test}/sad/1.png", "sad", "test"),
    }
    assert listing.notes == ("the folders Happiness, happy are one class, happy",)


def test_a_class_may_be_called_test(tmp_path):
    listing = folder.scan(draw(tmp_path, "test/1.png", "other/1.png"))
    assert listing.classes == ("other", "test")
    assert {frame.split for frame in listing.frames} == {""}


def test_the_order_of_creation_does_not_matter(tmp_path):
    files = [
        f"{split}/{label}/{n}.png"
        for split in ("train", "test")
        for label in ("happy", "sad")
        for n in range(12)
    ]
    first = folder.scan(draw(tmp_path / "a", *files))
    random.Random(0).shuffle(files)
    second = folder.scan(draw(tmp_path / "b", *files))
    assert first.frames == second.frames
    assert [f.file for f in first.frames[:3]] == [
        f"test/happy/{n}.png" for n in (0, 1, 2)
    ]


def test_what_is_no_labelled_image_is_left_out_and_counted(tmp_path):
    draw(
        tmp_path,
        "train/happy/1.png",
        "train/sad/1.png",
        "test/sad/1.png",
        "train/happy/.DS_Store",
        "train/happy/._1.png",
        "__MACOSX/train/happy/1.png",
        "train/happy/film.avi",
        "train/loose.png",
        "loose.JPG",
        "README.txt",
        "extra/happy/1.png",
        "extra/list.txt",
    )
    listing = folder.scan(tmp_path)
    assert len(listing.frames) == 3
    assert {(entry.file, entry.reason) for entry in listing.left_out} == {
        ("train/happy/film.avi", "not an image"),
        ("train/loose.png", "in no folder of a class"),
        ("loose.JPG", "in no folder of a class"),
        ("README.txt", "not an image"),
        ("extra/happy/1.png", "in no split"),
        ("extra/list.txt", "not an image"),
    }
    assert len(listing.left_out) == 6


def test_empty_folders_are_noted_and_are_no_class(tmp_path):
    draw(tmp_path, "happy/1.png", "sad/1.png", "notes/readme.txt")
    (tmp_path / "fear").mkdir()
    listing = folder.scan(tmp_path)
    assert listing.classes == ("happy", "sad")
    assert listing.notes == (
        "the folder fear has no images",
        "the folder notes has no images",
    )


def test_contempt_comes_last(tmp_path):
    listing = folder.scan(draw(tmp_path, "Contempt/1.png", "neutral/1.png", "AN/1.png"))
    assert listing.classes == ("angry", "neutral", "contempt")


def test_other_names_stay_as_they_are_in_natural_order(tmp_path):
    files = ("class10/1.png", "class9/1.png", "happy/1.png", "Happiness/1.png")
    listing = folder.scan(draw(tmp_path, *files))
    assert listing.classes == ("class9", "class10", "Happiness", "happy")
    assert listing.notes == (
        "the classes are called as the folders are: 'class9' is none of the "
        "expressions",
    )


def test_other_names_in_two_cases_are_one_class(tmp_path):
    listing = folder.scan(
        draw(tmp_path, "train/Cat/1.png", "test/cat/1.png", "test/dog/1.png")
    )
    assert listing.classes == ("Cat", "dog")
    assert [frame.label for frame in listing.frames] == ["Cat", "dog", "Cat"]
    assert listing.notes == ("the folders Cat, cat are one class, Cat",)


def test_classes_csv_renames_folders(tmp_path):
    table = "folder,name\n1,Surprise\n2,Fear\n7,Neutral\n9,Happy\n"
    draw(tmp_path, "train/1/a.png", "train/2/a.png", "test/7/a.png", classes=table)
    listing = folder.scan(tmp_path)
    assert listing.classes == ("fear", "surprise", "neutral")
    assert [(f.file, f.label) for f in listing.frames] == [
        ("test/7/a.png", "neutral"),
        ("train/1/a.png", "surprise"),
        ("train/2/a.png", "fear"),
    ]
    assert listing.left_out == (
        LeftOut("classes.csv, line 5", "row without a folder of images"),
    )


def test_classes_csv_may_merge_folders_under_any_name(tmp_path):
    table = "\ufeffName,Folder\r\ncalm,1\r\ncalm,2\r\n\r\ncalm,1\r\n"
    listing = folder.scan(
        draw(tmp_path, "1/a.png", "2/a.png", "wild/a.png", classes=table)
    )
    assert listing.classes == ("calm", "wild")
    assert listing.notes == ("the folders 1, 2 are one class, calm",)


def test_classes_csv_must_not_contradict_itself(tmp_path):
    draw(tmp_path, "1/a.png", classes="folder,name\n1,happy\n2,sad\n1,fear\n")
    assert complaint(tmp_path) == (
        f"{tmp_path}/classes.csv: line 4, column 'name': 'fear' for '1', but 'happy' "
        "in line 2; keep one of the lines"
    )


# The same word with an accent of its own, and with one that follows its letter.
ONE, TWO = "caf\u00e9", "cafe\u0301"


def test_a_class_composed_and_decomposed_is_one(tmp_path):
    files = (f"train/{ONE}/1.png", "train/tea/1.png", f"test/{TWO}/{TWO}.png")
    listing = folder.scan(draw(tmp_path, *files))
    assert listing.classes == (ONE, "tea")
    labels = {frame.file: frame.label for frame in listing.frames}
    assert labels == dict(zip(files, (ONE, "tea", ONE), strict=True))
    assert all((tmp_path / file).is_file() for file in labels)


@pytest.mark.parametrize(("there", "written"), [(ONE, TWO), (TWO, ONE)])
def test_tables_may_write_names_composed_or_decomposed(tmp_path, there, written):
    files = (f"{there}/{there}.png", f"{there}/2.png", "tea/1.png")
    listing = folder.scan(
        draw(
            tmp_path,
            *files,
            classes=f"folder,name\n{written},{TWO}1\n{there},{ONE}1\n",
            subjects=f"image,subject,sequence\n{written}.png,{ONE},{ONE}\n"
            f"{written}/2.png,{TWO},{TWO}\n1.png,{TWO},\n",
        )
    )
    assert listing.classes == (f"{ONE}1", "tea")
    assert subjects(listing) == dict.fromkeys(files, ONE)
    assert [sequences(listing)[file] for file in files] == [ONE, ONE, "tea/1.png"]
    assert listing.left_out == ()


def test_of_two_spellings_of_a_path_a_table_means_its_own(tmp_path):
    files = (f"{ONE}/1.png", f"{TWO}/1.png", "tea/2.png")
    rows = "".join(f"{file},{who}\n" for file, who in zip(files, "ABC", strict=True))
    draw(tmp_path, *files, subjects=f"image,subject\n{rows}")
    found = subjects(folder.scan(tmp_path))
    assert found == dict(zip(files, "ABC", strict=True))


@pytest.mark.parametrize("pattern", [rf"^(\w+{ONE})_", rf"^(\w+{TWO})_", r"^(\w+)_"])
def test_a_pattern_finds_names_composed_or_decomposed(tmp_path, pattern):
    files = (f"happy/Al{ONE}_1.png", f"sad/Al{TWO}_1.png")
    listing = folder.scan(draw(tmp_path, *files), subject_pattern=pattern)
    assert subjects(listing) == dict.fromkeys(files, f"Al{ONE}")


def test_without_a_pattern_or_table_nobody_is_known(tmp_path):
    listing = folder.scan(draw(tmp_path, *JAFFE))
    assert set(subjects(listing).values()) == {""}
    assert sequences(listing) == {file: file for file in JAFFE}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"^(\w\w)\.", ["KA", "KA", "KL"]),
        (r"^\w\w", ["KA", "KA", "KL"]),
        (r"(\d+)\.(tiff|TIFF)", ["39", "40", "158"]),
        # With a slash it is searched in the whole path, else in the name alone.
        (r"^(\w+)/", ["anger", "anger", "joy"]),
        (r"^\w+", ["KA", "KA", "KL"]),
    ],
)
def test_a_pattern_finds_the_subject(tmp_path, pattern, found):
    listing = folder.scan(draw(tmp_path, *JAFFE), subject_pattern=pattern)
    assert subjects(listing) == dict(zip(JAFFE, found, strict=True))


def test_a_pattern_finds_the_sequence_within_class_and_split(tmp_path):
    files = (
        "test/happy/film1_0.png",
        "train/happy/deep/film1_2.png",
        "train/happy/film1_0.png",
        "train/happy/film2_0.png",
        "train/sad/film1_0.png",
    )
    listing = folder.scan(draw(tmp_path, *files), sequence_pattern="(.*)_")
    assert sequences(listing) == {
        "test/happy/film1_0.png": "test/happy/film1",
        "train/happy/deep/film1_2.png": "train/happy/film1",
        "train/happy/film1_0.png": "train/happy/film1",
        "train/happy/film2_0.png": "train/happy/film2",
        "train/sad/film1_0.png": "train/sad/film1",
    }


@pytest.mark.parametrize("field", ["subject_pattern", "sequence_pattern"])
def test_a_pattern_that_is_none_or_finds_nothing_is_named(tmp_path, field):
    draw(tmp_path, *JAFFE, "joy/other.png")
    message = complaint(tmp_path, **{field: "(KA"})
    assert message.startswith(f"config.dataset.{field}: '(KA' is no regular expression")
    assert message.endswith("; mend it")
    for pattern in (r"K\w\.", r"(Q?)", "(Q)?o"):
        message = complaint(tmp_path, **{field: pattern})
        assert f"config.dataset.{field}: {pattern!r} matches nothing in '" in message
        assert message.endswith("in subjects.csv")
    message = complaint(tmp_path, **{field: "/K"})
    assert "matches nothing in 'joy/other.png'; mend it" in message


def test_subjects_csv_names_subjects_by_path_or_bare_name(tmp_path):
    table = (
        "subject,Image,sequence\n"
        "Ann,happy/1.png,film\n"
        'Bob,"x, ""y"".png",\n'
        "Ann,./happy/2.png,film\n"
        "Ann,.\\happy\\2.png,film\n"
        "Cy, sad/1.png , \n"
        "Dee,gone.png,\n"
    )
    files = ("happy/1.png", "happy/2.png", "sad/1.png", 'sad/x, "y".png')
    listing = folder.scan(
        draw(tmp_path, *files, subjects=table),
        subject_pattern="never looked at",
        sequence_pattern=r"(.*)\.",
    )
    assert subjects(listing) == dict(
        zip(files, ("Ann", "Ann", "Cy", "Bob"), strict=True)
    )
    assert sequences(listing) == dict(
        zip(files, ("film", "film", "sad/1", 'sad/x, "y"'), strict=True)
    )
    assert listing.left_out == (
        LeftOut("subjects.csv, line 7", "row without an image"),
    )


def test_subjects_csv_without_sequences_and_with_a_mark_in_upper_case(tmp_path):
    draw(tmp_path, "happy/1.png", "sad/1.png")
    (tmp_path / "Subjects.CSV").write_text(
        "\ufeffimage,subject\r\nhappy/1.png,Jürgen\r\n\r\nsad/1.png,7\r\n", "utf-8"
    )
    listing = folder.scan(tmp_path)
    assert subjects(listing) == {"happy/1.png": "Jürgen", "sad/1.png": "7"}
    assert sequences(listing) == {
        "happy/1.png": "happy/1.png",
        "sad/1.png": "sad/1.png",
    }
    assert listing.left_out == ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", ": has no row for 'happy/1.png' (3 such images); add one for each image"),
        ("image;subject\n", ": line 1: no column 'image'; the columns must be image"),
        ("image,who\n", ": line 1: no column 'subject'; the columns must be image,su"),
        (
            "image,subject\nhappy/1.png,Ann\nsad/1.png\n",
            ": line 3: has 1 fields, not 2",
        ),
        (
            "image,subject\nhappy/1.png,Ann\n\nsad/1.png, \n",
            ": line 4, column 'subject': is blank; fill it in",
        ),
        (
            "image,subject\n2.png,Ann\n1.png,Ann\n",
            ": line 3, column 'image': '1.png' is the name of 2 images; write the "
            "path, such as happy/1.png",
        ),
        (
            "image,subject\n2.png,Ann\nsad/2.png,Ann\nsad/2.png,Bob\n",
            ": line 4, column 'image': 'sad/2.png' is in line 2 too, with another "
            "subject or sequence; keep one of the lines",
        ),
        (
            "image,subject,sequence\n2.png,Ann,a\n2.png,Ann,b\n",
            ": line 3, column 'image': '2.png' is in line 2 too, with another",
        ),
        (
            "image,subject\nhappy/1.png,Ann\n",
            ": has no row for 'sad/1.png' (2 such images); add one for each image",
        ),
        (
            b"image,subject\nhappy/1.png,Ann\nsad/1.png,J\xfcrgen\n",
            ": line 3: byte 12 of the line is not UTF-8 text; save the file as UTF-8",
        ),
        ('image,subject\nhappy/1.png,"Ann"n\n', ": cannot be read ("),
    ],
)
def test_faults_of_subjects_csv_are_named_by_line(tmp_path, table, message):
    draw(tmp_path, "happy/1.png", "sad/1.png", "sad/2.png", subjects=table)
    assert f"{tmp_path}/subjects.csv{message}" in complaint(tmp_path)


def test_faults_of_classes_csv_are_named_by_line(tmp_path):
    draw(tmp_path, "1/1.png", "2/1.png", classes="folder,name\n1,\n")
    assert complaint(tmp_path) == (
        f"{tmp_path}/classes.csv: line 2, column 'name': is blank; fill it in"
    )


@pytest.mark.parametrize(
    ("rows", "what", "files"),
    [
        (("happy/1.png,A,s", "sad/1.png,A,s"), "label", ("sad/1.png", "happy/1.png")),
        (("sad/1.png,A,s", "sad/2.png,B,s"), "subject", ("sad/2.png", "sad/1.png")),
    ],
)
def test_frames_of_a_sequence_must_agree(tmp_path, rows, what, files):
    table = {"happy/1.png": "happy/1.png,A,", "sad/1.png": "sad/1.png,A,"}
    table["sad/2.png"] = "sad/2.png,A,"
    table |= {row.split(",")[0]: row for row in rows}
    draw(
        tmp_path,
        *table,
        subjects="\n".join(["image,subject,sequence", *table.values()]),
    )
    message = complaint(tmp_path)
    assert message.startswith(
        f"{files[0]}: has another {what} than {files[1]}, but both"
    )
    assert "of the sequence 's'" in message
    assert message.endswith("mend config.dataset.sequence_pattern or subjects.csv")


def test_a_sequence_is_in_one_split(tmp_path):
    table = "image,subject,sequence\ntrain/sad/1.png,A,s\ntest/sad/1.png,A,s\n"
    draw(tmp_path, "train/sad/1.png", "test/sad/1.png", subjects=table)
    message = complaint(tmp_path)
    assert "train/sad/1.png: has another split than test/sad/1.png" in message


def test_too_few_classes_say_how_to_lay_the_folder_out(tmp_path):
    assert complaint(tmp_path / "gone").startswith(
        f"{tmp_path}/gone: is no folder; set --config.dataset.dir"
    )
    draw(tmp_path, "loose.png")
    message = complaint(tmp_path)
    assert "no labelled face of folder found (1 left out: in no folder" in message
    assert folder.LAYOUT in message
    draw(tmp_path, "happy/1.png")
    message = complaint(tmp_path)
    assert "only the class 'happy' of folder found; put the images into" in message


def test_a_run_says_which_fold_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SURROJAX_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shapes"
    rng = np.random.default_rng(0)
    for label in ("disc", "square"):
        (folder / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 255, (12, 12, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    config = fer2013_lenet.get_config()
    config.dataset.name, config.dataset.dir = "folder", str(folder)
    config.dataset.mirror, config.dataset.fold = False, 3
    Setup.of(config).say_opening(quiet=False)
    told = capsys.readouterr().out
    assert "lenet on folder, fold 3 of ten, 28x28 grey, 16 / 2 / 2 images" in told
