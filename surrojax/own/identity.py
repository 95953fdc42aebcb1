"""What tells a user's network, or a function, from another one."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import CellType, CodeType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.keys import data_of, key_of
from surrojax.method import Method
from surrojax.networks import blank, forward, shapes
from surrojax.networks.liveness import inside
from surrojax.own.method import own_of, plain_of
from surrojax.sgd import Descent
from surrojax.versions import versions


def name_of(of: Any) -> str:
    """What tells a module or a function from another, in every process.

    A function without a name of its own, such as a lambda, is told by its code and by
    the values that it has taken along as well.
    """
    if hasattr(of, "__qualname__"):
        name = f"{of.__module__}.{of.__qualname__}"
        if ">" in name and hasattr(of, "__code__"):
            held = [_held(cell) for cell in of.__closure__ or ()]
            told: tuple[Any, ...] = (*_told(of.__code__), of.__defaults__, held)
            if of.__kwdefaults__:
                told += (of.__kwdefaults__,)
            text = _anywhere(repr(told))
            return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        return name
    return " ".join(_anywhere(repr(of)).split())


def _told(code: CodeType) -> tuple[bytes, tuple[Any, ...], tuple[str, ...]]:
    """What a function does, wherever it stands; so of functions inside, too."""
    constants = tuple(
        _told(c)
        if isinstance(c, CodeType)
        # A set is in another order in every process.
        else sorted(map(repr, c))
        if isinstance(c, frozenset)
        else c
        for c in code.co_consts
    )
    return code.co_code, constants, code.co_names


def _held(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # of a name that is given its value later
        return None


def shapes_of(method: Method) -> dict[str, str]:
    """By name, what each of a network's variables is: `float32[8, 32]`."""
    own, inputs = own_of(method), blank(method.pair)
    variables = jax.eval_shape(own.join, shapes(own, inputs))
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
      saved: its config.json; nothing, where none has been written.
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


def programs_of(method: Method, inputs: jax.ShapeDtypeStruct) -> dict[str, str]:
    """Hashes of what is computed, the same wherever JAX is of one version.

    Args:
      method: of a user's own network.
      inputs: `[B, ...]` of a minibatch, as they are stored.

    Returns:
      By name: `network`, and the functions that the user gave beside it.
    """
    # Convolutions have another form on another device.
    network, seen = own_of(method).clone("lax"), blank(method.pair)
    variables = shapes(network, seen)

    def logits(variables: Any, seen: jax.Array) -> jax.Array:
        return forward(network, variables, seen)[0]

    plain, key = plain_of(method), key_of(0)
    found = {
        "network": _program(logits, variables, seen),
        "preprocess": _program(plain.preprocess, inputs),
    }
    if plain.change is not None:
        found["augment"] = _program(plain.change, key, inputs)
    if method.descent is not None:
        found["optimizer"] = _program(
            partial(_step, method.descent), variables["params"]
        )
    return found


def _step(descent: Descent, params: Any) -> Any:
    rule = descent(jnp.float32(1))
    return rule.update(params, rule.init(params), params)


def _program(function: Callable[..., Any], *given: Any) -> str:
    """A hash of what a function computes, and of the arrays that it has with it.

    What it asks the host for cannot be seen.
    """
    # JAX has not seen the lambda before, whatever it may have kept of the function.
    closed = jax.make_jaxpr(lambda *given: function(*given))(*given)
    # On a terminal, and in a notebook, it would be written in colours.
    text = _anywhere(closed.jaxpr.pretty_print(use_color=False))
    found = hashlib.sha256(text.encode())
    for array in _arrays(closed):
        found.update(_summary(array).encode())
    return found.hexdigest()[:16]


def _arrays(program: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Those that a program has with it, in the programs inside of it, too."""
    if isinstance(program, ClosedJaxpr):
        yield from program.consts
        program = program.jaxpr
    for equation in program.eqns:
        for inner in inside(equation):
            yield from _arrays(inner)


def _summary(array: Any) -> str:
    """What tells an array from another, but for its last bits.

    They differ where a mean was computed on another number of cores.
    """
    values = np.ravel(np.asarray(data_of(array)))
    if np.iscomplexobj(values):
        values = np.concatenate([values.real, values.imag])
    values = values.astype(np.float64)
    size, places = np.abs(values), np.arange(1, values.size + 1)
    # Of one sign each, so that nothing is left of rounding alone.
    sums = size.sum(), size @ places, values.clip(0).sum()
    return " ".join([*(f"{number:.3g}" for number in sums), str(array.shape)])


def told_of_edits(saved: Record, programs: Mapping[str, str], so: str) -> list[str]:
    """A line for all that computes something else than when its run began.

    Args:
      saved: the run's config.json.
      programs: today's, of `programs_of`.
      so: what follows, and the remedy.
    """
    before = programs_in(saved, versions())
    return [
        f"mind: {'the network' if name == 'network' else name} computes something else "
        f"than when the run in this folder began, {so}"
        for name, program in programs.items()
        if before.get(name, program) != program
    ]


def programs_in(saved: Record, today: Any) -> Mapping[str, str]:
    """Those of a run's config.json.

    Args:
      saved: that file.
      today: versions; others may write the same programs otherwise, so that
        theirs say nothing.
    """
    if saved.get("versions") != today:
        return {}
    programs = saved.get("programs")
    known = programs.items() if isinstance(programs, Mapping) else ()
    return {name: program for name, program in known if isinstance(program, str)}


def _anywhere(text: str) -> str:
    """Without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)
