"""What the method is compared with: paired, charged, resumed, chosen by validation."""

import itertools
import json
import time
from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, of_two_classes

from configs import common
from surrojax import experiment, settings
from surrojax.algorithm import DivergedError
from surrojax.baselines import black_box, hyperband, methods, pbt
from surrojax.baselines.attempt import Options
from surrojax.baselines.box import Box
from surrojax.baselines.figure import kind_of
from surrojax.baselines.folder import Folder, Run
from surrojax.baselines.runner import Asked, Bench, run_all
from surrojax.baselines.trainer import DIVERGED, Trainer, Trial
from surrojax.data import Dataset, Split
from surrojax.errors import InputError
from surrojax.experiment import train
from surrojax.networks import Pair
from surrojax.networks.head import Head
from surrojax.networks.layers import max_pool
from surrojax.run import rounds
from surrojax.run.setup import Setup
from surrojax.run.sweep import at
from surrojax.sites import HYPER_NAMES
from surrojax.weights import save

pytestmark = pytest.mark.usefixtures("undrawn")

NAMES = [name for group in HYPER_NAMES for name in group]
MACS = (4 * 36 + 4 * 5 + 5 * 7, 4 * 9 + 4 * 5 + 5 * 7)
RATIO = MACS[1] / MACS[0]
UNIT = 2 * (1 + RATIO) + 4 * RATIO  # runs of the original, for a population of 4

EVERY = [
    *("untuned", "defaults", "dropout", "twice", "twice_untuned", "random", "grid"),
    *("tpe", "cma", "nevergrad_de", "nevergrad_pso", "hyperband", "pbt"),
]


class Original(nn.Module):
    @nn.compact
    def __call__(self, images, ratio, train):
        z = nn.Dense(4)(images.reshape(images.shape[0], -1))
        return Head(7, hidden=5)(z, ratio, train)


class Surrogate(nn.Module):
    @nn.compact
    def __call__(self, images, ratio, train):
        z = nn.Dense(4)(max_pool(images).reshape(images.shape[0], -1))
        return Head(7, hidden=5)(z, ratio, train)


