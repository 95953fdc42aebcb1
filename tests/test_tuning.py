"""`surrojax.tune`: a user's network and arrays in one call."""

import json
import os
import pty
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reports import Page, assert_sound

import surrojax
from configs import (
    fer2013_lenet,
    fer2013_lenet_improved,
    fer2013_lenet_improved_wide,
)
from surrojax import report
from surrojax.algorithm import DivergedError, initial_state
from surrojax.data import Split
from surrojax.errors import InputError
from surrojax.own.data import split_of
from surrojax.own.hints import hints
from surrojax.own.identity import name_of, programs_of
from surrojax.own.outputs import check_outputs
from surrojax.own.settings import Settings
from surrojax.run import rounds
from surrojax.settings import make_method
from surrojax.sgd import Arrays, Targets
from surrojax.stage2 import copies, train_candidate, train_population

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 240)
TABLE = (RNG.normal(size=(240, 6)) + 2 * np.eye(6)[LABELS]).astype(np.float32)
TOKENS = np.where(
    RNG.random((240, 9)) < 0.5, RNG.integers(0, 18, (240, 9)), 6 * LABELS[:, None]
)
SMALL = {
    "max_iterations": 60,
    "iterations_per_round": 20,
    "halve_every": 100.0,
    "batch_size": 16,
    "learning_rate": 0.05,
    "population": 3,
    "quiet": True,
}


PLAIN = {k: v for k, v in SMALL.items() if k != "quiet"}


class Table(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(8)(nn.tanh(nn.Dense(6)(x)))))


class Words(nn.Module):
    @nn.compact
    def __call__(self, tokens, deterministic=True):
        x = nn.relu(nn.Dense(8)(nn.Embed(18, 4)(tokens))).mean(axis=1)
        return nn.Dense(3)(nn.Dropout(0.1, deterministic=deterministic)(x))


def splits(inputs, test=False):
    cuts = (slice(0, 120), slice(120, 180), slice(180, 240))[: 3 if test else 2]
    return [(inputs[cut], LABELS[cut]) for cut in cuts]


def same(a, b, **tolerance):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, **tolerance),
        a.variables,
        b.variables,
    )


@pytest.fixture(scope="module")
def run():
    return surrojax.tune(Table(), *splits(TABLE, test=True), **SMALL)


def test_the_result_is_the_user_s_own_network(run):
    inputs, labels = splits(TABLE, test=True)[2]
    logits = np.asarray(Table().apply(run.variables, inputs))
    np.testing.assert_allclose(
        run.predict(inputs), jax.nn.softmax(logits), rtol=1e-4, atol=1e-5
    )
    right = (np.argmax(logits, axis=-1) == labels).mean()
    assert run.test_accuracy == pytest.approx(right, abs=1e-6)
    losses = -np.asarray(jax.nn.log_softmax(logits))[np.arange(len(labels)), labels]
    found = run.outcome["test_cross_entropy"]
    assert found == pytest.approx(losses.mean(), rel=1e-4)


def test_tables_are_the_records(run):
    history = run.history
    assert list(history.index) == [1, 2, 3]
    assert list(history["step"]) == [20, 40, 60]
    last = run.records[-1]
    assert history["p_x"].iloc[-1] == last["hyper"]["p_x"] == run.setting["p_x"]
    best = max(c["score"] for c in last["candidates"])
    assert history["best_score"].iloc[-1] == best
    # Three candidates, and the leader once more.
    assert list(run.candidates["round"]) == [1] * 4 + [2] * 4 + [3] * 4
    assert run.best_round["original"]["validation_accuracy"] == max(
        history["validation_accuracy"]
    )
    frame = run.schedule.frame
    assert list(frame["lambda_V"]) == [r["hyper"]["lambda_V"] for r in run.records]


def test_test_data_choose_nothing(run):
    train, validation = splits(TABLE)
    without = surrojax.tune(Table(), train, validation, **SMALL)
    assert without.schedule.rows() == run.schedule.rows()
    assert without.test_accuracy is None and "test" not in without.records[0]
    same(without, run, rtol=1e-5, atol=1e-6)


def test_a_schedule_is_replayed(run):
    small = SMALL | {"population": 6}  # of no effect: nothing is searched
    again = surrojax.tune(Table(), *splits(TABLE), schedule=run.schedule, **small)
    assert again.schedule.rows() == run.schedule.rows()
    assert all("candidates" not in record for record in again.records)
    same(again, run, rtol=1e-3, atol=1e-5)
    other = surrojax.tune(
        Table(), *splits(TABLE), schedule=run.schedule, seed=1, **SMALL
    )
    with pytest.raises(AssertionError):
        same(other, run, rtol=1e-3, atol=1e-5)


def test_a_folder_is_gone_on_with_and_extended(tmp_path, run):
    data = splits(TABLE, test=True)
    folder = tmp_path / "own"
    short = surrojax.tune(Table(), *data, workdir=folder, **SMALL | {"early_stop": 1})
    stopped = len(short.records)
    assert json.loads((folder / "result.json").read_text())["stopped"] in (
        "early_stop",
        "max_iterations",
    )
    whole = surrojax.tune(Table(), *data, workdir=folder, **SMALL)
    assert len(whole.records) == 3 >= stopped
    assert whole.schedule.rows() == run.schedule.rows()
    same(whole, run, rtol=1e-5, atol=1e-6)
    # The best round's network is kept over the stop.
    inputs, labels = data[1]
    right = (whole.best.probabilities(inputs).argmax(axis=-1) == labels).mean()
    wanted = whole.best_round["original"]["validation_accuracy"]
    assert right == pytest.approx(wanted, abs=1e-6)
    # A finished run is not run again, and is there without its network.
    finished = surrojax.tune(Table(), *data, workdir=folder, **SMALL)
    same(finished, whole, rtol=0, atol=0)
    loaded = surrojax.load(folder)
    assert loaded.test_accuracy == whole.test_accuracy
    assert surrojax.read_schedule(folder).rows() == whole.schedule.rows()
    same(loaded, whole, rtol=0, atol=0)
    with pytest.raises(InputError, match="give surrojax.load its module"):
        loaded.predict(inputs)
    with pytest.raises(InputError, match="give surrojax.load its module"):
        _ = loaded.best
    again = surrojax.load(folder, network=Table())
    same(again, whole, rtol=0, atol=0)
    np.testing.assert_array_equal(again.predict(inputs), whole.predict(inputs))
    np.testing.assert_array_equal(
        again.best.probabilities(inputs), whole.best.probabilities(inputs)
    )
    with pytest.raises(InputError, match="its network is Table.*Normed.* is given"):
        surrojax.load(folder, network=Normed())
    with pytest.raises(InputError, match="its preprocess is surrojax.*standard"):
        surrojax.load(folder, network=Table(), preprocess=jnp.tanh)
    with pytest.raises(InputError, match="another configuration.*kappa"):
        surrojax.tune(Table(), *data, workdir=folder, kappa=1.0, **SMALL)
    changed = [(data[0][0] + 1, data[0][1]), *data[1:]]
    with pytest.raises(InputError, match="another configuration.*fingerprint"):
        surrojax.tune(Table(), *changed, workdir=folder, **SMALL)


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(5)(x)))
        return nn.Dense(3)(x)


