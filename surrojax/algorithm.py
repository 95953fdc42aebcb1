"""Algorithm 1: rounds of stage 1 and stage 2, as a generator of (state, record)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from surrojax.errors import InputError
from surrojax.evaluate import Evaluation, effective_size
from surrojax.fields import Record
from surrojax.losses import fitness
from surrojax.method import Data, Method
from surrojax.programs import Programs, compile_programs, parts_of
from surrojax.round_outcome import Outcome, record_of
from surrojax.search import SearchState, lead
from surrojax.sites import GROUPS
from surrojax.stage1 import Fusion, new_fusion
from surrojax.stage2 import source

T = TypeVar("T")


@struct.dataclass
class RunState:
    """Everything that a run needs to go on, bit for bit as if it had never stopped.

    Attributes:
      fusion: the retained 'original + surrogate' network.
      population: `[N, D]` the candidates of the coming round, X^(t).
      search: the optimiser's memory; its leader is the current best setting.
      previous: `[D]` the previous best setting.
      previous_score: `[]` the score it had as a candidate; -inf if it never was one.
      evaluated: `Evaluation` of the retained original and surrogate (None: there is
        none) on validation data; zeros before the first round.
      key: the run's random key; it never changes.
      round: `[]` int32, rounds done.
      step: `[]` int32, the global step: steps that the original has been trained.
      best_round: `[]` int32, the round of the highest validation accuracy so far.
      best_accuracy: `[]` that accuracy.
    """

    fusion: Fusion
    population: jax.Array
    search: SearchState
    previous: jax.Array
    previous_score: jax.Array
    evaluated: tuple[Evaluation, Evaluation | None]
    key: jax.Array
    round: jax.Array
    step: jax.Array
    best_round: jax.Array
    best_accuracy: jax.Array


class DivergedError(InputError):
    """No setting of a round gave finite losses.

    Attributes:
      state: after the round before it.
    """

    def __init__(self, round_: int, state: RunState, method: Method) -> None:
        lower = ["learning rate"]
        if method.fits:
            lower.append("eta")
        if any(GROUPS[name] == "coefficient" for name in method.space.tune):
            lower.append("upper bound of the coefficients")
        told = (
            f"round {round_}: the losses are not finite with any of its settings, so "
            f"the run stops before it; begin another with a lower {' or '.join(lower)}"
        )
        if method.schedule is not None:
            setting = method.schedule.setting(int(state.step))
            values = (f"{name}={value:.3g}" for name, value in setting.items())
            told += f" (the schedule has {', '.join(values)} in this round)"
        super().__init__(told)
        self.state = state


class Streams(NamedTuple):
    """A random key for each purpose, all of them of the run's one key."""

    networks: jax.Array
    population: jax.Array
    stage1: jax.Array
    stage2: jax.Array
    ask: jax.Array

    @classmethod
    def of(cls, key: jax.Array) -> "Streams":
        return cls(*jax.random.split(key, len(cls._fields)))


Round = Callable[[Data, RunState], tuple[RunState, Outcome]]
"""One round of Algorithm 1."""


def compile_round(method: Method, donate: bool = False) -> Round:
    """A whole round as one compiled program, without a word to the host.

    Args:
      method: static.
      donate: whether the program may work in the memory of the state that it is given,
        which is gone then.
    """
    return jax.jit(
        partial(play, method, parts_of(method)),
        donate_argnums=1 if donate else (),
        out_shardings=method.layout.sharding,
    )


def compile_replicas(method: Method) -> Round:
    """The same for R runs side by side: states and outcomes have a leading axis `[R]`.

    The replicas are spread over the layout's devices, each of which plays whole rounds.
    It works in the memory of the states that it is given, which are gone then.
    """
    alone = replace(method, layout=method.layout.alone())
    one = partial(play, alone, parts_of(alone, branch=False))

    def all_(data: Data, states: RunState) -> Any:
        return method.layout.spread(one, (None, 0), data, states)

    return jax.jit(
        all_,
        donate_argnums=1,
        out_shardings=method.layout.sharding,
    )


