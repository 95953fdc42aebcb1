"""What a user should be told about own data, though it can be trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surrojax.data import Split
from surrojax.fields import some_of
from surrojax.keys import key_of
from surrojax.method import Method
from surrojax.networks.calls import MODES
from surrojax.networks.liveness import needs
from surrojax.networks.own import SITES, TRUNK, OwnNetwork
from surrojax.own.descent import ignores_rate
from surrojax.own.method import SAMPLE, is_standard, own_of, plain_of
from surrojax.run.hints import of_splits

LARGE = 30.0
"""A root mean square of inputs above which SGD is likely to diverge or to stall."""

BELOW = ("params", TRUNK)
"""Where the parameters below the tuned layers are."""

DARK = 31
"""The largest of bytes that are all but the same once they are scaled as pixels."""

SOME = 1_000
"""Examples that a hint about values looks at."""


def opening(
    network: str, method: Method, splits: Mapping[str, Split], max_iterations: int
) -> str:
    """What is about to be done, in a line."""
    plan = method.plan(max_iterations)
    sizes = ", ".join(f"{len(split)} for {name}" for name, split in splits.items())
    left = max_iterations - sum(plan)
    below = sorted(
        {".".join(path[2:-1]) for path in method.trained if path[:2] == BELOW}
        if method.tunes and method.shared_layers
        else ()
    )
    acted_on = zip(own_of(method).layers, SITES, strict=False)
    layers = ", ".join(f"{layer.name} ({sites})" for layer, sites in acted_on)
    pixels = _scaled(method, splits["train"])
    lengths = str(plan[0]) if len({*plan}) == 1 else f"{plan[0]} and more"
    return (
        f"{network}: {sizes}"
        + ("; pixels, 0 to 255, are made -1 to 1" if pixels else "")
        + f"; layers: {layers}; tuned: {method.tuned}; "
        + f"{len(plan)} rounds of {lengths} steps"
        + (f"; candidates also train {', '.join(below)}" if below else "")
        + (f", {left} of max_iterations left over" if left else "")
        + "; compiling"
    )


def hints(
    method: Method,
    splits: Mapping[str, Split],
    classes: Sequence[str],
    words: int | None,
) -> list[str]:
    """Lines about the data, none where there is nothing to say.

    Args:
      method: of the run.
      splits: by name, `train` among them.
      classes: K names.
      words: of `words_of`.
    """
    found, train = of_splits(method, splits, classes, "tune=()"), splits["train"]
    values = np.asarray(train.images[:SOME])
    if _scaled(method, train):
        if (most := values.max()) <= DARK:
            found.append(
                f"train: inputs are bytes up to {most}, which are all but the same "
                "where 0 to 255 are made -1 to 1, as of pixels; give them as float32"
            )
    elif (
        is_standard(method)
        and words is None
        and (size := float(np.sqrt(np.mean(np.square(values, dtype=float))))) > LARGE
    ):
        found.append(
            f"train: inputs are large, {size:.3g} in the root mean square, where about "
            "1 trains best; scale them (pixels as uint8 are scaled by themselves)"
        )
    return found + _of_functions(method, values[:SAMPLE]) + _of_network(own_of(method))


def _scaled(method: Method, train: Split) -> bool:
    """Whether inputs are taken for pixels."""
    return is_standard(method) and train.images[:1].dtype == np.uint8


def _of_functions(method: Method, stored: np.ndarray) -> list[str]:
    """Lines about what the user's functions do with what they are given.

    Args:
      method: of the run.
      stored: `[n, ...]` some inputs.
    """
    found, change = list[str](), plain_of(method).change
    if change is not None:
        drawn, _ = needs(change, key_of(0), stored)
        if not drawn:
            found.append(
                "augment: does the same in every step, for it does not use its key; "
                "draw with jax.random and the key, not with np.random"
            )
    if ignores_rate(method):
        found.append(
            "optimizer: has a learning rate of its own, so that learning_rate and "
            "halve_every have no effect; where that is not meant, give a function of "
            "the rate, as optax.adamw is"
        )
    return found


def _of_network(network: OwnNetwork) -> list[str]:
    """Lines about what a network does in training, and by which layers it ends."""
    found = []
    if network.untold:
        found.append(
            f"network: training is nothing else to {some_of(network.untold)}, with "
            "running averages and nothing dropped; where that is not meant, let "
            f"__call__ take one of {', '.join(MODES)}, and hand it on"
        )
    if network.beside:
        found.append(
            f"layers: logits come by {some_of(network.beside)} as well, past "
            f"{network.layers[-1].name}; layers=(...) says where else to act"
        )
    return found


def unused(method: Method, given: Mapping[str, Any]) -> list[str]:
    """Lines about settings that have no effect beside the others.

    Args:
      method: of the run.
      given: settings that were said, by name.
    """
    shared = "surrogate is 'shared', not 'fitted'"
    settings = f"stage1_settings is {method.stage1_settings}"
    reasons = {
        "eta": shared if method.surrogate == "shared" else None,
        "selection": settings if method.stage1_settings == 1 else None,
        "undo_beyond": settings if method.stage1_settings == 2 else None,
    }
    return [
        f"{name}: has no effect, because {why}"
        for name, why in reasons.items()
        if method.tunes and why and given.get(name)
    ]
