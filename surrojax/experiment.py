"""One run: a config and a folder in, a trained network and its schedule out.

`train` is what the command line calls, and what a notebook calls.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from surrojax import plots, stream
from surrojax.algorithm import (
    DivergedError,
    RunState,
    compile_programs,
    initial_state,
    play,
    run,
    several,
)
from surrojax.board import Board
from surrojax.checkpoint import Checkpoints
from surrojax.data import Dataset, Split
from surrojax.errors import InputError
from surrojax.method import Data, Method
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
      What result.json holds.

    Raises:
      InputError: config, data or folder cannot be used. Nothing that was there before
        is lost.
    """
    config = resolve(config)
    weights = read_weights(config)
    dataset = load_data(config)
    method = make_method(config, len(dataset.classes), dataset.allowed)
    rounds = config.max_iterations // config.iterations_per_round
    with RunFolder(workdir) as folder:
        begin = initial_state(method, jax.random.key(config.seed))
        begin, fitted = fit_weights(begin, weights)
        folder.claim(_describe(config, method, dataset, weights, fitted, command))
        with closing(Checkpoints(folder.checkpoints)) as checkpoints:
            records = folder.read_metrics(checkpoints.latest)
            finished = folder.read_result()
            if finished and len(records) == finished["rounds"] >= rounds:
                steps = len(records) * config.iterations_per_round
                say(
                    f"{folder.path}: finished after {len(records)} rounds, {steps} "
                    "steps; a max_iterations of "
                    f"{steps + config.iterations_per_round} or more goes on from there",
                    quiet,
                )
                return finished
            if checkpoints.latest:
                begin = checkpoints.restore(checkpoints.latest, begin)
                say(f"{folder.path}: goes on after round {len(records)}", quiet)
            elif fitted is not None:
                say(str(fitted), quiet)
            say(_opening(config, method, dataset, rounds), quiet)
            data, state = place(config, dataset), begin
            with (
                closing(Progress(rounds, len(records), quiet)) as progress,
                closing(Board(folder.tensorboard, records)) as board,
            ):
                try:
                    for state, record in _rounds(
                        method, config.max_iterations, data, begin
                    ):
                        folder.append_metrics(record)
                        records.append(record)
                        folder.write_schedule(records)
                        # Last, so that whatever a checkpoint counts is on the disk.
                        checkpoints.save(record["round"], state)
                        with explained(folder.path):
                            board.add(record)
                            if record["round"] % PLOT_EVERY == 0:
                                plots.write(folder.plots, records)
                        progress.update(record)
                except DivergedError as error:
                    if records:
                        _finish(
                            config, dataset, method, data, error.state, records, folder
                        )
                    raise InputError(f"{folder.path}: {error}") from error
        return _finish(config, dataset, method, data, state, records, folder)


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
    config = resolve(ConfigDict(_with_tuples(saved["config"])))
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
    placed = _place(dataset.test, streamed=True)
    return classify(method, state, views, dataset.test, placed).figures(dataset.classes)


def _with_tuples(tree: Any) -> Any:
    """JSON knows no tuples, and a config holds no lists."""
    if isinstance(tree, dict):
        return {name: _with_tuples(value) for name, value in tree.items()}
    return tuple(tree) if isinstance(tree, list) else tree


def _opening(config: ConfigDict, method: Method, dataset: Dataset, rounds: int) -> str:
    sizes = " / ".join(str(len(split)) for split in dataset.splits.values())
    units = " / ".join(str(len(split.units()[1])) for split in dataset.splits.values())
    left_over = config.max_iterations % config.iterations_per_round
    return (
        f"{config.network} on {dataset.name}, {sizes} images"
        + (f" of {units} sequences" if units != sizes else "")
        + " to train / validate / test; tuned: "
        f"{', '.join(method.space.tune) or 'nothing'}; {rounds} rounds "
        f"of {config.iterations_per_round} steps"
        + (f", {left_over} steps of max_iterations left over" if left_over else "")
        + "; compiling"
    )


def _finish(
    config: ConfigDict,
    dataset: Dataset,
    method: Method,
    data: "Placed",
    state: RunState,
    records: list[Record],
    folder: RunFolder,
) -> Record:
    """Writes figures, predictions, weights and result.json; returns the last."""
    look = make_look(config, method.pair)
    crops = config.dataset.crops > 1
    views = {
        "train": make_views(look, False),
        "validation": method.views,
        "test": make_views(look, crops, dataset.allowed),
    }
    found = {
        name: classify(method, state, views[name], split, data[name])
        for name, split in dataset.splits.items()
    }
    outcome = result(method, dataset, found, state, records) | {"seed": config.seed}
    with explained(folder.plots):
        plots.write(folder.plots, records, outcome)
    write_text(folder.path / "predictions.csv", predictions_csv(dataset, found))
    save(folder.path / "weights.safetensors", state.fusion.original.params)
    folder.write_result(outcome)
    return outcome


Placed = dict[str, Arrays | Streamed]
"""The three splits by name, on the device or on the host."""


def place(config: ConfigDict, dataset: Dataset) -> Placed:
    """Puts the images where the config wants them, or where they fit."""
    pixels = sum(int(np.prod(s.images.shape)) for s in dataset.splits.values())
    stream = {"always": True, "never": False, "auto": pixels > _room()}
    return {
        name: _place(split, stream[config.dataset.stream])
        for name, split in dataset.splits.items()
    }


def _place(split: Split, streamed: bool) -> Arrays | Streamed:
    targets = Targets(jnp.asarray(split.labels))
    if split.sequences is not None:
        units, unit_labels = map(jnp.asarray, split.units())
        targets = Targets(targets.labels, units, unit_labels)
    if streamed:
        return Streamed(split.images, targets)
    return Arrays(jnp.asarray(split.pixels()), targets)


def _room() -> float:
    """Bytes that images may take: half of a GPU's memory, a quarter of a host's."""
    limits = jax.local_devices()[0].memory_stats()
    if limits and "bytes_limit" in limits:
        return limits["bytes_limit"] / 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4


def _rounds(
    method: Method, max_iterations: int, data: Placed, begin: RunState
) -> Iterator[tuple[RunState, Record]]:
    """The algorithm's rounds, each record with test figures and seconds added.

    The algorithm is handed training and validation data only; the test figures are
    read off the state that it has already chosen.
    """
    streamed = isinstance(data["train"], Streamed)
    programs = (stream.compile_programs if streamed else compile_programs)(method)
    round_ = partial(play, method, programs)
    seen: Any = Data(data["train"], data["validation"])  # type: ignore[arg-type]
    start = time.perf_counter()
    for state, record in run(method, seen, begin, max_iterations, round_):
        found = programs.evaluate(several(state.fusion, 1), data["test"])
        record["test"] = {
            name: {"accuracy": float(of.accuracy[0])}
            for name, of in zip(("original", "surrogate"), found, strict=True)
            if of is not None
        }
        now = time.perf_counter()
        # What the caller does with the round before this one is in it as well.
        record["seconds"], start = round(now - start, 3), now
        yield state, record


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
            "surrogate": macs(method.pair.surrogate, image),
        },
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in VERSIONS},
        "device": jax.devices()[0].device_kind,
    }