def initial_state(method: Method, key: jax.Array) -> RunState:
    """The state before round 1 (line 1 of Algorithm 1).

    The previous best setting is the defaults, the current best the first candidate, or
    the defaults as well; neither has a score yet.
    """
    streams = Streams.of(key)
    population = method.space.latin_hypercube(streams.population, method.population)
    search = method.search.init(population)
    center = jnp.asarray(method.space.center)
    if method.first_setting == "center":
        search = lead(search, center, search.leader_score)
    return RunState(
        fusion=new_fusion(method, streams.networks),
        population=population,
        search=search,
        previous=center,
        previous_score=jnp.array(-jnp.inf, jnp.float32),
        evaluated=(_no_evaluation(), _no_evaluation() if method.fits else None),
        key=key,
        round=jnp.array(0, jnp.int32),
        step=jnp.array(0, jnp.int32),
        best_round=jnp.array(0, jnp.int32),
        best_accuracy=jnp.array(-jnp.inf, jnp.float32),
    )


def _no_evaluation() -> Evaluation:
    return Evaluation(*(jnp.zeros((), jnp.float32) for _ in fields(Evaluation)))


def in_parts(method: Method) -> Round:
    """A round whose parts the host calls one after the other."""
    return partial(play, method, compile_programs(method))


def run(
    method: Method,
    data: Data,
    state: RunState,
    max_iterations: int = 80_000,
    round_of: Callable[[Method], Round] = in_parts,
) -> Iterator[tuple[RunState, Record]]:
    """Algorithm 1, from a state on: one (state, record) a round.

    Args:
      method: the settings.
      data: training and validation splits, on the device.
      state: `initial_state`, or that of an earlier round.
      max_iterations: steps of the original after which the run ends (MaxIter); a
        round that would pass them is not begun.
      round_of: `in_parts`, or `compile_round`; it is called once for each NI.

    Yields:
      The state after each round, which may be gone when the next one is asked for, if
      the round donates it; and a record of plain numbers and strings.

    Raises:
      DivergedError: no setting of a round gave finite losses.
    """
    plan, done = method.plan(max_iterations), int(state.round)
    # The caller's state stays, whatever a round does with the one it is given.
    state = jax.tree.map(jnp.copy, state)
    for number, round_ in _rounds(method, plan, done, round_of):
        # Waiting here lets Ctrl-C through; inside float() it becomes another error.
        state, outcome = jax.block_until_ready(round_(data, state))
        state = method.layout.everywhere(state)
        if outcome.diverged:
            raise DivergedError(number, state, method)
        yield state, record_of(outcome, plan[:number])


def run_replicas(
    method: Method,
    data: Data,
    states: RunState,
    max_iterations: int,
) -> Iterator[tuple[RunState, list[Record | DivergedError]]]:
    """`run` for R runs at once; one that diverges keeps its state, the others go on.

    Args:
      method, data, max_iterations: of `run`.
      states: with a leading axis `[R]`, all after the same round.

    Yields:
      The states after each round, which are gone when the next are asked for, and a
      record for each run.
    """
    plan, done = method.plan(max_iterations), int(np.asarray(states.round)[0])
    states = jax.tree.map(jnp.copy, states)
    for number, round_ in _rounds(method, plan, done, compile_replicas):
        states, outcomes = jax.block_until_ready(round_(data, states))
        found = jax.device_get(outcomes)
        records: list[Record | DivergedError] = []
        for index, diverged in enumerate(found.diverged):
            own = jax.tree.map(lambda a, i=index: a[i], (states, found))
            records.append(
                DivergedError(number, own[0], method)
                if diverged
                else record_of(own[1], plan[:number])
            )
        yield states, records


