"""Algorithm 1: who wins a round, what is handed on, and that a run can be resumed."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, assert_same, tiny_method
from rounds import KEY, evaluated, never, rounds, scripted

from surrojax.algorithm import (
    DivergedError,
    Streams,
    compile_round,
    in_parts,
    initial_state,
    play,
    run,
)
from surrojax.evaluate import Evaluation
from surrojax.programs import compile_programs
from surrojax.schedule import Schedule
from surrojax.space import Values
from surrojax.stage2 import compete


def test_round_1_tries_the_first_candidate_and_the_defaults(tiny_data):
    method = tiny_method()
    state = initial_state(method, KEY)
    programs, fitted = scripted(method, lambda v: 0.5, never)
    rounds(method, tiny_data, state, 1, programs)
    np.testing.assert_array_equal(fitted[0], state.population[0])
    np.testing.assert_array_equal(fitted[1], method.space.center)


@pytest.mark.parametrize("settings", [1, 2])
def test_round_1_may_try_the_defaults_alone(tiny_data, settings):
    method = tiny_method(
        first_setting="center", stage1_settings=settings, reevaluate_incumbent=True
    )
    state = initial_state(method, KEY)
    np.testing.assert_array_equal(
        state.population, initial_state(tiny_method(), KEY).population
    )
    seen = []

    def scores(vectors):
        seen.append(vectors)
        return [0.1, 0.2, 0.1, 0.1, 0.3]

    programs, fitted = scripted(method, lambda v: 0.5, scores)
    [(after, record)] = rounds(method, tiny_data, state, 1, programs)
    np.testing.assert_array_equal(fitted, [method.space.center])
    # Candidates are those that are drawn, and it is scored beside them.
    np.testing.assert_array_equal(seen, [[*state.population, method.space.center]])
    np.testing.assert_array_equal(after.search.leader, method.space.center)
    assert record["current_best_score"] == pytest.approx(0.3)


def test_a_tie_goes_to_the_current_best(tiny_data):
    method = tiny_method()
    state = initial_state(method, KEY)
    programs, _ = scripted(method, lambda v: 0.5, never)
    [(after, record)] = rounds(method, tiny_data, state, 1, programs)
    assert record["chosen"] == "current"
    np.testing.assert_array_equal(after.previous, state.population[0])


def test_the_better_of_the_two_settings_is_kept_and_leads(tiny_data):
    method = tiny_method()
    state = initial_state(method, KEY)
    default = np.asarray(method.space.center)
    programs, _ = scripted(
        method, lambda v: 0.6 if np.array_equal(v, default) else 0.5, never
    )
    [(after, record)] = rounds(method, tiny_data, state, 1, programs)
    assert record["chosen"] == "previous"
    np.testing.assert_array_equal(after.fusion.original, default)
    np.testing.assert_array_equal(after.previous, default)
    # No candidate scored, so the winner of stage 1 stays the current best.
    np.testing.assert_array_equal(after.search.leader, default)


def test_equal_settings_are_trained_once(tiny_data):
    method = tiny_method()
    state = initial_state(method, KEY)
    programs, fitted = scripted(method, lambda v: 0.5, never)
    rounds(method, tiny_data, state, 2, programs)
    assert len(fitted) == 3  # two in round 1; then winner and leader are the same


def test_the_losers_old_score_does_not_come_back(tiny_data):
    """A lucky candidate that loses stage 1 leaves the lead, and its score with it."""
    method = tiny_method()
    state = initial_state(method, KEY)
    first_population = np.asarray(state.population)
    lucky = first_population[2]

    def scores(vectors):
        is_first = np.array_equal(vectors, first_population)
        return [0.3, 0.3, 0.99, 0.3] if is_first else [0.3, 0.31, 0.32, 0.33]

    programs, _ = scripted(
        method, lambda v: 0.1 if np.array_equal(v, lucky) else 0.5, scores
    )
    (first, _), (second, record) = rounds(method, tiny_data, state, 2, programs)
    np.testing.assert_array_equal(first.search.leader, lucky)
    assert record["chosen"] == "previous"
    # Round 1's winner was never scored above 0.99, yet round 2's best now leads.
    assert float(second.search.leader_score) == pytest.approx(0.33)
    assert not np.array_equal(second.search.leader, lucky)


def test_a_leader_keeps_the_score_it_had_as_a_candidate(tiny_data):
    method = tiny_method()
    state = initial_state(method, KEY)
    first = np.asarray(state.population)

    def scores(vectors):
        is_first = np.array_equal(vectors, first)
        return [0.1, 0.9, 0.2, 0.3] if is_first else [0.5] * 4

    programs, _ = scripted(
        method, lambda v: 0.9 if np.array_equal(v, first[1]) else 0.5, scores
    )
    _, (second, record) = rounds(method, tiny_data, state, 2, programs)
    assert record["chosen"] == "current"
    np.testing.assert_array_equal(second.search.leader, first[1])
    assert float(second.previous_score) == pytest.approx(0.9)
    assert record["current_best_score"] == pytest.approx(0.9)


def test_a_reevaluated_incumbent_is_scored_beside_the_population(tiny_data):
    method = tiny_method(reevaluate_incumbent=True)
    state = initial_state(method, KEY)
    seen = []

    def scores(vectors):
        seen.append(vectors)
        # The leader, which comes last, is worth 0.4 in every round.
        return [*(0.1, 0.2, 0.6 if len(seen) == 1 else 0.3, 0.1), 0.4]

    programs, _ = scripted(method, lambda v: 0.5, scores)
    (first, _), (second, record) = rounds(method, tiny_data, state, 2, programs)
    assert len(record["candidates"]) == method.population + 1
    np.testing.assert_array_equal(seen[1][-1], state.population[2])
    # 0.6 aged to 0.4, which still beats the round's candidates.
    assert float(first.search.leader_score) == pytest.approx(0.6)
    assert float(second.search.leader_score) == pytest.approx(0.4)


def test_a_setting_that_diverges_loses_to_one_that_does_not(tiny_data):
    method = tiny_method()
    state = initial_state(method, KEY)
    first = np.asarray(state.population[0])
    programs, _ = scripted(
        method,
        lambda v: 0.9 if np.array_equal(v, first) else 0.2,
        never,
        finite=lambda v: not np.array_equal(v, first),
    )
    [(_, record)] = rounds(method, tiny_data, state, 1, programs)
    assert record["chosen"] == "previous"
    assert record["stage1"]["current"]["original"]["validation_cross_entropy"] is None


def test_one_setting_that_was_trained_twice_is_the_current_one(tiny_data):
    """Two trainings of it may differ in their last bits, on a GPU for one."""
    method = tiny_method()
    state = initial_state(method, KEY)
    state = replace(state, previous=state.search.leader)
    programs, _ = scripted(method, lambda v: 0.5, lambda v: [0.5] * 4)

    def both(fusion, settings, equal, *given):
        return programs.fit(fusion, settings, False, *given)

    def unequal(fusions, data):
        original, surrogate = programs.evaluate(fusions, data)
        better = original.accuracy + jnp.arange(2) * 1e-6
        return replace(original, accuracy=better), surrogate

    [(_, record)] = rounds(
        method, tiny_data, state, 1, programs._replace(fit=both, evaluate=unequal)
    )
    assert record["chosen"] == "current" and list(record["stage1"]) == ["current"]


def test_a_round_in_which_both_settings_diverge_stops_the_run(tiny_data):
    method = tiny_method()
    programs, _ = scripted(method, lambda v: 0.5, never, finite=lambda v: False)
    with pytest.raises(DivergedError, match=r"round 1: .*lower learning rate"):
        rounds(method, tiny_data, initial_state(method, KEY), 1, programs)


def test_what_diverges_is_told_what_it_can_do(tiny_data):
    method = tiny_method(tune=())
    schedule = Schedule(method.space.names, [1], [[0.25] * len(method.space.names)])
    follows = replace(method, schedule=schedule, space=Values.like(method.space))
    told = {}
    tunes = tiny_method(tune=("lambda_x", "p_x"))
    held = tiny_method(tune=("p_x",), surrogate="shared")
    for name, one in zip(
        ("alone", "follows", "tunes", "held"),
        (method, follows, tunes, held),
        strict=True,
    ):
        told[name] = str(DivergedError(1, initial_state(one, KEY), one))
    for name in ("alone", "held"):
        assert told[name].endswith("begin another with a lower learning rate")
    assert told["tunes"].endswith(
        "a lower learning rate or eta or upper bound of the coefficients"
    )
    assert "a lower learning rate (the schedule has lambda_z=" in told["follows"]
    assert told["follows"].endswith("p_W=0.25 in this round)")


def test_a_huge_learning_rate_stops_the_run_with_one_line(tiny_data):
    method = tiny_method(learning_rate_base=1e30)
    with pytest.raises(DivergedError, match="not finite"):
        rounds(method, tiny_data, initial_state(method, KEY), 1)


def test_a_loss_that_overflowed_for_a_while_can_be_written_down(tiny_data):
    """A named bug: infinity is no JSON, and the round's line could not be written."""
    method = tiny_method()
    programs, _ = scripted(method, lambda v: 0.5, never)
    inner = programs.fit

    def fit(*arguments):
        fusion, losses = inner(*arguments)
        return fusion, jax.tree.map(lambda a: a * jnp.inf, losses)

    programs = programs._replace(fit=fit)
    [(_, record)] = rounds(method, tiny_data, initial_state(method, KEY), 1, programs)
    assert record["training_loss"] is None
    json.dumps(record, allow_nan=False)


