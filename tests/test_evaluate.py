"""Evaluation in chunks, and the measures against counting by hand."""

import warnings
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from surrojax.data.augment import Look
from surrojax.evaluate import (
    Predictions,
    Views,
    balanced_accuracy,
    confusion_matrix,
    evaluate,
    macro_f1,
    measure,
    predict,
    recall,
    vote,
)
from surrojax.losses import hoyer_ratios
from surrojax.networks import forward, init
from surrojax.networks.lenet import LeNetSurrogate
from surrojax.networks.resnet20 import ResNet20Surrogate
from surrojax.sgd import Arrays, Targets

N, K = 10, 7
RNG = np.random.default_rng(0)
DATA = Arrays(
    jnp.asarray(RNG.integers(0, 256, (N, 28, 28, 1)), jnp.uint8),
    Targets(jnp.asarray(RNG.integers(0, K, N), jnp.int32)),
)
LOOK = Look(28, 1)
VIEWS = Views(LOOK.see_center)
MODULES = {"lenet": LeNetSurrogate(K), "resnet20": ResNet20Surrogate(K)}


@cache
def variables_of(module):
    blank = jnp.zeros((1, 28, 28, 1))
    return jax.jit(lambda: init(module, jax.random.key(0), blank))()


@pytest.mark.parametrize(
    ("name", "batch"), [("lenet", 1), ("lenet", 4), ("lenet", 99), ("resnet20", 3)]
)
def test_chunks_with_a_remainder_give_the_same_as_one_batch(name, batch):
    module = MODULES[name]
    variables = variables_of(module)
    run = jax.jit(partial(predict, module, VIEWS), static_argnums=2)
    whole = run(variables, DATA.images, N)
    chunked = run(variables, DATA.images, batch)
    assert chunked.log_probabilities.shape == (N, K) and chunked.hoyer.shape == (N,)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(chunked), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [4, 10])
def test_evaluation_is_the_mean_over_the_images_alone(batch):
    module = MODULES["lenet"]
    variables = variables_of(module)
    logits, sites = forward(module, variables, LOOK.see_center(DATA.images, 0))
    logits, x = np.asarray(logits), np.asarray(sites.x)
    hits, losses, ratios = [], [], []
    for row, features, label in zip(logits, x, np.asarray(DATA.labels), strict=True):
        hits.append(row.argmax() == label)
        losses.append(np.log(sum(np.exp(row))) - row[label])
        ratios.append(sum(abs(features)) / np.sqrt(sum(features**2)))
    actual = evaluate(module, VIEWS, variables, DATA, batch)
    assert actual.accuracy == pytest.approx(np.mean(hits))
    assert actual.cross_entropy == pytest.approx(np.mean(losses), rel=1e-4)
    assert actual.hoyer == pytest.approx(np.mean(ratios), rel=1e-4)


def test_accuracy_is_1_where_every_label_is_the_highest_logit():
    module = MODULES["lenet"]
    variables = variables_of(module)
    found = predict(module, VIEWS, variables, DATA.images, N).log_probabilities
    right = Arrays(DATA.images, Targets(jnp.argmax(found, axis=-1)))
    assert evaluate(module, VIEWS, variables, right, 4).accuracy == 1.0
    wrong = Arrays(DATA.images, Targets((right.labels + 1) % K))
    assert evaluate(module, VIEWS, variables, wrong, 4).accuracy == 0.0


def test_the_views_of_an_image_are_averaged_as_probabilities():
    module, look = MODULES["lenet"], Look(28, 1, crops=18)
    variables = variables_of(module)
    images = jnp.asarray(RNG.integers(0, 256, (4, 31, 31, 1)), jnp.uint8)
    every = Views(look.see_crop, 18)
    actual = predict(module, every, variables, images, 2)
    mean, hoyer = np.zeros((4, K)), np.zeros(4)
    for index in range(18):
        logits, sites = forward(module, variables, look.see_crop(images, index))
        odds = np.exp(np.asarray(logits, np.float64))
        mean += odds / odds.sum(axis=1, keepdims=True) / 18
        hoyer += np.asarray(hoyer_ratios(sites.x)) / 18
    np.testing.assert_allclose(np.exp(actual.log_probabilities), mean, rtol=1e-4)
    np.testing.assert_allclose(actual.hoyer, hoyer, rtol=1e-4)


