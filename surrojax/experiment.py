"""One run: a config and a folder in, a trained network and its schedule out.

`train` is what the command line calls, and what a notebook calls.
"""

import copy
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from surrojax import fidelity, plots, processes, report, stream
from surrojax.algorithm import (
    DivergedError,
    Round,
    RunState,
    compile_programs,
    compile_round,
    initial_state,
    play,
    run,
    several,
)
from surrojax.board import Board
from surrojax.checkpoint import Checkpoints
from surrojax.data import Dataset, Split
from surrojax.errors import InputError
from surrojax.evaluate import Evaluation
from surrojax.execution import Execution, execution_of, prepare, settle
from surrojax.layout import Layout
from surrojax.method import Data, Method, candidate_macs
from surrojax.networks import blank
from surrojax.networks.macs import macs
from surrojax.outcome import classify, predictions_csv, result
from surrojax.progress import Progress, say
from surrojax.records import Record, RunFolder, explained, read_json, write_text
from surrojax.settings import (
    load_data,
    make_look,
    make_method,
    make_views,
    resolve,
)
from surrojax.sgd import Arrays, Targets
from surrojax.stream import Streamed
from surrojax.weights import Fitted, fit_into, hash_of, load, save

PLOT_EVERY = 10
"""Rounds between two drawings of the figures; they are drawn at the end as well."""

