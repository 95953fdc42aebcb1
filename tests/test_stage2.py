"""Stage 2: candidates are independent of each other, and compared on equal terms."""

import re
from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_same, tiny_method

from configs.common import get_config
from surrojax import own_method
from surrojax.errors import InputError
from surrojax.evaluate import Evaluation, evaluate
from surrojax.losses import total_loss
from surrojax.networks import forward_in_training
from surrojax.networks.head import Head
from surrojax.settings import make_method
from surrojax.sgd import Arrays, Targets, descend
from surrojax.stage1 import new_fusion
from surrojax.stage2 import (
    Chance,
    compete,
    copies,
    score,
    source,
    train_population,
)

KEY = jax.random.key(5)


def compete_with(method, data, vectors):
    surrogate = new_fusion(method, jax.random.key(0)).surrogate
    program = jax.jit(partial(compete, method))
    steps = 20 + jnp.arange(method.iterations_per_round)
    return program(surrogate, vectors, data, KEY, steps)


def wide_population(method):
    vectors = method.space.latin_hypercube(jax.random.key(1), method.population)
    # Far from each other, so that a few steps tell them apart.
    return vectors.at[:, 4:].set(jnp.log(jnp.array([0.05, 0.4, 0.7, 0.9]))[:, None])


def test_swapping_two_candidates_swaps_their_scores(tiny_data):
    method = tiny_method(objective="cross_entropy", iterations_per_round=30)
    vectors = wide_population(method)
    order = jnp.array([0, 3, 2, 1])
    scores, _ = compete_with(method, tiny_data, vectors)
    swapped, _ = compete_with(method, tiny_data, vectors[order])
    assert len(set(scores.tolist())) == len(scores)
    np.testing.assert_array_equal(scores[order], swapped)


def test_a_nan_candidate_scores_minus_infinity_and_leaves_the_others_alone(tiny_data):
    method = tiny_method(objective="cross_entropy")
    vectors = wide_population(method)
    poisoned = vectors.at[2].set(jnp.nan)
    clean, clean_results = compete_with(method, tiny_data, vectors)
    scores, results = compete_with(method, tiny_data, poisoned)
    assert scores[2] == -jnp.inf
    others = jnp.array([0, 1, 3])
    np.testing.assert_array_equal(scores[others], clean[others])
    assert_same(
        jax.tree.map(lambda a: a[others], results),
        jax.tree.map(lambda a: a[others], clean_results),
    )


def test_a_candidate_with_nan_weights_scores_minus_infinity(tiny_data):
    method = tiny_method()
    net = new_fusion(method, jax.random.key(0)).surrogate
    broken = jax.tree.map(lambda a: a.at[0].set(jnp.nan), net.variables)

    def score_of(variables):
        module, split = method.pair.surrogate, tiny_data.validation
        return score(method, evaluate(module, method.views, variables, split, 16))

    assert score_of(net.variables) > 0
    assert score_of(broken) == -jnp.inf


def test_a_nan_candidate_never_leads(tiny_data):
    method = tiny_method()
    vectors = wide_population(method).at[0].set(jnp.nan)
    scores, _ = compete_with(method, tiny_data, vectors)
    state = method.search.tell(method.search.init(vectors), vectors, scores)
    assert np.isfinite(state.leader).all() and np.isfinite(state.leader_score)


def test_common_random_numbers_make_equal_settings_score_equally(tiny_data):
    for common in (True, False):
        method = tiny_method(
            common_random_numbers=common,
            objective="cross_entropy",
            iterations_per_round=30,
        )
        vectors = jnp.tile(wide_population(method)[1], (4, 1))
        scores, _ = compete_with(method, tiny_data, vectors)
        assert len(set(scores.tolist())) == (1 if common else 4)


