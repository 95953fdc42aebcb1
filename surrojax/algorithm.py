"""Algorithm 1: rounds of stage 1 and stage 2, as a generator of (state, record)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from surrojax.errors import InputError
from surrojax.evaluate import Evaluation, evaluate
from surrojax.method import Data, Method
from surrojax.search import SearchState, lead
from surrojax.sgd import Arrays, Net
from surrojax.sites import HYPER_NAMES, Hyper, where_present
from surrojax.stage1 import Fusion, fit, new_fusion
from surrojax.stage2 import compete

Record = dict[str, Any]


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
    """No setting of a round gave finite losses; the state of the last round stands."""


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
    """The compiled parts of a round; each is compiled once a run.

    Attributes:
      fit: `(fusion, vector, train, key, step)` -> fusion, losses (stage 1).
      evaluate: `(fusion, split)` -> `Evaluation` of original and surrogate.
      compete: `(surrogate, vectors, data, key, step)` -> scores, `Evaluation`.
      tell, ask: the optimiser's.
    """

    fit: Callable[..., Any]
    evaluate: Callable[..., Any]
    compete: Callable[..., Any]
    tell: Callable[..., Any]
    ask: Callable[..., Any]


def compile_programs(method: Method) -> Programs:
    """The jitted parts of a round for one method."""

    def steps_from(step: jax.Array) -> jax.Array:
        return step + jnp.arange(method.iterations_per_round)

    def fit_vector(
        fusion: Fusion, vector: jax.Array, train: Arrays, key: jax.Array, step: Any
    ) -> tuple[Fusion, Any]:
        hyper = method.space.to_hyper(vector)
        fusion, losses = fit(method, fusion, hyper, train, key, steps_from(step))
        return fusion, jax.tree.map(jnp.mean, losses)

    def compete_from(
        surrogate: Net, vectors: jax.Array, data: Data, key: jax.Array, step: Any
    ) -> tuple[jax.Array, Evaluation]:
        return compete(method, surrogate, vectors, data, key, steps_from(step))

    return Programs(
        fit=jax.jit(fit_vector),
        evaluate=jax.jit(partial(evaluate_fusion, method)),
        compete=jax.jit(compete_from),
        # Optimisers may share one tell; the partial makes this run's program its own.
        tell=jax.jit(partial(method.search.tell)),
        ask=jax.jit(method.search.ask),
    )


def evaluate_fusion(
    method: Method, fusion: Fusion, data: Arrays
) -> tuple[Evaluation, Evaluation | None]:
    """`Evaluation` of the original and of the surrogate (None: there is none)."""

    def of(module: Any, net: Any) -> Evaluation:
        return evaluate(
            module, method.views, net.variables, data, method.evaluation_batch
        )

    surrogate = fusion.surrogate
    return of(method.pair.original, fusion.original), (
        None if surrogate is None else of(method.pair.surrogate, surrogate)
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


def run(
    method: Method,
    data: Data,
    state: RunState,
    max_iterations: int = 80_000,
    programs: Programs | None = None,
) -> Iterator[tuple[RunState, Record]]:
    """Algorithm 1, from a state on: one (state, record) a round.

    Args:
      method: the settings.
      data: training and validation splits, on the device.
      state: `initial_state`, or that of an earlier round.
      max_iterations: steps of the original after which the run ends (MaxIter); a
        round that would pass them is not begun.
      programs: `compile_programs(method)`, where the caller has them already.

    Yields:
      The state after each round, and a record of plain numbers and strings.

    Raises:
      DivergedError: no setting of a round gave finite losses.
    """
    programs = programs or compile_programs(method)
    while int(state.step) + method.iterations_per_round <= max_iterations:
        state, record = _round(method, programs, data, state)
        yield state, record


class _Trained(NamedTuple):
    """What stage 1 made of one setting."""

    name: str
    vector: jax.Array
    score: jax.Array
    fusion: Fusion
    losses: Any
    original: Evaluation
    surrogate: Evaluation | None

    @property
    def accuracy(self) -> float:
        """Validation accuracy of the original; -inf where a network is not finite."""
        losses = [e.cross_entropy for e in (self.original, self.surrogate) if e]
        return float(self.original.accuracy) if np.isfinite(losses).all() else -np.inf


def _round(
    method: Method, programs: Programs, data: Data, state: RunState
) -> tuple[RunState, Record]:
    streams = Streams.of(state.key)
    settings = [("current", state.search.leader, state.search.leader_score)]
    if not np.array_equal(state.previous, state.search.leader):
        settings.append(("previous", state.previous, state.previous_score))
    trained = []
    for name, vector, score in settings:
        fusion, losses = programs.fit(
            state.fusion, vector, data.train, streams.stage1, state.step
        )
        # Waiting here lets Ctrl-C through; inside float() it becomes another error.
        validated = jax.block_until_ready(programs.evaluate(fusion, data.validation))
        trained.append(_Trained(name, vector, score, fusion, losses, *validated))
    # max takes the first of equals, so a tie goes to the current best.
    winner = max(trained, key=lambda t: t.accuracy)
    if winner.accuracy == -np.inf:
        raise DivergedError(
            f"round {int(state.round) + 1}: the losses are not finite with any of its "
            "settings, so the run stops before it; begin another with a lower learning "
            "rate, eta or upper bound of the coefficients"
        )
    record = _stage1_record(method, state, winner, trained)
    search, population = state.search, state.population
    if method.tunes:
        search = lead(search, winner.vector, winner.score)
        candidates = population
        if method.reevaluate_incumbent:
            candidates = jnp.concatenate([population, search.leader[None]])
        scores, evaluations = programs.compete(
            winner.fusion.surrogate, candidates, data, streams.stage2, state.step
        )
        jax.block_until_ready(scores)
        record |= _stage2_record(method, candidates, scores, evaluations)
        if method.reevaluate_incumbent:
            search = lead(search, search.leader, scores[-1])
        n = method.population
        search = programs.tell(search, population, scores[:n])
        ask_key = jax.random.fold_in(streams.ask, state.round)
        population, search = programs.ask(ask_key, search)
        record["current_best"] = _setting(method, search.leader)
        record["current_best_score"] = _finite(search.leader_score)
    is_best = winner.accuracy > float(state.best_accuracy)
    state = replace(
        state,
        fusion=winner.fusion,
        population=population,
        search=search,
        previous=winner.vector,
        previous_score=winner.score,
        round=state.round + 1,
        step=state.step + method.iterations_per_round,
        best_round=state.round + 1 if is_best else state.best_round,
        best_accuracy=winner.original.accuracy if is_best else state.best_accuracy,
    )
    return state, record


def _setting(method: Method, vector: jax.Array) -> dict[str, float]:
    hyper = method.space.to_hyper(vector)
    names = Hyper(
        *(where_present(n, h) for n, h in zip(HYPER_NAMES, hyper, strict=True))
    )
    return dict(
        zip(jax.tree.leaves(names), map(float, jax.tree.leaves(hyper)), strict=True)
    )


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _evaluation(result: Evaluation | None) -> Record | None:
    if result is None:
        return None
    return {
        "validation_accuracy": float(result.accuracy),
        "validation_frame_accuracy": float(result.frame_accuracy),
        "validation_cross_entropy": _finite(result.cross_entropy),
    }


def _stage1_record(
    method: Method, state: RunState, winner: _Trained, trained: list[_Trained]
) -> Record:
    last_step = state.step + method.iterations_per_round - 1
    record: Record = {
        "round": int(state.round) + 1,
        "step": int(state.step) + method.iterations_per_round,
        "learning_rate": float(method.learning_rate(last_step)),
        "hyper": _setting(method, winner.vector),
        "chosen": winner.name,
        "stage1": {
            t.name: {
                "original": _evaluation(t.original),
                "surrogate": _evaluation(t.surrogate),
            }
            for t in trained
        },
        "original": _evaluation(winner.original),
        "training_loss": _finite(winner.losses["loss"]),
    }
    if winner.surrogate is not None:
        record["surrogate"] = _evaluation(winner.surrogate)
        record["surrogate_training_loss"] = _finite(winner.losses["surrogate_loss"])
        record["euclidean"] = {
            site: _finite(value)
            for site, value in winner.losses["euclidean"]._asdict().items()
            if value is not None
        }
    return record


def _stage2_record(
    method: Method, vectors: jax.Array, scores: jax.Array, evaluations: Evaluation
) -> Record:
    return {
        "candidates": [
            {
                "hyper": _setting(method, vector),
                "score": _finite(score),
                "validation_accuracy": float(accuracy),
                "validation_cross_entropy": _finite(cross_entropy),
            }
            for vector, score, accuracy, cross_entropy in zip(
                np.asarray(vectors),
                np.asarray(scores),
                np.asarray(evaluations.accuracy),
                np.asarray(evaluations.cross_entropy),
                strict=True,
            )
        ]
    }
