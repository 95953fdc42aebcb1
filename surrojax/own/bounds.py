"""Where a tuner searches, and where its search begins."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, SupportsFloat

import numpy as np

from surrojax.errors import InputError
from surrojax.own.numbers import number_of, numbers_of

Pairs = dict[str, tuple[float, float]]
Widths = dict[str, float] | float | None


class Box(NamedTuple):
    """Where a tuner searches, on a log scale, and where it begins.

    Attributes:
      limits: `[2, D]` float64, the lowest and the highest values themselves.
      lower, upper: `[D]` float32, their natural logarithms.
      center: `[D]` float32, the natural logarithms around which the search begins.
      width: `[D]` float32, how far from there at first.
    """

    limits: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    center: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, bounds: Pairs, start: Mapping[str, float], width: Widths) -> "Box":
        """The box of a tuner.

        Args:
          bounds: of `pairs_of`.
          start: by name, values around which it begins.
          width: of `widths_of`, in decades.

        Raises:
          InputError: bounds are the same in 32 bits, or a start or width is impossible.
        """
        limits = np.array(list(bounds.values())).T
        lower, upper = np.log(limits).astype(np.float32)
        for name, low, high in zip(bounds, lower, upper, strict=True):
            if not low < high:
                raise InputError(
                    f"bounds: {name}: {bounds[name]} are the same in 32 bits; set them "
                    "further apart"
                )
        center = _center(bounds, start)
        reach = np.maximum(upper - center, center - lower)
        return cls(limits, lower, upper, center, _widths(list(bounds), width, reach))


def pairs_of(bounds: Mapping[str, Iterable[SupportsFloat]]) -> Pairs:
    """By name, the lowest and the highest value.

    Raises:
      InputError: a pair or a name cannot be used.
    """
    if not isinstance(bounds, Mapping) or not bounds:
        raise InputError(
            "bounds: name at least one hyper-parameter, with its lowest and highest "
            'value: {"dropout": (0.01, 0.9)}'
        )
    pairs = {}
    for name, given in bounds.items():
        if not isinstance(name, str):
            raise InputError(f"bounds: {name!r} is no name; names are text")
        if name in ("round", "score"):
            raise InputError(f"bounds: {name!r} is a column of `frame`; rename it")
        try:
            if any(isinstance(value, str) for value in given):
                raise TypeError
            low, high = map(float, given)
        except (TypeError, ValueError):
            low = high = math.nan
        if not 0 < low < high < math.inf:
            raise InputError(
                f"bounds: {name}: {given!r} must be two positive numbers, the lower "
                "one first"
            )
        pairs[name] = low, high
    return pairs


def widths_of(
    width: Mapping[str, SupportsFloat | None] | SupportsFloat | None,
) -> Widths:
    """Decades by name or for all; None, or a name left out: as far as bounds reach.

    Raises:
      InputError: one is no number.
    """
    if isinstance(width, Mapping):
        given: Any = {n: value for n, value in width.items() if value is not None}
        return numbers_of("width", given)
    return None if width is None else number_of("width", width)


def _center(bounds: Pairs, start: Mapping[str, float]) -> np.ndarray:
    """`Box.center`.

    Raises:
      InputError: a start is not within its bounds.
    """
    for name, value in start.items():
        if name not in bounds or not bounds[name][0] <= value <= bounds[name][1]:
            raise InputError(
                f"start: {name} = {value} is not within bounds; known are "
                f"{', '.join(bounds)}"
            )
    return np.array(
        [
            math.log(start[name])
            if name in start
            else math.log(low) / 2 + math.log(high) / 2
            for name, (low, high) in bounds.items()
        ],
        np.float32,
    )


def _widths(
    names: Sequence[str],
    width: Widths,
    reach: np.ndarray,
) -> np.ndarray:
    """`Box.width`.

    Args:
      names: of what is searched.
      width: of `widths_of`, in decades.
      reach: `[D]` how far it is from the center to the further bound.

    Raises:
      InputError: one is of another name, negative or infinite.
    """
    given = width if isinstance(width, Mapping) else dict.fromkeys(names, width)
    decades = [given.get(name) for name in names]
    for name in given:
        value = given[name]
        if name not in names or not (
            value is None or (math.isfinite(value) and value >= 0)
        ):
            raise InputError(
                f"width: {name} = {value} must be of {', '.join(names)}, finite and "
                "at least 0"
            )
    return np.array(
        [
            far if value is None else value * math.log(10.0)
            for value, far in zip(decades, reach.tolist(), strict=True)
        ],
        np.float32,
    )