def test_a_candidate_starts_from_the_surrogate_with_fresh_momentum(tiny_data):
    method = tiny_method()
    net = new_fusion(method, jax.random.key(0)).surrogate
    moving = replace(net, momentum=jax.tree.map(jnp.ones_like, net.momentum))
    held, started = copies(method, moving, 3)
    assert held == {}
    for a, b in zip(
        jax.tree.leaves(started.params), jax.tree.leaves(net.params), strict=True
    ):
        assert a.shape == (3, *b.shape) and (a == b).all()
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(started.momentum))


def test_a_population_is_its_candidates_one_by_one(tiny_data):
    method = tiny_method(objective="cross_entropy")
    vectors = wide_population(method)
    together, _ = compete_with(method, tiny_data, vectors)
    alone = [compete_with(method, tiny_data, v[None])[0][0] for v in vectors]
    np.testing.assert_allclose(together, jnp.stack(alone), rtol=1e-5)


def test_settings_matter(tiny_data):
    """Dropping 90 % of everything learns less than dropping 5 %."""
    method = tiny_method(objective="cross_entropy", iterations_per_round=200)
    scores, _ = compete_with(method, tiny_data, wide_population(method))
    assert scores[0] > scores[3]


@pytest.mark.parametrize("layers", [(), ("Dense_1",), ("Dense_0", "Dense_1")])
def test_shared_candidates_train_the_upper_layers_of_the_original(tiny_data, layers):
    method = tiny_method(
        surrogate="shared", shared_layers=len(layers), objective="cross_entropy"
    )
    upper = {"head", *layers}
    fusion = new_fusion(method, jax.random.key(0))
    assert fusion.surrogate is None
    net = source(method, fusion)
    assert net is fusion.original
    held, nets = copies(method, net, 4)
    assert set(nets.params) == upper and upper.isdisjoint(held.get("params", ()))
    vectors, steps = wide_population(method), jnp.arange(5)
    key = jax.random.key(2)
    trained = train_population(method, held, nets, vectors, tiny_data.train, key, steps)
    moved = jax.tree.map(lambda a, b: (a != b).any(), trained.params, nets.params)
    assert all(jax.tree.leaves(moved))
    # One of them by hand: the whole original trained, with the trunk put back.
    one = net
    hyper = method.space.to_hyper(vectors[1])
    for step in steps:
        chance = Chance.of(method, key, len(tiny_data.train.labels), step)
        images, labels = method.minibatch(chance.choice, tiny_data.train)

        def loss(params, images=images, labels=labels, chance=chance):
            (logits, sites), _ = forward_in_training(
                method.pair.original,
                {"params": params},
                images,
                hyper.ratio,
                chance.dropout,
            )
            return total_loss(logits, labels, sites, hyper.coefficient)

        after = descend(one, jax.grad(loss)(one.params), {}, method.rule(step))
        one = replace(
            after, params=net.params | {name: after.params[name] for name in upper}
        )
    assert_close_trees(
        jax.tree.map(lambda a: a[1], trained.params),
        {name: one.params[name] for name in sorted(upper)},
    )


def test_candidates_feel_lambda_z_as_soon_as_they_train_what_makes_z(tiny_data):
    for layers, felt in ((0, False), (1, True)):
        method = tiny_method(
            surrogate="shared", shared_layers=layers, objective="cross_entropy"
        )
        vectors = jnp.tile(wide_population(method)[0], (2, 1))
        vectors = vectors.at[1, 0].set(jnp.log(10.0))
        net = source(method, new_fusion(method, jax.random.key(0)))
        scores, _ = compete(method, net, vectors, tiny_data, KEY, jnp.arange(5))
        assert (scores[0] != scores[1]) == felt


