"""The search space: vectors on a log scale for the optimisers, `Hyper` for the rest.

Section 2.3 of the paper: all variables are searched through their logarithm. A
hyper-parameter that is not searched keeps a fixed value, 0 included.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from surrojax.errors import InputError
from surrojax.sites import (
    GROUPS,
    HYPER_NAMES,
    Hyper,
    Sites,
    in_range,
    where_present,
)

UNITS = {"coefficient": float(np.log(10.0)), "ratio": 1.0}
"""Widths are given in decades and in natural logarithm, and kept in the latter."""


@dataclass(frozen=True, eq=False)
class Space:
    """Which hyper-parameters are searched, where, and what the others are.

    Attributes:
      names: the M hyper-parameters that the network has, in the order of eq. 8.
      tune: the D names that are searched, in the same order.
      fixed: `Hyper` of floats; its values at `tune` are not used.
      center: `[D]` log of the defaults, around which the search begins.
      width: `[D]` half the width, in log, of the box in which it begins.
      lower, upper: `[D]` log of the bounds, which no candidate leaves.
    """

    names: tuple[str, ...]
    tune: tuple[str, ...]
    fixed: Hyper
    center: np.ndarray
    width: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def dimensions(self) -> int:
        """D, the number of hyper-parameters that are searched."""
        return len(self.tune)

    @property
    def beginning(self) -> Hyper:
        """The setting at `center`."""
        return self.to_hyper(jnp.asarray(self.center))

    @property
    def _searched(self) -> np.ndarray:
        """Where the D searched hyper-parameters stand among the M."""
        return np.array([self.names.index(name) for name in self.tune], int)

    def deviation(self, widths: Mapping[str, float]) -> np.ndarray:
        """`[D]` in log, of widths by group: `coefficient` and `ratio`, in `UNITS`."""
        return np.array(
            [UNITS[GROUPS[name]] * widths[GROUPS[name]] for name in self.tune],
            np.float32,
        )

    def to_hyper(self, vector: jax.Array) -> Hyper:
        """The setting that a search vector stands for.

        Args:
          vector: `[D]`, natural logarithms.

        Returns:
          `Hyper` of float32 scalars, within the bounds.
        """
        flat, unravel = ravel_pytree(jax.tree.map(jnp.float32, self.fixed))
        # Rounding in exp must not carry a clipped value over its bound.
        low, high = np.exp(self.lower), np.exp(self.upper)
        return unravel(
            flat.at[self._searched].set(jnp.clip(jnp.exp(vector), low, high))
        )

    def latin_hypercube(self, key: jax.Array, n: int) -> jax.Array:
        """The initial population (line 1 of Algorithm 1).

        Each dimension of the box `center` +- `width` is cut into n strata, and each
        stratum holds one candidate.

        Args:
          key: a random key.
          n: the number of candidates N.

        Returns:
          `[N, D]`, within the bounds.
        """
        points = self.center + self.width * latin_hypercube(key, n, self.dimensions)
        return jnp.clip(points, self.lower, self.upper).astype(jnp.float32)


def latin_hypercube(key: jax.Array, n: int, dimensions: int) -> jax.Array:
    """`[n, dimensions]` in [-1, 1]: each of n strata of a dimension holds one point."""
    shuffle, jitter = jax.random.split(key)
    strata = jnp.tile(jnp.arange(n, dtype=jnp.int32)[:, None], (1, dimensions))
    strata = jax.random.permutation(shuffle, strata, axis=0, independent=True)
    return 2 * (strata + jax.random.uniform(jitter, strata.shape, jnp.float32)) / n - 1


class Values(Space):
    """A space whose vectors are the M values themselves, 0 included."""

    @classmethod
    def like(cls, space: Space) -> "Values":
        """The same network's."""
        return cls(**{f.name: getattr(space, f.name) for f in fields(space)})

    def to_hyper(self, vector: jax.Array) -> Hyper:
        """The setting of `[M]` values."""
        _, unravel = ravel_pytree(jax.tree.map(jnp.float32, self.fixed))
        return unravel(vector)


def present_names(sites: Sites) -> tuple[str, ...]:
    """Names of the hyper-parameters of a network that has these sites (None: lacks)."""
    return tuple(
        jax.tree.leaves(Hyper(*(where_present(names, sites) for names in HYPER_NAMES)))
    )