def _rounds(
    method: Method,
    plan: Sequence[int],
    done: int,
    round_of: Callable[[Method], Round],
) -> Iterator[tuple[int, Round]]:
    """The rounds that are left, counted from 1; those of one NI share a program."""
    made: dict[int, Round] = {}
    for number, steps in enumerate(plan[done:], done + 1):
        if steps not in made:
            made[steps] = round_of(method.of_length(steps))
        yield number, made[steps]


class Retained(NamedTuple):
    """What stage 1 of a round keeps.

    Attributes:
      fusion: the better of the networks that it trained, or that of the round before.
      setting: `[D]` with which that one was trained.
      score: `[]` the score of this setting as a candidate; -inf if it never was one.
      evaluated: of `RunState`.
      accuracy: `[]` of the network on validation data; -inf where its losses are not
        finite, so that it is never the best of a run.
      outcome: what the round has found so far.
    """

    fusion: Fusion
    setting: jax.Array
    score: jax.Array
    evaluated: tuple[Evaluation, Evaluation | None]
    accuracy: jax.Array
    outcome: Outcome


def play(
    method: Method, programs: Programs, data: Data, state: RunState
) -> tuple[RunState, Outcome]:
    """One round of Algorithm 1, which can be compiled as a whole.

    Args:
      method: static.
      programs: the parts of the round.
      data: training and validation splits.
      state: before the round.

    Returns:
      The state after the round, or the same where the round diverged; what was found.
    """
    streams = Streams.of(state.key)
    kept = _stage1(method, programs, data, state, streams)
    search, population, outcome = state.search, state.population, kept.outcome
    if method.tunes:
        search, population, outcome = _stage2(
            method, programs, data, state, kept, streams
        )
    is_best = kept.accuracy > state.best_accuracy
    after = replace(
        state,
        fusion=kept.fusion,
        population=population,
        search=search,
        previous=kept.setting if method.schedule is None else state.previous,
        previous_score=kept.score,
        evaluated=kept.evaluated,
        round=state.round + 1,
        step=state.step + method.iterations_per_round,
        best_round=jnp.where(is_best, state.round + 1, state.best_round),
        best_accuracy=jnp.where(is_best, kept.accuracy, state.best_accuracy),
    )
    return jax.tree.map(partial(_keep, outcome.diverged), state, after), outcome


def _stage1(
    method: Method, programs: Programs, data: Data, state: RunState, streams: Streams
) -> Retained:
    """Trains with the current and the previous best, keeps the better (lines 8, 9).

    Or the network as it was, where the only one falls too far behind it.
    """
    settings = jnp.stack([state.search.leader, state.previous])
    if method.schedule is not None:
        settings = jnp.broadcast_to(
            method.schedule.at(state.step), (2, len(method.space.names))
        )
    had = jnp.stack([state.search.leader_score, state.previous_score])
    equal = jnp.all(settings[0] == settings[1]) | (method.stage1_settings == 1)
    fusions, losses = programs.fit(
        state.fusion, settings, equal, data.train, streams.stage1, state.step
    )
    original, surrogate = programs.evaluate(fusions, data.validation)
    finite = jnp.isfinite(original.cross_entropy)
    if surrogate is not None:
        finite &= jnp.isfinite(surrogate.cross_entropy)
    accuracy = jnp.where(finite, original.accuracy, -jnp.inf)
    merit = fitness(
        original.weighted_accuracy, original.cross_entropy, method.selection
    )
    # argmax takes the first of equals, so a tie goes to the current best.
    winner = jnp.argmax(jnp.where(finite, merit, -jnp.inf))
    # Two trainings of one setting may differ in their last bits; there is one winner.
    winner = jnp.where(equal & finite[0], 0, winner)
    outcome = Outcome(
        diverged=~finite.any(),
        equal=equal,
        winner=winner,
        settings=jax.vmap(method.space.to_hyper)(settings),
        losses=jax.tree.map(lambda a: a / method.iterations_per_round, losses),
        original=original,
        surrogate=surrogate,
        rate=method.learning_rate(state.step + method.iterations_per_round - 1),
    )
    kept = Retained(
        fusion=_take(fusions, winner),
        setting=settings[winner],
        score=had[winner],
        evaluated=_take((original, surrogate), winner),
        accuracy=accuracy[winner],
        outcome=outcome,
    )
    return _or_before(method, data, state, kept) if method.undoes else kept


