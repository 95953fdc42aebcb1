"""Tuners on a problem whose answer is known, and how they may spend a budget."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from configs import common
from surrojax.baselines import external
from surrojax.baselines.black_box import TUNERS, Problem, make
from surrojax.baselines.box import Box, check_ranges
from surrojax.baselines.budget import Budget, Trials, cost_of_method
from surrojax.errors import InputError
from surrojax.settings import make_method

D = 6
BEST = np.array([0.1, 0.85, 0.7, 0.2, 0.9, 0.15])
TRIALS = 60


def tuner(name, seed, dimensions=D, trials=TRIALS):
    if name == "hord" and sys.version_info >= (3, 12):
        pytest.skip("pySOT 0.3.3 runs on Python 3.11 alone")
    package = {"tpe": "optuna", "cma": "cmaes", "hord": "poap"}.get(name, "nevergrad")
    pytest.importorskip(package, reason="of the extra `baselines`")
    return make(name, Problem(dimensions, trials, population=6, seed=seed))


def search(name, seed):
    """Settings `[trials, D]` that were asked for, and their scores."""
    box, settings, scores = tuner(name, seed), [], []
    for _ in range(TRIALS):
        settings.append(box.ask())
        scores.append(-float(np.sum((settings[-1] - BEST) ** 2)))
        box.tell(settings[-1], scores[-1])
    return np.array(settings), np.array(scores)


@pytest.mark.parametrize("name", TUNERS)
def test_a_tuner_beats_random_search(name):
    """Its best, by what is usual of as many random trials; its last ones as well."""
    draws = np.random.default_rng(0).random((500, TRIALS, D))
    random = -np.sum((draws - BEST) ** 2, axis=-1)
    bests = []
    for seed in range(3):
        settings, scores = search(name, seed)
        assert settings.shape == (TRIALS, D)
        assert settings.min() >= 0 and settings.max() <= 1
        assert np.median(scores[-20:]) > np.median(random) / 2
        bests.append(scores.max())
    assert np.mean(bests) > np.median(random.max(axis=1))


@pytest.mark.parametrize("name", TUNERS)
def test_a_seed_decides_what_a_tuner_asks_for(name):
    np.random.seed(1)
    first, _ = search(name, seed=3)
    np.random.seed(2)
    np.testing.assert_array_equal(search(name, seed=3)[0], first)
    assert not np.array_equal(search(name, seed=4)[0], first)


@pytest.mark.parametrize("name", TUNERS)
def test_a_tuner_leaves_the_global_generator_alone(name):
    box = tuner(name, seed=0)
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    for _ in range(12):
        box.tell(box.ask(), 0.5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("trials", [7, 10, 28, 35])
def test_hord_begins_with_a_latin_hypercube(trials):
    """2 (D + 1) points, or D + 1 where the trials are too few."""
    box = tuner("hord", seed=0, trials=trials)
    points = 14 if trials >= 28 else 7
    found = []
    for _ in range(points):
        found.append(box.ask())
        box.tell(found[-1], 0.0)
    strata = np.sort(np.floor(np.array(found) * points).astype(int), axis=0)
    np.testing.assert_array_equal(strata, np.tile(np.arange(points)[:, None], (1, D)))
    for _ in range(trials - points):
        box.tell(box.ask(), 0.0)


@pytest.mark.parametrize(("dimensions", "trials"), [(1, 10), (8, 8)])
def test_hord_says_what_it_cannot_do(dimensions, trials):
    with pytest.raises(InputError, match="hord: wants at least 2 hyper-parameters"):
        tuner("hord", seed=0, dimensions=dimensions, trials=trials)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nevergrad", None)
    monkeypatch.delitem(
        sys.modules, "surrojax.baselines.nevergrad_tuners", raising=False
    )
    with pytest.raises(
        InputError, match=r"nevergrad: is missing; install surrojax\[baselines\]"
    ):
        external.load(*TUNERS["nevergrad_de"])


def test_hord_wants_an_old_python(monkeypatch):
    monkeypatch.setattr(external.sys, "version_info", (3, 12))
    with pytest.raises(InputError, match="runs on Python 3.11 alone"):
        external.load(*TUNERS["hord"])


LENET_SHARED = (403_500 + 1_888_000 / 3 / 7) / 2_291_500


@pytest.mark.parametrize(
    ("network", "changes", "cost"),
    [
        # 2 (1 + r) + 6 r, with r = 442,700 / 2,291,500 and 113,344 / 30,821,056.
        ("lenet", {}, 3.5455),
        ("resnet20", {}, 2.0294),
        ("lenet", {"reevaluate_incumbent": True}, 3.5455 + 442_700 / 2_291_500),
        # Seven share the trunk, and stage 1 fits nothing.
        (
            "lenet",
            {"surrogate": "shared", "reevaluate_incumbent": True},
            2 + 7 * LENET_SHARED,
        ),
        # With random numbers of their own they share nothing.
        (
            "lenet",
            {"surrogate": "shared", "common_random_numbers": False},
            2 + 6 * (403_500 + 1_888_000 / 3) / 2_291_500,
        ),
    ],
)
def test_the_cost_of_a_run_of_the_method(network, changes, cost):
    config = common.get_config()
    config.network = network
    config.update_from_flattened_dict(changes)
    assert cost_of_method(make_method(config, 7)) == pytest.approx(cost, abs=1e-4)


@pytest.mark.parametrize(
    ("runs", "rounds", "expected"),
    [
        # (3.55 - 1) 80 = 204 rounds; (2.03 - 1) 80 = 82.4; budget 10 is ten or more.
        (3.55, 80, Trials(10, 20, retrain=True)),
        (2.03, 80, Trials(10, 8, retrain=True)),
        (35.5, 80, Trials(35, 80, retrain=False)),
        (20.3, 80, Trials(20, 80, retrain=False)),
        (10.0, 80, Trials(10, 80, retrain=False)),
        (9.99, 80, Trials(10, 71, retrain=True)),
        # A product whose last bits are missing: 4, 1 and 130 rounds.
        (1.4, 10, Trials(4, 1, retrain=True)),
        (1.2, 5, Trials(1, 1, retrain=True)),
        (2.3, 100, Trials(10, 13, retrain=True)),
        # Fewer trials, where there are fewer than ten rounds.
        (3.55, 2, Trials(5, 1, retrain=True)),
    ],
)
def test_how_black_boxes_spend_a_budget(runs, rounds, expected):
    budget = Budget(runs, rounds)
    assert budget.trials() == expected
    spent = expected.count * expected.rounds + expected.retrain * rounds
    assert spent <= runs * rounds + 1e-9
    total = int(Fraction(str(runs)) * rounds)
    assert budget.trainings == int(runs) and budget.total_rounds == total


def test_a_budget_that_pays_for_too_little_is_one_line():
    with pytest.raises(InputError, match="0.90 trainings pays for no whole one"):
        Budget(0.9, 10).trials()
    with pytest.raises(InputError, match="1.38 trainings of 2 rounds leaves no round"):
        Budget(1.377, 2).trials()


def test_the_box_is_log_uniform():
    box = Box(("a", "b"), np.log([1e-8, 0.02]), np.log([1e-2, 0.8]), {"c": 0.0}, {})
    middle = box.setting(box.point(np.array([0.5, 0.5])))
    assert middle == pytest.approx({"a": 1e-5, "b": np.sqrt(0.02 * 0.8), "c": 0.0})
    corner = box.setting(box.point(np.array([-1.0, 2.0])))
    assert corner == pytest.approx({"a": 1e-8, "b": 0.8, "c": 0.0})


@pytest.mark.parametrize(
    "ranges",
    [
        {"coefficient": (0.0, 1e-3)},
        {"coefficient": (1e-3, 1e-8)},
        {"ratio": (0.1, 1.0)},
        {"ratio": (0.1, 0.99999999)},  # 1 in 32 bits
        {"ratio": (0.1, float("nan"))},
    ],
)
def test_a_box_that_makes_no_sense(ranges):
    with pytest.raises(InputError, match="--box_"):
        check_ranges(ranges)
