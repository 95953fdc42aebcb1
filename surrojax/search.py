"""The heuristic optimisers: PSO, DE and a GA, under one init / ask / tell form.

They maximise, know their bounds, and are pure: all three functions run inside jit.

    search = pso(lower, upper)
    state = search.init(population)                    # [N, D]
    for key in keys:
        state = search.tell(state, population, scores(population))
        population, state = search.ask(key, state)
    state.leader, state.leader_score                   # the best so far
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.typing import ArrayLike

from surrojax.errors import InputError
from surrojax.fields import check_known

LEAST_POPULATION = {"pso": 2, "de": 4, "ga": 2}
"""A lone particle never moves; DE needs three others for each individual. Else 1."""

PROBABILITIES = ("CR", "crossover")
"""Of the optimisers' constants; the others have no upper bound, and none is below 0."""


@struct.dataclass
class SearchState:
    """What an optimiser remembers between two rounds.

    Attributes:
      position: `[N, D]` the candidates told last: X of eq. 13.
      velocity: `[N, D]` V of eq. 13; stays 0 for DE and GA.
      population: `[N, D]` PSO: the personal bests XP; DE and GA: the parents.
      scores: `[N]` their scores; -inf before the first tell.
      leader: `[D]` the best individual X_ib, or who was put in its place by `lead`.
      leader_score: `[]` its score.
    """

    position: jax.Array
    velocity: jax.Array
    population: jax.Array
    scores: jax.Array
    leader: jax.Array
    leader_score: jax.Array


class Search(NamedTuple):
    """An optimiser.

    Attributes:
      name: under which a config asks for it: `pso`, `de`, `ga`.
      init: `population [N, D] -> state`. InputError: the population is too small.
      ask: `(key, state) -> (candidates [N, D], state)`, within the bounds.
      tell: `(state, candidates [N, D], scores [N]) -> state`.
    """

    name: str
    init: Callable[[jax.Array], SearchState]
    ask: Callable[[jax.Array, SearchState], tuple[jax.Array, SearchState]]
    tell: Callable[[SearchState, jax.Array, jax.Array], SearchState]


def lead(state: SearchState, leader: jax.Array, score: jax.Array) -> SearchState:
    """Puts another individual in the leader's place (line 9 of Algorithm 1).

    Args:
      state: any optimiser's.
      leader: `[D]`.
      score: the score it had as a candidate; -inf if it never was one.
    """
    return replace(state, leader=leader, leader_score=score)


def pso(
    lower: ArrayLike,
    upper: ArrayLike,
    w: float = 0.6,
    c1: float = 0.2,
    c2: float = 0.9,
) -> Search:
    """Particle swarm optimisation (eq. 13).

    Args:
      lower, upper: `[D]` bounds. A position outside is clipped and loses its
        velocity in that dimension.
      w, c1, c2: weights of the velocity, the personal best and the leader.
    """
    low, high = jnp.asarray(lower, jnp.float32), jnp.asarray(upper, jnp.float32)

    def ask(key: jax.Array, state: SearchState) -> tuple[jax.Array, SearchState]:
        rd1, rd2 = jax.random.uniform(key, (2, *state.position.shape), jnp.float32)
        velocity = (
            w * state.velocity
            + c1 * rd1 * (state.population - state.position)
            + c2 * rd2 * (state.leader - state.position)
        )
        moved = state.position + velocity
        position = jnp.clip(moved, low, high)
        velocity = jnp.where(position == moved, velocity, 0.0)
        return position, replace(state, velocity=velocity)

    return optimizer("pso", ask)


