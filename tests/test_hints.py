"""Lines about a config's data, for their user to mend."""

from types import SimpleNamespace

import numpy as np
import pytest

from surrojax.data import Dataset, Split
from surrojax.own.hints import unused
from surrojax.run.hints import of_dataset

METHOD = SimpleNamespace(batch_size=4, tunes=True, blind=None)


def split(many, classes):
    labels = np.arange(many, dtype=np.int32) % classes
    subjects = np.array([f"S{number % 3}" for number in range(many)])
    return Split(np.zeros((many, 2, 2, 1), np.uint8), labels, subjects)


def dataset(
    name="folder", train=(9, 3), validation=(100, 3), test=(9, 3), copies=0, known=0
):
    manifest = {
        "duplicates": {"test_in_train_or_validation": copies},
        "test_subjects_in_train_or_validation": known,
    }
    parts = (split(*of) for of in (train, validation, test))
    return Dataset(name, ("circle", "square", "sqare"), *parts, manifest)


def test_what_is_in_order_is_not_told():
    assert of_dataset(METHOD, dataset()) == []
    untuned = SimpleNamespace(batch_size=4, tunes=False, blind=None)
    assert of_dataset(untuned, dataset(validation=(12, 3))) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"train": (9, 2)}, "train: has no example of class sqare, of 3 classes"),
        ({"test": (9, 1)}, "test: has no example of class square, sqare, of 3 classes"),
        (
            {"train": (3, 3)},
            "batch_size: 4 is more than the 3 examples to train, so that each "
            "minibatch holds some several times",
        ),
        (
            {"validation": (50, 3)},
            "validation: settings are compared on 50 examples, where one more or less "
            "is 2 % of accuracy, so that chance decides; give 100 or more, or say the "
            'ratios by fixed and tune nothing ("--config.tune=()")',
        ),
        (
            {"copies": 7},
            "test: 7 of 9 images are in train or validation as well, so that test "
            "accuracy says too much; keep one copy of each",
        ),
        (
            {"known": 2},
            "test: 2 of 3 subjects are in train or validation as well, so that test "
            "accuracy says too much; put all images of a subject on one side, or take "
            "away the folders train and test: ten folds of subjects are dealt then",
        ),
    ],
)
def test_what_a_folder_lacks_is_told(given, told):
    assert of_dataset(METHOD, dataset(**given)) == [told]


def in_files(names, files):
    """A folder's dataset whose images lie in `files`, of the classes `names`."""
    labels = [next(i for i, n in enumerate(names) if f"{n}/" in file) for file in files]
    part = Split(
        np.zeros((len(files), 2, 2, 1), np.uint8),
        np.array(labels, np.int32),
        files=np.array(files),
    )
    manifest = {"duplicates": {"test_in_train_or_validation": 0}}
    return Dataset("folder", tuple(names), part, part, part, manifest)


PERSONS = [f"subj{number:02}" for number in range(10)]
UNTUNED = SimpleNamespace(batch_size=1, tunes=False, blind=None)


@pytest.mark.parametrize("around", ["", "train/"])
@pytest.mark.parametrize("inner", ["{}", "session1/{}", "{}/session1"])
@pytest.mark.parametrize("others", [0, 1])
def test_folders_of_expressions_inside_of_persons_are_told(around, inner, others):
    files = [
        f"{around}{person}/{inner.format(word)}/1.png"
        for person in PERSONS[others:]
        for word in ("HA", "sad")
    ]
    files += [f"{around}{person}/1.png" for person in PERSONS[:others]]
    [told] = of_dataset(UNTUNED, in_files(PERSONS, files))
    first, fifth = PERSONS[others], PERSONS[others + 4]
    assert told.startswith(f"classes: folders inside of {first}, ")
    assert told.endswith(
        f"{fifth} and {5 - others} more are named after expressions (HA, sad), so that "
        f"persons are told apart, not expressions; sort images as HA/{first}/1.png, "
        'and "--config.dataset.subject_pattern=.*/(.+)/" says who is in them'
    )


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        (["happy", "sad"], ["happy", "sad"]),  # folders inside of those of their name
        (["happy", "sad"], ["subj1", "subj2"]),
        (["cat", "dog"], ["neutral", "NE"]),
        (["cat", "dog"], ["happy", "sad", "run"]),
        (["cat", "dog"], ["."]),
    ],
)
def test_other_folders_inside_of_classes_are_not_told(names, inner):
    files = [f"{name}/{word}/1.png" for name in names for word in inner]
    assert of_dataset(UNTUNED, in_files(names, files)) == []


@pytest.mark.parametrize("name", ["folder", "ck"])
def test_what_candidates_cannot_tell_apart_is_told(name):
    blind = SimpleNamespace(batch_size=4, tunes=True, blind="lambda_z is searched")
    assert of_dataset(blind, dataset(name)) == ["lambda_z is searched"]


def test_of_a_published_database_its_protocol_and_faults_are_not_told():
    given = {"validation": (50, 2), "test": (9, 2), "copies": 7, "known": 2}
    assert of_dataset(METHOD, dataset("ck", **given)) == []
    found = of_dataset(METHOD, dataset("ck", train=(3, 2)))
    assert [line.split(":")[0] for line in found] == ["train", "batch_size"]


SHARED = "eta: has no effect, because surrogate is 'shared', not 'fitted'"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"eta": {"z": 0.1}}, [SHARED]),
        ({"eta": {"z": 0.1}, "surrogate": "fitted"}, []),
        (
            {"selection": "accuracy"},
            ["selection: has no effect, because stage1_settings is 1"],
        ),
        ({"selection": "accuracy", "stage1_settings": 2, "undo_beyond": 0}, []),
        (
            {"undo_beyond": 2, "stage1_settings": 2},
            ["undo_beyond: has no effect, because stage1_settings is 2"],
        ),
        ({"undo_beyond": 2}, []),
        ({"tunes": False, "eta": {"z": 0.1}}, []),  # as of an untuned one beside others
    ],
)
def test_settings_of_an_own_network_without_effect_are_told(given, told):
    method = {"tunes": True, "surrogate": "shared", "stage1_settings": 1} | given
    assert unused(SimpleNamespace(**method), given) == told
