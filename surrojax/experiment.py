"""One run: a config and a folder in, a trained network and its schedule out.

`train` is what the command line calls, and what a notebook calls.
"""

import copy
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from surrojax import fidelity, processes, report
from surrojax.algorithm import (
    DivergedError,
    RunState,
    initial_state,
)
from surrojax.checkpoint import Checkpoints
from surrojax.class_weights import told as told_weights
from surrojax.data import Dataset, Split
from surrojax.diary import Diary, described
from surrojax.errors import InputError
from surrojax.execution import Execution, execution_of, prepare, settle
from surrojax.fields import are_words
from surrojax.layout import Layout
from surrojax.learnt import Stalled
from surrojax.method import Method, macs_of
from surrojax.outcome import classify, result
from surrojax.progress import Progress, say
from surrojax.records import Record, config_in, read_json
from surrojax.replay import OF_A_RUN
from surrojax.replay import hash_of as hash_of_schedule
from surrojax.rounds import Measured, Placed, reported
from surrojax.settings import (
    load_data,
    make_look,
    make_method,
    make_views,
    named,
    resolve,
)
from surrojax.sgd import Arrays, Targets
from surrojax.stopping import Limits, Reason
from surrojax.stopwatch import Stopwatch
from surrojax.stream import Streamed
from surrojax.weights import Fitted, fit_into, hash_of, load

_log = logging.getLogger("surrojax")


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
            "config.replicas: one run is trained here; surrojax.replicas.train trains "
            "several, as launch.py does"
        )
    quiet = quiet or not processes.is_first()
    with ExitStack() as stack:
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
        asked = setup.config.fidelity.rounds
        never = fidelity.never(asked, done, setup.rounds, setup.method.tunes)
        if never:
            say(f"config.fidelity.rounds: {never}", quiet)
        left = setup.limits.left(keeper.records) if keeper else None
        stalled = Stalled(setup.dataset.validation.labels)
        progress = Progress(setup.limits.plan, done, quiet, left, stalled)
        stack.enter_context(closing(progress))
        state, watch = begin, Stopwatch()
        rounds = _rounds(setup, data, begin, watch)
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
                keeper.conclude(data, processes.here(error.state))
            raise InputError(f"{workdir}: {error}") from error
        with processes.together():
            if keeper is None:
                return {}
            keeper.say_reached(quiet)
            return keeper.conclude(data, processes.here(state))


@dataclass(frozen=True)
class Setup:
    """What a config stands for, made once for all runs that share it."""

    config: ConfigDict
    weights: dict[str, np.ndarray] | None
    dataset: Dataset
    method: Method
    execution: Execution

    @classmethod
    def of(cls, config: ConfigDict) -> "Setup":
        """Reads data and weights.

        Raises:
          InputError: the config cannot be used.
        """
        prepare(config)
        config = resolve(config)
        weights = read_weights(config)
        dataset = load_data(config)
        method = make_method(config, len(dataset.classes), dataset.allowed)
        with named():
            labels = dataset.train.labels, dataset.validation.labels
            method = method.weighed(config.class_weights, *labels, dataset.classes)
        return cls(config, weights, dataset, method, execution_of(config))

    @property
    def rounds(self) -> int:
        """Rounds of the whole run."""
        return len(self.limits.plan)

    @property
    def limits(self) -> Limits:
        """How far a run may go."""
        of = self.config
        plan = self.method.plan(of.max_iterations)
        return Limits(plan, of.time_budget, of.early_stop)

    def begin(self, seed: int) -> RunState:
        """The state before round 1."""
        return self.fit(self._initial(jax.random.key(seed)))[0]

    @cached_property
    def _initial(self) -> Callable[[jax.Array], RunState]:
        """Compiled once for all seeds."""
        return jax.jit(partial(initial_state, self.method))

    def fit(self, state: RunState) -> tuple[RunState, Fitted | None]:
        """The state with the weights that the config begins with."""
        return fit_weights(state, self.weights)

    def place(self) -> Placed:
        """The images, where the config wants them or where they fit."""
        return place(self.config, self.dataset, self.method.layout)

    def settled(self, begin: RunState, data: Placed) -> "Setup":
        """The same, with what had to be timed on this machine."""
        train = data["train"]
        if isinstance(train, Streamed):
            return self
        execution = settle(self.execution, self.method, begin.fusion, train)
        if execution is self.execution:
            return self
        method = replace(self.method, layout=execution.layout)
        return replace(self, execution=execution, method=method)

    def say_opening(self, quiet: bool, who: str = "") -> None:
        """Says what is going to be done; with --verbose, how as well.

        Args:
          quiet: nothing.
          who: is going to do it, and a colon.
        """
        told = _opening(self.config, self.method, self.dataset, self.rounds)
        say(f"{who}{told}", quiet)
        if self.method.class_weights is not None:
            of = told_weights(self.method.class_weights, self.dataset.classes)
            say(f"{who}{of}", quiet)
        if not quiet and _log.isEnabledFor(logging.DEBUG):
            _log.debug("how: %s", self.execution)
            _log.debug("cost: %s", _cost(self.method))


