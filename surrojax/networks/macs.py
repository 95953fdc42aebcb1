"""The cost of a network, counted from its computation rather than written down."""

import math
from collections.abc import Iterator
from typing import Any

import jax

from surrojax.networks import Network, Pair, blank, forward, init, sites_of
from surrojax.networks.liveness import live


def macs(module: Network, image: jax.Array) -> int:
    """Multiply-accumulates of one forward pass, convolutions and FC layers only.

    Args:
      module: as in `Pair`.
      image: `[1, H, W, C]`.
    """
    return sum(macs_by_layer(module, image))


def shared_macs(pair: Pair, sharing: int) -> int:
    """The same of a candidate that shares the original's trunk with the others.

    Its fully connected layers, and its part of the trunk, through which images go
    forward alone: a third of what a step of training costs.

    Args:
      pair: whose original it is a copy of.
      sharing: candidates for whom the images go through the trunk once.
    """
    image = blank(pair)
    sites = sites_of(pair.original, image)
    head = sum(math.prod(a.shape) for a in (sites.V, sites.W) if a is not None)
    return head + (macs(pair.original, image) - head) // (3 * sharing)


def macs_by_layer(module: Network, image: jax.Array) -> list[int]:
    """The same for each convolution and FC layer, in the order of computation."""
    if hasattr(module, "form"):
        other: Any = module
        module = other.clone(form="lax")  # other forms multiply by zeros too
    variables = jax.eval_shape(lambda: init(module, jax.random.key(0), image))
    jaxpr = jax.make_jaxpr(lambda v, x: forward(module, v, x))(variables, image)
    equations = _equations(jaxpr.jaxpr)
    return [times * count for times, e in equations if (count := _macs(e))]


def _equations(jaxpr: Any, times: int = 1) -> Iterator[tuple[int, Any]]:
    """Equations, and how often each is computed: those of a scan once a step."""
    for equation in live(jaxpr).equations:
        yield times, equation
        scanned = equation.primitive.name == "scan"
        often = times * (equation.params["length"] if scanned else 1)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner, often)


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