def split(n, seed):
    """Noise that is brighter where the label says."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, n).astype(np.int32)
    images = rng.integers(0, 200, (n, 36), dtype=np.uint8)
    images[np.arange(n), 5 * labels] = 255
    return Split(images.reshape(n, 6, 6, 1), labels)


@pytest.fixture
def small(monkeypatch):
    """Small networks and images in place of LeNet and the drawn faces."""
    parts = (split(80, 0), split(60, 1), split(40, 2))
    dataset = Dataset("faces", tuple("abcdefg"), *parts, manifest={"source": "random"})
    pair = Pair(Original(), Surrogate(), shape=(6, 6, 1))
    monkeypatch.setattr(settings, "make_pair", lambda config, classes: pair)
    monkeypatch.setattr(settings.data, "load", lambda *_: dataset)
    return dataset


def config_of(**changes):
    config = common.get_config()
    config.batch_size, config.iterations_per_round, config.max_iterations = 8, 5, 20
    config.learning_rate.base, config.learning_rate.halve_every = 0.05, 10.0
    config.search.population = 4
    config.execution.devices = 1
    config.update_from_flattened_dict(changes)
    return config


QUIET = Options(quiet=True, command=("here",))


def play(folder, *names, config=None, **asked):
    asked = {"options": QUIET} | asked
    return run_all(config or config_of(), str(folder), Asked(names, **asked))


def record_of(folder, name, budget=1, seed=0):
    return json.loads((folder / f"{name}/budget={budget}/seed={seed}.json").read_text())


def bench_of(folder, **changes):
    return Bench(config_of(**changes), Folder(folder), Asked((), options=QUIET))


@pytest.fixture
def trainings(monkeypatch):
    """The plans of all trainings that are done, not read from the disk."""
    done, real = [], Trainer._train

    def train(self, plan):
        done.append(plan)
        return real(self, plan)

    monkeypatch.setattr(Trainer, "_train", train)
    return done


def test_a_training_is_paired_with_the_run_of_its_seed(small, tmp_path):
    """Weights, minibatches, masks and learning rates are those of `train`."""
    fixed = {"tune": (), "fixed.p_z": 0.3, "fixed.lambda_V": 1e-3}
    bench = bench_of(tmp_path / "mine")
    setting = dict.fromkeys(NAMES, 0.0) | {"p_z": 0.3, "lambda_V": 1e-3}
    attempt = bench.attempt(Run("here", 1, 3))
    trained = attempt.train(setting)
    theirs = train(config_of(seed=3, **fixed), tmp_path / "run", quiet=True)
    found = trained.trial
    assert found.validation_accuracy == pytest.approx(theirs["validation_accuracy"])
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    loss = json.loads(lines[-1])["original"]["validation_cross_entropy"]
    assert found.validation_cross_entropy == pytest.approx(loss, rel=1e-5)
    assert attempt.keep(trained).test() == pytest.approx(theirs["test_accuracy"])
    assert bench.attempt(Run("here", 1, 4)).train(setting).trial != found


def test_a_training_is_tested_as_the_run_is(small, tmp_path, monkeypatch):
    """Over the crops of an image, and without classes that must not be predicted."""
    masked = of_two_classes(small)
    monkeypatch.setattr(settings.data, "load", lambda *_: masked)
    changes = {"dataset.crops": 4, "max_iterations": 5}
    bench = bench_of(tmp_path / "mine", **changes)
    attempt = bench.attempt(Run("here", 1, 0))
    tested = attempt.keep(attempt.train(dict.fromkeys(NAMES, 0.0))).test()
    theirs = train(config_of(tune=(), **changes), tmp_path / "run", quiet=True)
    assert tested == pytest.approx(theirs["test_accuracy"])


def test_an_original_that_is_tuned_begins_like_its_baselines(small, tmp_path):
    bench = bench_of(tmp_path)
    tuned = Setup.of(config_of()).begin(5).fusion.original
    mine = bench.attempt(Run("here", 1, 5)).trainer.begin(5, 1).original
    for a, b in zip(
        jnp.hstack([a.ravel() for a in _leaves(tuned.params)]),
        jnp.hstack([a.ravel() for a in _leaves(mine.params)]),
        strict=True,
    ):
        assert a == b


def _leaves(tree):
    return [a for layer in tree.values() for a in layer.values()]


def test_short_trainings_see_the_whole_schedule(small, tmp_path):
    trainer = bench_of(tmp_path).attempt(Run("here", 1, 0)).trainer
    assert trainer.rounds == 4
    off = [dict.fromkeys(NAMES, 0.0)]
    assert trainer.plan(off, 0).halve_every == 10
    assert trainer.plan(off, 0, rounds=2).halve_every == 5


def test_plain_settings(small, tmp_path):
    play(tmp_path, "untuned", "defaults", "dropout")
    off = dict.fromkeys(NAMES, 0.0)
    assert record_of(tmp_path, "untuned")["hyper"] == off
    assert record_of(tmp_path, "dropout")["hyper"] == off | {"p_z": 0.5, "p_x": 0.5}
    found = record_of(tmp_path, "defaults")["hyper"]
    assert {found[n] for n in NAMES if n.startswith("lambda")} == {1e-5}
    assert {found[n] for n in NAMES if n.startswith("p_")} == {0.5}


def test_what_a_record_says(small, tmp_path):
    play(tmp_path, "twice")
    record = record_of(tmp_path, "twice")
    assert record["budget_in_runs"] == pytest.approx(UNIT)
    assert int(UNIT) == record["trainings"] == record["cost_in_runs"] == 4
    assert record["original_steps"] == 4 * 20 and record["surrogate_steps"] == 0
    assert record["command"] == ["here"] and "optuna" in record["versions"]
    assert (record["seed"], record["network"], record["max_iterations"]) == (
        *(0, "lenet", 20),
    )


def test_the_method_itself_is_one_of_the_rows(small, tmp_path):
    """A run that was stopped goes on, and one that is finished is left alone."""
    folder = tmp_path / "surrojax/budget=1/seed=0"
    train(config_of(max_iterations=10), folder, quiet=True)
    first = play(tmp_path, "surrojax")
    assert play(tmp_path, "surrojax").records == first.records
    [ours] = first.records
    result = json.loads((folder / "result.json").read_text())
    assert result["rounds"] == 4 and ours["seed"] == 0
    for name in ("test_accuracy", "validation_accuracy", "hyper", "original_steps"):
        assert ours[name] == result[name]
    steps = result["original_steps"] + RATIO * result["surrogate_steps"]
    assert ours["cost_in_runs"] == pytest.approx(steps / 20)


def test_twice_keeps_the_best_of_its_seeds_by_validation(small, tmp_path, trainings):
    play(tmp_path, "twice", seeds=(2,))
    assert [plan.seed for plan in trainings] == [2, 1002, 2002, 3002]
    trials = [json.loads(f.read_text()) for f in (tmp_path / "trials").glob("*.json")]
    best = max(trials, key=lambda t: t["validation_accuracy"])
    record = record_of(tmp_path, "twice", seed=2)
    assert record["validation_accuracy"] == best["validation_accuracy"]


def test_trainings_are_compared_by_what_the_method_selects_by(small, tmp_path):
    for by, figure, sign in (
        ("accuracy", "validation_accuracy", 1),
        ("cross_entropy", "validation_cross_entropy", -1),
    ):
        folder = tmp_path / by
        play(folder, "twice", config=config_of(selection=by))
        trials = [json.loads(f.read_text()) for f in (folder / "trials").glob("*.json")]
        best = max(trials, key=lambda t, f=figure, s=sign: s * t[f])
        record = record_of(folder, "twice")
        assert record["validation_accuracy"] == best["validation_accuracy"]
        assert record["test_accuracy"] == best["test_accuracy"]


@pytest.fixture
def looked_at(monkeypatch):
    """Trials that are right more often, with a higher loss, each time one is asked for.

    Nothing is trained.
    """
    count, seen = itertools.count(1), []

    def validate(self, fusions):
        copies = len(jax.tree.leaves(fusions)[0])
        seen.append([Trial(i / 1000, i) for i in itertools.islice(count, copies)])
        return seen[-1]

    monkeypatch.setattr(Trainer, "validate", validate)
    monkeypatch.setattr(Trainer, "advance", lambda self, fusions, *_: fusions)
    monkeypatch.setattr(Trainer, "test", lambda *_: 0.5)
    return seen


@pytest.mark.parametrize("name", ["random", "grid", "tpe", "hyperband", "pbt"])
@pytest.mark.parametrize(("by", "choose"), [("accuracy", max), ("cross_entropy", min)])
def test_every_tuner_keeps_what_the_method_would(
    small, tmp_path, monkeypatch, looked_at, name, by, choose
):
    if name in ("tpe", "hyperband"):
        pytest.importorskip("optuna", reason="of the extra `baselines`")
    monkeypatch.setattr(  # none is stopped before its end
        hyperband,
        "_follow",
        lambda attempt, *_: (attempt.trainer.begin(0, 1), attempt.trainer.rounds),
    )
    play(tmp_path, name, config=config_of(selection=by), budgets=(3,))
    ends = looked_at[-1] if name == "pbt" else sum(looked_at, [])
    assert len(ends) >= 4
    kept = record_of(tmp_path, name, budget=3)["validation_accuracy"]
    assert kept == choose(trial.validation_accuracy for trial in ends)


class Recorder:
    """A tuner that asks for the same setting, and remembers its scores."""

    def __init__(self, problem):
        self.dimensions, self.told = problem.dimensions, []

    def ask(self):
        return np.full(self.dimensions, 0.5)

    def tell(self, _, score):
        self.told.append(score)


def test_a_tuner_is_told_what_the_method_selects_by(
    small, tmp_path, monkeypatch, looked_at
):
    made = []

    def make(name, problem):
        made.append(Recorder(problem))
        return made[-1]

    monkeypatch.setattr(black_box, "make", make)
    # Trainings of equal settings are done once, so each is of another seed.
    seeds = itertools.count()
    plan = Trainer.plan
    monkeypatch.setattr(
        Trainer,
        "plan",
        lambda self, schedule, seed, rounds: plan(self, schedule, next(seeds), rounds),
    )
    config = config_of(selection="cross_entropy")
    play(tmp_path, "tpe", config=config, budgets=(3,))
    assert made[0].told == [-i for i in range(1, 15)]


def test_hyperband_is_told_what_the_method_selects_by(
    small, tmp_path, monkeypatch, looked_at
):
    optuna = pytest.importorskip("optuna", reason="Hyperband is Optuna's")
    told, report = [], optuna.Trial.report

    def reported(self, value, step):
        told.append(value)
        report(self, value, step)

    monkeypatch.setattr(optuna.Trial, "report", reported)
    play(tmp_path, "hyperband", config=config_of(selection="cross_entropy"))
    assert told[:3] == [-1, -2, -3]  # the first one is looked at after each round


@pytest.mark.parametrize("name", ["random", "hyperband", "pbt"])
def test_another_seed_searches_elsewhere(small, tmp_path, monkeypatch, looked_at, name):
    if name == "hyperband":
        pytest.importorskip("optuna", reason="Hyperband is Optuna's")
    asked = {3: set(), 4: set()}

    def advance(self, fusions, settings, seed, *_):
        asked[seed].update(map(tuple, settings))
        return fusions

    monkeypatch.setattr(Trainer, "advance", advance)
    play(tmp_path, name, seeds=(3, 4))
    assert len(asked[3]) > 1 and not asked[3] & asked[4]


def test_a_seed_of_the_method_is_a_run_of_that_seed(small, tmp_path, monkeypatch):
    found = []

    def refuse(config, *_):
        found.append((config.seed, config.replicas))
        raise InputError("enough")

    monkeypatch.setattr(experiment, "train", refuse)
    play(tmp_path, "surrojax", config=config_of(seed=7, replicas=3), seeds=(2, 5))
    assert found == [(2, 1), (5, 1)]


@pytest.mark.usefixtures("lost_ctrl_c")
def test_a_ctrl_c_that_was_swallowed_ends_a_training(small, tmp_path):
    trainer = bench_of(tmp_path).attempt(Run("here", 1, 0)).trainer
    off = [trainer.values(dict.fromkeys(NAMES, 0.0))]
    with pytest.raises(KeyboardInterrupt):
        trainer.advance(trainer.begin(0, 1), off, 0, 0, 1e6)


def test_learning_rates_fall_as_a_training_s_plan_says(small, tmp_path):
    trainer = bench_of(tmp_path).attempt(Run("here", 1, 0)).trainer
    off = [trainer.values(dict.fromkeys(NAMES, 0.0))]
    fast, slow = (
        trainer.advance(trainer.begin(0, 1), off, 0, 3, halve_every)
        for halve_every in (0.5, 1e6)
    )
    begun, fast, slow = (
        np.asarray(of.original.params["Dense_0"]["kernel"])
        for of in (trainer.begin(0, 1), fast, slow)
    )
    # After 15 steps that halve it every half step, a rate is next to nothing.
    np.testing.assert_allclose(fast, begun, atol=1e-6)
    assert np.abs(slow - begun).max() > 1e-3


def test_a_row_of_the_method_has_one_config(small, tmp_path):
    other = config_of(kappa=0.0)
    play(tmp_path, "other", others={"other": other})
    play(tmp_path, "other", others={"other": other}, seeds=(1,))
    changed = {"other": config_of(kappa=1e-3)}
    with pytest.raises(InputError, match="other: holds .*kappa .0.0 there, 0.001 here"):
        play(tmp_path, "other", others=changed, seeds=(2,))


def test_the_budget_is_what_the_method_costs_whatever_its_length(small, tmp_path):
    """Twice the steps with one setting and no stage 2 to speak of: 2 (1 + r)."""
    ours = config_of(stage1_settings=1, stage2_share=0.2, max_iterations=40)
    asked = Asked(("untuned",), others={"surrojax": ours}, options=QUIET)
    bench = Bench(config_of(), Folder(tmp_path), asked)
    assert bench.unit == pytest.approx(2 * (1 + RATIO + 4 * RATIO * 0.2))


@pytest.mark.parametrize(("method", "ratio"), [("longer", 0.5), ("longer_untuned", 0)])
def test_longer_spends_the_budget_on_one_training(
    small, tmp_path, trainings, method, ratio
):
    play(tmp_path, method)
    [plan] = trainings
    assert plan.rounds == int(UNIT * 4) > 4
    assert plan.halve_every == pytest.approx(10.0 * plan.rounds / 4)
    record = record_of(tmp_path, method)
    assert record["trainings"] == 1
    assert record["hyper"]["p_z"] == ratio and record["hyper"]["p_V"] == 0


def test_where_the_search_begins_is_that_of_the_row_surrojax(small, tmp_path):
    """Of another config than the main one: its own start, and its fixed values."""
    ours = config_of(tune=("lambda_x", "ratios"))
    ours.search.start.p_V, ours.fixed.lambda_V = 0.1, 3e-4
    play(tmp_path, "start", "longer_start", others={"surrojax": ours})
    want = {"lambda_V": 3e-4, "lambda_x": 1e-5, "p_z": 0.5, "p_V": 0.1}
    want |= {"p_x": 0.5, "p_W": 0.5, "lambda_z": 0, "lambda_W": 0}
    for method, steps in (("start", 20), ("longer_start", 5 * int(UNIT * 4))):
        record = record_of(tmp_path, method)
        assert record["hyper"] == pytest.approx(want)
        assert record["original_steps"] == steps and record["surrogate_steps"] == 0


def test_where_another_search_begins_is_held_as_long(small, tmp_path):
    """Budget and seeds are those of `longer_start`; the setting is the other's."""
    wide = config_of(tune=("ratios",))
    wide.search.center.ratio, wide.fixed.lambda_V = 0.126, 3e-4
    rows = ("longer_start", "longer_start_wide")
    play(tmp_path, *rows, others={"wide": wide})
    of_ours, of_wide = (record_of(tmp_path, row) for row in rows)
    want = dict.fromkeys(NAMES, 0.0) | {"lambda_V": 3e-4}
    want |= {name: 0.126 for name in NAMES if name.startswith("p_")}
    assert of_wide["hyper"] == pytest.approx(want)
    assert of_ours["hyper"]["p_z"] == pytest.approx(0.5)
    assert of_wide["original_steps"] == of_ours["original_steps"] == 5 * int(UNIT * 4)
    assert kind_of("longer_start_wide") == "fixed" and kind_of("wide") == "ours"


