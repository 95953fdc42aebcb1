"""Algorithm 1: rounds of stage 1 and stage 2, as a generator of (state, record)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from surrojax.errors import InputError
from surrojax.evaluate import Evaluation, evaluate
from surrojax.fields import Record
from surrojax.layout import several
from surrojax.method import Data, Method
from surrojax.search import SearchState, lead
from surrojax.sgd import Arrays, Net
from surrojax.sites import Hyper, named
from surrojax.stage1 import Fusion, fit_settings, new_fusion
from surrojax.stage2 import compete, source

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

    def __init__(self, round_: int, state: RunState) -> None:
        super().__init__(
            f"round {round_}: the losses are not finite with any of its settings, so "
            "the run stops before it; begin another with a lower learning rate, eta or "
            "upper bound of the coefficients"
        )
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


class Programs(NamedTuple):
    """The parts of a round.

    Attributes:
      fit: `(fusion, settings [2, D], equal, train, key, step)` -> fusions, losses, with
        a leading axis of the settings that were trained: two, or one where the second
        is equal and the program could see that (stage 1).
      evaluate: `(fusions, split)` -> `Evaluation` of originals and surrogates, with
        the same axis.
      compete: `(surrogate, vectors, data, key, step)` -> scores, `Evaluation`; the
        first is `stage2.source`.
      tell, ask: the optimiser's.
    """

    fit: Callable[..., Any]
    evaluate: Callable[..., Any]
    compete: Callable[..., Any]
    tell: Callable[..., Any]
    ask: Callable[..., Any]


@struct.dataclass
class Outcome:
    """What a round found; of R replicas, with a leading axis.

    Attributes:
      diverged: `[]` bool: no setting gave finite losses, and the state is the old one.
      equal: `[]` bool: both settings of stage 1 are the same one, or only the
        current is trained.
      winner: `[]` int32: 0 where the current best was kept, 1 where the previous.
      settings: `Hyper` `[2]`, the current and the previous best.
      losses: of stage 1, means over the round; `[S]`, of the settings trained.
      original: `Evaluation` `[S]`.
      surrogate: the same; None where none is fitted.
      rate: `[]` the learning rate of the last step.
      candidates: `Hyper` `[N]`; None where nothing is tuned, as all that follow.
      scores: `[N]` of the candidates.
      evaluations: `Evaluation` `[N]`.
      leader: `Hyper`, the current best of the next round.
      leader_score: `[]`.
    """

    diverged: jax.Array
    equal: jax.Array
    winner: jax.Array
    settings: Hyper
    losses: Any
    original: Evaluation
    surrogate: Evaluation | None
    rate: jax.Array
    candidates: Hyper | None = None
    scores: jax.Array | None = None
    evaluations: Evaluation | None = None
    leader: Hyper | None = None
    leader_score: jax.Array | None = None


Round = Callable[[Data, RunState], tuple[RunState, Outcome]]
"""One round of Algorithm 1."""


def compile_programs(method: Method) -> Programs:
    """The parts of a round, each compiled once; the host calls one after the other."""
    parts, compiled = _parts(method), method.layout.compile
    fit_all = compiled(partial(_fit_all, method))

    def fit(
        fusion: Fusion, settings: jax.Array, equal: jax.Array, *given: Any
    ) -> tuple[Fusion, Any]:
        return fit_all(fusion, settings[:1] if equal else settings, *given)

    return Programs(
        fit=fit,
        evaluate=compiled(parts.evaluate),
        compete=compiled(parts.compete),
        tell=compiled(parts.tell),
        ask=compiled(parts.ask),
    )


def compile_round(method: Method, donate: bool = False) -> Round:
    """A whole round as one compiled program, without a word to the host.

    Args:
      method: static.
      donate: whether the program may work in the memory of the state that it is given,
        which is gone then.
    """
    return jax.jit(
        partial(play, method, _parts(method)),
        donate_argnums=1 if donate else (),
        out_shardings=method.layout.sharding,
    )


def compile_replicas(method: Method, donate: bool = False) -> Round:
    """The same for R runs side by side: states and outcomes have a leading axis `[R]`.

    The replicas are spread over the layout's devices, each of which plays whole rounds.
    """
    alone = replace(method, layout=method.layout.alone())
    one = partial(play, alone, _parts(alone, branch=False))

    def all_(data: Data, states: RunState) -> Any:
        return method.layout.spread(one, (None, 0), data, states)

    return jax.jit(
        all_,
        donate_argnums=1 if donate else (),
        out_shardings=method.layout.sharding,
    )


def _parts(method: Method, branch: bool = True) -> Programs:
    """The parts, to be compiled.

    Args:
      method: static.
      branch: whether equal settings are trained once; under vmap both ways would be
        computed.
    """

    def fit(
        fusion: Fusion, settings: jax.Array, equal: jax.Array, *given: Any
    ) -> tuple[Fusion, Any]:
        def once() -> Any:
            trained = _fit_all(method, fusion, settings[:1], *given)
            return jax.tree.map(lambda a: jnp.concatenate([a, a]), trained)

        def twice() -> Any:
            return _fit_all(method, fusion, settings, *given)

        if not method.tunes or method.stage1_settings == 1:
            return _fit_all(method, fusion, settings[:1], *given)
        if not branch:
            return twice()
        return jax.lax.cond(equal, once, twice)

    def compete_from(
        surrogate: Net, vectors: jax.Array, data: Data, key: jax.Array, step: Any
    ) -> tuple[jax.Array, Evaluation]:
        steps = step + jnp.arange(method.stage2_iterations)
        return compete(method, surrogate, vectors, data, key, steps)

    return Programs(
        fit=fit,
        evaluate=partial(evaluate_fusions, method),
        compete=compete_from,
        # Optimisers may share one tell; the partial makes this run's program its own.
        tell=partial(method.search.tell),
        ask=method.search.ask,
    )


def _fit_all(
    method: Method,
    fusion: Fusion,
    settings: jax.Array,
    train: Arrays,
    key: jax.Array,
    step: jax.Array,
) -> tuple[Fusion, Any]:
    steps = step + jnp.arange(method.iterations_per_round)
    fusions = several(fusion, len(settings))
    return fit_settings(method, fusions, settings, train, key, steps)


def evaluate_fusions(
    method: Method, fusions: Fusion, data: Arrays
) -> tuple[Evaluation, Evaluation | None]:
    """`Evaluation` of originals and of surrogates (None: there are none).

    Args:
      method: static.
      fusions: with a leading axis.
      data: the split.
    """

    def of(module: Any, nets: Net) -> Evaluation:
        # Of one network, the images are spread; of several, the networks.
        alone = len(jax.tree.leaves(nets)[0]) == 1
        layout = method.layout if alone else None

        def one(net: Net, data: Arrays) -> Evaluation:
            return evaluate(
                module,
                method.views,
                net.variables,
                data,
                method.evaluation_batch,
                layout,
                method.class_weights,
            )

        return method.layout.spread_settings(one, (0, None), nets, data)

    surrogates = fusions.surrogate
    return of(method.pair.original, fusions.original), (
        None if surrogates is None else of(method.pair.surrogate, surrogates)
    )


def initial_state(method: Method, key: jax.Array) -> RunState:
    """The state before round 1 (line 1 of Algorithm 1).

    The previous best setting is the defaults, the current best the first candidate;
    neither has a score yet.
    """
    streams = Streams.of(key)
    population = method.space.latin_hypercube(streams.population, method.population)
    return RunState(
        fusion=new_fusion(method, streams.networks),
        population=population,
        search=method.search.init(population),
        previous=jnp.asarray(method.space.center),
        previous_score=jnp.array(-jnp.inf, jnp.float32),
        key=key,
        round=jnp.array(0, jnp.int32),
        step=jnp.array(0, jnp.int32),
        best_round=jnp.array(0, jnp.int32),
        best_accuracy=jnp.array(-jnp.inf, jnp.float32),
    )


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
            raise DivergedError(number, state)
        yield state, record_of(outcome, plan[:number])


def run_replicas(
    method: Method,
    data: Data,
    states: RunState,
    max_iterations: int,
    round_of: Callable[[Method], Round],
) -> Iterator[tuple[RunState, list[Record | DivergedError]]]:
    """`run` for R runs at once; one that diverges keeps its state, the others go on.

    Args:
      method, data, max_iterations: of `run`.
      states: with a leading axis `[R]`, all after the same round.
      round_of: `compile_replicas`.

    Yields:
      The states after each round, and a record for each run.
    """
    plan, done = method.plan(max_iterations), int(np.asarray(states.round)[0])
    states = jax.tree.map(jnp.copy, states)
    for number, round_ in _rounds(method, plan, done, round_of):
        states, outcomes = jax.block_until_ready(round_(data, states))
        found = jax.device_get(outcomes)
        records: list[Record | DivergedError] = []
        for index, diverged in enumerate(found.diverged):
            own = jax.tree.map(lambda a, i=index: a[i], (states, found))
            records.append(
                DivergedError(number, own[0])
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


@jax.jit
def _take(tree: T, index: jax.Array) -> T:
    """One of several, of every leaf.

    Compiled as one: leaf by leaf it takes seconds of a first round that is played in
    parts.
    """
    return jax.tree.map(lambda a: a[index], tree)


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
    streams, to_hyper = Streams.of(state.key), jax.vmap(method.space.to_hyper)
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
    merit = {
        "accuracy": original.weighted_accuracy,
        "cross_entropy": -original.cross_entropy,
    }
    # argmax takes the first of equals, so a tie goes to the current best.
    winner = jnp.argmax(jnp.where(finite, merit[method.selection], -jnp.inf))
    # Two trainings of one setting may differ in their last bits; there is one winner.
    winner = jnp.where(equal & finite[0], 0, winner)
    diverged = ~finite.any()
    fusion = _take(fusions, winner)
    next_step = state.step + method.iterations_per_round
    outcome = Outcome(
        diverged=diverged,
        equal=equal,
        winner=winner,
        settings=to_hyper(settings),
        losses=jax.tree.map(lambda a: a / method.iterations_per_round, losses),
        original=original,
        surrogate=surrogate,
        rate=method.learning_rate(next_step - 1),
    )
    search, population = state.search, state.population
    if method.tunes:
        search = lead(search, settings[winner], had[winner])
        candidates = population
        if method.reevaluate_incumbent:
            candidates = jnp.concatenate([population, search.leader[None]])
        scores, evaluations = programs.compete(
            source(method, fusion), candidates, data, streams.stage2, state.step
        )
        if method.reevaluate_incumbent:
            search = lead(search, search.leader, scores[-1])
        n = method.population
        search = programs.tell(search, population, scores[:n])
        ask_key = jax.random.fold_in(streams.ask, state.round)
        population, search = programs.ask(ask_key, search)
        outcome = replace(
            outcome,
            candidates=to_hyper(candidates),
            scores=scores,
            evaluations=evaluations,
            leader=method.space.to_hyper(search.leader),
            leader_score=search.leader_score,
        )
    is_best = accuracy[winner] > state.best_accuracy
    after = replace(
        state,
        fusion=fusion,
        population=population,
        search=search,
        previous=settings[winner] if method.schedule is None else state.previous,
        previous_score=had[winner],
        round=state.round + 1,
        step=next_step,
        best_round=jnp.where(is_best, state.round + 1, state.best_round),
        best_accuracy=jnp.where(is_best, accuracy[winner], state.best_accuracy),
    )
    return jax.tree.map(partial(_keep, diverged), state, after), outcome


def _keep(condition: jax.Array, old: Any, new: Any) -> Any:
    return old if old is new else jnp.where(condition, old, new)


def record_of(outcome: Outcome, plan: Sequence[int]) -> Record:
    """A round's record of plain numbers and strings.

    Args:
      outcome: of one run.
      plan: NI of each round so far, this one included.
    """
    found = jax.device_get(outcome)
    winner = int(found.winner)
    trained = ("current",) if found.equal else ("current", "previous")
    record: Record = {
        "round": len(plan),
        "step": sum(plan),
        "iterations": plan[-1],
        "learning_rate": float(found.rate),
        "hyper": named(found.settings, winner),
        "chosen": trained[winner],
        "stage1": {
            name: {
                "original": _evaluation(found.original, index),
                "surrogate": _evaluation(found.surrogate, index),
            }
            for index, name in enumerate(trained)
        },
        "original": _evaluation(found.original, winner),
        "training_loss": finite(found.losses["loss"][winner]),
    }
    if found.surrogate is not None:
        record["surrogate"] = _evaluation(found.surrogate, winner)
        record["surrogate_training_loss"] = finite(
            found.losses["surrogate_loss"][winner]
        )
        record["euclidean"] = {
            site: finite(value[winner])
            for site, value in found.losses["euclidean"]._asdict().items()
            if value is not None
        }
    if found.candidates is not None:
        record["candidates"] = [
            {
                "hyper": named(found.candidates, index),
                "score": finite(score),
                "validation_accuracy": float(found.evaluations.accuracy[index]),
                "validation_cross_entropy": finite(
                    found.evaluations.cross_entropy[index]
                ),
            }
            for index, score in enumerate(found.scores)
        ]
        record["current_best"] = named(found.leader)
        record["current_best_score"] = finite(found.leader_score)
    return record


def finite(value: Any) -> float | None:
    """As JSON knows it: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def _evaluation(result: Evaluation | None, index: int) -> Record | None:
    if result is None:
        return None
    return {
        "validation_accuracy": float(result.accuracy[index]),
        "validation_frame_accuracy": float(result.frame_accuracy[index]),
        "validation_cross_entropy": finite(result.cross_entropy[index]),
    }
