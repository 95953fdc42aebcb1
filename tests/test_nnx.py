"""Networks of flax.nnx."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_tuning import SMALL, TABLE, TOKENS, same, splits

import surrojax
from surrojax.errors import InputError
from surrojax.networks import NO_DROPOUT, forward_in_training, init
from surrojax.networks.calls import chosen_layers, mode_of, trace
from surrojax.networks.nnx import from_nnx

pytestmark = pytest.mark.usefixtures("undrawn")

IMAGES = np.random.default_rng(0).normal(size=(240, 6, 6, 1)).astype(np.float32)


class Block(nnx.Module):
    def __init__(self, width, rngs):
        self.attention = nnx.MultiHeadAttention(2, width, rngs=rngs, decode=False)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)

    def __call__(self, x):
        return x + self.dropout(self.attention(self.norm(x)))


class Attentive(nnx.Module):
    """Convolution, statistics, a parameter of its own, a list of blocks."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), strides=2, rngs=rngs)
        self.statistics = nnx.BatchNorm(4, rngs=rngs)
        self.place = nnx.Param(jnp.ones((9, 4)))
        self.blocks = nnx.List([Block(4, rngs) for _ in range(2)])
        self.fc = nnx.Linear(36, 8, rngs=rngs)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.out = nnx.Linear(8, 3, use_bias=False, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.statistics(self.conv(x))).reshape(len(x), 9, 4) + self.place
        for block in self.blocks:
            x = block(x)
        x = self.fc(x.reshape(len(x), -1))
        return self.out(nnx.relu(self.norm(x)))


class Table(nnx.Module):
    def __init__(self, rngs):
        self.below = nnx.Linear(6, 6, rngs=rngs)
        self.middle = nnx.Linear(6, 8, rngs=rngs)
        self.top = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.top(nnx.relu(self.middle(nnx.tanh(self.below(x)))))


class Words(nnx.Module):
    """A dropout that is told by an argument, and an embedding."""

    def __init__(self, rngs):
        self.embed = nnx.Embed(18, 4, rngs=rngs)
        self.layers = nnx.Sequential(nnx.Linear(4, 8, rngs=rngs), nnx.relu)
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.top = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, tokens, deterministic=True):
        x = self.layers(self.embed(tokens)).mean(axis=1)
        return self.top(self.drop(x, deterministic=deterministic))


def state_of(network):
    return {
        path: np.asarray(variable[...])
        for path, variable in nnx.to_flat_state(nnx.state(network))
        if not isinstance(variable, nnx.RngState)
    }


def test_it_computes_what_the_network_does():
    network = Attentive(nnx.Rngs(0))
    before = state_of(network)
    module = from_nnx(network)
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = module.init(keys, IMAGES[:5])
    network.eval()
    np.testing.assert_allclose(
        module.apply(variables, IMAGES), network(IMAGES), rtol=1e-4, atol=1e-5
    )
    moved = jax.tree.map(lambda a: a + 0.1, variables)
    other = Attentive(nnx.Rngs(9))
    nnx.update(other, module.state(moved))
    other.eval()
    np.testing.assert_allclose(
        module.apply(moved, IMAGES), other(IMAGES), rtol=1e-4, atol=1e-5
    )
    # The network that was given is as it was.
    after = state_of(network)
    assert before.keys() == after.keys()
    assert all((before[path] == after[path]).all() for path in before)


def test_its_masks_are_of_the_key_and_its_statistics_run():
    network = Attentive(nnx.Rngs(0))
    module = from_nnx(network)
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    variables = module.init(keys, IMAGES[:5])

    @jax.jit
    def train(key):
        streams = {"dropout": key}
        return module.apply(
            variables, IMAGES, train=True, mutable=["batch_stats"], rngs=streams
        )

    (a, changed), (b, _), (c, _) = (train(jax.random.key(seed)) for seed in (0, 1, 0))
    assert (a == c).all() and (a != b).any()
    network.train()
    network(IMAGES)
    for name in ("mean", "var"):
        found = changed["batch_stats"]["statistics"][name]
        wanted = getattr(network.statistics, name)[...]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_the_layers_at_its_end_are_found():
    module = from_nnx(Attentive(nnx.Rngs(0)))
    calls, _ = trace(module, jnp.asarray(IMAGES[:5]), mode_of(module))
    assert [layer.name for layer in chosen_layers(calls, None)] == ["fc", "out"]
    names = {call.name for call in calls}
    assert {"conv", "blocks_1_attention_query", "blocks_0_dropout"} <= names


