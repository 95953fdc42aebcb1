"""Mistakes of a user's network that would crash later, or that nothing would show."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import SequenceKey

from surrojax.errors import InputError
from surrojax.keys import is_key

TOLD: dict[type[nn.Module], str] = {
    nn.BatchNorm: "use_running_average",
    nn.Dropout: "deterministic",
}
"""Layers that do another thing in training, and the argument that says: not now."""


def check_variables(variables: Mapping[str, Any]) -> None:
    """Sees that a network's variables can be trained, and kept.

    Args:
      variables: shapes of them, as the user's module has them.

    Raises:
      InputError: one is a random key, or a parameter that has no gradient.
    """
    for path, leaf in jax.tree.leaves_with_path(variables):
        name = _name(path)
        if is_key(leaf):
            raise InputError(
                f"network: its variable {name} is a random key, which cannot be kept; "
                "draw one where it is wanted: self.make_rng('dropout')"
            )
        if name.startswith("params.") and not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise InputError(
                f"network: its parameter {name} is of {leaf.dtype}, which has no "
                "gradient; make it a self.variable of another collection than params"
            )


def check_kept(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Sees that what a network keeps is of one form, whatever is trained.

    Args:
      before: shapes of its variables.
      after: of those that a step changes.

    Raises:
      InputError: one has another shape or type after the step, or is new.
    """
    had, has = (
        {
            path: (leaf.shape, leaf.dtype)
            for path, leaf in jax.tree.leaves_with_path(tree)
            if path[0].key in after
        }
        for tree in (before, after)
    )
    for path, (shape, dtype) in has.items():
        if had.get(path) == (shape, dtype):
            continue
        name = _name(path)
        if any(isinstance(step, SequenceKey) for step in path):
            raise InputError(
                f"network: what it sows into {path[0].key!r}, {name}, grows with every "
                "step; sow it into 'intermediates', which is not kept, or nowhere"
            )
        was = had.get(path)
        raise InputError(
            f"network: its variable {name} is {_told(shape, dtype)} after a step of "
            f"training and {'not there' if was is None else _told(*was)} before; let "
            "it keep its shape and type"
        )


@contextmanager
def noting_untold(names: dict[str, None]) -> Iterator[None]:
    """Notes which layers do in training what they do else.

    Args:
      names: of normalisations that use running averages and dropout that drops
        nothing, to which those are added that are called within.
    """

    def note(
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        layer = context.module
        argument = TOLD.get(type(layer))
        if argument is not None and context.method_name == "__call__":
            given = [*arguments[1:2], options.get(argument), getattr(layer, argument)]
            still = next((value for value in given if value is not None), False)
            if still is True and getattr(layer, "rate", None) != 0:
                names[".".join(layer.path)] = None
        return call(*arguments, **options)

    with nn.intercept_methods(note):
        yield


def _name(path: tuple[Any, ...]) -> str:
    """Of a variable, its collection first."""
    return ".".join(str(step.key) for step in path if hasattr(step, "key"))


def _told(shape: tuple[int, ...], dtype: Any) -> str:
    return f"{dtype} of shape {shape}"
