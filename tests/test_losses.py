"""The losses and the score, each against the paper's equation in plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.losses import (
    NORMS,
    euclidean,
    feature_sparseness,
    hoyer_ratios,
    objective,
    row_norms,
    softmax_cross_entropy,
    softmax_losses,
    sparseness,
    total_loss,
    weight_sparseness,
    weighted,
)
from surrojax.sites import Sites

RNG = np.random.default_rng(0)
B, N_Z, N_X, K = 5, 4, 3, 6
LOGITS = 3 * RNG.normal(size=(B, K)).astype(np.float32)
LABELS = RNG.integers(0, K, B)


def random_sites(seed):
    rng = np.random.default_rng(seed)
    shapes = Sites(z=(B, N_Z), V=(N_Z, N_X), x=(B, N_X), W=(N_X, K))
    return Sites(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


ORIGINAL, SURROGATE = random_sites(1), random_sites(2)
LAMBDA = Sites(0.1, 0.2, 0.3, 0.4)


def without_fc2(sites):
    return Sites(sites.z, sites.V, None, None)


def loop_softmax(logits, labels):
    """Eq. 5, sample by sample."""
    losses = []
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        losses.append(-np.log(np.exp(row[label]) / sum(np.exp(v) for v in row)))
    return np.array(losses)


def loop_norm(a, norm):
    """Eq. 2 and 3 and their variants, before a division by the batch."""
    value = 0.0
    for row in a.astype(np.float64):
        if norm == "l1":
            value += sum(abs(v) for v in row)
        elif norm == "l2":
            value += 0.5 * sum(v * v for v in row)
        else:
            value += np.sqrt(sum(v * v for v in row))
    return value


def loop_sparseness(sites, norm):
    return Sites(
        loop_norm(sites.z, norm) / B,
        loop_norm(sites.V, norm),
        None if sites.x is None else loop_norm(sites.x, norm) / B,
        None if sites.W is None else loop_norm(sites.W, norm),
    )


def assert_sites_close(actual, expected):
    for a, e in zip(actual, expected, strict=True):
        assert (a is None) == (e is None)
        if e is not None:
            np.testing.assert_allclose(a, e, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_eq_5_softmax_loss(wrap):
    expected = loop_softmax(LOGITS, LABELS)
    np.testing.assert_allclose(
        wrap(softmax_losses)(LOGITS, LABELS), expected, rtol=1e-5
    )
    np.testing.assert_allclose(
        wrap(softmax_cross_entropy)(LOGITS, LABELS), expected.mean(), rtol=1e-5
    )


def test_a_label_that_is_no_class_has_no_finite_loss():
    losses = softmax_losses(jnp.zeros((4, 3)), jnp.array([0, 2, 3, -1]))
    np.testing.assert_array_equal(jnp.isnan(losses), [False, False, True, True])


def test_eq_5_is_finite_for_huge_logits():
    losses = softmax_losses(jnp.array([[1e4, -1e4], [1e4, -1e4]]), jnp.array([0, 1]))
    np.testing.assert_allclose(losses, [0.0, 2e4])


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("cut", [lambda s: s, without_fc2])
def test_eq_2_and_3_sparseness(wrap, norm, cut):
    sites = cut(ORIGINAL)
    actual = wrap(lambda s: sparseness(s, norm))(sites)
    assert_sites_close(actual, loop_sparseness(sites, norm))


def test_eq_2_does_not_depend_on_the_batch_size():
    for norm in NORMS:
        twice = np.concatenate([ORIGINAL.z, ORIGINAL.z])
        np.testing.assert_allclose(
            feature_sparseness(twice, norm),
            feature_sparseness(ORIGINAL.z, norm),
            rtol=1e-6,
        )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("cut", [lambda s: s, without_fc2])
def test_eq_4_total_loss(norm, cut):
    sites = cut(ORIGINAL)
    expected = loop_softmax(LOGITS, LABELS).mean()
    for weight, term in zip(LAMBDA, loop_sparseness(sites, norm), strict=True):
        expected += 0 if term is None else weight * term
    for wrap in (lambda f: f, jax.jit):
        actual = wrap(lambda *a: total_loss(*a, norm))(LOGITS, LABELS, sites, LAMBDA)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_eq_6_gradient_of_l1_is_the_sign_and_0_at_0():
    a = jnp.array([[1.5, 0.0, -2.0], [-0.0, 1e-30, -3.0]])
    sign = np.array([[1, 0, -1], [0, 1, -1]])
    np.testing.assert_array_equal(jax.grad(feature_sparseness)(a), sign / 2)
    np.testing.assert_array_equal(jax.grad(weight_sparseness)(a), sign)
    np.testing.assert_array_equal(jax.jit(jax.grad(weight_sparseness))(a), sign)


def test_gradient_of_l2_is_the_value_and_of_l21_the_unit_vector():
    a = jnp.array([[3.0, 4.0], [0.0, -2.0]])
    np.testing.assert_allclose(jax.grad(weight_sparseness)(a, "l2"), a)
    np.testing.assert_allclose(
        jax.grad(weight_sparseness)(a, "l21"), [[0.6, 0.8], [0.0, -1.0]], rtol=1e-6
    )
    np.testing.assert_allclose(jax.grad(feature_sparseness)(a, "l2"), a / 2)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", [feature_sparseness, weight_sparseness])
def test_every_norm_has_gradient_0_at_a_row_of_zeros(norm, loss):
    a = jnp.array([[0.0, 0.0], [1.0, 2.0]])
    for gradient in (
        jax.grad(loss)(a, norm),
        jax.jit(jax.grad(loss), static_argnums=1)(a, norm),
    ):
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(gradient[0], 0)
        assert (gradient[1] > 0).all()


def test_row_norms():
    np.testing.assert_allclose(row_norms(jnp.array([[3.0, 4.0], [0, 0]])), [5.0, 0.0])


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
@pytest.mark.parametrize("cut", [lambda s: s, without_fc2])
def test_eq_9_euclidean_losses_are_half_the_squared_distance(wrap, cut):
    original, surrogate = cut(ORIGINAL), cut(SURROGATE)
    expected = []
    for o, s, share in zip(original, surrogate, (1 / B, 1, 1 / B, 1), strict=True):
        if o is None:
            expected.append(None)
            continue
        value = 0.0
        for one, other in zip(o.flat, s.flat, strict=True):
            value += 0.5 * share * (float(one) - float(other)) ** 2
        expected.append(value)
    assert_sites_close(wrap(euclidean)(original, surrogate), expected)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
@pytest.mark.parametrize("cut", [lambda s: s, without_fc2])
def test_eq_10_gradient_reaches_the_surrogate_and_never_the_original(wrap, cut):
    original, surrogate, eta = cut(ORIGINAL), cut(SURROGATE), Sites(0.1, 0.2, 0.3, 0.4)

    def loss(original, surrogate):
        return weighted(euclidean(original, surrogate), eta)

    into_original, into_surrogate = wrap(jax.grad(loss, (0, 1)))(original, surrogate)
    shares = Sites(0.1 / B, 0.2, 0.3 / B, 0.4)
    for o, s, share, gradient in zip(
        original, surrogate, shares, into_surrogate, strict=True
    ):
        if s is None:
            assert gradient is None
        else:
            np.testing.assert_allclose(gradient, share * (s - o), rtol=1e-4, atol=1e-7)
    for gradient in jax.tree.leaves(into_original):
        np.testing.assert_array_equal(gradient, 0)


def test_weighted_ignores_weights_of_missing_sites():
    terms = Sites(jnp.float32(1.0), jnp.float32(2.0), None, None)
    np.testing.assert_allclose(weighted(terms, Sites(0.5, 0.25, 9.0, 9.0)), 1.0)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_eq_11_hoyer_ratio(wrap):
    x = np.array([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [1, 1, 1]])
    expected = [7 / 5, 0.0, 1.0, np.sqrt(3)]
    actual = wrap(hoyer_ratios)(x.astype(np.float32))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_eq_11_score_of_both_objectives():
    accuracy, loss, hoyer = jnp.float32(0.5), jnp.float32(1.25), jnp.float32(20.0)
    assert objective(accuracy, loss, hoyer, 1e-2) == pytest.approx(0.5 - 0.2)
    by_loss = objective(accuracy, loss, hoyer, 1e-2, "cross_entropy")
    assert by_loss == pytest.approx(-1.25 - 0.2)


@pytest.mark.parametrize("kind", ["accuracy", "cross_entropy"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_eq_11_is_minus_infinity_where_anything_is_not_finite(kind, value, at):
    numbers = [0.5, 1.0, 20.0]
    numbers[at] = value
    score = objective(*map(jnp.float32, numbers), 1e-5, kind)
    if kind == "cross_entropy" and at == 0:  # the accuracy is not asked
        assert score == pytest.approx(-1.0 - 2e-4)
    else:
        assert score == -np.inf


def test_eq_11_one_failed_candidate_leaves_the_others_alone():
    accuracy = jnp.array([0.5, 0.6, 0.7])
    loss = jnp.array([1.0, jnp.nan, 1.2])
    scores = jax.jit(objective, static_argnums=(3, 4))(
        accuracy, loss, jnp.zeros(3), 0.0, "accuracy"
    )
    np.testing.assert_allclose(scores, [0.5, -np.inf, 0.7], rtol=1e-6)


def test_losses_of_half_precision_are_of_float32():
    assert (
        softmax_losses(jnp.zeros((2, 3), jnp.bfloat16), jnp.zeros(2, int)).dtype
        == jnp.float32
    )
