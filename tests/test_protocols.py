"""Folds, official splits, class sets and cross-database evaluation."""

from dataclasses import replace

import numpy as np
import pytest

from surrojax.data.dataset import EXPRESSIONS, Rows, Split
from surrojax.data.protocols import (
    Samples,
    concatenate,
    cross_database,
    deal,
    duplicates,
    held_out,
    official,
    samples_of,
    ten_folds,
    with_classes,
)
from surrojax.errors import InputError

RNG = np.random.default_rng(0)
SIX, SEVEN = EXPRESSIONS[:6], EXPRESSIONS


def a_split(n, classes=7, subjects=None, sequences=None, seed=0):
    rng = np.random.default_rng(seed)
    return Split(
        rng.integers(0, 256, (n, 4, 4, 1), dtype=np.uint8),
        (np.arange(n) % classes).astype(np.int32),
        None if subjects is None else np.array(subjects),
        None if sequences is None else np.array(sequences),
    )


def people(n, frames, classes=7):
    """`n` subjects with `frames` frames each, in an order that is not theirs."""
    subjects = [f"S{i:03}" for i in range(n) for _ in range(frames)]
    split = a_split(n * frames, classes, subjects)
    return split.take(RNG.permutation(n * frames))


def of(split, name="db", classes=SEVEN, where=None):
    return Samples(name, classes, split, where)


def test_subjects_are_sorted_and_dealt_by_tens():
    split = people(23, 2)
    for subject, fold in zip(split.subjects, deal(of(split)), strict=True):
        assert fold == int(subject[1:]) % 10


@pytest.mark.parametrize("fold", range(10))
def test_no_subject_is_on_two_sides_and_every_sample_on_one(fold):
    split = people(31, 3)
    dataset = ten_folds(of(split), fold)
    sides = [set(part.subjects) for part in dataset.splits.values()]
    assert all(sides) and not any(
        sides[i] & sides[j] for i, j in ((0, 1), (0, 2), (1, 2))
    )
    assert sorted(sum((p.subjects.tolist() for p in dataset.splits.values()), [])) == (
        sorted(split.subjects.tolist())
    )
    dealt = {f"S{i:03}": i % 10 for i in range(31)}
    assert {dealt[s] for s in sides[2]} == {fold}
    assert {dealt[s] for s in sides[1]} == {(fold + 1) % 10}


def test_the_ten_test_folds_are_the_whole_database_once():
    split = people(31, 2)
    tested = [ten_folds(of(split), fold).test for fold in range(10)]
    pixels = np.concatenate([part.images for part in tested])
    assert sorted(image.tobytes() for image in pixels) == sorted(
        image.tobytes() for image in split.images
    )


def test_nine_subjects_leave_a_fold_with_none():
    with pytest.raises(InputError, match="9 subjects cannot be .* 10 folds; fold 9"):
        ten_folds(of(people(9, 3)), 0)


def test_rows_without_subjects_are_dealt_by_tens():
    np.testing.assert_array_equal(deal(of(a_split(25))), np.arange(25) % 10)


def test_identical_images_share_a_fold():
    split = a_split(30)
    split.images[17] = split.images[4]
    split.images[29] = split.images[4]
    dealt = deal(of(split))
    assert dealt[4] == dealt[17] == dealt[29]
    # The groups that are left are dealt in the order of their first rows.
    groups = [i for i in range(30) if i not in (17, 29)]
    np.testing.assert_array_equal(dealt[groups], np.arange(28) % 10)


def test_a_sequence_stays_together_and_takes_its_duplicates_along():
    sequences = [f"c{i // 2:02}" for i in range(44)]
    split = a_split(44, sequences=sequences)
    split.images[40] = split.images[1]  # clip 20 shares a frame with clip 0
    dealt = deal(of(split))
    for row in range(0, 44, 2):
        assert dealt[row] == dealt[row + 1]
    assert dealt[40] == dealt[0]


def test_official_splits_are_kept():
    where = np.array(["train"] * 30 + ["validation"] * 5 + ["test"] * 7)
    dataset = official(of(a_split(42), where=where))
    assert [len(s) for s in dataset.splits.values()] == [30, 5, 7]
    np.testing.assert_array_equal(dataset.test.labels, np.arange(35, 42) % 7)


