"""Momentum and the learning rate, against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.sgd import Net, descend, fresh, learning_rate, sgd

SGD = sgd(jnp.float32(0.1), 0.9)


def test_learning_rate_halves_smoothly_every_4000_steps():
    for step in (0, 1, 999, 2000, 4000, 8000, 80_000):
        expected = 0.01 * 0.5 ** (step / 4000)
        for rate in (learning_rate, jax.jit(learning_rate)):
            actual = rate(jnp.int32(step), 0.01, 4000.0)
            np.testing.assert_allclose(actual, expected, rtol=1e-4)
    assert learning_rate(jnp.int32(4000), 0.01, 4000.0) == pytest.approx(0.005)


def test_fresh_has_momentum_0_and_parts_params_from_statistics():
    variables = {
        "params": {"a": jnp.ones(3)},
        "batch_stats": {"mean": jnp.full(2, 5.0)},
    }
    net = fresh(variables, SGD)
    np.testing.assert_array_equal(net.momentum["a"], np.zeros(3))
    assert set(net.stats) == {"batch_stats"}
    assert net.variables == variables
    assert fresh({"params": {}}, SGD).stats == {}


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_descend_is_sgd_with_momentum(wrap):
    rng = np.random.default_rng(0)
    p, m = rng.normal(size=4), np.zeros(4)
    net = fresh({"params": {"a": jnp.asarray(p, jnp.float32)}}, SGD)
    step = wrap(lambda *of: descend(*of[:3], sgd(of[3], 0.9)))
    for t in range(6):
        g, rate = rng.normal(size=4), 0.01 * 0.5 ** (t / 2)
        m = 0.9 * m + g
        p = p - rate * m
        net = step(net, {"a": jnp.asarray(g, jnp.float32)}, {}, jnp.float32(rate))
        np.testing.assert_allclose(net.params["a"], p, rtol=1e-5)
        np.testing.assert_allclose(net.momentum["a"], m, rtol=1e-5, atol=1e-6)


def test_descend_takes_the_new_statistics():
    net = Net({"a": jnp.ones(1)}, {"batch_stats": jnp.zeros(1)}, {"a": jnp.zeros(1)})
    stats = {"batch_stats": jnp.full(1, 7.0)}
    after = descend(net, {"a": jnp.zeros(1)}, stats, SGD)
    assert after.stats == stats
    np.testing.assert_array_equal(after.params["a"], net.params["a"])
