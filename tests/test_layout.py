"""A round is the same on any number of devices, and however copies are worked on."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, tiny_method

from surrojax.algorithm import compile_round, initial_state, play, run
from surrojax.layout import BATCH, SEVERAL, Layout, make_mesh, several
from surrojax.programs import compile_programs
from surrojax.stage1 import fit_settings

KEY = jax.random.key(8)
DEVICES = jax.devices()
ONES = jnp.ones((8, 3))


def mesh_of(count, batch_size=8, replicas=1):
    return make_mesh(DEVICES[:count], batch_size, replicas)


@pytest.mark.parametrize(
    ("count", "batch_size", "shape"),
    [(2, 8, (2, 1)), (4, 8, (2, 2)), (8, 8, (2, 4)), (3, 8, (2, 1)), (8, 6, (2, 3))],
)
def test_a_mesh_has_two_settings_and_splits_the_batch_evenly(count, batch_size, shape):
    mesh = mesh_of(count, batch_size)
    assert (mesh.shape[SEVERAL], mesh.shape[BATCH]) == shape
    assert mesh_of(1) is None
    assert Layout(mesh).devices == shape[0] * shape[1]
    assert Layout(mesh).alone().devices == 1


@pytest.mark.parametrize(("count", "used"), [(2, 2), (3, 3), (5, 5), (8, 5)])
def test_replicas_leave_no_device_idle_that_could_have_one(count, used):
    mesh = mesh_of(count, replicas=5)
    assert (mesh.shape[SEVERAL], mesh.shape[BATCH]) == (used, 1)
    assert mesh_of(1, replicas=5) is None


@pytest.mark.parametrize("together", ["vmap", "loop"])
@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("copies", [1, 2, 6, 9])
def test_spread_is_vmap(together, count, copies):
    layout = Layout(mesh_of(count), together, together)
    x, shift = jnp.arange(3.0 * copies).reshape(copies, 3), jnp.float32(2)

    def f(x, shift):
        return {"a": x.sum() + shift, "b": x * shift}

    expected = jax.vmap(f, in_axes=(0, None))(x, shift)
    for spread in (layout.spread, layout.spread_settings):
        found = jax.jit(partial(spread, f, (0, None)))(x, shift)
        jax.tree.map(np.testing.assert_allclose, found, expected)


@pytest.mark.parametrize(
    ("layout", "loops"),
    [
        (Layout(None, "loop", "vmap"), {"spread_settings"}),
        (Layout(None, "vmap", "loop"), {"spread"}),
    ],
)
def test_settings_and_candidates_have_a_way_each(layout, loops):
    found = {
        name
        for name in ("spread_settings", "spread")
        if "scan" in jaxpr(getattr(layout, name), jnp.sin, (0,), ONES)
    }
    assert found == loops


def jaxpr(spread, f, axes, *arguments):
    return str(jax.make_jaxpr(partial(spread, f, axes))(*arguments))


def test_candidates_are_dealt_to_all_devices_and_settings_to_two():
    layout = Layout(mesh_of(8))
    assert len(shards(layout.spread)) == 8
    assert len(shards(layout.spread_settings)) == 2


def shards(spread):
    """The parts of what is made of eight copies, by their place."""
    made = jax.jit(partial(spread, jnp.sin, (0,)))(ONES)
    return {str(shard.index) for shard in made.addressable_shards}


def test_one_copy_is_no_grouped_convolution():
    """A `vmap` over kernels makes one, between two transpositions; a CPU is slow."""
    images, kernels = jnp.ones((2, 4, 1, 5, 5)), jnp.ones((2, 1, 1, 3, 3))
    convolve = partial(jax.lax.conv, window_strides=(1, 1), padding="VALID")
    spread, axes = Layout().spread, (0, 0)
    assert "transpose" in jaxpr(spread, convolve, axes, images, kernels)
    assert "transpose" not in jaxpr(spread, convolve, axes, images[:1], kernels[:1])


@pytest.mark.parametrize(("settings", "images"), [(1, 1), (2, 2)])
def test_images_are_spread_over_the_devices_of_their_setting(settings, images):
    layout = Layout(mesh_of(8))
    look = partial(layout.spread_settings, lambda x: layout.split_batch(x + ONES), (0,))
    seen = jax.jit(look)(layout.everywhere(jnp.ones(settings)))
    assert {s.data.shape for s in seen.addressable_shards} == {(1, images, 3)}


def records(method, data, fused, rounds=2):
    data, state = method.layout.everywhere((data, initial_state(method, KEY)))
    round_ = (
        compile_round(method, donate=True)
        if fused
        else partial(play, method, compile_programs(method))
    )
    last = rounds * method.iterations_per_round
    return [record for _, record in run(method, data, state, last, lambda _: round_)]


@pytest.mark.parametrize(
    ("fused", "common", "count"),
    [
        (False, True, 2),
        pytest.param(False, True, 8, marks=pytest.mark.slow),
        pytest.param(True, True, 4, marks=pytest.mark.slow),
        pytest.param(True, False, 8, marks=pytest.mark.slow),
    ],
)
def test_rounds_are_the_same_on_any_number_of_devices(tiny_data, fused, common, count):
    method = tiny_method(common_random_numbers=common, population=6)
    expected = records(method, tiny_data, fused)
    there = replace(method, layout=Layout(mesh_of(count)))
    assert_close(records(there, tiny_data, fused), expected, 1e-4)


def test_untuned_rounds_are_the_same_on_4_devices(tiny_data):
    method = tiny_method(tune=())
    there = replace(method, layout=Layout(mesh_of(4)))
    expected = records(method, tiny_data, False)
    assert_close(records(there, tiny_data, False), expected, 1e-4)


def test_loops_give_what_vmaps_give(tiny_data):
    method = tiny_method()
    loops = replace(method, layout=Layout(None, "loop", "loop"))
    expected = records(method, tiny_data, True)
    assert_close(records(loops, tiny_data, True), expected, 1e-4)


@pytest.mark.parametrize("settings", [1, 2])
def test_devices_of_a_setting_exchange_gradients_alone(tiny_data, settings):
    """A named bug: they exchanged levels of dropout dozens of times in every step."""
    method = tiny_method()
    method = replace(method, layout=Layout(mesh_of(8)))
    state = initial_state(method, KEY)
    vectors = several(jnp.asarray(method.space.center), settings)
    program = jax.jit(partial(fit_settings, method))
    given = method.layout.everywhere(
        (
            several(state.fusion, settings),
            vectors,
            tiny_data.train,
            KEY,
            jnp.arange(5),
        )
    )
    text = program.lower(*given).compile().as_text()
    assert text.count("all-reduce(") == 1
    assert not any(word in text for word in ("all-to-all", "collective-permute"))


def test_candidates_are_trained_without_a_word_between_devices(tiny_data):
    """No collective in stage 2's training: its devices need nothing of each other."""
    from surrojax.stage2 import copies, train_population

    method = tiny_method(population=8)
    method = replace(method, layout=Layout(mesh_of(8)))
    state = initial_state(method, KEY)
    nets = copies(method, state.fusion.surrogate, 8).nets
    program = jax.jit(partial(train_population, method, {}))
    given = method.layout.everywhere(
        (nets, state.population, tiny_data.train, KEY, jnp.arange(5))
    )
    text = program.lower(*given).compile().as_text()
    assert "all-reduce" not in text and "all-to-all" not in text
