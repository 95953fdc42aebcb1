"""A small table that can be learnt, and what `tune` does and says with a network."""

import numpy as np

import surrojax
from surrojax.data import Split
from surrojax.own.hints import hints

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 3, 240)
TABLE = (RNG.normal(size=(240, 6)) + 2 * np.eye(6)[LABELS]).astype(np.float32)
SMALL = {
    "max_iterations": 20,
    "iterations_per_round": 10,
    "batch_size": 16,
    "population": 3,
    "quiet": True,
}


def tune(network, inputs=TABLE, **given):
    """A run that takes a moment, on one half of the table and the other."""
    train, validation = (inputs[:120], LABELS[:120]), (inputs[120:], LABELS[120:])
    return surrojax.tune(network, train, validation, **SMALL | given)


def said(network, inputs=TABLE, **given):
    """The lines that a run would begin with."""
    method = surrojax.own_method(network, inputs, **given)
    split = Split(inputs, LABELS.astype(np.int32))
    return hints(method, {"train": split, "validation": split}, ("a", "b", "c"), None)
