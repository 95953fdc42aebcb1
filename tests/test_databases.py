"""Databases from the user's folder to splits, and ten folds of one by one command."""

import csv
import json
import logging
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import drawn
import numpy as np
import pytest
from conftest import as_user, draw_nothing
from PIL import Image
from small_run import use_small_networks

from configs import ck_mresnet, cross_database
from surrojax import settings
from surrojax.data import EXPRESSIONS, Protocol, Source, Split, align, load
from surrojax.data.databases import read
from surrojax.data.protocols import Samples, ten_folds
from surrojax.errors import InputError
from surrojax.run import setup
from surrojax.run.hints import of_dataset
from surrojax.run.sweep import run_sweep
from surrojax.settings import folds


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SURROJAX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def ck(tmp_path):
    return drawn.ck(tmp_path / "ck")


def test_ck_is_read_dealt_and_counted(ck):
    """20 subjects: a sequence of three peak frames and a neutral sample of three."""
    dataset = load(Source("ck", ck, 16, 1), Protocol(fold=3))
    assert dataset.classes == EXPRESSIONS
    assert {s: len(p) for s, p in dataset.splits.items()} == {
        "train": 96,
        "validation": 12,
        "test": 12,
    }
    assert set(dataset.test.subjects) == {"S003", "S013"}
    assert set(dataset.validation.subjects) == {"S004", "S014"}
    units, labels = dataset.test.units()
    assert np.bincount(units).tolist() == [3, 3, 3, 3]
    names = {
        str(sequence): EXPRESSIONS[label]
        for sequence, label in zip(
            dataset.test.sequences, dataset.test.labels, strict=True
        )
    }
    assert names == {  # S003 is the fourth of CK+'s six, S013 the second
        "S003/001": "happy",
        "S003/neutral": "neutral",
        "S013/001": "disgust",
        "S013/neutral": "neutral",
    }
    manifest = dataset.manifest
    assert manifest["splits"]["train"] == {
        "images": 96,
        "sequences": 32,
        "subjects": 16,
    }
    assert manifest["duplicates"]["test_in_train_or_validation"] == 0
    assert manifest["no_face_found"] == 0 and len(manifest["sha256"]) == 64


def test_pixels_are_the_central_square_of_each_frame(ck):
    dataset = load(Source("ck", ck, 48, 1), Protocol(fold=0))
    for row in (0, 50):
        file = ck / str(dataset.train.files[row])
        expected = np.asarray(Image.open(file))[:, 8:56]  # 64 x 48
        np.testing.assert_array_equal(dataset.train.pixels()[row, ..., 0], expected)


def test_six_classes_of_ck_have_no_neutral(ck):
    dataset = load(Source("ck", ck, 16, 1, classes=6), Protocol())
    assert dataset.classes == EXPRESSIONS[:6]
    assert sum(map(len, dataset.splits.values())) == 60


def test_a_folder_of_labels_in_colour_with_subjects(tmp_path):
    root = drawn.label_folders(tmp_path / "jaffe", ("HA", "SA", "NE"))
    options = (("subject_pattern", r"^(p\d+)_"), ("sequence_pattern", ""))
    dataset = load(Source("folder", root, 20, 3, options=options), Protocol(fold=1))
    assert dataset.classes == ("happy", "sad", "neutral")
    assert dataset.train.images.shape == (27, 20, 20, 3)
    assert set(dataset.test.subjects) == {"p01", "p11"}
    with pytest.raises(InputError, match="dataset.classes: 6 .* folder has no angry"):
        load(Source("folder", root, 20, 3, classes=6, options=options), Protocol())


def test_persons_with_folders_of_expressions_are_told_and_can_be_mended(tmp_path):
    for number in range(10):
        folder = tmp_path / f"by_person/subj{number:02}"
        drawn.label_folders(folder, ("happy", "sad"), 1, seed=number)
        for label in ("happy", "sad"):
            place = tmp_path / "mended" / label / folder.name
            shutil.copytree(folder / label, place)
    method = SimpleNamespace(batch_size=1, tunes=False, blind=None)
    options = (("subject_pattern", ""), ("sequence_pattern", ""))
    source = Source("folder", tmp_path / "by_person", 20, 3, options=options)
    told = of_dataset(method, load(source, Protocol()))
    assert "sort images as happy/subj00/1.png" in told[0]
    [pattern] = re.findall('subject_pattern=([^"]*)"', told[0])
    options = (("subject_pattern", pattern), ("sequence_pattern", ""))
    source = Source("folder", tmp_path / "mended", 20, 3, options=options)
    dataset = load(source, Protocol(fold=2))
    assert dataset.classes == ("happy", "sad")
    assert set(dataset.test.subjects) == {"subj02"}
    assert of_dataset(method, dataset) == []


