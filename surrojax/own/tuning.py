"""A user's own network on a user's own arrays: the method in one call.

result = tune(Net(classes=10), (x, y), (x_val, y_val), max_iterations=5_000)
result.setting, result.schedule.frame, result.predict(x_new)
"""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import flax.linen as nn
import numpy as np

from surrojax.class_weights import told as told_weights
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.networks.stand_in import UserNetwork, class_of
from surrojax.own.beginning import begin_with
from surrojax.own.data import (
    Examples,
    check,
    dataset_of,
    names_of,
    split_of,
)
from surrojax.own.description import describe
from surrojax.own.earlier import earlier_run
from surrojax.own.following import Followed
from surrojax.own.hints import hints, opening, unused
from surrojax.own.identity import check_shapes, programs_in, told_of_edits
from surrojax.own.method import (
    Augmentation,
    Plain,
    Preprocess,
    as_linen,
    check_callable,
    make_method,
    own_of,
    standard,
    words_of,
)
from surrojax.own.numbers import number_of, seed_of, whole_of
from surrojax.own.outputs import check_outputs, check_seen
from surrojax.own.reading import ROWS, trained
from surrojax.own.settings import Settings
from surrojax.own.training import Job, train_rounds
from surrojax.run import memory
from surrojax.run.diary import Diary
from surrojax.run.execution import forget_earlier_runs, keep_programs
from surrojax.run.result import Result
from surrojax.run.stopping import Limits
from surrojax.schedule import Schedule
from surrojax.sgd import Descent


