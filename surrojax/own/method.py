"""The method for a user's own network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.data.augment import normalized
from surrojax.errors import InputError, one_line
from surrojax.evaluate import Views
from surrojax.fields import are_words
from surrojax.keys import key_of
from surrojax.layout import Layout
from surrojax.method import SURROGATES, Method, Surrogate, is_held
from surrojax.networks import Pair, blank, sites_of
from surrojax.networks.own import OwnNetwork, adapt
from surrojax.networks.own_surrogate import with_surrogate
from surrojax.networks.stand_in import StandIn, UserNetwork
from surrojax.networks.trunks import trunk_for
from surrojax.own.descent import check_descent, check_steps
from surrojax.own.settings import BOUNDS, Settings
from surrojax.run.execution import conv_form
from surrojax.sgd import Descent
from surrojax.sites import HYPER_NAMES, Sites
from surrojax.space import make_space, present_names
from surrojax.values import expand

Preprocess = Callable[[jax.Array], jax.Array]
"""Inputs `[B, ...]` as they are stored, to what the network takes."""

Augmentation = Callable[[jax.Array, jax.Array], jax.Array]
"""A random key and inputs `[B, ...]` as they are stored, to changed ones."""

SAMPLE = 64
"""Inputs on which a network's shapes are found out."""


def standard(inputs: jax.Array) -> jax.Array:
    """What is done to inputs unless something else is said.

    Pixels (uint8) become `(pixel - 127.5) / 128`; all else stays as it is.
    """
    if inputs.dtype == jnp.uint8:
        return normalized(inputs)
    return inputs


@dataclass(frozen=True)
class Plain:
    """Training inputs, changed by a function of a key.

    Attributes:
      preprocess: what follows the changes.
      change: None: nothing is changed.
    """

    preprocess: Preprocess
    change: Augmentation | None = None

    def draw(self, key: jax.Array, count: int) -> jax.Array | None:
        """The key itself: what it decides is the function's business."""
        del count
        return None if self.change is None else key

    def apply(self, changes: jax.Array | None, images: jax.Array) -> jax.Array:
        """Inputs as the network takes them."""
        if self.change is not None and changes is not None:
            images = self.change(changes, images)
        return self.preprocess(images)


def own_method(
    network: UserNetwork,
    inputs: Any,
    *,
    layers: Sequence[str] | None = None,
    surrogate: Literal["fitted", "shared"] | UserNetwork = "shared",
    preprocess: Preprocess = standard,
    augment: Augmentation | None = None,
    optimizer: Descent | None = None,
    **settings: Any,
) -> Method:
    """The method for a user's network; what `surrojax.algorithm.run` takes.

    Args:
      network: a module of flax.linen, called as `network(inputs)`, and with `train=`
        (or `deterministic=`) where it has that argument; yields logits `[B, K]`. Or one
        of flax.nnx, which begins with the weights that it has, and keeps them.
      inputs: `[n, ...]` some training inputs as they are stored.
      layers: paths of one or two layers that get penalty and dropout, such as
        `("Dense_0", "encoder.Dense_1")` or `("blocks.0.fc", "out")`; None: the dense
        ones with which it ends.
      surrogate: `shared`: candidates on the network's own trunk; `fitted`: a small one
        is made from the shapes and fitted (the paper's); or a Flax module of the
        user's from inputs to what the first layer receives, which is fitted.
      preprocess: what the network takes of stored inputs; on the device.
      augment: changes training inputs at random, before `preprocess`.
      optimizer: trains the network: yields an optax transformation of a learning
        rate, as `optax.adamw` does; None: SGD with momentum (the paper's).
      settings: of `Settings`.

    Raises:
      InputError: the network cannot be tuned, or a setting is impossible.
    """
    return make_method(
        as_linen(network),
        inputs,
        layers,
        as_linen(surrogate),
        Plain(preprocess, augment),
        optimizer,
        Settings.of(settings),
    )


