"""The embedded database: faces drawn by code."""

import hashlib
import json

import numpy as np
import pytest

from surrojax.data import faces
from surrojax.data.dataset import EXPRESSIONS, Dataset
from surrojax.errors import InputError

SMALL = {"subjects": 9, "images_per_subject": 14}


def splits(dataset: Dataset) -> list:
    return [dataset.train, dataset.validation, dataset.test]


def halved(images: np.ndarray) -> np.ndarray:
    n, size, _, channels = images.shape
    blocks = images.reshape(n, size // 2, 2, size // 2, 2, channels)
    return blocks.astype(float).mean((2, 4))


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    pairs = zip(a, b, strict=True)
    return np.array([np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in pairs])


def test_the_same_arguments_give_the_same_bytes():
    first, second = faces.load(seed=3, **SMALL), faces.load(seed=3, **SMALL)
    for a, b in zip(splits(first), splits(second), strict=True):
        assert a.images.tobytes() == b.images.tobytes()
        assert a.labels.tobytes() == b.labels.tobytes()
        assert a.subjects.tolist() == b.subjects.tolist()
    assert first.manifest == second.manifest


def test_another_seed_is_another_population():
    a, b = faces.load(seed=0, **SMALL), faces.load(seed=1, **SMALL)
    assert a.manifest["sha256"] != b.manifest["sha256"]


def test_a_subject_is_the_same_in_a_larger_population():
    small = faces.load(subjects=3, images_per_subject=7)
    large = faces.load(subjects=9, images_per_subject=7)
    np.testing.assert_array_equal(small.validation.images, large.train.images[7:14])


@pytest.mark.parametrize(("size", "channels"), [(12, 1), (28, 1), (48, 3), (227, 1)])
def test_shapes_and_types(size, channels):
    dataset = faces.load(size, channels, subjects=3, images_per_subject=7)
    assert dataset.name == "faces"
    assert dataset.classes == EXPRESSIONS
    for split in splits(dataset):
        assert split.images.shape == (7, size, size, channels)
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
        assert len(split) == len(split.subjects) == 7
        assert split.images.std() > 20


def test_no_subject_is_in_two_splits():
    train, validation, test = (set(s.subjects.tolist()) for s in splits(faces.load()))
    assert len(train) == len(validation) == len(test) == 48
    assert not (train & validation or train & test or validation & test)


def test_what_is_left_of_the_division_goes_to_train_then_to_validation():
    manifest = faces.load(subjects=11, images_per_subject=7).manifest
    assert manifest["subjects"] == {"train": 4, "validation": 4, "test": 3}


def test_classes_are_balanced_within_each_subject():
    for split in splits(faces.load(**SMALL)):
        for subject in set(split.subjects.tolist()):
            labels = split.labels[split.subjects == subject]
            assert np.bincount(labels).tolist() == [2] * len(EXPRESSIONS)


def test_at_difficulty_0_a_subject_shows_an_expression_in_one_way():
    for split in splits(faces.load(difficulty=0, **SMALL)):
        shown = {}
        of = zip(split.subjects.tolist(), split.labels.tolist(), strict=True)
        for image, who_and_what in zip(split.images, of, strict=True):
            shown.setdefault(who_and_what, set()).add(image.tobytes())
        assert [len(images) for images in shown.values()] == [1] * 3 * len(EXPRESSIONS)
        assert len(set.union(*shown.values())) == len(shown)


def test_a_label_is_the_expression_that_is_shown():
    train = faces.load(difficulty=0, **SMALL).train
    mean = [train.images[train.labels == k].mean(axis=0) for k in range(7)]
    drawn = [faces.draw(faces.action_units(name)) for name in EXPRESSIONS]
    shown, known = (
        np.reshape(images, (7, -1)) - np.mean(images, axis=0).ravel()
        for images in (mean, drawn)
    )
    assert (known @ shown.T).argmax(axis=0).tolist() == list(range(7))


def test_the_manifest_describes_the_splits():
    dataset = faces.load(seed=5, **SMALL)
    manifest = json.loads(json.dumps(dataset.manifest))
    assert manifest["source"] == "drawn by code"
    assert (manifest["seed"], manifest["image_size"]) == (5, 28)
    assert manifest["subjects"] == {"train": 3, "validation": 3, "test": 3}
    assert manifest["counts"]["test"] == dict.fromkeys(EXPRESSIONS, 6)
    pixels = b"".join(s.images.tobytes() for s in splits(dataset))
    assert manifest["sha256"] == hashlib.sha256(pixels).hexdigest()


def test_another_size_shows_the_same_scenes():
    small, large = faces.load(28, **SMALL), faces.load(56, **SMALL)
    found = correlations(halved(large.train.images), small.train.images)
    assert np.median(found) > 0.95
    assert found.min() > 0.75  # dark, low-contrast faces under the strongest grain
    plain = [faces.load(size, difficulty=0, **SMALL).train.images for size in (28, 56)]
    assert correlations(plain[0], halved(plain[1])).min() > 0.97


def test_grey_is_the_luma_of_colour():
    parameters = faces.action_units("happy")
    grey, colour = faces.draw(parameters), faces.draw(parameters, channels=3)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - grey[..., 0]).max() <= 1.5