def test_trainings_are_shared_by_methods_and_charged_to_each(
    small, tmp_path, trainings
):
    play(tmp_path, "dropout", "twice")
    assert len(trainings) == 4
    assert record_of(tmp_path, "dropout")["original_steps"] == 20
    assert record_of(tmp_path, "twice")["original_steps"] == 80
    assert record_of(tmp_path, "twice")["seconds"] > 0


def test_random_settings_lie_in_the_box(small, tmp_path, trainings):
    ranges = {"coefficient": (1e-6, 1e-5), "ratio": (0.1, 0.2)}
    options = replace(QUIET, ranges=ranges)
    config = config_of(tune=("lambda_x", "p_z"), **{"fixed.p_V": 0.4})
    play(tmp_path, "random", config=config, options=options)
    assert len({plan.schedule for plan in trainings}) == 4
    for plan in trainings:
        setting = dict(zip(NAMES, plan.at(0), strict=True))
        assert 1e-6 <= setting["lambda_x"] <= 1e-5 and 0.1 <= setting["p_z"] <= 0.2
        assert setting["p_V"] == 0.4 and setting["p_W"] == 0


def test_the_grid_is_as_fine_as_the_budget(small, tmp_path, trainings):
    play(tmp_path, "grid")
    off = dict.fromkeys(NAMES, 0.0)
    middles = [0.1175, 0.3125, 0.5075, 0.7025]  # of four parts of [0.02, 0.8]
    assert [dict(zip(NAMES, p.at(0), strict=True)) for p in trainings] == [
        pytest.approx(off | {"p_z": p, "p_x": p}) for p in middles
    ]
    trainings.clear()
    play(tmp_path, "grid", budgets=(2,))  # 9 runs: 3 x 3
    points = {(plan.at(0)[4], plan.at(0)[6]) for plan in trainings}
    assert len(points) == 9 and len({z for z, _ in points}) == 3


