"""The algorithm's rounds, and what is reported: test figures, seconds, fidelity."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from surrojax import fidelity, interrupts
from surrojax.algorithm import Round, RunState, compile_round, play, run
from surrojax.evaluate import Evaluation
from surrojax.fields import Record
from surrojax.layout import several
from surrojax.method import Data, Method
from surrojax.programs import compile_programs
from surrojax.run import stream
from surrojax.run.stopwatch import Stopwatch
from surrojax.run.stream import Streamed
from surrojax.sgd import Arrays

Placed = dict[str, Arrays | Streamed]
"""Splits by name, on the device or on the host: train, validation, and perhaps test."""


@dataclass(frozen=True)
class FidelityPlan:
    """When the surrogate's fidelity is measured (`surrojax.fidelity`).

    Attributes:
      rounds: after which.
      drawn: settings of the initial box beside the candidates.
      seeds: trainings of each.
    """

    rounds: Sequence[int] = ()
    drawn: int = 16
    seeds: int = 2


def reported(
    method: Method,
    data: Placed,
    begin: RunState,
    max_iterations: int,
    fused: bool = False,
    measured: FidelityPlan = FidelityPlan(),
    watch: Stopwatch | None = None,
) -> Iterator[tuple[RunState, Record]]:
    """`algorithm.run`, each record with test figures and seconds added.

    The algorithm is handed training and validation data only; the test figures are
    read off the state that it has already chosen.

    Args:
      method: the settings.
      data: the splits.
      begin: the state to go on from.
      max_iterations: of `run`.
      fused: whether a round is one program; of streamed images it never is.
      measured: when fidelity is measured.
      watch: takes the time of a round's parts, where the host calls them.
    """
    streamed = isinstance(data["train"], Streamed)
    make = stream.compile_programs if streamed else compile_programs
    parts = cache(lambda steps: make(method.of_length(steps)))
    timer = watch or Stopwatch()

    def round_of(method: Method) -> Round:
        if fused and not streamed:
            return compile_round(method, donate=True)
        return partial(play, method, timer.on(parts(method.iterations_per_round)))

    seen: Any = Data(data["train"], data["validation"])  # type: ignore[arg-type]
    start = time.perf_counter()
    for state, record in run(method, seen, begin, max_iterations, round_of):
        if "test" in data:
            found = parts(method.iterations_per_round).evaluate(
                several(state.fusion, 1), data["test"]
            )
            record["test"] = test_figures(found, 0)
        now = time.perf_counter()
        # What the caller does with the round before this one is in it as well.
        record["seconds"], start = round(now - start, 3), now
        if record["round"] in measured.rounds and method.tunes:
            steps = record["iterations"]
            record["fidelity"] = fidelity.measure(
                method.of_length(steps),
                parts(steps),
                seen,
                state,
                record["candidates"],
                measured.drawn,
                measured.seeds,
            )
            start = time.perf_counter()  # it is no part of what tuning costs
            record["fidelity"]["seconds"] = round(start - now, 3)
        yield state, record
        interrupts.check()


def test_figures(found: Sequence[Evaluation | None], index: int) -> Mapping[str, Any]:
    """What a round's record says of test data, of one of several evaluations."""
    return {
        name: {"accuracy": float(of.accuracy[index])}
        for name, of in zip(("original", "surrogate"), found, strict=True)
        if of is not None
    }