def test_a_candidate_has_its_own_statistics_above_z():
    """On a shared trunk, too: those of the network are of another setting."""
    own = surrojax.own_method(Normed(), TABLE, surrogate="shared", **PLAIN)
    fusion = initial_state(own, jax.random.key(0)).fusion
    held, nets = copies(own, fusion.original, 3)
    assert set(held["batch_stats"]) == {"trunk"}
    train = Arrays(jnp.asarray(TABLE), Targets(jnp.asarray(LABELS, jnp.int32)))
    vectors = own.space.latin_hypercube(jax.random.key(1), 3)
    given = (train, jax.random.key(2), jnp.arange(5))
    nets = train_population(own, held, nets, vectors, *given)
    means = np.asarray(nets.stats["batch_stats"]["head"]["BatchNorm_1"]["mean"])
    assert np.abs(means).max() > 0 and np.abs(means[0] - means[1]).max() > 1e-3
    second = jax.tree.map(lambda a: a[1], copies(own, fusion.original, 3).nets)
    hyper = own.space.to_hyper(vectors[1])
    again = train_candidate(own, held, second, hyper, *given)
    np.testing.assert_allclose(
        again.stats["batch_stats"]["head"]["BatchNorm_1"]["mean"], means[1], rtol=1e-4
    )


def test_rounds_that_a_schedule_does_not_fit_are_refused(run):
    small = SMALL | {"iterations_per_round": 15}
    changing = surrojax.Schedule(("p_x",), [20, 60], [[0.1], [0.2]])
    with pytest.raises(InputError, match="change after step 20, within a round"):
        surrojax.tune(Table(), *splits(TABLE), schedule=changing, **small)
    with pytest.raises(InputError, match="leave out tune and fixed"):
        surrojax.tune(
            Table(), *splits(TABLE), schedule=run.schedule, **SMALL, tune=("p_z",)
        )


def test_the_same_call_with_more_steps_extends_the_run(tmp_path):
    small = {k: v for k, v in SMALL.items() if k != "iterations_per_round"}
    small |= {"tune": (), "halve_every": None}
    data = splits(TABLE)
    surrojax.tune(Table(), *data, workdir=tmp_path, **small | {"max_iterations": 20})
    longer = surrojax.tune(Table(), *data, workdir=tmp_path, **small)
    # Rounds of a fifth of 20 steps, and a rate that is halved every quarter of them.
    assert [r["step"] for r in longer.records] == list(range(4, 61, 4))
    rates = [r["learning_rate"] for r in longer.records]
    halved = rates[0] / 2 ** (8 / 5)  # after 8 more steps
    assert rates[2] == pytest.approx(halved, rel=1e-3)
    with pytest.raises(InputError, match="iterations_per_round .4 there, 6 here"):
        surrojax.tune(Table(), *data, workdir=tmp_path, iterations_per_round=6, **small)


def test_a_round_without_its_checkpoint_is_not_loaded(tmp_path):
    small = SMALL | {"max_iterations": 40, "tune": ()}
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **small)
    (tmp_path / "result.json").unlink()
    metrics = tmp_path / "metrics.jsonl"
    last = metrics.read_text().splitlines()[-1]
    more = json.dumps(json.loads(last) | {"round": 3, "step": 60})
    metrics.write_text(metrics.read_text() + more + "\n")
    # Another process may be at the third: what it is writing is left alone.
    begun = tmp_path / "checkpoints" / "3.orbax-checkpoint-tmp-1"
    begun.mkdir()
    assert [r["round"] for r in surrojax.load(tmp_path).records] == [1, 2]
    assert begun.exists()
    # Records without checkpoints are records.
    shutil.rmtree(tmp_path / "checkpoints")
    assert len(surrojax.load(tmp_path).records) == 3
    assert not (tmp_path / "checkpoints").exists()


def test_a_length_that_the_run_there_has_is_named(tmp_path):
    small = {k: v for k, v in SMALL.items() if k != "iterations_per_round"}
    small |= {"tune": (), "max_iterations": 20}
    data = splits(TABLE)
    surrojax.tune(Table(), *data, workdir=tmp_path, **small)
    with pytest.raises(InputError, match="iterations_per_round = 4, which its run has"):
        small["max_iterations"] = 3
        surrojax.tune(Table(), *data, workdir=tmp_path, **small)


def test_a_replay_in_a_folder_is_extended_too(tmp_path, run):
    small = {k: v for k, v in SMALL.items() if k != "halve_every"}
    small |= {"schedule": run.schedule, "workdir": tmp_path}
    data = splits(TABLE)
    surrojax.tune(Table(), *data, **small | {"max_iterations": 40})
    longer = surrojax.tune(Table(), *data, **small)
    assert [r["step"] for r in longer.records] == [20, 40, 60]


def test_a_run_that_is_being_extended_has_no_last_network_yet(tmp_path):
    small = SMALL | {"max_iterations": 40, "tune": ()}
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **small)
    before = (tmp_path / "result.json").read_text()
    small["max_iterations"] = 60
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **small)
    # As an extension leaves it that is stopped before its end.
    (tmp_path / "result.json").write_text(before)
    loaded = surrojax.load(tmp_path, network=Table())
    assert len(loaded.records) == 3 and loaded.outcome is None
    with pytest.raises(InputError, match="has not finished, .*take `best`"):
        loaded.predict(TABLE)
    assert loaded.best.probabilities(TABLE).shape == (240, 3)


def test_lambdas_are_named_by_all_that_they_do():
    def scaled(by):
        return lambda x: by * x

    names = [
        *(name_of(scaled(2)), name_of(scaled(3))),
        *(name_of(lambda x: np.sin(x)), name_of(lambda x: np.cos(x))),
        *(name_of(lambda x, by=2: by * x), name_of(lambda x, by=3: by * x)),
    ]
    assert len(set(names)) == len(names)
    assert name_of(scaled(2)) == names[0]


def test_lambdas_inside_are_told_by_what_they_do():
    """Wherever they stand in a file."""
    source = "f = lambda rate: (rate, lambda params: params > {})"
    names = []
    for text in (source.format(1), "\n\n" + source.format(1), source.format(0)):
        space = {"__name__": "here"}
        exec(compile(text, "file.py", "exec"), space)
        names.append(name_of(space["f"]))
    assert names[0] == names[1] != names[2]


