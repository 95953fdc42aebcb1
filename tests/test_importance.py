"""Rank correlations by round, against calculations of another kind."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from surrojax.run.importance import chance, compared, importance


def record(scores, **hyper):
    """A round: its candidates' scores, and the values of each hyper-parameter."""
    return {
        "candidates": [
            {"score": score, "hyper": {name: of[i] for name, of in hyper.items()}}
            for i, score in enumerate(scores)
        ]
    }


def by_counting(rounds):
    """The same by counting who is beaten: a centred rank is (less - more) / 2."""

    def centred(values):
        return [
            (sum(b < a for b in values) - sum(b > a for b in values)) / 2
            for a in values
        ]

    pairs = [
        pair
        for values, scores in rounds
        for pair in zip(centred(values), centred(scores), strict=True)
    ]
    product = sum(a * b for a, b in pairs)
    return product / math.sqrt(
        sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs)
    )


def test_one_round_is_spearmans_coefficient():
    values, scores = [0.1, 0.4, 0.2, 0.9, 0.5], [3.0, 1.0, 2.0, 2.5, 0.0]
    found = importance([record(scores, p_z=values)])
    assert found == {"p_z": pytest.approx(spearmanr(values, scores).statistic)}


def test_rounds_are_pooled_after_ranking_and_centring():
    """Rounds of several sizes, with ties, on scales that have nothing in common."""
    rng = np.random.default_rng(0)
    rounds = [
        (rng.integers(0, 5, n).tolist(), (100 * n + rng.integers(0, 9, n)).tolist())
        for n in (6, 7, 3, 12)
    ]
    found = importance([record(scores, p_z=values) for values, scores in rounds])
    assert found["p_z"] == pytest.approx(by_counting(rounds))


def test_a_trend_between_rounds_is_no_importance():
    """The score rises as the network learns, and so does a value that does nothing."""
    first = record([1, 2, 1, 2], p_z=[0.1, 0.1, 0.2, 0.2], p_x=[1, 2, 3, 4])
    later = record([11, 12, 11, 12], p_z=[0.8, 0.8, 0.9, 0.9], p_x=[1, 2, 3, 4])
    found = importance([first, later])
    assert found["p_z"] == 0
    assert found["p_x"] == pytest.approx(spearmanr([1, 2, 1, 2], range(4)).statistic)


def test_the_sign_says_which_values_were_better():
    up, down = [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]
    found = importance([record([-3, -2, -1], p_z=up, lambda_z=down)])
    assert found == {"p_z": pytest.approx(1), "lambda_z": pytest.approx(-1)}


def test_what_never_varies_within_a_round_is_left_out():
    rounds = [
        record([1, 2], p_z=[0.1, 0.2], p_x=[0.5, 0.5], lambda_z=[0, 0]),
        record([1, 2], p_z=[0.1, 0.2], p_x=[0.6, 0.6], lambda_z=[0, 0]),
    ]
    assert list(importance(rounds)) == ["p_z"]


@pytest.mark.parametrize("bad", [None, math.nan, -math.inf])
def test_a_score_that_is_not_finite_is_the_worst(bad):
    values = [0.1, 0.9, 0.5, 0.7]
    found = importance([record([5, bad, 4, bad], p_z=values)])
    assert found["p_z"] == pytest.approx(by_counting([(values, [5, 0, 4, 0])]))


def test_rounds_that_say_nothing_are_left_out():
    good = record([1, 2, 3], p_z=[0.3, 0.1, 0.2])
    lost = record([None, None], p_z=[0.1, 0.9])
    alone = record([7], p_z=[0.4])
    untuned = {"round": 1}
    rounds = [good, lost, alone, untuned]
    assert importance(rounds) == importance([good])
    assert compared(rounds) == (3, 1)


def test_without_candidates_there_is_none():
    assert importance([]) == importance([{"round": 1}]) == {}
    assert importance([record([1, 1], p_z=[0.1, 0.2])]) == {}
    assert math.isnan(chance([{"round": 1}]))


def test_chance_is_the_deviation_over_all_orders_of_the_scores():
    values = [0.1, 0.2, 0.3, 0.4]
    found = [
        importance([record(scores, p_z=values)])["p_z"]
        for scores in itertools.permutations(range(4))
    ]
    assert np.std(found) == pytest.approx(chance([record(range(4), p_z=values)]))
    two = [record(range(4), p_z=values)] * 2
    assert chance(two) == pytest.approx(1 / math.sqrt(6))