def convolutions(method):
    """Of each convolution of a population's step: whether it is a grouped one."""
    vectors = method.space.latin_hypercube(jax.random.key(1), 3)
    net = source(method, new_fusion(method, jax.random.key(0)))
    held, nets = copies(method, net, 3)
    rng, shape = np.random.default_rng(0), (8, *method.pair.shape)
    images = jnp.asarray(rng.integers(0, 256, shape), jnp.uint8)
    train = Arrays(images, Targets(jnp.zeros(8, jnp.int32)))
    step = partial(train_population, method)
    jaxpr = jax.make_jaxpr(step)(held, nets, vectors, train, KEY, jnp.arange(2))
    counts = re.findall(r"(?:feature|batch)_group_count=(\d+)", str(jaxpr))
    return [int(count) > 1 for count in counts]


@pytest.mark.parametrize(
    ("network", "form"),
    [("resnet20", "direct"), ("resnet20", "lax"), ("lenet", "lax")],
)
def test_trained_convolutions_are_matrix_products_and_held_ones_are_not(network, form):
    """A named trap: vmapped kernels would make grouped convolutions."""
    config = get_config()
    config.network, config.surrogate = network, "shared"
    config.convolution = form
    method = make_method(config, 7)
    alone, block = (convolutions(replace(method, shared_layers=n)) for n in (0, 2))
    # Two of them, each with two counts.
    assert len(alone) == len(block) + 4 and not any(alone + block)


def test_a_tuned_convolution_of_an_own_network_is_a_matrix_product():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Conv(4, (3, 3))(x))
            x = nn.relu(nn.Conv(4, (3, 3))(x))
            return nn.Dense(3)(x.mean(axis=(1, 2)))

    inputs = np.zeros((4, 8, 8, 3), np.float32)
    method = own_method(Twice(), inputs, layers=("Conv_1", "Dense_0"), batch_size=4)
    pair = replace(method.pair, original=method.pair.original.clone("direct"))
    found = convolutions(replace(method, pair=pair))
    assert len(found) == 2 and not any(found)  # the first layer's, forward


def test_shared_layers_are_those_of_a_shared_trunk():
    with pytest.raises(InputError, match="shared_layers: 1 wants surrogate=shared"):
        tiny_method(shared_layers=1)
    with pytest.raises(InputError, match="more than the 2 layers"):
        tiny_method(surrogate="shared", shared_layers=3)


def assert_close_trees(a, b):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-7), a, b
    )


def test_shared_candidates_score_as_the_whole_network_would(tiny_data):
    method = tiny_method(surrogate="shared", objective="cross_entropy")
    net = source(method, new_fusion(method, jax.random.key(0)))
    vectors = wide_population(method)
    scores, found = compete(
        method, net, vectors, tiny_data, jax.random.key(2), jnp.arange(5)
    )
    held, nets = copies(method, net, len(vectors))
    nets = train_population(
        method, held, nets, vectors, tiny_data.train, jax.random.key(2), jnp.arange(5)
    )
    head = jax.tree.map(lambda a: a[2], nets.params["head"])
    alone = evaluate(
        method.pair.original,
        method.views,
        {"params": net.params | {"head": head}},
        tiny_data.validation,
        16,
    )
    assert float(found.cross_entropy[2]) == pytest.approx(
        float(alone.cross_entropy), rel=1e-5
    )
    assert len(set(scores.tolist())) == len(vectors)


def test_a_shared_trunk_wants_a_head(tiny_data):
    class Headless(nn.Module):
        @nn.compact
        def __call__(self, images, ratio, train):
            return Head(3, name="top")(images.reshape(len(images), -1), ratio, train)

    method = tiny_method(surrogate="shared")
    method = replace(method, pair=replace(method.pair, original=Headless()))
    with pytest.raises(InputError, match="a module 'head'; this one has top"):
        new_fusion(method, jax.random.key(0))


def test_a_score_takes_off_kappa_times_the_ratio():
    half = jnp.array([0.5])
    found = score(
        tiny_method(kappa=1e-2), Evaluation(half, half, half, half, 40 * half)
    )
    assert float(found[0]) == pytest.approx(0.5 - 0.2)
