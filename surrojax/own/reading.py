"""A user's trained network as a result has it, and from a run's folder."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np

from surrojax import filenames
from surrojax.data.dataset import Images
from surrojax.errors import InputError
from surrojax.evaluate import classifier
from surrojax.fields import Record
from surrojax.keys import key_of
from surrojax.method import Method
from surrojax.networks import blank, init
from surrojax.networks.stand_in import StandIn, UserNetwork
from surrojax.own.data import alike, array_of, check_tokens, in_32_bits
from surrojax.own.identity import (
    check_shapes,
    name_of,
    programs_of,
    shapes_of,
    told_of_edits,
)
from surrojax.own.method import (
    Plain,
    Preprocess,
    as_linen,
    make_method,
    own_of,
    words_of,
)
from surrojax.own.settings import Settings
from surrojax.run.diary import best_of
from surrojax.run.progress import say
from surrojax.run.result import Trained
from surrojax.weights import STATISTICS, load, unflatten, unwhole

ROWS = 2
"""Inputs on which shapes are found out."""


def joined(method: Method, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as the user's module takes them, on the host."""
    return jax.tree.map(np.asarray, own_of(method).join(variables))


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

    words, module = words_of(method), own_of(method).module
    whole = joined(method, variables)

    def probabilities(inputs: Any) -> np.ndarray:
        if isinstance(inputs, jax.core.Tracer):
            raise InputError(
                "predict: works on the host; within jax.jit and the like, call "
                "network.apply(result.variables, inputs)"
            )
        found = array_of("predict", inputs)
        if found.ndim == len(like.shape) - 1:
            raise InputError(
                f"predict: one input, of shape {found.shape}, is no batch of them; "
                "give inputs[None]"
            )
        if not found.ndim or not len(found):
            raise InputError("predict: holds no inputs; give an array [n, ...] of them")
        found = in_32_bits("predict", found, inputs)
        alike("predict", found, like)
        if words is not None:
            check_tokens("predict", found, words)
        return classify(found)

    state = module.state(whole) if isinstance(module, StandIn) else None
    return Trained(whole, probabilities, state=state)


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


def _last_of(
    path: Path, finished: bool, collections: Collection[str] = (STATISTICS,)
) -> dict[str, Any]:
    """The collections that a finished run has written, `params` and some others.

    Raises:
      InputError: the run has not finished, or is being extended.
    """
    if not finished:
        raise InputError(
            f"{path}: this run has not finished, and its weights are those of an "
            "earlier round or are not there yet; take `best`, or call surrojax.tune "
            "again as before"
        )
    return unwhole(unflatten(load(path)), collections)


def reader(
    path: Path,
    saved: Record,
    at_best: int,
    finished: bool,
    network: UserNetwork,
    preprocess: Preprocess,
) -> tuple[Callable[[], Trained], Callable[[], Trained]]:
    """What makes the networks of a run's folder, after its last round and its best.

    Args:
      path: of the run.
      saved: its config.json.
      at_best: the round after which its network was the best.
      finished: whether its weights are those of its last round.
      network, preprocess: as `tune` was given them.

    Raises:
      InputError: the run had others.
    """
    module = as_linen(network)
    config = saved["config"]
    try:
        stored = saved["inputs"]
        had = {name: config[name] for name in ("network", "preprocess")}
        layers, batch = config["layers"], config["evaluation_batch"]
        like = np.zeros((ROWS, *stored["shape"]), stored["type"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path / filenames.CONFIG}: is no run's config.json ({error}); restore "
            "the file"
        ) from error
    for name, given in {"network": module, "preprocess": preprocess}.items():
        if name_of(given) != had[name]:
            raise InputError(
                f"{path}: its {name} is {had[name]}, and {name_of(given)} is given; "
                f"give the same {name}"
            )
    settings, plain = Settings(tune=(), evaluation_batch=batch), Plain(preprocess)
    method = make_method(module, like, layers, "shared", plain, None, settings)
    check_shapes(path, saved, shapes_of(method))
    seen = (config.get("batch_size", method.batch_size), *stored["shape"])
    programs = programs_of(method, jax.ShapeDtypeStruct(seen, stored["type"]))
    for line in told_of_edits(
        saved,
        programs,
        "and predicts what that network did not; give the one that was trained",
    ):
        say(line)

    def fresh() -> dict[str, Any]:
        return init(method.pair.original, key_of(0), blank(method.pair))

    def last() -> Trained:
        wanted = fresh().keys()
        found = _last_of(path, finished, wanted - {"params"})
        if lost := wanted - found.keys():
            raise InputError(
                f"{path}: its file of weights has no {', '.join(lost)}, which the "
                "network wants; take `best`, or call surrojax.tune again as before"
            )
        return trained(method, own_of(method).split(found), like)

    return last, lambda: trained(method, best_of(path, at_best, fresh()), like)
