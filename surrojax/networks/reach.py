"""How far down a network candidates reach that share its trunk."""

from typing import Any, NamedTuple

import jax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.extend.core import Jaxpr, Literal

from surrojax.errors import InputError
from surrojax.networks import HEAD, Network, forward, init
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
    shapes = flatten_dict(
        jax.eval_shape(lambda: init(network, jax.random.key(0), inputs))
    )

    def go(leaves: list[jax.Array], inputs: jax.Array) -> Any:
        variables = unflatten_dict(dict(zip(shapes, leaves, strict=True)))
        return forward(network, variables, inputs)

    jaxpr = jax.make_jaxpr(go)(list(shapes.values()), inputs).jaxpr
    *variables, _ = jaxpr.invars
    return Way(jaxpr, dict(zip(variables, shapes, strict=True)))


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
    found = depths(way(network, inputs))
    if layers >= len(found):
        raise InputError(
            f"shared_layers: {layers} is more than the {len(found) - 1} layers with "
            "weights below the fully connected ones; give no more"
        )
    return found[layers]


def deep_enough(network: Network, inputs: jax.Array, share: float) -> int:
    """The fewest layers with which candidates train such a share of the parameters.

    Embeddings do not count: they are large, and a candidate would copy them.
    """
    there = way(network, inputs)
    sizes = {
        path: variable.aval.size
        for variable, path in there.paths.items()
        if path[0] == "params" and path[-1] != "embedding"
    }
    wanted = share * sum(sizes.values())
    found = depths(there)
    trained = [sum(sizes.get(path, 0) for path in paths) for paths in found]
    return next((n for n, size in enumerate(trained) if size >= wanted), len(found) - 1)


def depths(there: Way) -> list[frozenset[Path]]:
    """What `reach` says of 0, 1, 2, ... layers, as many as the trunk has."""
    head = frozenset(path for path in there.paths.values() if path[1] == HEAD)
    uses: dict[Any, int] = {}
    for number, equation in enumerate(there.jaxpr.eqns):
        for variable in equation.invars:
            if not isinstance(variable, Literal) and variable in there.paths:
                uses.setdefault(variable, number)
    trunk = {v: use for v, use in uses.items() if there.paths[v] not in head}
    weights = {
        use
        for v, use in trunk.items()
        if there.paths[v][0] == "params" and v.aval.ndim >= 2
    }
    return [
        head,
        *(
            head | {there.paths[v] for v, use in trunk.items() if use >= begin}
            for begin in sorted(weights, reverse=True)
        ),
    ]
