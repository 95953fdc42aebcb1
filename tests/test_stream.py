"""Data that stay on the host give what resident data give."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_arrays, tiny_method

from surrojax.algorithm import initial_state, play, run
from surrojax.method import Data
from surrojax.programs import compile_programs
from surrojax.run import stream
from surrojax.run.stream import Streamed, chunk_length, fetch
from surrojax.sgd import Arrays, Targets

KEY = jax.random.key(4)


class OnHost:
    """Images of random access that remember how often they were read."""

    def __init__(self, images):
        self._images = np.asarray(images)
        self.shape = self._images.shape
        self.reads = 0

    def __getitem__(self, rows):
        self.reads += len(rows)
        return self._images[rows]


def both(n, seed, sequences=False):
    """The same split, on the device and on the host."""
    split = tiny_arrays(n, seed)
    if sequences:
        units = jnp.arange(n, dtype=jnp.int32) // 2
        targets = Targets(split.labels, units, split.labels[::2])
        split = Arrays(split.images, targets)
    return split, Streamed(OnHost(split.images), split.targets)


def rounds(method, train, validation, programs):
    data, state = Data(train, validation), initial_state(method, KEY)
    round_ = partial(play, method, programs(method))
    return list(run(method, data, state, 10, lambda _: round_))


def numbers(tree):
    leaves = jax.tree.leaves(tree)
    return [np.asarray(leaf) for leaf in leaves if not isinstance(leaf, str)]


@pytest.mark.parametrize("surrogate", ["fitted", "shared"])
@pytest.mark.parametrize("common", [True, False])
@pytest.mark.parametrize("step_bytes", [2**27, 2000])
def test_streamed_rounds_are_resident_rounds(
    surrogate, common, step_bytes, monkeypatch
):
    """For chunks of a whole round and of one step; NI is 5, batches are of 8."""
    monkeypatch.setattr(stream, "CHUNK_BYTES", step_bytes)
    method = tiny_method(
        surrogate=surrogate,
        common_random_numbers=common,
        objective="cross_entropy",
        evaluation_batch=16,
    )
    (here, there), (mine, yours) = both(60, 0), both(40, 1, sequences=True)
    resident = rounds(method, here, mine, compile_programs)
    streamed = rounds(method, there, yours, stream.compile_programs)
    assert len(resident) == len(streamed) == 2
    for (state_a, record_a), (state_b, record_b) in zip(
        resident, streamed, strict=True
    ):
        plain = [replace(s, key=jax.random.key_data(s.key)) for s in (state_a, state_b)]
        for a, b in zip(*map(numbers, plain), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        assert record_a["chosen"] == record_b["chosen"]
        for a, b in zip(*map(numbers, (record_a, record_b)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert there.images.reads > 60


def test_without_tuning_there_is_nothing_of_a_surrogate():
    method = tiny_method(tune=())
    (here, there), (mine, yours) = both(60, 0), both(40, 1)
    (_, a), *_ = rounds(method, here, mine, compile_programs)
    (_, b), *_ = rounds(method, there, yours, stream.compile_programs)
    assert "surrogate" not in a and "surrogate" not in b
    assert a["original"] == pytest.approx(b["original"], rel=1e-5)


def test_fetch_yields_every_row_in_order_whatever_the_threads_do():
    images = OnHost(np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1))
    rows = np.random.default_rng(0).integers(0, 40, (50, 3))
    found = list(fetch(images, rows, 8))
    assert [len(part) for part in found] == [8] * 6 + [2]
    np.testing.assert_array_equal(np.concatenate(found)[..., 0, 0, 0], rows)


def test_chunks_are_as_long_as_fits_and_divide_the_round(monkeypatch):
    monkeypatch.setattr(stream, "CHUNK_BYTES", 100)
    assert chunk_length(1000, 7) == 10  # 14 would fit, but does not divide
    assert chunk_length(1000, 1000) == 1
    assert chunk_length(6, 1) == 6


def test_what_reading_fails_with_reaches_the_caller():
    class Damaged(OnHost):
        def __getitem__(self, rows):
            raise OSError("damaged")

    images = Damaged(np.zeros((4, 1, 1, 1), np.uint8))
    with pytest.raises(OSError, match="damaged"):
        list(fetch(images, np.zeros((3, 2), int), 2))
