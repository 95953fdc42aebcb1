"""Settings that nobody searched, the best of several trainings, and grids."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from surrojax.baselines.attempt import Attempt, Kept, best
from surrojax.baselines.box import Setting
from surrojax.errors import InputError
from surrojax.sites import GROUPS

DROPOUT = 0.5
"""The ratio that is common where nothing is tuned."""

FEATURE_RATIOS = ("p_z", "p_x")

NEXT_SEED = 1000
"""From the seed of one training to that of the next, where a run has several."""

Give = Callable[[Attempt], Setting]


def untuned(attempt: Attempt) -> Setting:
    """No regularisation at all."""
    return dict.fromkeys(attempt.trainer.names, 0.0)


def defaults(attempt: Attempt) -> Setting:
    """All hyper-parameters at the center of the method's space."""
    center = attempt.config.search.center
    return {name: center[GROUPS[name]] for name in attempt.trainer.names}


def dropout(attempt: Attempt) -> Setting:
    """Dropout of features alone."""
    return untuned(attempt) | dict.fromkeys(_feature_ratios(attempt), DROPOUT)


def start_of(row: str) -> Give:
    """Where the search of a config of the method begins.

    What its row gains on this, searching has gained.
    """
    return lambda attempt: attempt.beginnings[row]


def once(give: Give) -> Callable[[Attempt], Kept]:
    """One full training with a setting."""
    return lambda attempt: attempt.keep(attempt.train(give(attempt)))


def longer(give: Give) -> Callable[[Attempt], Kept]:
    """One training that is as long as the budget pays for, its rates stretched."""
    return lambda attempt: attempt.keep(
        attempt.train(give(attempt), rounds=attempt.budget.total_rounds)
    )


def repeated(give: Give) -> Callable[[Attempt], Kept]:
    """As many full trainings as the budget pays for, alike but for their seed.

    The method trains two originals in every round and keeps the better one, so a part
    of its gain could be had without any tuning: this is that part.
    """

    def play(attempt: Attempt) -> Kept:
        setting = give(attempt)
        seeds = [attempt.seed + NEXT_SEED * i for i in range(attempt.budget.trainings)]
        return attempt.keep(
            best([attempt.train(setting, seed=s) for s in seeds], attempt.by)
        )

    return play


def random(attempt: Attempt) -> Kept:
    """The best of as many settings as the budget pays for, log-uniform in the box."""
    attempt.box.check()
    rng = np.random.default_rng(attempt.seed)
    draws = rng.random((attempt.budget.trainings, attempt.box.dimensions))
    box = attempt.box
    return _best_of(attempt, [box.setting(box.point(unit)) for unit in draws])


def grid(attempt: Attempt) -> Kept:
    """A grid over the dropout ratios of features, as fine as the budget pays for.

    Its values are the middles of equal parts of the box. Where there would be fewer
    than three a ratio, both ratios move together, as in the paper's Table 3.
    """
    names, count = _feature_ratios(attempt), attempt.budget.trainings
    low, high = attempt.box.ranges["ratio"]

    def values(parts: int) -> list[float]:
        return (low + (high - low) * (np.arange(parts) + 0.5) / parts).tolist()

    side = math.floor(count ** (1 / len(names)) + 1e-9)
    points: Iterable[Sequence[float]] = (
        itertools.product(values(side), repeat=len(names))
        if side >= 3 or len(names) == 1
        else ([value] * len(names) for value in values(count))
    )
    off = untuned(attempt)
    settings = [off | dict(zip(names, point, strict=True)) for point in points]
    return _best_of(attempt, settings)


def grid_paper(attempt: Attempt) -> Kept:
    """The grid of the paper's Section 3.4: one coefficient and one ratio for all.

    Ratios from 0.2 to 0.8 in steps of 0.1, coefficients from 1e-8 to 1e-2 in decades:
    49 trainings, whatever the budget (the paper counts 64).

    Raises:
      InputError: the network has more than four hyper-parameters.
    """
    names = attempt.trainer.names
    if "p_x" in names:
        raise InputError("grid_paper: is the paper's grid for ResNet20 alone")
    choices = {
        "coefficient": [10.0**power for power in range(-8, -1)],
        "ratio": [tenths / 10 for tenths in range(2, 9)],
    }
    settings = [
        {name: dict(zip(choices, point, strict=True))[GROUPS[name]] for name in names}
        for point in itertools.product(*choices.values())
    ]
    return _best_of(attempt, settings)


def _best_of(attempt: Attempt, settings: Iterable[Setting]) -> Kept:
    return attempt.keep(
        best([attempt.train(setting) for setting in settings], attempt.by)
    )


def _feature_ratios(attempt: Attempt) -> list[str]:
    return [name for name in FEATURE_RATIOS if name in attempt.trainer.names]
