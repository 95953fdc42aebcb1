"""A round that ruins the network is undone, and the search does not repeat it."""

import math

import numpy as np
import pytest
from conftest import assert_close, tiny_method
from rounds import KEY, never, rounds, scripted

from surrojax.algorithm import (
    DivergedError,
    compile_replicas,
    compile_round,
    initial_state,
    run,
)
from surrojax.layout import several
from surrojax.run import progress

ALONE = {"stage1_settings": 1, "undo_beyond": 3.0}


def play(data, fall, n=3, **changes):
    """Rounds of which the second falls so far, with the best candidate of the first."""
    method = tiny_method(**ALONE | changes)
    accuracies = iter([0.8, 0.8 - fall, 0.8, 0.8])
    seen = []

    def scores(vectors):
        seen.append(vectors)
        return [0.1, 0.2, 0.6, *[0.3] * (len(vectors) - 3)]

    programs, fitted = scripted(method, lambda v: next(accuracies), scores)
    state = initial_state(method, KEY)
    return rounds(method, data, state, n, programs), fitted, seen


def error(was, now, count):
    return math.sqrt((was * (1 - was) + now * (1 - now)) / count)


def test_the_network_before_goes_on_with_its_setting(tiny_data):
    ((one, _), (two, record), (_, last)), fitted, seen = play(tiny_data, 0.7)
    np.testing.assert_array_equal(fitted[1], seen[0][2])  # the best candidate
    assert record["chosen"] == "before"
    assert record["stage1"]["current"]["original"]["validation_accuracy"] == (
        pytest.approx(0.1)
    )
    assert record["original"]["validation_accuracy"] == pytest.approx(0.8)
    assert record["training_loss"] is None and None in record["euclidean"].values()
    np.testing.assert_array_equal(two.fusion.original, one.fusion.original)
    np.testing.assert_array_equal(two.previous, one.previous)
    assert (int(two.step), int(two.best_round)) == (2 * int(one.step), 1)
    # Its candidates do as well as ever, and do not lead.
    np.testing.assert_array_equal(fitted[2], fitted[0])
    assert last["chosen"] == "current"


def test_after_a_round_that_holds_the_candidates_lead_again(tiny_data):
    *_, ((state, record)) = play(tiny_data, 0.7)[0]
    best = max(record["candidates"], key=lambda c: c["score"])
    assert record["current_best"] == best["hyper"]
    assert "undone" not in record and float(state.search.leader_score) > 0.5


@pytest.mark.parametrize(("share", "chosen"), [(1.01, "before"), (0.99, "current")])
def test_how_far_is_far(tiny_data, share, chosen):
    count = len(tiny_data.validation.labels)
    fall = 0.0
    for _ in range(50):
        fall = 3 * error(0.8, 0.8 - fall, count)
    assert 0.1 < fall < 0.8
    (_, (_, record), _), *_ = play(tiny_data, share * fall)
    assert record["chosen"] == chosen


def test_it_is_off_in_the_paper_s_form(tiny_data):
    assert tiny_method().undo_beyond == 0
    (_, (_, record), _), *_ = play(tiny_data, 0.7, undo_beyond=0.0)
    assert record["chosen"] == "current"


def test_the_leader_scored_again_is_held_with_its_new_score(tiny_data):
    ((_, _), (two, _)), _, seen = play(tiny_data, 0.7, n=2, reevaluate_incumbent=True)
    np.testing.assert_array_equal(seen[1][-1], two.previous)
    np.testing.assert_array_equal(two.search.leader, two.previous)
    assert float(two.search.leader_score) == np.float32(0.3)


def test_a_fall_with_the_same_setting_stays(tiny_data):
    """It has another reason; the same steps once more would do no better."""
    method = tiny_method(**ALONE)
    accuracies = iter([0.8, 0.1])
    programs, _ = scripted(method, lambda v: next(accuracies), never)
    _, (_, record) = rounds(method, tiny_data, initial_state(method, KEY), 2, programs)
    assert record["chosen"] == "current"


def test_of_two_settings_the_better_one_is_compared(tiny_data):
    method = tiny_method(undo_beyond=3.0)
    one = iter([0.8, 0.7, 0.2, 0.75])  # current and previous, in turns
    programs, _ = scripted(method, lambda v: next(one), lambda v: [0.1, 0.2, 0.6, 0.3])
    _, (_, record) = rounds(method, tiny_data, initial_state(method, KEY), 2, programs)
    assert record["chosen"] == "previous"


def test_a_setting_that_diverges_is_undone_where_there_is_a_network_before(tiny_data):
    method = tiny_method(**ALONE)
    state = initial_state(method, KEY)
    first = np.asarray(state.population[0])

    def script(finite):
        return scripted(method, lambda v: 0.5, lambda v: [0.1, 0.2, 0.6, 0.3], finite)[
            0
        ]

    two = rounds(
        method, tiny_data, state, 2, script(lambda v: np.array_equal(v, first))
    )
    assert [record["chosen"] for _, record in two] == ["current", "before"]
    assert (
        two[1][1]["stage1"]["current"]["original"]["validation_cross_entropy"] is None
    )
    with pytest.raises(DivergedError, match="round 1"):
        rounds(method, tiny_data, state, 1, script(lambda v: False))


@pytest.mark.parametrize("surrogate", ["fitted", "shared"])
def test_all_ways_of_playing_a_round_undo_the_same(tiny_data, surrogate):
    """Falls of any size are undone, so that some of six rounds are."""
    method = tiny_method(**ALONE | {"undo_beyond": 1e-6, "surrogate": surrogate})
    state, n = initial_state(method, KEY), 6
    parts = rounds(method, tiny_data, state, n)
    assert {record["chosen"] for _, record in parts} == {"current", "before"}
    whole = run(
        method,
        tiny_data,
        state,
        n * method.iterations_per_round,
        lambda method: compile_round(method, donate=True),
    )
    play_two, two = compile_replicas(method), several(state, 2)
    for (after, a), (_, b) in zip(parts, whole, strict=True):
        assert_close(a, b, 1e-4)
        two, outcomes = play_two(tiny_data, two)
        assert outcomes.undone.tolist() == [a["chosen"] == "before"] * 2
        for name in ("previous", "population"):
            np.testing.assert_allclose(
                getattr(two, name)[1], getattr(after, name), atol=1e-4
            )


def test_a_user_is_told(tiny_data, capsys):
    (_, (_, record), _), *_ = play(tiny_data, 0.7)
    record["seconds"] = 1.0
    shown = progress.Progress([5] * 3, 0, quiet=False)
    shown.update(record)
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith(
        "mind: round 2 is undone: validation accuracy fell to 10.00 % with lambda_z"
    )
    assert "the network as it was is kept" in progress.details(record, {})