def test_lambdas_are_told_apart_and_damaged_records_are_said(tmp_path):
    small = SMALL | {"max_iterations": 20, "tune": (), "workdir": tmp_path}
    surrojax.tune(Table(), *splits(TABLE), preprocess=lambda x: 2 * x, **small)
    again = surrojax.load(tmp_path, network=Table(), preprocess=lambda x: 2 * x)
    assert again.predict(TABLE).shape == (240, 3)
    for given, message in (
        (
            {"network": Table(), "preprocess": lambda x: -x},
            "its preprocess is .*lamb",
        ),
        ({"network": Ends(nn.relu)}, "its network is Table"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            surrojax.load(tmp_path, **given)
        assert "\n" not in str(caught.value)
    file = tmp_path / "config.json"
    saved = json.loads(file.read_text())
    lacking = {name: saved[name] for name in saved.keys() - {"inputs"}}
    for damaged in (lacking, lacking | {"inputs": 3}, lacking | {"inputs": None}):
        file.write_text(json.dumps(damaged))
        with pytest.raises(InputError, match="config.json: is no run's config.json"):
            surrojax.load(tmp_path, network=Table())


def test_a_finished_run_says_so(tmp_path, capsys):
    small = SMALL | {"max_iterations": 20, "tune": (), "quiet": False}
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **small)
    assert "Table: 120 for train" in capsys.readouterr().out
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **small)
    before = "the run has finished before, in 1 rounds, 20 steps"
    assert capsys.readouterr().out == f"{before}\n"
    fewer = small | {"max_iterations": 10, "iterations_per_round": 20}
    with pytest.raises(InputError, match="10 is less than one round"):
        surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **fewer)
    more = small | {"max_iterations": 40, "iterations_per_round": 20}
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **more)
    assert "goes on after round 1\nround 2/2" in capsys.readouterr().out
    fewer |= {"max_iterations": 20}
    surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **fewer)
    assert capsys.readouterr().out == (
        "the run has finished before, in 2 rounds, 40 steps, where 20 are asked for "
        "now\n"
    )


def test_a_network_with_statistics_is_loaded(tmp_path):
    small = SMALL | {"max_iterations": 20, "tune": ()}
    given = surrojax.tune(Normed(), *splits(TABLE), workdir=tmp_path, **small)
    loaded = surrojax.load(tmp_path, network=Normed())
    same(loaded, given, rtol=0, atol=0)
    np.testing.assert_array_equal(loaded.predict(TABLE), given.predict(TABLE))


class Dotted(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(6, name="block.1")(x))
        return nn.Dense(3, name="head.2")(nn.relu(nn.Dense(8, name="head.1")(x)))


def test_names_of_layers_may_have_dots(tmp_path):
    """A named bug: their weights were saved as those of other layers."""
    small = SMALL | {"max_iterations": 20}
    surrojax.tune(Dotted(), *splits(TABLE), workdir=tmp_path, **small)
    small |= {"max_iterations": 40}  # goes on from its checkpoint
    given = surrojax.tune(Dotted(), *splits(TABLE), workdir=tmp_path, **small)
    loaded = surrojax.load(tmp_path, network=Dotted())
    same(loaded, given, rtol=0, atol=0)
    np.testing.assert_array_equal(loaded.predict(TABLE), given.predict(TABLE))


def test_each_round_is_told_to_who_asks(tmp_path):
    told = []

    def stop_after_two(record):
        told.append(record)
        if len(told) == 2:
            raise RuntimeError("enough")

    call = partial(surrojax.tune, Table(), *splits(TABLE), workdir=tmp_path, **SMALL)
    with pytest.raises(RuntimeError, match="enough"):
        call(on_round=stop_after_two)
    result = call(on_round=lambda record: told.append(record) or record.clear())
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert result.records == list(map(json.loads, lines))
    assert [record["round"] for record in told[:2]] == [1, 2] and told[2:] == [{}]
    assert told[:2] == result.records[:2]
    for wrong, message in (
        (7, "7 is no function"),
        (lambda: 0, "does not take a record"),
    ):
        with pytest.raises(InputError, match=f"on_round: .*{message}"):
            call(on_round=wrong)


def test_a_folder_of_a_run_of_launch_is_refused(tmp_path):
    config = {"dataset": {"name": "faces"}, "seed": 0}
    (tmp_path / "config.json").write_text(json.dumps({"config": config, "data": {}}))
    with pytest.raises(InputError, match="holds a run of launch.py; choose another"):
        surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


def test_memory_that_does_not_suffice_is_one_line(monkeypatch):
    def exhausted(*_):
        raise jax.errors.JaxRuntimeError(
            "RESOURCE_EXHAUSTED: Out of memory\nallocating."
        )
        yield

    monkeypatch.setattr(rounds, "run", exhausted)
    told = "memory: RESOURCE_EXHAUSTED: Out of memory allocating; give a smaller batch_"
    with pytest.raises(InputError, match=told):
        surrojax.tune(Table(), *splits(TABLE), **SMALL)


def test_a_run_has_keys_of_one_kind_whatever_is_the_default(tmp_path):
    small = SMALL | {"max_iterations": 40, "workdir": tmp_path}
    with jax.default_prng_impl("rbg"):
        surrojax.tune(Table(), *splits(TABLE), **small)
    found = surrojax.tune(Table(), *splits(TABLE), **small | {"max_iterations": 60})
    expected = surrojax.tune(Table(), *splits(TABLE), **SMALL)
    same(found, expected, rtol=0, atol=0)


def test_a_run_that_diverges_keeps_what_it_has(tmp_path, monkeypatch):
    def until_then(*arguments, inner=rounds.run):
        state, record = next(inner(*arguments))
        yield state, record
        raise DivergedError(2, state, arguments[0])

    monkeypatch.setattr(rounds, "run", until_then)
    small = SMALL | {"tune": ()}
    result = surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path, **small)
    assert len(result.records) == 1 and result.outcome["stopped"] == "diverged"
    assert result.predict(TABLE[:2]).shape == (2, 3)
    with pytest.raises(InputError, match="predict: inputs of shape .5,."):
        result.predict(TABLE[:2, :5])
    with pytest.raises(InputError, match="predict: inputs of .* type uint8"):
        result.predict(TABLE[:2].astype(np.uint8))


@pytest.mark.parametrize("surrogate", ["fitted", "shared", nn.Dense(8)])
def test_a_text_classifier(surrogate):
    data = splits(TOKENS)
    if isinstance(surrogate, nn.Module):
        inputs, network = TABLE, Table()
        data, surrogate = splits(inputs), nn.Dense(6)
    else:
        network = Words()
    small = SMALL | {"max_iterations": 40, "tune": ("coefficients", "ratios")}
    result = surrojax.tune(network, *data, surrogate=surrogate, **small)
    fitted = "surrogate" in result.records[0]
    assert fitted == (surrogate != "shared")
    scores = result.candidates["validation_cross_entropy"]
    assert np.isfinite(scores).all() and len(set(scores)) > 3


