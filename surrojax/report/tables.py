"""Tables of a page, and how numbers are written in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Link(NamedTuple):
    """A cell that leads to another page."""

    href: str
    text: str


Cell = str | Link


@dataclass(frozen=True)
class Table:
    """A table of the page; the first column is the head of its rows.

    Attributes:
      caption: what it is.
      head: a name for each column.
      rows: of cells, as many each.
      words: whether its cells hold words, which are set to the left.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: bool = False


def percent(value: float | None, sign: str = "") -> str:
    """A share in percent, without the unit; `sign` is "+" for differences."""
    return "–" if value is None else f"{100 * value:{sign}.2f}"


def with_error(value: float | None, error: float | None, sign: str = "") -> str:
    """`54.92 ± 0.93`, both in percent."""
    if error is None:
        return percent(value, sign)
    return f"{percent(value, sign)} ± {percent(error)}"


def number(value: float | None) -> str:
    """To three digits."""
    return "–" if value is None else f"{value:.3g}"


def count(value: int) -> str:
    """Of many, by thousands."""
    return f"{value:,}"


def binomial_error(share: float, samples: int) -> float | None:
    """Standard error of a share of independent samples; None where it cannot be told.

    That is without any samples, and at 0 and 1, where this estimate of it is 0 however
    few there are.
    """
    return (share * (1 - share) / samples) ** 0.5 or None if samples else None


def wilson_interval(successes: int, samples: int) -> tuple[float, float]:
    """The 95 % score interval of a share, which is one at 0 and at 1 as well.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22 (1927).

    Args:
      successes: of the samples.
      samples: independent, at least one.
    """
    from scipy.stats import binomtest  # takes a second

    found = binomtest(successes, samples).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def plain(value: Any) -> str:
    """A value of a config or of a manifest."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "()"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {plain(of)}" for key, of in value.items()) or "none"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
