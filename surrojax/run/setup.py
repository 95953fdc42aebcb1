"""What a config stands for, made once: data, method, weights to begin with."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from surrojax.algorithm import RunState, initial_state
from surrojax.class_weights import told as told_weights
from surrojax.data import Dataset, Split
from surrojax.fields import Record
from surrojax.keys import key_of
from surrojax.layout import Layout
from surrojax.method import Method, macs_of
from surrojax.paths import path_of
from surrojax.run.execution import (
    Execution,
    execution_of,
    forget_earlier_runs,
    prepare,
    settle,
)
from surrojax.run.hints import of_dataset
from surrojax.run.learnt import Stalled
from surrojax.run.progress import say
from surrojax.run.rounds import Placed
from surrojax.run.stopping import Limits
from surrojax.run.stream import Streamed
from surrojax.settings import (
    load_data,
    make_look,
    method_of,
    resolve,
)
from surrojax.sgd import Arrays, Targets
from surrojax.weights import Fitted, fit_into, load

MEMORY = (
    "give --config.execution.settings=loop and --config.execution.candidates=loop, or, "
    "in another workdir, a smaller --config.batch_size, --config.evaluation_batch or "
    "--config.search.population"
)
"""What a run of a config can do with less of."""

_log = logging.getLogger("surrojax")


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
        forget_earlier_runs()
        config = resolve(config)
        weights = read_weights(config)
        dataset = load_data(config)
        method = method_of(config, dataset)
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
        return self.fit(self._initial(key_of(seed)))[0]

    @cached_property
    def _initial(self) -> Callable[[jax.Array], RunState]:
        """Compiled once for all seeds."""
        return jax.jit(partial(initial_state, self.method))

    def fit(self, state: RunState) -> tuple[RunState, Fitted | None]:
        """The state with those layers of the weights to begin with whose shape fits."""
        if self.weights is None:
            return state, None
        original = state.fusion.original
        params, fitted = fit_into(original.params, self.weights)
        fusion = replace(state.fusion, original=replace(original, params=params))
        return replace(state, fusion=fusion), fitted

    def place(self) -> Placed:
        """The images, where the config wants them or where they fit."""
        splits, layout = self.dataset.splits, self.method.layout
        pixels = sum(int(np.prod(s.images.shape)) for s in splits.values())
        on_host = jax.local_devices()[0].platform == "cpu"
        copies = len(jax.local_devices()) if on_host and layout.mesh is not None else 1
        too_many = copies * pixels > _room()
        stream = {"always": True, "never": False, "auto": too_many}
        streamed = stream[self.config.dataset.stream]
        return {
            name: place_split(split, streamed, layout) for name, split in splits.items()
        }

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

    def stalled(self, records: Sequence[Record]) -> Stalled:
        """What notices that nothing is learnt, after the rounds of some records."""
        labels = self.dataset.validation.units()[1]
        return Stalled.after(labels, records, self.method.class_weights is not None)

    def say_opening(self, quiet: bool, who: str = "") -> None:
        """Says what is going to be done; with --verbose, how as well.

        Args:
          quiet: nothing.
          who: is going to do it, and a colon.
        """
        told = _opening(self.config, self.method, self.dataset, self.rounds)
        say(f"{who}{told}", quiet)
        for hint in (*of_dataset(self.method, self.dataset), *self._of_replay()):
            say(f"{who}mind: {hint}", quiet)
        if self.method.class_weights is not None:
            of = told_weights(self.method.class_weights, self.dataset.classes)
            say(f"{who}{of}", quiet)
        if not quiet and _log.isEnabledFor(logging.DEBUG):
            _log.debug("how: %s", self.execution)
            _log.debug("cost: %s", _cost(self.method))

    def _of_replay(self) -> list[str]:
        """Lines about what a replayed schedule has otherwise than the config."""
        schedule, steps = self.method.schedule, sum(self.limits.plan)
        if schedule is None:
            return []
        found = schedule.other_length(
            steps,
            f"python -m surrojax.export RUN schedule.json --steps={steps} writes that "
            "of a run, stretched, for --config.replay=schedule.json",
        )
        for name, values in zip(schedule.names, schedule.values.T, strict=True):
            fixed = self.config.fixed[name]
            other = values[~np.isclose(values, fixed, atol=0)]
            if fixed and other.size:
                found.append(
                    f"config.fixed.{name}: {fixed} has no effect, because the schedule "
                    f"of config.replay has {name} = {other[0]:.3g}"
                )
        return found


def _opening(config: ConfigDict, method: Method, dataset: Dataset, rounds: int) -> str:
    sizes = " / ".join(str(len(split)) for split in dataset.splits.values())
    units = " / ".join(str(len(split.units()[1])) for split in dataset.splits.values())
    left_over = config.max_iterations - sum(method.plan(config.max_iterations))
    look = make_look(config, method.pair)
    fold = "fold" in str(dataset.manifest.get("protocol"))
    return (
        f"{config.network} on {dataset.name}, "
        + (f"fold {config.dataset.fold} of ten, " if fold else "")
        + f"{look.side}x{look.side} {'grey' if look.channels == 1 else 'in colour'}"
        + (", mirrored at random" if config.dataset.mirror else "")
        + f", {sizes} images"
        + (f" of {units} sequences" if units != sizes else "")
        + f" to train / validate / test; tuned: {method.tuned}; {rounds} rounds "
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


def arrays_of(split: Split) -> Arrays:
    """A split on the device: images, labels, and the sequences where there are any."""
    return Arrays(jnp.asarray(split.pixels()), _targets(split))


def _targets(split: Split) -> Targets:
    targets = Targets(jnp.asarray(split.labels))
    if split.sequences is None:
        return targets
    return Targets(targets.labels, *map(jnp.asarray, split.units()))


def place_split(split: Split, streamed: bool, layout: Layout) -> Arrays | Streamed:
    """Puts a split's images on the devices, or, streamed, leaves them on the host."""
    if streamed:
        return Streamed(split.images, _targets(split))
    return layout.everywhere(arrays_of(split))


def _room() -> float:
    """Bytes that images may take: half of a GPU's memory, a quarter of a host's."""
    limits = jax.local_devices()[0].memory_stats()
    if limits and "bytes_limit" in limits:
        return limits["bytes_limit"] / 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4


def read_weights(config: ConfigDict) -> dict[str, np.ndarray] | None:
    """The weights that a run begins with; None: fresh ones."""
    return load(path_of(config.init_from)) if config.init_from else None
