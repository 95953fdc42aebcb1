"""What a user gives to `tune` beside the network: arrays, functions, weights."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tables
from tables import LABELS, SMALL, TABLE

import surrojax
from surrojax.data import Split
from surrojax.errors import InputError
from surrojax.own.data import array_of, in_32_bits
from surrojax.own.hints import opening


class Table(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))
        return nn.Dense(3)(nn.relu(x))


tune, said = partial(tables.tune, Table()), partial(tables.said, Table())


def test_bytes_that_are_no_pixels_are_told():
    ones = (TABLE > 0.5).astype(np.uint8)
    (line,) = said(ones)
    assert line.startswith(
        "train: inputs are bytes up to 1, which are all but the same"
    )
    pixels = np.clip(TABLE * 20 + 100, 0, 255).astype(np.uint8)
    assert not said(pixels)
    assert not said(ones, preprocess=lambda x: x * 1.0)
    method = surrojax.own_method(Table(), pixels)
    split = {"train": Split(pixels, LABELS)}
    assert "; pixels, 0 to 255, are made -1 to 1; " in opening(
        "A", method, split, 10_000
    )


def same_always(key, x):
    return x + np.random.default_rng(0).normal(size=x.shape).astype(np.float32)


def test_functions_that_ignore_what_they_are_given_are_told():
    (line,) = said(augment=same_always)
    assert line.startswith("augment: does the same in every step")
    assert not said(augment=lambda key, x: x + jax.random.normal(key, x.shape))
    given = {"learning_rate": 1e-3, "tune": ()}
    (line,) = said(optimizer=lambda rate: optax.adam(1e-3), **given)
    assert line.startswith("optimizer: has a learning rate of its own")
    assert not said(optimizer=optax.adam, **given)


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
        tune(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["<i2", ">i2", "<i8", ">i8", ">f4", "?", "u1"])
def test_inputs_are_of_any_kind_of_number(kind):
    given = np.abs(TABLE * 10).astype(kind)
    found = in_32_bits("train", array_of("train", given), given)
    np.testing.assert_array_equal(found, given)
    assert found.dtype.isnative and found.dtype.itemsize <= 4 and found.dtype != bool
    jnp.asarray(found)


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
        surrojax.tune(Table(), (inputs, labels), (TABLE, LABELS), **SMALL)


def test_predict_speaks_of_inputs_alone():
    predict = tune(tune=()).predict
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
    variables = Table().init(jax.random.key(0), TABLE[:1])
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
            tune(variables=given)


def test_a_folder_has_to_be_a_path():
    with pytest.raises(InputError, match="workdir: 3 is no path"):
        tune(workdir=3)


def test_what_is_lost_with_ctrl_c_is_told(capsys):
    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(on_round=stop, quiet=False)
    told = capsys.readouterr().out
    assert "stopped; without a workdir, nothing of it is kept" in told
