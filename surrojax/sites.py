"""The four places at which the method acts: z, V, x and W (Table 1 of the paper).

Every site has a penalty (eq. 2-4), a dropout ratio (eq. 7) and a Euclidean match
(eq. 9), so each of those equations is one tree map over `Sites` and one sum.
A network that lacks a site holds None there, which JAX's trees pass over.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike


class Sites(NamedTuple):
    """One value for each site; None where a network lacks the site.

    As a network returns it, the values are features and weights:

      z: `[B, n_z]` what FC1 receives, before its dropout.
      V: `[n_z, n_x]` FC1's weights, before their dropout.
      x: `[B, n_x]` what FC2 receives, before its dropout.
      W: `[n_x, K]` FC2's weights, before their dropout.
    """

    z: Any
    V: Any
    x: Any
    W: Any


class Hyper(NamedTuple):
    """The hyper-parameters, in the order of eq. 8: scalars, or `[N]` for a population.

    Attributes:
      coefficient: the regularisation coefficients lambda, at least 0.
      ratio: the dropout ratios p: probabilities to drop, in [0, 1).
    """

    coefficient: Sites
    ratio: Sites


HYPER_NAMES = Hyper(
    coefficient=Sites("lambda_z", "lambda_V", "lambda_x", "lambda_W"),
    ratio=Sites("p_z", "p_V", "p_x", "p_W"),
)


GROUPS = {name: "coefficient" for name in HYPER_NAMES.coefficient} | {
    name: "ratio" for name in HYPER_NAMES.ratio
}
"""What each hyper-parameter is."""


def in_range(group: str, values: ArrayLike) -> np.ndarray:
    """Whether values are those that a hyper-parameter can have.

    In the 32 bits that they become, for dropout divides by 1 - ratio.

    Args:
      group: `coefficient` or `ratio`.
      values: any shape.
    """
    with np.errstate(over="ignore"):
        kept = np.asarray(values).astype(np.float32)
    return (kept >= 0) & (kept < (1.0 if group == "ratio" else np.inf))


def last(sites: Sites) -> jax.Array:
    """The last FC layer's input, which eq. 11 measures: x, or z where x is missing."""
    return sites.z if sites.x is None else sites.x


def where_present(sites: Sites, like: Sites) -> Sites:
    """`sites`, with None where `like` has None."""
    return Sites(*(None if b is None else a for a, b in zip(sites, like, strict=True)))


def total(tree: Any) -> jax.Array:
    """The sum of a tree's leaves, which are scalars; 0 for a tree without leaves."""
    return sum(jax.tree.leaves(tree), start=jnp.zeros(()))


def named(hyper: Hyper, index: int | None = None) -> dict[str, float]:
    """The hyper-parameters that are there, by name.

    Args:
      hyper: of numbers, or of arrays `[N]`.
      index: which of the N.
    """
    names = Hyper(
        *(where_present(n, h) for n, h in zip(HYPER_NAMES, hyper, strict=True))
    )
    values = (float(a if index is None else a[index]) for a in jax.tree.leaves(hyper))
    return dict(zip(jax.tree.leaves(names), values, strict=True))