def test_a_killed_run_goes_on_where_it_was(small, tmp_path, trainings, monkeypatch):
    pytest.importorskip("optuna", reason="TPE is Optuna's")
    play(tmp_path / "whole", "tpe")
    whole = [plan for plan in trainings]
    trainings.clear()
    counted = Trainer._train

    def killed(self, plan):
        if len(trainings) == 4:
            raise KeyboardInterrupt
        return counted(self, plan)

    monkeypatch.setattr(Trainer, "_train", killed)
    with pytest.raises(KeyboardInterrupt):
        play(tmp_path / "killed", "tpe")
    monkeypatch.setattr(Trainer, "_train", counted)
    play(tmp_path / "killed", "tpe")
    assert trainings == whole
    a, b = (record_of(tmp_path / name, "tpe") for name in ("whole", "killed"))
    assert_close({**a, "seconds": 0}, {**b, "seconds": 0})


def test_black_boxes_spend_their_budget(small, tmp_path, trainings):
    pytest.importorskip("optuna", reason="TPE is Optuna's")
    play(tmp_path, "tpe")
    # Ten short trainings share 3.74 of 4.74 runs of four rounds: 14 rounds.
    assert [plan.rounds for plan in trainings] == [1] * 10 + [4]
    assert trainings[-1].schedule in [plan.schedule for plan in trainings[:-1]]
    assert record_of(tmp_path, "tpe")["original_steps"] == 10 * 5 + 20
    asked = [plan.schedule for plan in trainings]
    trainings.clear()
    play(tmp_path, "tpe", seeds=(1,))  # another seed asks for other settings
    assert not {plan.schedule for plan in trainings}.intersection(asked)
    trainings.clear()
    play(tmp_path, "tpe", budgets=(3,))
    assert [plan.rounds for plan in trainings] == [4] * 14


