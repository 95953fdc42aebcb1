"""Layers, the head's sites and dropout, both pairs, and their cost."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.errors import InputError
from surrojax.networks import (
    NETWORKS,
    NO_DROPOUT,
    blank,
    forward,
    init,
    make_pair,
    sites_of,
)
from surrojax.networks.dropout import LEVELS, dropout, levels_at
from surrojax.networks.head import Head
from surrojax.networks.layers import (
    Conv,
    ConvPool,
    max_pool,
    patches,
)
from surrojax.networks.macs import macs, shared_macs
from surrojax.networks.reach import reach
from surrojax.sites import Sites

KEY = jax.random.key(0)
FORMS = ("matmul", "direct", "lax")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 9, 8, 3)).astype(np.float32)
K = 7


def drop(key, p, a):
    return dropout(levels_at(key, a.shape), p, a)


def ratios(z=0.0, V=0.0, x=0.0, W=0.0):
    return Sites(*map(jnp.float32, (z, V, x, W)))


# Convolution and pooling.


def conv_variables(kernel):
    weights = RNG.normal(size=(kernel, kernel, 3, 4)).astype(np.float32)
    bias = np.array([1.0, 2.0, -3.0, 0.5], np.float32)
    return {"params": {"kernel": weights, "bias": bias}}


def loop_conv(images, kernel, bias, stride, pad):
    images = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    k = kernel.shape[0]
    h, w = ((size - k) // stride + 1 for size in images.shape[1:3])
    out = np.zeros((len(images), h, w, kernel.shape[-1]))
    for i in range(h):
        for j in range(w):
            a, b = i * stride, j * stride
            window = images[:, a : a + k, b : b + k]
            out[:, i, j] = np.einsum("bhwc,hwcf->bf", window, kernel) + bias
    return out


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 1, 0), (6, 4, 1)]
)
def test_convolution_is_the_loop_over_windows(form, kernel, stride, pad):
    conv = Conv(4, kernel, stride, pad, form=form)
    variables = conv_variables(kernel)
    actual = jax.jit(conv.apply)(variables, IMAGES)
    expected = loop_conv(IMAGES, **variables["params"], stride=stride, pad=pad)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 1), (2, 2, 1)])
def test_both_convolution_forms_have_the_same_gradient(kernel, stride, pad):
    forms = [Conv(4, kernel, stride, pad, form=form) for form in FORMS]
    variables = conv_variables(kernel)

    def loss(conv):
        return lambda v, images: jnp.sum(jnp.sin(conv.apply(v, images)))

    first, *others = (
        jax.jit(jax.grad(loss(conv), (0, 1)))(variables, IMAGES) for conv in forms
    )
    for other in others:
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(9, 8), (12, 12), (7, 11)])
def test_pooling_inside_the_matrix_product_is_convolution_then_pooling(size):
    """Values and gradients; a remainder is dropped by both."""
    images = RNG.normal(size=(2, *size, 3)).astype(np.float32)
    forms = [ConvPool(4, 3, form=form) for form in ("matmul", "lax")]
    variables = conv_variables(3)

    def loss(layer):
        return lambda v, images: jnp.sum(jnp.sin(layer.apply(v, images)))

    outputs = [layer.apply(variables, images) for layer in forms]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5)
    first, second = (jax.grad(loss(f), (0, 1))(variables, images) for f in forms)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_of_equal_neighbours_the_first_has_the_gradient():
    """As Caffe and PyTorch have it; the whole gradient, and only once."""
    layer = ConvPool(1, 1)
    variables = {"params": {"kernel": jnp.ones((1, 1, 1, 1)), "bias": jnp.zeros(1)}}
    images = jnp.array([[2.0, 2.0], [2.0, 1.0]]).reshape(1, 2, 2, 1)
    gradient = jax.grad(lambda images: layer.apply(variables, images).sum())(images)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize(("kernel", "stride"), [(3, 3), (3, 2), (2, 1)])
def test_patches_are_the_windows_row_by_row(kernel, stride):
    actual = np.asarray(patches(jnp.asarray(IMAGES), kernel, stride))
    for i in range(actual.shape[1]):
        for j in range(actual.shape[2]):
            a, b = i * stride, j * stride
            window = IMAGES[:, a : a + kernel, b : b + kernel]
            np.testing.assert_array_equal(actual[:, i, j], window.reshape(2, -1))
    assert actual.shape[1] == (9 - kernel) // stride + 1
    assert actual.shape[2] == (8 - kernel) // stride + 1


@pytest.mark.parametrize("window", [2, 3])
def test_max_pool_drops_the_remainder(window):
    actual = np.asarray(max_pool(jnp.asarray(IMAGES), window))
    assert actual.shape == (2, 9 // window, 8 // window, 3)
    for i in range(actual.shape[1]):
        for j in range(actual.shape[2]):
            a, b = i * window, j * window
            block = IMAGES[:, a : a + window, b : b + window]
            np.testing.assert_array_equal(actual[:, i, j], block.max(axis=(1, 2)))


# Dropout.


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_eq_7_drops_a_share_of_p_and_scales_the_rest(wrap, p):
    a = np.full((100, 100), 3.0, np.float32)
    dropped = np.asarray(wrap(drop)(KEY, jnp.float32(p), a))
    assert (dropped == 0).mean() == pytest.approx(p, abs=0.02)
    np.testing.assert_allclose(dropped[dropped != 0], 3 / (1 - p), rtol=1e-5)
    assert dropped.mean() == pytest.approx(3.0, rel=0.1)


def test_dropout_of_ratio_0_is_the_identity():
    np.testing.assert_array_equal(drop(KEY, jnp.float32(0.0), IMAGES), IMAGES)


@pytest.mark.parametrize("p", [0.3, 0.01, 0.95])
def test_dropout_keeps_where_the_level_is_at_least_the_ratio(p):
    levels, a = levels_at(KEY, (50, 40)), jnp.ones((50, 40))
    kept = np.asarray(dropout(levels, jnp.float32(p), a)) != 0
    np.testing.assert_array_equal(kept, np.asarray(levels) >= np.round(p * 65536))


def test_levels_are_uniform_and_independent_of_each_other():
    """A stream of 16-bit halves of Threefry's words, cut into the shapes asked for."""
    shapes = Sites((300, 401), (5, 7, 3), None, (64,))
    levels = levels_at(KEY, shapes)
    assert levels.x is None
    assert (levels.z.shape, levels.V.shape, levels.W.shape) == (
        (300, 401),
        (5, 7, 3),
        (64,),
    )
    z = np.asarray(levels.z, np.int64).ravel()
    assert z.min() >= 0 and z.max() < LEVELS
    counts = np.histogram(z, bins=64, range=(0, LEVELS))[0]
    chi_squared = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert chi_squared < 63 + 5 * np.sqrt(2 * 63)
    for lag in (1, 512, z.size // 2, z.size // 4):
        correlation = np.corrcoef(z[:-lag], z[lag:])[0, 1]
        assert abs(correlation) < 5 / np.sqrt(z.size - lag)
    other = levels_at(jax.random.key(1), shapes)
    assert (np.asarray(levels.z) == np.asarray(other.z)).mean() < 1e-3


def test_a_key_draws_the_same_levels_for_the_same_shapes():
    compiled = jax.jit(levels_at, static_argnums=1)
    np.testing.assert_array_equal(levels_at(KEY, (9, 9)), compiled(KEY, (9, 9)))


def test_dropout_masks_of_one_key_are_nested():
    a = jnp.ones((50, 40))
    p = jnp.array([0.0, 0.3, 0.6, 0.9])
    masks = np.asarray(jax.jit(jax.vmap(drop, (None, 0, None)))(KEY, p, a)) == 0
    for few, many in zip(masks, masks[1:], strict=False):
        assert (many | ~few).all() and many.sum() > few.sum()
    np.testing.assert_array_equal(masks[1], np.asarray(drop(KEY, p[1], a)) == 0)


def test_gradient_passes_through_what_dropout_kept():
    a, p = jnp.ones((20, 20)), jnp.float32(0.25)
    gradient = jax.grad(lambda a: drop(KEY, p, a).sum())(a)
    np.testing.assert_array_equal(gradient, drop(KEY, p, a))


# The head: where its sites lie.

EYE = {
    "params": {
        "V": jnp.eye(40),
        "bias_V": jnp.zeros(40),
        "W": jnp.eye(40),
        "bias_W": jnp.zeros(40),
    }
}
Z = jnp.asarray(RNG.uniform(1, 2, (30, 40)), jnp.float32)


def run_head(ratio, train=True, variables=EYE):
    head = Head(40, hidden=40)
    return head.apply(variables, Z, ratio, train=train, rngs={"dropout": KEY})


def test_head_without_dropout_is_two_layers_with_relu_between():
    head = Head(K, hidden=5)
    params = head.init(KEY, Z, NO_DROPOUT, train=False)["params"]
    params = params | {"bias_V": jnp.full(5, -0.1), "bias_W": jnp.full(K, 0.2)}
    logits, sites = head.apply({"params": params}, Z, NO_DROPOUT, train=False)
    V, W = np.asarray(params["V"]), np.asarray(params["W"])
    x = np.maximum(np.asarray(Z) @ V - 0.1, 0)
    np.testing.assert_allclose(sites.x, x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits, x @ W + 0.2, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(sites.z, Z)
    np.testing.assert_array_equal(sites.V, V)
    np.testing.assert_array_equal(sites.W, W)


def test_head_without_fc2_yields_its_logits_from_z():
    head = Head(K)
    variables = head.init(KEY, Z, NO_DROPOUT, train=False)
    logits, sites = head.apply(variables, Z, NO_DROPOUT, train=False)
    assert set(variables["params"]) == {"V", "bias_V"}
    np.testing.assert_allclose(logits, Z @ variables["params"]["V"], rtol=1e-4)
    assert sites.x is None and sites.W is None


def test_penalty_sees_z_before_its_dropout_and_x_after_that_of_z():
    logits, sites = run_head(ratios(z=0.5))
    np.testing.assert_array_equal(sites.z, Z)
    x = np.asarray(sites.x)
    kept = x != 0
    assert kept.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(x[kept], 2 * np.asarray(Z)[kept], rtol=1e-5)
    np.testing.assert_allclose(logits, x, rtol=1e-6)
    assert len(np.unique(kept, axis=0)) == len(Z)  # one mask a sample


def test_penalty_sees_x_before_its_dropout():
    logits, sites = run_head(ratios(x=0.5))
    np.testing.assert_allclose(sites.x, Z, rtol=1e-6)
    logits = np.asarray(logits)
    kept = logits != 0
    assert kept.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(logits[kept], 2 * np.asarray(Z)[kept], rtol=1e-5)
    assert len(np.unique(kept, axis=0)) == len(Z)


@pytest.mark.parametrize("site", ["V", "W"])
def test_penalty_sees_weights_before_their_dropout(site):
    logits, sites = run_head(ratios(**{site: 0.5}))
    np.testing.assert_array_equal(getattr(sites, site), EYE["params"][site])
    kept = np.asarray(logits) != 0
    assert 0.2 < kept[0].mean() < 0.8
    assert (kept == kept[0]).all()  # one mask a step
    np.testing.assert_allclose(
        np.asarray(logits)[kept], 2 * np.asarray(Z)[kept], rtol=1e-5
    )
    np.testing.assert_array_equal(np.asarray(sites.x) != 0, kept if site == "V" else 1)


def test_the_four_sites_draw_masks_of_their_own():
    masks = []
    for site in ("z", "x", "V", "W"):
        logits, _ = run_head(ratios(**{site: 0.5}))
        masks.append(tuple(np.asarray(logits)[0] != 0))
    assert len(set(masks)) == 4


def test_evaluation_drops_nothing():
    logits, sites = run_head(ratios(0.9, 0.9, 0.9, 0.9), train=False)
    np.testing.assert_allclose(logits, Z, rtol=1e-6)
    np.testing.assert_allclose(sites.x, Z, rtol=1e-6)


def test_training_with_ratio_0_is_evaluation():
    np.testing.assert_allclose(run_head(ratios())[0], Z, rtol=1e-6)


# The pairs.


@pytest.mark.parametrize("form", ["matmul", "lax"])
@pytest.mark.parametrize(
    ("name", "original", "surrogate"),
    [("lenet", 2_291_500, 442_700), ("resnet20", 30_821_056, 113_344)],
)
def test_multiply_accumulates_of_table_2(form, name, original, surrogate):
    pair = make_pair(name, K, form)
    assert macs(pair.original, blank(pair)) == original
    assert macs(pair.surrogate, blank(pair)) == surrogate


@pytest.mark.parametrize(
    ("layers", "own"),
    [
        (0, 800 * 500 + 500 * K),
        (1, 8 * 8 * 5 * 5 * 20 * 50 + 800 * 500 + 500 * K),
        (2, 2_291_500),
    ],
)
def test_a_candidate_that_shares_the_trunk_costs_its_layers_and_its_part_of_the_rest(
    layers, own
):
    pair = make_pair("lenet", K)
    trained = reach(pair.original, blank(pair), layers)
    assert shared_macs(pair, 6, trained) == own + (2_291_500 - own) // 18


@pytest.mark.parametrize("form", ["matmul", "direct", "lax"])
def test_candidates_reach_the_last_layers_and_what_is_computed_after_them(form):
    pair = make_pair("resnet20", K, form)
    head = {("params", "head", name) for name in ("V", "bias_V")}
    assert reach(pair.original, blank(pair), 0) == head
    trained = reach(pair.original, blank(pair), 2)
    assert {path[1] for path in trained} == {
        *("Conv_17", "Conv_18", "BatchNorm_17", "BatchNorm_18", "head")
    }
    assert ("batch_stats", "BatchNorm_18", "mean") in trained
    # One FC layer, 64 units to K classes, and the last block's two convolutions.
    own = 64 * K + 2 * 7 * 7 * 3 * 3 * 64 * 64
    assert shared_macs(pair, 7, trained) == own + (30_821_056 - own) // 21


def test_slopes_and_the_first_layer_are_reached_with_their_layer():
    pair = make_pair("mresnet", K, "lax")
    trained = reach(pair.original, blank(pair), 2)
    assert {path[1:3] for path in trained if path[1] != "head"} == {
        ("ResBl4_3", "CoPr1"),
        ("ResBl4_3", "CoPr2"),
    }
    assert ("params", "ResBl4_3", "CoPr2", "slope") in trained


def test_a_reach_beyond_the_first_layer_is_refused():
    pair = make_pair("lenet", K)
    assert len(reach(pair.original, blank(pair), 2)) == 8  # all
    with pytest.raises(InputError, match="shared_layers: 3 is more than the 2 layers"):
        reach(pair.original, blank(pair), 3)


def test_lenet_macs_follow_from_its_layers():
    convolutions = 24 * 24 * 5 * 5 * 1 * 20 + 8 * 8 * 5 * 5 * 20 * 50
    assert convolutions + 800 * 500 + 500 * K == 2_291_500
    assert 4 * 4 * 7 * 7 * 50 + 800 * 500 + 500 * K == 442_700


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("lenet", Sites((3, 800), (800, 500), (3, 500), (500, K))),
        ("resnet20", Sites((3, 64), (64, K), None, None)),
    ],
)
def test_sites_of_original_and_surrogate_have_the_same_shapes(name, shapes):
    pair = make_pair(name, K)
    for module in (pair.original, pair.surrogate):
        sites = sites_of(module, blank(pair, 3))
        assert Sites(*(s and s.shape for s in sites)) == shapes
    assert blank(pair, 3).shape == (3, 28, 28, 1)


