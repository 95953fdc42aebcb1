"""Whether a network has learnt anything, and when a run is told so."""

import numpy as np
import pytest

from surrojax.run.learnt import Stalled, verdict


@pytest.mark.parametrize(
    ("accuracy", "labels", "learnt"),
    [
        (1.0, [0] * 990 + [1] * 10, True),
        (0.995, [0] * 990 + [1] * 10, True),
        (0.99, [0] * 990 + [1] * 10, False),
        (1.0, [0] * 10, True),
        (0.5, [0, 1, 2] * 5, True),
        (1 / 3, [0, 1, 2] * 5, False),
        (0.0, [0, 1, 2] * 5, False),
    ],
)
def test_a_network_has_learnt_if_a_tenth_of_its_errors_is_gone(
    accuracy, labels, learnt
):
    assert (verdict(accuracy, np.array(labels)) is None) == learnt


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
