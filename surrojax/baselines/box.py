"""The box in which every tuner searches, on a log scale."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from surrojax.errors import InputError
from surrojax.sites import GROUPS, in_range, named
from surrojax.space import Space

Setting = dict[str, float]
"""A value for each of the M hyper-parameters that a network has."""

Ranges = Mapping[str, tuple[float, float]]
"""`coefficient` and `ratio`: the lowest and highest value."""

RANGES: Ranges = {"coefficient": (1e-8, 1e-3), "ratio": (0.02, 0.8)}
"""Those of the tuners, unless others are asked for."""


@dataclass(frozen=True, eq=False)
class Box:
    """Where tuners search.

    Attributes:
      names: the D hyper-parameters that are searched.
      lower, upper: `[D]` natural logarithms of the bounds.
      fixed: the values of all M; those of `names` are not used.
      ranges: the bounds by kind, whether or not any of the kind is searched.
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    fixed: Setting
    ranges: Ranges

    @classmethod
    def of(cls, space: Space, ranges: Ranges) -> "Box":
        """The box over all that a space tunes; the others keep its fixed values."""
        bounds = np.log([ranges[GROUPS[name]] for name in space.tune])
        bounds = bounds.reshape(space.dimensions, 2)
        return cls(
            names=space.tune,
            lower=bounds[:, 0],
            upper=bounds[:, 1],
            fixed=named(space.fixed),
            ranges=ranges,
        )

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.names)

    def check(self) -> None:
        """Checks that there is something to search.

        Raises:
          InputError: there is not.
        """
        if not self.names:
            raise InputError(
                "config.tune: () leaves nothing for a tuner to search; name what it "
                "may choose"
            )

    def point(self, unit: np.ndarray) -> np.ndarray:
        """`[D]` in [0, 1], of the box, as logarithms."""
        return self.lower + np.clip(unit, 0, 1) * (self.upper - self.lower)

    def setting(self, point: np.ndarray) -> Setting:
        """The setting of logarithms `[D]`, clipped to the box."""
        values = np.exp(np.clip(point, self.lower, self.upper)).tolist()
        return self.fixed | dict(zip(self.names, values, strict=True))


def check_ranges(ranges: Ranges) -> None:
    """Checks that there is a box between the bounds.

    Raises:
      InputError: there is none, or a value in it makes no sense.
    """
    for group, (lower, upper) in ranges.items():
        if not (0 < lower < upper and in_range(group, upper)):
            raise InputError(
                f"--box_{group}={lower:g},{upper:g}: wants a lowest and a highest "
                + (
                    "ratio above 0 and below 1"
                    if group == "ratio"
                    else "coefficient above 0"
                )
            )