def test_the_test_split_never_chooses(small, tmp_path, monkeypatch):
    """Other test labels change the test accuracy and not one other number."""
    names, accuracies = ("twice", "random", "pbt"), []
    play(tmp_path / "a", *names)
    shuffled = replace(small.test, labels=(small.test.labels + 1) % 7)
    other = replace(small, test=shuffled)
    monkeypatch.setattr(settings.data, "load", lambda *_: other)
    play(tmp_path / "b", *names)
    for name in names:
        a, b = (record_of(tmp_path / folder, name) for folder in "ab")
        accuracies.append((a.pop("test_accuracy"), b.pop("test_accuracy")))
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert any(first != second for first, second in accuracies)


def test_choosers_are_shown_no_test_figure():
    assert Trial._fields == ("validation_accuracy", "validation_cross_entropy")


def test_a_training_that_diverges_is_never_kept(small, tmp_path):
    config = config_of(**{"learning_rate.base": 1e30})
    play(tmp_path / "all", "twice", config=config)
    record = record_of(tmp_path / "all", "twice")
    assert record["validation_accuracy"] is None and record["test_accuracy"] >= 0
    assert DIVERGED.rank("accuracy") < Trial(0.0, 9.0).rank("accuracy")
    assert black_box.score_of(DIVERGED, "accuracy") == 0


@pytest.mark.parametrize("by", ["accuracy", "cross_entropy"])
def test_a_tuner_is_told_that_a_training_that_diverged_is_bad(by):
    bad = Trial(0.1, 20.0)
    assert black_box.score_of(DIVERGED, by) < black_box.score_of(bad, by)


def test_a_run_of_the_method_that_diverges_counts(small, tmp_path, monkeypatch):
    def until_then(*arguments, inner=rounds.run):
        for state, record in inner(*arguments):
            yield state, record
            if record["round"] == done:
                raise DivergedError(done + 1, state, arguments[0])

    monkeypatch.setattr(rounds, "run", until_then)
    done = 2
    play(tmp_path, "surrojax")
    record = record_of(tmp_path, "surrojax")
    result = json.loads((tmp_path / "surrojax/budget=1/seed=0/result.json").read_text())
    assert (result["stopped"], result["rounds"]) == ("diverged", 2)
    for name in ("test_accuracy", "validation_accuracy", "original_steps"):
        assert record[name] == result[name]
    # One without a single round has no network that it could keep.
    monkeypatch.setattr(
        rounds, "run", lambda method, data, state, *_: diverge_at_once(method, state)
    )
    [run] = play(tmp_path, "surrojax", seeds=(1,)).failed
    assert run.seed == 1 and not (tmp_path / f"{run}.json").exists()


def diverge_at_once(method, state):
    raise DivergedError(1, state, method)
    yield


def test_of_equal_accuracies_the_lower_loss_wins():
    trials = [Trial(0.5, 1.0), Trial(0.5, 0.9), Trial(0.4, 0.1)]
    for by, best in {"accuracy": trials[1], "cross_entropy": trials[2]}.items():
        assert max(trials, key=partial(Trial.rank, by=by)) == best


