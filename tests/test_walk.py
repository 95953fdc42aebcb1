"""Files, folders and labels: found by names, whatever the case and the disk's order."""

import os
from pathlib import Path

import pytest
from readers import complaint, draw

from surrojax.data import walk
from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.labels import expression


def names(root: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def has_images(place: Path) -> bool:
    return walk.child(place, "images") is not None


def find(folder: Path) -> Path:
    return walk.find_root(
        folder, ("My-Base", "mb"), has_images, "folder images", "My Base from Nobody"
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("angry Anger ANG AN", "angry"),
        ("disgust Disgusted dis DI", "disgust"),
        ("fear afraid Fearful scared FE AF", "fear"),
        ("happy Happiness SMILE joy HA", "happy"),
        ("sad Sadness SA", "sad"),
        ("surprise Surprised SU", "surprise"),
        ("neutral NE", "neutral"),
        ("Contempt", "contempt"),
    ],
)
def test_expressions_are_understood_in_all_spellings(words, name):
    assert {expression(f" {word}\t") for word in words.split()} == {name}
    assert name in (*EXPRESSIONS, "contempt")


@pytest.mark.parametrize("word", ["", "a", "none", "happy sad", "unknown", "3"])
def test_other_words_are_no_expression(word):
    assert expression(word) is None


def test_images_are_found_in_natural_order_whatever_the_order_of_creation(tmp_path):
    wanted = [
        "b2.JPG",
        "B10.png",
        "inner2/x.jpeg",
        "inner10/deep/01.png",
        "inner10/deep/1.png",
        "inner10/deep/1.TIFF",
        "inner10/deep/1a.webp",
        "inner10/deep/1b.bmp",
        "inner10/deep/2.pgm",
        "inner10/deep/10.tif",
    ]
    for place, order in (("one", wanted), ("two", wanted[::-1])):
        draw(tmp_path / place, *order, "readme.txt", "film.avi")
        assert names(tmp_path / place, walk.images(tmp_path / place)) == wanted


def test_hidden_files_and_what_desktops_leave_never_count(tmp_path):
    draw(
        tmp_path,
        "a.png",
        ".DS_Store",
        "._a.png",
        "Thumbs.db",
        "desktop.ini",
        "__MACOSX/a.png",
        ".hidden/a.png",
    )
    assert names(tmp_path, walk.files_below(tmp_path)) == ["a.png"]
    assert walk.folders(tmp_path) == []


def test_files_are_those_of_the_folder_alone(tmp_path):
    draw(tmp_path, "x1.csv", "X2.CSV", "x1.png", "inner/y.csv")
    assert names(tmp_path, walk.files(tmp_path, {".csv"})) == ["x1.csv", "X2.CSV"]
    assert names(tmp_path, walk.files(tmp_path)) == ["x1.csv", "x1.png", "X2.CSV"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    draw(tmp_path, "base/a.png", "elsewhere/b.png")
    (tmp_path / "base/round").symlink_to(tmp_path / "base")
    (tmp_path / "base/to").symlink_to(tmp_path / "elsewhere")
    found = walk.images(tmp_path / "base")
    assert names(tmp_path, found) == ["base/a.png", "base/to/b.png"]


def test_a_link_to_nothing_is_named_unless_it_is_no_file_of_the_kind(tmp_path):
    draw(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone")
    assert names(tmp_path, walk.files(tmp_path, {".txt"})) == []
    message = complaint(walk.images, tmp_path)
    assert message == f"{tmp_path}/b.png: is a link to nothing; mend or delete it"


def test_a_name_that_is_no_text_is_shown_with_escapes(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    message = complaint(walk.images, tmp_path)
    assert f"{tmp_path}: the name 'caf\\udce9.png'" in message
    assert message.endswith("rename it")


def test_names_with_blanks_accents_and_quotes_are_names(tmp_path):
    draw(tmp_path, "Jürgen's “face” (1).png", "顔 2.jpg")
    assert len(walk.images(tmp_path)) == 2


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    message = complaint(walk.folders, tmp_path / "gone")
    assert message.startswith(f"{tmp_path}/gone: cannot be read (No such file")
    assert "check its name" in message


def test_a_child_is_found_in_any_case_and_with_any_joint(tmp_path):
    draw(tmp_path, "Cohn Kanade_IMAGES/", "emotion/", "file-x")
    assert walk.child(tmp_path, "cohn-kanade-images").name == "Cohn Kanade_IMAGES"
    assert walk.child(tmp_path, "absent", "Emotion").name == "emotion"
    assert walk.child(tmp_path, "file-x") is None


def test_two_spellings_of_a_child_are_refused(tmp_path):
    draw(tmp_path, "a-b/", "a_b/")
    assert len(walk.folders(tmp_path)) == 2
    message = complaint(walk.child, tmp_path, "a-b")
    assert "both 'a-b' and 'a_b'" in message
    assert message.endswith("keep one of them there")


@pytest.mark.parametrize(
    ("drawn", "root"),
    [
        (["images/", "My-Base/images/"], "."),
        (["mb/images/", "MY_BASE/images/"], "MY_BASE"),
        (["MB/images/"], "MB"),
        (["my base/mb/Images/"], "my base/mb"),
    ],
)
def test_the_root_is_the_folder_or_a_named_one_inside(tmp_path, drawn, root):
    draw(tmp_path, *drawn)
    assert find(tmp_path) == tmp_path / root


def test_an_absent_database_says_what_to_get_from_whom_and_where_to_put_it(tmp_path):
    draw(tmp_path, "other/images/", "mb/mb/mb/images/")
    message = complaint(find, tmp_path)
    assert message == (
        f"no folder images in {tmp_path}: get My Base from Nobody, and put it there or "
        f"into {tmp_path}/My-Base, or set --config.dataset.dir or SURROJAX_DATA to the "
        "folder that has it"
    )
    draw(tmp_path, "file")
    for absent in ("gone", "file"):
        message = complaint(find, tmp_path / absent)
        assert f"in {tmp_path}/{absent}, which is no folder: get" in message