def test_a_tenth_of_training_validates_where_no_split_is_given_for_it():
    where = np.array(["train"] * 40 + ["test"] * 7)
    split = a_split(47)
    split.images[3] = split.images[0]  # row 0 validates, so its twin must too
    dataset = official(of(split, where=where))
    assert [len(s) for s in dataset.splits.values()] == [35, 5, 7]
    assert duplicates(dataset)["validation_in_train"] == 0
    assert "a tenth of training validates" in dataset.manifest["protocol"]


def test_a_missing_official_split_is_named():
    where = np.array(["train"] * 40)
    with pytest.raises(InputError, match="db as read has no test split") as error:
        official(of(a_split(40), where=where))
    assert "align" not in str(error.value)


@pytest.mark.parametrize("protocol", ["official", "held_out", "cross_database"])
def test_faces_that_were_not_found_are_named_where_a_split_is_empty(protocol):
    """A rule of alignment may have emptied it; the remedy is not a better copy."""
    without = {"official": "test", "held_out": "train", "cross_database": "train"}
    where = np.array(["train", "test"] * 20)
    samples = of(a_split(40), where=where).take(where != without[protocol])
    samples = replace(samples, manifest={"no_face_found": 20})
    with pytest.raises(InputError, match="face was found in 20 of the.*align=False"):
        {
            "official": official,
            "held_out": held_out,
            "cross_database": lambda s: cross_database(s, of(people(20, 1)), 0),
        }[protocol](samples)


def test_six_classes_leave_neutral_out_and_count_it():
    samples = with_classes(of(people(10, 7)), 6)
    assert samples.classes == SIX
    assert len(samples.all) == 60 and samples.all.labels.max() == 5
    assert samples.manifest["classes_left_out"] == {"neutral": 10}


def test_classes_take_the_canonical_order():
    split = a_split(6, 3)
    samples = Samples("db", ("sad", "angry", "contempt"), split)
    with pytest.raises(InputError, match="has no disgust, fear, happy, surprise"):
        with_classes(samples, 6)
    full = Samples("db", (*reversed(SEVEN), "contempt"), a_split(16, 8))
    chosen = with_classes(full, 7)
    names = [chosen.classes[label] for label in chosen.all.labels]
    assert names == [c for c in [*reversed(SEVEN)] * 2]


def test_seven_classes_of_a_copy_without_neutral_are_refused():
    with pytest.raises(InputError, match="dataset.classes: 7 .* db has no neutral"):
        with_classes(of(people(10, 6, 6), classes=SIX), 7)


# Cross-database.


def test_one_fold_of_the_target_validates_and_nine_are_tested():
    source, target = people(12, 7), people(20, 7)
    for fold in range(10):
        dataset = cross_database(of(source, "a"), of(target, "b"), fold)
        assert len(dataset.train) == len(source)
        validates = {int(s[1:]) % 10 for s in dataset.validation.subjects}
        tested = {int(s[1:]) % 10 for s in dataset.test.subjects}
        assert validates == {fold} and tested == set(range(10)) - {fold}
        assert len(dataset.validation) + len(dataset.test) == len(target)
        assert dataset.allowed is None


def test_the_sources_training_split_is_what_is_trained_on():
    where = np.array(["train"] * 20 + ["validation"] * 5 + ["test"] * 10)
    source = of(a_split(35), where=where)
    assert len(cross_database(source, of(people(10, 7)), 0).train) == 20


def test_a_target_with_official_splits_is_used_whole():
    where = np.array(["train"] * 20 + ["validation"] * 5 + ["test"] * 10)
    dataset = cross_database(of(people(10, 7)), of(a_split(35), where=where), 2)
    assert len(dataset.validation) + len(dataset.test) == 35


def test_neutral_leaves_where_the_network_does_not_know_it():
    dataset = cross_database(of(people(10, 6, 6), classes=SIX), of(people(10, 7)), 0)
    assert dataset.classes == SIX and dataset.allowed is None
    assert len(dataset.validation) + len(dataset.test) == 60
    assert dataset.manifest["target"]["classes_left_out"] == {"neutral": 10}