def test_a_folder_in_splits_says_who_is_on_two_sides(tmp_path):
    for part, seed in (("train", 0), ("test", 1)):
        drawn.label_folders(tmp_path / "set" / part, ("happy", "sad"), 16, seed=seed)
    (tmp_path / "set/train/sad/p03_sad.png").unlink()
    (tmp_path / "set/train/happy/p03_happy.png").unlink()
    options = (("subject_pattern", r"^(p\d+)_"), ("sequence_pattern", ""))
    source = Source("folder", tmp_path / "set", 20, 3, options=options)
    dataset = load(source, Protocol())
    assert dataset.manifest["test_subjects_in_train_or_validation"] == 15
    method = SimpleNamespace(batch_size=4, tunes=False, blind=None)
    [told] = of_dataset(method, dataset)
    assert told.startswith("test: 15 of 16 subjects are in train or validation as well")
    held = load(source, Protocol(held_out=True))
    assert held.manifest["test_subjects_in_train_or_validation"] == 0


def test_a_folder_without_subjects_is_dealt_by_rows_and_its_copies_stay_together(
    tmp_path,
):
    root = drawn.label_folders(tmp_path / "set", ("happy", "sad"))
    copy = root / "sad" / "zz_copy.png"
    copy.write_bytes((root / "happy" / "p03_happy.png").read_bytes())
    options = (("subject_pattern", ""), ("sequence_pattern", ""))
    source = Source("folder", root, 20, 3, options=options)
    for fold in range(10):
        dataset = load(source, Protocol(fold=fold))
        found = dataset.manifest["duplicates"]
        assert found["images_with_several_labels"] == 1
        assert found["test_in_train_or_validation"] == 0
        assert found["validation_in_train"] == 0


@pytest.mark.parametrize(
    ("sequence", "told", "classes"),
    [
        ("", "24 images, no subjects; images", "12 happy, 12 sad"),
        (
            r"^(p\d)\d_",
            "24 frames of 4 sequences, no subjects; sequences",
            "2 happy, 2 sad",
        ),
    ],
)
def test_what_was_read_is_told_of_images_or_of_sequences(
    tmp_path, caplog, sequence, told, classes
):
    root = drawn.label_folders(tmp_path / "set", ("happy", "sad"))
    options = (("subject_pattern", ""), ("sequence_pattern", sequence))
    with caplog.at_level(logging.INFO, logger="surrojax"):
        read(Source("folder", root, 20, 3, options=options))
    first, second = caplog.messages[-1].splitlines()
    assert first.endswith(f"{told} by class: {classes}")
    assert re.fullmatch("  left out: nothing; sha256 [0-9a-f]{16}", second)


def test_images_without_a_face_are_told_as_images(tmp_path, caplog, monkeypatch):
    class HalfBlind:
        def landmarks(self, image):
            points = np.array([[16, 20], [32, 20], [24, 28], [18, 36], [30, 36]])
            return None if image[0, 0, 0] > 60 else points.astype(np.float32)

    monkeypatch.setattr(align, "Detector", HalfBlind)
    # The first row of happy is bright.
    root = drawn.label_folders(tmp_path / "set", ("happy", "sad"))
    options = (("subject_pattern", ""), ("sequence_pattern", ""))
    (root / "sad" / "q.png").write_bytes((root / "happy/p00_happy.png").read_bytes())
    with caplog.at_level(logging.INFO, logger="surrojax"):
        read(Source("folder", root, 20, 3, align=True, options=options))
    first, second, note = caplog.messages[-1].splitlines()
    assert first.endswith("12 images, no subjects; images by class: 0 happy, 12 sad")
    assert "; no face found in 13 images; sha256 " in second
    assert note == (
        "  note: 13 of 25 images are left out (no face found, or not decoded)"
    )


def test_a_folder_that_alignment_emptied_says_so():
    labels = np.arange(4, dtype=np.int32) % 2
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)
    manifest = {"no_face_found": 36}
    few = Samples("folder", ("happy", "sad"), Split(images, labels), None, manifest)
    with pytest.raises(InputError, match="found in 36 of .*dataset.align=False"):
        ten_folds(few, 0)
    with pytest.raises(InputError, match="train/ and test/$"):
        ten_folds(replace(few, manifest={"no_face_found": 5}), 0)


def test_official_splits_know_no_fold(tmp_path):
    for part, seed in (("train", 0), ("test", 1)):
        drawn.label_folders(tmp_path / "set" / part, ("happy", "sad"), seed=seed)
    options = (("subject_pattern", ""), ("sequence_pattern", ""))
    source = Source("folder", tmp_path / "set", 20, 1, options=options)
    dataset = load(source, Protocol())
    assert [len(part) for part in dataset.splits.values()] == [21, 3, 24]
    with pytest.raises(InputError, match="dataset.fold: folder .* official splits"):
        load(source, Protocol(fold=2))