def test_unknown_network():
    with pytest.raises(KeyError):
        make_pair("vgg", K)
    assert tuple(NETWORKS) == ("lenet", "resnet20", "mresnet")


@cache
def drawn(name, which):
    pair = make_pair(name, K)
    return jax.jit(lambda: init(getattr(pair, which), KEY, blank(pair)))()


def leaves(name, which):
    return jax.tree_util.tree_leaves_with_path(drawn(name, which)["params"])


@pytest.mark.parametrize("which", ["original", "surrogate"])
def test_lenet_begins_uniform_within_root_3_over_fan_in(which):
    kernels = 0
    for path, leaf in leaves("lenet", which):
        if leaf.ndim == 1:
            assert "bias" in jax.tree_util.keystr(path)
            np.testing.assert_array_equal(leaf, 0)
            continue
        kernels += 1
        bound = np.sqrt(3 / np.prod(leaf.shape[:-1]))
        assert 0.95 * bound < np.abs(leaf).max() <= bound
        assert np.std(leaf) == pytest.approx(bound / np.sqrt(3), rel=0.1)
        assert abs(np.mean(leaf)) < 0.1 * bound
    assert kernels == {"original": 4, "surrogate": 3}[which]


@pytest.mark.parametrize("which", ["original", "surrogate"])
def test_resnet20_begins_he_normal(which):
    kernels = 0
    for _, leaf in leaves("resnet20", which):
        if leaf.ndim > 1:
            kernels += 1
            expected = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            assert np.std(leaf) == pytest.approx(expected, rel=0.2)
    assert kernels == {"original": 20, "surrogate": 2}[which]


