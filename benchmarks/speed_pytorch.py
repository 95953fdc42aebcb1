"""PyTorch's side of `benchmarks.speed`: the same rows, the faster of its forms."""

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks import pytorch as other
from benchmarks.timing import (
    Row,
    best_of,
    config_of,
    median_seconds,
    peak_row,
    pixels_of,
    square_of,
    whole_row,
)
from surrojax.networks import NETWORKS
from surrojax.sites import Hyper, Sites


class Side:
    """Two networks and data of FER2013's size, with what is timed of them."""

    def __init__(self, given: argparse.Namespace) -> None:
        config = config_of(given)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.set_flush_denormal(True)
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True  # XLA tries cuDNN's ways, too
        self.given, self.batch = given, config.batch_size
        self.candidates, self.network = config.search.population, config.network
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        entry, rng = NETWORKS[config.network], np.random.default_rng(0)
        size, channels, pixels = entry.image_size, entry.channels, pixels_of(given)
        self.pair = other.make_pair(config.network, 7, size, channels, self.device)
        self.look = other.Look(size, channels)

        def split(count: int) -> Any:
            images = rng.integers(0, 256, (count, pixels, pixels, 1), dtype=np.uint8)
            labels = torch.from_numpy(rng.integers(0, 7, count)).to(self.device)
            return other.Split(torch.from_numpy(images).to(self.device), labels)

        self.train, self.validation = split(given.images), split(given.images // 8)
        self.forms = [False, True] if given.compiled else [False]
        self.fits: dict[bool, Any] = {
            compiled: other.Stage1(*self.pair, self.setting(), compiled=compiled)
            for compiled in self.forms
        }
        self.faster: tuple[other.Form, bool] = ("loop", False)
        """How candidates of the config's number are trained best; of `stage2`."""

    def about(self) -> Iterator[Row]:
        """Nothing that the rows do not say."""
        yield from ()

    def setting(self, n: int | None = None) -> Hyper:
        """The defaults; of n candidates, arrays `[n]`."""

        def of(value: float) -> Sites:
            full = value if n is None else np.full(n, value, np.float32)
            both = self.network != "resnet20"
            return Sites(full, full, *((full, full) if both else (None, None)))

        return Hyper(of(1e-5), of(0.5))

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def peak(self) -> Row:
        """Of the machine."""
        size = square_of(self.given, self.device == "cpu")
        square = torch.randn(size, size, device=self.device)

        def product() -> None:
            torch.mm(square, square)
            self.wait()

        return peak_row(product, size, 8)

    def stage1(self) -> Iterator[Row]:
        """The original with its surrogate, one setting and two."""

        def settings(count: int, compiled: bool) -> None:
            stage1 = self.fits[compiled]
            drawn = other.draw_batch(self.train, self.look, self.batch)
            levels = other.draw_levels(stage1.shapes(self.batch), self.device)
            for _ in range(count):
                stage1.step(0, drawn, levels)

        for name, count in (("one setting", 1), ("both settings", 2)):
            times = {
                f"compiled={c}": self._ms(partial(settings, count, c))
                for c in self.forms
            }
            yield best_of(f"stage 1, {name}", times)

    def stage2(self) -> Iterator[Row]:
        """Populations of several sizes."""

        def step(stage2: Any) -> None:
            drawn = other.draw_batch(self.train, self.look, self.batch)
            shapes = self.fits[False].shapes(self.batch)[1:]
            stage2.step(0, drawn, other.draw_levels(shapes, self.device)[0])

        for n in self.given.populations:
            times = {
                (form, compiled): self._ms(
                    partial(
                        step,
                        other.Stage2(self.pair[1], self.setting(n), form, compiled),
                    )
                )
                for form in other.FORMS
                for compiled in self.forms
                if form != "batched" or n > 1
            }
            if n == self.candidates:
                self.faster = min(times, key=lambda way: times[way])
            named = {f"{f}, compiled={c}": t for (f, c), t in times.items()}
            yield best_of(f"stage 2, N = {n}", named)

    def evaluation(self) -> Row:
        """Of the network and of its surrogate."""

        def evaluate() -> None:
            for network in self.pair:
                other.evaluate([network], self.validation, self.look)
            self.wait()

        evaluate()
        return whole_row("evaluation", evaluate, self.given.repeats)

    def round(self) -> Row:
        """In the form that trains candidates fastest."""
        candidates, compiled = self.setting(self.candidates), self.faster[1]

        def play_once() -> None:
            other.train_round(
                self.fits[compiled],
                [self.setting(), self.setting()],
                candidates,
                self.train,
                self.validation,
                self.look,
                range(self.given.round_steps),
                self.batch,
                *self.faster,
            )
            self.wait()

        if compiled:
            play_once()
        return whole_row("round", play_once, self.given.rounds)

    def _ms(self, step: Callable[[], Any]) -> float:
        """Of one step, once it runs warm."""
        for _ in range(3):
            step()

        def several() -> None:
            for _ in range(self.given.steps):
                step()
            self.wait()

        return 1e3 * median_seconds(several, self.given.repeats) / self.given.steps