def test_neutral_is_masked_where_the_target_has_none():
    source, target = of(people(10, 7)), of(people(10, 6, 6), classes=SIX)
    dataset = cross_database(source, target, 0)
    assert dataset.classes == SEVEN and dataset.allowed == (True,) * 6 + (False,)
    assert len(dataset.validation) + len(dataset.test) == 60
    assert cross_database(source, target, 0, mask_absent=False).allowed is None


def test_labels_follow_the_names_of_the_source():
    turned = Samples("b", tuple(reversed(SEVEN)), people(10, 7))
    dataset = cross_database(of(people(10, 7)), turned, 0)
    original = {
        image.tobytes(): 6 - label
        for image, label in zip(turned.all.images, turned.all.labels, strict=True)
    }
    for part in (dataset.validation, dataset.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert label == original[image.tobytes()]


def test_the_rival_trains_on_the_targets_fold_as_well():
    source, target = people(12, 7), people(20, 7)
    dataset = cross_database(of(source), of(target), 3, train_on_fold=True)
    assert len(dataset.train) == len(source) + len(dataset.validation)
    np.testing.assert_array_equal(
        dataset.train.images[len(source) :], dataset.validation.images
    )


def test_a_source_without_a_training_part_is_named():
    source = of(a_split(35), where=np.array(["test"] * 35))
    with pytest.raises(InputError, match="db as read has no train split"):
        cross_database(source, of(people(10, 7)), 0)


def test_joined_samples_keep_the_hashes_of_their_own_pixels():
    """A named bug: enlarged ones were hashed anew, and so were no one's duplicates."""
    small, large = a_split(3), a_split(2)
    large = Split(RNG.integers(0, 256, (2, 8, 8, 1), dtype=np.uint8), large.labels)
    joined = concatenate([small, large])
    expected = [*small.hashes(), *large.hashes()]
    assert joined.hashes().tolist() == expected


def test_databases_without_common_classes_are_refused():
    other = Samples("b", ("cat", "dog"), a_split(40, 2))
    with pytest.raises(InputError, match="dataset.target: b shares 0 classes with db"):
        cross_database(of(people(10, 7)), other, 0)


# Joining, duplicates.


def test_smaller_images_are_enlarged_to_be_joined():
    small = a_split(3)
    large = Split(
        RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8), np.zeros(2, np.int32)
    )
    joined = concatenate([small, large])
    assert joined.images.shape == (5, 8, 8, 3)
    np.testing.assert_array_equal(joined.images[3:], large.images)
    assert (joined.images[:3, ..., 0] == joined.images[:3, ..., 2]).all()
    # The corners of a bilinearly enlarged image are its own.
    np.testing.assert_array_equal(joined.images[:3, 0, 0, 0], small.images[:, 0, 0, 0])


class OnDisk:
    """Images of random access that are no array."""

    def __init__(self, images):
        self._images = images
        self.shape = images.shape

    def __getitem__(self, rows):
        return self._images[rows]


def test_images_that_stay_on_the_disk_are_joined_and_taken_without_reading_all():
    array = a_split(6)
    lazy = Split(OnDisk(array.images), array.labels)
    taken = lazy.take(np.array([5, 0, 3])).take(np.array([2, 0]))
    assert isinstance(taken.images, Rows)
    np.testing.assert_array_equal(taken.pixels(), array.images[[3, 5]])
    joined = concatenate([taken, array])
    assert joined.images.shape == (8, 4, 4, 1)
    np.testing.assert_array_equal(
        joined.images[np.array([7, 1, 2])], array.images[[5, 5, 0]]
    )


def test_a_joined_image_without_a_sequence_is_one_of_its_own():
    first = a_split(3)
    second = a_split(4, sequences=["a", "a", "b", "b"])
    units, labels = concatenate([first, second]).units()
    assert units.tolist() == [0, 1, 2, 3, 3, 4, 4]
    assert labels.tolist() == [0, 1, 2, 0, 2]


