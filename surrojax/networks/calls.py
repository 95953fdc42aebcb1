"""Which layers of a user's network the method can act on.

A network is called once, on shapes alone, and its modules' calls are noted.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from surrojax.errors import InputError
from surrojax.fields import are_words, suggest
from surrojax.keys import key_of
from surrojax.networks.stand_in import Passed, StandIn, class_of

Path = tuple[str, ...]

MODES: dict[str, bool] = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
}
"""Arguments that tell a module whether it is trained, and their value if it is."""

BETWEEN = (
    nn.BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.InstanceNorm,
    nn.Dropout,
    nn.PReLU,
    Passed,
)
"""Modules that may stand between the last two dense layers."""


class Call(NamedTuple):
    """A module's call on the way through a network.

    Attributes:
      path: of the module; `()` is the network itself.
      kind: the module's class.
      tokens: those that an nn.Embed knows; else None.
      input: shape and type of its first argument, which is an array; else None.
      output: shape and type of what it returned, if that is one array; else None.
      params: shapes of the parameters that it holds itself, by name.
      others: other collections that it holds itself.
    """

    path: Path
    kind: type[nn.Module]
    tokens: int | None
    input: jax.ShapeDtypeStruct | None
    output: jax.ShapeDtypeStruct | None
    params: dict[str, tuple[int, ...]]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        """As a user writes it."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Layer:
    """A layer with a penalty and a dropout ratio of its input, and of its weights.

    Attributes:
      path: in the network.
      weights: name of its parameter.
      shape: of one input, without the batch.
    """

    path: Path
    weights: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """As a user writes it."""
        return ".".join(self.path)


def chosen_layers(
    calls: Sequence[Call],
    names: Sequence[str] | None,
    idle: Collection[Path] = (),
) -> tuple[Layer, ...]:
    """The layers that are asked for, or the dense ones with which a network ends.

    Args:
      calls: of `Traced`.
      names: of one or two layers, as `Call.name`; None: those at the end.
      idle: paths of those that the logits do not need.

    Raises:
      InputError: a layer is missing or cannot be tuned; the message says why.
    """
    asked = () if isinstance(names, str) or not are_words(names) else names or ()
    for call in calls:
        if call.path in idle and call.name in asked:
            raise InputError(
                f"layers: what {call.name!r} yields has no part in the logits; name a "
                "layer that has"
            )
    calls = tuple(call for call in calls if call.path not in idle)
    batch = calls[0].input.shape[0] if calls[0].input is not None else 0
    return tuple(_layer(call, batch) for call in _chosen(calls, names, batch))


class Traced(NamedTuple):
    """What is seen of a network that is called once.

    Attributes:
      calls: of its modules, in the order in which they begin; its own is the first.
      variables: shapes of those that it makes.
    """

    calls: tuple[Call, ...]
    variables: dict[str, Any]


