"""A user's trained network as a result has it, and from a run's folder."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import flax.linen as nn
import jax
import numpy as np

from surrojax.data.dataset import Images
from surrojax.diary import best_of
from surrojax.errors import InputError
from surrojax.evaluate import classifier
from surrojax.method import Method
from surrojax.networks import blank, forward, init
from surrojax.own.data import alike, check_tokens, split_of
from surrojax.own.method import Plain, Preprocess, make_method, own_of, words_of
from surrojax.own.settings import Settings
from surrojax.records import Record
from surrojax.result import Trained
from surrojax.weights import load, unflatten, unwhole

ROWS = 2
"""Inputs on which shapes are found out."""


def joined(method: Method, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as the user's module takes them, on the host."""
    return jax.tree.map(np.asarray, own_of(method).join(variables))


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
                *(code.co_code, code.co_consts, code.co_names, of.__defaults__),
                [cell.cell_contents for cell in held],
            )
            text = _anywhere(repr(told))
            return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        return name
    return " ".join(_anywhere(repr(of)).split())


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


def program_of(method: Method) -> str:
    """A hash of what a network computes, the same in every process of one JAX."""
    network, inputs = method.pair.original, blank(method.pair)

    def logits(variables: Any, seen: jax.Array) -> jax.Array:
        return forward(network, variables, seen)[0]

    fresh = jax.eval_shape(lambda: init(network, jax.random.key(0), inputs))
    text = _anywhere(str(jax.make_jaxpr(logits)(fresh, inputs)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _anywhere(text: str) -> str:
    """Without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def trained(method: Method, variables: Mapping[str, Any], like: Images) -> Trained:
    """A trained network.

    Args:
      method: of the run.
      variables: in two parts, as the method has them.
      like: `[n, ...]` inputs as it was given them.
    """
    classify = classifier(
        method.pair.original, method.views, variables, method.evaluation_batch
    )

    words = words_of(method)

    def probabilities(inputs: Any) -> np.ndarray:
        if getattr(inputs, "ndim", None) == len(like.shape) - 1:
            raise InputError(
                f"predict: one input, of shape {inputs.shape}, is no batch of them; "
                "give inputs[None]"
            )
        count = len(inputs) if hasattr(inputs, "__len__") else 0
        split = split_of("predict", (inputs, np.zeros(count, np.int32)))
        alike("predict", split.images, like)
        if words is not None:
            check_tokens("predict", split, words)
        return classify(split.pixels())

    return Trained(joined(method, variables), probabilities)


def weights_alone(path: Path, finished: bool) -> Trained:
    """The network of a finished run without its module: it predicts nothing.

    Raises:
      InputError: the run has not finished.
    """
    return Trained(_last_of(path, finished), lambda _: needs_module(path))


def needs_module(path: Path) -> NoReturn:
    """What cannot be had of a run's folder alone.

    Raises:
      InputError: always.
    """
    raise InputError(
        f"{path}: the network of this run is your own; give surrojax.load its module, "
        "network=..."
    )


def _last_of(path: Path, finished: bool) -> dict[str, Any]:
    """The collections that a finished run has written.

    Raises:
      InputError: the run has not finished, or is being extended.
    """
    if not finished:
        raise InputError(
            f"{path}: this run has not finished, and its weights are those of an "
            "earlier round or are not there yet; take `best`, or call surrojax.tune "
            "again as before"
        )
    return unwhole(unflatten(load(path)))


def reader(
    path: Path,
    saved: Record,
    finished: bool,
    network: nn.Module,
    preprocess: Preprocess,
) -> tuple[Callable[[], Trained], Callable[[], Trained]]:
    """What makes the networks of a run's folder, after its last round and its best.

    Args:
      path: of the run.
      saved: its config.json.
      finished: whether its weights are those of its last round.
      network, preprocess: as `tune` was given them.

    Raises:
      InputError: the run had others.
    """
    config, stored = saved["config"], saved.get("inputs")
    if stored is None:
        raise InputError(
            f"{path}: was written by an earlier version, which kept no shape of its "
            "inputs; leave out network, or call surrojax.tune again in a new folder"
        )
    try:
        had = {name: config[name] for name in ("network", "preprocess")}
        layers, batch = config["layers"], config["evaluation_batch"]
        like = np.zeros((ROWS, *stored["shape"]), stored["type"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}/config.json: is no run's config.json ({error}); restore the file"
        ) from error
    for name, given in {"network": network, "preprocess": preprocess}.items():
        if name_of(given) != had[name]:
            raise InputError(
                f"{path}: its {name} is {had[name]}, and {name_of(given)} is given; "
                f"give the same {name}"
            )
    settings, plain = Settings(tune=(), evaluation_batch=batch), Plain(preprocess)
    method = make_method(network, like, layers, "shared", plain, settings)

    had_shapes, shapes = saved["data"].get("shapes", {}), shapes_of(method)
    for name in sorted(had_shapes.keys() | (shapes.keys() if had_shapes else ())):
        if had_shapes.get(name) != shapes.get(name):
            raise InputError(
                f"{path}: its network has {name} of {had_shapes.get(name, 'no shape')},"
                f" and the one given of {shapes.get(name, 'no shape')}; give the "
                "network as it was trained"
            )

    def fresh() -> dict[str, Any]:
        return init(method.pair.original, jax.random.key(0), blank(method.pair))

    def last() -> Trained:
        found = _last_of(path, finished)
        if lost := fresh().keys() - found.keys():
            raise InputError(
                f"{path}: its file of weights has no {', '.join(lost)}, which the "
                "network wants; take `best`, or call surrojax.tune again as before"
            )
        return trained(method, own_of(method).split(found), like)

    return last, lambda: trained(method, best_of(path, fresh()), like)