def test_pbt_copies_the_best_and_changes_its_setting():
    rng = np.random.default_rng(0)
    trials = [Trial(a, 1.0) for a in (0.3, 0.9, 0.1, 0.5, 0.6, 0.4)]
    sources = pbt.exploit(trials, rng, "accuracy")
    np.testing.assert_array_equal(sources, [0, 1, 1, 3, 4, 5])
    box = Box(("a", "b"), np.log([1e-8, 0.02]), np.log([1e-3, 0.8]), {}, {})
    points = np.log(np.tile([1e-5, 0.79], (6, 1)) * np.arange(1, 7)[:, None] ** 0.001)
    moved = pbt.explore(box, points, sources, rng)
    np.testing.assert_array_equal(np.delete(moved, 2, 0), np.delete(points, 2, 0))
    factors = np.exp(moved[2] - points[1])
    assert min(abs(factors[0] - 1.2), abs(factors[0] - 1 / 1.2)) < 1e-9
    assert moved[2, 1] <= np.log(0.8) and moved[2, 1] != points[1, 1]


def test_pbt_trains_a_population_side_by_side(small, tmp_path, monkeypatch):
    """After an exchange the worst has the best's weights, and its own setting."""
    seen, real = [], Trainer.advance

    def advance(self, fusions, settings, seed, round_, halve_every):
        seen.append((fusions, settings, round_, halve_every))
        return real(self, fusions, settings, seed, round_, halve_every)

    found, exploit = [], pbt.exploit

    def exploited(trials, rng, by):
        found.append(trials)
        return exploit(trials, rng, by)

    monkeypatch.setattr(Trainer, "advance", advance)
    last, real_validate = [], Trainer.validate

    def validate(self, fusions):
        last[:] = real_validate(self, fusions)
        return list(last)

    monkeypatch.setattr(Trainer, "validate", validate)
    monkeypatch.setattr(pbt, "exploit", exploited)
    options = replace(QUIET, pbt_every=2)
    play(tmp_path, "pbt", budgets=(1.5,), seeds=(2,), options=options)
    # 28 rounds of 7.12 runs of four, for four members.
    assert [round_ for _, _, round_, _ in seen] == list(range(7))
    assert {halve for *_, halve in seen} == {10 * 7 / 4}
    record = record_of(tmp_path, "pbt", budget=1.5, seed=2)
    assert record["original_steps"] == 4 * 7 * 5 and record["trainings"] == 4
    ends = [trial.validation_accuracy for trial in last]  # the first is not the best
    assert ends[0] < record["validation_accuracy"] == max(ends)
    assert len(found) == 3  # after two, four and six rounds
    ranks = [trial.rank("accuracy") for trial in found[0]]
    worst, best = ranks.index(min(ranks)), ranks.index(max(ranks))
    fusions, settings_, *_ = seen[2]
    kernel = np.asarray(fusions.original.params["Dense_0"]["kernel"])
    momentum = np.asarray(fusions.original.momentum["Dense_0"]["kernel"])
    np.testing.assert_array_equal(kernel[worst], kernel[best])
    np.testing.assert_array_equal(momentum[worst], momentum[best])
    assert settings_[worst] != settings_[best] == seen[1][1][best]
    assert len({tuple(map(float, k.ravel()[:3])) for k in kernel}) == 3


def test_hyperband_stays_in_its_budget_and_finishes_some(small, tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="Hyperband is Optuna's")
    lengths, ends, follow = [], [], hyperband._follow

    def followed(attempt, *arguments):
        found, rounds = follow(attempt, *arguments)
        lengths.append(rounds)
        if rounds == 4:
            ends.append(attempt.trainer.validate(found)[0].validation_accuracy)
        return found, rounds

    monkeypatch.setattr(hyperband, "_follow", followed)
    play(tmp_path, "hyperband", budgets=(4,))
    assert 4 in lengths and min(lengths) < 4
    assert sum(lengths) <= 4 * UNIT * 4 and sum(lengths) > 4 * UNIT * 4 - 4
    record = record_of(tmp_path, "hyperband", budget=4)
    assert record["original_steps"] == 5 * sum(lengths)
    assert record["trainings"] == len(lengths)
    assert min(ends) < record["validation_accuracy"] == max(ends)
    again = tmp_path / "again"
    play(again, "hyperband", budgets=(4,))
    assert record_of(again, "hyperband", budget=4)["hyper"] == record["hyper"]


def write_run(folder, seed, rows):
    """A finished run of the method, as far as a replay looks at it.

    Args:
      rows: step and p_z of each of its rounds.
    """
    run = Run("surrojax", 1, seed)
    Folder(folder).own(run).mkdir(parents=True)
    Folder(folder).write(run, {})
    head = ",".join(["round", "step", *NAMES])
    lines = [f"1,{step},0,0,0,0,{p_z},0,0,0" for step, p_z in rows]
    schedule = "\n".join([head, *lines]) + "\n"
    (Folder(folder).own(run) / "schedule.csv").write_text(schedule)


