"""Our side of `benchmarks.speed`."""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import (
    Row,
    config_of,
    median_seconds,
    peak_row,
    pixels_of,
    square_of,
    whole_row,
)
from surrojax.algorithm import compile_round, initial_state, play
from surrojax.layout import several
from surrojax.method import Data, candidate_macs
from surrojax.networks import blank
from surrojax.networks.macs import macs
from surrojax.programs import compile_programs
from surrojax.run.execution import execution_of, prepare, settle
from surrojax.settings import make_look, make_method
from surrojax.sgd import Arrays, Targets
from surrojax.stage1 import fit_settings
from surrojax.stage2 import copies, source, train_population


class Side:
    """A method and data of FER2013's size, with what is timed of them."""

    def __init__(self, given: argparse.Namespace) -> None:
        config = config_of(given)
        prepare(config)
        self.given, self.method = given, make_method(config, 7)
        look, rng = make_look(config, self.method.pair), np.random.default_rng(0)
        pixels, execution = min(pixels_of(given), look.side), execution_of(config)
        everywhere = self.method.layout.everywhere

        def split(count: int) -> Arrays:
            images = rng.integers(0, 256, (count, pixels, pixels, 1))
            labels = jnp.asarray(rng.integers(0, 7, count), jnp.int32)
            return Arrays(jnp.asarray(images, jnp.uint8), Targets(labels))

        self.data: Data = everywhere(
            Data(split(given.images), split(given.images // 8))
        )
        self.key = everywhere(jax.random.key(1))
        self.state = everywhere(initial_state(self.method, jax.random.key(0)))
        self.fused = execution.fused
        self.original = macs(self.method.pair.original, blank(self.method.pair))
        settled = settle(execution, self.method, self.state.fusion, self.data.train)
        self.method = replace(self.method, layout=settled.layout)
        self.how = {
            "row": "how",
            "how": str(settled),
            "device": jax.devices()[0].device_kind,
        }

    def about(self) -> Iterator[Row]:
        """How rounds are executed, and what a step multiplies."""
        yield self.how
        yield {"row": "macs", "original": self.original, "surrogate": self.candidate(1)}

    def candidate(self, n: int) -> int:
        """MACs of one of n candidates, which may share their trunk."""
        return candidate_macs(
            replace(self.method, population=n, reevaluate_incumbent=False)
        )

    def peak(self) -> Row:
        """Of the machine."""
        on_cpu = jax.default_backend() == "cpu"
        size, repeats = square_of(self.given, on_cpu), 7 if on_cpu else 24
        square = jax.random.normal(self.key, (size, size), self.given.dtype)
        product = jax.jit(lambda a: a @ a)
        return peak_row(lambda: jax.block_until_ready(product(square)), size, repeats)

    def stage1(self) -> Iterator[Row]:
        """The original alone, and with its surrogate, one setting and two."""
        method, state, steps = self.method, self.state, jnp.arange(self.given.steps)

        def fit(fusions: Any, vectors: Any, train: Any, key: Any) -> Any:
            return fit_settings(method, fusions, vectors, train, key, steps)[0]

        together = self.original + (self.candidate(1) if method.fits else 0)
        vectors = jnp.stack([state.previous, state.population[0]])
        alone = state.fusion.replace(surrogate=None)
        timed = (
            ("original alone", 1, alone, self.original),
            ("stage 1, one setting", 1, state.fusion, together),
            ("stage 1, both settings", 2, state.fusion, 2 * together),
        )
        # A form that trains one setting in stage 1 has no third row.
        for name, count, fusion, of in timed[: 1 + method.stage1_settings]:
            yield self._steps(name, of, fit, several(fusion, count), vectors[:count])

    def stage2(self) -> Iterator[Row]:
        """Populations of several sizes."""
        method, steps = self.method, jnp.arange(self.given.steps)

        def population(held: Any, nets: Any, vectors: Any, train: Any, key: Any) -> Any:
            return train_population(method, held, nets, vectors, train, key, steps)

        for n in self.given.populations:
            copied = copies(method, source(method, self.state.fusion), n)
            vectors = method.space.latin_hypercube(jax.random.key(2), n)
            work = n * self.candidate(n)
            yield self._steps(f"stage 2, N = {n}", work, population, *copied, vectors)

    def evaluation(self) -> Row:
        """Of the network, and of its surrogate where there is one."""
        programs, validation = compile_programs(self.method), self.data.validation
        one = self.method.layout.everywhere(several(self.state.fusion, 1))

        def evaluate() -> None:
            jax.block_until_ready(programs.evaluate(one, validation))

        evaluate()
        return whole_row("evaluation", evaluate, self.given.repeats)

    def round(self) -> Row:
        """As one program, or in parts, whichever the backend takes.

        Its first call compiles all of them.
        """
        method = self.method
        program: Callable[[Any, Any], Any] = (
            compile_round(method)
            if self.fused
            else partial(play, method, compile_programs(method))
        )

        def play_once() -> None:
            # From the first state again: where there are two settings, they differ.
            jax.block_until_ready(program(self.data, self.state))

        first = median_seconds(play_once, 1)
        found = whole_row("round", play_once, self.given.rounds)
        return found | {"first_seconds": first}

    def _steps(self, name: str, work: int, f: Callable[..., Any], *first: Any) -> Row:
        """A row of some steps as one program.

        Args:
          name: of the row.
          work: MACs of an image in one step, forward, of all networks that are trained.
          f: the steps.
          first: its first arguments; training data and a key follow.
        """
        arguments = (*self.method.layout.everywhere(first), self.data.train, self.key)
        begin = time.perf_counter()
        program = jax.jit(f).lower(*arguments).compile()
        compiling = time.perf_counter() - begin

        def train() -> None:
            jax.block_until_ready(program(*arguments))

        train()
        seconds = median_seconds(train, self.given.repeats)
        return {
            "row": name,
            "ms": 1e3 * seconds / self.given.steps,
            "flops": 6 * work * self.method.batch_size,
            "compile_seconds": compiling,
        }
