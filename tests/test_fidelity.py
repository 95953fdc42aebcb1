"""The surrogate's ranking of settings against the original's own."""

import jax
import numpy as np
import pytest
from conftest import tiny_method

from surrojax.algorithm import initial_state, play, run
from surrojax.fidelity import compare, measure, never, tau, told
from surrojax.programs import compile_programs
from surrojax.round_outcome import record_of


def setting(score, surrogate, *original):
    """A setting whose cross-entropies are one minus their accuracies."""

    def figures(accuracy):
        if accuracy is None:
            return {"accuracy": 0.5, "cross_entropy": None}
        return {"accuracy": accuracy, "cross_entropy": 1 - accuracy}

    return {
        "surrogate": {"score": score} | figures(surrogate),
        "original": [figures(a) for a in original],
    }


def test_tau_counts_pairs():
    assert tau(np.arange(4), np.array([0, 1, 3, 2])) == pytest.approx((5 - 1) / 6)


def test_tau_and_regret_by_hand():
    found = compare(
        [
            setting(0.1, 0.1, 0.30, 0.32),
            setting(0.3, 0.3, 0.40, 0.38),
            setting(0.2, 0.2, 0.50, 0.54),
        ]
    )
    # Pairs (1,2), (1,3) agree, (2,3) does not.
    for name in ("accuracy", "cross_entropy", "score"):
        assert found["tau"][name]["value"] == pytest.approx(1 / 3)
    assert found["tau"]["ceiling_accuracy"]["value"] == pytest.approx(1.0)
    # Means over the seeds: 0.31, 0.39, 0.52; the surrogate chooses the second.
    for name in ("accuracy", "cross_entropy"):
        assert found["regret"][name]["surrogate"] == pytest.approx(0.13)
        assert found["regret"][name]["random"] == pytest.approx(0.52 - 1.22 / 3)
    interval = found["tau"]["accuracy"]
    assert -1 <= interval["low"] <= 1 / 3 <= interval["high"] <= 1


def test_an_interval_holds_95_percent_of_resampled_settings():
    rng = np.random.default_rng(2)
    a = rng.random(20)
    b = a + 0.5 * rng.random(20)
    found = compare([setting(0.0, *pair) for pair in zip(a, b, strict=True)])
    rows = rng.integers(0, 20, (2000, 20))
    resampled = np.array([tau(a[r], b[r]) for r in rows])
    interval = found["tau"]["accuracy"]
    inside = (interval["low"] <= resampled) & (resampled <= interval["high"])
    assert inside.mean() == pytest.approx(0.95, abs=0.02)


def test_rankings_that_agree_have_no_doubt():
    """Settings are resampled, and what both say of each stays together."""
    found = compare([setting(a, a, a) for a in (0.3, 0.1, 0.5, 0.2, 0.4)])
    for name in ("accuracy", "cross_entropy", "score"):
        value, low, high = (found["tau"][name][key] for key in ("value", "low", "high"))
        assert (value, low, high) == pytest.approx((1, 1, 1))


def test_a_setting_that_failed_is_the_worst():
    found = compare(
        [
            setting(0.3, 0.3, 0.6),
            setting(None, None, None),
            setting(0.2, 0.2, 0.4),
        ]
    )
    assert found["tau"]["accuracy"]["value"] == pytest.approx(1.0)
    assert found["regret"]["accuracy"]["surrogate"] == 0
    assert found["regret"]["accuracy"]["random"] == pytest.approx(0.1)
    assert "ceiling_accuracy" not in found["tau"]


def test_the_first_seed_is_what_the_next_round_really_does(tiny_data):
    method = tiny_method()
    programs = compile_programs(method)
    (state, record), (_, following) = run(
        method,
        tiny_data,
        initial_state(method, jax.random.key(3)),
        2 * method.iterations_per_round,
        lambda method: lambda *given: play(method, programs, *given),
    )
    found = measure(
        method, programs, tiny_data, state, record["candidates"], drawn=3, seeds=2
    )
    assert [s["candidate"] for s in found["settings"]] == 4 * [True] + 3 * [False]
    best = record["candidates"].index(
        next(c for c in record["candidates"] if c["hyper"] == record["current_best"])
    )
    chosen = found["settings"][best]
    current = following["stage1"]["current"]["original"]
    assert chosen["original"][0]["accuracy"] == current["validation_accuracy"]
    assert chosen["original"][0]["cross_entropy"] == pytest.approx(
        current["validation_cross_entropy"], rel=1e-5
    )
    # Another seed is another training.
    assert chosen["original"][1] != chosen["original"][0]
    # The surrogate says of a candidate what it said in the round.
    for candidate, of in zip(record["candidates"], found["settings"], strict=False):
        assert of["surrogate"]["score"] == pytest.approx(candidate["score"], rel=1e-5)


def test_measuring_changes_nothing_of_the_run(tiny_data):
    method = tiny_method()
    programs = compile_programs(method)
    state, outcome = play(
        method, programs, tiny_data, initial_state(method, jax.random.key(0))
    )
    record = record_of(outcome, (5,))
    before = jax.tree.map(np.asarray, state.fusion)
    measure(method, programs, tiny_data, state, record["candidates"], drawn=0, seeds=1)
    jax.tree.map(np.testing.assert_array_equal, before, state.fusion)


def test_only_searched_values_differ(tiny_data):
    method = tiny_method(tune=("p_x",))
    programs = compile_programs(method)
    state, outcome = play(
        method, programs, tiny_data, initial_state(method, jax.random.key(0))
    )
    candidates = record_of(outcome, (5,))["candidates"]
    found = measure(method, programs, tiny_data, state, candidates, drawn=2, seeds=1)
    for of in found["settings"]:
        assert 0 < of["hyper"].pop("p_x") < 1
        assert not any(of["hyper"].values())


def test_a_measurement_in_a_line():
    settings = [setting(0.1, 0.1, 0.30, 0.32), setting(0.3, 0.3, 0.40, 0.38)]
    found = compare(settings) | {"seconds": 12.3}
    assert told(found) == (
        "tau 1.00 by cross-entropy (the network with itself 1.00), 1.00 from score to "
        "accuracy (1.00); its choice loses 0.0 points, a random one 4.0; 12 s"
    )
    alone = compare([setting(None, None, None)] * 2) | {"seconds": 1.0}
    assert "tau - by cross-entropy" in told(alone) and "loses - points" in told(alone)


def test_tau_is_against_the_first_seed():
    found = compare([setting(0.1, 0.1, 0.3, 0.4), setting(0.2, 0.2, 0.4, 0.3)])
    assert found["tau"]["accuracy"]["value"] == pytest.approx(1)
    assert found["tau"]["score"]["value"] == pytest.approx(1)
    assert found["tau"]["ceiling_accuracy"]["value"] == pytest.approx(-1)


def test_the_round_that_is_done_is_over_and_the_last_one_comes():
    assert never((2,), 2, 3, tunes=True) == "2 is over already, as round 2 is done"
    assert never((3,), 2, 3, tunes=True) is None
