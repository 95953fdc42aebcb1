"""What tells a user's network, or a function, from another one."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import jax

from surrojax.errors import InputError
from surrojax.method import Method
from surrojax.networks import blank, forward, init
from surrojax.own.method import own_of
from surrojax.records import Record


def name_of(of: Any) -> str:
    """What tells a module or a function from another, in every process.

    A function without a name of its own, such as a lambda, is told by its code and by
    the values that it has taken along as well.
    """
    if hasattr(of, "__qualname__"):
        name = f"{of.__module__}.{of.__qualname__}"
        if ">" in name and hasattr(of, "__code__"):
            code, held = of.__code__, of.__closure__ or ()
            told = (
                *(*_told(code), of.__defaults__),
                [cell.cell_contents for cell in held],
            )
            text = _anywhere(repr(told))
            return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        return name
    return " ".join(_anywhere(repr(of)).split())


def _told(code: CodeType) -> tuple[bytes, tuple[Any, ...], tuple[str, ...]]:
    """What a function does, wherever it stands; so of functions inside, too."""
    constants = tuple(
        _told(c) if isinstance(c, CodeType) else c for c in code.co_consts
    )
    return code.co_code, constants, code.co_names


def shapes_of(method: Method) -> dict[str, str]:
    """By name, what each of a network's variables is: `float32[8, 32]`."""
    own, inputs = own_of(method), blank(method.pair)
    variables = jax.eval_shape(lambda: own.join(init(own, jax.random.key(0), inputs)))
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): (
            f"{leaf.dtype}{list(leaf.shape)}"
        )
        for path, leaf in jax.tree.leaves_with_path(variables)
    }


def check_shapes(path: Path, saved: Record, here: Mapping[str, str]) -> None:
    """Sees that a network has the variables of the one that a run has trained.

    Args:
      path: of the run.
      saved: its config.json; those of earlier versions say nothing of shapes.
      here: of `shapes_of`.

    Raises:
      InputError: it has others, as after an edit; the first of them is named.
    """
    there = saved.get("shapes", here)
    names = there.keys() | here.keys()
    different = sorted(n for n in names if there.get(n) != here.get(n))
    if different:
        name, *others = different
        raise InputError(
            f"{path}: its network has {name} of {there.get(name, 'no shape')}, the one "
            f"given of {here.get(name, 'no shape')}"
            + (f", and {len(others)} more that differ" if others else "")
            + "; give the network as it was, or choose another workdir"
        )


def program_of(method: Method) -> str:
    """A hash of what a network computes, the same wherever JAX is of one version."""
    # Convolutions have another form on another device.
    network, inputs = own_of(method).clone("lax"), blank(method.pair)

    def logits(variables: Any, seen: jax.Array) -> jax.Array:
        return forward(network, variables, seen)[0]

    fresh = jax.eval_shape(lambda: init(network, jax.random.key(0), inputs))
    # On a terminal, and in a notebook, it would be written in colours.
    text = jax.make_jaxpr(logits)(fresh, inputs).pretty_print(use_color=False)
    return hashlib.sha256(_anywhere(text).encode()).hexdigest()[:16]


def told_of_edit(saved: Record, here: Record) -> list[str]:
    """A line where a network computes something else than when its run began.

    Args:
      saved: the run's config.json.
      here: what would go into it now.
    """
    same = saved.get("program", here["program"]) == here["program"]
    # Other versions of JAX may write the same network otherwise.
    if same or saved.get("versions") != here["versions"]:
        return []
    return [
        "mind: the network computes something else than when the run in this folder "
        "began, and its earlier rounds are not done again; choose another workdir"
    ]


def _anywhere(text: str) -> str:
    """Without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)
