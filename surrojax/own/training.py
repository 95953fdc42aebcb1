"""The rounds of a run of `tune`, one after the other, and what comes of them."""

import copy
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import jax
import numpy as np

from surrojax import interrupts, report
from surrojax.algorithm import DivergedError, RunState
from surrojax.data import Dataset, Split
from surrojax.fields import Record
from surrojax.method import Method
from surrojax.own.reading import joined
from surrojax.run.diary import Diary
from surrojax.run.learnt import Stalled, verdict
from surrojax.run.outcome import classify, result
from surrojax.run.progress import Progress, say
from surrojax.run.rounds import Placed, reported
from surrojax.run.setup import arrays_of
from surrojax.run.stopping import Limits


class Job(NamedTuple):
    """A run that is to be done.

    Attributes:
      method: of the run.
      dataset: all data, for files.
      splits: those that were given, by name.
      limits: how far it goes.
      max_iterations: MaxIter.
      seed: of the run.
      told: lines about it, before it goes on.
      on_round: is given each round's record; None: nothing is.
    """

    method: Method
    dataset: Dataset
    splits: dict[str, Split]
    limits: Limits
    max_iterations: int
    seed: int
    told: list[str]
    on_round: Callable[[Record], object] | None = None


class Done(NamedTuple):
    """A run that is done.

    Attributes:
      records: of all rounds.
      outcome: what result.json holds.
      variables: of the network after the last round.
      best: of the round of the highest validation accuracy.
    """

    records: list[Record]
    outcome: Record
    variables: Any
    best: Any


class SoFar(NamedTuple):
    """What a run has come to.

    Attributes:
      state: after the last round.
      records: of all rounds.
      best: variables of the network after the round of the highest validation accuracy.
    """

    state: RunState
    records: list[Record]
    best: Any

    @property
    def variables(self) -> Any:
        """Of the network after the last round."""
        return self.state.fusion.original.variables


def train_rounds(job: Job, begin: RunState, diary: Diary | None, quiet: bool) -> Done:
    """Does what is left of a run, and writes it down where there is a diary.

    One that is interrupted says how it goes on.

    Args:
      job: the run.
      begin: its state before round 1.
      diary: of its folder, where it has one.
      quiet: no progress.

    Raises:
      DivergedError: its first round gave no finite losses.
      InputError: a file that it goes on from is missing or damaged.
    """
    outer = sys.exception()
    try:
        with interrupts.heard():
            return _train(job, begin, diary, quiet)
    except BaseException as error:
        if interrupts.is_behind(error, outer):
            kept = "without a workdir, nothing of it is kept"
            if diary is not None:
                kept = f"the same call goes on from {diary.folder.path}"
            say(f"stopped; {kept}", quiet)
        raise


def _train(job: Job, begin: RunState, diary: Diary | None, quiet: bool) -> Done:
    before = _restored(begin, diary)
    records = before.records
    finished = diary.folder.read_result() if diary is not None else None
    if finished and finished["rounds"] == len(records) and job.limits.reached(records):
        steps = records[-1]["step"]
        told = f"the run has finished before, in {len(records)} rounds, {steps} steps"
        if steps > job.max_iterations:
            told += f", where {job.max_iterations} are asked for now"
        say(told, quiet)
        return Done(records, finished, before.variables, before.best)
    for line in job.told:
        say(line, quiet)
    if records:
        say(f"goes on after round {len(records)}", quiet)
    data: Placed = {name: arrays_of(split) for name, split in job.splits.items()}
    after, reason = _play(job, before, data, diary, quiet)
    outcome = _concluded(job, after, reason, data, diary, quiet)
    return Done(records, outcome, after.variables, after.best)


def _restored(begin: RunState, diary: Diary | None) -> SoFar:
    """What a run's folder holds of it, or nothing."""
    fresh = begin.fusion.original.variables
    if diary is None:
        return SoFar(begin, [], fresh)
    state, records = diary.restored(), diary.records
    return SoFar(state, records, diary.best(begin) if records else fresh)


def _play(
    job: Job, before: SoFar, data: Placed, diary: Diary | None, quiet: bool
) -> tuple[SoFar, str]:
    """The rounds that are left, and why the last of them was the last.

    Their records join those of before, in the same list, which a diary has as its own.
    """
    (state, records, best), limits = before, job.limits
    fused = jax.default_backend() != "cpu"
    rounds = reported(job.method, data, state, job.max_iterations, fused)
    left = limits.left(records)
    weighted = job.method.class_weights is not None
    stalled = Stalled.after(job.splits["validation"].labels, records, weighted)
    progress = Progress(limits.plan, len(records), quiet, left, stalled)
    with closing(progress):
        while not (reason := limits.reached(records)):
            try:
                state, record = next(rounds)
            except DivergedError as error:
                if not records:
                    raise
                say(f"stopped after round {len(records)}: {error}", quiet)
                return SoFar(error.state, records, best), "diverged"
            if int(state.best_round) == record["round"]:
                best = jax.tree.map(np.asarray, state.fusion.original.variables)
            if diary is None:
                records.append(record)
            else:
                diary.keep(state, record)
            progress.update(record)
            if job.on_round is not None:
                job.on_round(copy.deepcopy(record))
    return SoFar(state, records, best), reason


def _concluded(
    job: Job,
    after: SoFar,
    reason: str,
    data: Placed,
    diary: Diary | None,
    quiet: bool,
) -> Record:
    """What result.json holds, written down with all else that a run ends with."""
    method, (state, records, _) = job.method, after
    found = {
        name: classify(method, state, method.views, split, data[name])
        for name, split in job.splits.items()
    }
    outcome = result(method, job.dataset, found, state, records)
    outcome |= {"seed": job.seed, "stopped": reason}
    train, weights = found["train"], method.class_weights
    if warning := verdict(train.predictions, train.labels, weights):
        say(f"mind: {warning}", quiet)
    if diary is not None:
        diary.finish(job.dataset, found, joined(method, after.variables), outcome)
        report.write(diary.folder.path)
    return outcome
