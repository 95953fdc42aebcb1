"""Classes that count more, or less: in the loss, and in what settings are scored by."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_arrays, tiny_method
from sklearn.utils.class_weight import compute_class_weight
from test_experiment import config_of, put_small, small  # noqa: F401
from test_stream import both, rounds

import surrojax
from surrojax import fidelity
from surrojax.algorithm import initial_state, run
from surrojax.class_weights import told, weights_of
from surrojax.errors import InputError
from surrojax.evaluate import Predictions, measure
from surrojax.experiment import train
from surrojax.layout import several
from surrojax.losses import softmax_cross_entropy
from surrojax.method import Data
from surrojax.own import training
from surrojax.programs import compile_programs, evaluate_fusions
from surrojax.run import keeper, stream
from surrojax.run.setup import Setup
from surrojax.sgd import Drawn, Targets
from surrojax.sites import Hyper, Sites
from surrojax.stage1 import Chance, fit_step, new_fusion
from surrojax.stage2 import score

LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 3])
NAMES = ("a", "b", "c", "d")


def test_balanced_weights_are_scikit_learn_s():
    seen = np.unique(LABELS)
    wanted = compute_class_weight("balanced", classes=seen, y=LABELS)
    for given in ("balanced", ("balanced",), ["balanced"]):
        found = np.array(weights_of(given, LABELS, NAMES))
        np.testing.assert_allclose(found[seen], wanted)
        assert found[2] == 0  # of which there is no sample


def test_numbers_count_by_their_ratios():
    found = np.array(weights_of((2, 1, 1, 4), LABELS, NAMES))
    np.testing.assert_allclose(found / found[1], [2, 1, 1, 4])
    assert found[LABELS].mean() == pytest.approx(1)
    again = weights_of(np.float32([0.5, 0.25, 0.25, 1]), LABELS, NAMES)
    np.testing.assert_allclose(again, found)


@pytest.mark.parametrize("given", [None, (), []])
def test_without_any_all_samples_count_the_same(given):
    assert weights_of(given, LABELS, NAMES) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("balnced", "balnced is neither balanced nor 4 numbers, one for each of a, b"),
        ((1, 2, 3), "1, 2, 3 is neither balanced nor 4 numbers"),
        ((1, 2, 3, float("nan")), "1, 2, 3, nan is neither balanced"),
        (({"a": 1}, 1, 1, 1), "is neither balanced nor 4 numbers"),
        ((1, 1, -1, 1), "one is below 0"),
        ((0, 0, 1, 0), "no training sample counts"),
        ({0: 1.0, 1: 5.0}, "is of 0, 1; give a number for each of a, b"),
        ({}, "is of no class; give a number for each of a, b"),
        (3, "3 is no sequence"),
        (b"balanced", "is no sequence"),
    ],
)
def test_what_is_no_weight_is_refused(given, message):
    with pytest.raises(InputError, match="^class_weights: ") as error:
        weights_of(given, LABELS, NAMES)
    assert message in str(error.value)


def test_a_misspelt_word_is_told_what_it_may_have_meant():
    with pytest.raises(InputError, match=r"d \(did you mean 'balanced'\?\)$"):
        weights_of("balance", LABELS, NAMES)


@pytest.mark.parametrize("keys", [NAMES, range(4)])
def test_numbers_by_name_or_label_are_those_in_order(keys):
    given = dict(zip(keys, (2, 1, 1, 4), strict=True))
    shuffled = dict(reversed(given.items()))
    assert weights_of(shuffled, LABELS, NAMES) == weights_of(
        (2, 1, 1, 4), LABELS, NAMES
    )


def test_weights_may_be_of_any_size():
    wanted = weights_of((2, 1, 1, 4), LABELS, NAMES)
    for factor in (1e300, 1e-300):
        found = weights_of(factor * np.array([2.0, 1, 1, 4]), LABELS, NAMES)
        np.testing.assert_allclose(found, wanted)


def test_some_validation_samples_have_to_count():
    given = [rare(60, 0), rare(60, 1)]
    given[1] = (given[1][0], 0 * given[1][1])
    with pytest.raises(InputError, match="class_weights: no validation sample counts"):
        surrojax.tune(Table(), *given, class_weights=(0, 1), **SMALL)


def test_fidelity_is_in_the_measure_of_the_score():
    method = tiny_method(population=2, kappa=0.0, class_weights=(3.0, 1.0, 0.2))
    data = Data(tiny_arrays(60, 0), tiny_arrays(40, 1))
    state, record = next(run(method, data, initial_state(method, jax.random.key(4))))
    programs = compile_programs(method)
    candidates = record["candidates"]
    found = fidelity.measure(method, programs, data, state, candidates, 0, 1)
    for setting in found["settings"]:
        assert setting["surrogate"]["accuracy"] == pytest.approx(
            setting["surrogate"]["score"]
        )

    def evaluate(fusions, split):
        original, surrogate = programs.evaluate(fusions, split)
        quarter = jnp.full_like(original.accuracy, 0.25)
        return replace(original, weighted_accuracy=quarter), surrogate

    programs_ = programs._replace(evaluate=evaluate)
    found = fidelity.measure(method, programs_, data, state, candidates, 0, 1)
    assert {s["original"][0]["accuracy"] for s in found["settings"]} == {0.25}


def test_a_sample_s_loss_is_multiplied():
    logits = jax.random.normal(jax.random.key(0), (9, 4))
    each = np.array([float(softmax_cross_entropy(logits[i : i + 1], LABELS[i : i + 1]))
                     for i in range(9)])  # fmt: skip
    weights = np.array([0.5, 3, 0, 2.0])
    found = softmax_cross_entropy(logits, jnp.array(LABELS), tuple(weights))
    assert float(found) == pytest.approx((weights[LABELS] * each).mean(), rel=1e-5)


ZERO = Sites(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("surrogate", ["fitted", "shared"])
def test_a_step_is_that_of_samples_that_are_there_as_often(surrogate):
    """Three times the weight is three times the sample, in both networks' gradients."""
    # Euclidean losses are of features, whatever their class.
    method = tiny_method(surrogate=surrogate, batch_size=8, eta=ZERO)
    data = tiny_arrays(8, 0)
    labels = jnp.array([0, 0, 0, 1, 1, 1, 1, 1], jnp.int32)
    fusion = new_fusion(method, jax.random.key(1))
    hyper = Hyper(coefficient=ZERO, ratio=ZERO)

    def step(method, rows):
        # A draw for as many rows, all alike but for which rows they are.
        method = replace(method, batch_size=len(rows))
        chance = Chance.of(method, jax.random.key(2), 8, jnp.array(0))
        drawn = Drawn(data.images[rows], labels[rows])
        method = replace(method, augment=Still(method.augment))
        return fit_step(method, fusion, hyper, drawn, chance)[0]

    once, twice = jnp.arange(8), jnp.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7])
    # Of eight samples with a mean weight of 1, and of fourteen.
    weighed = replace(method, class_weights=(3 * 8 / 14, 8 / 14, 1.0))
    for a, b in zip(
        jax.tree.leaves(step(weighed, once)),
        jax.tree.leaves(step(method, twice)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Still:
    """Leaves images unturned."""

    def __init__(self, augment):
        self._augment = augment

    def draw(self, key, count):
        return self._augment.draw(key, count)

    def apply(self, changes, images):
        still = jax.tree.map(jnp.zeros_like, changes)
        return self._augment.apply(still, images)


def test_a_split_is_measured_by_class():
    right = np.array([1, 1, 1, 1, 1, 0, 1, 0, 0], bool)
    said = np.where(right, LABELS, (LABELS + 1) % 4)
    log_p = jax.nn.log_softmax(5.0 * jax.nn.one_hot(said, 4))
    predictions = Predictions(log_p, jnp.ones(9))
    targets = Targets(jnp.array(LABELS))
    plain = measure(predictions, targets)
    assert plain.weighted_accuracy == plain.accuracy == pytest.approx(6 / 9)
    found = measure(predictions, targets, weights_of("balanced", LABELS, NAMES))
    assert found.accuracy == plain.accuracy
    assert found.weighted_accuracy == pytest.approx((5 / 6 + 1 / 2 + 0) / 3)
    losses = -np.asarray(log_p)[np.arange(9), LABELS]
    by_class = [losses[k == LABELS].mean() for k in (0, 1, 3)]
    assert found.cross_entropy == pytest.approx(np.mean(by_class), rel=1e-5)


def test_of_sequences_those_are_weighed():
    frames = jnp.array([0, 0, 0, 1, 1, 1])
    targets = Targets(frames, jnp.array([0, 0, 0, 1, 2, 2]), jnp.array([0, 1, 1]))
    said = jnp.array([0, 0, 1, 1, 0, 0])  # sequences 0 and 1 are right, 2 is not
    predictions = Predictions(jax.nn.log_softmax(jax.nn.one_hot(said, 2)), jnp.ones(6))
    found = measure(predictions, targets, (3.0, 1.0))
    assert found.weighted_accuracy == pytest.approx((3 + 1) / 5)
    assert found.accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("objective", ["accuracy", "cross_entropy"])
def test_a_score_is_weighed(objective):
    """A network that knows one class alone is worth what that class counts."""
    method = tiny_method(objective=objective, kappa=0.0)
    fusions = several(new_fusion(method, jax.random.key(1)), 1)
    data = tiny_arrays(60, 3)

    def of(weights):
        weighed = replace(method, class_weights=weights)
        return float(score(weighed, evaluate_fusions(weighed, fusions, data)[0])[0])

    k = int(data.labels.max()) + 1
    one_class = [of(tuple(np.eye(k)[c].tolist())) for c in range(k)]
    shares = np.bincount(data.labels, minlength=k) / 60
    assert len(set(one_class)) > 1
    assert of(None) == pytest.approx(shares @ np.array(one_class), abs=1e-5)


@pytest.mark.parametrize("surrogate", ["fitted", "shared"])
def test_streamed_data_are_weighed_as_resident_ones(surrogate):
    (here, there), (mine, yours) = both(60, 0), both(40, 1, sequences=True)
    k = int(here.labels.max()) + 1
    method = tiny_method(
        surrogate=surrogate,
        evaluation_batch=16,
        class_weights=tuple(np.linspace(0.2, 2, k).tolist()),
    )
    resident = rounds(method, here, mine, compile_programs)
    streamed = rounds(method, there, yours, stream.compile_programs)
    for (_, a), (_, b) in zip(resident, streamed, strict=True):
        assert a["training_loss"] == pytest.approx(b["training_loss"], rel=1e-4)
        for x, y in zip(a["candidates"], b["candidates"], strict=True):
            assert x["score"] == pytest.approx(y["score"], rel=1e-4)


class Table(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.relu(nn.Dense(8)(nn.tanh(nn.Dense(6)(x)))))


def rare(n, seed):
    """Two clouds that overlap; a tenth is of the second."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.1).astype(int)
    return rng.normal(size=(n, 4)).astype(np.float32) + 0.7 * labels[:, None], labels


SMALL = {
    "max_iterations": 200,
    "iterations_per_round": 50,
    "batch_size": 32,
    "learning_rate": 0.05,
    "population": 3,
    "quiet": True,
}


def test_balanced_classes_are_found_as_often_as_others():
    given = [rare(600, seed) for seed in range(3)]
    plain, balanced = (
        surrojax.tune(Table(), *given, class_weights=weights, **SMALL).outcome
        for weights in (None, "balanced")
    )
    assert plain["recall"]["1"] < 0.3 and balanced["recall"]["1"] > 0.6
    means = [np.mean(list(run["recall"].values())) for run in (plain, balanced)]
    assert means[1] > means[0] + 0.1


def test_a_folder_knows_its_weights(tmp_path, capsys):
    given = [rare(200, seed) for seed in range(2)]
    few = SMALL | {"max_iterations": 40, "iterations_per_round": 20, "quiet": False}
    surrojax.tune(
        Table(), *given, classes=("no", "yes"), class_weights=(1, 4), workdir=tmp_path,
        **few,
    )  # fmt: skip
    assert "class weights: no 0." in capsys.readouterr().out
    with pytest.raises(InputError, match="class_weights"):
        surrojax.tune(Table(), *given, classes=("no", "yes"), workdir=tmp_path, **few)
    again = surrojax.tune(
        Table(), *given, classes=("no", "yes"), class_weights=[2, 8], workdir=tmp_path,
        **few,
    )  # fmt: skip
    assert len(again.records) == 2


@pytest.mark.parametrize(("most", "said"), [(3.0, False), (9.4, True)])
def test_weights_that_lie_far_apart_are_told(most, said):
    line = told((0.5, most), ("no", "yes"))
    assert line.startswith(f"class weights: no 0.5, yes {most:g}")
    assert ("so many times the learning rate" in line) == said


def test_a_config_s_weights_are_those_of_its_training_split(monkeypatch):
    dataset = put_small(monkeypatch)
    wanted = weights_of("balanced", dataset.train.labels, dataset.classes)
    setup = Setup.of(config_of(class_weights=("balanced",)))
    assert setup.method.class_weights == wanted
    with pytest.raises(InputError, match=r"^config\.class_weights: 1, 2 is neither"):
        Setup.of(config_of(class_weights=(1, 2)))


def test_by_their_weights_it_is_judged_whether_anything_was_learnt(monkeypatch):
    weighed, stalled = [], []

    def verdict(predictions, labels, weights):
        weighed.append(weights)

    def after(labels, records, weighted, inner=training.Stalled.after):
        stalled.append(weighted)
        return inner(labels, records, weighted)

    monkeypatch.setattr(training, "verdict", verdict)
    monkeypatch.setattr(training.Stalled, "after", after)
    given = [rare(60, seed) for seed in range(2)]
    short = SMALL | {"max_iterations": 50, "tune": ()}
    for weights in (None, (1, 1)):
        surrojax.tune(Table(), *given, class_weights=weights, **short)
    assert weighed == [None, (1.0, 1.0)] and stalled == [False, True]


def test_a_run_of_a_config_says_so_at_its_end(small, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr(keeper, "verdict", lambda *_: "nothing was learnt")
    for name, weights in (("plain", ()), ("weighed", ("balanced",))):
        train(config_of(class_weights=weights, max_iterations=3), tmp_path / name)
        told = "mind: nothing was learnt" in capsys.readouterr().out.splitlines()
        assert told == bool(weights)
