"""Does the surrogate rank settings as the original network would?

After a round, the original itself is trained with each of its candidates, and with
settings drawn from the box in which the search began, as a next round of as many steps
would train it. What the surrogate said of the same settings is held against that: by
Kendall's tau, and by what its choice costs against the best choice and against a random
one.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.algorithm import RunState, Streams
from surrojax.fields import Record, finite_or_none
from surrojax.method import Data, Method
from surrojax.programs import Programs
from surrojax.sites import named
from surrojax.stage1 import Fusion
from surrojax.stage2 import source

RESAMPLES = 1000
"""Bootstrap samples behind an interval."""

MEASURES = ("accuracy", "cross_entropy")


def measure(
    method: Method,
    programs: Programs,
    data: Data,
    state: RunState,
    candidates: Sequence[Record],
    drawn: int,
    seeds: int,
) -> Record:
    """Trains the original with each setting, and compares.

    Args:
      method: static.
      programs: the parts of a round.
      data: training and validation splits.
      state: after the round.
      candidates: of the round's record; their `hyper` is used.
      drawn: how many settings are drawn from the initial box beside them.
      seeds: how often the original is trained with each, on other minibatches; two
        say how well it agrees with itself, which no surrogate can be asked to exceed.

    Returns:
      `settings`, one each with the validation figures of `surrogate` and of
      `original` (a list by seed), and what `compare` makes of them.
    """
    streams, space = Streams.of(state.key), method.space
    own = [[np.log(c["hyper"][name]) for name in space.tune] for c in candidates]
    key = jax.random.fold_in(streams.population, state.round)
    vectors = jnp.concatenate(
        [jnp.array(own, jnp.float32), space.latin_hypercube(key, drawn)]
        if drawn
        else [jnp.array(own, jnp.float32)]
    )
    begun = state.step - method.iterations_per_round
    scores, said = programs.compete(
        source(method, state.fusion), vectors, data, streams.stage2, begun
    )
    # The first seed's minibatches are those that the next round will really see.
    keys = [streams.stage1, *jax.random.split(streams.stage1, seeds)[1:]]
    found = [_train(programs, data, state, vectors, key) for key in keys]
    hypers = jax.device_get(jax.vmap(space.to_hyper)(vectors))
    settings = [
        {
            "hyper": named(hypers, index),
            "candidate": index < len(own),
            "surrogate": {
                "score": finite_or_none(scores[index]),
                "accuracy": float(said.weighted_accuracy[index]),
                "cross_entropy": finite_or_none(said.cross_entropy[index]),
            },
            "original": [
                {
                    "accuracy": float(accuracy[index]),
                    "cross_entropy": finite_or_none(cross_entropy[index]),
                }
                for accuracy, cross_entropy in found
            ],
        }
        for index in range(len(vectors))
    ]
    return {"settings": settings} | compare(settings)


def _train(
    programs: Programs, data: Data, state: RunState, vectors: jax.Array, key: jax.Array
) -> tuple[np.ndarray, np.ndarray]:
    """Validation accuracy and cross-entropy `[S]` of the original, two at a time."""
    alone = Fusion(state.fusion.original, None)
    accuracy, cross_entropy = [], []
    for first in range(0, len(vectors), 2):
        pair = vectors[first : first + 2]
        single = len(pair) == 1
        fusions, _ = programs.fit(
            alone, pair, jnp.array(single), data.train, key, state.step
        )
        original, _ = programs.evaluate(fusions, data.validation)
        accuracy.append(np.asarray(original.weighted_accuracy))
        cross_entropy.append(np.asarray(original.cross_entropy))
    return np.concatenate(accuracy), np.concatenate(cross_entropy)


def compare(settings: Sequence[Record]) -> Record:
    """Kendall's tau and regret of the surrogate's word against the original's.

    Args:
      settings: of `measure`. One whose figures are not finite counts as worse than
        all others.

    Returns:
      `tau`, each `{value, low, high}` with a bootstrap interval of 95 % over the
      settings: `accuracy`, `cross_entropy` (surrogate's and original's in the same
      measure), `score` (the surrogate's score against the original's accuracy), and
      with a second seed `ceiling_accuracy`, `ceiling_cross_entropy`.
      `regret`, in the original's validation accuracy and cross-entropy: what the
      setting of the surrogate's highest score loses against the best setting
      (`surrogate`), and what a random one loses in the mean (`random`).
    """
    high = {name: _column(settings, name) for name in MEASURES}
    score = np.array([_or(s["surrogate"]["score"], -np.inf) for s in settings])
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {
        name: (surrogate, originals[0]) for name, (surrogate, originals) in high.items()
    }
    pairs["score"] = (score, high["accuracy"][1][0])
    for name, (_, originals) in high.items():
        if len(originals) > 1:
            pairs[f"ceiling_{name}"] = (originals[0], originals[1])
    choice = int(np.argmax(score))
    regret = {}
    for name, (_, originals) in high.items():
        mean = originals.mean(axis=0)
        usable = mean[np.isfinite(mean)]
        best = np.max(usable) if usable.size else np.nan
        regret[name] = {
            "surrogate": finite_or_none(best - mean[choice]),
            "random": finite_or_none(best - usable.mean()) if usable.size else None,
        }
    return {"tau": {n: _interval(*pair) for n, pair in pairs.items()}, "regret": regret}


def told(found: Record) -> str:
    """What a measurement of fidelity found, in a line."""

    def number(name: str) -> str:
        tau = found["tau"].get(name)
        return "-" if tau is None or tau["value"] is None else f"{tau['value']:.2f}"

    def points(who: str) -> str:
        lost = found["regret"]["accuracy"][who]
        return "-" if lost is None else f"{100 * lost:.1f}"

    return (
        f"tau {number('cross_entropy')} by cross-entropy (the network with itself "
        f"{number('ceiling_cross_entropy')}), {number('score')} from score to accuracy "
        f"({number('ceiling_accuracy')}); its choice loses {points('surrogate')} "
        f"points, a random one {points('random')}; {found['seconds']:.0f} s"
    )


def never(asked: Sequence[int], done: int, rounds: int, tunes: bool) -> str | None:
    """Which of the rounds asked for are not going to be measured, and why.

    Args:
      asked: after which rounds to measure.
      done: rounds that are over already.
      rounds: of the whole run.
      tunes: whether there are candidates to measure.

    Returns:
      A line; None where all of them will come.
    """
    if asked and not tunes:
        return "nothing is tuned, so there is no candidate to measure"
    over = sorted(r for r in asked if r <= done)
    late = sorted(r for r in asked if r > rounds)
    parts = []
    if over:
        parts.append(f"{_list(over)} is over already, as round {done} is done")
    if late:
        parts.append(f"{_list(late)} never comes, as the run has {rounds} rounds")
    return "; ".join(parts) or None


def _list(rounds: Sequence[int]) -> str:
    return ", ".join(map(str, rounds))


def tau(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b of two rankings; NaN where one of them has only ties."""
    from scipy.stats import kendalltau  # takes a second, and most runs measure none

    return float(kendalltau(a, b).statistic)


def _interval(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    chance = np.random.default_rng(0)
    rows = chance.integers(0, len(a), (RESAMPLES, len(a)))
    with np.errstate(invalid="ignore"):
        resampled = np.array([tau(a[r], b[r]) for r in rows])
    resampled = resampled[np.isfinite(resampled)]
    low, high = (
        np.percentile(resampled, (2.5, 97.5)) if resampled.size else (np.nan, np.nan)
    )
    found = {"value": tau(a, b), "low": low, "high": high}
    return {name: finite_or_none(value) for name, value in found.items()}


def _column(settings: Sequence[Record], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The surrogate's `[S]` and the original's `[seeds, S]`, higher being better."""
    sign = {"accuracy": 1.0, "cross_entropy": -1.0}[name]

    def value(of: Record) -> float:
        failed = of["cross_entropy"] is None
        return -np.inf if failed else sign * of[name]

    surrogate = np.array([value(s["surrogate"]) for s in settings])
    original = np.array([[value(o) for o in s["original"]] for s in settings])
    return surrogate, original.T


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
