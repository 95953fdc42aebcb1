"""What a user should be told about own data, though it can be trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surrojax.data import Split
from surrojax.method import Method
from surrojax.networks.own import TRUNK
from surrojax.own.method import Plain, standard
from surrojax.run.hints import of_splits

LARGE = 30.0
"""A root mean square of inputs above which SGD is likely to diverge or to stall."""

BELOW = ("params", TRUNK)
"""Where the parameters below the tuned layers are."""

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
    lengths = str(plan[0]) if len({*plan}) == 1 else f"{plan[0]} and more"
    return (
        f"{network}: {sizes}; tuned: {method.tuned}; "
        f"{len(plan)} rounds of {lengths} steps"
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
    augment = method.augment
    values = np.asarray(train.images[:SOME])
    if (
        isinstance(augment, Plain)
        and augment.preprocess is standard
        and values.dtype != np.uint8
        and words is None
        and (size := float(np.sqrt(np.mean(np.square(values, dtype=float))))) > LARGE
    ):
        found.append(
            f"train: inputs are large, {size:.3g} in the root mean square, where about "
            "1 trains best; scale them (pixels as uint8 are scaled by themselves)"
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
