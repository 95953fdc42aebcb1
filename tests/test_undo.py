"""A round that ruins the network is undone, and the next one does not repeat it."""

import math
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, assert_same, tiny_method
from rounds import KEY, evaluated, never, rounds, scripted

from surrojax.algorithm import (
    DivergedError,
    compile_replicas,
    compile_round,
    initial_state,
    run,
)
from surrojax.evaluate import effective_size
from surrojax.layout import several
from surrojax.report import rounds as report
from surrojax.run import progress
from surrojax.sgd import Targets

ALONE = {"stage1_settings": 1, "undo_beyond": 3.0}


def play(data, fall, n=3, **changes):
    """Rounds of which the second falls so far, with the best candidate of the first."""
    method = tiny_method(**ALONE | changes)
    accuracies = iter([0.8, 0.8 - fall, 0.8, 0.8 - fall])
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
    played, fitted, seen = play(tiny_data, 0.7, n=4)
    (one, first), (two, record), (_, third), (_, fourth) = played
    np.testing.assert_array_equal(fitted[1], seen[0][2])  # the best candidate
    assert record["chosen"] == "before"
    assert record["stage1"]["current"]["original"]["validation_accuracy"] == (
        pytest.approx(0.1)
    )
    assert record["original"]["validation_accuracy"] == pytest.approx(0.8)
    assert record["training_loss"] is None and None in record["euclidean"].values()
    np.testing.assert_array_equal(two.fusion.original, one.fusion.original)
    np.testing.assert_array_equal(two.previous, one.previous)
    assert_same(two.evaluated, one.evaluated)
    assert record["hyper"] == first["hyper"]
    assert record["undone"] == first["candidates"][2]["hyper"]
    assert (int(two.step), int(two.best_round)) == (2 * int(one.step), 1)
    # Its candidates do as well as ever, and do not lead.
    np.testing.assert_array_equal(fitted[2], fitted[0])
    assert third["chosen"] == "current" and "undone" not in third
    # It is the network that was kept, with which the next fall is compared.
    assert fourth["chosen"] == "before" and fourth["hyper"] == first["hyper"]


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


@pytest.mark.parametrize("changes", [{"tune": ()}, {"stage1_settings": 2}])
def test_it_is_off_where_there_is_another_way(changes):
    assert tiny_method(**ALONE).undoes
    assert not tiny_method(**ALONE | changes).undoes


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


@pytest.mark.parametrize(
    ("plain", "weighed", "chosen"), [(0.1, 0.9, "current"), (0.9, 0.1, "before")]
)
def test_accuracy_is_weighted_as_the_classes_are(tiny_data, plain, weighed, chosen):
    method = tiny_method(**ALONE | {"class_weights": (1.0, 1.0, 2.0)})
    one, other = iter([0.8, plain]), iter([0.8, weighed])
    programs, _ = scripted(method, lambda v: next(one), lambda v: [0.1, 0.2, 0.6, 0.3])
    programs = evaluated(
        programs, lambda e: replace(e, weighted_accuracy=jnp.array([next(other)]))
    )
    _, (_, record) = rounds(method, tiny_data, initial_state(method, KEY), 2, programs)
    assert record["chosen"] == chosen


def test_the_error_is_that_of_units_and_of_weights():
    labels = jnp.array([0, 0, 0, 1, 1, 2])
    frames = Targets(labels, jnp.array([0, 0, 0, 1, 1, 2]), jnp.array([0, 1, 2]))
    assert float(effective_size(Targets(labels))) == 6
    assert float(effective_size(frames)) == 3
    # (3 + 2 x 2 + 6)^2 / (3 + 2 x 4 + 36)
    assert float(effective_size(Targets(labels), (1, 2, 6))) == pytest.approx(169 / 47)
    assert float(effective_size(frames, (1, 2, 6))) == pytest.approx(81 / 41)


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


@pytest.mark.parametrize("network", ["original", "surrogate"])
def test_a_user_is_told_where_losses_are_not_finite(tiny_data, network):
    (_, (_, record), _), *_ = play(tiny_data, 0.7)
    record["stage1"]["current"][network]["validation_cross_entropy"] = None
    told = progress.undone(record)
    assert told.startswith("round 2 is undone: the losses are not finite with lambda_z")


def test_a_report_marks_it(tiny_data):
    records = [record for _, record in play(tiny_data, 0.7)[0]]
    run = SimpleNamespace(records=records, has_test=False)
    table = report.schedule(run)
    assert [row[0] for row in table.rows] == ["1", "2*", "3"]
    assert "undone" in table.caption
    run.records = records[:1]
    assert "undone" not in report.schedule(run).caption


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
