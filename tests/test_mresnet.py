"""M-ResNet, its surrogate and its parent, against the paper's Figure 3."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.errors import InputError
from surrojax.networks import NO_DROPOUT, blank, init, make_pair, sites_of
from surrojax.networks.layers import matching
from surrojax.networks.macs import macs, macs_by_layer
from surrojax.networks.mresnet import CoPr, FaceNet, MResNet, MResNetSurrogate, ResBl
from surrojax.sites import Sites

K = 7
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)

# Layer, kernel, input maps, output maps, side of the output, bias; in order.
CONVOLUTIONS = [
    ("CoPr1", 9, 3, 32, 110, True),
    ("CoPr2", 3, 32, 64, 108, True),
    *(("ResBl1", 3, 64, 64, 54, False),) * 2,
    ("CoPr3", 3, 64, 128, 52, True),
    *(("ResBl2", 3, 128, 128, 26, False),) * 4,
    ("CoPr4", 3, 128, 256, 24, True),
    *(("ResBl3", 3, 256, 256, 12, False),) * 10,
    ("CoPr5", 3, 256, 512, 10, True),
    *(("ResBl4", 3, 512, 512, 5, False),) * 6,
]
OF_A_SURROGATE = [("CoPr1", 6, 3, 16, 39, True), ("CoPr2", 3, 16, 512, 5, True)]

# Sums of a layer's convolutions, as the figure's table has them.
PRINTED = {
    "CoPr1": 94_089_600,
    "CoPr2": 214_990_848,
    "ResBl1": 214_990_848,
    "CoPr3": 199_360_512,
    "ResBl2": 398_721_024,
    "CoPr4": 169_869_312,
    "ResBl3": 849_346_560,
    "CoPr5": 117_964_800,
    "ResBl4": 353_894_400,
    "FC1": 4_915_200,
    "FC2": 2_688,
}


def cost(convolution):
    _, kernel, inputs, outputs, side, _ = convolution
    return side**2 * kernel**2 * inputs * outputs


def parameters(convolution):
    _, kernel, inputs, outputs, _, bias = convolution
    return kernel**2 * inputs * outputs + outputs * (1 + bias)  # with the slopes


def size_of(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@cache
def shapes(module, *size):
    image = jnp.zeros((1, *size, 3))
    if isinstance(module, FaceNet):
        return jax.eval_shape(module.init, KEY, image)["params"]
    return jax.eval_shape(lambda: init(module, KEY, image))["params"]


@pytest.mark.parametrize("form", ["matmul", "direct", "lax"])
def test_every_layer_costs_what_figure_3_says(form):
    pair = make_pair("mresnet", K, form)
    counted = macs_by_layer(pair.original, blank(pair))
    fc = [12_800 * 384, 384 * K]
    assert counted == [cost(c) for c in CONVOLUTIONS] + fc
    names = [c[0] for c in CONVOLUTIONS] + ["FC1", "FC2"]
    sums = {
        n: sum(m for m, o in zip(counted, names, strict=True) if o == n) for n in names
    }
    assert sums == PRINTED
    assert macs(pair.original, blank(pair)) == 2_618_145_792


def test_every_layer_of_the_surrogate_costs_what_figure_3_says():
    pair = make_pair("mresnet", K)
    counted = macs_by_layer(pair.surrogate, blank(pair))
    assert counted == [2_628_288, 1_843_200, 4_915_200, 2_688]
    assert counted[:2] == [cost(c) for c in OF_A_SURROGATE]
    assert macs(pair.surrogate, blank(pair)) == 9_389_376


def test_parameters_follow_from_the_layers():
    head = 12_800 * 384 + 384 + 384 * K + K
    original = shapes(MResNet(K), 227, 227)
    for name in {c[0] for c in CONVOLUTIONS}:
        layers = {n: p for n, p in original.items() if n.split("_")[0] == name}
        assert size_of(layers) == sum(
            parameters(c) for c in CONVOLUTIONS if c[0] == name
        )
    assert size_of(original) == sum(map(parameters, CONVOLUTIONS)) + head
    surrogate = shapes(MResNetSurrogate(K), 227, 227)
    assert size_of(surrogate) == sum(map(parameters, OF_A_SURROGATE)) + head


@pytest.mark.parametrize("classes", [2, 6, 11])
def test_original_and_surrogate_have_the_same_sites_for_any_number_of_classes(classes):
    pair = make_pair("mresnet", classes)
    expected = Sites((3, 12_800), (12_800, 384), (3, 384), (384, classes))
    for module in (pair.original, pair.surrogate):
        assert Sites(*(s.shape for s in sites_of(module, blank(pair, 3)))) == expected


@pytest.mark.parametrize("name", ["lenet", "mresnet"])
def test_the_surrogate_matches_at_any_size_of_image(name):
    """z of 512 at 99 pixels, the least size."""
    least, step = {"lenet": (16, 1), "mresnet": (99, 3)}[name]
    for size in (*range(least, least + 40, step), 160, 227, 300):
        pair = make_pair(name, K, image_size=size)
        a, b = (
            sites_of(m, blank(pair)).z.shape for m in (pair.original, pair.surrogate)
        )
        assert a == b and a[1] > 0
    with pytest.raises(InputError, match=f"image_size: {least - 1} is too small"):
        make_pair(name, K, image_size=least - 1)
    small = make_pair("mresnet", K, image_size=99)
    assert sites_of(small.original, blank(small)).z.shape == (1, 512)


def test_matching_is_the_papers_where_the_paper_has_a_value():
    assert matching(28, 4) == (7, 0)  # LeNet's surrogate
    assert matching(13, 5) == (3, 1)  # M-ResNet's
    for side in range(1, 60):
        for wanted in range(1, side + 1):
            kernel, pad = matching(side, wanted)
            assert (side + 2 * pad - kernel) // kernel + 1 == wanted


def test_prelu_has_one_slope_a_map():
    module = CoPr(2, kernel=1)
    params = {
        "conv": {
            "kernel": jnp.array([[[[1.0, 1.0]]]]),
            "bias": jnp.array([0.0, 1.0]),
        },
        "slope": jnp.array([0.5, -2.0]),
    }
    images = jnp.array([-4.0, -1.0, 0.0, 3.0]).reshape(1, 2, 2, 1)
    actual = module.apply({"params": params}, images)
    np.testing.assert_allclose(actual[..., 0].ravel(), [-2.0, -0.5, 0.0, 3.0])
    np.testing.assert_allclose(actual[..., 1].ravel(), [6.0, 0.0, 1.0, 4.0])


def test_nothing_follows_the_sum_of_a_residual_block():
    u = RNG.normal(size=(1, 5, 5, 4)).astype(np.float32)
    variables = ResBl().init(KEY, u)
    still = jax.tree.map(jnp.zeros_like, variables)
    np.testing.assert_array_equal(ResBl().apply(still, u), u)  # negative values as well
    y = u
    for name in ("CoPr1", "CoPr2"):
        layer = CoPr(4, pad=1, use_bias=False)
        y = layer.apply({"params": variables["params"][name]}, y)
    np.testing.assert_allclose(ResBl().apply(variables, u), u + y, rtol=1e-5, atol=1e-7)


def test_initialisation_is_that_of_the_parent():
    params = jax.jit(lambda: init(MResNet(K), KEY, jnp.zeros((1, 99, 99, 3))))()[
        "params"
    ]
    residual = params["ResBl4_3"]["CoPr1"]
    assert set(residual["conv"]) == {"kernel"}
    assert np.std(residual["conv"]["kernel"]) == pytest.approx(0.01, rel=0.02)
    plain = params["CoPr4"]
    bound = np.sqrt(3 / (9 * 128))
    assert 0.99 * bound < np.abs(plain["conv"]["kernel"]).max() <= bound
    np.testing.assert_array_equal(plain["conv"]["bias"], 0)
    np.testing.assert_array_equal(plain["slope"], 0.25)


def test_all_layers_but_the_first_convolution_and_fc_are_shaped_as_the_parents():
    child, parent = shapes(MResNet(K), 227, 227), shapes(FaceNet(), 112, 96)
    assert set(parent) - set(child) == {"FC1"}
    assert set(child) - set(parent) == {"head"}
    for name in set(child) & set(parent):
        same = jax.tree.map(lambda a, b: a.shape == b.shape, child[name], parent[name])
        assert all(jax.tree.leaves(same)) == (name != "CoPr1")
    assert parent["CoPr1"]["conv"]["kernel"].shape == (3, 3, 3, 32)
    assert parent["FC1"]["kernel"].shape == (5 * 4 * 512, 512)


def test_bfloat16_computes_in_it_and_keeps_float32_outside():
    module = MResNetSurrogate(K)
    images = jnp.asarray(RNG.normal(size=(2, 99, 99, 3)), jnp.float32)
    variables = jax.jit(lambda: init(module, KEY, images))()
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    exact, _ = module.apply(variables, images, NO_DROPOUT, train=False)
    run = lambda x: module.apply(variables, x, NO_DROPOUT, train=False)  # noqa: E731
    logits, sites = run(images.astype(jnp.bfloat16))
    assert {a.dtype for a in (logits, *sites)} == {jnp.dtype("float32")}
    np.testing.assert_array_equal(sites.V, variables["params"]["head"]["V"])
    np.testing.assert_allclose(logits, exact, rtol=0.05, atol=0.02)
    assert (np.asarray(logits) != np.asarray(exact)).any()
    products = str(jax.make_jaxpr(run)(images.astype(jnp.bfloat16)))
    assert "bf16[2,17,17,16]" in products
