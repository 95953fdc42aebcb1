"""Numbers that a user gives, checked by name."""

import operator
from collections.abc import Mapping
from typing import Any, SupportsFloat

from surrojax.errors import InputError
from surrojax.values import MOST


def number_of(name: str, value: Any) -> float:
    """A number that is no text.

    Raises:
      InputError: it is none.
    """
    if isinstance(value, str) or not isinstance(value, SupportsFloat):
        raise InputError(f"{name} = {value!r} must be a number")
    return float(value)


def whole_of(name: str, value: Any) -> int:
    """A whole number, NumPy's too.

    Raises:
      InputError: it is none.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} = {value!r} must be a whole number") from error


def seed_of(value: Any) -> int:
    """A seed that JAX tells from all others.

    Raises:
      InputError: it is none.
    """
    seed = whole_of("seed", value)
    if not 0 <= seed <= MOST["seed"]:
        raise InputError(f"seed = {seed} must be from 0 to {MOST['seed']}")
    return seed


def numbers_of(argument: str, given: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Numbers by name.

    Raises:
      InputError: it is no dict, or one of them is no number.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"{argument}: {given!r} must be a dict of numbers by name")
    return {name: number_of(f"{argument}: {name}", given[name]) for name in given}
