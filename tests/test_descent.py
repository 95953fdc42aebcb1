"""Optimisers of optax in place of SGD."""

import json
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_tuning import LABELS, SMALL, TABLE, Table, same, splits

import surrojax
from surrojax import stage1, stage2
from surrojax.errors import InputError
from surrojax.losses import total_loss
from surrojax.networks import forward_in_training
from surrojax.sgd import Arrays, Targets

pytestmark = pytest.mark.usefixtures("undrawn")

ADAM = {"optimizer": optax.adam, "learning_rate": 1e-2}
TRAIN = Arrays(jnp.asarray(TABLE[:120]), Targets(jnp.asarray(LABELS[:120], jnp.int32)))
STEPS = jnp.arange(5)


def method_of(**given):
    small = {n: v for n, v in SMALL.items() if n != "quiet"}
    return surrojax.own_method(Table(), TABLE, **small | ADAM | given)


def rate_at(step):
    return 1e-2 * 0.5 ** (step / SMALL["halve_every"])


def by_hand(method, module, variables, hyper, key_of):
    """Parameters after the steps, by a loop of optax alone."""
    params = variables["params"]
    remembered = optax.adam(1.0).init(params)
    for step in STEPS:
        batch, key = key_of(step)
        images, labels = method.minibatch(batch, TRAIN)

        def loss(params, images=images, labels=labels, key=key):
            (logits, sites), _ = forward_in_training(
                module, {"params": params}, images, hyper.ratio, key
            )
            return total_loss(logits, labels, sites, hyper.coefficient)

        gradient = jax.grad(loss)(params)
        # The rate changes; what Adam remembers does not depend on it.
        update, remembered = optax.adam(rate_at(step)).update(gradient, remembered)
        params = optax.apply_updates(params, update)
    return params


def assert_alike(found, wanted):
    close = partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-6)
    jax.tree.map(close, found, wanted)


def test_the_network_takes_the_steps_of_optax():
    method, key = method_of(), jax.random.key(3)
    fusion = stage1.new_fusion(method, jax.random.key(0))
    hyper = method.space.beginning

    def key_of(step):
        chance = stage1.Chance.of(method, key, 120, step)
        return chance.choice, chance.original

    after, _ = jax.jit(partial(stage1.fit, method))(fusion, hyper, TRAIN, key, STEPS)
    wanted = by_hand(
        method, method.pair.original, fusion.original.variables, hyper, key_of
    )
    assert_alike(after.original.params, wanted)


def test_each_candidate_has_a_memory_of_its_own():
    """It begins anew in every round, as SGD's does."""
    method, key = method_of(surrogate="fitted", tune=("ratios",)), jax.random.key(5)
    fusion = stage1.new_fusion(method, jax.random.key(0))
    trained, _ = stage1.fit(method, fusion, method.space.beginning, TRAIN, key, STEPS)
    vectors = method.space.latin_hypercube(jax.random.key(1), 3)
    held, nets = stage2.copies(method, trained.surrogate, 3)
    after = stage2.train_population(method, held, nets, vectors, TRAIN, key, STEPS)

    def key_of(step):
        chance = stage2.Chance.of(method, key, 120, step)
        return chance.choice, chance.dropout

    for i, vector in enumerate(vectors):
        hyper = method.space.to_hyper(vector)
        variables = trained.surrogate.variables
        wanted = by_hand(method, method.pair.surrogate, variables, hyper, key_of)
        assert_alike(jax.tree.map(lambda a, i=i: a[i], after.params), wanted)
    counts = [a for a in jax.tree.leaves(after.momentum) if a.dtype == jnp.int32]
    assert [count.tolist() for count in counts] == [[5, 5, 5]]