def test_lenet_forms_agree():
    images = RNG.normal(size=(2, 28, 28, 1)).astype(np.float32)
    pair, other = make_pair("lenet", K, "matmul"), make_pair("lenet", K, "lax")
    variables = drawn("lenet", "original")
    (logits, sites), (expected, _) = (
        jax.jit(lambda v, m=module: forward(m, v, images))(variables)
        for module in (pair.original, other.original)
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert (np.asarray(sites.z) < 0).any()  # no activation after the convolutions
    assert (np.asarray(sites.x) >= 0).all()


def test_bfloat16_goes_through_all_of_resnet20():
    original = make_pair("resnet20", K, "lax").original
    variables = drawn("resnet20", "original")
    images = jnp.zeros((1, 28, 28, 1), jnp.bfloat16)
    program = jax.make_jaxpr(partial(original.apply, train=False))
    outputs = str(program(variables, images, NO_DROPOUT)).splitlines()
    found = [line.split(":")[1][:4] for line in outputs if "= conv_general" in line]
    assert found == ["bf16"] * 19


@pytest.mark.parametrize("train", [True, False])
def test_resnet20_statistics_change_in_training_only(train):
    original = make_pair("resnet20", K, "lax").original
    images = 2 + RNG.normal(size=(4, 12, 12, 1)).astype(np.float32)
    variables = drawn("resnet20", "original")

    def run(variables):
        rngs, mutable = {"dropout": KEY}, ["batch_stats"]
        return original.apply(
            variables, images, ratios(), train, mutable=mutable, rngs=rngs
        )

    (_, sites), after = jax.jit(run)(variables)
    assert (np.asarray(sites.z) >= 0).all()
    pairs = list(
        zip(
            jax.tree.leaves(variables["batch_stats"]),
            jax.tree.leaves(after["batch_stats"]),
            strict=True,
        )
    )
    assert len(pairs) == 2 * 19
    for old, new in pairs:
        assert (np.asarray(old) != np.asarray(new)).any() == train


def test_the_surrogate_of_resnet20_has_no_statistics():
    assert set(drawn("resnet20", "surrogate")) == {"params"}


@pytest.mark.parametrize(("name", "signed"), [("lenet", True), ("resnet20", False)])
def test_the_surrogates_z_has_the_sign_of_the_originals(name, signed):
    surrogate = make_pair(name, K).surrogate
    images = RNG.normal(size=(4, 28, 28, 1)).astype(np.float32)
    _, sites = jax.jit(lambda v: forward(surrogate, v, images))(
        drawn(name, "surrogate")
    )
    assert (np.asarray(sites.z) < 0).any() == signed


def test_head_passes_a_gradient_to_every_weight_in_training():
    head = Head(K, hidden=5, activation=nn.tanh)
    params = head.init(KEY, Z, NO_DROPOUT, train=False)["params"]

    def loss(params):
        logits, _ = head.apply(
            {"params": params},
            Z,
            ratios(0.5, 0.5, 0.5, 0.5),
            True,
            rngs={"dropout": KEY},
        )
        return jnp.sum(logits[:, 0])

    gradient = jax.jit(jax.grad(loss))(params)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all() and (leaf != 0).any()