def test_the_best_round_is_remembered(tiny_data):
    method = tiny_method(tune=())
    accuracies = iter([0.2, 0.6, 0.4])
    programs, _ = scripted(method, lambda v: next(accuracies))
    *_, (state, _) = rounds(method, tiny_data, initial_state(method, KEY), 3, programs)
    assert int(state.best_round) == 2
    assert float(state.best_accuracy) == pytest.approx(0.6)


@pytest.mark.parametrize("max_iterations", [14, 10])
def test_a_round_that_would_pass_max_iterations_is_not_begun(tiny_data, max_iterations):
    method = tiny_method(tune=())
    state = initial_state(method, KEY)
    done = list(run(method, tiny_data, state, max_iterations))
    assert [record["step"] for _, record in done] == [5, 10]


def test_one_step_counter_runs_through_all_rounds(tiny_data):
    method = tiny_method()
    done = rounds(method, tiny_data, initial_state(method, KEY), 3)
    assert [int(state.step) for state, _ in done] == [5, 10, 15]
    rates = [record["learning_rate"] for _, record in done]
    expected = [0.01 * 0.5 ** (step / 4000) for step in (4, 9, 14)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("tune", [None, ("lambda_x",), ()])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tiny_data, tune):
    method = tiny_method(tune=tune)
    whole = rounds(method, tiny_data, initial_state(method, KEY), 4)
    middle, _ = rounds(method, tiny_data, initial_state(method, KEY), 2)[-1]
    compile_programs.cache_clear()  # as in another process
    rest = rounds(method, tiny_data, middle, 2)
    assert_same(whole[-1][0], rest[-1][0])
    assert whole[-1][1] == rest[-1][1]


