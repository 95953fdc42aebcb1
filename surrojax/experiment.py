"""One run: a config and a folder in, a trained network and its schedule out.

`train` is what the command line calls, and what a notebook calls.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from surrojax import plots
from surrojax.algorithm import (
    DivergedError,
    RunState,
    compile_programs,
    initial_state,
    run,
)
from surrojax.board import Board
from surrojax.checkpoint import Checkpoints
from surrojax.data import Dataset
from surrojax.errors import InputError
from surrojax.evaluate import confusion_matrix, macro_f1, predict, recall
from surrojax.method import Data, Method
from surrojax.networks import blank
from surrojax.networks.macs import macs
from surrojax.progress import Progress, say
from surrojax.records import Record, RunFolder, explained, read_json
from surrojax.settings import load_data, make_method, resolve
from surrojax.sgd import Arrays

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
    dataset = load_data(config)
    method = make_method(config, len(dataset.classes))
    rounds = config.max_iterations // config.iterations_per_round
    with RunFolder(workdir) as folder:
        folder.claim(_describe(config, method, dataset, command))
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
            begin = initial_state(method, jax.random.key(config.seed))
            if checkpoints.latest:
                begin = checkpoints.restore(checkpoints.latest, begin)
                say(f"{folder.path}: goes on after round {len(records)}", quiet)
            say(_opening(config, method, dataset, rounds), quiet)
            data, state = _Resident.of(dataset), begin
            with (
                closing(Progress(rounds, len(records), quiet)) as progress,
                closing(Board(folder.tensorboard, records)) as board,
            ):
                try:
                    for state, record in _rounds(config, method, data, begin):
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
                        _finish(config, method, dataset, data, state, records, folder)
                    raise DivergedError(f"{folder.path}: {error}") from error
        return _finish(config, method, dataset, data, state, records, folder)


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
        method = make_method(config, len(saved["classes"]))
        state = initial_state(method, jax.random.key(config.seed))
        return method, checkpoints.restore(checkpoints.latest, state)


def _with_tuples(tree: Any) -> Any:
    """JSON knows no tuples, and a config holds no lists."""
    if isinstance(tree, dict):
        return {name: _with_tuples(value) for name, value in tree.items()}
    return tuple(tree) if isinstance(tree, list) else tree


def _opening(config: ConfigDict, method: Method, dataset: Dataset, rounds: int) -> str:
    splits = (dataset.train, dataset.validation, dataset.test)
    sizes = " / ".join(str(len(split)) for split in splits)
    left_over = config.max_iterations % config.iterations_per_round
    return (
        f"{config.network} on {config.dataset.name}, {sizes} images to train / validate"
        f" / test; tuned: {', '.join(method.space.tune) or 'nothing'}; {rounds} rounds "
        f"of {config.iterations_per_round} steps"
        + (f", {left_over} steps of max_iterations left over" if left_over else "")
        + "; compiling"
    )


def _finish(
    config: ConfigDict,
    method: Method,
    dataset: Dataset,
    data: "_Resident",
    state: RunState,
    records: list[Record],
    folder: RunFolder,
) -> Record:
    """Writes the figures and result.json, and returns what is in it."""
    result = _result(config, method, dataset, data, state, records)
    with explained(folder.plots):
        plots.write(folder.plots, records, result)
    folder.write_result(result)
    return result


class _Resident(NamedTuple):
    """The three splits on the device."""

    train: Arrays
    validation: Arrays
    test: Arrays

    @classmethod
    def of(cls, dataset: Dataset) -> "_Resident":
        splits = (dataset.train, dataset.validation, dataset.test)
        return cls(
            *(Arrays(jnp.asarray(s.images), jnp.asarray(s.labels)) for s in splits)
        )


def _rounds(
    config: ConfigDict, method: Method, data: _Resident, begin: RunState
) -> Iterator[tuple[RunState, Record]]:
    """The algorithm's rounds, each record with test figures and seconds added.

    The algorithm is handed training and validation data only; the test figures are
    read off the state that it has already chosen.
    """
    programs = compile_programs(method)
    seen = Data(data.train, data.validation)
    start = time.perf_counter()
    for state, record in run(method, seen, begin, config.max_iterations, programs):
        original, surrogate = programs.evaluate(state.fusion, data.test)
        record["test"] = {"original": {"accuracy": float(original.accuracy)}}
        if surrogate is not None:
            record["test"]["surrogate"] = {"accuracy": float(surrogate.accuracy)}
        now = time.perf_counter()
        # What the caller does with the round before this one is in it as well.
        record["seconds"], start = round(now - start, 3), now
        yield state, record


def _describe(
    config: ConfigDict, method: Method, dataset: Dataset, command: Sequence[str]
) -> Record:
    image = blank(method.pair)
    return {
        "command": list(command),
        "seed": config.seed,
        "config": config.to_dict(),
        "data": {"fingerprint": dataset.fingerprint()},
        "classes": list(dataset.classes),
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


def _result(
    config: ConfigDict,
    method: Method,
    dataset: Dataset,
    data: _Resident,
    state: RunState,
    records: list[Record],
) -> Record:
    """What result.json holds: of the last round's model, and the best round beside."""

    program = jax.jit(
        partial(predict, method.pair.original, method.normalize),
        static_argnames="batch",
    )
    variables, batch = state.fusion.original.variables, method.evaluation_batch

    def predictions(split: Arrays) -> np.ndarray:
        logits, _ = program(variables, split.images, batch=batch)
        return np.asarray(logits).argmax(axis=-1)

    confusion = confusion_matrix(
        dataset.test.labels, predictions(data.test), len(dataset.classes)
    )
    found = predictions(data.train) == dataset.train.labels
    last, best = records[-1], records[int(state.best_round) - 1]
    candidates = sum(len(r.get("candidates", ())) for r in records)
    settings = sum(len(r["stage1"]) for r in records)
    steps = method.iterations_per_round
    return {
        "test_accuracy": last["test"]["original"]["accuracy"],
        "validation_accuracy": last["original"]["validation_accuracy"],
        "train_accuracy": float(found.mean()),
        "macro_f1": macro_f1(confusion),
        "recall": {
            name: value if np.isfinite(value) else None
            for name, value in zip(
                dataset.classes, recall(confusion).tolist(), strict=True
            )
        },
        "confusion_matrix": confusion.tolist(),
        "hyper": last["hyper"],
        "best_round": {
            "round": best["round"],
            "validation_accuracy": best["original"]["validation_accuracy"],
            "test_accuracy": best["test"]["original"]["accuracy"],
        },
        "rounds": len(records),
        "original_steps": steps * settings,
        "surrogate_steps": steps * (candidates + (settings if method.tunes else 0)),
        "seconds": round(sum(r["seconds"] for r in records), 1),
        "seed": config.seed,
    }