def tune(
    network: UserNetwork,
    train: Examples,
    validation: Examples,
    test: Examples | None = None,
    *,
    layers: Sequence[str] | None = None,
    surrogate: Literal["fitted", "shared"] | UserNetwork = "shared",
    preprocess: Preprocess = standard,
    augment: Augmentation | None = None,
    optimizer: Descent | None = None,
    variables: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    class_weights: Literal["balanced"]
    | Sequence[float]
    | Mapping[Any, float]
    | None = None,
    seed: int = 0,
    schedule: Schedule | str | os.PathLike[str] | None = None,
    workdir: str | os.PathLike[str] | None = None,
    time_budget: float = 0.0,
    early_stop: int = 0,
    on_round: Callable[[Record], object] | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Result:
    """Trains a user's network, and tunes its dropout meanwhile, or penalties as well.

        result = tune(Net(), (x, y), (x_val, y_val), max_iterations=10_000)
        print(result)
        result.predict(x_new), result.schedule, result.variables

    All data are put on the device. Test data, where they are given, choose nothing.

    Args:
      network: a module of flax.linen or flax.nnx that yields logits `[B, K]`.
      train, validation, test: pairs of arrays, inputs `[n, ...]` and labels `[n]`,
        whole numbers from 0 on.
      layers, surrogate, preprocess, augment, optimizer: of `own_method`.
      variables: that the network begins with, as its own `init` makes them; None:
        fresh ones.
      classes: K names; None: the numbers.
      class_weights: what an example of each class counts in the softmax loss (eq. 5)
        and in a score (eq. 11): K numbers, of which the ratios matter, in order or by
        name or label; `balanced`: all classes count the same together; None: all
        examples the same. Accuracies that are reported, the best round and
        `early_stop` go without them.
      seed: of weights, minibatches, masks and search.
      schedule: trains once with these settings, without a search; or a folder or file
        with them, as `read_schedule` takes it.
      workdir: a folder for the records, figures, weights and checkpoints, as launch.py
        leaves them; the same call on the same folder goes on where it was stopped, and
        one with more `max_iterations` extends it, in rounds of the same length and with
        the same `halve_every`, so that the rate goes on falling. None: nothing is
        written.
      time_budget: seconds that all rounds may take; 0: no limit.
      early_stop: rounds without a better validation accuracy after which it ends; 0:
        never.
      on_round: is called after each round with a copy of its record, a line of
        metrics.jsonl, for a logger of your own. The time it takes counts as the next
        round's. What it raises ends the run; in a workdir, the same call goes on after
        that round.
      quiet: no progress.
      settings: of `Settings`: `max_iterations` (10,000), `tune` (dropout ratios),
        `learning_rate` (0.03), `batch_size` (64), `population` (6) and so on.

    Raises:
      InputError: the network, the data, a setting or the folder cannot be used; the
        message names what, and the remedy.
    """
    keep_programs()
    forget_earlier_runs()
    module, trunk = as_linen(network), as_linen(surrogate)
    variables = nn.meta.unbox(variables)
    seed = seed_of(seed)
    early_stop, time_budget = _ends(early_stop, time_budget)
    if on_round is not None:
        check_callable("on_round", on_round, "a record", 1)
    options = Settings.of(settings, _OTHERS)
    examples = {"train": train, "validation": validation}
    if test is not None:
        examples["test"] = test
    splits = {name: split_of(name, pair) for name, pair in examples.items()}
    given = splits["train"].images
    before: Record = {}
    if workdir is not None:
        before, options = earlier_run(workdir, options)
    followed, options = Followed.of(schedule, settings, options)
    plain = Plain(preprocess, augment)
    method = make_method(module, given, layers, trunk, plain, optimizer, options)
    if followed is not None:
        method = followed.on(method, options.max_iterations)
    count, words = own_of(method).classes, words_of(method)
    for name, split in splits.items():
        check(name, split, splits["train"], count, words)
    names = names_of(classes, count)
    labels = splits["train"].labels, splits["validation"].labels
    method = method.with_class_weights(class_weights, *labels, names)
    begin = begin_with(method, module, seed, variables)
    if preprocess is not standard:  # which makes finite numbers of those in a split
        for name, split in splits.items():
            check_seen(method, name, split.images)
    doubts = check_outputs(method, begin.fusion.original.variables, given)
    start = opening(class_of(module), method, splits, options.max_iterations)
    minded = [*unused(method, settings), *hints(method, splits, names, words), *doubts]
    if followed is not None:
        minded += followed.told(method, sum(method.plan(options.max_iterations)))
    told = [start, *(f"mind: {hint}" for hint in minded)]
    if method.class_weights is not None:
        told.append(told_weights(method.class_weights, names))
    dataset = dataset_of(splits, names)
    limits = Limits(method.plan(options.max_iterations), time_budget, early_stop)
    job = Job(
        method, dataset, splits, limits, options.max_iterations, seed, told, on_round
    )
    with ExitStack() as stack:
        diary = None
        if workdir is not None:
            description = describe(job, options, module, trunk, variables)
            edits = told_of_edits(
                before,
                description["programs"],
                "and its earlier rounds are not done again; choose another workdir",
            )
            job.told.extend(edits)
            # What is written there anew is still of what it began with.
            description["programs"] |= programs_in(before, description["versions"])
            diary = stack.enter_context(Diary(workdir, description, begin))
            check_shapes(diary.folder.path, before, description["shapes"])
        with memory.enough(
            "give a smaller batch_size, evaluation_batch or population, and another "
            "workdir where there is one"
        ):
            done = train_rounds(job, begin, diary, quiet)
    like = np.array(given[:ROWS])  # a result does not hold on to all that it saw
    return Result(
        done.records,
        lambda: trained(method, done.variables, like),
        dataset.classes,
        done.outcome,
        None if diary is None else diary.folder.path,
        best=lambda: trained(method, done.best, like),
    )


_OTHERS = [n for n in inspect.signature(tune).parameters if n != "settings"]


def _ends(early_stop: Any, time_budget: Any) -> tuple[int, float]:
    """What ends a run before its last round, checked."""
    rounds, seconds = (
        whole_of("early_stop", early_stop),
        number_of("time_budget", time_budget),
    )
    if rounds < 0:
        raise InputError(f"early_stop = {rounds} must be a number of rounds, or 0")
    if not seconds >= 0:
        raise InputError(f"time_budget = {seconds!r} must be seconds, or 0")
    return rounds, seconds
