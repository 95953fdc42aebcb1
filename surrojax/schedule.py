"""A schedule: the hyper-parameters that a network is trained with, by step."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.errors import InputError
from surrojax.fields import suggest
from surrojax.sites import GROUPS, in_range


@dataclass(frozen=True, eq=False)
class Schedule:
    """Hyper-parameters by round; after the last round, its values go on.

    Attributes:
      names: the M hyper-parameters, in the order of eq. 8.
      ends: `[R]` int, the global step after which each round ended.
      values: `[R, M]` float.
    """

    names: tuple[str, ...]
    ends: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        for name in ("ends", "values"):  # of a user's own, lists as well
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        if self.ends.ndim != 1 or not np.issubdtype(self.ends.dtype, np.integer):
            raise InputError(
                f"schedule: ends of type {self.ends.dtype} and shape "
                f"{self.ends.shape}; wanted are the whole numbers of the steps after "
                "which the rounds end"
            )
        rounds, many = len(self.ends), len(self.names)
        if not rounds or self.values.shape != (rounds, many):
            raise InputError(
                f"schedule: {self.values.shape} values for {rounds} rounds of {many} "
                "hyper-parameters; it wants a row of values for each round"
            )
        unknown = [name for name in self.names if name not in GROUPS]
        if unknown or len(set(self.names)) < many:
            meant = suggest(unknown[0], GROUPS) if unknown else ""
            raise InputError(
                f"schedule: {', '.join(unknown or self.names)}{meant}: only "
                "hyper-parameters of eq. 8 can be there, each once: "
                f"{', '.join(GROUPS)}"
            )
        back = np.flatnonzero(np.diff(self.ends, prepend=0) <= 0)
        if back.size:
            raise InputError(
                f"schedule, round {back[0] + 1}: ends with step {self.ends[back[0]]}; "
                "steps must grow from round to round"
            )
        for name, column in zip(self.names, self.values.T, strict=True):
            bad = np.flatnonzero(~in_range(GROUPS[name], column))
            if bad.size:
                raise InputError(
                    f"schedule, round {bad[0] + 1}: {name} = {column[bad[0]]} is out "
                    "of range; a coefficient is finite and at least 0, a dropout "
                    "ratio at least 0 and below 1"
                )

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> "Schedule":
        """The schedule of a run's records: what the retained network was trained with.

        Raises:
          InputError: there are none.
        """
        if not records:
            raise InputError("schedule: the run has done no round yet; let it go on")
        names = tuple(records[0]["hyper"])
        return cls(
            names,
            np.array([r["step"] for r in records]),
            np.array([[r["hyper"][name] for name in names] for r in records], float),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def __repr__(self) -> str:
        on = [
            f"{name}={_span(column)}"
            for name, column in zip(self.names, self.values.T, strict=True)
            if column.any()
        ]
        setting = ", ".join(on) or "no regularisation"
        rounds = f"{len(self)} round{'s' * (len(self) > 1)}"
        return f"Schedule({rounds}, {self.ends[-1]} steps; {setting})"

    def at(self, step: Any) -> jax.Array:
        """The values `[..., M]` with which step `step` (`[...]`, from 0) is taken."""
        index = jnp.searchsorted(jnp.asarray(self.ends), step, side="right")
        values = jnp.asarray(self.values, jnp.float32)
        return values[jnp.minimum(index, len(self.ends) - 1)]

    def setting(self, step: int) -> dict[str, float]:
        """The values with which step `step` is taken, by name."""
        return dict(zip(self.names, self.at(step).tolist(), strict=True))

    def callables(self) -> dict[str, Callable[[Any], jax.Array]]:
        """By name, a function of the step: what optax calls a schedule."""

        def one(column: int) -> Callable[[Any], jax.Array]:
            return lambda step: self.at(step)[..., column]

        return {name: one(index) for index, name in enumerate(self.names)}

    def ordered(self, names: Sequence[str]) -> "Schedule":
        """The same for a network's hyper-parameters, 0 where the schedule has none.

        Raises:
          InputError: the network lacks one that is not 0 throughout.
        """
        for name, column in zip(self.names, self.values.T, strict=True):
            if name not in names and column.any():
                raise InputError(
                    f"schedule: {name} is none of this network's hyper-parameters "
                    f"({', '.join(names)}); take a schedule of a network that has them"
                )
        nothing = np.zeros(len(self))
        own = dict(zip(self.names, self.values.T, strict=True))
        columns = [own.get(name, nothing) for name in names]
        return Schedule(tuple(names), self.ends, np.stack(columns, axis=1))

    @property
    def unit(self) -> int:
        """Steps of the longest round of which all of its rounds are made."""
        return math.gcd(*self.ends.tolist())

    def stretched(self, steps: int) -> "Schedule":
        """The same values for a training of another length.

        Args:
          steps: at most so many; each round keeps its share of them, in whole steps.

        Raises:
          InputError: it is no whole number, or too small for the rounds.
        """
        parts = self.ends // self.unit
        if not isinstance(steps, Integral) or steps < parts[-1]:
            raise InputError(
                f"schedule: {steps!r} are no steps to stretch it to; it wants a whole "
                f"number, {parts[-1]} or more"
            )
        return replace(self, ends=parts * (int(steps) // int(parts[-1])))

    def other_length(self, steps: int, remedy: str) -> list[str]:
        """A line where a training that follows it is not of its length, or none.

        Args:
          steps: of the training.
          remedy: what gives one of that length.
        """
        own = int(self.ends[-1])
        if steps == own:
            return []
        return [
            f"the schedule is of {own} steps, and {steps} are trained here; {remedy}"
        ]

    def check(self, plan: Sequence[int]) -> None:
        """Sees that a run's rounds can follow it: a round has one setting.

        Args:
          plan: steps of each round of the run.

        Raises:
          InputError: its values change within one of the run's rounds.
        """
        ends = np.cumsum(plan)
        changes = self.ends[:-1][np.any(np.diff(self.values, axis=0), axis=1)]
        within = [int(e) for e in changes if e < ends[-1] and e not in ends]
        if within:
            raise InputError(
                f"schedule: its values change after step {within[0]}, within a round "
                f"of this run; give iterations_per_round = {self.unit}, or "
                "another length at whose rounds' ends they change"
            )

    def rows(self) -> list[dict[str, Any]]:
        """A row a round: `round`, `step`, and the values by name."""
        return [
            {"round": number, "step": int(end)}
            | dict(zip(self.names, row.tolist(), strict=True))
            for number, (end, row) in enumerate(
                zip(self.ends, self.values, strict=True), 1
            )
        ]

    @property
    def frame(self) -> Any:
        """The rows as a pandas `DataFrame`, by round."""
        import pandas as pd

        return pd.DataFrame(self.rows()).set_index("round")


def _span(values: np.ndarray) -> str:
    """Of values by round: the least and the greatest, where they differ."""
    least, most = f"{values.min():.3g}", f"{values.max():.3g}"
    return least if least == most else f"{least} to {most}"