def make_method(
    network: nn.Module,
    inputs: Any,
    layers: Sequence[str] | None,
    surrogate: Any,
    augment: Plain,
    descent: Descent | None,
    settings: Settings,
) -> Method:
    """`own_method` of what has been read.

    Args:
      network: of flax.linen.
      inputs, layers: of `own_method`.
      surrogate: of `own_method`, its module of flax.linen.
      augment: what is done to inputs.
      descent: the user's optimiser; None: SGD with momentum.
      settings: of the method.

    Raises:
      InputError: of `own_method`.
    """
    _check_network(network)
    if isinstance(layers, str):
        layers = (layers,)
    if isinstance(network, StandIn) and layers is not None and are_words(layers):
        layers = network.named(layers)
    sample = jnp.asarray(inputs[:SAMPLE])
    _check_changes(augment, sample)
    if descent is not None:
        check_descent(descent, settings)
    seen = augment.preprocess(sample)
    own = _adapted(network, layers, sample, seen)
    kind = _surrogate_kind(surrogate)
    _check_logits(own.classes)
    pair = Pair(own, own, seen.shape[1:], str(seen.dtype))
    sites = sites_of(own, blank(pair))
    names = present_names(sites)
    asked = expand(settings.tune, names, is_held(kind, settings.shared_layers))
    if kind == "fitted" and asked:
        trunk = surrogate
        if isinstance(surrogate, str):
            trunk = trunk_for(own, seen)
        pair = replace(pair, surrogate=with_surrogate(own, trunk, seen))
    center, width = settings.box
    space = make_space(
        sites,
        tune=asked,
        fixed={**dict.fromkeys(jax.tree.leaves(HYPER_NAMES), 0.0), **settings.fixed},
        center=center,
        width=width,
        bounds={**BOUNDS, **settings.bounds},
        start={n: v for n, v in settings.start.items() if n in names},
    )
    method = Method(
        pair=pair,
        space=space,
        search=settings.search_in(space),
        augment=augment,
        views=Views(partial(_see, augment.preprocess)),
        surrogate=kind,
        shared_layers=settings.shared_layers,
        population=settings.population,
        batch_size=settings.batch_size,
        iterations_per_round=settings.steps_per_round,
        double_every=settings.double_every,
        stage1_settings=settings.stage1_settings,
        stage2_share=settings.stage2_share,
        # In 32 bits: of a whole number, bfloat16 would be another rate.
        learning_rate_base=float(settings.rate),
        learning_rate_halve_every=float(settings.halving),
        momentum=settings.momentum,
        descent=descent,
        eta=Sites(**{**dict.fromkeys(Sites._fields, 1e-2), **settings.eta}),
        kappa=settings.kappa,
        norm=settings.norm,
        objective=settings.objective,
        selection=settings.selection,
        common_random_numbers=settings.common_random_numbers,
        reevaluate_incumbent=settings.reevaluate_incumbent,
        first_setting=settings.first_setting,
        undo_beyond=settings.undo_beyond,
        evaluation_batch=settings.evaluation_batch,
        # Two settings' kernels side by side would make grouped convolutions.
        layout=Layout(
            settings="loop"
            if any(issubclass(c.kind, nn.Conv) for c in own.calls)
            else "vmap"
        ),
    )
    if descent is not None:
        check_steps(method, descent)
    return method


def _check_network(network: Any) -> None:
    """Sees that it is a module.

    Raises:
      InputError: it is something else, such as the class of one.
    """
    if isinstance(network, nn.Module):
        return
    what = (
        f"the class {network.__name__}, where an instance is wanted"
        if isinstance(network, type)
        else f"of {type(network).__module__}.{type(network).__name__}"
    )
    raise InputError(
        f"network: is {what}; give a module of flax.linen, such as Net(), or of "
        "flax.nnx"
    )


def _adapted(
    network: nn.Module, layers: Sequence[str] | None, sample: jax.Array, seen: jax.Array
) -> OwnNetwork:
    """The network with its layers found.

    Args:
      network: the user's.
      layers: of `own_method`.
      sample: `[n, ...]` inputs as they are stored.
      seen: the same as the network takes them.

    Raises:
      InputError: of `adapt`; with a word on bytes where they may have been tokens.
    """
    try:
        return adapt(network, seen, layers, conv_form("auto"))
    except InputError as error:
        flat = sample.ndim < 4  # neither images nor what was named wrongly
        if sample.dtype == jnp.uint8 and seen.dtype != sample.dtype and flat:
            hint = "images have a channel axis, x[..., None]; " * (sample.ndim == 3)
            raise InputError(
                f"{error}; inputs of type uint8 are taken for pixels and made float32: "
                f"{hint}give tokens as int32"
            ) from error
        raise


