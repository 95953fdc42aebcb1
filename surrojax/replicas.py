"""Several runs of one config with other seeds, side by side in one program.

A table of the paper is a mean over seeds: with `replicas=5` its rows are computed at
once, one more `vmap` over whole rounds. Each replica has a run's folder of its own,
`seed=0` and so on, which holds what a run of that seed alone would hold, to float
tolerance.
"""

import os
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from surrojax.algorithm import (
    DivergedError,
    RunState,
    compile_programs,
    compile_replicas,
    run_replicas,
)
from surrojax.errors import InputError
from surrojax.experiment import Keeper, Placed, Setup, test_figures
from surrojax.method import Data
from surrojax.processes import here, want_one
from surrojax.progress import Progress, say
from surrojax.records import Record
from surrojax.stream import Streamed

Results = dict[int, Record | InputError]
"""By seed: what result.json holds, or why the run stopped."""


def train(
    config: ConfigDict,
    workdir: str | os.PathLike[str],
    command: Sequence[str] = (),
    quiet: bool = False,
) -> Results:
    """Runs `config.replicas` seeds from `config.seed` on, or goes on with them.

    Args:
      config: as `configs/common.py` makes it.
      workdir: holds a folder for each seed.
      command, quiet: of `experiment.train`.

    Returns:
      By seed, the result; a run that diverged has its error.

    Raises:
      InputError: config, data or a folder cannot be used.
    """
    want_one("config.replicas: several replicas want", "give --config.replicas=1")
    if config.fidelity.rounds:
        raise InputError(
            "config.fidelity.rounds: replicas are not measured; give "
            "--config.replicas=1"
        )
    setup = Setup.of(config)
    seeds = range(setup.config.seed, setup.config.seed + setup.config.replicas)
    with ExitStack() as stack:
        begins = [setup.begin(seed) for seed in seeds]
        keepers = [
            stack.enter_context(
                Keeper(setup, Path(workdir) / f"seed={seed}", begin, command, seed)
            )
            for seed, begin in zip(seeds, begins, strict=True)
        ]
        # A kill may have come between the checkpoints of two replicas.
        done = min(keeper.checkpoints.latest for keeper in keepers)
        states = [keeper.restored(done) for keeper in keepers]
        finished = [keeper.finished for keeper in keepers]
        if all(finished):
            say(f"{workdir}: all replicas have finished", quiet)
            return {
                seed: result
                for seed, result in zip(seeds, finished, strict=True)
                if result
            }
        if done:
            say(f"{workdir}: goes on after round {done}", quiet)
        data = setup.place()
        if isinstance(data["train"], Streamed):
            raise InputError(
                "config.replicas: several replicas want their images on the device; "
                "give --config.dataset.stream=never or --config.replicas=1"
            )
        say(f"{len(seeds)} replicas of: {setup.opening()}", quiet)
        stacked = jax.tree.map(lambda *a: jnp.stack(a), *states)
        progress = stack.enter_context(closing(Progress(setup.rounds, done, quiet)))
        return _together(setup, keepers, list(seeds), data, stacked, progress)


def _together(
    setup: Setup,
    keepers: list[Keeper],
    seeds: list[int],
    data: Placed,
    begin: RunState,
    progress: Progress,
) -> Results:
    method = setup.method
    evaluate = compile_programs(method).evaluate
    seen: Any = Data(data["train"], data["validation"])  # type: ignore[arg-type]
    stopped: dict[int, InputError] = {}
    states, start = begin, time.perf_counter()
    for states, found in run_replicas(
        method,
        seen,
        method.layout.everywhere(begin),
        setup.config.max_iterations,
        partial(compile_replicas, donate=True),
    ):
        tested = jax.device_get(evaluate(states.fusion, data["test"]))
        now = time.perf_counter()
        taken, start = round((now - start) / len(seeds), 3), now
        kept = []
        for index, (keeper, record) in enumerate(zip(keepers, found, strict=True)):
            if isinstance(record, DivergedError):
                error = InputError(f"{keeper.folder.path}: {record}")
                stopped.setdefault(seeds[index], error)
            if seeds[index] in stopped or not isinstance(record, dict):
                continue
            record["test"] = test_figures(tested, index)
            record["seconds"] = taken
            keeper.keep(_one(states, index), record)
            kept.append(record)
        if not kept:
            break
        progress.update(_mean(kept, taken * len(seeds)))
    return {
        seed: stopped.get(seed) or keeper.finish(data, _one(states, index))
        for index, (seed, keeper) in enumerate(zip(seeds, keepers, strict=True))
    }


def _one(states: RunState, index: int) -> RunState:
    return here(jax.tree.map(lambda a: a[index], states))


def _mean(records: Sequence[Record], seconds: float) -> Record:
    """What the progress shows of several records."""

    def mean(*path: str) -> float:
        values = []
        for record in records:
            value: Any = record
            for name in path:
                value = value[name]
            values.append(value)
        return statistics.mean(values)

    return {
        "round": records[0]["round"],
        "step": records[0]["step"],
        "original": {"validation_accuracy": mean("original", "validation_accuracy")},
        "test": {"original": {"accuracy": mean("test", "original", "accuracy")}},
        "seconds": seconds,
    }
