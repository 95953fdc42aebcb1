"""Rounds of Algorithm 1, and such whose outcome a test has written down."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.algorithm import play, run
from surrojax.evaluate import Evaluation
from surrojax.programs import compile_programs
from surrojax.sgd import Net
from surrojax.sites import Sites
from surrojax.stage1 import Fusion

KEY = jax.random.key(11)


def rounds(method, data, state, n, programs=None):
    """The next n rounds; with programs, of `scripted`."""
    last = int(state.step) + n * method.iterations_per_round
    if programs is None:
        return list(run(method, data, state, last))
    if isinstance(state.fusion.original, Net):
        vector = jnp.zeros(method.space.dimensions)
        state = replace(state, fusion=Fusion(vector, None))
    return list(
        run(method, data, state, last, lambda _: partial(play, method, programs))
    )


def scripted(method, accuracy, scores=None, finite=lambda vector: True):
    """Programs whose outcome is given: the fusion network is the vector it is fit to.

    Args:
      accuracy: `vector -> validation accuracy` of stage 1.
      scores: `vectors [N, D] -> [N]` of stage 2.
      finite: `vector -> bool`, whether stage 1's losses are finite.
    """
    fitted = []

    def fit(fusion, settings, equal, train, key, step):
        trained = settings[:1] if equal else settings
        fitted.extend(np.asarray(trained))
        ones = jnp.ones(len(trained))
        return Fusion(trained, None), {
            "loss": ones,
            "surrogate_loss": ones,
            "euclidean": Sites(ones, ones, ones, ones),
        }

    def evaluate(fusions, split):
        vectors = np.asarray(fusions.original)
        loss = jnp.array([1.0 if finite(vector) else np.nan for vector in vectors])
        share = jnp.array([accuracy(vector) for vector in vectors])
        result = Evaluation(share, share, share, loss, jnp.ones_like(share))
        return result, result if method.fits else None

    def compete(surrogate, vectors, data, key, step):
        values = jnp.asarray(scores(np.asarray(vectors)), jnp.float32)
        ones = jnp.ones_like(values)
        return values, Evaluation(ones, ones, ones, ones, ones)

    programs = compile_programs(method)._replace(
        fit=fit, evaluate=evaluate, compete=compete
    )
    return programs, fitted


def evaluated(programs, original, surrogate=lambda e: e):
    """Programs whose evaluations of stage 1 are changed by functions of them."""

    def evaluate(fusions, split):
        result, _ = programs.evaluate(fusions, split)
        return original(result), surrogate(result)

    return programs._replace(evaluate=evaluate)


def never(vectors):
    return np.full(len(vectors), -np.inf)