def make_space(
    sites: Sites,
    tune: Sequence[str],
    fixed: Mapping[str, float],
    center: Mapping[str, float],
    width: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    start: Mapping[str, float] | None = None,
) -> Space:
    """A space for a network with these sites.

    Args:
      sites: anything at the sites that the network has, None at the others.
      tune: names of the hyper-parameters to search, in any order; may be empty.
      fixed: the value of every name of eq. 8 that is not searched.
      center: `coefficient` and `ratio`: the defaults around which the search begins.
      width: half-widths of the initial box: `coefficient` in decades, `ratio` in
        natural logarithm.
      bounds: `coefficient` and `ratio`: the lowest and highest value.
      start: by name, a default of its own; 0: that of its group. Of a name that is
        not searched, it has no effect.

    Raises:
      InputError: an unknown name, a value that is not finite, a coefficient below 0,
        a ratio outside [0, 1), bounds that are empty or miss the center or a start.
    """
    start = start or {}
    names = present_names(sites)
    for name in tune:
        if name not in names:
            raise InputError(
                f"tune: {name!r} is none of this network's hyper-parameters; "
                f"choose from {', '.join(names)}"
            )
    if len(set(tune)) < len(tune):
        raise InputError(f"tune: {tuple(tune)} names a hyper-parameter twice")
    for group in ("coefficient", "ratio"):
        _check_group(group, center[group], width[group], bounds[group])
    for name, value in fixed.items():
        if not in_range(GROUPS[name], value):
            raise InputError(
                f"fixed.{name}: {value} is out of range; a coefficient is at "
                "least 0, a dropout ratio at least 0 and below 1"
            )
        if value and (name in tune or name not in names):
            reason = "is searched" if name in tune else "is not in this network"
            raise InputError(
                f"fixed.{name}: {value} has no effect, because {name} {reason}; leave "
                "it at 0"
            )
    ordered = tuple(name for name in names if name in tune)
    groups = [GROUPS[name] for name in ordered]
    for name, value in start.items():
        _check_start(name, value, dict(zip(ordered, groups, strict=True)), bounds)

    def per_dimension(values: Sequence[float]) -> np.ndarray:
        return np.array(values, np.float32).reshape(len(ordered))

    return Space(
        names=names,
        tune=ordered,
        fixed=Hyper(
            *(
                where_present(Sites(*(float(fixed[name]) for name in group)), sites)
                for group in HYPER_NAMES
            )
        ),
        center=per_dimension(
            [
                np.log(start.get(name) or center[group])
                for name, group in zip(ordered, groups, strict=True)
            ]
        ),
        width=per_dimension([UNITS[g] * width[g] for g in groups]),
        lower=per_dimension([np.log(bounds[g][0]) for g in groups]),
        upper=per_dimension([np.log(bounds[g][1]) for g in groups]),
    )


def _check_start(
    name: str,
    value: float,
    groups: Mapping[str, str],
    bounds: Mapping[str, tuple[float, float]],
) -> None:
    if not value or name not in groups:
        return
    lower, upper = bounds[groups[name]]
    if not lower <= value <= upper:
        raise InputError(
            f"start.{name}: {value} lies outside the bounds of a {groups[name]}, "
            f"{lower} to {upper}; choose one within them"
        )


def _check_group(
    group: str, center: float, width: float, bounds: tuple[float, float]
) -> None:
    numbers = tuple(bounds) if isinstance(bounds, Iterable) else (bounds,)
    if len(numbers) != 2 or not all(isinstance(b, Real) for b in numbers):
        raise InputError(
            f"bounds.{group}: {bounds} is no pair of numbers; give the lowest and the "
            "highest value, as (0.01, 0.95)"
        )
    lower, upper = bounds
    if not (0 < lower < upper and in_range(group, upper)):
        raise InputError(
            f"bounds.{group}: ({lower}, {upper}) is no range of "
            + (
                "ratios, which lie above 0 and below 1"
                if group == "ratio"
                else "coefficients, which are positive and finite"
            )
        )
    if not lower <= center <= upper:
        raise InputError(
            f"center.{group}: {center} lies outside the bounds of a {group}, {lower} "
            f"to {upper}; choose one within them"
        )
    if not (np.isfinite(width) and width >= 0):
        raise InputError(f"width.{group}: {width} must be finite and at least 0")