def test_from_the_drawn_faces_to_ck(ck):
    target = Source("ck", ck, 16, 1)
    dataset = load(Source("faces", None, 16, 1), Protocol(fold=2, target=target))
    assert len(dataset.train) == 1008  # its training split
    assert set(dataset.validation.subjects) == {"S002", "S012"}
    assert len(dataset.test) == 108 and dataset.allowed is None
    six = Source("ck", ck, 16, 1, classes=6)
    masked = load(Source("faces", None, 16, 1), Protocol(fold=2, target=six))
    assert masked.allowed == (True,) * 6 + (False,)


@pytest.mark.parametrize("mask", [True, False])
def test_seven_classes_on_a_target_of_six(tmp_path, mask):
    """`classes` is of what is trained on; neutral is never found, or an error."""
    drawn.label_folders(tmp_path / "six", EXPRESSIONS[:6])
    config = cross_database.get_config()
    config.network = "lenet"
    config.dataset.update(
        {
            "name": "faces",
            "target": "folder",
            "target_dir": str(tmp_path / "six"),
            "align": False,
            "classes": 7,
            "fold": 0,
            "mask_absent_classes": mask,
        }
    )
    dataset = settings.load_data(config)
    assert dataset.classes == EXPRESSIONS
    assert dataset.allowed == ((True,) * 6 + (False,) if mask else None)


@pytest.mark.parametrize("name", ["ck", "folder", "fer2013"])
def test_of_a_missing_target_the_message_names_its_own_field(name, tmp_path):
    target = Source(name, tmp_path / "nowhere", 16, 1)
    with pytest.raises(InputError, match="nowhere.*config.dataset.target_dir"):
        load(Source("faces", None, 16, 1), Protocol(target=target))


def test_an_unknown_database_is_named():
    with pytest.raises(InputError, match="'jaffe' is unknown .*faces"):
        load(Source("jaffe", None, 28, 1), Protocol())


def test_ten_folds_are_run_and_pooled(ck, tmp_path, monkeypatch, capsys):
    use_small_networks(monkeypatch)
    draw_nothing(monkeypatch)
    made = []

    def once(*given):
        """The folds differ in their data alone."""
        if not made:
            made.append(settings.method_of(*given))
        return made[0]

    monkeypatch.setattr(setup, "method_of", once)
    config = ck_mresnet.get_config()
    config.update_from_flattened_dict(
        {
            "network": "lenet",
            "dataset.align": False,
            "dataset.crops": 1,
            "dataset.dir": str(ck),
            "tune": (),
            "batch_size": 16,
            "iterations_per_round": 30,
            "max_iterations": 30,
            "execution.devices": 1,
        }
    )
    every = ",".join(map(str, range(10)))
    assert folds(config) == tuple(range(10))
    run_sweep(config, str(tmp_path / "run"), [f"dataset.fold={every}"], quiet=True)
    out = capsys.readouterr().out
    pooled = json.loads((tmp_path / "run/folds.json").read_text())["all"]
    assert pooled["runs"] == 10 and len(pooled["each"]) == 10
    # Each of the 40 samples is tested exactly once.
    confusion = np.array(pooled["confusion_matrix"])
    assert confusion.sum(axis=1).tolist() == [4, 4, 3, 3, 3, 3, 20]
    assert pooled["pooled_accuracy"] == confusion.trace() / 40
    assert pooled["mean"] == pytest.approx(np.mean(pooled["each"]))
    assert pooled["sd"] == pytest.approx(np.std(pooled["each"], ddof=1))
    table = out[out.index("macro-F1 %") :]
    assert f"{100 * pooled['pooled_accuracy']:.2f}" in table
    tested = set()
    for fold in range(10):
        text = (tmp_path / f"run/dataset.fold={fold}/predictions.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        assert {row["subject"] for row in rows if row["split"] == "test"} == {
            f"S{fold:03}",
            f"S{fold + 10:03}",
        }
        tested |= {row["sample"] for row in rows if row["split"] == "test"}
    assert len(tested) == 40


@pytest.mark.slow
def test_one_command_runs_all_ten_folds(ck, tmp_path):
    done = as_user(
        "launch.py",
        "--config=configs/ck_mresnet.py",
        "--config.network=lenet",
        "--config.dataset.align=False",
        f"--config.dataset.dir={ck}",
        "--config.tune=()",
        "--config.batch_size=16",
        "--config.iterations_per_round=30",
        "--config.max_iterations=30",
        f"--workdir={tmp_path}/run",
        timeout=600,
        SURROJAX_CACHE=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    assert "20 subjects; sequences by class: 4 angry" in done.stdout
    pooled = json.loads((tmp_path / "run/folds.json").read_text())["all"]
    assert pooled["runs"] == 10
    assert pooled["pooled_accuracy"] > 0.5  # neutral alone is half
    assert all(
        (tmp_path / f"run/dataset.fold={n}/report.html").exists() for n in range(10)
    )