def test_a_replay_follows_the_schedule_of_the_run(small, tmp_path, trainings):
    write_run(tmp_path, 1, [(5, 0.1), (10, 0.2), (15, 0.3), (20, 0.4)])
    play(tmp_path, "replay", "replay_last", seeds=(1,))
    whole, last = trainings
    assert [
        plan.at(round_)[4] for plan in trainings for round_ in range(4)
    ] == pytest.approx([*(0.1, 0.2, 0.3, 0.4), *(0.4, 0.4, 0.4, 0.4)])
    assert whole.seed == last.seed == 501 and whole.rounds == last.rounds == 4
    assert record_of(tmp_path, "replay", seed=1)["hyper"]["p_z"] == pytest.approx(0.4)


def test_a_schedule_that_changes_is_not_its_last_setting(small, tmp_path):
    attempt = bench_of(tmp_path).attempt(Run("here", 1, 0))
    off = dict.fromkeys(NAMES, 0.0)
    strong = off | {"p_z": 0.7}
    both, only = attempt.follow([strong, off]), attempt.follow([off])
    assert both.trial != only.trial
    assert both.setting == only.setting == off


def test_a_replay_waits_for_its_run(small, tmp_path):
    done = play(tmp_path, "replay")
    [reason] = done.missing.values()
    assert "surrojax/budget=1/seed=0" in reason and not done.failed


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(10, 0.1), (20, 0.2)], [0.1, 0.1, 0.2, 0.2]),
        ([(2, 0.1), (4, 0.2), (15, 0.3)], [0.3, 0.3, 0.3]),
        ([(10, 0.1), (30, 0.2)], [0.1, 0.1, 0.2, 0.2, 0.2, 0.2]),
        ([(10, 0.1), (12, 0.2)], [0.1, 0.1, 0.2]),  # its last round is a whole one
    ],
)
def test_a_schedule_of_other_rounds_is_followed_by_step_to_its_end(
    small, tmp_path, trainings, rows, expected
):
    write_run(tmp_path, 0, rows)
    play(tmp_path, "replay", "replay_last")
    whole, last = trainings
    followed = [whole.at(round_)[4] for round_ in range(whole.rounds)]
    assert followed == pytest.approx(expected)
    assert last.rounds == whole.rounds and last.at(0)[4] == followed[-1]
    steps = record_of(tmp_path, "replay")["original_steps"]
    assert steps == 5 * len(expected)


@pytest.mark.parametrize(
    ("rows", "fault"), [([(5, "much")], ", row 1: "), ([], ": holds no rows")]
)
def test_a_damaged_schedule_is_named(small, tmp_path, rows, fault):
    write_run(tmp_path, 0, rows)
    done = play(tmp_path, "replay")
    assert f"schedule.csv{fault}" in next(iter(done.missing.values()))
    assert len(done.failed) == 1


def test_to_read_the_images_is_no_training_s_time(small, tmp_path, monkeypatch):
    place, clock, late = Setup.place, time.perf_counter, [0.0]

    def slow(self):
        late[0] += 1e4
        return place(self)

    monkeypatch.setattr(Setup, "place", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + late[0])
    records = play(tmp_path, "untuned", "pbt").records
    assert late[0] >= 1e4 and all(0 < r["seconds"] < 1e4 for r in records)


def test_finished_runs_are_left_alone(small, tmp_path, trainings):
    first = play(tmp_path, "untuned")
    again = play(tmp_path, "untuned")
    assert again.records == first.records and len(trainings) == 1


def test_a_folder_of_an_earlier_version_keeps_its_trainings(tmp_path):
    plan, fields = Run("a", 1, 0), {"batch_size": 4, "seed": 0}
    earlier = {"config": fields, "data": {}, "options": {}}
    Folder(tmp_path).claim(earlier).find(plan, lambda: {"found": 1})
    now = earlier | {"config": fields | {"shared_layers": 0}}
    kept = Folder(tmp_path).claim(now).find(plan, lambda: {"found": 2})
    assert kept["found"] == 1
    with pytest.raises(InputError, match="shared_layers"):
        Folder(tmp_path).claim(earlier | {"config": fields | {"shared_layers": 1}})


def test_a_run_that_another_process_is_at_is_skipped(small, tmp_path, trainings):
    folder = Folder(tmp_path)
    with folder.lock(Run("untuned", 1, 0)) as free:
        assert free
        done = play(tmp_path, "untuned", "dropout")
    assert done.missing == {Run("untuned", 1, 0): "another process is at it"}
    assert [record["method"] for record in done.records] == ["dropout"]
    assert not play(tmp_path, "untuned", "dropout").missing


def test_a_run_that_fails_stops_no_other(small, tmp_path, monkeypatch):
    def fail(attempt):
        raise InputError("broken")

    broken = methods.METHODS | {"untuned": methods.Entry(fail, "fixed", 1)}
    monkeypatch.setattr(methods, "METHODS", broken)
    done = play(tmp_path, "untuned", "dropout")
    assert done.failed == [Run("untuned", 1, 0)] and len(done.records) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_iterations": 25}, "max_iterations .20 there, 25 here."),
        ({"momentum": 0.8}, "momentum .0.9 there, 0.8 here."),
        ({"tune": ("p_z",)}, "tune "),
    ],
)
def test_a_folder_of_another_config_is_refused(small, tmp_path, changes, field):
    play(tmp_path, "untuned")
    with pytest.raises(InputError, match=f"another configuration.*{field}"):
        play(tmp_path, "untuned", config=config_of(**changes))
    with pytest.raises(InputError, match="pbt_every .5 there, 6 here."):
        play(tmp_path, "untuned", options=replace(QUIET, pbt_every=6))
    play(tmp_path, "untuned", config=config_of(seed=9))  # --seeds has the seeds


