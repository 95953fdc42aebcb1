"""A pair of networks so small that a test compiles it in a second."""

import gc
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

# What they expect, in digits and in devices, is a CPU's.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling takes most of the tests' time.
os.environ.setdefault("XLA_FLAGS", import_module("quick").flags())
# Several devices, so that what is spread over a mesh can be tested on any machine.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import chex  # noqa: E402
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reports
from forked import forked

from surrojax import algorithm, filenames, interrupts, plots, programs, report
from surrojax.data.augment import Augment, Look
from surrojax.evaluate import Views
from surrojax.method import Data, Method
from surrojax.networks import Pair, blank, sites_of
from surrojax.networks.head import Head
from surrojax.networks.layers import max_pool
from surrojax.search import pso
from surrojax.sgd import Arrays, Targets
from surrojax.space import make_space, present_names

# Tests of one method share what is compiled for it: modules that are imported after
# this one find these; a test that wants its own has their __wrapped__.
assert "surrojax.run.rounds" not in sys.modules
programs.compile_programs = cache(programs.compile_programs)
algorithm.compile_programs = programs.compile_programs  # for in_parts, which has it
algorithm.compile_round = cache(algorithm.compile_round)
algorithm.compile_replicas = cache(algorithm.compile_replicas)
SHARED = [
    algorithm.compile_programs,
    algorithm.compile_round,
    algorithm.compile_replicas,
]

# A command that a test calls has the devices that a user's would have.
AS_A_USER = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}


def as_user(*arguments, timeout=300, **environment):
    """Python called as a user would, in the project's folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parent.parent,
        env=AS_A_USER | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def as_user_at_once(*arguments, timeout=300):
    """The same without the seconds in which Python imports JAX."""
    return forked(arguments, AS_A_USER, timeout)


CLASSES = 3
FIXED = {
    f"{kind}_{site}": 0.0 for kind in ("lambda", "p") for site in ("z", "V", "x", "W")
}


LOOK = Look(6, 1)


class TinyOriginal(nn.Module):
    @nn.compact
    def __call__(self, images, ratio, train):
        y = nn.tanh(nn.Dense(8)(images.reshape(images.shape[0], -1)))
        return Head(CLASSES, hidden=6, name="head")(nn.Dense(5)(y), ratio, train)


class TinySurrogate(nn.Module):
    @nn.compact
    def __call__(self, images, ratio, train):
        y = max_pool(images).reshape(images.shape[0], -1)
        return Head(CLASSES, hidden=6, name="head")(nn.Dense(5)(y), ratio, train)


def tiny_space(pair, tune=None):
    sites = sites_of(pair.original, blank(pair))
    return make_space(
        sites,
        tune=present_names(sites) if tune is None else tune,
        fixed=FIXED,
        center={"coefficient": 1e-5, "ratio": 0.3},
        width={"coefficient": 1.0, "ratio": 0.5},
        bounds={"coefficient": (1e-16, 1e-2), "ratio": (0.01, 0.95)},
    )


@cache
def tiny_method(tune=None, **changes):
    """The same object for the same settings."""
    pair = Pair(TinyOriginal(), TinySurrogate(), shape=(6, 6, 1))
    space = tiny_space(pair, tune)
    settings = {
        "search": pso(space.lower, space.upper),
        "population": 4,
        "batch_size": 8,
        "iterations_per_round": 5,
        "evaluation_batch": 16,
    }
    return Method(
        pair=pair,
        space=space,
        augment=Augment(LOOK, True),
        views=Views(LOOK.see_center),
        **(settings | changes),
    )


def tiny_arrays(n, seed):
    """Noise with a bright column where the label says: quick to learn."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    images = rng.integers(0, 120, (n, 6, 6, 1))
    images[np.arange(n), 2 * labels] += 90
    targets = Targets(jnp.asarray(labels, jnp.int32))
    return Arrays(jnp.asarray(images, jnp.uint8), targets)


def of_two_classes(dataset):
    """The same, with a validation and a test split that have the first two alone."""
    validation, test = (
        replace(part, labels=part.labels % 2)
        for part in (dataset.validation, dataset.test)
    )
    allowed = tuple(k < 2 for k in range(len(dataset.classes)))
    return replace(dataset, validation=validation, test=test, allowed=allowed)


@pytest.fixture(scope="module", autouse=True)
def forget():
    """What was compiled for a module's tests takes gigabytes in the end."""
    yield
    for shared in (*SHARED, tiny_method):
        shared.cache_clear()
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def ctrl_c():
    """SIGINT as a process in a terminal has it, here and in what is begun here.

    In the background of a shell it is ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def lost_ctrl_c(ctrl_c):
    """As a command has it after a Ctrl-C that code below swallowed."""
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        yield


@pytest.fixture(scope="session")
def tiny_data():
    return Data(tiny_arrays(60, 0), tiny_arrays(40, 1))


def assert_same(a, b):
    """Two trees are the same, bit for bit."""

    def plain(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if is_key else leaf

    chex.assert_trees_all_equal(jax.tree.map(plain, a), jax.tree.map(plain, b))


def assert_close(a, b, rtol=1e-5):
    """Two trees of plain numbers and strings are the same to a tolerance."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_close(a[name], b[name], rtol)
    elif isinstance(a, list):
        for x, y in zip(a, b, strict=True):
            assert_close(x, y, rtol)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=rtol, abs=1e-6)
    else:
        assert a == b


def draw_nothing(patch):
    """Figures and the report take half the time of a run that is small enough."""
    patch.setattr(plots, "write", lambda *_: None)
    patch.setattr(report, "write", lambda folder, **_: folder / filenames.REPORT)


@pytest.fixture
def undrawn(request, monkeypatch):
    """Runs draw nothing, but in tests marked `drawn`."""
    if request.node.get_closest_marker("drawn") is None:
        draw_nothing(monkeypatch)


@pytest.fixture
def sketched(monkeypatch):
    """Figures of reports are words alone: drawing takes most of a report's time."""
    for module in ("rounds", "several"):
        monkeypatch.setattr(f"surrojax.report.{module}.picture", reports.sketch)