def trace(module: nn.Module, inputs: jax.Array, mode: tuple[str, ...]) -> Traced:
    """Calls a network once, on shapes alone.

    Raises:
      InputError: the network cannot take the inputs.
    """
    begun: list[Any] = []
    calls: dict[int, Call] = {}

    def note(
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        if context.method_name != "__call__":
            return call(*arguments, **options)
        number = len(begun)
        begun.append(None)
        output = call(*arguments, **options)
        own = nn.meta.unbox(context.module.variables)
        calls[number] = Call(
            context.module.path,
            type(context.module),
            _tokens(context.module),
            _struct(arguments[0]) if arguments else None,
            _struct(output),
            {
                name: leaf.shape
                for name, leaf in own.get("params", {}).items()
                if hasattr(leaf, "shape")
            },
            tuple(
                name
                for name, tree in own.items()
                if name != "params" and any(hasattr(a, "shape") for a in tree.values())
            ),
        )
        return output

    with explained(module, inputs), nn.intercept_methods(note):
        made = jax.eval_shape(lambda: init_plain(module, key_of(0), inputs, mode))
    traced = Traced(tuple(calls[number] for number in sorted(calls)), made)
    seen = traced.calls[0].input if traced.calls else None
    if seen is None or seen.shape != inputs.shape:
        raise InputError(
            f"network: {class_of(module)} hides what it is called with, as nn.jit "
            "around a whole network does; give the network itself, which is compiled "
            "anyway"
        )
    return traced


@contextmanager
def explained(
    module: nn.Module, inputs: jax.Array, name: str = "network"
) -> Iterator[None]:
    """Turns what a user's module raises into one clear line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        text = str(error).strip()
        first = text.splitlines()[0] if text else ""
        raise InputError(
            f"{name}: {class_of(module)} cannot take inputs of shape "
            f"{inputs.shape} and type {inputs.dtype} ({type(error).__name__}: {first})"
            "; it is called as module(inputs), with train=... or deterministic=... "
            "where it has that argument, as dropout and batch normalisation need"
            + (f"; {module.wants}" if isinstance(module, StandIn) else "")
        ) from error


def mode_of(module: Any) -> tuple[str, ...]:
    """The arguments by which a module is told whether it is trained."""
    known = inspect.signature(type(module).__call__).parameters
    return tuple(name for name in MODES if name in known)


def mode_argument(names: Sequence[str], train: bool) -> dict[str, Any]:
    """As keyword arguments of a module's call."""
    return {name: train == MODES[name] for name in names}


def init_plain(
    module: nn.Module, key: jax.Array, inputs: jax.Array, mode: tuple[str, ...]
) -> dict[str, Any]:
    """Fresh variables of a user's module, out of their boxes (nn.with_partitioning)."""
    params, drop = jax.random.split(key)
    keys = {"params": params, "dropout": drop}
    variables: Any = module.init(keys, inputs, **mode_argument(mode, False))
    return nn.meta.unbox(dict(variables))


def _chosen(
    calls: Sequence[Call], names: Sequence[str] | None, batch: int
) -> list[Call]:
    """The calls of the layers that are asked for, or that are found."""
    network, *_ = calls
    if network.output is None or len(network.output.shape) != 2:
        shape = None if network.output is None else network.output.shape
        raise InputError(
            f"network: yields {'no single array' if shape is None else shape}, where "
            "logits [batch, classes] are wanted"
        )
    if names is None:
        return _found(calls, batch)
    if (
        isinstance(names, str)
        or not are_words(names)
        or not 1 <= len(names) <= 2
        or len(set(names)) < len(names)
    ):
        raise InputError(
            f"layers: {names!r} must be the paths of one layer, or of two that differ: "
            "the method has a pair of sites for each"
        )
    for name in names:
        if any(name.startswith(f"{other}.") for other in names):
            raise InputError(
                f"layers: {name!r} is a part of the other; name two that lie apart"
            )
    chosen = [call for call in calls if call.name in names]
    for name in names:
        times = sum(call.name == name for call in chosen)
        if times != 1:
            what = f"is called {times} times" if times else "is none of this network's"
            others = _candidates(calls)
            meant = "" if times else suggest(name, others)
            raise InputError(
                f"layers: {name!r} {what}{meant}; choose from "
                f"{', '.join(others) or 'none, as all are called twice'}"
            )
    return chosen


def _found(calls: Sequence[Call], batch: int) -> list[Call]:
    """The one or two dense layers with which a network ends."""
    layers = [
        call for call in calls if call.params and not issubclass(call.kind, BETWEEN)
    ]
    ends: list[Call] = []
    for call in reversed(layers):
        kernel = call.params["kernel"] if issubclass(call.kind, nn.Dense) else ()
        feeds = not ends or kernel[-1:] == ends[-1].params["kernel"][:1]
        shape: tuple[int, ...] = () if call.output is None else call.output.shape
        flat = len(shape) == 2 and shape[0] == batch
        once = sum(other.path == call.path for other in layers) == 1
        if not (kernel and feeds and flat and once) or len(ends) == 2:
            break
        ends.append(call)
    if not ends or ends[0].output != calls[0].output:
        raise InputError(
            "layers: the network does not end in a dense layer that is called once, so "
            "say which one or two layers get penalty and dropout, of "
            f"{', '.join(_candidates(calls)) or 'which there is none'}"
        )
    return ends[::-1]


def _candidates(calls: Sequence[Call]) -> list[str]:
    """Names of the layers that can have sites."""
    times = Counter(call.path for call in calls)
    return [
        call.name
        for call in calls
        if call.path and _weights(call) and times[call.path] == 1
    ]


def _weights(call: Call) -> str | None:
    """The parameter that holds a layer's weights: its kernel, or its only matrix."""
    matrices = [name for name, shape in call.params.items() if len(shape) >= 2]
    if "kernel" in matrices:
        return "kernel"
    return matrices[0] if len(matrices) == 1 else None


def _layer(call: Call, batch: int) -> Layer:
    """A call's layer.

    Raises:
      InputError: it can have no sites.
    """
    weights = _weights(call)
    if weights is None:
        raise InputError(
            f"layers: {call.name!r} holds no weights of its own, or several; name a "
            "layer with a kernel, such as a Dense or a Conv"
        )
    if call.others:
        raise InputError(
            f"layers: {call.name!r} also holds {', '.join(call.others)}; name a layer "
            "that holds parameters alone"
        )
    if call.input is None:
        raise InputError(
            f"layers: {call.name!r} receives no array as its first argument; call it "
            "with one, by position: layer(x), not layer(inputs=x)"
        )
    if not jnp.issubdtype(call.input.dtype, jnp.floating):
        raise InputError(
            f"layers: {call.name!r} receives {call.input.dtype}, which can neither be "
            "dropped nor penalised; name one that receives floating-point numbers"
        )
    if call.input.shape[0] != batch:
        raise InputError(
            f"layers: {call.name!r} receives {call.input.shape} of {batch} inputs: its "
            "first axis is not the batch's; name another"
        )
    return Layer(call.path, weights, call.input.shape[1:])


def _tokens(module: nn.Module) -> int | None:
    return module.num_embeddings if isinstance(module, nn.Embed) else None


def _struct(value: Any) -> jax.ShapeDtypeStruct | None:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return jax.ShapeDtypeStruct(value.shape, value.dtype)
    return None
