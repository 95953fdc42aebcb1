"""A user's module as the method takes it, and surrogates made for it."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax import own_method
from surrojax.data import Split
from surrojax.errors import InputError
from surrojax.networks import NO_DROPOUT, forward, forward_in_training, init
from surrojax.networks.candidates import multiplied
from surrojax.networks.convolutions import Faster
from surrojax.networks.dropout import LEVELS, levels_at
from surrojax.networks.macs import macs
from surrojax.networks.own import adapt
from surrojax.networks.own_surrogate import with_surrogate
from surrojax.networks.reach import reach
from surrojax.networks.trunks import FlatTrunk, PatchTrunk, TokenTrunk, trunk_for
from surrojax.own.hints import opening
from surrojax.sites import Sites

KEY = jax.random.key(3)


class Images(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(6, (3, 3))(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.BatchNorm(use_running_average=not train)(x).reshape(len(x), -1)
        x = nn.Dense(5)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(3)(x)


class Average(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Conv(6, (3, 3))(x)).mean(axis=(1, 2)))


class Words(nn.Module):
    @nn.compact
    def __call__(self, tokens, deterministic=True):
        x = nn.relu(nn.Dense(8)(nn.Embed(20, 4)(tokens))).mean(axis=1)
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=deterministic)(x))


class Mean(nn.Module):
    """Two dense layers right above what has no kernel."""

    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(20, 4)(tokens).mean(axis=1)
        return nn.Dense(3)(nn.relu(nn.Dense(8)(x)))


class Table(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(6)(x))
        x = nn.relu(nn.Dense(5)(x))
        return nn.Dense(3)(x)


class Around(nn.Module):
    @nn.compact
    def __call__(self, x):
        z = nn.tanh(nn.Dense(6)(x))
        return nn.Dense(3)(nn.relu(nn.Dense(6)(z)) + z)


def images(count=4):
    return jax.random.normal(KEY, (count, 8, 8, 1))


def tokens(count=4):
    return jax.random.randint(KEY, (count, 7), 0, 20)


def table(count=4):
    return jax.random.normal(KEY, (count, 4))


@pytest.mark.parametrize(
    ("module", "inputs", "names"),
    [
        (Images(), images(), ["Dense_0", "Dense_1"]),
        (Average(), images(), ["Dense_0"]),
        (Words(), tokens(), ["Dense_1"]),
        (Mean(), tokens(), ["Dense_1", "Dense_0"]),
        (Table(), table(), ["Dense_1", "Dense_2"]),
    ],
)
def test_the_dense_layers_at_the_end_are_found(module, inputs, names):
    own = adapt(module, inputs)
    assert [layer.name for layer in own.layers] == names
    variables = init(own, KEY, inputs)
    logits, sites = forward(own, variables, inputs)
    np.testing.assert_allclose(
        logits, module.apply(own.join(variables), inputs), rtol=1e-5, atol=1e-6
    )
    two = len(names) == 2
    assert (sites.x is not None) == (sites.W is not None) == two
    assert sites.V.shape[0] == sites.z.shape[1]
    # What dropout and penalties see is what a user's own forward pass has.
    flat = variables["params"]["head"][names[0]]
    np.testing.assert_array_equal(sites.V, flat["kernel"])


def test_values_at_the_sites_are_dropped_and_nothing_else():
    own, inputs = adapt(Table(), table()), table()
    variables = init(own, KEY, inputs)
    ratio, key = Sites(0.5, 0.25, 0.375, 0.125), jax.random.key(9)
    (logits, sites), changed = forward_in_training(own, variables, inputs, ratio, key)
    assert not changed

    flat = own.join(variables)["params"]
    z = np.tanh(table() @ flat["Dense_0"]["kernel"] + flat["Dense_0"]["bias"])

    def masks(index, *shapes):
        levels = levels_at(jax.random.fold_in(key, index), list(shapes))
        return [np.asarray(a) for a in levels]

    def drop(a, levels, p):
        return np.where(levels >= round(p * LEVELS), a, 0) / (1 - p)

    V, W = flat["Dense_1"]["kernel"], flat["Dense_2"]["kernel"]
    of_z, of_V = masks(0, z.shape, V.shape)
    y = drop(z, of_z, ratio.z) @ drop(V, of_V, ratio.V) + flat["Dense_1"]["bias"]
    x = np.maximum(y, 0)
    of_x, of_W = masks(1, x.shape, W.shape)
    y = drop(x, of_x, ratio.x) @ drop(W, of_W, ratio.W) + flat["Dense_2"]["bias"]
    np.testing.assert_allclose(logits, y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sites.z, z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sites.x, x, rtol=1e-4, atol=1e-5)


def test_the_head_is_what_follows_z():
    own = adapt(Images(), images())
    variables = init(own, KEY, images())
    assert set(variables["params"]["head"]) == {"Dense_0", "BatchNorm_1", "Dense_1"}
    assert set(variables["params"]["trunk"]) == {"Conv_0", "BatchNorm_0"}
    assert ("batch_stats", "BatchNorm_1", "mean") in own.head
    assert ("batch_stats", "BatchNorm_0", "mean") not in own.head
    again = own.split(own.join(variables))
    jax.tree.map(np.testing.assert_array_equal, variables, again)


@pytest.mark.parametrize("form", ["lax", "direct", "matmul"])
def test_any_layer_can_be_named(form):
    """A named bug: a convolution in a faster form was passed over, without a word."""
    own = adapt(Images(), images(), ("Conv_0", "Dense_1"), form)
    assert [layer.name for layer in own.layers] == ["Conv_0", "Dense_1"]
    variables = init(own, KEY, images())
    logits, sites = forward(own, variables, images())
    plain = Images().apply(own.join(variables), images())
    np.testing.assert_allclose(logits, plain, rtol=1e-5, atol=1e-6)
    key = jax.random.key(1)
    ratio = NO_DROPOUT._replace(V=0.5)
    (dropped, _), _ = forward_in_training(own, variables, images(), ratio, key)
    (kept, _), _ = forward_in_training(own, variables, images(), NO_DROPOUT, key)
    assert not np.allclose(dropped, kept)
    assert sites.z.shape == (4, 64) and sites.V.shape == (9, 6)
    assert sites.x.shape == (4, 5) and sites.W.shape == (5, 3)


def test_statistics_change_in_training_as_the_module_s_own():
    own = adapt(Images(), images())
    variables = init(own, KEY, images())
    (_, _), changed = forward_in_training(own, variables, images(), NO_DROPOUT, KEY)
    _, expected = Images().apply(
        own.join(variables), images(), train=True, mutable=["batch_stats"]
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        own.join(changed),
        dict(expected),
    )


class NoDense(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Conv(3, (2,), name="last")(x[..., None]).mean(axis=1)


class Twice(nn.Module):
    @nn.compact
    def __call__(self, x):
        layer = nn.Dense(4)
        return nn.Dense(3)(layer(layer(x)))


class Looped(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.remat(nn.Dense)(4, name="inside")(x)
        return nn.Dense(3)(x)


class ByKeyword(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(inputs=nn.relu(nn.Dense(8)(x)))


class Maps(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x[:, None])


@pytest.mark.parametrize(
    ("module", "inputs", "layers", "message"),
    [
        (NoDense(), table(), None, "does not end in a dense layer.*of last"),
        (Table(), table(), ("Dense_0", "Dense_1", "Dense_2"), "one layer, or of two"),
        (Table(), table(), "Dense_0", "one layer, or of two"),
        (
            Table(),
            table(),
            ("Dense_9",),
            r"'Dense_9' is none of this network's .did you mean 'Dense_.'.*Dense_0",
        ),
        (Twice(), table(), ("Dense_0",), "'Dense_0' is called 2 times"),
        (
            Words(),
            tokens(),
            ("Embed_0",),
            "'Embed_0' receives int32, which can neither",
        ),
        (ByKeyword(), table(), None, "'Dense_0' receives no array.*by position"),
        (Images(), images(), ("BatchNorm_0",), "'BatchNorm_0' holds no weights"),
        (Maps(), table(), None, r"yields \(4, 1, 3\), where logits"),
        (Images(), table(), None, "Images cannot take inputs of shape"),
        (Looped(), table(), ("inside",), "inside nn.remat, nn.jit"),
    ],
)
def test_what_cannot_be_tuned_is_told(module, inputs, layers, message):
    with pytest.raises(InputError, match=message):
        adapt(module, inputs, layers)


class Sets(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = nn.relu(nn.Dense(8)(x.reshape(-1, 2)))
        return nn.Dense(3)(y.reshape(len(x), 2, 8).mean(axis=1))


def test_a_layer_whose_first_axis_is_not_the_batch_s_is_none():
    own = adapt(Sets(), table())
    assert [layer.name for layer in own.layers] == ["Dense_1"]
    with pytest.raises(InputError, match="first axis is not the batch's"):
        adapt(Sets(), table(), ("Dense_0",))


class Told(nn.Module):
    """Knows by two arguments whether it is trained."""

    @nn.compact
    def __call__(self, x, deterministic=True, use_running_average=True):
        x = nn.BatchNorm(use_running_average=use_running_average)(nn.Dense(5)(x))
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=deterministic)(nn.tanh(x)))


def test_all_arguments_that_say_whether_it_is_trained_are_given():
    own = adapt(Told(), table())
    variables = init(own, KEY, table())
    (logits, _), stats = forward_in_training(own, variables, table(), NO_DROPOUT, KEY)
    params = own.join(variables)
    logits_then, changed = Told().apply(
        params,
        table(),
        deterministic=True,
        use_running_average=False,
        mutable="batch_stats",
    )
    jax.tree.map(np.testing.assert_allclose, own.join(stats), changed)
    assert np.abs(logits - logits_then).max() > 1e-3  # some are dropped
    still, _ = forward(own, variables, table())
    np.testing.assert_allclose(still, Told().apply(params, table()), rtol=1e-6)


class Enclosing(nn.Module):
    """A layer with a matrix of its own and a layer inside."""

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], 5))
        return nn.Dense(5)(x) + x @ kernel


class Nested(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(Enclosing()(x))


def test_a_layer_inside_of_the_other_is_refused():
    with pytest.raises(InputError, match="0.Dense_0' is a part of the other"):
        adapt(Nested(), table(), ("Enclosing_0", "Enclosing_0.Dense_0"))


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(4)(x))
        return nn.WeightNorm(nn.Dense(3))(x)


def test_layers_are_offered_that_can_be_taken():
    with pytest.raises(InputError, match="called once, so say .*, of Dense_0$"):
        adapt(Normed(), table())
    with pytest.raises(InputError, match="called 2 times; choose from Dense_0$"):
        adapt(Normed(), table(), ("Dense_1",))


class Noisy(nn.Module):
    """A layer that draws from a stream of its own."""

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], 5))
        if self.has_rng("noise") or self.has_rng("params"):
            x = x + 0.1 * jax.random.normal(self.make_rng("noise"), x.shape)
        return x @ kernel


class Draws(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(Noisy()(x))


def test_a_tuned_layer_may_draw_from_a_stream_of_its_own():
    own = adapt(Draws(), table(), ("Noisy_0", "Dense_0"))
    variables = init(own, KEY, table())
    (logits, _), _ = forward_in_training(own, variables, table(), NO_DROPOUT, KEY)
    still, _ = forward(own, variables, table())
    assert np.abs(logits - still).max() > 1e-3


class Careless(nn.Module):
    layer: nn.Module

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(self.layer(nn.Dense(5)(x)))


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm(use_running_average=False), nn.Dropout(0.5, deterministic=False)],
)
def test_a_network_that_does_not_know_whether_it_is_trained(layer):
    with pytest.raises(InputError, match="Careless cannot take inputs") as caught:
        adapt(Careless(layer), table())
    assert "\n" not in str(caught.value)


def test_what_is_compiled_already_is_told():
    inside = nn.Sequential([nn.Dense(5), nn.jit(nn.Dense)(3)])
    for network in (nn.jit(Table)(), nn.jit(Table)(), inside):
        # What JAX has looked into before, it does not look into once more.
        with pytest.raises(InputError, match="the network itself|cannot be reached"):
            adapt(network, table())


class Paths(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic=True):
        x = nn.Dropout(0.5, rng_collection="drop_path")(x, deterministic=deterministic)
        return nn.Dense(3)(nn.tanh(nn.Dense(5)(x)))


def test_other_streams_of_random_numbers_are_there():
    own = adapt(Paths(), table())
    variables = init(own, KEY, table())
    (logits, _), _ = forward_in_training(own, variables, table(), NO_DROPOUT, KEY)
    still, _ = forward(own, variables, table())
    assert np.isfinite(logits).all() and np.abs(logits - still).max() > 1e-3


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, x):
        y = nn.RNN(nn.SimpleCell(6))(x[..., None])
        return nn.Dense(3)(y[:, -1])


def test_a_scan_counts_once_a_step():
    own = adapt(Recurrent(), table(1))
    assert macs(own, table(1)) == 4 * (1 * 6 + 6 * 6) + 6 * 3


class Signed(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.Conv(6, (3, 3))(x).mean(axis=(1, 2)))


def test_a_signed_average_has_a_surrogate_without_relu():
    _, surrogate = made(Signed(), images())
    assert surrogate.trunk == PatchTrunk((2, 2), 6, average=True, rectify=False)


def made(module, inputs):
    own = adapt(module, inputs)
    trunk = trunk_for(own, inputs)
    return own, with_surrogate(own, trunk, inputs)


@pytest.mark.parametrize(
    ("module", "inputs", "trunk"),
    [
        # 4x4 places of 6 maps, after a batch normalisation: of both signs.
        (Images(), images(), PatchTrunk((4, 4), 6, average=False, rectify=False)),
        (Average(), images(), PatchTrunk((2, 2), 6, average=True, rectify=True)),
        (Words(), tokens(), TokenTrunk(20, 8, rectify=True)),
        (Table(), table(), FlatTrunk(6, rectify=False)),
    ],
)
def test_a_surrogate_is_made_from_shapes(module, inputs, trunk):
    own, surrogate = made(module, inputs)
    assert surrogate.trunk == trunk
    variables = init(surrogate, KEY, inputs)
    logits, sites = forward(surrogate, variables, inputs)
    _, expected = forward(own, init(own, KEY, inputs), inputs)
    assert jax.tree.map(jnp.shape, sites) == jax.tree.map(jnp.shape, expected)
    # Above z it is the original: its own z, put through the original's head.
    below = own.split(own.module.init(KEY, inputs))
    whole = {
        **below,
        "params": {**below["params"], "head": variables["params"]["head"]},
    }
    again, _ = own.apply(whole, inputs, NO_DROPOUT, False, z=sites.z)
    np.testing.assert_allclose(logits, again, rtol=1e-5, atol=1e-6)


def test_a_surrogate_counts_and_trains_what_it_needs_alone():
    _, surrogate = made(Images(), images())
    variables = init(surrogate, KEY, images())
    assert set(variables["params"]["head"]) == {"Dense_0", "BatchNorm_1", "Dense_1"}
    assert set(variables["batch_stats"]["head"]) == {"BatchNorm_1"}
    # 16 windows of 2x2 pixels and 6 maps; 96 x 5 and 5 x 3 above.
    assert macs(surrogate, images(1)) == 16 * 4 * 6 + 96 * 5 + 5 * 3
    (_, _), changed = forward_in_training(
        surrogate, variables, images(), NO_DROPOUT, KEY
    )
    assert jax.tree.structure(changed) == jax.tree.structure(
        {"batch_stats": variables["batch_stats"]}
    )
    before = variables["batch_stats"]["head"]["BatchNorm_1"]["mean"]
    assert np.abs(changed["batch_stats"]["head"]["BatchNorm_1"]["mean"] - before).max()


class Twice(nn.Module):
    """No weight at all."""

    @nn.compact
    def __call__(self, x):
        return jnp.concatenate([x, x[:, :2]], axis=1)


def test_a_surrogate_s_trunk_may_have_no_weights():
    own = adapt(Table(), table())
    surrogate = with_surrogate(own, Twice(), table())
    variables = init(surrogate, KEY, table())
    assert variables["params"]["trunk"] == {}
    logits, sites = forward(surrogate, variables, table())
    np.testing.assert_array_equal(sites.z[:, :4], table())
    assert logits.shape == (len(table()), 3)


def test_a_surrogate_that_cannot_stand_in_is_refused():
    own = adapt(Around(), table(), ("Dense_2",))
    with pytest.raises(InputError, match="a shortcut around the layer"):
        with_surrogate(own, FlatTrunk(6, rectify=False), table())
    own = adapt(Table(), table())
    with pytest.raises(InputError, match="yields .5,. for each input.*let it yield 6"):
        with_surrogate(own, FlatTrunk(5, rectify=False), table())
    own = adapt(Table(), table(), ("Dense_0",))
    with pytest.raises(InputError, match="receives the inputs themselves"):
        trunk_for(own, table())


@pytest.mark.parametrize("form", ["matmul", "direct"])
@pytest.mark.parametrize(
    ("kernel", "strides", "padding", "channels"),
    [
        (3, 1, "SAME", 4),
        (4, 2, "SAME", 3),
        (3, 2, "VALID", 1),
        (3, (1, 1), 1, 4),
        (5, 1, ((2, 1), (0, 2)), 3),
    ],
)
def test_a_convolution_is_the_same_in_another_form(
    form, kernel, strides, padding, channels
):
    layer = nn.Conv(5, (kernel, kernel), strides=strides, padding=padding)
    x = jax.random.normal(KEY, (2, 9, 8, channels))
    variables = layer.init(KEY, x)

    def loss_of():  # JAX remembers a function that it has traced
        return lambda variables, x: (layer.apply(variables, x) ** 2).sum()

    expected = jax.value_and_grad(loss_of(), argnums=(0, 1))(variables, x)
    text = str(jax.make_jaxpr(loss_of())(variables, x))
    with nn.intercept_methods(Faster(form)):
        found = jax.value_and_grad(loss_of(), argnums=(0, 1))(variables, x)
        assert str(jax.make_jaxpr(loss_of())(variables, x)) != text
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3),
        found,
        expected,
    )


class Standardised(nn.Conv):
    def param(self, name, *arguments, **options):
        value = super().param(name, *arguments, **options)
        return value - value.mean() if name == "kernel" else value


@pytest.mark.parametrize(
    "layer",
    [
        Standardised(4, (3, 3)),
        nn.Conv(4, (3, 3), feature_group_count=2),
        nn.Conv(4, (3, 2)),
        nn.Conv(4, (3, 3), kernel_dilation=2),
        nn.Conv(4, (3, 3), padding="CIRCULAR"),
        nn.Conv(4, (3, 3), strides=(1, 2)),
    ],
)
def test_other_convolutions_are_left_as_they_are(layer):
    x = jax.random.normal(KEY, (2, 9, 8, 4))
    variables = layer.init(KEY, x)
    text = str(jax.make_jaxpr(lambda v, x: layer.apply(v, x))(variables, x))
    with nn.intercept_methods(Faster("matmul")):
        again = jax.make_jaxpr(lambda v, x: layer.apply(v, x))(variables, x)
    assert str(again) == text


class Deep(nn.Module):
    """One dense layer on convolutions that have most of the parameters."""

    @nn.compact
    def __call__(self, x, train=False):
        for _ in range(3):
            x = nn.Conv(8, (3, 3), use_bias=False)(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(3)(x.mean(axis=(1, 2)))


def test_lambda_z_is_searched_where_candidates_reach_below_z():
    for layers in (0, 1):
        method = own_method(Deep(), images(), shared_layers=layers, tune="all")
        assert method.shared_layers == layers
        assert ("lambda_z" in method.space.tune) == (layers > 0)
    method = own_method(Deep(), images(), tune=("all",))
    assert "lambda_z" not in method.space.tune and method.blind is None
    with pytest.raises(InputError, match="shared_layers: 1 wants surrogate=shared"):
        own_method(Deep(), images(), shared_layers=1, surrogate="fitted")


def test_what_candidates_train_besides_is_told():
    inputs = np.asarray(images())
    split = {"train": Split(inputs, np.zeros(len(inputs), np.int32))}
    method = own_method(Deep(), inputs, shared_layers=1)
    told = opening("Deep", method, split, 10_000)
    assert told.endswith("; candidates also train BatchNorm_2, Conv_2; compiling")
    method = own_method(Deep(), inputs)
    assert "also" not in opening("Deep", method, split, 10_000)


class Normalised(nn.Module):
    """Weights of the second layer are scaled before the first one is computed."""

    @nn.compact
    def __call__(self, x):
        w = self.param("w", nn.initializers.lecun_normal(), (6, 5))
        w = w / jnp.linalg.norm(w, axis=0)
        x = nn.relu(nn.Dense(6)(x) @ w)
        return nn.Dense(3)(x)


def test_a_layer_is_where_its_weights_meet_the_inputs():
    own = adapt(Normalised(), table())
    trained = reach(own, table(), 1)
    assert {path[2:] for path in trained if path[1] == "trunk"} == {("w",)}


@pytest.mark.parametrize(("form", "left"), [("direct", 2), ("lax", 3)])
def test_the_last_convolution_is_trained_with_its_normalisation(form, left):
    own = adapt(Deep(), images(), form=form)
    trained = reach(own, images(), 1)
    assert {path[:-1] for path in trained} == {
        ("params", "head", "Dense_0"),
        ("params", "trunk", "Conv_2"),
        ("params", "trunk", "BatchNorm_2"),
        ("batch_stats", "trunk", "BatchNorm_2"),
    }
    other, variables = multiplied(own, trained), init(own, KEY, images())
    for module in (own, other):
        jaxpr = str(jax.make_jaxpr(partial(forward, module))(variables, images()))
        # The first has one channel: `direct` leaves it to products.
        assert jaxpr.count("= conv_general_dilated") == left - (module is other)
    np.testing.assert_allclose(
        forward(other, variables, images())[0],
        forward(own, variables, images())[0],
        rtol=1e-5,
        atol=1e-6,
    )
