"""The PyTorch yardstick takes the same steps as both stages, mask by mask."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_method

from surrojax import stage1, stage2
from surrojax.data.augment import Augment, Look
from surrojax.evaluate import Views, evaluate
from surrojax.networks import make_pair
from surrojax.sgd import Arrays, Targets
from surrojax.sites import Hyper, Sites

torch = pytest.importorskip("torch")
port = pytest.importorskip("benchmarks.pytorch")

K, BATCH, SAMPLES = 7, 8, 20
KEY = jax.random.key(0)
STEPS = (4000, 4001, 4002)
SIZES = {"lenet": (28, 1), "resnet20": (28, 1), "mresnet": (99, 3)}
NAMES = ["lenet"] + [
    pytest.param(name, marks=pytest.mark.slow) for name in ("resnet20", "mresnet")
]
HYPER = Hyper(
    Sites(*map(jnp.float32, (1e-3, 1e-4, 2e-3, 2e-4))),
    Sites(*map(jnp.float32, (0.2, 0.3, 0.5, 0.1))),
)
FACTORS = jnp.array([0.5, 1.0, 1.5])
POPULATION = jax.tree.map(lambda a: a * FACTORS, HYPER)


@cache
def method_of(name):
    look = Look(*SIZES[name])
    return replace(
        tiny_method(batch_size=BATCH),
        pair=make_pair(name, K, image_size=look.size, channels=look.channels),
        augment=Augment(look, True),
        views=Views(look.see_center),
    )


def chance_of(stage, method, step):
    return stage.Chance.of(method, KEY, SAMPLES, jnp.int32(step))


@cache
def program_of(function, method):
    return jax.jit(partial(function, method))


def noise(size):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (SAMPLES, size, size, 1))
    labels = jnp.asarray(rng.integers(0, K, SAMPLES), jnp.int32)
    return Arrays(jnp.asarray(images, jnp.uint8), Targets(labels))


def batch_of(method, chance, train):
    """The minibatch of a step, for PyTorch."""
    images, labels = method.minibatch(chance.choice, train)
    images = torch.tensor(np.array(images)).permute(0, 3, 1, 2)
    return port.Batch(images, torch.tensor(np.array(labels, np.int64)))


@cache
def sower_of(module):
    """Its dropout levels, jitted: of variables, images and a key."""

    def sown(variables, images, key):
        _, state = module.apply(
            variables,
            images,
            HYPER.ratio,
            train=True,
            mutable=["batch_stats", "intermediates"],
            rngs={"dropout": key},
        )
        return state["intermediates"]["head"]["levels"][0]

    return jax.jit(sown)


def levels_of(module, net, batch, key):
    """The levels that a module draws from a key, for PyTorch."""
    images = jnp.asarray(batch.images.permute(0, 2, 3, 1).numpy())
    sites = sower_of(module)(net.variables, images, key)._asdict()
    return {
        site: torch.tensor(np.array(a, np.float32))
        for site, a in sites.items()
        if a is not None
    }


def ported(name, fusion):
    pair = port.make_pair(name, K, *SIZES[name])
    for network, net in zip(pair, (fusion.original, fusion.surrogate), strict=True):
        port.load(network, net.variables)
    return pair


def assert_same_change(network, net, before, tolerance=1e-3):
    """All parameters have moved from `before` as the Flax module's have."""
    wanted, start = (port.from_flax({"params": a}) for a in (net.params, before.params))
    found = dict(network.named_parameters())
    assert found.keys() == wanted.keys()
    for name, a in wanted.items():
        change = (a - start[name]).norm()
        assert change > 1e-6, name
        assert (found[name].detach() - a).norm() < tolerance * change, name


