"""Stage 1: the original trains as if the surrogate were not there."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_same, tiny_method

from surrojax.losses import euclidean, softmax_cross_entropy
from surrojax.networks import NETWORKS, blank, forward_in_training, make_pair
from surrojax.sites import Hyper, Sites
from surrojax.stage1 import Chance, Fusion, fit, fit_step, new_fusion

HYPER = Hyper(
    Sites(*map(jnp.float32, (1e-3, 2e-3, 3e-3, 4e-3))),
    Sites(*map(jnp.float32, (0.1, 0.2, 0.3, 0.4))),
)
KEY = jax.random.key(3)


def step_of(method, fusion, data, hyper=HYPER):
    program = jax.jit(partial(fit_step, method))
    chance = Chance.of(method, KEY, len(data.train.labels), jnp.int32(7))
    return program(fusion, hyper, data.train, chance)


def test_the_original_is_the_same_with_a_surrogate_beside_it(tiny_data):
    loud = tiny_method(eta=Sites(1e3, 1e3, 1e3, 1e3))
    fusion = new_fusion(loud, KEY)
    beside, _ = step_of(loud, fusion, tiny_data)
    alone, _ = step_of(loud, Fusion(fusion.original, None), tiny_data)
    for a, b in zip(
        jax.tree.leaves(beside.original), jax.tree.leaves(alone.original), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_nothing_of_the_surrogate_reaches_the_original(tiny_data):
    method = tiny_method()
    fusion = new_fusion(method, KEY)
    other = replace(
        fusion, surrogate=jax.tree.map(lambda a: 5 * a + 1, fusion.surrogate)
    )
    assert_same(
        step_of(method, fusion, tiny_data)[0].original,
        step_of(method, other, tiny_data)[0].original,
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "mresnet" else name
        for name in NETWORKS
    ],
)
def test_the_euclidean_losses_have_no_gradient_on_the_original(name):
    """Exactly 0, for the real networks, in training mode."""
    from surrojax.losses import euclidean, weighted
    from surrojax.networks import init

    pair = make_pair(name, 7)
    images = jax.random.normal(KEY, blank(pair, 4).shape)
    both = [init(m, KEY, images) for m in (pair.original, pair.surrogate)]

    def loss(both):
        sites = [
            module.apply(
                variables,
                images,
                HYPER.ratio,
                True,
                mutable=["batch_stats"],
                rngs={"dropout": KEY},
            )[0][1]
            for module, variables in zip(
                (pair.original, pair.surrogate), both, strict=True
            )
        ]
        return weighted(euclidean(*sites), Sites(1.0, 1.0, 1.0, 1.0))

    original, surrogate = jax.jit(jax.grad(loss))(both)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(original))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(surrogate))


def test_the_surrogate_is_fitted_without_sparseness_terms(tiny_data):
    method = tiny_method()
    fusion = new_fusion(method, KEY)
    stronger = HYPER._replace(coefficient=jax.tree.map(lambda c: 50 * c, HYPER[0]))
    mild, _ = step_of(method, fusion, tiny_data)
    strong, _ = step_of(method, fusion, tiny_data, stronger)
    assert_same(mild.surrogate, strong.surrogate)
    assert not np.array_equal(
        mild.original.params["head"]["V"], strong.original.params["head"]["V"]
    )


def test_the_surrogate_has_dropout_masks_of_its_own(tiny_data):
    """With all weights shared, equal masks would give equal sites."""
    method = tiny_method()
    fusion = new_fusion(method, KEY)
    twin = Fusion(fusion.original, fusion.original)
    paired = replace(method, pair=replace(method.pair, surrogate=method.pair.original))
    _, dropped = step_of(paired, twin, tiny_data)
    no_dropout = HYPER._replace(ratio=Sites(*map(jnp.float32, (0, 0, 0, 0))))
    _, whole = step_of(paired, twin, tiny_data, no_dropout)
    assert float(dropped["euclidean"].x) > 1e-3
    assert float(whole["euclidean"].x) == 0


def test_fitting_brings_the_surrogate_nearer_at_every_site(tiny_data):
    distances = []
    for eta in (0.0, 0.5):
        method = tiny_method(eta=Sites(eta, eta, eta, eta))
        program = jax.jit(partial(fit, method))
        fusion = new_fusion(method, KEY)
        steps = jnp.arange(100)
        _, losses = program(fusion, HYPER, tiny_data.train, KEY, steps)
        distances.append(jax.tree.map(jnp.mean, losses))
    free, fitted = (d["euclidean"] for d in distances)
    assert all(near < far for near, far in zip(fitted, free, strict=True))


def test_a_round_is_its_steps_one_after_the_other(tiny_data):
    method = tiny_method()
    fusion = new_fusion(method, KEY)
    steps = jnp.arange(10, 13)
    whole, losses = fit(method, fusion, HYPER, tiny_data.train, KEY, steps)
    assert losses["loss"].shape == (3,)
    for step in steps:
        chance = Chance.of(method, KEY, len(tiny_data.train.labels), step)
        fusion, _ = fit_step(method, fusion, HYPER, tiny_data.train, chance)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(fusion), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_without_tuning_there_is_no_surrogate():
    assert new_fusion(tiny_method(tune=()), KEY).surrogate is None


def test_the_surrogate_minimises_softmax_and_eq_9_under_the_same_dropout(tiny_data):
    method = tiny_method(learning_rate_halve_every=1.0)
    fusion = new_fusion(method, KEY)
    chance = Chance.of(method, KEY, len(tiny_data.train.labels), jnp.int32(3))
    images, labels = method.minibatch(chance.choice, tiny_data.train)

    def out(module, params, key):
        variables = {"params": params}
        return forward_in_training(module, variables, images, HYPER.ratio, key)[0]

    _, wanted = out(method.pair.original, fusion.original.params, chance.original)

    def loss(params):
        logits, sites = out(method.pair.surrogate, params, chance.surrogate)
        distance = sum(euclidean(wanted, sites))
        return softmax_cross_entropy(logits, labels) + 0.01 * distance

    before, rate = fusion.surrogate.params, 0.01 * 0.5**3
    after, _ = fit_step(method, fusion, HYPER, tiny_data.train, chance)
    by_hand = jax.tree.map(lambda p, g: p - rate * g, before, jax.grad(loss)(before))
    close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
    jax.tree.map(close, after.surrogate.params, by_hand)


def test_momentum_is_the_methods():
    rule = tiny_method(momentum=0.5).rule(0)
    update, after = rule.update({"a": jnp.ones(1)}, {"a": jnp.full(1, 4.0)})
    assert (float(after["a"][0]), float(update["a"][0])) == pytest.approx((3.0, -0.03))


def test_every_sample_can_be_drawn():
    rows = tiny_method(batch_size=400).draw(KEY, 5).rows
    assert set(rows.tolist()) == set(range(5))
