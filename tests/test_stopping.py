"""When a run ends, from records made by hand."""

import pytest

from surrojax.run.stopping import Limits, best_round


def records(accuracies, seconds=None, iterations=10):
    seconds = seconds or [1.0] * len(accuracies)
    return [
        {
            "round": number,
            "step": number * iterations,
            "iterations": iterations,
            "original": {"validation_accuracy": accuracy},
            "seconds": took,
        }
        for number, (accuracy, took) in enumerate(
            zip(accuracies, seconds, strict=True), start=1
        )
    ]


PLAN = (10,) * 8


def test_without_limits_all_rounds_are_done():
    for done in range(8):
        assert Limits(PLAN).reached(records([0.5] * done)) is None
    assert Limits(PLAN).reached(records([0.5] * 8)) == "max_iterations"


@pytest.mark.parametrize(
    ("accuracies", "reached"),
    [
        ([], None),
        ([0.5], None),
        ([0.5, 0.6], None),
        ([0.6, 0.5], None),  # one round without a better one
        ([0.6, 0.5, 0.6], "early_stop"),  # as good is not better
        ([0.6, 0.5, 0.7], None),
        ([0.6, 0.5, 0.7, 0.6, 0.5], "early_stop"),
    ],
)
def test_a_run_stops_early_after_two_rounds_that_are_no_better(accuracies, reached):
    assert Limits(PLAN, early_stop=2).reached(records(accuracies)) == reached


def test_the_last_round_ends_a_run_whatever_else():
    done = records([0.6] + [0.5] * 7)
    assert Limits(PLAN, 1.0, early_stop=2).reached(done) == "max_iterations"


@pytest.mark.parametrize(
    ("seconds", "reached"),
    [
        ([], None),  # the first is always done
        ([9.0], None),  # it compiled, and so says nothing about the others
        ([10.0], "time_budget"),
        ([5.0, 2.0], None),  # 7, and another of 2 ends at 9
        ([5.0, 2.0, 2.0], "time_budget"),  # 9, and another of 2 would end at 11
        ([5.0, 2.5, 2.5], "time_budget"),
        ([5.0, 1.0, 2.0, 1.0], None),  # 9; a usual one takes 1 and ends at 10
    ],
)
def test_no_round_is_begun_that_would_pass_ten_seconds(seconds, reached):
    done = records([0.5] * len(seconds), seconds)
    assert Limits(PLAN, 10.0).reached(done) == reached


def test_a_longer_round_takes_longer():
    """Steps of 0.1 s: a round of 10 would end at 9 s, one of 20 at 10 s."""
    done = records([0.5, 0.5], [7.0, 1.0])
    assert Limits((10, 10, 10), 9.5).reached(done) is None
    assert Limits((10, 10, 20), 9.5).reached(done) == "time_budget"


def test_what_is_left_of_the_budget():
    done = records([0.5, 0.5], [7.0, 1.0])
    assert Limits(PLAN).left(done) is None
    assert Limits(PLAN, 9.5).left(done) == pytest.approx(1.5)
    assert Limits(PLAN, 5.0).left(done) == 0


def test_a_reason_is_told_with_the_field_that_goes_on():
    done = records([0.5, 0.7, 0.6], [7.0, 1.0, 1.0])
    limits = Limits(PLAN, 9.5, early_stop=1)
    told = {
        reason: limits.told(reason, done, 10)
        for reason in ("max_iterations", "time_budget", "early_stop")
    }
    assert "max_iterations of 40 or more" in told["max_iterations"]
    assert "best after round 2, and config.early_stop is 1" in told["early_stop"]
    assert told["time_budget"].startswith(
        "9.0 s of config.time_budget = 9.5 are spent, and another round takes about 1.0"
    )
    spent = Limits(PLAN, 8.0).told("time_budget", done, 10)
    assert "another" not in spent


def test_the_first_of_equals_is_the_best():
    assert best_round([]) == 0
    assert best_round(records([0.5, 0.7, 0.7])) == 2
