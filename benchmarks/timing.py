"""What both sides of `benchmarks.speed` share: what is measured, and how."""

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

from ml_collections import ConfigDict

Row = dict[str, Any]
"""What was measured, under `row`, its name; `ms` of a step or of a whole."""

IMAGES = 28709  # of FER2013, and an eighth of them to validate on


def config_of(given: argparse.Namespace) -> ConfigDict:
    """The config that is measured."""
    config: ConfigDict = import_module(f"configs.{given.config}").get_config()
    config.batch_size = given.batch or config.batch_size
    config.iterations_per_round = given.round_steps
    config.compute_dtype = given.dtype
    config.execution.devices = given.devices
    if given.side == "pytorch" and config.surrogate != "fitted":
        raise SystemExit(f"--side=pytorch: has no candidates as {given.config} has")
    return config


def pixels_of(given: argparse.Namespace) -> int:
    """Along a side of the images, as they are stored."""
    return 48 if given.config.endswith("mresnet") else 28


def median_seconds(program: Callable[[], Any], repeats: int) -> float:
    """The median time of a call."""
    return statistics.median(_seconds(program) for _ in range(repeats))


def square_of(given: argparse.Namespace, on_cpu: bool) -> int:
    """Rows of the matrices of `peak_row`: enough to hide how a GPU is called."""
    return given.square or (1024 if on_cpu else 8192)


def peak_row(product: Callable[[], Any], size: int, repeats: int) -> Row:
    """Operations a second of the fastest of some products of square matrices.

    Args:
      product: of two of them.
      size: their rows.
      repeats: products.
    """
    best = min(_seconds(product) for _ in range(repeats))
    return {"row": "peak", "flops": 2 * size**3 / best}


class Side(Protocol):
    """What is timed: one of the two programs, with its data."""

    def about(self) -> Iterator[Row]:
        """What a reader of the rows should know."""

    def peak(self) -> Row:
        """Of the machine."""

    def stage1(self) -> Iterator[Row]:
        """Steps of one setting and of two."""

    def stage2(self) -> Iterator[Row]:
        """Steps of populations of several sizes."""

    def evaluation(self) -> Row:
        """Of the network, and of its surrogate where there is one."""

    def round(self) -> Row:
        """Of the config's population."""


def rows_of(side: Side, rounds: int, started: float) -> Iterator[Row]:
    """All rows of a side, one at a time.

    Args:
      side: one of them.
      rounds: to time; 0: none.
      started: when the side was, by `time.perf_counter`.
    """
    yield from side.about()
    yield side.peak()
    yield from side.stage1()
    yield from side.stage2()
    yield side.evaluation()
    if rounds:
        yield side.round()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = time.perf_counter() - started
    yield {"row": "process", "peak_memory_gib": most, "seconds": seconds}


def whole_row(name: str, program: Callable[[], Any], repeats: int) -> Row:
    """A row of a program that is timed as a whole."""
    return {"row": name, "ms": 1e3 * median_seconds(program, repeats)}


def best_of(name: str, times: dict[str, float]) -> Row:
    """A row of the fastest way, with the times of all."""
    way = min(times, key=lambda name: times[name])
    return {"row": name, "ms": times[way], "way": way, "ways": times}


def _seconds(program: Callable[[], Any]) -> float:
    start = time.perf_counter()
    program()
    return time.perf_counter() - start
