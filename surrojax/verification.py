"""Face verification: are two photos of the same person? As LFW's protocol asks it."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from surrojax.errors import InputError

FOLDS = 10


class Pairs(NamedTuple):
    """Pairs of photos, half of them of one person.

    Attributes:
      first, second: `[m]` int, rows.
      same: `[m]` bool.
      fold: `[m]` int in [0, 10); the people of two folds are disjoint.
    """

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    fold: np.ndarray


def draw_pairs(people: np.ndarray, most: int, seed: int) -> Pairs:
    """Balanced pairs, none of them twice.

    Args:
      people: `[n]` int, who each photo shows.
      most: pairs of one person, and as many of two, at most; fewer where there are
        fewer.
      seed: of the draw.

    Raises:
      InputError: a fold would have no pair of one person.
    """
    rng = np.random.default_rng(seed)
    who = np.unique(people)
    fold_of = rng.permutation(len(who)) % FOLDS
    folds = fold_of[np.searchsorted(who, people)]
    parts = []
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        first, second = (rows[side] for side in np.triu_indices(len(rows), 1))
        same = people[first] == people[second]
        count = min(most // FOLDS, int(same.sum()), int((~same).sum()))
        if not count:
            raise InputError(
                f"dataset: {len(who)} people are too few for {FOLDS} folds of pairs; "
                "raise config.dataset.held_out and config.dataset.validation"
            )
        for kind in (same, ~same):
            chosen = rng.choice(np.flatnonzero(kind), count, replace=False)
            parts.append(
                Pairs(first[chosen], second[chosen], same[chosen], np.full(count, fold))
            )
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Verification(NamedTuple):
    """How well a score tells pairs of one person from pairs of two.

    Attributes:
      accuracy: mean over ten folds, each with the threshold that is best on the other
        nine.
      standard_error: of that mean.
      auc: area under the ROC curve, over all pairs.
    """

    accuracy: float
    standard_error: float
    auc: float


def verify(features: np.ndarray, pairs: Pairs) -> Verification:
    """Verification by the cosine of two features.

    Args:
      features: `[n, d]`, one a photo.
      pairs: rows of it.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    scores = np.sum(unit[pairs.first] * unit[pairs.second], axis=1)
    found = []
    for fold in range(FOLDS):
        here = pairs.fold == fold
        threshold = _best_threshold(scores[~here], pairs.same[~here])
        found.append(np.mean((scores[here] >= threshold) == pairs.same[here]))
    ranks = rankdata(scores)
    ones, twos = int(pairs.same.sum()), int((~pairs.same).sum())
    auc = (ranks[pairs.same].sum() - ones * (ones + 1) / 2) / (ones * twos)
    error = float(np.std(found, ddof=1) / np.sqrt(FOLDS))
    return Verification(float(np.mean(found)), error, float(auc))


def _best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold, halfway between two scores, with the most right answers.

    Infinite where it is best to take all pairs for one person's, or none for it.
    """
    order = np.argsort(scores)
    ascending = np.concatenate([[-np.inf], scores[order], [np.inf]])
    # Right below the threshold: pairs of two; above it: pairs of one.
    right = same.sum() + np.concatenate(
        [[0], np.cumsum(1 - 2 * same[order].astype(int))]
    )
    below, above = ascending[:-1], ascending[1:]
    best = int(np.argmax(np.where(below < above, right, -1)))
    middle = float(below[best] / 2 + above[best] / 2)
    rounded = best > 0 and middle == below[best]  # of two scores that are neighbours
    return float(above[best]) if rounded else middle
