"""FER2013 and FER+: every form of the files, every fault, the cache, the counts."""

import gzip
import io
import json
import logging
import os
import socket
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import readers
from absl import logging as absl_logging
from PIL import Image

from surrojax.data import fer2013, fer2013_builder
from surrojax.data.dataset import EXPRESSIONS, Dataset
from surrojax.errors import InputError

USAGES = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 3
LABELS = [0, 3, 6, 3, 1, 2, 3, 4, 5]
VOTES_HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,"
    "contempt,unknown,NF"
)
# One row for each row above: neutral, tie, NF, sad; happy, contempt; anger, unknown,
# fear.
VOTES = [
    [6, 0, 1, 1, 0, 0, 0, 0, 2, 0],
    [4, 4, 0, 2, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    [1, 0, 0, 9, 0, 0, 0, 0, 0, 0],
    [0, 8, 2, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 3, 0, 0, 5, 2, 0],
    [0, 0, 0, 0, 7, 3, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 4, 0, 0, 6, 0],
    [0, 0, 0, 0, 0, 0, 10, 0, 0, 0],
]


def make_pixels() -> np.ndarray:
    """Nine images: 6 repeats 0, 7 repeats 3 with another label, 5 is constant."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 48, 48), np.uint8)
    pixels[6], pixels[7], pixels[5] = pixels[0], pixels[3], 17
    return pixels


PIXELS = make_pixels()


def make_rows() -> list[tuple[str, str, str]]:
    return [
        (str(label), " ".join(map(str, image.ravel())), usage)
        for label, image, usage in zip(LABELS, PIXELS, USAGES, strict=True)
    ]


def fer_csv(rows: list[tuple[str, str, str]] | None = None) -> bytes:
    rows = make_rows() if rows is None else rows
    lines = ["emotion,pixels,Usage", *map(",".join, rows)]
    return ("\n".join(lines) + "\n").encode()


def icml_csv() -> bytes:
    lines = [f"{label},{usage},{pixels}" for label, pixels, usage in make_rows()]
    return "\r\n".join(["emotion, Usage, pixels", *lines]).encode()


def votes_csv(votes: list[list] | None = None, usages: list[str] = USAGES) -> bytes:
    votes = VOTES if votes is None else votes
    # The names count otherwise than the rows: they are not what aligns the files.
    lines = [
        ",".join(map(str, [usage, f"fer{9 - i:07}.png", *row]))
        for i, (usage, row) in enumerate(zip(usages, votes, strict=True))
    ]
    return "\n".join([VOTES_HEADER, *lines]).encode()


def tar_gz(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def load(data: Path, name: str = "fer2013", **kwargs: int) -> Dataset:
    return fer2013.load(name, directory=data, cache=data.parent / "cache", **kwargs)


def complaint(data: Path, name: str = "fer2013") -> str:
    """The message of the InputError; it is one line, and leaves nothing prepared."""
    message = readers.complaint(load, data, name)
    assert not list((data.parent / "cache").rglob("*array_record*"))
    return message


CHALLENGE = (
    "challenges-in-representation-learning-facial-expression-recognition-challenge.zip"
)
FORMS = {
    "csv": ("fer2013.csv", fer_csv()),
    "icml csv": ("icml_face_data.csv", icml_csv()),
    "byte order mark": ("fer2013.csv", b"\xef\xbb\xbf" + fer_csv()),
    "sub-folder": ("fer2013/fer2013.csv", fer_csv()),
    "tar.gz": ("fer2013.tar.gz", tar_gz("fer2013/fer2013.csv", fer_csv())),
    "zip": ("fer2013.zip", zipped(**{"a/fer2013.csv": fer_csv()})),
    "icml zip": (
        "icml_face_data.csv.zip",
        zipped(
            **{"__MACOSX/._icml_face_data.csv": b"", "icml_face_data.csv": icml_csv()}
        ),
    ),
    "challenge": (CHALLENGE, zipped(**{"icml_face_data.csv": icml_csv()})),
    "nested": (
        CHALLENGE,
        zipped(
            **{
                "train.csv": b"",
                "fer2013.tar.gz": tar_gz("fer2013/fer2013.csv", fer_csv()),
            }
        ),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_splits_in_the_order_of_the_csv(data, form):
    name, content = FORMS[form]
    path = data / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    dataset = load(data)
    assert (dataset.name, dataset.classes) == ("fer2013", EXPRESSIONS)
    for split, rows in (("train", [0, 4]), ("validation", [4, 6]), ("test", [6, 9])):
        part = getattr(dataset, split)
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int32
        np.testing.assert_array_equal(part.images, PIXELS[slice(*rows), ..., None])
        np.testing.assert_array_equal(part.labels, LABELS[slice(*rows)])
    assert dataset.manifest["source"] == path.name


def test_order_is_restored_for_many_rows(data):
    # Nine rows might be in order by chance; these are not on disk.
    image = " ".join(["0"] * 2304)
    usages = ["Training", "PublicTest", "PrivateTest"] * 40
    rows = [(str(i * i % 7), f"{i}{image[1:]}", u) for i, u in enumerate(usages)]
    (data / "fer2013.csv").write_bytes(fer_csv(rows))
    dataset = load(data)
    assert dataset.train.images[:, 0, 0, 0].tolist() == list(range(0, 120, 3))
    assert dataset.test.labels.tolist() == [i * i % 7 for i in range(2, 120, 3)]


def test_resize_and_channels(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    small = load(data, image_size=32, channels=3).train.images
    assert small.shape == (4, 32, 32, 3)
    assert small.dtype == np.uint8
    expected = Image.fromarray(PIXELS[1]).resize((32, 32), Image.Resampling.BILINEAR)
    for channel in range(3):
        np.testing.assert_array_equal(small[1, ..., channel], np.asarray(expected))
    grey = load(data, channels=3).train.images
    np.testing.assert_array_equal(grey, np.repeat(PIXELS[:4, ..., None], 3, axis=3))


@pytest.mark.parametrize(
    ("kwargs", "what"),
    [
        ({"name": "fer2014"}, "database: 'fer2014' is unknown"),
        ({"image_size": 0}, "image_size is 0"),
        ({"channels": 2}, "channels is 2"),
    ],
)
def test_wrong_arguments(data, kwargs, what):
    with pytest.raises(InputError, match=what):
        load(data, **kwargs)


def test_manifest(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    manifest = load(data).manifest
    assert json.loads(json.dumps(manifest)) == manifest
    assert manifest["splits"] == {"train": 4, "validation": 2, "test": 3}
    assert manifest["classes"]["train"] == {
        "angry": 1,
        "disgust": 0,
        "fear": 0,
        "happy": 2,
        "sad": 0,
        "surprise": 0,
        "neutral": 1,
    }
    assert manifest["left_out"] == {}
    assert manifest["faults"] == {
        "rows": 9,
        "distinct_images": 7,
        "test_rows_seen_elsewhere": 2,
        "test_percent_seen_elsewhere": 66.7,
        "duplicate_groups_with_different_labels": 2,
        "constant_images": 1,
    }
    assert "4 / 2 / 3" in manifest["notes"][0]
    assert "28709 / 3589 / 3589" in manifest["notes"][0]


def test_ferplus_labels_and_left_out_rows(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    (data / "fer2013new.csv").write_bytes(votes_csv())
    dataset = load(data, "ferplus")
    assert dataset.name == "ferplus"
    assert dataset.train.labels.tolist() == [6, 4]  # neutral, sad
    assert dataset.validation.labels.tolist() == [3]  # happy
    assert dataset.test.labels.tolist() == [0, 2]  # angry, fear
    np.testing.assert_array_equal(dataset.train.images[..., 0], PIXELS[[0, 3]])
    np.testing.assert_array_equal(dataset.test.images[..., 0], PIXELS[[6, 8]])
    manifest = dataset.manifest
    assert manifest["left_out"] == {"contempt": 1, "unknown": 1, "NF": 1, "tie": 1}
    # Of the kept rows 0, 3, 4, 6 and 8, 6 repeats 0.
    assert manifest["faults"]["rows"] == 5
    assert manifest["faults"]["distinct_images"] == 4
    assert manifest["faults"]["duplicate_groups_with_different_labels"] == 1
    assert manifest["faults"]["constant_images"] == 0
    assert list(manifest["sha256"]) == ["fer2013.csv", "fer2013new.csv"]


@pytest.mark.parametrize(
    ("place", "label"), list(enumerate([6, 3, 5, 4, 0, 1, 2, None, None, None]))
)
def test_each_ferplus_class_has_its_place_among_the_expressions(data, place, label):
    votes = [[*row] for row in VOTES]
    votes[0] = [10 if i == place else 0 for i in range(10)]
    (data / "fer2013.csv").write_bytes(fer_csv())
    (data / "fer2013new.csv").write_bytes(votes_csv(votes))
    expected = [4] if label is None else [label, 4]
    assert load(data, "ferplus").train.labels.tolist() == expected


def test_tie_that_only_contempt_shares_is_a_tie(data):
    votes = [[*row] for row in VOTES]
    votes[0] = [5, 0, 0, 0, 0, 0, 0, 5, 0, 0]
    (data / "fer2013.csv").write_bytes(fer_csv())
    (data / "fer2013new.csv").write_bytes(votes_csv(votes))
    assert load(data, "ferplus").manifest["left_out"]["tie"] == 2


def test_second_load_reads_the_cache(data, monkeypatch, caplog):
    (data / "fer2013.csv").write_bytes(fer_csv())
    with caplog.at_level(logging.INFO, logger="surrojax"):
        first = load(data)
        assert [r.name for r in caplog.records] == ["surrojax"]
        assert "preparing" in caplog.text
        monkeypatch.setattr(fer2013_builder, "read_faces", None)
        second = load(data)
    assert len(caplog.records) == 1
    np.testing.assert_array_equal(first.test.images, second.test.images)
    assert first.manifest == second.manifest


def test_changed_source_is_prepared_anew(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    load(data)
    rows = make_rows()
    rows[0] = ("5", *rows[0][1:])
    (data / "fer2013.csv").write_bytes(fer_csv(rows))
    dataset = load(data)
    assert dataset.train.labels[0] == 5
    folders = [f for f in (data.parent / "cache").iterdir() if f.is_dir()]
    assert len(folders) == 2
    digest = dataset.manifest["sha256"]["fer2013.csv"]
    assert f"fer2013-{digest[:16]}" in {folder.name for folder in folders}


def test_changed_votes_are_prepared_anew(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    (data / "fer2013new.csv").write_bytes(votes_csv())
    load(data, "ferplus")
    votes = [[0, 0, 10, *[0] * 7], *VOTES[1:]]
    (data / "fer2013new.csv").write_bytes(votes_csv(votes))
    assert load(data, "ferplus").train.labels[0] == EXPRESSIONS.index("surprise")


def test_a_refused_file_leaves_no_cache(data):
    """A mended one has another folder, so nobody would find it again."""
    (data / "fer2013.csv").write_bytes(fer_csv() + b"9,1 2 3,Training\n")
    with pytest.raises(InputError, match=r"fer2013\.csv"):
        load(data)
    assert [f for f in (data.parent / "cache").iterdir() if f.is_dir()] == []


def test_interrupted_preparation_is_not_taken_for_complete(data, monkeypatch):
    (data / "fer2013.csv").write_bytes(fer_csv())

    def interrupt(image):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fer2013_builder, "encode_png", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(data)
    assert not list((data.parent / "cache").rglob("*array_record*"))
    assert len(load(data).train) == 4


def test_remains_of_a_killed_preparation_are_not_used(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    load(data)
    (info,) = (data.parent / "cache").rglob("dataset_info.json")
    complete = info.parent
    # What a killed process leaves is a folder of TFDS's temporary name.
    complete.rename(complete.with_name(f"incomplete.ABCDEF_{complete.name}"))
    assert len(load(data).train) == 4
    assert complete.is_dir()


def test_damaged_cache_is_named(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    load(data)
    (records,) = (data.parent / "cache").rglob("fer2013-train.array_record*")
    os.truncate(records, 100)
    with pytest.raises(InputError, match="damaged .* delete this folder"):
        load(data)


def test_cache_that_cannot_be_written(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    (data.parent / "cache").write_text("a file, not a folder")
    with pytest.raises(InputError, match="cache cannot be written .* SURROJAX_CACHE"):
        load(data)


def test_nothing_on_the_terminal_and_nothing_from_the_network(data, monkeypatch, capfd):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    (data / "fer2013.csv").write_bytes(fer_csv())
    before = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    try:
        load(data)
        assert absl_logging.get_verbosity() == absl_logging.INFO
    finally:
        absl_logging.set_verbosity(before)
    assert capfd.readouterr() == ("", "")


def test_environment_names_the_folders(data, monkeypatch):
    (data / "fer2013.csv").write_bytes(fer_csv())
    monkeypatch.setenv("SURROJAX_DATA", str(data))
    monkeypatch.setenv("SURROJAX_CACHE", str(data.parent / "kept"))
    assert len(fer2013.load("fer2013").test) == 3
    assert list((data.parent / "kept").glob("fer2013-*"))


def test_home_folders_are_the_default(data, monkeypatch):
    monkeypatch.delenv("SURROJAX_DATA", raising=False)
    monkeypatch.delenv("SURROJAX_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(data))
    manual = data / "tensorflow_datasets/downloads/manual"
    manual.mkdir(parents=True)
    (manual / "fer2013.csv").write_bytes(fer_csv())
    assert len(fer2013.load("fer2013").test) == 3
    assert list((data / ".cache/surrojax").glob("fer2013-*"))


def test_absent_data(data):
    message = complaint(data)
    for part in (
        str(data),
        str(data / "fer2013"),
        "fer2013.tar.gz or icml_face_data.csv",
        "Facial Expression Recognition Challenge",
        "Kaggle's terms",
        "SURROJAX_DATA",
    ):
        assert part in message
    assert "FERPlus" not in message
    assert "FERPlus" in complaint(data, "ferplus")


def test_absent_votes(data):
    (data / "fer2013.csv").write_bytes(fer_csv())
    message = complaint(data, "ferplus")
    for part in (f"no fer2013new.csv in {data}", "microsoft/FERPlus", "MIT", "beside"):
        assert part in message


def with_row(row: int, column: int, text: str) -> bytes:
    rows = [list(r) for r in make_rows()]
    rows[row][column] = text
    return fer_csv([tuple(r) for r in rows])


def with_pixel(text: str) -> bytes:
    levels = make_rows()[2][1].split()
    levels[4] = text
    return with_row(2, 1, " ".join(levels))


PIXEL = "line 4, column 'pixels': pixel 5 is {!r}, not a whole number of 0 to 255"
BAD_CSV = {
    "empty": (b"", ["is empty"]),
    "blank": (b"\n\n", ["is empty"]),
    "header only": (b"emotion,pixels,Usage\n", ["no rows"]),
    "no column": (
        fer_csv().replace(b"emotion", b"label", 1),
        ["line 1: no column 'emotion'", "emotion,pixels,Usage"],
    ),
    "no header": (fer_csv().split(b"\n", 1)[1], ["line 1: no column 'emotion'"]),
    "cut in the pixels": (
        fer_csv()[:-2000],
        ["line 10, column 'Usage': the row has 2 fields, not 3", "cut off"],
    ),
    "cut in the Usage": (
        fer_csv()[:-6],
        ["line 10, column 'Usage': 'Privat' is not one of Training, PublicTest"],
    ),
    "cut after the label": (
        fer_csv([*make_rows()[:-1], ("5",)]),
        ["line 10, column 'pixels': the row has 1 fields, not 3"],
    ),
    "a field too many": (
        with_row(0, 2, "Training,x"),
        ["line 2, column 'Usage': the row has 4 fields, not 3"],
    ),
    "2303 pixels": (
        with_row(1, 1, " ".join(["1"] * 2303)),
        ["line 3, column 'pixels': 2303 pixels, not 48 x 48 = 2304"],
    ),
    "256": (with_pixel("256"), [PIXEL.format("256")]),
    "-1": (with_pixel("-1"), [PIXEL.format("-1")]),
    "abc": (with_pixel("abc"), [PIXEL.format("abc")]),
    "1.5": (with_pixel("1.5"), [PIXEL.format("1.5")]),
    "label 7": (
        with_row(3, 0, "7"),
        ["line 5, column 'emotion': '7' is not a label of 0 to 6", "get it again"],
    ),
    "label x": (with_row(3, 0, "x"), ["line 5, column 'emotion': 'x'"]),
    "no label": (with_row(3, 0, ""), ["line 5, column 'emotion': ''"]),
    "Usage": (with_row(3, 2, "Test"), ["line 5, column 'Usage': 'Test' is not one of"]),
    "bytes": (
        with_row(3, 0, "A").replace(b"\nA,", b"\n\xff,"),
        ["line 5: byte 1 of the line is not UTF-8 text"],
    ),
    "no test split": (
        fer_csv(make_rows()[:6]),
        ["column 'Usage': no row of 'PrivateTest' to make the test split of"],
    ),
    "blank lines count": (
        with_row(3, 0, "7").replace(b"\n", b"\n\n", 1),
        ["line 6, column 'emotion': '7'"],
    ),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv(data, case):
    content, parts = BAD_CSV[case]
    (data / "fer2013.csv").write_bytes(content)
    message = complaint(data)
    assert message.startswith(str(data / "fer2013.csv"))
    for part in parts:
        assert part in message


def test_icml_csv_cut_in_the_pixels(data):
    (data / "icml_face_data.csv").write_bytes(icml_csv()[:-2000])
    message = complaint(data)
    assert "line 10, column 'pixels':" in message
    assert "pixels, not 48 x 48 = 2304" in message


def test_fault_in_an_archive_names_the_member(data):
    content = tar_gz("fer2013/fer2013.csv", with_pixel("256"))
    (data / "fer2013.tar.gz").write_bytes(content)
    start = f"{data}/fer2013.tar.gz, fer2013/fer2013.csv: line 4"
    assert complaint(data).startswith(start)


def encrypted_zip() -> bytes:
    content = bytearray(zipped(**{"fer2013.csv": fer_csv()}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    return bytes(content)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


WHOLE = FORMS["tar.gz"][1]
UNREADABLE = {
    "garbage tar.gz": ("fer2013.tar.gz", b"no archive at all", "cannot be read"),
    "garbage zip": ("fer2013.zip", b"no archive at all", "cannot be read"),
    "empty tar.gz": ("fer2013.tar.gz", b"", "cannot be read"),
    "gz of garbage": ("fer2013.tar.gz", gzip.compress(b"x" * 999), "cannot be read"),
    "truncated tar.gz": ("fer2013.tar.gz", WHOLE[: len(WHOLE) // 2], "cannot be read"),
    "tar.gz without its end": ("fer2013.tar.gz", WHOLE[:-4], "cannot be read"),
    "wrong checksum": ("fer2013.tar.gz", flipped(WHOLE, -8 % len(WHOLE)), "CRC"),
    "truncated zip": ("fer2013.zip", FORMS["zip"][1][:9000], "cannot be read"),
    "encrypted zip": ("fer2013.zip", encrypted_zip(), "encrypted"),
    "tar.gz of others": ("fer2013.tar.gz", tar_gz("a.csv", b""), "has no fer2013.csv"),
    "zip of others": ("fer2013.zip", zipped(a=b""), "has no fer2013.csv"),
    "nested garbage": (
        CHALLENGE,
        zipped(**{"fer2013.tar.gz": b"no archive at all"}),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_archive(data, case):
    name, content, what = UNREADABLE[case]
    (data / name).write_bytes(content)
    message = complaint(data)
    assert message.startswith(str(data / name))
    assert what in message
    assert "get " in message


def with_votes(row: int, place: int, text: str) -> bytes:
    votes = [[*v] for v in VOTES]
    votes[row][place] = text
    return votes_csv(votes)


BAD_VOTES = {
    "empty": (b"", ["is empty"]),
    "no column": (
        votes_csv().replace(b"contempt", b"scorn"),
        ["line 1: no column 'contempt'"],
    ),
    "negative": (
        with_votes(1, 4, "-1"),
        ["line 3, column 'anger': '-1' is not a number of votes (whole, 0 to 10)"],
    ),
    "not whole": (with_votes(0, 9, "0.5"), ["line 2, column 'NF': '0.5'"]),
    "no number": (with_votes(0, 0, "x"), ["line 2, column 'neutral': 'x'"]),
    "Usage": (
        votes_csv(usages=["PublicTest", *USAGES[1:]]),
        ["line 2, column 'Usage': 'PublicTest', but row 1 of", "has 'Training'"],
    ),
    "unknown Usage": (
        votes_csv(usages=["Test", *USAGES[1:]]),
        ["line 2, column 'Usage': 'Test' is not one of"],
    ),
    "too few": (votes_csv(VOTES[:8], USAGES[:8]), ["has 8 rows", "has 9"]),
    "too many": (
        votes_csv([*VOTES, VOTES[0]], [*USAGES, "PrivateTest"]),
        ["has 10 rows", "has 9"],
    ),
    "cut": (votes_csv()[:-8], ["line 10, column 'contempt': the row has 9 fields"]),
    "no validation split": (
        votes_csv([*VOTES[:4], [5, 5, *[0] * 8], *VOTES[5:]]),
        ["no row of 'PublicTest'", "none of its rows has a label"],
    ),
}


@pytest.mark.parametrize("case", BAD_VOTES)
def test_bad_votes(data, case):
    content, parts = BAD_VOTES[case]
    (data / "fer2013.csv").write_bytes(fer_csv())
    (data / "fer2013new.csv").write_bytes(content)
    message = complaint(data, "ferplus")
    assert message.startswith(str(data / "fer2013new.csv"))
    for part in parts:
        assert part in message


@pytest.fixture
def real_data() -> Path:
    folder = os.environ.get("SURROJAX_DATA")
    if not folder:
        pytest.skip("SURROJAX_DATA is not set to a folder with FER2013 and FER+")
    return Path(folder)


def test_real_fer2013(real_data, tmp_path):
    manifest = fer2013.load("fer2013", directory=real_data, cache=tmp_path).manifest
    assert manifest["splits"] == {"train": 28709, "validation": 3589, "test": 3589}
    assert manifest["faults"] == {
        "rows": 35887,
        "distinct_images": 34034,
        "test_rows_seen_elsewhere": 314,
        "test_percent_seen_elsewhere": 8.7,
        "duplicate_groups_with_different_labels": 57,
        "constant_images": 12,
    }
    assert manifest["notes"] == []


@pytest.mark.slow
def test_real_ferplus(real_data, tmp_path):
    dataset = fer2013.load("ferplus", directory=real_data, cache=tmp_path)
    manifest = dataset.manifest
    kept = sum(manifest["splits"].values())
    assert kept + sum(manifest["left_out"].values()) == 35887
    assert kept == manifest["faults"]["rows"]
    assert manifest["notes"] == []
    for split in ("train", "validation", "test"):
        part = getattr(dataset, split)
        assert len(part.images) == len(part) == manifest["splits"][split]
        assert sum(manifest["classes"][split].values()) == len(part)