def _surrogate_kind(surrogate: Any) -> Surrogate:
    """Which of `SURROGATES` is asked for.

    Raises:
      InputError: it is a word for none of them.
    """
    kind: Any = surrogate if isinstance(surrogate, str) else "fitted"
    if kind not in SURROGATES:
        raise InputError(
            f"surrogate: {kind!r} is unknown; choose from {', '.join(SURROGATES)}, or "
            "give a Flax module"
        )
    return kind


def _check_logits(classes: int) -> None:
    """Sees that what the network yields can be logits.

    Raises:
      InputError: it yields one number an input.
    """
    if classes == 1:
        raise InputError(
            "network: yields one number an input; of two classes, let it end in a "
            "Dense(2), for the loss takes a logit a class"
        )


def _check_changes(augment: Plain, sample: jax.Array) -> None:
    """Sees that what is done to inputs can be done, and changes values alone.

    Raises:
      InputError: it is no function of its arguments, or inputs in training are not as
        they are else.
    """
    check_callable("preprocess", augment.preprocess, "inputs [B, ...]", 1)
    with _traced("preprocess"):
        wanted = _kind(jax.eval_shape(augment.preprocess, sample))
    if wanted is None:
        raise InputError("preprocess: yields no array; it wants one of inputs [B, ...]")
    change = augment.change
    if change is None:
        return
    check_callable("augment", change, "a random key and inputs [B, ...]", 2)
    with _traced("augment"):
        changed = jax.eval_shape(change, key_of(0), sample)
    found, stored = _kind(changed), _kind(sample)
    if found is None:
        raise InputError("augment: yields no array; it wants one of inputs [B, ...]")
    # Pixels of another type would pass by what scales them.
    if augment.preprocess is not standard or found[1] == sample.dtype:
        with _traced("preprocess"):
            found, stored = _kind(jax.eval_shape(augment.preprocess, changed)), wanted
    if found != stored:
        raise InputError(
            f"augment: its inputs come to the network as {_told(found)}, others as "
            f"{_told(stored)}; let it change values alone"
        )


@contextmanager
def _traced(name: str) -> Iterator[None]:
    """Turns what a function of the user's raises, on shapes alone, into one line."""
    try:
        yield
    # It is the user's, and may raise anything.
    except Exception as error:
        raise InputError(
            f"{name}: cannot be compiled ({type(error).__name__}: "
            f"{one_line(error, 200)}); write it with jax.numpy, or change the arrays "
            "before they are given"
        ) from error


def check_callable(name: str, function: Any, arguments: str, count: int) -> None:
    """Sees that a function of the user's takes what it is going to be given.

    Args:
      name: of the argument that it came as.
      function: that was given.
      arguments: what it is going to be given, in words.
      count: how many that are.

    Raises:
      InputError: it is none, or does not take them.
    """
    if not callable(function):
        raise InputError(f"{name}: {function!r} is no function")
    try:
        signature(function).bind(*range(count))
    except TypeError as error:
        raise InputError(f"{name}: does not take {arguments} ({error})") from error
    except ValueError:  # of compiled code, which says nothing of its arguments
        return


def _kind(array: Any) -> tuple[tuple[int, ...], Any] | None:
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        return None
    return array.shape, array.dtype


def _told(kind: tuple[tuple[int, ...], Any] | None) -> str:
    return "no array" if kind is None else f"{kind[1]} of shape {kind[0]}"


def _see(preprocess: Preprocess, inputs: jax.Array, index: jax.Array) -> jax.Array:
    del index
    return preprocess(inputs)


def as_linen(module: Any) -> Any:
    """A module of flax.nnx as one of flax.linen; all else as it is."""
    kinds = () if isinstance(module, type) else type(module).__mro__
    if not any(kind.__module__.startswith("flax.nnx") for kind in kinds):
        return module
    from surrojax.networks.nnx import from_nnx  # which takes seconds to import

    return from_nnx(module)


def own_of(method: Method) -> OwnNetwork:
    """The user's network of a method that `make_method` made."""
    return cast(OwnNetwork, method.pair.original)


def words_of(method: Method) -> int | None:
    """Tokens that the network knows of; None: inputs, as stored, are none."""
    return own_of(method).vocabulary if is_standard(method) else None


def is_standard(method: Method) -> bool:
    """Whether inputs come to the network as `standard` makes them."""
    return plain_of(method).preprocess is standard


def plain_of(method: Method) -> Plain:
    """What such a method does to inputs."""
    return cast(Plain, method.augment)
