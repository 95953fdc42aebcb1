"""Ask and tell: the search alone, for people with a training loop of their own.

    tuner = Tuner({"weight_decay": (1e-6, 1e-2), "dropout": (0.01, 0.9)}, seed=0)
    for round in range(20):
        train(network, **tuner.best)
        settings = tuner.ask()
        tuner.tell([score_of(copy_of(network), **setting) for setting in settings])

Nothing of JAX has to be on the other side: settings are dicts of floats.
"""

import math
import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any, SupportsFloat

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.errors import InputError
from surrojax.fields import check_known
from surrojax.keys import key_of
from surrojax.own.bounds import Box, pairs_of, widths_of
from surrojax.own.numbers import number_of, numbers_of, seed_of, whole_of
from surrojax.paths import path_of
from surrojax.run.files import read_json, write_json
from surrojax.run.records import refuse_owned
from surrojax.search import (
    OPTIMIZERS,
    SearchState,
    lead,
    make_search,
)
from surrojax.space import latin_hypercube

Setting = dict[str, float]

_LAST_BIT = 2.0**-23


class Tuner:
    """A population of settings that is asked for, scored elsewhere, and told.

    All values are searched on a log scale (Section 2.3), within bounds.

    Args:
      bounds: by name, the lowest and the highest value, both positive.
      search: `pso`, `de` or `ga`.
      population: N.
      seed: of the search.
      start: by name, a value around which the search begins; else the geometric mean
        of the bounds.
      width: half the width of the box in which it begins, in decades, by name or for
        all; else as far as the bounds reach.
      noise: standard deviation, in decades, of what moves each proposal.
      constants: of the search: `w`, `c1`, `c2`; `F`, `CR`; `crossover`, `sigma`.

    Raises:
      InputError: a bound, a start or the search is impossible; it is named.
    """

    def __init__(
        self,
        bounds: Mapping[str, Iterable[SupportsFloat]],
        *,
        search: str = "pso",
        population: int = 6,
        seed: int = 0,
        start: Mapping[str, SupportsFloat] | None = None,
        width: Mapping[str, SupportsFloat | None] | SupportsFloat | None = None,
        noise: SupportsFloat = 0.0,
        constants: Mapping[str, SupportsFloat] | None = None,
    ) -> None:
        pairs = pairs_of(bounds)
        begin = numbers_of("start", {} if start is None else start)
        constants = numbers_of("constants", {} if constants is None else constants)
        widths, noise = widths_of(width), number_of("noise", noise)
        check_known("search", search, OPTIMIZERS)
        population, seed = whole_of("population", population), seed_of(seed)
        self.names = tuple(pairs)
        self._arguments: dict[str, Any] = {
            "bounds": {name: list(pair) for name, pair in pairs.items()},
            "search": search,
            "population": population,
            "seed": seed,
            "start": begin,
            "width": widths,
            "noise": noise,
            "constants": constants,
        }
        self._box = box = Box.of(pairs, begin, widths)
        for name, value in constants.items():
            if not math.isfinite(value):
                raise InputError(f"constants: {name} = {value} must be finite")
        if not (math.isfinite(noise) and noise >= 0):
            raise InputError(f"noise: {noise} must be finite and at least 0")
        moved = np.full(len(pairs), noise * math.log(10.0), np.float32)
        self._search = make_search(
            search, box.lower, box.upper, population, constants, moved
        )
        self._key = key_of(seed)
        unit = latin_hypercube(jax.random.fold_in(self._key, 0), population, len(pairs))
        points = jnp.asarray(box.center + box.width * np.asarray(unit), jnp.float32)
        self._population = jnp.clip(points, box.lower, box.upper)
        self._state: SearchState = self._search.init(self._population)
        self._asked = False
        self.history: list[dict[str, Any]] = []
        """A dict a round that was told: `round`, `settings`, `scores`, `best`."""

    def __repr__(self) -> str:
        setting = ", ".join(f"{n}={value:.3g}" for n, value in self.best.items())
        return (
            f"Tuner({self._search.name}, {self.round} rounds, best score "
            f"{self.best_score:.4g}; {setting})"
        )

    @property
    def best(self) -> Setting:
        """The setting with the highest score so far.

        Until there is a finite score (before the first round, and where all have
        failed so far), the first setting that was asked for; `best_score` is -inf then.
        """
        return self._setting(self._state.leader)

    @property
    def best_score(self) -> float:
        """The score of `best`; -inf until there is a finite one."""
        return _shortest(self._state.leader_score)

    @property
    def round(self) -> int:
        """Rounds that were told."""
        return len(self.history)

    @property
    def frame(self) -> Any:
        """`history` as a pandas `DataFrame` with a row for each candidate.

        Columns: `round`, counted from 1; the hyper-parameters; `score`, NaN for what
        failed.
        """
        import pandas as pd

        rows = [
            (told["round"], *setting.values(), math.nan if score is None else score)
            for told in self.history
            for setting, score in zip(told["settings"], told["scores"], strict=True)
        ]
        return pd.DataFrame(rows, columns=["round", *self.names, "score"])

    def ask(self) -> list[Setting]:
        """The N settings of this round; the same ones until they are told."""
        self._asked = True
        return self._settings()

    def tell(self, scores: Iterable[SupportsFloat]) -> None:
        """Takes the scores of the settings that `ask` returned, and moves on.

        Args:
          scores: N numbers, the higher the better: negate what is to be minimised.
            NaN or -inf for what failed, which never leads. They are compared in 32
            bits, of some seven digits: take off what is common to all.

        Raises:
          InputError: the settings of this round were not asked for; there are more or
            fewer scores than settings, or one is no number, infinite, or too large for
            32 bits.
        """
        if not self._asked:
            raise InputError(
                f"tell: the settings of round {self.round + 1} were not asked for yet; "
                "call ask, and tell their scores once"
            )
        try:
            if isinstance(scores, Mapping | Set | str | bytes):
                raise TypeError
            values = [number_of(f"tell: score {i}", s) for i, s in enumerate(scores)]
        except TypeError as error:
            raise InputError(
                f"tell: {scores!r} must be a score for each setting"
            ) from error
        with np.errstate(over="ignore"):  # told below
            found = np.array(values, np.float32)
        if found.shape != (len(self._population),):
            raise InputError(
                f"tell: {found.size} scores for {len(self._population)} settings; give "
                "one for each setting that ask returned, in that order"
            )
        lost = np.isposinf(found) | (np.isneginf(found) & np.isfinite(values))
        if lost.any():
            index = int(np.argmax(lost))
            what = "infinite" if math.isinf(values[index]) else "too large for 32 bits"
            raise InputError(
                f"tell: the score of setting {index} is {what}; give finite numbers, "
                "and NaN for what failed"
            )
        settings = self._settings()
        found = np.where(np.isnan(found), -np.inf, found)
        state = self._search.tell(self._state, self._population, jnp.asarray(found))
        key = jax.random.fold_in(self._key, self.round + 1)
        self._population, self._state = self._search.ask(key, state)
        self._asked = False
        self.history.append(
            {
                "round": self.round + 1,
                "settings": settings,
                "scores": [_shortest(s) if np.isfinite(s) else None for s in found],
                "best": self.best,
            }
        )

    def lead(self, setting: Mapping[str, float], score: float = -math.inf) -> None:
        """Puts a setting in the leader's place (line 9 of Algorithm 1).

        Stage 1 compares the networks that two settings made; where the loser's was
        `best`, its rival leads the search.

        Args:
          setting: a value for each name, within the bounds.
          score: that it had when it was told; NaN counts as minus infinity.

        Raises:
          InputError: a value or the score cannot be used.
        """
        score = number_of("lead: score", score)
        if score == math.inf:
            raise InputError("lead: score: no later one would beat infinity")
        setting = numbers_of("lead", setting)
        for name in setting:
            check_known("lead", name, self.names)
        for name, (low, high) in zip(self.names, self._box.limits.T, strict=True):
            value = number_of(f"lead: {name}", setting.get(name))
            # One that has been through 32 bits may lie beyond it by the last of them.
            if not low * (1 - _LAST_BIT) <= value <= high * (1 + _LAST_BIT):
                raise InputError(
                    f"lead: {name} = {value} is not within its bounds, {low} to {high}"
                )
        values = [math.log(setting[name]) for name in self.names]
        vector = jnp.clip(
            jnp.asarray(values, jnp.float32), self._box.lower, self._box.upper
        )
        told = -math.inf if math.isnan(score) else score
        self._state = lead(self._state, vector, jnp.float32(told))

    def save(self, file: str | os.PathLike[str]) -> None:
        """Writes all that it takes to go on, as JSON.

        Raises:
          InputError: the file is one of a run's, or cannot be written.
        """
        refuse_owned(Path(file))
        state = {
            name: np.asarray(value).tolist()
            for name, value in vars(self._state).items()
        }
        written = {
            "arguments": self._arguments,
            "population": np.asarray(self._population).tolist(),
            "state": state,
            "history": self.history,
            "asked": self._asked,
        }
        write_json(path_of(file), _finite(written))

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> "Tuner":
        """The tuner that `save` wrote; it goes on as if it had never stopped.

        Raises:
          InputError: the file is missing, damaged or another's.
        """
        path = path_of(file)
        there = read_json(path, "name a file that Tuner.save wrote")
        try:
            tuner = cls(**there["arguments"])
            state = {
                name: jnp.asarray(_infinite(value), jnp.float32)
                for name, value in there["state"].items()
            }
            tuner._population = jnp.asarray(there["population"], jnp.float32)
            tuner._state = SearchState(**state)
            tuner.history = there["history"]
            tuner._asked = bool(there["asked"])
            shapes = [
                [leaf.shape for leaf in jax.tree.leaves((one._population, one._state))]
                for one in (cls(**there["arguments"]), tuner)
            ]
            if shapes[0] != shapes[1]:
                raise ValueError("its population is of another size")
            if not np.isfinite(tuner._population).all():
                raise ValueError("its population holds a number that is none")
            for told in tuner.history:
                if not (
                    all(list(s) == list(tuner.names) for s in told["settings"])
                    and len(told["scores"]) == len(told["settings"])
                    and isinstance(told["round"], int)
                ):
                    raise ValueError("its history is damaged")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{file}: is no tuner's file ({error}); name one that Tuner.save wrote"
            ) from error
        return tuner

    def _settings(self) -> list[Setting]:
        return [self._setting(vector) for vector in self._population]

    def _setting(self, vector: jax.Array) -> Setting:
        # Rounding must not carry a clipped value over its bound.
        values = np.clip(np.exp(np.asarray(vector, np.float64)), *self._box.limits)
        return dict(zip(self.names, values.tolist(), strict=True))


def _shortest(value: Any) -> float:
    """The shortest decimal that is this number in 32 bits: 0.7, not 0.699999988."""
    return float(str(np.float32(value)))


def _finite(tree: Any) -> Any:
    """With words for what JSON has no number for."""
    if isinstance(tree, dict):
        return {name: _finite(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_finite(value) for value in tree]
    return "-inf" if isinstance(tree, float) and tree == -math.inf else tree


def _infinite(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_infinite(value) for value in tree]
    return -math.inf if tree == "-inf" else tree