def test_a_class_that_is_not_allowed_is_never_predicted():
    module = MODULES["lenet"]
    variables = variables_of(module)
    free = np.asarray(
        predict(module, VIEWS, variables, DATA.images, N).log_probabilities
    )
    winner = np.bincount(free.argmax(axis=1)).argmax()
    allowed = tuple(index != winner for index in range(K))
    masked = predict(
        module, Views(LOOK.see_center, 1, allowed), variables, DATA.images, N
    ).log_probabilities
    assert (masked[:, winner] == -jnp.inf).all()
    rest = np.delete(np.exp(free), winner, axis=1)
    expected = rest / rest.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        np.delete(np.exp(masked), winner, axis=1), expected, rtol=1e-4
    )


def log_of(*rows):
    return jnp.log(jnp.array(rows))


def test_a_sequence_gets_its_frames_majority():
    # Two frames say 0, one says 1 with a certainty that outweighs them.
    frames = log_of([0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.0, 1.0, 0.0])
    assert vote(frames, jnp.array([0, 0, 0]), 1).tolist() == [0]


def test_a_tie_of_votes_goes_to_the_higher_summed_probability():
    frames = log_of([0.6, 0.4, 0.0], [0.1, 0.7, 0.2], [0.9, 0.05, 0.05])
    assert vote(frames[:2], jnp.array([0, 0]), 1).tolist() == [1]
    # Frames of a sequence need not stand together.
    assert vote(frames, jnp.array([1, 0, 1]), 2).tolist() == [1, 0]


def test_votes_beat_probability_however_long_the_sequence():
    frames = log_of(*[[0.34, 0.33, 0.33]] * 51, *[[0.0, 1.0, 0.0]] * 50)
    assert vote(frames, jnp.zeros(101, jnp.int32), 1).tolist() == [0]


def test_the_unit_is_the_sequence_and_frames_are_reported_beside_it():
    frames = log_of([0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7])
    predictions = Predictions(frames, jnp.zeros(4))
    targets = Targets(
        jnp.array([0, 0, 0, 1]), jnp.array([0, 0, 0, 1]), jnp.array([0, 1])
    )
    actual = measure(predictions, targets)
    assert actual.accuracy == 1.0 and actual.frame_accuracy == 0.75
    expected = -np.mean(np.log([0.9, 0.2, 0.8, 0.7]))
    assert actual.cross_entropy == pytest.approx(expected, rel=1e-5)


LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 0, 1])
CONFUSION = np.array([[3, 1, 0], [1, 1, 0], [0, 1, 0]])


def test_confusion_matrix_has_labels_in_rows():
    actual = confusion_matrix(LABELS, PREDICTED, 3)
    np.testing.assert_array_equal(actual, CONFUSION)
    assert np.trace(actual) / actual.sum() == (LABELS == PREDICTED).mean()


def test_recall_is_nan_for_a_class_without_samples():
    np.testing.assert_allclose(recall(CONFUSION), [3 / 4, 1 / 2, 0])
    np.testing.assert_allclose(recall(np.array([[2, 2], [0, 0]])), [0.5, np.nan])


def test_balanced_accuracy_is_scikit_learn_s():
    labels, said = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 2, 0])
    found = balanced_accuracy(confusion_matrix(labels, said, 4))
    with warnings.catch_warnings(action="ignore"):  # of a class that has no samples
        assert found == pytest.approx(balanced_accuracy_score(labels, said))


def test_macro_f1_is_the_mean_of_harmonic_means():
    # Class 0: P = R = 3/4. Class 1: P = 1/3, R = 1/2. Class 2: never predicted.
    assert macro_f1(CONFUSION) == pytest.approx((3 / 4 + 2 / 5 + 0) / 3)


def test_macro_f1_leaves_out_a_class_that_never_occurs():
    confusion = confusion_matrix(LABELS, PREDICTED, 4)
    assert macro_f1(confusion) == pytest.approx(macro_f1(CONFUSION))
    assert macro_f1(np.diag([2, 3, 0])) == 1.0
    # Predicted but without samples: it occurs, with F1 0.
    assert macro_f1(np.array([[2, 1], [0, 0]])) == pytest.approx((4 / 5 + 0) / 2)
