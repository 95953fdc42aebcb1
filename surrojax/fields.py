"""What JSON holds; names of a config's fields, and what a wrong one may have meant."""

import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from surrojax.errors import InputError

Record = dict[str, Any]
"""What JSON holds of a round, a candidate, a run: docs/usage.md, "A run's folder"."""


def finite_or_none(value: Any) -> float | None:
    """A number as JSON knows it: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`("search.pso.w", 0.6)` and so on for every field of a nested dict."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The known word that a wrong one is nearest to, whatever its case."""
    known = {other.lower(): other for other in words}
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return known[near[0]] if near else None


def suggest(word: str, words: Iterable[str]) -> str:
    """` (did you mean 'de'?)` where a word is near one of the known ones."""
    near = nearest(word, words)
    return "" if near is None else f" (did you mean {near!r}?)"


def check_known(where: str, word: Any, known: Collection[Any]) -> None:
    """Checks that a word is one of those that may stand in a place.

    Args:
      where: what was given.
      word: its value.
      known: the values that it may have.

    Raises:
      InputError: it is another one.
    """
    words = list(known)  # which a list may be looked for in as well
    if word not in words:
        meant = suggest(word, words) if isinstance(word, str) else ""
        raise InputError(
            f"{where}: {word!r} is unknown{meant}; choose from "
            f"{', '.join(map(str, words))}"
        )


def some_of(names: Sequence[str], most: int = 5) -> str:
    """Names in words; of many, the first few."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def are_words(given: Any) -> bool:
    """Whether a value is a word or several, as `("p_z", "p_x")`."""
    return isinstance(given, Collection) and all(isinstance(w, str) for w in given)
