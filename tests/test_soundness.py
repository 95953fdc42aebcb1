"""Mistakes of a user's network are told, and no others."""

import copy

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tables import LABELS, TABLE, said, tune

import surrojax
from surrojax.data import Split
from surrojax.errors import InputError
from surrojax.networks import forward_in_training, init
from surrojax.networks.own import adapt
from surrojax.own.hints import opening
from surrojax.own.outputs import check_outputs
from surrojax.sites import Sites

SPLIT = Split(TABLE, LABELS.astype(np.int32))


class Aside(nn.Module):
    """What is called last is no part of what is yielded."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(16, name="below")(x))
        logits = nn.Dense(3, name="main")(x)
        aside = nn.Dense(3, name="aside")(nn.relu(nn.Dense(8, name="near")(x)))
        self.sow("intermediates", "aside", aside)
        return logits


class Projected(nn.Module):
    """A layer of the last one's size, of which the logits take nothing."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(16, name="below")(x)
        self.sow("intermediates", "p", nn.Dense(16, name="projection")(x))
        return nn.Dense(3, name="out")(x)


class AtFirst(nn.Module):
    """A layer that is only called to be initialised."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(16, name="below")(x)
        other = nn.Dense(3, name="other")
        if self.is_initializing():
            other(x)
        return nn.Dense(3, name="out")(x)


class Beside(nn.Module):
    """The one but last layer has the size that the last takes, and feeds another."""

    @nn.compact
    def __call__(self, x):
        wide = nn.Dense(5, name="wide")(x)
        x = nn.Dense(8, name="first")(x)
        gate = nn.Dense(8, name="gate")(wide)
        return nn.Dense(3, name="out")(x) * nn.sigmoid(gate.mean(-1, keepdims=True))


class Heads(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8, name="below")(x)
        return nn.Dense(3, name="a")(x) + nn.Dense(3, name="b")(x)


class Unused(nn.Module):
    """Holds a parameter itself, which has no part in what it yields."""

    @nn.compact
    def __call__(self, x):
        self.param("scale", nn.initializers.ones, (8,))
        return nn.Dense(3, name="out")(nn.relu(nn.Dense(8, name="below")(x)))


class Boxed(nn.Module):
    """Its kernels say how they would be spread over devices."""

    @nn.compact
    def __call__(self, x):
        boxed = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
        beside = x @ self.param("beside", boxed, (6, 3))
        x = nn.relu(nn.Dense(8, kernel_init=boxed, name="below")(x))
        return nn.Dense(3, kernel_init=boxed, name="out")(x) + beside


@pytest.mark.parametrize(
    ("network", "names", "beside"),
    [
        (Aside(), ["below", "main"], ()),
        (Projected(), ["below", "out"], ()),
        (AtFirst(), ["below", "out"], ()),
        (Unused(), ["below", "out"], ()),
        (Boxed(), ["below", "out"], ("beside",)),
        (Beside(), ["out"], ("gate", "wide")),
        (Heads(), ["b"], ("a", "below")),
    ],
)
def test_layers_are_those_by_which_logits_come(network, names, beside):
    own = adapt(network, jnp.asarray(TABLE[:4]))
    assert [layer.name for layer in own.layers] == names
    assert own.beside == beside
    assert copy.deepcopy(own.calls) == own.calls  # nothing of the trace is kept


def test_layers_that_have_no_part_in_the_logits_are_refused():
    for name in ("aside", "near"):
        with pytest.raises(InputError, match=f"'{name}' yields has no part in the log"):
            tune(Aside(), layers=(name,))


def test_what_is_dropped_has_an_effect():
    inputs, key = jnp.asarray(TABLE[:4]), jax.random.key(1)
    own = adapt(Aside(), inputs)
    variables = init(own, jax.random.key(0), inputs)
    plain, dropped = (
        forward_in_training(own, variables, inputs, Sites(p, 0.0, 0.0, 0.0), key)[0][0]
        for p in (0.0, 0.5)
    )
    assert jnp.abs(plain - dropped).max() > 0.01


def test_layers_are_named():
    method = surrojax.own_method(Projected(), TABLE)
    line = opening("Projected", method, {"train": SPLIT}, 10_000)
    assert (
        "; layers: below (z, V), out (x, W); tuned: p_z, p_V, p_x, p_W; 5 rounds"
        in line
    )
    assert "pixels" not in line


def test_another_head_is_told():
    (line,) = said(Heads())
    assert line.startswith("layers: logits come by a, below as well, past b; layers=")
    assert not said(Heads(), layers=("below",))
    assert not said(Aside())


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x)))
        return x + nn.Dropout(0.1, deterministic=not train)(nn.Dense(8)(y))


class Residual(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(8)(x)
        for _ in range(2):
            x = Block()(x, train)
        return nn.Dense(3)(nn.LayerNorm()(x))


class Attentive(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic=True):
        x = nn.Dense(8)(x[..., None])
        y = nn.LayerNorm()(x)
        x += nn.MultiHeadDotProductAttention(2, deterministic=deterministic)(y)
        x += nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(x))))
        return nn.Dense(3)(nn.LayerNorm()(x).mean(axis=1))


class OfNnx(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.out = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.out(self.dropout(nnx.relu(self.norm(self.first(x)))))


@pytest.mark.parametrize("network", [Residual, Attentive, OfNnx])
def test_of_ordinary_networks_nothing_is_told(network):
    assert not said(network())


def test_parameters_come_out_of_their_boxes(tmp_path):
    boxed = Boxed().init(jax.random.key(0), TABLE[:1])
    assert isinstance(boxed["params"]["beside"], nn.Partitioned)
    found = tune(Boxed(), workdir=tmp_path, variables=boxed)
    read = surrojax.load(tmp_path, network=Boxed())
    np.testing.assert_allclose(read.predict(TABLE), found.predict(TABLE), atol=1e-6)
    logits = Boxed().apply(found.variables, TABLE)
    expected = jax.nn.softmax(logits)
    np.testing.assert_allclose(found.predict(TABLE), expected, atol=1e-5)


class Modes(nn.Module):
    """Is told whether it trains by an argument that nobody knows."""

    @nn.compact
    def __call__(self, x, learns=False):
        x = nn.Dense(8)(x)
        x = nn.BatchNorm(use_running_average=not learns)(x)
        x = nn.Dropout(0.0)(x, True)
        x = nn.Dropout(0.5)(x, not learns)
        return nn.Dense(3)(nn.relu(x))


class Told(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        return Modes()(x, train)


def test_a_network_that_never_learns_that_it_is_trained_is_told():
    (line,) = said(Modes())
    assert line.startswith(
        "network: training is nothing else to BatchNorm_0, Dropout_1"
    )
    assert "train, training, is_training, deterministic, use_running_average" in line
    assert not said(Told())


class Kept(nn.Module):
    """Keeps something that is not the same after a step."""

    def kept(self, x):
        raise NotImplementedError

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8)(x)
        self.kept(x)
        return nn.Dense(3)(x)


class Sown(Kept):
    def kept(self, x):
        self.sow("losses", "l2", (x**2).mean())


class OfAnotherType(Kept):
    def kept(self, x):
        mean = self.variable("means", "mean", jnp.zeros, (8,), jnp.bfloat16)
        if not self.is_initializing() and self.is_mutable_collection("means"):
            mean.value = mean.value * 0.9 + x.mean(axis=0)


class OfAnotherShape(Kept):
    def kept(self, x):
        seen = self.variable("seen", "last", jnp.zeros, (1, 8))
        if self.is_mutable_collection("seen") and not self.is_initializing():
            seen.value = jnp.concatenate([x, x])


class AKey(Kept):
    def kept(self, x):
        self.variable("draws", "key", lambda: jax.random.key(0))


class WholeNumbers(Kept):
    def kept(self, x):
        self.param("order", lambda key: jnp.arange(8))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Sown(), "it sows into 'losses', losses.l2, grows .* into 'intermediates'"),
        (OfAnotherType(), "variable means.mean is float32 .* and bfloat16 of shape "),
        (OfAnotherShape(), r"variable seen.last is .* \(128, 8\) after .* \(1, 8\) be"),
        (AKey(), "variable draws.key is a random key.* self.make_rng"),
        (WholeNumbers(), "parameter params.order is of int32, which has no gradient"),
    ],
)
def test_what_cannot_be_kept_from_step_to_step_is_told(network, message):
    with pytest.raises(InputError, match=message) as caught:
        tune(network)
    assert "\n" not in str(caught.value)


class Ends(nn.Module):
    @nn.compact
    def __call__(self, x):
        return self.end(nn.Dense(3)(nn.Dense(8)(x)))


class Sigmoid(Ends):
    def end(self, x):
        return nn.sigmoid(x)


class Bounded(Ends):
    def end(self, x):
        inner = jax.jit(lambda a: (a, a * 2))(nn.sigmoid(x).astype(jnp.bfloat16))
        return jnp.clip(inner[0].astype(jnp.float32), 1e-6, 1 - 1e-6)[:, :3]


class Positive(Ends):
    def end(self, x):
        return jax.jit(nn.softplus)(x) + 1


class Logarithm(Ends):
    def end(self, x):
        return jnp.log(x)


def test_what_a_network_ends_in_is_told(capsys):
    layers = ("Dense_0", "Dense_1")
    for network, is_told in ((Sigmoid(), 1), (Bounded(), 1), (Positive(), 0)):
        method = surrojax.own_method(network, TABLE, layers=layers)
        variables = init(method.pair.original, jax.random.key(0), TABLE[:1])
        assert len(check_outputs(method, variables, TABLE)) == is_told
    tune(Sigmoid(), layers=layers, quiet=False)
    line = "mind: network: what it yields comes out of a sigmoid; leave it out"
    assert line in capsys.readouterr().out
    with pytest.raises(InputError, match="row 0 is NaN before anything is trained"):
        tune(Logarithm(), layers=layers)