def de(lower: ArrayLike, upper: ArrayLike, F: float = 0.1, CR: float = 0.6) -> Search:
    """Differential evolution, DE/rand/1/bin (eq. 12).

    Candidates are the trial vectors U; the parents X keep the scores they had.

    Args:
      lower, upper: `[D]` bounds, to which trial vectors are clipped.
      F: weight of the difference.
      CR: probability that a dimension is taken from the mutant.
    """
    low, high = jnp.asarray(lower, jnp.float32), jnp.asarray(upper, jnp.float32)

    def ask(key: jax.Array, state: SearchState) -> tuple[jax.Array, SearchState]:
        X = state.population
        n, d = X.shape
        pick, cross, forced = jax.random.split(key, 3)
        # The three highest of uniform numbers, i itself excluded: r1, r2, r3.
        order = jax.random.uniform(pick, (n, n), jnp.float32) - 2.0 * jnp.eye(n)
        r1, r2, r3 = jax.lax.top_k(order, 3)[1].T
        V = X[r1] + F * (X[r2] - X[r3])
        rn = jax.random.randint(forced, (n, 1), 0, max(d, 1), jnp.int32)
        taken = (jax.random.uniform(cross, (n, d), jnp.float32) <= CR) | (
            jnp.arange(d) == rn
        )
        return jnp.clip(jnp.where(taken, V, X), low, high), state

    return optimizer("de", ask)


def ga(
    lower: ArrayLike,
    upper: ArrayLike,
    crossover: float = 0.9,
    sigma: float = 0.2,
) -> Search:
    """The genetic algorithm of Table 5's row "EA", after the source that it names.

    Parents win tournaments of 2; a child is their average, mutates in each dimension
    with probability 1/D, and the best parent takes the worst child's place.

    Args:
      lower, upper: `[D]` bounds, to which children are clipped.
      crossover: probability of averaging; else the child is the first parent.
      sigma: standard deviation of a mutation, in units of `upper - lower`.
    """
    low, high = jnp.asarray(lower, jnp.float32), jnp.asarray(upper, jnp.float32)

    def ask(key: jax.Array, state: SearchState) -> tuple[jax.Array, SearchState]:
        X = state.population
        n, d = X.shape
        fight, cross, mutate, step = jax.random.split(key, 4)
        rivals = jax.random.randint(fight, (2, 2, n), 0, n, jnp.int32)
        won = state.scores[rivals[0]] >= state.scores[rivals[1]]
        first, second = X[jnp.where(won, rivals[0], rivals[1])]
        averaged = jax.random.bernoulli(cross, jnp.float32(crossover), (n, 1))
        child = jnp.where(averaged, 0.5 * (first + second), first)
        mutated = jax.random.bernoulli(mutate, jnp.float32(1 / max(d, 1)), (n, d))
        noise = sigma * (high - low) * jax.random.normal(step, (n, d), jnp.float32)
        return jnp.clip(child + jnp.where(mutated, noise, 0.0), low, high), state

    def tell(
        state: SearchState, candidates: jax.Array, scores: jax.Array
    ) -> SearchState:
        best, worst = jnp.argmax(state.scores), jnp.argmin(scores)
        stays = state.scores[best] > scores[worst]
        elite = jnp.where(stays, state.population[best], candidates[worst])
        return replace(
            follow(state, candidates, scores),
            population=candidates.at[worst].set(elite),
            scores=scores.at[worst].max(state.scores[best]),
        )

    return optimizer("ga", ask, tell)


def with_noise(
    search: Search, lower: ArrayLike, upper: ArrayLike, deviation: ArrayLike
) -> Search:
    """The same optimiser, whose proposals are moved at random.

    A population that has gathered in one point proposes nothing new; noise keeps it
    looking around the leader for as long as the run goes on.

    Args:
      search: the optimiser.
      lower, upper: `[D]` its bounds.
      deviation: `[D]` the standard deviation of the Gaussian noise; 0: none.
    """
    low, high = jnp.asarray(lower, jnp.float32), jnp.asarray(upper, jnp.float32)

    def ask(key: jax.Array, state: SearchState) -> tuple[jax.Array, SearchState]:
        own, noise = jax.random.split(key)
        asked, state = search.ask(own, state)
        moved = asked + deviation * jax.random.normal(noise, asked.shape, jnp.float32)
        return jnp.clip(moved, low, high), state

    return search._replace(ask=ask)


