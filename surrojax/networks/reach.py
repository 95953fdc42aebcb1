"""How far down a network candidates reach that share its trunk."""

from typing import Any, NamedTuple

import jax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.extend.core import Jaxpr, Literal

from surrojax.errors import InputError
from surrojax.networks import HEAD, Network, forward, shapes
from surrojax.networks.calls import Path


class Way(NamedTuple):
    """A network's way forward, in evaluation mode.

    Attributes:
      jaxpr: from its variables and the inputs to logits and sites.
      paths: of the variables, with their collection first, by the jaxpr's inputs.
    """

    jaxpr: Jaxpr
    paths: dict[Any, Path]


def way(network: Network, inputs: jax.Array) -> Way:
    """The way forward of some inputs."""
    leaves = flatten_dict(shapes(network, inputs))

    def go(values: list[jax.Array], inputs: jax.Array) -> Any:
        variables = unflatten_dict(dict(zip(leaves, values, strict=True)))
        return forward(network, variables, inputs)

    jaxpr = jax.make_jaxpr(go)(list(leaves.values()), inputs).jaxpr
    *variables, _ = jaxpr.invars
    return Way(jaxpr, dict(zip(variables, leaves, strict=True)))


def reach(network: Network, inputs: jax.Array, layers: int) -> frozenset[Path]:
    """Paths of what candidates train, with their collection first.

    That is the head, and the last layers of the trunk with all that is computed after
    them: biases, slopes, normalisation and its statistics. The rest is held still.

    Args:
      network: the original of a `Pair`.
      inputs: a few, for shapes.
      layers: how many of the trunk's layers with weights, the last ones.

    Raises:
      InputError: the trunk has fewer.
    """
    there = way(network, inputs)
    head = frozenset(path for path in there.paths.values() if path[1] == HEAD)
    if not layers:
        return head
    trunk = {v: n for v, n in _uses(there).items() if there.paths[v] not in head}
    weights = {
        use
        for v, use in trunk.items()
        if there.paths[v][0] == "params" and v.aval.ndim >= 2
    }
    if layers > len(weights):
        raise InputError(
            f"shared_layers: {layers} is more than the {len(weights)} layers with "
            "weights below the fully connected ones; give no more"
        )
    begin = sorted(weights)[-layers]
    return head | {there.paths[v] for v, use in trunk.items() if use >= begin}


def _uses(there: Way) -> dict[Any, int]:
    """By variable, the first equation in which what is made of it meets the inputs.

    Its own first equation may be long before that: a normalisation of the weights.
    """
    made_of: dict[Any, set[Any]] = {variable: {variable} for variable in there.paths}
    follows, uses = {there.jaxpr.invars[-1]}, dict[Any, int]()
    for number, equation in enumerate(there.jaxpr.eqns):
        operands = {v for v in equation.invars if not isinstance(v, Literal)}
        sources = set().union(*(made_of.get(v, ()) for v in operands - follows))
        if operands & follows:
            follows.update(equation.outvars)
            for variable in sources:
                uses.setdefault(variable, number)
        else:
            made_of |= dict.fromkeys(equation.outvars, sources)
    return uses
