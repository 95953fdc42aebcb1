"""What of a computation its results need."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


class Live(NamedTuple):
    """The part of a computation that its results need.

    Attributes:
      equations: in the order of computation.
      inputs: a bool for each of the computation's inputs.
    """

    equations: list[Any]
    inputs: list[bool]


def live(jaxpr: Jaxpr, result: int | None = None) -> Live:
    """Equations and inputs that the results follow from.

    An equation that calls a whole computation counts as one.

    Args:
      jaxpr: the computation.
      result: the place of one of its results; None: all of them.
    """
    results = jaxpr.outvars if result is None else [jaxpr.outvars[result]]
    needed = {v for v in results if not isinstance(v, Literal)}
    equations = []
    for equation in reversed(jaxpr.eqns):
        if needed.intersection(equation.outvars):
            needed.update(v for v in equation.invars if not isinstance(v, Literal))
            equations.append(equation)
    return Live(equations[::-1], [v in needed for v in jaxpr.invars])


def inside(equation: Any) -> Iterator[ClosedJaxpr | Jaxpr]:
    """The whole computations that an equation calls."""
    for value in equation.params.values():
        for inner in value if isinstance(value, tuple | list) else (value,):
            if isinstance(inner, ClosedJaxpr | Jaxpr):
                yield inner


PASSED = (
    *("convert_element_type", "reshape", "squeeze", "transpose", "slice"),
    *("broadcast_in_dim", "max", "min"),
)
"""Primitives that only convert, shape, cut or bound a value."""

CALLS = ("jit", "pjit", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2")
"""Primitives that call one computation, whose results are theirs."""


def made_by(jaxpr: Jaxpr) -> str:
    """The primitive that a computation's first result comes out of, or nothing.

    `PASSED` ones do not count.
    """
    origin = _origin(jaxpr, jaxpr.outvars[0])
    return origin if isinstance(origin, str) else ""


def _origin(jaxpr: Jaxpr, value: Any) -> Any:
    """The same of any value: a primitive, or what else it comes from, as an input."""
    made = {v: equation for equation in jaxpr.eqns for v in equation.outvars}
    while not isinstance(value, Literal) and value in made:
        equation = made[value]
        name = str(equation.primitive)
        if name in CALLS and (called := next(inside(equation), None)) is not None:
            inner = called.jaxpr if isinstance(called, ClosedJaxpr) else called
            place = equation.outvars.index(value)
            value = _origin(inner, inner.outvars[place])
            if isinstance(value, str) or value not in inner.invars:
                return value
            value = equation.invars[inner.invars.index(value)]
        elif name in PASSED:
            # Of what bounds a value, too, that is the largest.
            operands: list[Any] = list(equation.invars)
            value = max(operands, key=lambda operand: operand.aval.size)
        else:
            return name
    return value


def leaks(f: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a value got out of an inner computation of `f` to its results.

    JAX itself says so when the program is run, and no sooner.
    """
    constants = jax.make_jaxpr(f)(*arguments).consts
    return any(isinstance(constant, jax.core.Tracer) for constant in constants)


def needs(f: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """For each leaf of the arguments, whether `f`'s results follow from it.

    Args:
      f: a function of trees of arrays.
      arguments: the trees, of arrays or their shapes.
    """
    jaxpr = jax.make_jaxpr(f)(*arguments)
    return _told(live(jaxpr.jaxpr), arguments)


def needs_each(f: Callable[..., Any], *arguments: Any) -> list[tuple[Any, ...]]:
    """The same for each of the arrays that `f` returns, one by one."""
    jaxpr = jax.make_jaxpr(f)(*arguments).jaxpr
    return [_told(live(jaxpr, i), arguments) for i in range(len(jaxpr.outvars))]


def _told(found: Live, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return jax.tree.unflatten(jax.tree.structure(arguments), found.inputs)