def test_it_is_trained_and_given_back():
    network = Table(nnx.Rngs(0))
    before = state_of(network)
    data = splits(TABLE, test=True)
    result = surrojax.tune(network, *data, **SMALL)
    assert len(result.setting) == 8 and result.validation_accuracy > 0.6
    assert all((a == before[path]).all() for path, a in state_of(network).items())
    nnx.update(network, result.state)
    inputs, labels = data[2]
    logits = np.asarray(network(inputs))
    found = result.predict(inputs)
    np.testing.assert_allclose(found, jax.nn.softmax(logits), rtol=1e-4, atol=1e-5)
    right = (logits.argmax(axis=-1) == labels).mean()
    assert result.test_accuracy == pytest.approx(right, abs=1e-6)
    nnx.update(network, result.best.state)


def test_linen_s_and_nnx_s_are_one_network():
    """The same layers with the same weights have the same run."""
    import flax.linen as nn

    class Linen(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.tanh(nn.Dense(6, name="below")(x))
            x = nn.relu(nn.Dense(8, name="middle")(x))
            return nn.Dense(3, name="top")(x)

    network = Table(nnx.Rngs(0))
    begin = from_nnx(network).init(jax.random.key(0), TABLE[:1])
    ours = surrojax.tune(network, *splits(TABLE), **SMALL)
    theirs = surrojax.tune(Linen(), *splits(TABLE), variables=begin, **SMALL)
    # But for last bits: XLA fuses each program in its own way.
    np.testing.assert_allclose(ours.schedule.values, theirs.schedule.values, rtol=1e-6)
    same(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("surrogate", ["shared", "fitted"])
def test_a_text_classifier_with_a_layer_inside(surrogate):
    words = Words(nnx.Rngs(0))
    chosen = {"layers": ("layers.layers.0", "top")} if surrogate == "shared" else {}
    result = surrojax.tune(
        words,
        *splits(TOKENS),
        surrogate=surrogate,
        **SMALL | {"learning_rate": 0.2} | chosen,
    )
    assert result.validation_accuracy > 0.5
    with pytest.raises(InputError, match="row 0: holds a token outside of 0 to 17"):
        result.predict(np.full((2, 9), 99))


def test_a_stopped_run_goes_on_and_is_loaded(tmp_path):
    data = splits(IMAGES)
    folder = tmp_path / "nnx"
    tune = partial(surrojax.tune, workdir=folder)
    tune(Attentive(nnx.Rngs(0)), *data, **SMALL | {"max_iterations": 20})
    gone_on = tune(Attentive(nnx.Rngs(0)), *data, **SMALL | {"max_iterations": 40})
    whole = surrojax.tune(
        Attentive(nnx.Rngs(0)), *data, **SMALL | {"max_iterations": 40}
    )
    same(gone_on, whole, rtol=0, atol=0)
    network = Attentive(nnx.Rngs(3))
    loaded = surrojax.load(folder, network=network)
    inputs = data[1][0]
    np.testing.assert_array_equal(loaded.predict(inputs), whole.predict(inputs))
    nnx.update(network, loaded.state)
    network.eval()
    found = jax.nn.softmax(network(inputs))
    np.testing.assert_allclose(loaded.predict(inputs), found, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="or was not given: surrojax.load"):
        _ = surrojax.load(folder).state
    with pytest.raises(InputError, match="another configuration.*variables"):
        tune(Attentive(nnx.Rngs(1)), *data, **SMALL | {"max_iterations": 40})


def test_one_layer_is_a_network():
    network, data = nnx.Linear(6, 3, rngs=nnx.Rngs(0)), splits(TABLE)
    result = surrojax.tune(network, *data, **SMALL)
    assert list(result.setting) == ["lambda_z", "lambda_V", "p_z", "p_V"]
    nnx.update(network, result.state)
    inputs, _ = data[1]
    found = jax.nn.softmax(network(inputs))
    np.testing.assert_allclose(result.predict(inputs), found, rtol=1e-4, atol=1e-5)
    assert from_nnx(network).class_name == "Linear"


class Twins(nnx.Module):
    def __init__(self, rngs):
        self.a_b = nnx.Linear(6, 6, rngs=rngs)
        self.a = nnx.Dict(b=nnx.Linear(6, 3, rngs=rngs))

    def __call__(self, x):
        return self.a.b(self.a_b(x))


class Tied(nnx.Module):
    def __init__(self, rngs):
        self.a = nnx.Linear(6, 6, rngs=rngs)
        self.b = nnx.Linear(6, 6, rngs=rngs)
        self.b.kernel = self.a.kernel
        self.top = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.top(self.b(self.a(x)))


class Broken(nnx.Module):
    def __init__(self, rngs):
        self.top = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.top(x)


class Noisy(nnx.Module):
    """A layer that draws by itself."""

    def __init__(self, rngs):
        self.kernel = nnx.Param(jnp.ones((6, 6)))
        self.rngs = rngs.fork()

    def __call__(self, x):
        return x @ self.kernel + jax.random.normal(self.rngs.dropout(), (len(x), 6))


def test_a_tuned_layer_that_draws_by_itself_draws_anew():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.noisy = Noisy(rngs)
            self.top = nnx.Linear(6, 3, rngs=rngs)

        def __call__(self, x):
            return self.top(self.noisy(x))

    method = surrojax.own_method(
        Net(nnx.Rngs(0, dropout=1)), TABLE, layers=("noisy", "top")
    )
    own, images = method.pair.original, jnp.asarray(TABLE[:5])
    variables = init(own, jax.random.key(0), images)
    (a, _), (b, _) = (
        forward_in_training(own, variables, images, NO_DROPOUT, jax.random.key(seed))[0]
        for seed in (0, 1)
    )
    assert (a != b).all()


class Looking(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(6, 3, rngs=rngs)
        self.top = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        return self.top(x) + x @ self.first.kernel


class Recurrent(nnx.Module):
    """A module that scans another one, a shared layer, a count of its own."""

    def __init__(self, rngs):
        self.cell = nnx.GRUCell(2, 4, rngs=rngs)
        self.recurrent = nnx.RNN(self.cell)
        self.once = self.twice = nnx.Linear(4, 4, rngs=rngs)
        self.top = nnx.Linear(4, 3, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros(()))

    def __call__(self, x):
        self.calls[...] = self.calls[...] + 1
        x = self.recurrent(x.reshape(len(x), 3, 2))[:, -1]
        return self.top(nnx.relu(self.twice(nnx.relu(self.once(x)))))


class Frozen(nnx.Variable):
    """Is not trained."""


class Contained(nnx.Module):
    """Layers in a plain list and a dict, one with a kernel that is frozen."""

    def __init__(self, rngs):
        self.frozen = nnx.Linear(6, 6, rngs=rngs)
        self.frozen.kernel = Frozen(self.frozen.kernel[...])
        self.blocks = nnx.data([nnx.Linear(6, 6, rngs=rngs) for _ in range(2)])
        self.heads = nnx.data({"top": nnx.Linear(6, 3, rngs=rngs)})

    def __call__(self, x):
        x = self.frozen(x)
        for block in self.blocks:
            x = nnx.tanh(block(x))
        return self.heads["top"](x)


def test_layers_in_containers_are_trained_and_frozen_ones_are_not():
    network, data = Contained(nnx.Rngs(0)), splits(TABLE)
    before = state_of(network)
    result = surrojax.tune(network, *data, **SMALL)
    nnx.update(network, result.state)
    moved = {path: (a != before[path]).any() for path, a in state_of(network).items()}
    assert [path for path, m in moved.items() if not m] == [("frozen", "kernel")]
    inputs, _ = data[1]
    found = jax.nn.softmax(network(inputs))
    np.testing.assert_allclose(result.predict(inputs), found, rtol=1e-4, atol=1e-5)


class Dotted(nnx.Module):
    def __init__(self, rngs):
        self.heads = nnx.Dict({"x.y": nnx.Linear(6, 3, rngs=rngs)})

    def __call__(self, x):
        return self.heads["x.y"](x)


def test_a_layer_may_have_a_dot_in_its_name(tmp_path):
    """A named bug: a run was kept whose layer could not be found when it was loaded."""
    data = splits(TABLE)
    result = surrojax.tune(Dotted(nnx.Rngs(0)), *data, workdir=tmp_path, **SMALL)
    loaded = surrojax.load(tmp_path, network=Dotted(nnx.Rngs(1)))
    same(loaded, result, rtol=0, atol=0)


def test_what_was_given_may_change_afterwards():
    network, data = Table(nnx.Rngs(0)), splits(TABLE)
    result = surrojax.tune(network, *data, **SMALL)
    del network.top
    assert result.predict(data[1][0]).shape == (60, 3)


class Below(nnx.Module):
    """To be a surrogate: to what `middle` of `Table` receives."""

    def __init__(self, rngs):
        self.only = nnx.Linear(6, 6, rngs=rngs)

    def __call__(self, x):
        return nnx.tanh(self.only(x))


def test_a_surrogate_of_nnx_is_part_of_what_a_run_is(tmp_path):
    data, given = splits(TABLE), SMALL | {"workdir": tmp_path / "run"}
    tune = partial(surrojax.tune, Table(nnx.Rngs(0)), *data, **given)
    tune(surrogate=Below(nnx.Rngs(1)))
    assert tune(surrogate=Below(nnx.Rngs(1))).validation_accuracy > 0.4
    with pytest.raises(InputError, match="another configuration.*surrogate"):
        tune(surrogate=Below(nnx.Rngs(2)))


def test_a_recurrent_network_is_tuned_and_given_back(tmp_path):
    network, data = Recurrent(nnx.Rngs(0)), splits(TABLE)
    result = surrojax.tune(network, *data, workdir=tmp_path / "run", **SMALL)
    loaded = surrojax.load(tmp_path / "run", network=Recurrent(nnx.Rngs(0)))
    np.testing.assert_array_equal(
        loaded.predict(data[1][0]), result.predict(data[1][0])
    )
    assert set(result.setting) == {"lambda_V", "lambda_z", "p_z", "p_V"}
    nnx.update(network, result.state)
    inputs, _ = data[1]
    found = jax.nn.softmax(network(inputs))
    np.testing.assert_allclose(result.predict(inputs), found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "given", "message"),
    [
        (Table, {}, "network: is the class Table, where an instance is wanted"),
        (Tied(nnx.Rngs(0)), {}, "network: a and b share a variable"),
        (Twins(nnx.Rngs(0)), {}, "two of its parts are called a_b, joined by under"),
        (
            Looking(nnx.Rngs(0)),
            {},
            "network: Looking cannot take.*kernel.*layers are called and not looked",
        ),
        (Broken(nnx.Rngs(0)), {}, r"network: Broken cannot take inputs of shape \(64"),
        (
            Table(nnx.Rngs(0)),
            {"variables": {"params": {}}},
            "variables: a network of flax.nnx begins with those that it has",
        ),
        (
            Table(nnx.Rngs(0)),
            {"layers": ("middle.x",)},
            "layers: 'middle_x' is none of this network's .did you mean 'middle'",
        ),
    ],
)
def test_a_mistake_is_one_line(network, given, message):
    with pytest.raises(InputError, match=message):
        surrojax.tune(network, *splits(TABLE), **SMALL | given)


def test_a_network_of_linen_has_no_state():
    import flax.linen as nn

    result = surrojax.tune(nn.Dense(3), *splits(TABLE), **SMALL)
    with pytest.raises(InputError, match=r"no module of flax.nnx .take result\.vari"):
        _ = result.state