def test_seeds_give_different_runs(tiny_data):
    method = tiny_method()
    a, b = (
        rounds(method, tiny_data, initial_state(method, jax.random.key(seed)), 1)
        for seed in (0, 1)
    )
    assert a[0][1]["candidates"] != b[0][1]["candidates"]


def test_what_is_not_tuned_keeps_its_fixed_value(tiny_data):
    method = tiny_method(tune=("p_x",))
    for _, record in rounds(method, tiny_data, initial_state(method, KEY), 2):
        for setting in [record["hyper"], *(c["hyper"] for c in record["candidates"])]:
            assert all(v == 0 for name, v in setting.items() if name != "p_x")
            assert 0.01 <= setting["p_x"] <= 0.95


def test_each_program_is_compiled_once_a_run(tiny_data):
    method = tiny_method()
    programs = compile_programs.__wrapped__(method)
    round_ = partial(play, method, programs)
    list(run(method, tiny_data, initial_state(method, KEY), 15, lambda _: round_))
    evaluate, *others = (p._cache_size() for p in programs[1:])
    assert others == [1, 1, 1]
    assert evaluate <= 2  # of two settings, and of one where they are equal


@pytest.mark.parametrize("changes", [{}, {"tune": ()}, {"reevaluate_incumbent": True}])
def test_a_round_as_one_program_is_the_round_in_parts(tiny_data, changes):
    """Four rounds, of which one has equal settings, with donated states."""
    method = tiny_method(**changes)
    state = initial_state(method, KEY)
    parts = rounds(method, tiny_data, state, 4)
    last = 4 * method.iterations_per_round
    round_ = compile_round(method, donate=True)
    whole = [
        record for _, record in run(method, tiny_data, state, last, lambda _: round_)
    ]
    for (_, a), b in zip(parts, whole, strict=True):
        assert_close(a, b, 1e-4)