@pytest.mark.parametrize("surrogate", ["shared", "fitted"])
def test_a_run_goes_on_as_if_it_had_not_been_stopped(tmp_path, surrogate):
    given = SMALL | ADAM | {"surrogate": surrogate}
    folder = tmp_path / "adam"
    stopped = surrojax.tune(
        Table(), *splits(TABLE), workdir=folder, **given | {"max_iterations": 40}
    )
    assert len(stopped.records) == 2
    gone_on = surrojax.tune(Table(), *splits(TABLE), workdir=folder, **given)
    whole = surrojax.tune(Table(), *splits(TABLE), **given)
    same(gone_on, whole, rtol=0, atol=0)
    assert gone_on.history["validation_accuracy"].iloc[-1] > 0.6
    config = json.loads((folder / "config.json").read_text())["config"]
    assert config["optimizer"].endswith("adam") and config["learning_rate"] == 1e-2
    loaded = surrojax.load(folder, network=Table())
    same(loaded, whole, rtol=0, atol=0)
    with pytest.raises(InputError, match=r"optimizer \(.*adam' there, .*adamw' here\)"):
        surrojax.tune(
            Table(),
            *splits(TABLE),
            workdir=folder,
            **given | {"optimizer": optax.adamw},
        )


def test_sgd_of_optax_is_the_default():
    sgd = {"optimizer": partial(optax.sgd, momentum=0.9), "learning_rate": 0.05}
    plain = surrojax.tune(Table(), *splits(TABLE), **SMALL)
    by_optax = surrojax.tune(Table(), *splits(TABLE), **SMALL | sgd)
    assert by_optax.schedule.rows() == plain.schedule.rows()
    same(by_optax, plain, rtol=1e-6, atol=1e-7)


def test_weights_are_given_to_an_optimiser_that_remembers(tmp_path):
    class Small(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(nn.relu(nn.Dense(4)(x)))

    given = Small().init(jax.random.key(9), TABLE[:1])
    run = surrojax.tune(
        Small(), *splits(TABLE), variables=given, **SMALL | ADAM | {"tune": ()}
    )
    assert run.history["validation_accuracy"].iloc[-1] > 0.6


def grows(rate):
    """What it remembers gets longer by a step."""
    return optax.GradientTransformation(
        lambda params: jnp.zeros(1),
        lambda update, seen, params=None: (update, jnp.append(seen, rate)),
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": optax.adam(1e-3)}, "optimizer: has its learning rate already"),
        (
            {"optimizer": "de"},
            "optimizer: trains the network; the search is search='de'",
        ),
        ({"optimizer": "adam"}, "optimizer: 'adam' is no function; give a function of"),
        (
            {"optimizer": optax.adam, "learning_rate": None},
            "optimizer: wants a learning_rate beside it, such as 1e-3",
        ),
        (
            {"optimizer": optax.adam, "momentum": 0.5},
            "momentum: 0.5 is of SGD and has no effect beside optimizer",
        ),
        (
            {"optimizer": lambda rate: None},
            "optimizer: yields a NoneType, no transform",
        ),
        (
            {"optimizer": lambda rate: optax.MultiSteps(optax.adam(rate), 4)},
            r"optimizer: yields a MultiSteps, .*its gradient_transformation\(\)",
        ),
        (
            {"learning_rate": optax.constant_schedule(0.1)},
            "learning_rate: is a function, where a number is wanted",
        ),
        ({"optimizer": lambda: optax.adam(1)}, "optimizer: takes no step .TypeError"),
        (
            {"optimizer": optax.inject_hyperparams(optax.sgd)},
            "optimizer: remembers the learning rate that it begins with",
        ),
        (
            {
                "optimizer": lambda rate: optax.masked(
                    optax.adam(rate), {"kernel": True, "bias": False}
                )
            },
            "optimizer: takes no step .*trunk and head",
        ),
        (
            {"optimizer": grows},
            "optimizer: a step changes the shape or type of what it",
        ),
        (
            {"optimizer": optax.polyak_sgd},
            "optimizer: takes no step .*missing 1 required",
        ),
        ({"search": optax.adam}, "search: is pso, de or ga.*optimizer=optax"),
        ({"search": optax.adam(1.0)}, "search: is pso, de or ga"),
    ],
)
def test_a_mistake_is_one_line(given, message):
    with pytest.raises(InputError, match=message):
        surrojax.tune(Table(), *splits(TABLE), **SMALL | {"learning_rate": 0.1} | given)
