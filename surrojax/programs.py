"""The parts of a round of Algorithm 1, each of which can be compiled."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from surrojax.evaluate import Evaluation, evaluate
from surrojax.layout import several
from surrojax.method import Data, Method
from surrojax.sgd import Arrays, Net
from surrojax.stage1 import Fusion, fit_settings
from surrojax.stage2 import compete


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


def compile_programs(method: Method) -> Programs:
    """The parts of a round, each compiled once; the host calls one after the other."""
    parts, compiled = parts_of(method), method.layout.compile
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


def parts_of(method: Method, branch: bool = True) -> Programs:
    """The parts of a round that is to be compiled as a whole.

    Of equal settings `fit` yields the one training twice, for a program's shapes are
    always the same.

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