def _or_before(method: Method, data: Data, state: RunState, kept: Retained) -> Retained:
    """What stage 1 keeps, or the network as it was, where that fell far below it.

    A setting can look good to candidates, which are trained for a while, and ruin the
    network. Far is beyond chance: accuracies of both are taken for independent.
    """
    (original, surrogate), accuracy = state.evaluated, kept.accuracy
    was = original.weighted_accuracy
    finite = jnp.isfinite(accuracy)
    now = jnp.where(finite, kept.evaluated[0].weighted_accuracy, 0.0)
    size = effective_size(data.validation.targets, method.class_weights)
    error = jnp.sqrt((was * (1 - was) + now * (1 - now)) / size)
    ruined = ~finite | (was - now > method.undo_beyond * error)
    both = replace(
        kept.outcome,
        original=_append(kept.outcome.original, original),
        surrogate=_append(kept.outcome.surrogate, surrogate),
    )
    before = Retained(
        fusion=state.fusion,
        setting=state.previous,
        score=state.previous_score,
        evaluated=state.evaluated,
        accuracy=original.accuracy,
        outcome=replace(
            both, diverged=jnp.array(False), winner=jnp.ones_like(both.winner)
        ),
    )
    # With the same setting once more, it would not do better.
    other = jnp.any(kept.setting != state.previous) & (state.round > 0)
    return _either(ruined & other, before, kept._replace(outcome=both))


def _stage2(
    method: Method,
    programs: Programs,
    data: Data,
    state: RunState,
    kept: Retained,
    streams: Streams,
) -> tuple[SearchState, jax.Array, Outcome]:
    """Scores the candidates, and proposes the next ones (lines 10 to 15).

    What stage 1 has kept leads (line 9).

    Returns:
      The optimiser's memory and the coming round's candidates; what the round found.
    """
    search = lead(state.search, kept.setting, kept.score)
    candidates = state.population
    if method.reevaluate_incumbent:
        candidates = jnp.concatenate([candidates, search.leader[None]])
    scores, evaluations = programs.compete(
        source(method, kept.fusion), candidates, data, streams.stage2, state.step
    )
    if method.reevaluate_incumbent:
        search = lead(search, search.leader, scores[-1])
    held = search.leader, search.leader_score
    search = programs.tell(search, state.population, scores[: method.population])
    if method.undoes:
        # Its candidates would choose again what has just been undone.
        search = _either(kept.outcome.undone, lead(search, *held), search)
    ask_key = jax.random.fold_in(streams.ask, state.round)
    population, search = programs.ask(ask_key, search)
    outcome = replace(
        kept.outcome,
        candidates=jax.vmap(method.space.to_hyper)(candidates),
        scores=scores,
        evaluations=evaluations,
        leader=method.space.to_hyper(search.leader),
        leader_score=search.leader_score,
    )
    return search, population, outcome


@jax.jit
def _take(tree: T, index: jax.Array) -> T:
    """One of several, of every leaf.

    Compiled as one: leaf by leaf it takes seconds of a first round that is played in
    parts.
    """
    return jax.tree.map(lambda a: a[index], tree)


@jax.jit
def _append(several: T, one: T) -> T:
    """One more, behind several, of every leaf."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), several, one)


@jax.jit
def _either(condition: jax.Array, yes: T, no: T) -> T:
    return jax.tree.map(partial(jnp.where, condition), yes, no)


def _keep(condition: jax.Array, old: Any, new: Any) -> Any:
    return old if old is new else jnp.where(condition, old, new)