def check_population(name: str, n: int) -> None:
    """Checks that an optimiser can work with n candidates.

    Raises:
      InputError: n is too small.
    """
    least = LEAST_POPULATION.get(name, 1)
    if n < least:
        raise InputError(
            f"population: {n} is too few for {name}, which needs at least {least}"
        )


def follow(state: SearchState, candidates: jax.Array, scores: jax.Array) -> SearchState:
    """The best candidate takes the lead if it scores at least as high (eq. 13).

    Args:
      state: any optimiser's.
      candidates, scores: of `Search.tell`.
    """
    best = jnp.argmax(scores)
    # A candidate that failed scores -inf and must not win a tie at -inf.
    better = (scores[best] >= state.leader_score) & jnp.isfinite(scores[best])
    return replace(
        state,
        position=candidates,
        leader=jnp.where(better, candidates[best], state.leader),
        leader_score=jnp.where(better, scores[best], state.leader_score),
    )


def keep_better(
    state: SearchState, candidates: jax.Array, scores: jax.Array
) -> SearchState:
    """PSO's and DE's: each individual keeps the better of the new and the stored.

    A tie goes to the new one (eq. 12, 13).

    Args:
      state: any optimiser's.
      candidates, scores: of `Search.tell`.
    """
    better = scores >= state.scores
    return replace(
        follow(state, candidates, scores),
        population=jnp.where(better[:, None], candidates, state.population),
        scores=jnp.where(better, scores, state.scores),
    )


def optimizer(
    name: str,
    ask: Callable[[jax.Array, SearchState], tuple[jax.Array, SearchState]],
    tell: Callable[[SearchState, jax.Array, jax.Array], SearchState] = keep_better,
) -> Search:
    """An optimiser that begins as all do: no velocity, no score, anyone leads.

    Args:
      name, ask, tell: of `Search`.
    """

    def init(population: jax.Array) -> SearchState:
        n = population.shape[0]
        check_population(name, n)
        return SearchState(
            position=population,
            velocity=jnp.zeros_like(population),
            population=population,
            scores=jnp.full(n, -jnp.inf, jnp.float32),
            leader=population[0],
            leader_score=jnp.array(-jnp.inf, jnp.float32),
        )

    return Search(name, init, ask, tell)


OPTIMIZERS: dict[str, Callable[..., Search]] = {"pso": pso, "de": de, "ga": ga}
"""By name: `(lower, upper, **constants) -> Search`."""


def make_search(
    name: str,
    lower: np.ndarray,
    upper: np.ndarray,
    population: int,
    constants: Mapping[str, float],
    deviation: np.ndarray,
    where: str = "constants",
) -> Search:
    """An optimiser by name, with noise where any is wanted.

    Args:
      name: of `OPTIMIZERS`.
      lower, upper: `[D]` its bounds.
      population: N.
      constants: of the optimiser, by name; others are its defaults.
      deviation: `[D]` of `with_noise`.
      where: the constants were given as.

    Raises:
      InputError: the population is too small, or there is no such constant, or it
        is out of range.
    """
    check_population(name, population)
    for constant, value in constants.items():
        check_known(where, constant, constants_of(name))
        most = 1.0 if constant in PROBABILITIES else math.inf
        if not 0 <= value <= most:
            wanted = "0 to 1" if most == 1 else "the least is 0"
            raise InputError(f"{where}.{constant}: {value} is out of range; {wanted}")
    search = OPTIMIZERS[name](lower, upper, **constants)
    return with_noise(search, lower, upper, deviation) if deviation.any() else search


def constants_of(name: str) -> tuple[str, ...]:
    """What an optimiser's constants are called."""
    return tuple(signature(OPTIMIZERS[name]).parameters)[2:]
