"""Several runs of one config with other seeds, side by side in one program.

A table of the paper is a mean over seeds: with `replicas=5` its rows are computed at
once, one more `vmap` over whole rounds. Each replica has a run's folder of its own,
`seed=0` and so on, which holds what a run of that seed alone would hold, to float
tolerance. Each ends when its own limits say so; a replica's seconds are its share of
the time that those which still go on take together.
"""

import os
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from surrojax import interrupts
from surrojax.algorithm import DivergedError, RunState, run_replicas
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.method import Data
from surrojax.programs import compile_programs
from surrojax.run import memory
from surrojax.run.keeper import Keeper
from surrojax.run.processes import here, want_one
from surrojax.run.progress import Progress, say, undone
from surrojax.run.rounds import Placed, test_figures
from surrojax.run.setup import MEMORY, Setup
from surrojax.run.stream import Streamed

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
    first, results = setup.config.seed, Results()
    seeds = range(first, first + setup.config.replicas)
    with memory.enough(MEMORY), ExitStack() as stack:
        going = []
        for seed in seeds:
            folder, begin = Path(workdir) / f"seed={seed}", setup.begin(seed)
            keeper = stack.enter_context(Keeper(setup, folder, begin, command, seed))
            state = keeper.restored()
            if keeper.finished:
                results[seed] = keeper.finished
            else:
                going.append(_Replica(seed, keeper, state))
        if not going:
            say(f"{workdir}: all replicas have finished", quiet)
            return results
        data = setup.place()
        if isinstance(data["train"], Streamed):
            raise InputError(
                "config.replicas: several replicas want their images on the device; "
                "give --config.dataset.stream=never or --config.replicas=1"
            )
        for done, group in _groups(going).items():
            if done:
                which = ", ".join(str(replica.seed) for replica in group)
                say(f"{workdir}: seed {which} goes on after round {done}", quiet)
            setup.say_opening(quiet, f"{len(group)} replicas of: ")
            results |= _together(setup, group, data, done, quiet)
    return {seed: results[seed] for seed in seeds}


@dataclass
class _Replica:
    """A run of its seed: what keeps it, and its state."""

    seed: int
    keeper: Keeper
    state: RunState

    @property
    def done(self) -> int:
        """Rounds."""
        return len(self.keeper.records)


def _groups(replicas: Sequence[_Replica]) -> dict[int, list[_Replica]]:
    """By rounds done, replicas that can be computed side by side.

    A kill may have come between the checkpoints of two; the later one goes back a
    round. One that had ended early, and is to go on, may be far behind the others.
    """
    groups: dict[int, list[_Replica]] = {}
    for replica in sorted(replicas, key=lambda replica: replica.done):
        latest = max(groups, default=None)
        if latest is None or replica.done > latest + 1:
            latest = replica.done
        elif replica.done > latest:
            replica.state = replica.keeper.restored(latest)
        groups.setdefault(latest, []).append(replica)
    return groups


def _together(
    setup: Setup,
    replicas: Sequence[_Replica],
    data: Placed,
    done: int,
    quiet: bool,
) -> Results:
    """Trains replicas that have done as many rounds; each ends when it has to."""
    method = setup.method
    evaluate = compile_programs(method).evaluate
    seen: Any = Data(data["train"], data["validation"])  # type: ignore[arg-type]
    results = Results()

    def end(replica: _Replica, state: RunState) -> None:
        replica.keeper.say_reached(quiet)
        results[replica.seed] = replica.keeper.conclude(data, state, quiet)

    for replica in replicas:
        if replica.keeper.reached:  # it was killed before it had its result
            end(replica, replica.state)
    begin = jax.tree.map(lambda *a: jnp.stack(a), *(r.state for r in replicas))
    rounds = run_replicas(
        method,
        seen,
        method.layout.everywhere(begin),
        setup.config.max_iterations,
    )
    start = time.perf_counter()
    stalled = {r.seed: setup.stalled(r.keeper.records) for r in replicas}
    plan = setup.limits.plan
    with closing(Progress(plan, done, quiet)) as progress:
        while going := [r for r in replicas if r.seed not in results]:
            states, found = next(rounds)
            tested = jax.device_get(evaluate(states.fusion, data["test"]))
            now = time.perf_counter()
            taken, start, kept = now - start, now, []
            for index, (replica, record) in enumerate(
                zip(replicas, found, strict=True)
            ):
                if replica not in going:
                    continue
                if isinstance(record, DivergedError):
                    error = InputError(f"{replica.keeper.folder.path}: {record}")
                    results[replica.seed] = error
                    if replica.keeper.records:
                        replica.keeper.conclude(data, here(record.state), quiet)
                        start = time.perf_counter()  # no round's time
                    continue
                record["test"] = test_figures(tested, index)
                record["seconds"] = round(taken / len(going), 3)
                state = _one(states, index)
                replica.keeper.keep(state, record)
                kept.append((replica.seed, record))
                if replica.keeper.reached:
                    end(replica, state)
                    start = time.perf_counter()  # no round's time
            if kept:
                progress.update(_mean([record for _, record in kept], taken))
            for seed, record in kept:
                accuracy = record["original"]["validation_accuracy"]
                told = stalled[seed].told(accuracy)
                if told and record["round"] < len(plan):
                    say(f"mind: seed {seed}: {told}", quiet)
                if "undone" in record:
                    say(f"mind: seed {seed}: {undone(record)}", quiet)
                progress.detail(record, {}, f"seed {seed}")
            interrupts.check()
    return results


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
