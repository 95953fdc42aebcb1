"""A user's own network on a user's own arrays: the method in one call.

result = tune(Net(classes=10), (x, y), (x_val, y_val), max_iterations=5_000)
result.setting, result.schedule.frame, result.predict(x_new)
"""

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from surrojax import filenames, interrupts, report
from surrojax.algorithm import DivergedError, RunState, initial_state
from surrojax.class_weights import told as told_weights
from surrojax.data import Dataset, Split
from surrojax.errors import InputError
from surrojax.method import Method
from surrojax.networks.stand_in import StandIn, UserNetwork, class_of
from surrojax.own.data import (
    Examples,
    check,
    dataset_of,
    names_of,
    split_of,
)
from surrojax.own.hints import hints, opening
from surrojax.own.identity import (
    check_shapes,
    name_of,
    programs_in,
    programs_of,
    shapes_of,
    told_of_edits,
)
from surrojax.own.method import (
    Augmentation,
    Plain,
    Preprocess,
    as_linen,
    classes_of,
    make_method,
    own_of,
    standard,
    words_of,
)
from surrojax.own.outputs import check_outputs, check_seen
from surrojax.own.reading import joined, trained
from surrojax.own.settings import Settings
from surrojax.own.tuner import number_of, seed_of, whole_of
from surrojax.run.diary import Diary, described
from surrojax.run.execution import forget_earlier_runs, keep_programs
from surrojax.run.learnt import Stalled, verdict
from surrojax.run.outcome import classify, result
from surrojax.run.progress import Progress, say
from surrojax.run.records import Record, config_in, read_description
from surrojax.run.replay import hash_of, read_schedule
from surrojax.run.result import Result
from surrojax.run.rounds import Placed, reported
from surrojax.run.setup import arrays_of
from surrojax.run.stopping import Limits
from surrojax.schedule import Schedule
from surrojax.settings import ALL
from surrojax.sgd import Descent
from surrojax.space import Values
from surrojax.weights import flatten
from surrojax.weights import hash_of as weights_hash


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
    class_weights: Literal["balanced"] | Sequence[float] | None = None,
    seed: int = 0,
    schedule: Schedule | str | os.PathLike[str] | None = None,
    workdir: str | os.PathLike[str] | None = None,
    time_budget: float = 0.0,
    early_stop: int = 0,
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
        and in a score (eq. 11): K numbers, of which the ratios matter; `balanced`: all
        classes count the same together; None: all examples the same. Accuracies that
        are reported, the best round and `early_stop` go without them.
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
    seed = seed_of(seed)
    early_stop, time_budget = _ends(early_stop, time_budget)
    options = Settings.of(settings, _OTHERS)
    examples = {"train": train, "validation": validation}
    if test is not None:
        examples["test"] = test
    splits = {name: split_of(name, pair) for name, pair in examples.items()}
    given = splits["train"].images
    before: Record = {}
    if workdir is not None:
        before, options = _before(workdir, options)
    beside = _config_beside(schedule)
    followed, options = _schedule_of(schedule, beside, settings, options)
    plain = Plain(preprocess, augment)
    method = make_method(module, given, layers, trunk, plain, optimizer, options)
    if followed is not None:
        space = Values.like(method.space)
        ordered = followed.ordered(space.names)
        ordered.check(method.plan(options.max_iterations))
        method = replace(method, space=space, schedule=ordered)
    count, words = classes_of(method), words_of(method)
    for name, split in splits.items():
        check(name, split, splits["train"], count, words)
    names = names_of(classes, count)
    dataset = dataset_of(splits, names)
    labels = splits["train"].labels, splits["validation"].labels
    method = method.with_class_weights(class_weights, *labels, names)
    limits = Limits(method.plan(options.max_iterations), time_budget, early_stop)
    begin = _begin(method, module, seed, variables)
    if preprocess is not standard:  # which makes finite numbers of those in a split
        for name, split in splits.items():
            check_seen(method, name, split.images)
    check_outputs(method, begin.fusion.original.variables, given)
    start = opening(class_of(module), method, splits, options.max_iterations)
    told = [start, *(f"mind: {h}" for h in hints(method, splits, names, words))]
    told += _told_of_layers(schedule, beside, method)
    if method.class_weights is not None:
        told.append(told_weights(method.class_weights, names))
    job = Job(method, dataset, splits, limits, options.max_iterations, seed, told)
    with ExitStack() as stack:
        diary = None
        if workdir is not None:
            description = _describe(
                module, trunk, method, options, dataset, limits, variables, seed
            )
            told += told_of_edits(
                before,
                description["programs"],
                "and its earlier rounds are not done again; choose another workdir",
            )
            # What is written there anew is still of what it began with.
            description["programs"] |= programs_in(before, description["versions"])
            diary = stack.enter_context(Diary(workdir, description, begin))
            check_shapes(diary.folder.path, before, description["shapes"])
        outer = sys.exception()
        try:
            with interrupts.heard():
                done = _train(job, begin, diary, quiet)
        except BaseException as error:
            if diary is not None and interrupts.is_behind(error, outer):
                say(f"stopped; the same call goes on from {diary.folder.path}", quiet)
            raise
    return Result(
        done.records,
        lambda: trained(method, done.variables, given),
        dataset.classes,
        done.outcome,
        None if diary is None else diary.folder.path,
        best=lambda: trained(method, done.best, given),
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


def _saved(folder: Path) -> Record:
    """What config.json says of the run in a folder; nothing where there is none."""
    file = folder / filenames.CONFIG
    saved = read_description(file) if file.exists() else None
    return {} if config_in(saved) is None else cast(Record, saved)


def _before(
    workdir: str | os.PathLike[str], options: Settings
) -> tuple[Record, Settings]:
    """What config.json says of a run in the folder, and the settings with its lengths.

    So the same call with a larger `max_iterations` extends that run.
    """
    if not os.fspath(workdir):
        raise InputError("workdir: is empty; name a folder, or leave it out")
    folder = Path(workdir).expanduser()
    saved = _saved(folder)
    before = config_in(saved) or {}
    kept = {
        name: before[name]
        for name in ("iterations_per_round", "halve_every")
        if getattr(options, name) is None and name in before
    }
    try:
        return saved, replace(options, **kept)
    except InputError as error:
        raise InputError(f"{folder}: {error}, which its run has") from error


def _schedule_of(
    schedule: Any, beside: Record, given: Mapping[str, Any], options: Settings
) -> tuple[Schedule | None, Settings]:
    """The schedule that is followed, if any, and the settings with it.

    Args:
      schedule: of `tune`.
      beside: of `_config_beside`.
      given: by the caller.
      options: these and the defaults.
    """
    if schedule is None:
        return None, options
    if isinstance(schedule, str | os.PathLike):
        options = _halved_as(beside, options)
        schedule = read_schedule(schedule)
    if not isinstance(schedule, Schedule):
        raise InputError(
            f"schedule: is of {type(schedule).__name__}; give a surrojax.Schedule, "
            "such as a result's, or the folder of a run"
        )
    return schedule, _following(schedule, given, options)


def _config_beside(schedule: Any) -> Record:
    """The config of the run whose folder or schedule file is given, if it is of one."""
    if not isinstance(schedule, str | os.PathLike):
        return {}
    place = Path(schedule).expanduser()
    return config_in(_saved(place if place.is_dir() else place.parent)) or {}


def _told_of_layers(schedule: Any, beside: Record, method: Method) -> list[str]:
    """Says where a run's schedule was found for other layers than it acts on here."""
    had = beside.get("layers")
    here = [layer.name for layer in own_of(method).layers]
    if had is None or had == here:
        return []
    return [
        f"mind: the schedule of {schedule} was found for {' and '.join(had)}, and acts "
        f"on {' and '.join(here)} here"
    ]


def _halved_as(beside: Record, options: Settings) -> Settings:
    """With the fall of the rate that a run of `tune` had, whose schedule is followed.

    One that was extended kept that of its first length.
    """
    had = beside.get("halve_every")
    if options.halve_every is not None or had is None:
        return options
    return replace(options, halve_every=had)


def _following(
    schedule: Schedule, given: Mapping[str, Any], options: Settings
) -> Settings:
    """Settings that search nothing, with the schedule's rounds where none are said.

    Args:
      schedule: that is followed.
      given: by the caller; a form such as `PAPER` says `tune="all"`.
      options: these and the defaults.
    """
    asked = given.get("tune", ALL)
    if not (isinstance(asked, str) and asked == ALL) or options.fixed:
        raise InputError(
            "schedule: says all settings by itself; leave out tune and fixed"
        )
    length = options.iterations_per_round
    if length is None:
        length = min(int(schedule.ends[0]), options.max_iterations)
    return replace(options, tune=(), iterations_per_round=length)


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
    """

    method: Method
    dataset: Dataset
    splits: dict[str, Split]
    limits: Limits
    max_iterations: int
    seed: int
    told: list[str]


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


def _train(job: Job, begin: RunState, diary: Diary | None, quiet: bool) -> Done:
    """Does what is left of a run, and writes it down where there is a diary."""
    method, limits = job.method, job.limits
    state, records = begin, list[Record]()
    best, finished = begin.fusion.original.variables, None
    if diary is not None:
        state, records = diary.restored(), diary.records
        best = diary.best(begin) if records else best
        finished = diary.folder.read_result()
    if finished and finished["rounds"] == len(records) and limits.reached(records):
        steps = records[-1]["step"]
        told = f"the run has finished before, in {len(records)} rounds, {steps} steps"
        if steps > job.max_iterations:
            told += f", where {job.max_iterations} are asked for now"
        say(told, quiet)
        return Done(records, finished, state.fusion.original.variables, best)
    for line in job.told:
        say(line, quiet)
    if records:
        say(f"goes on after round {len(records)}", quiet)
    data: Placed = {name: arrays_of(split) for name, split in job.splits.items()}
    fused = jax.default_backend() != "cpu"
    rounds = reported(method, data, state, job.max_iterations, fused)
    left = limits.left(records)
    stalled = Stalled.after(job.splits["validation"].labels, records)
    progress = Progress(limits.plan, len(records), quiet, left, stalled)
    with closing(progress):
        reason: str | None
        while not (reason := limits.reached(records)):
            try:
                state, record = next(rounds)
            except DivergedError as error:
                if not records:
                    raise
                say(f"stopped after round {len(records)}: {error}", quiet)
                state, reason = error.state, "diverged"
                break
            if int(state.best_round) == record["round"]:
                best = jax.tree.map(np.asarray, state.fusion.original.variables)
            if diary is None:
                records.append(record)
            else:
                diary.keep(state, record)
            progress.update(record)
    variables = state.fusion.original.variables
    found = {
        name: classify(method, state, method.views, split, data[name])
        for name, split in job.splits.items()
    }
    outcome = result(method, job.dataset, found, state, records)
    outcome |= {"seed": job.seed, "stopped": reason}
    if warning := verdict(outcome["train_accuracy"], job.splits["train"].labels):
        say(f"mind: {warning}", quiet)
    if diary is not None:
        diary.finish(job.dataset, found, joined(method, variables), outcome)
        report.write(diary.folder.path)
    return Done(records, outcome, variables, best)


def _begin(
    method: Method, module: Any, seed: int, variables: Mapping[str, Any] | None
) -> RunState:
    """The state before round 1."""
    begin = jax.jit(partial(initial_state, method))(jax.random.key(seed))
    if variables is None:
        return begin
    if isinstance(module, StandIn):
        raise InputError(
            "variables: a network of flax.nnx begins with those that it has; put "
            "them in with nnx.update, and leave variables out"
        )
    return _with_variables(method, begin, variables)


def _with_variables(
    method: Method, state: RunState, variables: Mapping[str, Any]
) -> RunState:
    """The state before round 1 with other weights."""
    original = state.fusion.original
    if "params" not in variables:
        raise InputError(
            "variables: have no 'params'; give all that the network's init makes, "
            '{"params": params} where it is that alone'
        )
    given = jax.tree.map(jnp.asarray, own_of(method).split(dict(variables)))
    for path, leaf in jax.tree.leaves_with_path(variables):
        if not np.all(np.isfinite(np.asarray(leaf, np.float32))):
            raise InputError(
                f"variables: {jax.tree_util.keystr(path)} holds NaN or infinity; give "
                "finite ones, or leave them out"
            )
    wanted, found = (
        {
            jax.tree_util.keystr(path): (leaf.shape, str(leaf.dtype))
            for path, leaf in leaves
        }
        for leaves in (
            jax.tree.leaves_with_path(original.variables),
            jax.tree.leaves_with_path(given),
        )
    )
    different = sorted(wanted.items() ^ found.items())
    if different:
        raise InputError(
            f"variables: {different[0][0]} is not as the network's own; give what its "
            "init makes"
        )
    return replace(state, fusion=replace(state.fusion, original=method.fresh(given)))


def _describe(
    network: nn.Module,
    surrogate: Any,
    method: Method,
    options: Settings,
    dataset: Dataset,
    limits: Limits,
    variables: Mapping[str, Any] | None,
    seed: int,
) -> Record:
    """What config.json holds, and what tells this run from another."""
    given = {
        name: value if isinstance(value, int | float | str | None) else repr(value)
        for name, value in asdict(options).items()
    }
    given |= {
        "learning_rate": options.rate,
        "iterations_per_round": options.steps_per_round,
        "halve_every": options.halving,
    }
    given |= dict(zip(("center", "width"), map(repr, options.box), strict=True))
    plain = cast(Plain, method.augment)
    origin = {}
    if method.schedule is not None:
        origin["schedule"] = hash_of(method.schedule)
    if isinstance(network, StandIn):
        origin["variables"] = weights_hash(network.weights())
    elif variables is not None:
        origin["variables"] = weights_hash(flatten(jax.tree.map(np.asarray, variables)))
    if isinstance(surrogate, StandIn):
        origin["surrogate"] = weights_hash(surrogate.weights())
    config = given | {
        "seed": seed,
        "network": name_of(network),
        "preprocess": name_of(plain.preprocess),
        "augment": name_of(plain.change),
        "layers": [layer.name for layer in own_of(method).layers],
        "surrogate": surrogate if isinstance(surrogate, str) else name_of(surrogate),
        "tune": list(method.space.tune),
        "class_weights": list(method.class_weights or ()),
        "time_budget": limits.time_budget,
        "early_stop": limits.early_stop,
    }
    if method.descent is not None:
        config["optimizer"] = name_of(method.descent)
    inputs = np.asarray(dataset.train.images[:1])
    stored = {"shape": list(inputs.shape[1:]), "type": str(inputs.dtype)}
    batch = jax.ShapeDtypeStruct((method.batch_size, *inputs.shape[1:]), inputs.dtype)
    return described(method, dataset, config, origin) | {
        "inputs": stored,
        "shapes": shapes_of(method),
        "programs": programs_of(method, batch),
    }
