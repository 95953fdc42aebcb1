"""Weights into a network that they may fit in part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from surrojax.errors import InputError
from surrojax.fields import some_of
from surrojax.weights.files import STATISTICS, layers_of, named, unflatten


@dataclass(frozen=True)
class Fitted:
    """What became of a network's layers and of a file's.

    Attributes:
      loaded: the network's layers that have the file's weights.
      fresh: those that keep the weights they had, each with the reason.
      unused: the file's layers that the network does not have.
    """

    loaded: tuple[str, ...]
    fresh: tuple[tuple[str, str], ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """One line."""
        fresh = ", ".join(f"{layer} ({reason})" for layer, reason in self.fresh)
        return (
            f"{len(self.loaded)} layers begin with the weights of init_from; fresh: "
            f"{fresh or 'none'}; unused: {', '.join(self.unused) or 'none'}"
        )


def fit_into(
    params: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], Fitted]:
    """Puts every layer of `weights` that fits into a network's parameters.

    A layer is loaded as a whole or not at all: its kernel, its bias and its slopes.
    Running statistics begin afresh.

    Args:
      params: the network's tree of parameters.
      weights: as `load` returns them.

    Returns:
      The tree, the loaded layers in float32; and what became of each layer.

    Raises:
      InputError: no layer fits.
    """
    here = named(params)
    ours = layers_of(here)
    theirs = layers_of([n for n in weights if not n.startswith(f"{STATISTICS}.")])
    loaded, fresh = [], []
    for layer, names in ours.items():
        reason = _misfit(here, names, weights, theirs.get(layer, []))
        if reason:
            fresh.append((layer, reason))
            continue
        loaded.append(layer)
        here |= {name: jnp.asarray(weights[name], jnp.float32) for name in names}
    if not loaded:
        raise InputError(
            "init_from: no layer fits: the network has "
            f"{some_of([f'{layer} ({reason})' for layer, reason in fresh])}, the file "
            f"{some_of(list(theirs))}; name weights of this network or of its parent, "
            "under the names of docs/weights.md"
        )
    unused = tuple(layer for layer in theirs if layer not in ours)
    return unflatten(here), Fitted(tuple(loaded), tuple(fresh), unused)


def _misfit(
    here: Mapping[str, Any],
    ours: Sequence[str],
    there: Mapping[str, np.ndarray],
    theirs: Sequence[str],
) -> str:
    """Why a layer cannot be loaded; empty if it can."""
    if not theirs:
        return "not in the file"
    # The kernel first: its shape says more than that of the bias.
    for name in sorted(ours, key=lambda name: -len(here[name].shape)):
        if name not in there:
            return f"{name} is not in the file"
        if there[name].shape != here[name].shape:
            return f"shape {there[name].shape} there, {here[name].shape} here"
    surplus = [name for name in theirs if name not in ours]
    return f"{surplus[0]} is in the file only" if surplus else ""
