"""Numbers of a config, and the ranges within which they may lie."""

import math
from collections.abc import Mapping
from typing import Any

from surrojax.errors import InputError


def check_finite(values: Mapping[str, Any]) -> None:
    """Checks that no field of a config is, or holds, a number that is not finite.

    Args:
      values: by field, of `flatten`.

    Raises:
      InputError: one does; it is named.
    """
    for field, value in values.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"config.{field}: {value} is not a finite number")


def check_ranges(
    values: Mapping[str, Any], least: Mapping[str, float], most: Mapping[str, float]
) -> None:
    """Checks that a config's numbers are within their ranges.

    Args:
      values: by field, of `flatten`.
      least, most: by field; where there is none, any number will do.

    Raises:
      InputError: one is not; it is named.
    """
    for field, value in values.items():
        if field in least and value < least[field]:
            raise InputError(
                f"config.{field}: {value} is too small; the least is {least[field]}"
            )
        if field in most and value > most[field]:
            raise InputError(
                f"config.{field}: {value} is too large; the most is {most[field]}"
            )
