"""One run: a config and a folder in, a trained network and its schedule out.

`train` is what the command line calls, and what a notebook calls.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing

import numpy as np
from ml_collections import ConfigDict

from surrojax import fidelity
from surrojax.algorithm import DivergedError
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.run import memory, processes
from surrojax.run.keeper import Keeper
from surrojax.run.progress import Progress, say
from surrojax.run.restoring import restore
from surrojax.run.rounds import FidelityPlan, reported
from surrojax.run.setup import MEMORY, Setup
from surrojax.run.stopwatch import Stopwatch
from surrojax.run.stream import Streamed

__all__ = ["restore", "train"]

STREAM = "; --config.dataset.stream=always leaves the images on the host"
"""What one run alone can do with less memory, too."""


def train(
    config: ConfigDict,
    workdir: str | os.PathLike[str],
    command: Sequence[str] = (),
    quiet: bool = False,
) -> Record:
    """Runs Algorithm 1 in a folder, or goes on with the run that the folder holds.

    Args:
      config: as `configs/common.py` makes it.
      workdir: the run's folder; made if it is missing.
      command: how the run was called, for config.json.
      quiet: no progress.

    Returns:
      What result.json holds; of a process that is not the first one, nothing.

    Raises:
      InputError: config, data or folder cannot be used. Nothing that was there before
        is lost.
    """
    if config.replicas > 1:
        raise InputError(
            "config.replicas: one run is trained here; surrojax.run.replicas.train "
            "trains several, as launch.py does"
        )
    quiet = quiet or not processes.is_first()
    with memory.enough(f"{MEMORY}{STREAM}"), ExitStack() as stack:
        with processes.together():
            setup = Setup.of(config)
            processes.check(setup.method.layout.mesh)
            begin, keeper = setup.begin(config.seed), None
            if processes.is_first():
                keeper = stack.enter_context(Keeper(setup, workdir, begin, command))
                begin = keeper.restored()
                keeper.say_state(quiet)
        finished = processes.shared(np.array(bool(keeper and keeper.finished)))
        if finished:
            return (keeper and keeper.finished) or {}
        begin = setup.method.layout.everywhere(processes.shared(begin))
        with processes.together():
            data = setup.place()
            if isinstance(data["train"], Streamed):
                processes.want_one(
                    "streamed images want",
                    "with --config.dataset.stream=never every device gets a copy",
                )
        setup = setup.settled(begin, data)
        done = int(processes.here(begin).round)
        setup.say_opening(quiet)
        asked = setup.config.fidelity
        never = fidelity.never(asked.rounds, done, setup.rounds, setup.method.tunes)
        if never:
            say(f"config.fidelity.rounds: {never}", quiet)
        left = setup.limits.left(keeper.records) if keeper else None
        stalled = setup.stalled(keeper.records if keeper else ())
        progress = Progress(setup.limits.plan, done, quiet, left, stalled)
        stack.enter_context(closing(progress))
        state, watch = begin, Stopwatch()
        rounds = reported(
            setup.method,
            data,
            begin,
            setup.config.max_iterations,
            setup.execution.fused,
            FidelityPlan(asked.rounds, asked.drawn, asked.seeds),
            watch,
        )
        try:
            while not processes.shared(np.array(bool(keeper and keeper.reached))):
                state, record = next(rounds)
                with processes.together():
                    if keeper is not None:
                        keeper.keep(processes.here(state), record)
                progress.update(record)
                progress.detail(record, watch.lap())
                if "fidelity" in record:
                    say(
                        f"fidelity after round {record['round']}: "
                        f"{fidelity.told(record['fidelity'])}",
                        quiet,
                    )
        except DivergedError as error:
            if keeper is not None and keeper.records:
                keeper.conclude(data, processes.here(error.state), quiet)
            raise InputError(f"{workdir}: {error}") from error
        with processes.together():
            if keeper is None:
                return {}
            keeper.say_reached(quiet)
            return keeper.conclude(data, processes.here(state), quiet)
