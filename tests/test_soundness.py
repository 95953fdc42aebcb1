"""Mistakes of a user's network, and of what is done to its inputs, are told."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import surrojax
from surrojax.data import Split
from surrojax.errors import InputError
from surrojax.networks.own import adapt
from surrojax.own.hints import hints, opening

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 3, 240)
TABLE = (RNG.normal(size=(240, 6)) + 2 * np.eye(6)[LABELS]).astype(np.float32)
SPLIT = Split(TABLE, LABELS.astype(np.int32))
SMALL = {
    "max_iterations": 20,
    "iterations_per_round": 10,
    "batch_size": 16,
    "population": 3,
    "quiet": True,
}


def tune(network, inputs=TABLE, **given):
    train, validation = (inputs[:120], LABELS[:120]), (inputs[120:], LABELS[120:])
    return surrojax.tune(network, train, validation, **SMALL | given)


def said(network, inputs=TABLE, **given):
    method = surrojax.own_method(network, inputs, **given)
    split = Split(inputs, SPLIT.labels)
    return hints(method, {"train": split, "validation": split}, ("a", "b", "c"), None)


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


@pytest.mark.parametrize(
    ("network", "names", "beside"),
    [
        (Aside(), ["below", "main"], ()),
        (Projected(), ["below", "out"], ()),
        (AtFirst(), ["below", "out"], ()),
        (Unused(), ["below", "out"], ()),
        (Beside(), ["out"], ("gate", "wide")),
        (Heads(), ["b"], ("a", "below")),
    ],
)
def test_layers_are_those_by_which_logits_come(network, names, beside):
    own = adapt(network, jnp.asarray(TABLE[:4]))
    assert [layer.name for layer in own.layers] == names
    assert own.beside == beside


def test_layers_that_have_no_part_in_the_logits_are_refused():
    for name in ("aside", "near"):
        with pytest.raises(InputError, match=f"'{name}' yields has no part in the log"):
            tune(Aside(), layers=(name,))


def test_what_is_tuned_has_an_effect():
    dropped, held = (
        tune(Aside(), tune=(), fixed={"p_z": p, "p_x": p}).predict(TABLE)
        for p in (0.9, 0.0)
    )
    assert np.abs(dropped - held).max() > 0.05
    assert tune(Aside()).candidates.score.nunique() > 2


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
    assert line.startswith("network: BatchNorm_0, Dropout_1 does in training what it ")
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


def test_bytes_that_are_no_pixels_are_told():
    ones = (TABLE > 0.5).astype(np.uint8)
    (line,) = said(Aside(), ones)
    assert line.startswith(
        "train: inputs are bytes up to 1, which are all but the same"
    )
    pixels = np.clip(TABLE * 20 + 100, 0, 255).astype(np.uint8)
    assert not said(Aside(), pixels)
    assert not said(Aside(), ones, preprocess=lambda x: x * 1.0)
    method = surrojax.own_method(Aside(), pixels)
    split = {"train": Split(pixels, SPLIT.labels)}
    assert "; pixels, 0 to 255, are made -1 to 1; " in opening(
        "A", method, split, 10_000
    )


def same_always(key, x):
    return x + np.random.default_rng(0).normal(size=x.shape).astype(np.float32)


def test_functions_that_ignore_what_they_are_given_are_told():
    (line,) = said(Aside(), augment=same_always)
    assert line.startswith("augment: does the same in every step")
    assert not said(Aside(), augment=lambda key, x: x + jax.random.normal(key, x.shape))
    given = {"learning_rate": 1e-3, "tune": ()}
    (line,) = said(Aside(), optimizer=lambda rate: optax.adam(1e-3), **given)
    assert line.startswith("optimizer: has a learning rate of its own")
    assert not said(Aside(), optimizer=optax.adam, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"preprocess": lambda x: np.asarray(x)},
            "preprocess: cannot be compiled .Tra",
        ),
        (
            {"augment": lambda x, key: x + jax.random.normal(key, x.shape)},
            "augment: cannot be compiled .*; write it with jax.numpy",
        ),
    ],
)
def test_functions_that_cannot_be_compiled_are_told(given, message):
    with pytest.raises(InputError, match=message) as caught:
        tune(Aside(), **given)
    assert "\n" not in str(caught.value)


class Ends(nn.Module):
    @nn.compact
    def __call__(self, x):
        return self.end(nn.Dense(3)(nn.Dense(8)(x)))


class Sigmoid(Ends):
    def end(self, x):
        return nn.sigmoid(x)


class Logarithm(Ends):
    def end(self, x):
        return jnp.log(x)


def test_what_a_network_ends_in_is_told(capsys):
    layers = ("Dense_0", "Dense_1")
    tune(Sigmoid(), layers=layers, quiet=False)
    line = "mind: network: all that it yields lies between 0 and 1, as after a sigmoid"
    assert line in capsys.readouterr().out
    with pytest.raises(InputError, match="row 0 is NaN before anything is trained"):
        tune(Logarithm(), layers=layers)


@pytest.mark.parametrize("order", ["<i2", ">i2", "<i8", ">i8", ">f4", "?"])
def test_inputs_are_of_any_kind_of_number(order):
    inputs = (TABLE * 10).astype(order)
    result = tune(Aside(), inputs, preprocess=lambda x: x.astype(jnp.float32) / 10)
    assert result.predict(inputs).shape == (240, 3)


class Frame:
    """As a table of pandas, which is not needed here."""

    def __init__(self, array, **types):
        self._array, self.dtypes = array, types

    def __array__(self, dtype=None, copy=None):
        return self._array.astype(object)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (np.ma.masked_less(TABLE, -1.5), LABELS, r"train, row \d+: is masked; fill it"),
        (TABLE, np.ma.masked_equal(LABELS, 2), r"train, row \d+: is masked"),
        (TABLE, np.eye(3)[LABELS], r"of one-hot, labels.argmax\(1\)"),
        (TABLE, np.ones((240, 3), int), "several labels an example.* surrojax.Tuner"),
        (TABLE, np.full((240, 3), 1 / 3), "or shares of them, cannot be trained on"),
        (
            Frame(TABLE, a=np.dtype(float), b=np.dtype(object)),
            LABELS,
            "inputs of type object; column 'b' holds no numbers",
        ),
        (
            Frame(TABLE, a=np.dtype(float), b=np.dtype(bool)),
            LABELS,
            r"give its numbers: frame.to_numpy\(np.float32\)",
        ),
        ([[1.0, 2.0], [3.0]], LABELS, "train: wants arrays"),
    ],
)
def test_what_is_no_array_of_numbers_is_told(inputs, labels, message):
    with pytest.raises(InputError, match=message):
        surrojax.tune(Aside(), (inputs, labels), (TABLE, LABELS), **SMALL)


def test_predict_speaks_of_inputs_alone():
    predict = tune(Aside(), tune=()).predict
    for inputs, message in (
        ([[1.0, 2.0], [3.0]], "predict: wants arrays"),
        ("abc", "predict: holds no inputs; give an array"),
        (TABLE[:0], "predict: holds no inputs; give an array"),
        (
            [0.0] * 6,
            r"predict: one input, of shape \(6,\), is no batch .*inputs\[None\]",
        ),
    ):
        with pytest.raises(InputError, match=message):
            predict(inputs)
    with pytest.raises(InputError, match="works on the host; within jax.jit"):
        jax.jit(predict)(TABLE)


def test_variables_that_do_not_fit_are_named():
    variables = Told().init(jax.random.key(0), TABLE[:1])
    for given, message in (
        ({"params": variables["params"]}, r"\['batch_stats'\].*'mean'\] is missing"),
        (
            {**variables, "extra": {"a": np.ones(1)}},
            "'extra'.* is none of the network's",
        ),
        (
            jax.tree.map(lambda leaf: np.ones((2, *leaf.shape)), variables),
            "has another shape or type",
        ),
        (3, "variables: is of int; give what the network's init makes"),
    ):
        with pytest.raises(InputError, match=message):
            tune(Told(), variables=given)


def test_a_folder_has_to_be_a_path():
    with pytest.raises(InputError, match="workdir: 3 is no path"):
        tune(Aside(), workdir=3)


def test_what_is_lost_with_ctrl_c_is_told(capsys):
    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(Aside(), on_round=stop, quiet=False)
    told = capsys.readouterr().out
    assert "stopped; without a workdir, nothing of it is kept" in told
