"""Population-based training: a population trains side by side, the best are copied."""

import math
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np

from surrojax.baselines.attempt import Attempt, Kept
from surrojax.baselines.box import Box
from surrojax.baselines.trainer import Trial
from surrojax.errors import InputError
from surrojax.losses import Objective

FACTOR = 1.2
"""By which a copied setting is multiplied or divided, each value by itself."""

EXCHANGES = 3
"""Of a training, at the least, as far as it has rounds for them."""

SHARE = 5
"""A fifth of the population gives way to a fifth of it, and at least one does."""


def play(attempt: Attempt) -> Kept:
    """A population of the method's size, whose members share the budget evenly.

    They begin with the same weights and see the same minibatches. Each sees the whole
    schedule of the learning rate.
    """
    attempt.box.check()
    trainer, box, seed = attempt.trainer, attempt.box, attempt.seed
    size = attempt.config.search.population
    rounds = attempt.budget.total_rounds // size
    if rounds < 1:
        raise InputError(
            f"pbt: a budget of {attempt.budget.total_rounds} rounds for {size} "
            "members; give more with --budgets, or shorter rounds"
        )
    # A short training exchanges a few times too.
    every = min(attempt.options.pbt_every, max(1, rounds // EXCHANGES))
    rng = np.random.default_rng(seed)
    points = box.point(rng.random((size, box.dimensions)))
    with attempt.clocked():
        fusions = trainer.begin(seed, size)
        for round_ in range(rounds):
            settings = [trainer.values(box.setting(point)) for point in points]
            fusions = trainer.advance(
                fusions, settings, seed, round_, trainer.halve_every(rounds)
            )
            if (round_ + 1) % every == 0 and round_ + 1 < rounds:
                sources = exploit(trainer.validate(fusions), rng, attempt.by)
                fusions = jax.tree.map(lambda a, of=sources: a[of], fusions)
                points = explore(box, points, sources, rng)
        trials = trainer.validate(fusions)
    attempt.bill.original_steps = size * rounds * trainer.steps_per_round
    attempt.bill.trainings = size
    winner = max(range(size), key=lambda index: trials[index].rank(attempt.by))
    attempt.tell(trials[winner], f"{rounds} rounds, the best of {size}")
    best = jax.tree.map(lambda a: a[winner : winner + 1], fusions)
    setting = box.setting(points[winner])
    return Kept(setting, trials[winner], partial(trainer.test, best))


def exploit(
    trials: Sequence[Trial], rng: np.random.Generator, by: Objective
) -> np.ndarray:
    """`[P]` whose weights and setting each member goes on with: most with their own.

    Args:
      trials: of the members.
      rng: which of the best a member of the worst copies.
      by: what they are compared by.
    """
    size = len(trials)
    order = sorted(range(size), key=lambda index: trials[index].rank(by))
    share = max(1, size // SHARE)
    sources = np.arange(size)
    sources[order[:share]] = rng.choice(order[-share:], share)
    return sources


def explore(
    box: Box, points: np.ndarray, sources: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """`[P, D]` the members' settings, those that were copied a little changed.

    Args:
      box: that they stay in.
      points: `[P, D]` logarithms, before copying.
      sources: of `exploit`.
      rng: whether a value grows or shrinks.
    """
    steps = math.log(FACTOR) * rng.choice([-1, 1], points.shape)
    moved = np.clip(points[sources] + steps, box.lower, box.upper)
    copied = sources != np.arange(len(sources))
    return np.where(copied[:, None], moved, points)