def test_tuning_learns(tiny_data):
    method = tiny_method(iterations_per_round=100)
    *_, (_, record) = rounds(method, tiny_data, initial_state(method, KEY), 4)
    assert record["original"]["validation_accuracy"] > 0.8


def test_rounds_can_grow(tiny_data):
    method = tiny_method(double_every=2)
    assert method.plan(5 + 5 + 10 + 10 + 20 + 19) == (5, 5, 10, 10, 20)
    assert tiny_method().plan(24) == (5, 5, 5, 5)
    begin = initial_state(method, KEY)
    done = list(run(method, tiny_data, begin, 30))
    assert [r["iterations"] for _, r in done] == [5, 5, 10, 10]
    assert [r["step"] for _, r in done] == [5, 10, 20, 30]
    assert int(done[-1][0].step) == 30
    # The round of ten steps is one of ten steps, and not twice one of five.
    state = done[1][0]
    long = replace(method, iterations_per_round=10, double_every=0)
    _, record = next(run(long, tiny_data, state, 30))
    assert record["original"] == done[2][1]["original"]
    # It goes on from any round.
    *_, (_, last) = run(method, tiny_data, done[1][0], 30)
    assert last == done[-1][1]


@pytest.mark.parametrize(
    ("selection", "chosen"), [("accuracy", "current"), ("cross_entropy", "previous")]
)
def test_what_stage_1_selects_by(tiny_data, selection, chosen):
    """The current setting has the higher accuracy, the previous the lower loss."""
    method = tiny_method(selection=selection)
    state = initial_state(method, KEY)
    programs, _ = scripted(method, lambda v: 0.5, never)

    def evaluate(fusions, split):
        share, ones = jnp.array([0.6, 0.5]), jnp.ones(2)
        result = Evaluation(share, share, share, jnp.array([1.2, 1.1]), ones)
        return result, result

    programs = programs._replace(evaluate=evaluate)
    [(after, record)] = rounds(method, tiny_data, state, 1, programs)
    assert record["chosen"] == chosen
    assert float(after.best_accuracy) == np.float32(0.6 if chosen == "current" else 0.5)


