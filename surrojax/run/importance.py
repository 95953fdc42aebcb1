"""Which hyper-parameters moved the score: rank correlations over a run's candidates.

Scores of different rounds cannot be compared, because the network goes on learning
between them. So values and scores are ranked within each round and centred there, and
only then pooled: a correlation of Spearman's kind, stratified by round.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from surrojax.fields import Record


def importance(records: Sequence[Record]) -> dict[str, float]:
    """Rank correlation of each hyper-parameter with the score, centred by round.

    A candidate whose score is not finite counts as worse than all others of its round;
    a round without any finite score, or with one candidate, says nothing and is left
    out.

    Args:
      records: lines of metrics.jsonl.

    Returns:
      By name, in the order of the records: the correlation in [-1, 1]; above 0, larger
      values had better scores. Hyper-parameters that vary within no round are left
      out, and so are all where the scores never differ.
    """
    rounds = _compared(records)
    scores = _pooled([_or_worst(c["score"]) for c in one] for one in rounds)
    found = {}
    for name in rounds[0][0]["hyper"] if rounds else ():
        values = _pooled([c["hyper"][name] for c in one] for one in rounds)
        scale = math.sqrt((values @ values) * (scores @ scores))
        if scale:
            found[name] = float(values @ scores / scale)
    return found


def compared(records: Sequence[Record]) -> tuple[int, int]:
    """How many candidates, of how many rounds, `importance` is made of."""
    rounds = _compared(records)
    return sum(map(len, rounds)), len(rounds)


def chance(records: Sequence[Record]) -> float:
    """Standard deviation of a correlation that is chance alone; NaN without candidates.

    1 / sqrt(n - R), of n candidates of R rounds: exact where scores are permuted at
    random within rounds of one size. Successive proposals of an optimiser depend on
    each other, so it is a lower bound of the noise.
    """
    candidates, rounds = compared(records)
    return 1 / math.sqrt(candidates - rounds) if rounds else math.nan


def finite(score: float | None) -> bool:
    """Whether a candidate's score is a number; JSON has None for what is not."""
    return score is not None and math.isfinite(score)


def _compared(records: Iterable[Record]) -> list[list[Record]]:
    """The candidates of each round that says something."""
    rounds = [record.get("candidates") or [] for record in records]
    return [
        one
        for one in rounds
        if len(one) > 1 and any(finite(candidate["score"]) for candidate in one)
    ]


def _or_worst(score: float | None) -> float:
    return score if score is not None and finite(score) else -math.inf


def _pooled(rounds: Iterable[Sequence[float]]) -> np.ndarray:
    """Ranks within each round, less their mean; `[n]`."""
    from scipy.stats import rankdata  # takes a second

    ranks = [rankdata(values) for values in rounds]
    return np.concatenate([r - r.mean() for r in ranks]) if ranks else np.zeros(0)
