"""Whether a network has learnt anything, and when a run is told so."""

import numpy as np
import pytest

from surrojax.run.learnt import Stalled, verdict


@pytest.mark.parametrize(
    ("right", "labels", "learnt"),
    [
        (1000, [0] * 990 + [1] * 10, True),
        (995, [0] * 990 + [1] * 10, True),
        (990, [0] * 990 + [1] * 10, False),
        (10, [0] * 10, True),
        (8, [0, 1, 2] * 5, True),
        (5, [0, 1, 2] * 5, False),
        (0, [0, 1, 2] * 5, False),
    ],
)
def test_a_network_has_learnt_if_a_tenth_of_its_errors_is_gone(right, labels, learnt):
    labels = np.array(labels)
    predictions = np.where(np.arange(labels.size) < right, labels, labels + 1)
    assert (verdict(predictions, labels) is None) == learnt


def test_classes_that_count_differently_are_counted_so():
    """One in twenty is of class 1; 85 of 100 are right, fewer than are of class 0."""
    labels = np.array([0] * 95 + [1] * 5)
    predictions = np.where(np.arange(100) < 80, 0, 1)
    assert "85.0 % of" in verdict(predictions, labels)
    balanced = (100 / 190, 100 / 10)
    assert verdict(predictions, labels, balanced) is None
    told = verdict(np.zeros(100, int), labels, balanced)
    assert "50.0 % of the training examples are right, counted by class_weights" in told
    assert "naming one class throughout would have 50.0 %" in told


def test_where_classes_count_differently_no_round_is_told():
    labels = np.array([0] * 6 + [1] * 4)
    for weighted in (False, True):
        stalled = Stalled(labels, weighted=weighted)
        told = [stalled.told(0.4) is not None for _ in range(3)]
        assert told == [False, not weighted, False]


def test_a_run_is_told_once_after_two_rounds_in_a_row():
    stalled = Stalled(np.array([0] * 6 + [1] * 4))
    accuracies = (0.6, 0.9, 0.6, 0.62, 0.6, 0.6)
    told = [stalled.told(accuracy) is not None for accuracy in accuracies]
    assert told == [False, False, False, True, False, False]


def test_rounds_that_were_done_before_count_and_are_not_told_again():
    labels = np.array([0] * 6 + [1] * 4)
    assert Stalled(labels, [0.6]).told(0.6) is not None
    again = Stalled(labels, [0.6, 0.6])
    assert [again.told(0.6), again.told(0.9), again.told(0.6)] == [None] * 3


def test_where_all_labels_are_one_nothing_is_told():
    stalled = Stalled(np.zeros(5, np.int64))
    assert [stalled.told(1.0), stalled.told(0.0), stalled.told(0.0)] == [None] * 3