class Keeper(Diary):
    """The folder of one run of a config. A context manager.

    Args:
      setup: of the run.
      workdir: its folder; made if it is missing.
      begin: the state before round 1.
      command: how the run was called.
      seed: of the run; else the config's.

    Raises:
      InputError: the folder cannot be used.
    """

    def __init__(
        self,
        setup: Setup,
        workdir: str | os.PathLike[str],
        begin: RunState,
        command: Sequence[str],
        seed: int | None = None,
    ) -> None:
        self._setup = setup
        self._config = copy.deepcopy(setup.config)
        if seed is not None:
            self._config.seed = seed
        self._fitted = setup.fit(begin)[1]
        description = _describe(
            self._config,
            setup.method,
            setup.dataset,
            setup.weights,
            self._fitted,
            command,
        )
        super().__init__(workdir, description, begin)

    @property
    def reached(self) -> Reason | None:
        """Why the run ends after the rounds that it has done; None: it goes on."""
        return self._setup.limits.reached(self.records)

    @property
    def finished(self) -> Record | None:
        """The result, where the run has done all rounds that are asked for."""
        result = self.folder.read_result()
        is_whole = result and len(self.records) == result["rounds"] and self.reached
        return result if is_whole else None

    def say_state(self, quiet: bool) -> None:
        """Says what the folder holds already."""
        done, path = len(self.records), self.folder.path
        self.say_files(quiet)
        steps = self.records[-1]["step"] if done else 0
        if self.finished:
            told = self._told()
            say(f"{path}: finished after {done} rounds, {steps} steps; {told}", quiet)
        elif done:
            say(f"{path}: goes on after round {done}", quiet)
        elif self._fitted is not None:
            say(str(self._fitted), quiet)

    def say_reached(self, quiet: bool) -> None:
        """Says why the run ends before its last round, if it does."""
        if self.reached != "max_iterations":
            done, path = len(self.records), self.folder.path
            say(f"{path}: stopped after round {done}: {self._told()}", quiet)

    def _told(self) -> str:
        following = self._setup.method.iterations_after(len(self.records))
        assert self.reached is not None
        return self._setup.limits.told(self.reached, self.records, following)

    def conclude(self, data: Placed, state: RunState) -> Record:
        """Writes figures, predictions, weights and result.json; returns the last."""
        config, dataset, method = self._config, self._setup.dataset, self._setup.method
        look = make_look(config, method.pair)
        crops = config.dataset.crops > 1
        views = {
            "train": make_views(look, False),
            "validation": method.views,
            "test": make_views(look, crops, dataset.allowed),
        }
        found = {
            name: classify(method, state, views[name], split, _on_one(data[name]))
            for name, split in dataset.splits.items()
        }
        outcome = result(method, dataset, found, state, self.records)
        outcome |= {"seed": config.seed, "stopped": self.reached or "diverged"}
        self.finish(dataset, found, state.fusion.original.variables, outcome)
        report.write(self.folder.path)
        return outcome