class NormalisedBelow(nn.Module):
    """Only what lies below z has statistics."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(6)(x))
        return nn.Dense(3)(nn.relu(nn.Dense(8)(nn.relu(x))))


@pytest.mark.parametrize("surrogate", ["fitted", nn.Dense(6)])
def test_a_surrogate_is_fitted_to_a_network_normalised_below_z(surrogate):
    small = SMALL | {"max_iterations": 20, "tune": ("ratios",)}
    network, data = NormalisedBelow(), splits(TABLE)
    result = surrojax.tune(network, *data, surrogate=surrogate, **small)
    assert result.records[0]["surrogate"]["validation_accuracy"] > 0
    mean = result.variables["batch_stats"]["BatchNorm_0"]["mean"]
    assert np.abs(mean).max() > 0


FORM = (
    ("surrogate", "objective", "selection", "stage1_settings", "stage2_share")
    + ("reevaluate_incumbent", "common_random_numbers", "kappa", "norm", "population")
    + ("momentum", "double_every", "eta", "first_setting", "undo_beyond")
)


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (fer2013_lenet_improved, surrojax.FER2013),
        (fer2013_lenet_improved_wide, {}),
        (fer2013_lenet, surrojax.PAPER),
    ],
)
def test_the_forms_are_those_of_the_configs(config, given):
    there = make_method(config.get_config(), 3)
    here = surrojax.own_method(Table(), TABLE, **given)
    for name in FORM:
        assert getattr(here, name) == getattr(there, name), name
    for name in ("tune", "center", "width", "lower", "upper"):
        np.testing.assert_array_equal(
            getattr(here.space, name), getattr(there.space, name)
        )
    # What is proposed for two equal populations: constants and noise are the same.
    population = here.space.latin_hypercube(jax.random.key(0), 6)
    asked = [
        method.search.ask(jax.random.key(1), method.search.init(population))[0]
        for method in (here, there)
    ]
    np.testing.assert_array_equal(*asked)


def test_a_search_begins_within_its_bounds():
    for bounds in ((0.3, 0.6), (0.81, 0.9), (0.01, 0.05), np.array([0.3, 0.6])):
        space = surrojax.own_method(Table(), TABLE, bounds={"ratio": bounds}).space
        drawn = np.exp(space.latin_hypercube(jax.random.key(0), 50))
        assert (drawn > 0.999 * bounds[0]).all() and (drawn < 1.001 * bounds[1]).all()
        assert len(np.unique(drawn[:, 0])) == 50  # none is cut off at a bound


@pytest.mark.parametrize("given", [{"center": {"ratio": 0.5}}, {"start": {"p_z": 0.5}}])
def test_a_search_begins_around_what_is_said(given):
    space = surrojax.own_method(Table(), TABLE, **given).space
    drawn = np.exp(space.latin_hypercube(jax.random.key(0), 50))[:, 0]
    assert (drawn > 0.3).all() and (drawn < 0.83).all()


def test_a_schedule_is_followed_in_any_form(run):
    for form in (surrojax.PAPER, surrojax.FER2013):
        again = surrojax.tune(
            Table(), *splits(TABLE), schedule=run.schedule, **SMALL | form
        )
        assert again.setting == run.setting


def test_what_a_shared_trunk_cannot_tell_is_left_out():
    small = SMALL | {"max_iterations": 20, "tune": "all"}
    result = surrojax.tune(Table(), *splits(TABLE), **small)
    assert set(result.candidates) >= {"p_z", "lambda_V"}
    assert result.candidates["lambda_z"].eq(0).all()
    assert len(result.candidates) == 4  # the leader is scored again


def test_inputs_are_changed_and_prepared():
    pixels = np.clip(TABLE * 20 + 100, 0, 255).astype(np.uint8)
    seen = []

    def augment(key, inputs):
        seen.append(inputs.dtype)
        return inputs + jax.random.randint(key, inputs.shape, 0, 2).astype(jnp.uint8)

    small = SMALL | {"max_iterations": 20, "tune": ()}
    result = surrojax.tune(Table(), *splits(pixels), augment=augment, **small)
    assert set(seen) == {np.dtype(np.uint8)}
    scaled = (pixels[:5].astype(np.float32) - 127.5) / 128
    expected = jax.nn.softmax(Table().apply(result.variables, scaled))
    np.testing.assert_allclose(result.predict(pixels[:5]), expected, atol=1e-5)


def test_what_comes_to_the_network_counts():
    """Inputs may have other shapes and types between `augment` and `preprocess`."""
    pixels = np.clip(TABLE * 20 + 100, 0, 255).astype(np.uint8)
    small = SMALL | {"max_iterations": 20, "tune": ()}

    def noisy(key, inputs):
        return inputs[:, :5] + jax.random.normal(key, (len(inputs), 5))

    def scaled(inputs):
        return inputs[:, :5].astype(jnp.float32) / 255

    given = {"augment": jax.jit(noisy), "preprocess": scaled}
    result = surrojax.tune(Table(), *splits(pixels), **given, **small)
    assert result.variables["params"]["Dense_2"]["kernel"].shape == (5, 6)
    with pytest.raises(InputError, match="as float32 of .*, others as uint8 of"):
        surrojax.tune(Table(), *splits(pixels), augment=lambda key, x: x * 1.0, **small)


def test_weights_to_begin_with():
    variables = Table().init(jax.random.key(7), jnp.asarray(TABLE[:1]))
    small = SMALL | {"max_iterations": 20, "tune": (), "learning_rate": 0.0}
    result = surrojax.tune(Table(), *splits(TABLE), variables=variables, **small)
    jax.tree.map(np.testing.assert_array_equal, result.variables, dict(variables))
    broken = jax.tree.map(lambda leaf: leaf * np.nan, variables)
    with pytest.raises(InputError, match="variables: .*'Dense_0'.* holds NaN"):
        surrojax.tune(Table(), *splits(TABLE), variables=broken, **small)
    wrong = {"params": {"Dense_0": variables["params"]["Dense_0"]}}
    with pytest.raises(InputError, match="variables: .*'Dense_1'.* is missing; give"):
        surrojax.tune(Table(), *splits(TABLE), variables=wrong, **small)


def changed(values, row, value):
    values = values.copy()
    values[row] = value
    return values


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": (TABLE, LABELS[:9])}, r"train: inputs of shape \(240, 6\)"),
        ({"train": (changed(TABLE, 4, np.nan), LABELS)}, "train, row 4: holds NaN"),
        (
            {"train": (TABLE, LABELS + 1)},
            "train, row .*: label 3 is out of range.*count from 1: give labels - 1",
        ),
        ({"train": (TABLE, LABELS + 0.5)}, "train: labels of type float64"),
        ({"train": (TABLE, LABELS.astype(str))}, "labels of type <U21.*np.unique"),
        (
            {"train": {"x": TABLE, "y": LABELS}},
            "train: is of dict; give a pair of",
        ),
        ({"lr": 0.1}, r"lr: is no setting .did you mean 'learning_rate'"),
        ({"epochs": 3}, r"epochs: is no setting .did you mean 'max_iterations'"),
        ({"learning_rate": "0.1"}, "learning_rate: '0.1' is no number"),
        ({"train": (TABLE, np.eye(3)[LABELS])}, r"\(240, 3\); .*labels.argmax\(1\)"),
        ({"train": (TABLE, LABELS[:, None])}, r"\(240, 1\); .*give labels\[:, 0\]"),
        ({"layers": ("Dense_9",)}, "layers: 'Dense_9' is none of this network's"),
        ({"workdirr": "here"}, "workdirr: .*did you mean 'workdir'"),
        ({"train": (TABLE[:0], LABELS[:0])}, "train: holds no examples"),
        ({"train": 3}, "train: is of int; give a pair of arrays"),
        ({"validation": (TABLE[:, :5], LABELS)}, r"validation: inputs of shape \(5,\)"),
        ({"validation": (TABLE, LABELS - 1)}, "validation, row .*label -1"),
        ({"validation": (TABLE.astype(np.uint8), LABELS)}, "validation: .*uint8"),
        ({"train": (TABLE.astype(float) * 1e39, LABELS)}, "train, row 0: .*infinity"),
        ({"train": (TABLE, LABELS + 2**32)}, "train, row 0: label .* out of range"),
        ({"batch_size": 8.0}, "batch_size: 8.0 is out of range; whole numbers"),
        ({"fixed": 0.5}, "fixed: 0.5 is no dict"),
        ({"bounds": {"ratio": 0.5}}, "^bounds.ratio: 0.5 is no pair"),
        ({"start": {"p_z": 0.99}}, "^start.p_z: 0.99 lies outside the bounds"),
        ({"center": {"ratio": "a"}}, "center: ratio: 'a' is no finite number"),
        ({"surrogate": nn.Dense}, "surrogate: .*is no Flax module"),
        ({"max_iteration": 3}, "no setting .did you mean 'max_iterations'"),
        ({"tune": ("p_zz",)}, "'p_zz' is none of this network's"),
        ({"search": "psoo"}, "search: 'psoo' is unknown"),
        ({"tune": None}, "tune: None is no names .*'all' is all of them"),
        ({"tune": 3}, "tune: 3 is no names"),
        ({"layers": 3}, "layers: 3 must be the paths"),
        ({"layers": ([],)}, "layers: .* must be the paths"),
        ({"momentum": None}, "momentum: None is no number"),
        ({"constants": {"q": 1.0}}, "constants: 'q' is unknown; choose from w, c1, c2"),
        ({"constants": {"w": float("nan")}}, "constants: w: nan is no finite number"),
        ({"eta": {"z": -1}}, "eta: z: -1 is below 0"),
        ({"noise": {"ratio": -1.0}}, "noise: ratio: -1.0 is below 0"),
        ({"start": {"lambda_V": -1}}, "start: lambda_V: -1 is below 0"),
        (
            {"first_setting": "centre"},
            "first_setting: 'centre' is unknown .did you mean 'center'",
        ),
        ({"reevaluate_incumbent": "no"}, "reevaluate_incumbent: 'no' must be True or"),
        ({"noise": {"ratio": (1, 2)}}, r"noise: ratio: \(1, 2\) is no finite number"),
        ({"eta": {"y": 1.0}}, "eta: 'y' is unknown"),
        ({"kappa": float("nan")}, "kappa: nan is out of range"),
        ({"surrogate": "other"}, "surrogate: 'other' is unknown"),
        ({"classes": ("a", "b")}, "classes: 2 names for a network of 3"),
        ({"classes": ("a", "b", "a")}, "classes: a name is there twice"),
        ({"seed": 1.5}, "seed = 1.5 must be a whole number"),
        ({"seed": 2**32}, "seed = 4294967296 must be from 0 to 4294967295"),
        ({"early_stop": -1}, "early_stop = -1 must be a number of rounds"),
        ({"time_budget": float("nan")}, "time_budget = nan must be seconds"),
        ({"iterations_per_round": 100}, "less than one round"),
        ({"fixed": {"p_z": 1.5}, "tune": ()}, "fixed.p_z: 1.5 is out of range"),
        ({"augment": 3}, "augment: 3 is no function"),
        ({"augment": lambda x: x}, "augment: does not take a random key and inputs"),
        ({"augment": lambda key, x: (x, x)}, "augment: yields no array"),
        (
            {"augment": lambda key, x: x[:, :3]},
            r"augment: its inputs come to the network as float32 of shape \(64, 3\), "
            r"others as float32 of shape \(64, 6\)",
        ),
        (
            {"augment": lambda key, x: x.astype(jnp.bfloat16)},
            "augment: .* as bfloat16 of .*; let it change values alone",
        ),
        ({"preprocess": lambda: 3}, "preprocess: does not take inputs"),
        ({"preprocess": lambda x: None}, "preprocess: yields no array"),
        ({"preprocess": "log"}, "preprocess: 'log' is no function"),
        ({"preprocess": None}, "preprocess: None is no function"),
        (
            {"preprocess": lambda x: jnp.where(x == TABLE[70], jnp.nan, x)},
            "preprocess: makes NaN or infinity of train, row 70",
        ),
        (
            {"preprocess": lambda x: jnp.where(x == TABLE[125], jnp.nan, x)},
            "preprocess: makes NaN or infinity of validation, row 5",
        ),
        ({"schedule": 3}, "schedule: is of int; give a surrojax.Schedule"),
        ({"start": {"p_z": 0.0}}, r"start: p_z: 0.0 cannot be begun at.*fixed={'p_z'"),
        ({"schedule": "nowhere"}, "nowhere: there is no such folder or file"),
    ],
)
def test_a_mistake_is_one_line(given, message):
    train, validation = splits(TABLE)
    arguments = {"train": train, "validation": validation} | SMALL | given
    with pytest.raises(InputError, match=message) as caught:
        surrojax.tune(Table(), **arguments)
    assert "\n" not in str(caught.value)


class Ends(nn.Module):
    """A network with something at its end."""

    last: Any

    @nn.compact
    def __call__(self, x):
        return self.last(nn.Dense(3)(nn.Dense(5)(x)))


class Channels(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3))(x)
        return nn.Dense(3)(x.reshape(x.shape[:-2] + (-1,)))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Ends(nn.softmax), "sums to 1, .*leave out the softmax"),
        (Ends(nn.relu), "is never negative.* leave out the activation"),
        (
            Ends(lambda x: x - x.mean(axis=0)),
            "depends on the other inputs of its batch",
        ),
    ],
)
def test_what_would_train_badly_is_told(network, message):
    layers = ("Dense_0", "Dense_1")
    with pytest.raises(InputError, match=message):
        surrojax.tune(network, *splits(TABLE), **SMALL, layers=layers)


def test_a_layer_may_be_given_as_a_word():
    small = SMALL | {"max_iterations": 20, "tune": ()}
    data = splits(TABLE)
    as_word, as_list = (
        surrojax.tune(Table(), *data, layers=layers, **small)
        for layers in ("Dense_1", ["Dense_1"])
    )
    same(as_word, as_list, rtol=0, atol=0)


def test_images_without_channels_are_told():
    pictures = TABLE.reshape(240, 2, 3)
    with pytest.raises(InputError, match=r"depends on .*x\[\.\.\., None\]"):
        surrojax.tune(Channels(), *splits(pictures), **SMALL)


def test_logarithms_of_probabilities_are_logits():
    small = SMALL | {"max_iterations": 20, "tune": ()}
    layers = ("Dense_0", "Dense_1")
    network = Ends(nn.log_softmax)
    result = surrojax.tune(network, *splits(TABLE), layers=layers, **small)
    assert result.validation_accuracy > 0.5


def test_labels_may_be_whole_floats(run):
    data = [(x, y.astype(float)) for x, y in splits(TABLE, test=True)]
    same(surrojax.tune(Table(), *data, **SMALL), run, rtol=1e-5, atol=1e-6)


def test_one_output_is_told():
    class One(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(nn.Dense(4)(x))

    data = [(x, np.minimum(y, 1)) for x, y in splits(TABLE)]
    with pytest.raises(InputError, match="one number an input; .*end in a Dense.2."):
        surrojax.tune(One(), *data, **SMALL)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Table, "network: is the class Table, where an instance is wanted"),
        (len, "network: is of builtins"),
    ],
)
def test_what_is_no_network_is_told(network, message):
    with pytest.raises(InputError, match=message):
        surrojax.tune(network, *splits(TABLE), **SMALL)


def test_tokens_of_eight_bits_are_told():
    with pytest.raises(InputError, match="taken for pixels .*give tokens as int32"):
        surrojax.tune(Words(), *splits(TOKENS.astype(np.uint8)), **SMALL)


def test_a_setting_without_effect_is_told(capsys):
    loud = SMALL | {"quiet": False, "selection": "cross_entropy"}
    surrojax.tune(Table(), *splits(TABLE), **loud)
    told = "mind: selection: has no effect, because stage1_settings is 1"
    assert told in capsys.readouterr().out.splitlines()


def test_hints_are_said_and_no_more_than_hints(capsys):
    few = [(100 * x[y > 0], y[y > 0]) for x, y in splits(TABLE)]
    few[0] = (few[0][0][:10], few[0][1][:10])
    loud = SMALL | {"quiet": False, "tune": (), "max_iterations": 65}
    surrojax.tune(Table(), *few, **loud | {"learning_rate": 0.0})
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == (
        f"Table: 10 for train, {len(few[1][0])} for validation; layers: "
        "Dense_1 (z, V), Dense_0 (x, W); tuned: nothing; 3 rounds of 20 steps, 5 of "
        "max_iterations left over; compiling"
    )
    said = [line for line in rest if line.startswith("mind: ")]
    for text in (
        "train: has no example of class 0, of 3",
        "validation: has no example of class 0, of 3",
        "batch_size: 16 is more than the 10 examples",
        "train: inputs are large",
        "for 2 rounds the network has been no better",
        "the network has not learnt",
    ):
        assert sum(text in line for line in said) == 1, text
    assert len(said) == 6
    loud |= {"max_iterations": 60, "learning_rate": 0.05}
    surrojax.tune(Table(), *splits(TABLE), **loud)
    assert "mind:" not in capsys.readouterr().out
    whole = [((100 * x).astype(np.int64), y) for x, y in splits(TABLE)]
    surrojax.tune(Table(), *whole, **loud)
    assert "inputs are large" in capsys.readouterr().out
    surrojax.tune(Words(), *splits(TOKENS * 0 + 17), **loud)
    assert "inputs are large" not in capsys.readouterr().out


def test_labels_that_are_true_or_false_are_two_classes():
    assert split_of("train", (TABLE, LABELS > 0)).labels.tolist() == [
        int(label > 0) for label in LABELS
    ]


def test_what_no_candidate_can_tell_apart_is_said(capsys):
    loud = SMALL | {"quiet": False, "max_iterations": 20}
    for tune, said in (("lambda_z", True), ("all", False)):
        surrojax.tune(Table(), *splits(TABLE), **loud | {"tune": tune})
        assert ("lambda_z is searched, but" in capsys.readouterr().out) == said


def test_numbers_of_jax_and_numpy_are_numbers():
    settings = Settings.of(
        {
            "learning_rate": jnp.float32(0.5),
            "population": np.int64(8),
            "constants": {"w": np.float32(0.5)},
            "bounds": {"ratio": (jnp.float32(0.25), 0.5)},
        }
    )
    assert settings == Settings(
        learning_rate=0.5,
        population=8,
        constants={"w": 0.5},
        bounds={"ratio": (0.25, 0.5)},
    )
    assert type(settings.learning_rate) is float and type(settings.population) is int


def test_missing_classes_are_named_up_to_five():
    class Many(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1000)(nn.Dense(4)(x))

    split = Split(TABLE[:9], np.zeros(9, np.int32))
    method = surrojax.own_method(Many(), TABLE, batch_size=4)
    every = Split(np.zeros((1000, *TABLE.shape[1:])), np.arange(1000))
    numbers = tuple(map(str, range(1000)))
    assert hints(method, {"train": split, "validation": every}, numbers, None) == [
        "train: has no example of class 1, 2, 3, 4, 5 and 994 more, of 1000 classes"
    ]


@pytest.mark.parametrize(
    ("many", "tune", "said"), [(99, "all", 1), (100, "all", 0), (99, (), 0)]
)
def test_a_validation_split_too_small_to_compare_on_is_told(many, tune, said):
    method = surrojax.own_method(Table(), TABLE, batch_size=4, tune=tune)
    every = {
        n: Split(np.zeros((many, 8)), np.arange(many) % 3)
        for n in ("train", "validation")
    }
    found = hints(method, every, ("a", "b", "c"), None)
    assert len(found) == said
    text = "compared on 99 examples, where one more or less is 1 % of accuracy"
    assert all(text in line for line in found)


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)


class Small(nn.Module):
    """Two layers, of which the second may begin with zeros."""

    last: Any = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(8, dtype=self.dtype)(x))
        return nn.Dense(2, kernel_init=self.last, dtype=self.dtype)(x)


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (Small(), XOR),  # the row of zeros makes logits of exactly 0
        (Small(), XOR[:1]),
        (Small(), np.ones((20, 2), np.float32)),
        (Small(last=nn.initializers.zeros), XOR),
        (Small(dtype=jnp.bfloat16), XOR),
    ],
)
def test_sound_networks_are_not_refused(network, inputs):
    method = surrojax.own_method(network, inputs)
    fresh = jax.jit(lambda key: initial_state(method, key).fusion.original.variables)
    for seed in range(20):
        check_outputs(method, fresh(jax.random.key(seed)), inputs)


def test_what_mixes_inputs_is_named():
    def centred(x):
        return x - x.mean(axis=0)

    with pytest.raises(InputError, match="preprocess: what it makes of an input"):
        surrojax.tune(Table(), *splits(TABLE), preprocess=centred, **SMALL)


def test_a_token_that_the_network_does_not_know():
    with pytest.raises(InputError, match="train, row 0: holds a token outside of 0 to"):
        surrojax.tune(Words(), *splits(TOKENS + 18), **SMALL)
    small = SMALL | {"max_iterations": 20, "tune": ()}
    result = surrojax.tune(Words(), *splits(TOKENS), **small)
    assert np.isfinite(result.predict(TOKENS[:2])).all()
    with pytest.raises(InputError, match="predict, row 1: holds a token outside of 0"):
        result.predict(changed(TOKENS[:2], 1, 18))


def test_one_input_is_no_batch(run):
    with pytest.raises(InputError, match=r"shape \(6,\), .*give inputs\[None\]"):
        run.predict(TABLE[0])


EDITED = {"width": 6, "activation": nn.tanh}


class Edited(nn.Module):
    """A network whose code its user changes between two calls."""

    @nn.compact
    def __call__(self, x):
        x = EDITED["activation"](nn.Dense(EDITED["width"])(x))
        return nn.Dense(3)(nn.relu(nn.Dense(8)(x)))


def test_a_network_that_was_edited_is_told(tmp_path, monkeypatch, capsys):
    small = SMALL | {"max_iterations": 20, "tune": (), "quiet": False}
    call = partial(surrojax.tune, Edited(), *splits(TABLE), workdir=tmp_path)
    call(**small)
    call(**small | {"max_iterations": 40})
    hint = "mind: the network computes something else"
    assert hint not in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setitem(EDITED, "activation", jnp.sin)
        for more in (60, 80):  # its first rounds stay those of the other
            call(**small | {"max_iterations": more})
            assert hint in capsys.readouterr().out
    call(**small | {"max_iterations": 100})
    assert hint not in capsys.readouterr().out
    monkeypatch.setitem(EDITED, "width", 7)
    shapes = r"Dense_0.bias of float32\[6\], the one given of float32\[7\], and 2 more"
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(InputError, match=shapes):
        call(**small | {"max_iterations": 120})
    with pytest.raises(InputError, match=shapes):
        surrojax.load(tmp_path, network=Edited()).predict(TABLE[:2])
    assert (tmp_path / "config.json").read_text() == before


def test_a_network_that_was_edited_is_told_where_it_predicts(
    tmp_path, monkeypatch, capsys
):
    small = SMALL | {"max_iterations": 20, "tune": (), "batch_size": 8}
    surrojax.tune(Edited(), *splits(TABLE), workdir=tmp_path, **small)
    load = partial(surrojax.load, tmp_path, network=Edited())
    before = load().predict(TABLE[:2])
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(EDITED, "activation", jnp.sin)
    other = load()
    assert "mind: the network computes something else" in capsys.readouterr().out
    assert np.abs(other.predict(TABLE[:2]) - before).max() > 0


def test_classes_may_be_named_by_numbers(tmp_path):
    small = SMALL | {"max_iterations": 20, "tune": ()}
    named = np.array([10, 20, 30])
    given = splits(TABLE, test=True)
    run = surrojax.tune(Table(), *given, classes=named, workdir=tmp_path, **small)
    found = surrojax.load(tmp_path, network=Table())
    assert found.classes == run.classes == ("10", "20", "30")
    assert list(run.outcome["recall"]) == ["10", "20", "30"]


@pytest.mark.parametrize("wrong", [2**32 + 3, -(2**31) - 1])
def test_whole_numbers_beyond_32_bits_are_told(wrong):
    tokens = changed(TOKENS.astype(np.int64), 7, wrong)
    with pytest.raises(InputError, match="train, row 7: holds a whole number beyond"):
        surrojax.tune(Words(), *splits(tokens), **SMALL)


def test_a_replay_of_an_extended_run_ends_with_its_weights(tmp_path):
    """Whose rate went on falling as it did."""
    short = {k: v for k, v in SMALL.items() if k != "halve_every"}
    call = partial(surrojax.tune, Table(), *splits(TABLE))
    call(workdir=tmp_path, **short)
    longer = call(workdir=tmp_path, **short | {"max_iterations": 120})
    for place in (tmp_path, tmp_path / "schedule.csv"):
        again = call(schedule=place, **short | {"max_iterations": 120})
        same(again, longer, rtol=1e-6, atol=1e-7)


def test_a_schedule_of_other_layers_is_told(tmp_path, capsys):
    call = partial(surrojax.tune, Table(), *splits(TABLE))
    small = SMALL | {"max_iterations": 20}
    call(workdir=tmp_path, layers=("Dense_1", "Dense_2"), **small)
    told = (
        f"mind: the schedule of {tmp_path} was found for Dense_2 and Dense_1, and acts "
        "on Dense_1 and Dense_0 here\n"
    )
    for layers, said in ((None, True), (("Dense_1", "Dense_2"), False)):
        call(schedule=tmp_path, layers=layers, **small | {"quiet": False})
        assert (told in capsys.readouterr().out) == said


def followed(schedule, steps):
    """A run of so many steps that follows a schedule, and says so."""
    searched = "tune", "iterations_per_round"
    small = {name: value for name, value in SMALL.items() if name not in searched}
    small |= {"max_iterations": steps, "quiet": False}
    return surrojax.tune(Table(), *splits(TABLE), schedule=schedule, **small)


@pytest.mark.parametrize(
    ("ends", "steps", "rounds"),
    [([20, 40], 50, [25, 50]), ([10, 25], 53, [10, 20, 30, 40, 50])],
)
def test_a_stretched_schedule_is_followed_to_its_end(ends, steps, rounds, capsys):
    values = np.array([[0.2], [0.4]])
    schedule = surrojax.Schedule(("p_x",), ends, values).stretched(steps)
    run = followed(schedule, steps)
    assert [record["step"] for record in run.records] == rounds
    for record in run.records:
        used = record["hyper"]["p_x"]
        assert used == pytest.approx(0.2 if record["step"] <= schedule.ends[0] else 0.4)
    assert "the schedule is of" not in capsys.readouterr().out


@pytest.mark.parametrize("steps", [20, 60])
def test_a_schedule_of_another_length_is_told(steps, capsys):
    followed(surrojax.Schedule(("p_x",), [20, 40], [[0.2], [0.4]]), steps)
    told = f"mind: the schedule is of 40 steps, and {steps} are trained here; its"
    assert told in capsys.readouterr().out


def test_a_set_has_one_name_in_all_processes():
    program = (
        "from surrojax.own.identity import name_of\n"
        "print(name_of(lambda x: x in {'uint8', 'int8', 'int16', 'int32'}))"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "5")
    }
    assert len(names) == 1
    first, second = (lambda x, *, k=1: x), (lambda x, *, k=2: x)
    assert name_of(first) != name_of(second)


def test_a_function_may_name_what_comes_later():
    def early(x):
        return later(x)

    def name():
        return name_of(lambda x: early(x))

    before = name()

    def later(x):
        return x

    assert before.split()[0] == name().split()[0]


CHANGED = {"mean": np.float32([0, 1]), "noise": 0.1, "decay": 0.9}
KEY = jax.random.key(3)


def scaled(inputs):
    return jax.jit(lambda x: x - jnp.asarray(CHANGED["mean"])[0])(inputs)


def shaken(key, inputs):
    key = jax.random.fold_in(KEY, jax.random.bits(key))
    return inputs + CHANGED["noise"] * jax.random.normal(key, inputs.shape)


def falling(rate):
    return optax.rmsprop(rate, CHANGED["decay"])


def test_a_function_that_was_edited_is_told(tmp_path, monkeypatch, capsys):
    """By its name, each is the one that it was."""
    small = SMALL | {"tune": (), "quiet": False, "learning_rate": 1e-3}
    given = {"preprocess": scaled, "augment": shaken, "optimizer": falling}
    call = partial(
        surrojax.tune, Table(), *splits(TABLE), workdir=tmp_path, **small | given
    )
    call(max_iterations=20)
    call(max_iterations=40)
    hint = " computes something else"
    assert hint not in capsys.readouterr().out
    with monkeypatch.context() as patch:  # as computed on another number of cores
        patch.setitem(CHANGED, "mean", np.float32([1e-9, 1 + 1e-6]))
        call(max_iterations=60)
    assert hint not in capsys.readouterr().out
    edits = {"mean": np.float32([1, 0]), "noise": 0.2, "decay": 0.8}
    for steps, (name, function) in enumerate(zip(edits, given, strict=True), 4):
        with monkeypatch.context() as patch:
            patch.setitem(CHANGED, name, edits[name])
            call(max_iterations=20 * steps)
        told = [s for s in capsys.readouterr().out.splitlines() if hint in s]
        assert len(told) == 1
        assert told[0].startswith(f"mind: {function}{hint}")


def test_other_versions_have_programs_of_their_own(tmp_path, capsys):
    """Which may be written otherwise, and are what is compared from then on."""
    small = SMALL | {"tune": (), "quiet": False}
    call = partial(surrojax.tune, Table(), *splits(TABLE), workdir=tmp_path, **small)
    call(max_iterations=20)
    file = tmp_path / "config.json"
    saved = json.loads(file.read_text())
    before = {"versions": {"jax": "0"}, "programs": {"network": "another"}}
    file.write_text(json.dumps(saved | before))
    for steps in (40, 60):
        call(max_iterations=steps)
        assert "computes something else" not in capsys.readouterr().out
    there = json.loads(file.read_text())
    assert there["programs"] == saved["programs"]


def test_what_a_network_computes_is_told_alike_on_a_terminal():
    """There, JAX writes programs in colours."""
    code = (
        "import sys; sys.path[:0] = ['tests', '.']; import surrojax, test_tuning as t;"
        "method = surrojax.own_method(t.Table(), t.TABLE[:9], max_iterations=20);"
        "print(sys.stdout.isatty(), t.programs_of(method, t.TABLE[:9])['network'])"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-c", code],
        stdout=theirs,
        cwd=ROOT,
        env=environment,
        check=True,
    )
    os.close(theirs)
    told = os.read(ours, 1000).decode().split()
    os.close(ours)
    method = surrojax.own_method(Table(), TABLE[:9], max_iterations=20)
    assert told == ["True", programs_of(method, TABLE[:9])["network"]]


def test_importing_the_package_starts_nothing():
    code = "import surrojax, sys; print('jax' in sys.modules, len(dir(surrojax)) > 10)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "False True\n"


@pytest.mark.drawn
@pytest.mark.parametrize("test", [True, False])
def test_a_folder_has_its_report(tmp_path, test):
    folder = tmp_path / "own"
    small = SMALL | {"max_iterations": 40}
    result = surrojax.tune(Table(), *splits(TABLE, test), workdir=folder, **small)
    page = Page(folder / "report.html")
    assert_sound(page)
    assert page.headings[0] == ("h1", "Table on own data")
    accuracies = page.column("The network after the last round", "this run")
    validation = f"{100 * result.validation_accuracy:.2f}"
    assert accuracies["validation accuracy [%]"] == validation
    head, *rows = page.tables["The schedule by round"]
    assert [row[1] for row in rows] == ["20", "40"]
    assert rows[-1][head.index("validation [%]")] == validation
    assert ("test [%]" in head) == ("Recall by class" in page.tables) == test
    if test:
        told = accuracies["test accuracy [%]"]
        assert told.startswith(f"{100 * result.test_accuracy:.2f} ±")
    else:
        assert "test accuracy" not in page.text
        assert "There are no test data." in page.text
    assert "It was called from Python: surrojax.tune with" in page.text
    assert page.commands == [
        f"surrojax.tune(..., tune=(), workdir='{folder},tune=none')"
    ]
    assert result.report(tmp_path / "page.html") == tmp_path / "page.html"
    assert Page(tmp_path / "page.html").tables == page.tables
    assert surrojax.load(folder).report() == folder / "report.html"


@pytest.mark.drawn
def test_the_untuned_network_of_one_s_own_stands_beside(tmp_path):
    small = SMALL | {"max_iterations": 20}
    untuned, tuned = (
        surrojax.tune(Table(), *splits(TABLE), workdir=tmp_path / name, **small, **more)
        for name, more in (("a,tune=none", {"tune": ()}), ("a", {}))
    )
    page = Page(tmp_path / "a/report.html")
    gain = 100 * (tuned.validation_accuracy - untuned.validation_accuracy)
    assert page.commands == []
    [row] = [
        row
        for row in page.tables["The network after the last round"]
        if row[0] == "validation accuracy [%]"
    ]
    assert row[1:] == [
        f"{100 * tuned.validation_accuracy:.2f}",
        f"{100 * untuned.validation_accuracy:.2f}",
        f"{gain:+.2f}",
    ]
    both = Page(report.write(tmp_path))
    head = both.tables["Means over the runs of each setting"][0]
    assert "validation gain over a,tune=none [points]" in head
    assert both.column("Each run, with its own report", "test [%]") == {
        "a,tune=none": "–",
        "a": "–",
    }


def test_lengths_rates_and_boxes_that_are_not_said():
    said = Settings(max_iterations=80_000)
    assert (said.steps_per_round, said.halving, said.rate) == (5_000, 20_000, 0.03)
    assert Settings(max_iterations=400).steps_per_round == 80
    bounds = {"ratio": (0.001, 0.95), "coefficient": (1e-6, 1e-5)}
    center, width = Settings(bounds=bounds).box
    assert center == pytest.approx({"ratio": 0.016**0.5, "coefficient": 10**-5.5})
    assert width == pytest.approx({"ratio": np.log(40) / 2, "coefficient": 0.5})
