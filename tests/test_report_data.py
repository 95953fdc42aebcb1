"""What was read, in a report: the manifest in tables."""

import pytest
from reports import page_of, put

pytestmark = pytest.mark.usefixtures("sketched")


def test_what_was_read_is_told_in_words_and_without_what_is_empty(tmp_path):
    manifest = {
        "source": "fer2013.tar.gz",
        "sha256": {"fer2013.tar.gz": "c6f4"},
        "splits": {
            name: {"images": n, "sequences": n, "subjects": 0}
            for name, n in (("train", 28709), ("test", 3589))
        },
        "classes": {name: {"happy": 2, "sad": 1} for name in ("train", "test")},
        "left_out": {},
        "faults": {"duplicate_groups_with_different_labels": 57, "percent": 8.7},
        "notes": [],
        "aligned": False,
        "duplicates": {"within": {"train": 1236}, "test_in_train": 0},
    }
    page = page_of(put(tmp_path / "a", manifest=manifest))
    tables = list(page.tables)
    begin = tables.index("What was read")
    assert tables[begin : begin + 6] == [
        *("What was read", "SHA-256", "Splits", "Samples by class"),
        "Faults of the database, counted and never mended",
        "Samples whose pixels occur before, counted and never removed",
    ]
    what, digest, splits, classes, faults, duplicates = (
        page.tables[name] for name in tables[begin : begin + 6]
    )
    assert what == [["Source", "fer2013.tar.gz"], ["Aligned", "no"]]
    assert digest == [["fer2013.tar.gz", "c6f4"]]
    assert splits == [["", "images"], ["train", "28,709"], ["test", "3,589"]]
    assert classes[1] == ["train", "2", "1"]
    assert faults[0] == ["duplicate groups with different labels", "57"]
    assert duplicates == [["within train", "1,236"], ["test in train", "0"]]


@pytest.mark.parametrize(
    ("sequences", "aligned", "told"),
    [
        (40, False, [["Images", "40"], ["Aligned", "no"]]),
        (
            10,
            True,
            [
                *(["Frames", "40"], ["Sequences", "10"]),
                *(["Aligned", "yes"], ["No face found", "0"]),
            ],
        ),
    ],
)
def test_sequences_and_faces_are_told_where_there_are_such(
    tmp_path, sequences, aligned, told
):
    manifest = {"frames": 40, "sequences": sequences}
    manifest |= {"aligned": aligned, "no_face_found": 0}
    page = page_of(put(tmp_path / "a", manifest=manifest))
    assert page.tables["What was read"] == told


def test_subjects_and_sequences_are_told_where_they_are_known(tmp_path):
    both = {"source": {"faults": {"rows": 3}, "subjects": 0}, "target": {"rows": 4}}
    splits = {
        name: {"images": 30, "sequences": 10, "subjects": 4} for name in ("a", "b")
    }
    manifest = both | {"splits": splits, "subjects": {"a": 4, "b": 4}}
    page = page_of(put(tmp_path / "a", manifest=manifest))
    assert page.tables["Splits"][:2] == [
        ["", "images", "sequences", "subjects"],
        ["a", "30", "10", "4"],
    ]
    assert page.tables["Target: what was read"] == [["Rows", "4"]]
    faults = "Source: Faults of the database, counted and never mended"
    assert page.tables[faults] == [["rows", "3"]]
    assert "Subjects" not in page.tables and "Source: what was read" not in page.tables


@pytest.mark.parametrize(
    ("counts", "caption"),
    [
        ({"train": 3, "test": 2}, "Samples by split"),
        ({"happy": 3, "sad": 2}, "Samples by class"),
    ],
)
def test_counts_are_named_by_what_they_are_of(tmp_path, counts, caption):
    page = page_of(put(tmp_path / "a", manifest={"counts": counts}))
    assert page.tables[caption] == [[name, str(n)] for name, n in counts.items()]


def test_subjects_are_told_where_one_split_has_none(tmp_path):
    splits = {
        name: {"images": 30, "subjects": subjects}
        for name, subjects in (("train", 3), ("test", 0))
    }
    page = page_of(put(tmp_path / "a", manifest={"splits": splits}))
    assert page.tables["Splits"] == [
        ["", "images", "subjects"],
        *(["train", "30", "3"], ["test", "30", "0"]),
    ]


def test_figures_of_one_split_are_a_list(tmp_path):
    manifest = {"splits": {"train": {"images": 30, "sequences": 10}}}
    page = page_of(put(tmp_path / "a", manifest=manifest))
    assert page.tables["Splits"] == [["train.images", "30"], ["train.sequences", "10"]]


def test_faces_are_told_of_a_manifest_that_does_not_say_whether_it_looked(tmp_path):
    page = page_of(put(tmp_path / "a", manifest={"no_face_found": 2}))
    assert page.tables["What was read"] == [["No face found", "2"]]
