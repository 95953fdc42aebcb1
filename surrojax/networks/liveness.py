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


def made_by(computation: ClosedJaxpr | Jaxpr) -> str:
    """The primitive that a computation's first result comes out of, or nothing.

    What only converts or shapes it does not count.
    """
    jaxpr = computation.jaxpr if isinstance(computation, ClosedJaxpr) else computation
    made = {v: equation for equation in jaxpr.eqns for v in equation.outvars}
    result = jaxpr.outvars[0]
    while not isinstance(result, Literal) and result in made:
        equation = made[result]
        called = list(inside(equation))
        if called and len(equation.outvars) == 1:
            return made_by(called[0])
        if equation.primitive.name not in ("convert_element_type", "reshape"):
            return str(equation.primitive)
        result = equation.invars[0]
    return ""


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