def restore(workdir: str | os.PathLike[str]) -> tuple[Method, RunState]:
    """The method of a run, and its state after the latest round: the trained network.

    Args:
      workdir: the folder of a run that has done at least one round.

    Returns:
      `method.pair.original` is the Flax module, `state.fusion.original.variables` its
      variables; `surrojax.evaluate.predict` puts images through them.

    Raises:
      InputError: the folder holds no such run.
    """
    path = Path(workdir).expanduser().absolute()
    config, (classes, allowed) = config_of(path), classes_of(path)
    with closing(Checkpoints(path / "checkpoints", reading=True)) as checkpoints:
        if not checkpoints.latest:
            raise InputError(f"{path}: this run has no checkpoint yet; let it go on")
        method = make_method(config, len(classes), allowed)
        state = initial_state(method, jax.random.key(config.seed))
        return method, checkpoints.restore(checkpoints.latest, state)


def config_of(path: Path) -> ConfigDict:
    """The resolved config of a run.

    Raises:
      InputError: the folder holds no such run.
    """
    saved = read_json(path / "config.json")
    if config_in(saved) is None:
        raise InputError(f"{path}/config.json: is no run's config.json; restore it")
    try:
        config = ConfigDict(_with_tuples(saved["config"]))
        if config.replay:  # its own copy is as good, and cannot have moved
            config.replay = str(path / OF_A_RUN)
        config.execution.devices = 0  # this machine may have others
        return resolve(config)
    except InputError:
        raise
    except (KeyError, AttributeError) as error:
        raise InputError(
            f"{path}/config.json: has no field {error}; the run was made by another "
            "version of surrojax, which can read it"
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}/config.json: is no run's config.json ({error}); restore the file"
        ) from error


def classes_of(path: Path) -> tuple[tuple[str, ...], tuple[bool, ...] | None]:
    """The classes of a run, and of each whether it may be predicted; None: any may.

    Raises:
      InputError: the folder holds no such run.
    """
    saved = read_json(path / "config.json")
    classes, allowed = (saved.get(name) for name in ("classes", "allowed"))
    if not (classes and are_words(classes)) or not (
        allowed is None or isinstance(allowed, list)
    ):
        raise InputError(
            f"{path}/config.json: classes or allowed are not those of a run; restore "
            "the file"
        )
    return tuple(classes), None if allowed is None else tuple(map(bool, allowed))


def retest(config: ConfigDict, workdir: str | os.PathLike[str]) -> Record:
    """Tests a finished run's network on the test split of another config.

    Args:
      config: whose data are tested on; its network and classes have to be the run's.
      workdir: the run's folder.

    Returns:
      The figures of the test split, as in result.json.

    Raises:
      InputError: the folder holds no finished run, or its classes are others.
    """
    method, state = restore(workdir)
    dataset = load_data(resolve(config))
    there, _ = classes_of(Path(workdir).expanduser().absolute())
    if tuple(dataset.classes) != there:
        raise InputError(
            f"{workdir}: its network knows {', '.join(there)}, the data have "
            f"{', '.join(dataset.classes)}; choose data of the same classes"
        )
    views = make_views(
        make_look(config, method.pair), config.dataset.crops > 1, dataset.allowed
    )
    placed = _place(dataset.test, True, method.layout)
    return classify(method, state, views, dataset.test, placed).figures(dataset.classes)


def _with_tuples(tree: Any) -> Any:
    """JSON knows no tuples, and a config holds no lists."""
    if isinstance(tree, dict):
        return {name: _with_tuples(value) for name, value in tree.items()}
    return tuple(tree) if isinstance(tree, list) else tree