def test_full_expressions_of_new_subjects_are_told_apart_by_the_class_means():
    dataset = faces.load(difficulty=0, subjects=72, images_per_subject=7)
    pixels, means = dataset.train.images.astype(float), []
    for label in range(len(EXPRESSIONS)):
        means.append(pixels[dataset.train.labels == label].mean(0))
    distances = [((dataset.test.images - mean) ** 2).sum((1, 2, 3)) for mean in means]
    accuracy = (np.argmin(distances, 0) == dataset.test.labels).mean()
    assert accuracy > 0.5  # chance is 1/7


@pytest.mark.parametrize("expression", EXPRESSIONS[:-1])
def test_the_picture_departs_from_neutral_with_the_intensity(expression):
    neutral = faces.draw(faces.action_units("neutral")).astype(float)
    departures = [
        np.abs(faces.draw(faces.action_units(expression, i)) - neutral).mean()
        for i in (0.0, 0.3, 1.0)
    ]
    assert departures[0] == 0
    assert 0 < departures[1] < departures[2]


@pytest.mark.parametrize("name", sorted(faces.DEFAULTS))
def test_every_parameter_changes_the_picture(name):
    setting = {"cover": 0.2, "clutter": 20.0}
    step = 1.0 if name == "texture" else 0.7  # a seed is a whole number
    changed = setting | {name: setting.get(name, faces.DEFAULTS[name]) + step}
    before, after = faces.draw(setting, 56), faces.draw(changed, 56)
    assert (before != after).any()


def test_a_plain_frontal_face_is_symmetric():
    image = faces.draw(faces.action_units("fear"))
    np.testing.assert_array_equal(image, image[:, ::-1])


@pytest.mark.parametrize(
    ("arguments", "at_fault"),
    [
        ({"image_size": 11}, "image_size"),
        ({"channels": 2}, "channels"),
        ({"seed": -1}, "seed"),
        ({"subjects": 2}, "subjects"),
        ({"images_per_subject": 0}, "images_per_subject"),
        ({"images_per_subject": 20}, "images_per_subject"),
        ({"difficulty": -0.1}, "difficulty"),
        ({"difficulty": float("nan")}, "difficulty"),
    ],
)
def test_bad_arguments_of_load(arguments, at_fault):
    with pytest.raises(InputError, match=f"^{at_fault}: .*; [^\n]+$"):
        faces.load(**arguments)


@pytest.mark.parametrize(
    ("parameters", "at_fault"),
    [
        ({"smirk": 1.0}, "smirk"),
        ({"smile": float("inf")}, "smile"),
        ({"scale": 0.0}, "scale"),
        ({"texture": -1.0}, "texture"),
    ],
)
def test_bad_parameters_of_draw(parameters, at_fault):
    with pytest.raises(InputError, match=at_fault):
        faces.draw(parameters)


def test_an_unknown_expression():
    with pytest.raises(InputError, match="^expression: 'bored' .*angry"):
        faces.action_units("bored")