@pytest.mark.parametrize("make", [in_parts, compile_round])
def test_stage_1_may_train_the_current_setting_alone(tiny_data, make):
    method = tiny_method(stage1_settings=1, objective="cross_entropy")
    state = initial_state(method, KEY)
    two = list(run(method, tiny_data, state, 10, make))
    for (_, before), (_, after) in zip(two, two[1:], strict=False):
        assert list(after["stage1"]) == ["current"]
        assert after["hyper"] == before["current_best"]
    # The current setting is trained as it is beside the previous one.
    both = next(run(tiny_method(), tiny_data, state, 5))[1]
    assert two[0][1]["original"]["validation_cross_entropy"] == pytest.approx(
        both["stage1"]["current"]["original"]["validation_cross_entropy"], rel=1e-5
    )


def test_candidates_may_train_a_part_of_the_round(tiny_data):
    """What they score is what rounds of so many steps would have scored."""
    kinds = {"objective": "cross_entropy", "iterations_per_round": 8}
    method = tiny_method(stage2_share=0.25, **kinds)
    assert method.stage2_iterations == 2
    assert tiny_method(stage2_share=0.0).stage2_iterations == 1
    state, record = next(run(method, tiny_data, initial_state(method, KEY), 8))
    scores, _ = compete(
        tiny_method(**kinds),
        state.fusion.surrogate,
        initial_state(method, KEY).population,
        tiny_data,
        Streams.of(KEY).stage2,
        jnp.arange(2),
    )
    np.testing.assert_allclose(
        scores, [c["score"] for c in record["candidates"]], rtol=1e-5
    )


def test_the_training_loss_is_the_mean_over_the_round(tiny_data):
    method = tiny_method()
    programs, _ = scripted(method, lambda v: 0.5, never)  # sums of 1
    [(_, record)] = rounds(method, tiny_data, initial_state(method, KEY), 1, programs)
    for name in ("training_loss", "surrogate_training_loss"):
        assert record[name] == pytest.approx(1 / method.iterations_per_round)


def test_each_round_asks_with_a_key_of_its_own(tiny_data):
    method, keys = tiny_method(), set()
    programs, _ = scripted(method, lambda v: 0.5, lambda v: [0.5] * 4)

    def ask(key, state):
        keys.add(tuple(jax.random.key_data(key).tolist()))
        return programs.ask(key, state)

    rounds(method, tiny_data, initial_state(method, KEY), 3, programs._replace(ask=ask))
    assert len(keys) == 3


def test_a_setting_whose_surrogate_diverges_loses(tiny_data):
    method = tiny_method()
    programs, _ = scripted(method, lambda v: 0.5, never)
    programs = evaluated(
        programs,
        lambda e: e,
        lambda e: replace(e, cross_entropy=jnp.array([jnp.nan, 1.0])),
    )
    [(_, record)] = rounds(method, tiny_data, initial_state(method, KEY), 1, programs)
    assert record["chosen"] == "previous"


def test_stage_1_selects_by_the_weighted_accuracy(tiny_data):
    method = tiny_method()
    programs, _ = scripted(method, lambda v: 0.5, never)
    programs = evaluated(
        programs,
        lambda e: replace(
            e, accuracy=jnp.array([0.6, 0.5]), weighted_accuracy=jnp.array([0.4, 0.5])
        ),
    )
    [(_, record)] = rounds(method, tiny_data, initial_state(method, KEY), 1, programs)
    assert record["chosen"] == "previous"


def test_of_equal_rounds_the_first_is_the_best(tiny_data):
    method, accuracies = tiny_method(tune=()), iter([0.2, 0.6, 0.6])
    programs, _ = scripted(method, lambda v: next(accuracies))
    *_, (state, _) = rounds(method, tiny_data, initial_state(method, KEY), 3, programs)
    assert int(state.best_round) == 2


def test_a_run_that_diverges_hands_back_the_state_before(tiny_data):
    method = tiny_method()
    programs, _ = scripted(method, lambda v: 0.5, never, finite=lambda v: False)
    begin = initial_state(method, KEY)
    with pytest.raises(DivergedError) as caught:
        rounds(method, tiny_data, begin, 1, programs)
    state = caught.value.state
    assert (int(state.round), int(state.step)) == (0, 0)
    assert_same((state.search, state.population), (begin.search, begin.population))