@pytest.mark.parametrize("name", NAMES)
def test_stage_1_takes_the_same_steps(name):
    method, train = method_of(name), noise(SIZES[name][0])
    before = fusion = stage1.new_fusion(method, KEY)
    original, surrogate = ported(name, fusion)
    fitted = port.Stage1(original, surrogate, HYPER)
    fit_step = program_of(stage1.fit_step, method)
    for step in STEPS:
        chance = chance_of(stage1, method, step)
        batch = batch_of(method, chance, train)
        levels = [
            levels_of(method.pair.original, fusion.original, batch, chance.original),
            levels_of(method.pair.surrogate, fusion.surrogate, batch, chance.surrogate),
        ]
        fusion, losses = fit_step(fusion, HYPER, train, chance)
        found = fitted.step(step, batch, levels)
        same = partial(np.testing.assert_allclose, rtol=1e-4)
        same(found.loss, losses["loss"])
        same(found.surrogate_loss, losses["surrogate_loss"])
        for site, distance in found.euclidean.items():
            same(distance, getattr(losses["euclidean"], site))
        # Rounding decides over some of the many units near 0 of 19 layers.
        tolerance = 2e-2 if name == "resnet20" else 1e-3
        assert_same_change(original, fusion.original, before.original, tolerance)
        assert_same_change(surrogate, fusion.surrogate, before.surrogate)
    running = port.from_flax(fusion.original.stats)
    for statistic, value in original.named_buffers():
        if not statistic.endswith("num_batches_tracked"):
            # Flax's variance is the biased estimate.
            np.testing.assert_allclose(value, running[statistic], rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("form", port.FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_stage_2_takes_the_same_steps(name, form):
    method, train = method_of(name), noise(SIZES[name][0])
    fusion = stage1.new_fusion(method, KEY)
    population = port.Stage2(ported(name, fusion)[1], POPULATION, form)
    before = method.fresh(fusion.surrogate.variables)
    nets = [before] * len(FACTORS)
    candidate_step = program_of(stage2.candidate_step, method)
    for step in STEPS:
        chance = chance_of(stage2, method, step)
        batch = batch_of(method, chance, train)
        levels = levels_of(method.pair.surrogate, before, batch, chance.dropout)
        hypers = [jax.tree.map(lambda a, i=i: a[i], POPULATION) for i in range(3)]
        nets = [
            candidate_step({}, net, hyper, train, chance)
            for net, hyper in zip(nets, hypers, strict=True)
        ]
        population.step(step, batch, levels)
    for network, net in zip(population.networks, nets, strict=True):
        assert_same_change(network, net, before)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_measures_the_same(name):
    method, data = method_of(name), noise(SIZES[name][0])
    fusion = stage1.new_fusion(method, KEY)
    nets, modules = (fusion.original, fusion.surrogate), method.pair
    networks = ported(name, fusion)
    found = port.evaluate(networks, split_of(data), port.Look(*SIZES[name]), 8)
    for measured, net, module in zip(
        found, nets, (modules.original, modules.surrogate), strict=True
    ):
        wanted = evaluate(module, method.views, net.variables, data, 8)
        for figure, value in measured._asdict().items():
            np.testing.assert_allclose(value, getattr(wanted, figure), rtol=1e-4)
    assert all(network.training for network in networks)


def split_of(data):
    labels = torch.tensor(np.array(data.labels, np.int64))
    return port.Split(torch.tensor(np.array(data.images)), labels)


@pytest.mark.parametrize("look", [(28, 1), (28, 3), (48, 1), (99, 3), (227, 3)])
def test_images_are_seen_the_same(look):
    images = noise(48).images[:4]
    found = port.see(torch.tensor(np.array(images)), port.Look(*look))
    assert found.is_contiguous(memory_format=torch.channels_last)
    wanted = Look(*look).see_center(images, 0)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), wanted, atol=1e-4)


def test_minibatches_are_rows_of_the_split_half_of_them_mirrored():
    train = split_of(noise(28))
    torch.manual_seed(0)
    batch = port.draw_batch(train, port.Look(28, 1), 1000)
    plain = port.see(train.images, port.Look(28, 1))
    sides = {False: plain, True: plain.flip(3)}
    is_row = {
        mirrored: (batch.images[:, None] == side).flatten(2).all(2)
        for mirrored, side in sides.items()
    }
    rows = is_row[False] | is_row[True]
    assert (rows.sum(1) == 1).all()
    assert (rows.sum(0) > 0).all()
    assert (train.labels[rows.int().argmax(1)] == batch.labels).all()
    assert 0.4 < is_row[True].any(1).float().mean() < 0.6


def test_masks_keep_the_share_that_they_should():
    torch.manual_seed(0)
    shapes = {"z": (300, 301), "V": (301, 200), "x": (300, 200), "W": (200, 7)}
    (levels,) = port.draw_levels([shapes])
    assert {site: tuple(a.shape) for site, a in levels.items()} == shapes
    masks = port.masks_of(levels, port.Setting.of(HYPER))
    for site, p in HYPER.ratio._asdict().items():
        kept = (masks[site] > 0).float().mean()
        np.testing.assert_allclose(kept, 1 - p, atol=0.03)
        np.testing.assert_allclose(masks[site].max(), 1 / (1 - p), rtol=1e-6)


@pytest.mark.parametrize("form", port.FORMS)
def test_a_round_retains_the_better_of_its_settings(form):
    torch.manual_seed(0)
    split, look = split_of(noise(28)), port.Look(28, 1)
    retained = port.Stage1(*port.make_pair("lenet", K, *look), HYPER)
    start = retained.original.head.V.detach().clone()
    hopeless = Hyper(Sites(9.0, 9.0, 9.0, 9.0), HYPER.ratio)
    plain = Hyper(Sites(0.0, 0.0, 0.0, 0.0), Sites(0.0, 0.0, 0.0, 0.0))
    result = port.train_round(
        retained, (hopeless, plain), POPULATION, split, split, look, range(30), 8, form
    )
    accuracies = [original.accuracy for original, _ in result.stage1]
    assert accuracies[1] > accuracies[0]
    assert not any(result.retained.setting.coefficient.values())
    assert len(result.stage2) == 3
    assert len({score.cross_entropy for score in result.stage2}) == 3
    torch.testing.assert_close(retained.original.head.V.detach(), start)


def test_without_a_compiler_the_steps_are_taken_and_the_reason_is_kept(monkeypatch):
    def broken(function):
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", broken)
    port.compiler_fault.cache_clear()
    try:
        assert port.compiler_fault() == "RuntimeError: no C++ compiler"
        pair = port.make_pair("resnet20", K, 28, 1)
        stage = port.Stage1(*pair, HYPER, compiled=True)
        batch = port.draw_batch(split_of(noise(28)), port.Look(28, 1), BATCH)
        losses = stage.step(0, batch, port.draw_levels(stage.shapes(BATCH)))
        assert torch.isfinite(losses.loss)
    finally:
        port.compiler_fault.cache_clear()