def test_a_folder_of_a_run_is_refused(small, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="holds a run; choose another --workdir"):
        play(tmp_path, "untuned")


def test_budgets_of_methods_with_a_fixed_cost(small, tmp_path):
    asked = Asked(("untuned", "twice", "surrojax", "grid_paper"), budgets=(1, 10))
    bench = Bench(config_of(), Folder(tmp_path), asked)
    assert [(run.method, run.budget) for run in bench.runs()] == [
        ("untuned", 1),
        ("twice", 1),
        ("surrojax", 1),
        ("twice", 10),
        ("grid_paper", 10),
    ]


def test_nothing_to_search(small, tmp_path):
    names = ("random", "pbt", "tpe", "hyperband")
    done = play(tmp_path, *names, config=config_of(tune=()))
    assert len(done.failed) == 4
    assert all("config.tune: ()" in reason for reason in done.missing.values())


def test_a_config_with_options_of_the_search(small, tmp_path):
    """They concern the method alone, and what is trained without it ignores them."""
    config = at(config_of(), {"double_every": 1, "search.start.p_z": 0.4})
    play(tmp_path, "untuned", config=config)
    assert record_of(tmp_path, "untuned")["original_steps"] == 20


def test_streamed_images_are_refused(small, tmp_path):
    config = config_of(**{"dataset.stream": "always"})
    done = play(tmp_path, "untuned", config=config)
    assert "--config.dataset.stream=never" in next(iter(done.missing.values()))


@pytest.mark.parametrize("name", EVERY)
def test_every_method_runs(small, tmp_path, name):
    if name in black_box.TUNERS or name == "hyperband":
        package = name.split("_")[0] if "_" in name else "optuna"
        pytest.importorskip(package, reason="of the extra `baselines`")
    [record] = play(tmp_path, name).records
    assert 0 <= record["test_accuracy"] <= 1 and set(record["hyper"]) == set(NAMES)
    assert 0 < record["cost_in_runs"] <= UNIT + 1e-6


@pytest.fixture
def flat(small, monkeypatch):
    """A network that has z and V alone, as ResNet20."""
    pair = Pair(Flat(None), Flat(None), shape=(6, 6, 1))
    monkeypatch.setattr(settings, "make_pair", lambda config, classes: pair)


def test_a_network_without_x_drops_z_alone(flat, tmp_path, trainings):
    play(tmp_path, "dropout", "grid")
    assert trainings[0].schedule == ((0.0, 0.0, 0.5, 0.0),)
    values = [plan.at(0) for plan in trainings[1:]]
    assert len(values) == 8 and len({value[2] for value in values}) == 8
    assert {value[3] for value in values} == {0.0}


def test_weights_to_begin_with_are_those_of_the_run(small, tmp_path):
    bench = bench_of(tmp_path / "first")
    weights = bench.attempt(Run("here", 1, 0)).trainer.begin(0, 1).original.params
    save(tmp_path / "a.safetensors", jax.tree.map(lambda a: 2 * a[0], weights))
    save(tmp_path / "b.safetensors", jax.tree.map(lambda a: 3 * a[0], weights))
    begun = bench_of(tmp_path / "second", init_from=str(tmp_path / "a.safetensors"))
    mine = begun.attempt(Run("here", 1, 7)).trainer.begin(7, 1).original.params
    kernel = np.asarray(mine["Head_0"]["V"])
    np.testing.assert_array_equal(kernel, 2 * np.asarray(weights["Head_0"]["V"]))
    with pytest.raises(InputError, match="another configuration.*data.init_from"):
        bench_of(tmp_path / "second", init_from=str(tmp_path / "b.safetensors"))


def test_the_grid_of_the_paper(flat, tmp_path, trainings):
    play(tmp_path, "grid_paper", budgets=(10,))
    found = {plan.at(0) for plan in trainings}
    assert len(found) == 49
    for _, _, p_z, p_V in found:
        assert p_z == p_V and p_z in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    coefficients = sorted({(z, V) for z, V, _, _ in found})
    assert coefficients == [(10.0**n, 10.0**n) for n in range(-8, -1)]


def test_the_grid_of_the_paper_is_for_four_hyper_parameters(small, tmp_path):
    done = play(tmp_path, "grid_paper", budgets=(10,))
    assert "ResNet20 alone" in next(iter(done.missing.values()))


class Flat(nn.Module):
    """One FC layer, as ResNet20's."""

    hidden: int | None

    @nn.compact
    def __call__(self, images, ratio, train):
        return Head(7, hidden=self.hidden)(
            images.reshape(len(images), -1), ratio, train
        )
