"""Trains the original with settings that are given, as the method itself would.

A training of seed s has the initial weights, minibatches, augmentations and dropout
uniforms that the original has in a run of seed s, so that the two are paired.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from surrojax import interrupts
from surrojax.algorithm import Streams
from surrojax.baselines.box import Setting
from surrojax.baselines.store import Store
from surrojax.errors import InputError
from surrojax.fields import Record, finite_or_none
from surrojax.keys import key_of
from surrojax.layout import several
from surrojax.losses import Objective
from surrojax.method import Method
from surrojax.programs import evaluate_fusions
from surrojax.run.rounds import Placed
from surrojax.run.setup import Setup
from surrojax.run.stream import Streamed
from surrojax.run.sweep import at
from surrojax.settings import views_of_test
from surrojax.space import Values
from surrojax.stage1 import Fusion, fit_settings


class Trial(NamedTuple):
    """What may choose: a training's figures on the validation split.

    Attributes:
      validation_accuracy: -inf where the training diverged.
      validation_cross_entropy: inf there.
    """

    validation_accuracy: float
    validation_cross_entropy: float

    def rank(self, by: Objective) -> tuple[float, float]:
        """The higher, the better: by one figure; of equals, by the other."""
        accuracy, loss = self.validation_accuracy, -self.validation_cross_entropy
        return (accuracy, loss) if by == "accuracy" else (loss, accuracy)


DIVERGED = Trial(-math.inf, math.inf)


@dataclass(frozen=True)
class Plan:
    """A training.

    Attributes:
      schedule: settings by round, values in the order of the network's names; after
        the last one, it goes on.
      seed: of weights, minibatches and masks.
      rounds: its length.
      halve_every: steps after which its learning rate is halved.
    """

    schedule: tuple[tuple[float, ...], ...]
    seed: int
    rounds: int
    halve_every: float

    def at(self, round_: int) -> tuple[float, ...]:
        """The setting of a round, counted from 0."""
        return self.schedule[min(round_, len(self.schedule) - 1)]


def alone(config: ConfigDict) -> ConfigDict:
    """The config of the original alone, whose rounds are all of one length."""
    return at(config, {"tune": (), "double_every": 0})


class Trainer:
    """Trains the original of a config.

    Args:
      setup: of the config as `alone` changes it.
      store: where trainings are kept.
    """

    def __init__(self, setup: Setup, store: Store) -> None:
        self._setup, self._store = setup, store
        space = Values.like(setup.method.space)
        self.method: Method = replace(setup.method, space=space)
        self._fits: dict[float, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The M hyper-parameters."""
        return self.method.space.names

    @property
    def rounds(self) -> int:
        """Of a full training."""
        return self._setup.rounds

    @property
    def steps_per_round(self) -> int:
        """NI."""
        return self.method.iterations_per_round

    def plan(
        self, schedule: Sequence[Setting], seed: int, rounds: int | None = None
    ) -> Plan:
        """A training whose learning rate falls as far as that of a full one.

        Args:
          schedule: settings by round; after the last one, it goes on.
          seed: of the training.
          rounds: its length; else that of a full one.
        """
        length = self.rounds if rounds is None else rounds
        return Plan(
            tuple(map(self.values, schedule)), seed, length, self.halve_every(length)
        )

    def values(self, setting: Setting) -> tuple[float, ...]:
        """A setting's values in the order of `names`."""
        return tuple(float(setting[name]) for name in self.names)

    def halve_every(self, rounds: int) -> float:
        """The halving that shows a training of this length the whole schedule."""
        return self.method.learning_rate_halve_every * rounds / self.rounds

    def train(self, plan: Plan) -> tuple[Trial, float]:
        """A training's figures and its seconds, from the store if it was done before.

        Seconds are those that it took when it was done, compilation included.
        """
        found = self._store.find(plan, partial(self._train, plan))
        return trial_of(found), found["seconds"]

    def tested(self, plan: Plan) -> float:
        """The test accuracy of a training that was done; chooses nothing."""
        return self._store.find(plan, partial(self._train, plan))["test_accuracy"]

    def begin(self, seed: int, copies: int) -> Fusion:
        """Fresh originals, alike, with a leading axis."""
        return several(self._setup.begin(seed).fusion, copies)

    def advance(
        self,
        fusions: Fusion,
        settings: Sequence[Sequence[float]],
        seed: int,
        round_: int,
        halve_every: float,
    ) -> Fusion:
        """Trains originals for one round, all on the same minibatches.

        Args:
          fusions: before the round, with a leading axis `[S]`.
          settings: S times M values.
          seed: of the training.
          round_: counted from 0.
          halve_every: steps after which the learning rate is halved.
        """
        interrupts.check()
        if halve_every not in self._fits:
            self._fits[halve_every] = self._fit(halve_every)
        key = Streams.of(key_of(seed)).stage1
        vectors = jnp.asarray(np.asarray(settings, np.float32))
        step = jnp.asarray(round_ * self.steps_per_round, jnp.int32)
        return jax.block_until_ready(
            self._fits[halve_every](
                fusions, vectors, self._resident["train"], key, step
            )
        )

    def validate(self, fusions: Fusion) -> list[Trial]:
        """The validation figures of originals with a leading axis."""
        found, _ = self._look(fusions, self._resident["validation"])
        figures = zip(
            found.accuracy.tolist(), found.cross_entropy.tolist(), strict=True
        )
        return [
            Trial(accuracy, loss) if math.isfinite(loss) else DIVERGED
            for accuracy, loss in figures
        ]

    def test(self, fusions: Fusion) -> float:
        """The test accuracy of one original, with a leading axis."""
        found, _ = self._look_in_test(fusions, self._resident["test"])
        return float(found.accuracy[0])

    def read(self) -> None:
        """Reads the images, whose seconds are no training's."""
        _ = self._resident

    def _train(self, plan: Plan) -> Record:
        self.read()
        start = time.perf_counter()
        fusions = self.begin(plan.seed, 1)
        for round_ in range(plan.rounds):
            now = [plan.at(round_)]
            fusions = self.advance(fusions, now, plan.seed, round_, plan.halve_every)
        [trial] = self.validate(fusions)
        seconds = time.perf_counter() - start
        return figures_of(trial) | {
            "test_accuracy": self.test(fusions),
            "seconds": round(seconds, 3),
        }

    def _fit(self, halve_every: float) -> Any:
        method = replace(self.method, learning_rate_halve_every=halve_every)

        def fit(
            fusions: Fusion, vectors: jax.Array, train: Any, key: Any, step: Any
        ) -> Fusion:
            steps = step + jnp.arange(method.iterations_per_round)
            return fit_settings(method, fusions, vectors, train, key, steps)[0]

        return method.layout.compile(fit)

    @cached_property
    def _look(self) -> Any:
        return self.method.layout.compile(partial(evaluate_fusions, self.method))

    @cached_property
    def _look_in_test(self) -> Any:
        allowed = self._setup.dataset.allowed
        views = views_of_test(self._setup.config, self.method.pair, allowed)
        method = replace(self.method, views=views)
        return method.layout.compile(partial(evaluate_fusions, method))

    @cached_property
    def _resident(self) -> Placed:
        data = self._setup.place()
        if any(isinstance(split, Streamed) for split in data.values()):
            raise InputError(
                "config.dataset.stream: baselines want their images on the device; "
                "give --config.dataset.stream=never"
            )
        return data


def figures_of(trial: Trial) -> Record:
    """A trial as JSON takes it; None where it diverged."""
    return {name: finite_or_none(value) for name, value in trial._asdict().items()}


def trial_of(record: Mapping[str, Any]) -> Trial:
    """The trial of a record; whatever else the record holds is left there."""
    accuracy, loss = (record[name] for name in Trial._fields)
    return DIVERGED if loss is None else Trial(accuracy, loss)