VERSIONS = ("surrojax", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


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
        say(setup.opening(), quiet)
        progress = Progress(setup.rounds, done, quiet)
        stack.enter_context(closing(progress))
        state = begin
        try:
            for state, record in _rounds(setup, data, begin):
                with processes.together():
                    if keeper is not None:
                        keeper.keep(processes.here(state), record)
                progress.update(record)
                if "fidelity" in record:
                    say(
                        f"fidelity after round {record['round']}: "
                        f"{fidelity.told(record['fidelity'])}",
                        quiet,
                    )
        except DivergedError as error:
            if keeper is not None and keeper.records:
                keeper.finish(data, processes.here(error.state))
            raise InputError(f"{workdir}: {error}") from error
        with processes.together():
            return keeper.finish(data, processes.here(state)) if keeper else {}


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
        return cls(config, weights, dataset, method, execution_of(config))

    @property
    def rounds(self) -> int:
        """Rounds of the whole run."""
        return len(self.method.plan(self.config.max_iterations))

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

    def place(self) -> "Placed":
        """The images, where the config wants them or where they fit."""
        return place(self.config, self.dataset, self.method.layout)

    def settled(self, begin: RunState, data: "Placed") -> "Setup":
        """The same, with what had to be timed on this machine."""
        train = data["train"]
        if isinstance(train, Streamed):
            return self
        execution = settle(self.execution, self.method, begin.fusion, train)
        method = replace(self.method, layout=execution.layout)
        return replace(self, execution=execution, method=method)

    def opening(self) -> str:
        """What is going to be done, and how."""
        lines = _opening(self.config, self.method, self.dataset, self.rounds)
        return f"{lines}\nhow: {self.execution}"


class Keeper:
    """The folder of one run while it goes on. A context manager.

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
        self._setup, self._begin = setup, begin
        self._config = copy.deepcopy(setup.config)
        if seed is not None:
            self._config.seed = seed
        with ExitStack() as stack:
            self.folder = stack.enter_context(RunFolder(workdir))
            self._fitted = setup.fit(begin)[1]
            self.folder.claim(
                _describe(
                    self._config,
                    setup.method,
                    setup.dataset,
                    setup.weights,
                    self._fitted,
                    command,
                )
            )
            self.checkpoints = Checkpoints(self.folder.checkpoints)
            stack.enter_context(closing(self.checkpoints))
            self._stack = stack.pop_all()
        self._board: Board | None = None
        self.records: list[Record] = []

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def finished(self) -> Record | None:
        """The result, where the run has done all rounds that are asked for."""
        result = self.folder.read_result()
        enough = len(self.records) >= self._setup.rounds
        is_whole = result and len(self.records) == result["rounds"] and enough
        return result if is_whole else None

    def restored(self, round_: int | None = None) -> RunState:
        """The state of the latest round, or of an earlier one that was kept."""
        latest = self.checkpoints.latest if round_ is None else round_
        self.records = self.folder.read_metrics(latest)
        return self.checkpoints.restore(latest, self._begin) if latest else self._begin

    def say_state(self, quiet: bool) -> None:
        """Says what the folder holds already."""
        done, path = len(self.records), self.folder.path
        steps = self.records[-1]["step"] if done else 0
        following = self._setup.method.iterations_after(done)
        if self.finished:
            say(
                f"{path}: finished after {done} rounds, {steps} steps; a "
                f"max_iterations of {steps + following} or more goes on from there",
                quiet,
            )
        elif done:
            say(f"{path}: goes on after round {done}", quiet)
        elif self._fitted is not None:
            say(str(self._fitted), quiet)

    def keep(self, state: RunState, record: Record) -> None:
        """Writes down a round."""
        if self._board is None:
            self._board = Board(self.folder.tensorboard, self.records)
            self._stack.enter_context(closing(self._board))
        self.folder.append_metrics(record)
        self.records.append(record)
        self.folder.write_schedule(self.records)
        # Last, so that whatever a checkpoint counts is on the disk.
        self.checkpoints.save(record["round"], state)
        with explained(self.folder.path):
            self._board.add(record)
            if record["round"] % PLOT_EVERY == 0:
                plots.write(self.folder.plots, self.records)

    def finish(self, data: "Placed", state: RunState) -> Record:
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
        outcome |= {"seed": config.seed}
        folder = self.folder
        with explained(folder.plots):
            plots.write(folder.plots, self.records, outcome)
        write_text(folder.path / "predictions.csv", predictions_csv(dataset, found))
        save(folder.path / "weights.safetensors", state.fusion.original.params)
        folder.write_result(outcome)
        report.write(folder.path)
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
    saved = read_json(path / "config.json")
    try:
        config = resolve(ConfigDict(_with_tuples(saved["config"])))
    except KeyError as error:
        raise InputError(
            f"{path}/config.json: has no field {error}; the run was made by another "
            "version of surrojax, which can read it"
        ) from error
    with closing(Checkpoints(path / "checkpoints")) as checkpoints:
        if not checkpoints.latest:
            raise InputError(f"{path}: this run has no checkpoint yet; let it go on")
        allowed = saved["allowed"] and tuple(saved["allowed"])
        method = make_method(config, len(saved["classes"]), allowed)
        state = initial_state(method, jax.random.key(config.seed))
        return method, checkpoints.restore(checkpoints.latest, state)


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
    there = read_json(Path(workdir).expanduser().absolute() / "config.json")["classes"]
    if list(dataset.classes) != there:
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


Placed = dict[str, Arrays | Streamed]
"""The three splits by name, on the device or on the host."""


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
    setup: Setup, data: Placed, begin: RunState
) -> Iterator[tuple[RunState, Record]]:
    """The algorithm's rounds, each record with test figures and seconds added.

    The algorithm is handed training and validation data only; the test figures are
    read off the state that it has already chosen.
    """
    method, streamed = setup.method, isinstance(data["train"], Streamed)
    make = stream.compile_programs if streamed else compile_programs
    parts = cache(lambda steps: make(method.of_length(steps)))
    evaluate = parts(method.iterations_per_round).evaluate

    def round_of(method: Method) -> Round:
        if setup.execution.fused and not streamed:
            return compile_round(method, donate=True)
        return partial(play, method, parts(method.iterations_per_round))

    seen: Any = Data(data["train"], data["validation"])  # type: ignore[arg-type]
    asked, last = setup.config.fidelity, setup.config.max_iterations
    start = time.perf_counter()
    for state, record in run(method, seen, begin, last, round_of):
        record["test"] = test_figures(
            evaluate(several(state.fusion, 1), data["test"]), 0
        )
        now = time.perf_counter()
        # What the caller does with the round before this one is in it as well.
        record["seconds"], start = round(now - start, 3), now
        if record["round"] in asked.rounds and method.tunes:
            steps = record["iterations"]
            record["fidelity"] = fidelity.measure(
                method.of_length(steps),
                parts(steps),
                seen,
                state,
                record["candidates"],
                asked.drawn,
                asked.seeds,
            )
            start = time.perf_counter()  # it is no part of what tuning costs
            record["fidelity"]["seconds"] = round(start - now, 3)
        yield state, record


def test_figures(found: Sequence[Evaluation | None], index: int) -> Record:
    """What a round's record says of test data, of one of several evaluations."""
    return {
        name: {"accuracy": float(of.accuracy[index])}
        for name, of in zip(("original", "surrogate"), found, strict=True)
        if of is not None
    }


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
    image = blank(method.pair)
    origin = {}
    if weights is not None and fitted is not None:
        origin = {"init_from": {"hash": hash_of(weights)} | asdict(fitted)}
    return {
        "command": list(command),
        "seed": config.seed,
        "config": config.to_dict(),
        "data": {"fingerprint": dataset.fingerprint()} | origin,
        "classes": list(dataset.classes),
        "allowed": dataset.allowed,
        "manifest": dataset.manifest,
        # What a step of each network costs, for those who compare costs.
        "multiply_accumulates": {
            "original": macs(method.pair.original, image),
            "surrogate": candidate_macs(method),
        },
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in VERSIONS},
        "device": jax.devices()[0].device_kind,
    }
