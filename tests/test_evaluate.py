"""Evaluation in chunks, and the measures against counting by hand."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.data.augment import normalize
from surrojax.evaluate import (
    confusion_matrix,
    evaluate,
    macro_f1,
    predict,
    recall,
)
from surrojax.networks import init
from surrojax.networks.lenet import LeNetSurrogate
from surrojax.networks.resnet20 import ResNet20Surrogate
from surrojax.sgd import Arrays

N, K = 10, 7
RNG = np.random.default_rng(0)
DATA = Arrays(
    jnp.asarray(RNG.integers(0, 256, (N, 28, 28, 1)), jnp.uint8),
    jnp.asarray(RNG.integers(0, K, N), jnp.int32),
)
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
    run = jax.jit(partial(predict, module, normalize), static_argnums=2)
    whole = run(variables, DATA.images, N)
    chunked = run(variables, DATA.images, batch)
    units = {"lenet": 500, "resnet20": 64}[name]
    assert chunked[0].shape == (N, K) and chunked[1].shape == (N, units)
    for a, b in zip(whole, chunked, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [4, 10])
def test_evaluation_is_the_mean_over_the_images_alone(batch):
    module = MODULES["lenet"]
    variables = variables_of(module)
    logits, x = map(np.asarray, predict(module, normalize, variables, DATA.images, N))
    hits, losses, ratios = [], [], []
    for row, features, label in zip(logits, x, np.asarray(DATA.labels), strict=True):
        hits.append(row.argmax() == label)
        losses.append(np.log(sum(np.exp(row))) - row[label])
        ratios.append(sum(abs(features)) / np.sqrt(sum(features**2)))
    actual = evaluate(module, normalize, variables, DATA, batch)
    assert actual.accuracy == pytest.approx(np.mean(hits))
    assert actual.cross_entropy == pytest.approx(np.mean(losses), rel=1e-4)
    assert actual.hoyer == pytest.approx(np.mean(ratios), rel=1e-4)


def test_accuracy_is_1_where_every_label_is_the_highest_logit():
    module = MODULES["lenet"]
    variables = variables_of(module)
    logits, _ = predict(module, normalize, variables, DATA.images, N)
    right = Arrays(DATA.images, jnp.argmax(logits, axis=-1).astype(jnp.int32))
    assert evaluate(module, normalize, variables, right, 4).accuracy == 1.0
    wrong = Arrays(DATA.images, (right.labels + 1) % K)
    assert evaluate(module, normalize, variables, wrong, 4).accuracy == 0.0


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


def test_macro_f1_is_the_mean_of_harmonic_means():
    # Class 0: P = R = 3/4. Class 1: P = 1/3, R = 1/2. Class 2: never predicted.
    assert macro_f1(CONFUSION) == pytest.approx((3 / 4 + 2 / 5 + 0) / 3)


def test_macro_f1_leaves_out_a_class_that_never_occurs():
    confusion = confusion_matrix(LABELS, PREDICTED, 4)
    assert macro_f1(confusion) == pytest.approx(macro_f1(CONFUSION))
    assert macro_f1(np.diag([2, 3, 0])) == 1.0
    # Predicted but without samples: it occurs, with F1 0.
    assert macro_f1(np.array([[2, 1], [0, 0]])) == pytest.approx((4 / 5 + 0) / 2)