def _opening(config: ConfigDict, method: Method, dataset: Dataset, rounds: int) -> str:
    sizes = " / ".join(str(len(split)) for split in dataset.splits.values())
    units = " / ".join(str(len(split.units()[1])) for split in dataset.splits.values())
    left_over = config.max_iterations - sum(method.plan(config.max_iterations))
    return (
        f"{config.network} on {dataset.name}, {sizes} images"
        + (f" of {units} sequences" if units != sizes else "")
        + " to train / validate / test; tuned: "
        f"{', '.join(method.space.tune) or 'nothing'}; {rounds} rounds "
        f"of {config.iterations_per_round} steps"
        + (f", doubled every {every} rounds" if (every := method.double_every) else "")
        + (f", {left_over} steps of max_iterations left over" if left_over else "")
        + "; compiling"
    )


def _cost(method: Method) -> str:
    macs = macs_of(method)
    return (
        f"an image takes {macs['original']:,} multiply-accumulates in the network, "
        f"{macs['surrogate']:,} in a candidate"
    )


def place(config: ConfigDict, dataset: Dataset, layout: Layout) -> Placed:
    """Puts the images where the config wants them, or where they fit."""
    pixels = sum(int(np.prod(s.images.shape)) for s in dataset.splits.values())
    on_host = jax.local_devices()[0].platform == "cpu"
    copies = len(jax.local_devices()) if on_host and layout.mesh is not None else 1
    too_many = copies * pixels > _room()
    stream = {"always": True, "never": False, "auto": too_many}
    return {
        name: _place(split, stream[config.dataset.stream], layout)
        for name, split in dataset.splits.items()
    }


def _place(split: Split, streamed: bool, layout: Layout) -> Arrays | Streamed:
    targets = Targets(jnp.asarray(split.labels))
    if split.sequences is not None:
        targets = Targets(targets.labels, *map(jnp.asarray, split.units()))
    if streamed:
        return Streamed(split.images, targets)
    return layout.everywhere(Arrays(jnp.asarray(split.pixels()), targets))


def _on_one(data: Arrays | Streamed) -> Arrays | Streamed:
    """Resident images as one device has them; every device has a copy."""
    return data if isinstance(data, Streamed) else processes.here(data)


def _room() -> float:
    """Bytes that images may take: half of a GPU's memory, a quarter of a host's."""
    limits = jax.local_devices()[0].memory_stats()
    if limits and "bytes_limit" in limits:
        return limits["bytes_limit"] / 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4


def _rounds(
    setup: Setup, data: Placed, begin: RunState, watch: Stopwatch
) -> Iterator[tuple[RunState, Record]]:
    """The rounds of a config's run."""
    asked = setup.config.fidelity
    return reported(
        setup.method,
        data,
        begin,
        setup.config.max_iterations,
        setup.execution.fused,
        Measured(asked.rounds, asked.drawn, asked.seeds),
        watch,
    )


def read_weights(config: ConfigDict) -> dict[str, np.ndarray] | None:
    """The weights that a run begins with; None: fresh ones."""
    return load(Path(config.init_from).expanduser()) if config.init_from else None


def fit_weights(
    state: RunState, weights: dict[str, np.ndarray] | None
) -> tuple[RunState, Fitted | None]:
    """The state with those layers of the original from `weights` whose shape fits."""
    if weights is None:
        return state, None
    original = state.fusion.original
    params, fitted = fit_into(original.params, weights)
    fusion = replace(state.fusion, original=replace(original, params=params))
    return replace(state, fusion=fusion), fitted


def _describe(
    config: ConfigDict,
    method: Method,
    dataset: Dataset,
    weights: dict[str, np.ndarray] | None,
    fitted: Fitted | None,
    command: Sequence[str],
) -> Record:
    origin: Record = {}
    if method.schedule is not None:
        origin = {"schedule": hash_of_schedule(method.schedule)}
    if weights is not None and fitted is not None:
        origin |= {"init_from": {"hash": hash_of(weights)} | asdict(fitted)}
    return described(method, dataset, config.to_dict(), origin, command)
