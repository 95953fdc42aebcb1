"""The cost of a network, counted from its computation rather than written down."""

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import Literal

from surrojax.networks import Network, Pair, blank
from surrojax.networks.calls import Path
from surrojax.networks.liveness import inside, live
from surrojax.networks.reach import way


def macs(module: Network, image: jax.Array) -> int:
    """Multiply-accumulates of one forward pass, convolutions and FC layers only.

    Args:
      module: as in `Pair`.
      image: `[1, H, W, C]`.
    """
    return sum(macs_by_layer(module, image))


def shared_macs(pair: Pair, sharing: int, trained: frozenset[Path]) -> int:
    """The same of a candidate that shares the original's trunk with the others.

    All that follows from what it trains, and its part of the rest, through which images
    go forward alone: a third of what a step of training costs.

    Args:
      pair: whose original it is a copy of.
      sharing: candidates for whom the images go through the rest once.
      trained: of `networks.reach`.
    """
    own = held = 0
    for count, follows in _counted(pair.original, blank(pair), trained):
        own, held = own + count * follows, held + count * (not follows)
    return own + held // (3 * sharing)


def macs_by_layer(module: Network, image: jax.Array) -> list[int]:
    """The same for each convolution and FC layer, in the order of computation."""
    return [count for count, _ in _counted(module, image, frozenset())]


def _counted(
    module: Network, image: jax.Array, trained: frozenset[Path]
) -> Iterator[tuple[int, bool]]:
    """Counts of the layers, and whether each follows from a trained variable."""
    if hasattr(module, "form"):
        other: Any = module
        module = other.clone(form="lax")  # other forms multiply by zeros too
    there = way(module, image)
    marked = {v for v, path in there.paths.items() if path in trained}
    for times, equation, follows in _equations(there.jaxpr, marked):
        if count := _macs(equation):
            yield times * count, follows


def _equations(
    jaxpr: Any, marked: set[Any], times: int = 1
) -> Iterator[tuple[int, Any, bool]]:
    """Equations, how often each is computed, and whether it follows from the marked.

    Those of a scan are computed once a step.
    """
    for equation in live(jaxpr).equations:
        given = [v for v in equation.invars if not isinstance(v, Literal)]
        follows = not marked.isdisjoint(given)
        yield times, equation, follows
        if follows:
            marked.update(equation.outvars)
        scanned = equation.primitive.name == "scan"
        often = times * (equation.params["length"] if scanned else 1)
        for called in inside(equation):
            inner = getattr(called, "jaxpr", called)
            within = _within(inner, equation, marked) if follows else set()
            yield from _equations(inner, within, often)


def _within(inner: Any, equation: Any, marked: set[Any]) -> set[Any]:
    """What of an inner computation's inputs follows; all, where they do not agree."""
    if len(inner.invars) != len(equation.invars):
        return set(inner.invars)
    return {
        variable
        for variable, given in zip(inner.invars, equation.invars, strict=True)
        if not isinstance(given, Literal) and given in marked
    }


def _macs(equation: Any) -> int:
    out = equation.outvars[0].aval
    if equation.primitive.name == "dot_general":
        left = equation.invars[0].aval.shape
        (contracted, _), _ = equation.params["dimension_numbers"]
        return out.size * math.prod(left[axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        features = equation.params["dimension_numbers"].rhs_spec[0]
        return out.size * math.prod(kernel) // kernel[features]
    return 0