def test_sequences_of_two_splits_stay_two_whatever_they_are_called():
    first = a_split(4, sequences=["a", "a", "b", "b"])
    second = a_split(3, sequences=["b", "b", "a"])
    units, labels = concatenate([first, second]).units()
    assert units.tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert labels.tolist() == [0, 2, 0, 2]


def test_duplicates_are_counted_within_and_across_the_splits():
    where = np.array(["train"] * 10 + ["validation"] * 5 + ["test"] * 5)
    split = a_split(20)
    split.images[1] = split.images[0]  # within train, with another label
    split.images[12] = split.images[2]  # validation in train
    split.images[15] = split.images[2]  # test in train
    split.images[16] = split.images[14]  # test in validation
    found = duplicates(official(of(split, where=where)))
    assert found == {
        "within": {"train": 1, "validation": 0, "test": 0},
        "validation_in_train": 1,
        "test_in_train_or_validation": 2,
        "images_with_several_labels": 3,
    }


@pytest.mark.parametrize(
    ("validation", "test", "count"),
    [("EF", "GH", 0), ("EF", "AG", 1), ("EF", "AE", 2), ("AE", "GH", 0)],
)
def test_subjects_of_the_test_are_looked_for_in_the_other_splits(
    validation, test, count
):
    who = [*"AABBCC", *(2 * validation), *(2 * test)]
    where = np.array(["train"] * 6 + ["validation"] * 4 + ["test"] * 4)
    found = official(of(a_split(14, subjects=who), where=where)).manifest
    assert found["test_subjects_in_train_or_validation"] == count


def test_subjects_are_looked_for_in_a_carved_validation_too():
    """One of ten subjects of training validates, and is in the test as well."""
    who = [*"ABCDEFGHIJ", *"ABCDEFGHIJK"]
    where = np.array(["train"] * 10 + ["test"] * 11)
    dataset = official(of(a_split(21, subjects=who), where=where))
    assert dataset.validation.subjects.tolist() == ["A"]
    assert dataset.manifest["test_subjects_in_train_or_validation"] == 10


def test_unknown_subjects_are_looked_for_nowhere():
    where = np.array(["train"] * 10 + ["test"] * 10)
    found = official(of(a_split(20), where=where)).manifest
    assert "test_subjects_in_train_or_validation" not in found


def test_splits_become_one_database_again():
    where = np.array(["train"] * 10 + ["validation"] * 5 + ["test"] * 5)
    split = a_split(20)
    whole = samples_of(official(of(split, where=where)))
    np.testing.assert_array_equal(whole.all.images, split.images)
    np.testing.assert_array_equal(whole.official, where)


def test_a_fingerprint_tells_pixels_labels_and_units_apart():
    base = people(10, 7)
    prints = {ten_folds(of(base), 0).fingerprint()}
    brighter = base.take(np.arange(len(base)))
    brighter.images[5] ^= 1
    relabelled = base.take(np.arange(len(base)))
    relabelled.labels[5] = (relabelled.labels[5] + 1) % 7
    grouped = Split(base.images, base.labels, base.subjects, base.subjects)
    for changed in (brighter, relabelled, grouped):
        prints.add(ten_folds(of(changed), 0).fingerprint())
    prints.add(ten_folds(of(base), 1).fingerprint())
    assert len(prints) == 5
    assert ten_folds(of(base), 0).fingerprint() in prints


def test_a_tenth_of_training_stands_in_for_the_test():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 2, 2, 1), dtype=np.uint8)
    images[7] = images[0]  # the same picture twice stays on one side
    where = np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 10)
    samples = Samples("some", ("a", "b"), Split(images, np.arange(60) % 2), where)
    whole, held = official(samples), official(held_out(samples))
    assert (len(held.train), len(held.validation), len(held.test)) == (35, 10, 5)
    pictures = {name: set(s.hashes()) for name, s in held.splits.items()}
    assert pictures["train"].isdisjoint(pictures["test"])
    assert pictures["train"] | pictures["test"] == set(whole.train.hashes())
    assert pictures["test"].isdisjoint(whole.test.hashes())
    assert pictures["validation"] == set(whole.validation.hashes())
    with pytest.raises(InputError, match="no official splits"):
        held_out(replace(samples, official=None))
