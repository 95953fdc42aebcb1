"""A user's own Flax network in the form that the method takes.

The network is called as its user calls it. On the way through, one or two of its layers
are intercepted: what such a layer receives and its weights are the values at a pair of
sites (z and V, x and W), and are dropped there (eq. 7). Nothing else changes.

Parameters are kept in two parts, `trunk` and `head`, as those of the package's own
networks are: the head is what the logits need once z is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from surrojax.errors import InputError
from surrojax.keys import key_of
from surrojax.networks import HEAD, NO_DROPOUT, forward_in_training
from surrojax.networks.calls import (
    Call,
    Layer,
    Path,
    chosen_layers,
    explained,
    init_plain,
    mode_argument,
    mode_of,
    trace,
)
from surrojax.networks.convolutions import Faster
from surrojax.networks.dropout import dropout, levels_at
from surrojax.networks.layers import ConvForm
from surrojax.networks.liveness import leaks, needs, needs_each
from surrojax.networks.soundness import check_kept, check_variables, noting_untold
from surrojax.sites import Sites, total

TRUNK = "trunk"


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    """A user's network; a `Network`, made by `adapt`.

    Attributes:
      module: the user's.
      layers: one or two, in the order of computation.
      calls: of its modules, as `trace` notes them.
      mode: the arguments that say whether it is trained.
      head: paths of the parameters and statistics, with their collection first, that
        logits need once z is known.
      form: of its convolutions.
      multiplied: paths of those that are matrix products instead.
      beside: names of layers by which logits come past the last of `layers`.
      untold: names of those that do in training what they do else.
    """

    module: nn.Module
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    mode: tuple[str, ...]
    head: frozenset[Path]
    form: ConvForm = "lax"
    multiplied: frozenset[Path] = frozenset()
    beside: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()

    def init(
        self, key: jax.Array, inputs: jax.Array, ratio: Sites, train: bool
    ) -> dict[str, Any]:
        """Fresh variables, the parameters in two parts; none depend on `ratio`."""
        del ratio
        return self.split(init_plain(self.module, key, inputs, self.mode))

    def apply(
        self,
        variables: Mapping[str, Any],
        inputs: jax.Array,
        ratio: Sites,
        train: bool,
        mutable: Sequence[str] | bool = False,
        rngs: Mapping[str, jax.Array] | None = None,
        z: jax.Array | None = None,
    ) -> Any:
        """Logits and sites; with `mutable`, the collections that changed as well.

        With `z`, `[B, n_z]`, the first layer receives that instead of its own input.
        """
        key = rngs["dropout"] if train and rngs is not None else None
        seen, module = _Interceptor(self.layers, ratio, key, z), self.module
        faster = Faster(self.form, self.multiplied)
        # A tuned convolution is seen first, and computed faster with what was dropped.
        with nn.intercept_methods(seen), nn.intercept_methods(faster):
            output: Any = module.apply(
                self.join(variables),
                inputs,
                mutable=mutable,
                rngs=_streams(rngs),
                **mode_argument(self.mode, train),
            )
        logits, changed = output if mutable is not False else (output, {})
        result = (logits.astype(jnp.float32), seen.sites())
        return (result, self.split(changed)) if mutable is not False else result

    def clone(self, form: ConvForm) -> "OwnNetwork":
        """The same with convolutions in another form, as a Flax module's `clone`."""
        return replace(self, form=form)

    @property
    def classes(self) -> int:
        """K; a network without logits is not adapted."""
        return cast(jax.ShapeDtypeStruct, self.calls[0].output).shape[-1]

    @property
    def vocabulary(self) -> int | None:
        """Tokens that its smallest nn.Embed knows, which receives the inputs."""
        inputs = self.calls[0].input
        if inputs is None or not jnp.issubdtype(inputs.dtype, jnp.integer):
            return None
        embeds = [
            call.tokens
            for call in self.calls
            if call.tokens is not None
            and call.input is not None
            and call.input.shape == inputs.shape
            and jnp.issubdtype(call.input.dtype, jnp.integer)
        ]
        return min(embeds, default=None)

    def split(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Variables as the user's module has them, each collection in two parts."""
        return {name: self._parts(name, tree) for name, tree in variables.items()}

    def _parts(self, name: str, tree: Mapping[str, Any]) -> dict[str, Any]:
        parts: dict[str, dict[Path, Any]] = {TRUNK: {}, HEAD: {}}
        for path, leaf in flatten_dict(tree).items():
            parts[HEAD if (name, *path) in self.head else TRUNK][path] = leaf
        return {
            part: unflatten_dict(flat)
            for part, flat in parts.items()
            if flat or name == "params"
        }

    def join(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Variables as the user's module takes them."""
        joined = {}
        for name, parts in variables.items():
            flat: dict[Path, Any] = {}
            for part in parts.values():
                flat |= flatten_dict(part)
            joined[name] = unflatten_dict(flat)
        return joined


def adapt(
    module: nn.Module,
    inputs: jax.Array,
    layers: Sequence[str] | None = None,
    form: ConvForm = "lax",
) -> OwnNetwork:
    """A user's network as the method takes it.

    Args:
      module: called as `module(inputs)`, with a `train` or `deterministic` argument
        where it has one; yields logits `[B, K]`.
      inputs: `[B, ...]` some inputs, as the network is given them.
      layers: paths of one or two layers, such as `("Dense_0", "encoder.Dense_1")`;
        None: the dense layers with which the network ends.
      form: of its convolutions.

    Raises:
      InputError: the network cannot be tuned; the message says why, and what to do.
    """
    mode = mode_of(module)
    calls, variables = trace(module, inputs, mode)
    check_variables(variables)
    with explained(module, inputs):
        idle = _idle(module, calls, variables, inputs, mode)
    found = chosen_layers(calls, layers, idle)
    everything = frozenset(flatten_dict(variables))
    own = OwnNetwork(module, found, calls, mode, everything, form)

    def noted(variables: Any, inputs: jax.Array) -> jax.Array:
        split = own.split(variables)
        _, sites = own.apply(split, inputs, NO_DROPOUT, False)
        return total(jax.tree.map(jnp.sum, sites))

    def trained(variables: Any, inputs: jax.Array) -> Any:
        split, key = own.split(variables), key_of(0)
        _, changed = forward_in_training(own, split, inputs, NO_DROPOUT, key)
        return own.join(changed)

    untold = dict[str, None]()
    with explained(module, inputs):
        hidden = leaks(noted, variables, inputs)
        with noting_untold(untold):
            changed = jax.eval_shape(trained, variables, inputs)
    check_kept(variables, changed)
    if hidden:
        raise _unreached(found)
    needed = _needed(own, variables, inputs)
    if layers is None and len(found) == 2 and not needed.follows:
        own = replace(own, layers=found[1:])
        needed = _needed(own, variables, inputs)
    beside = _beside(own, needed, variables, inputs) if layers is None else ()
    return replace(own, head=needed.head, beside=beside, untold=tuple(untold))


def _unreached(layers: Sequence[Layer]) -> InputError:
    names = ", ".join(repr(layer.name) for layer in layers)
    return InputError(
        f"layers: {names} cannot be reached from outside: a layer inside nn.remat, "
        "nn.jit or nn.scan cannot be tuned; name one outside of it"
    )


def _idle(
    module: nn.Module,
    calls: Sequence[Call],
    variables: Mapping[str, Any],
    inputs: jax.Array,
    mode: tuple[str, ...],
) -> frozenset[Path]:
    """Paths of the layers that hold parameters, of which the logits need none."""

    def logits(variables: Any, inputs: jax.Array) -> Any:
        return module.apply(variables, inputs, **mode_argument(mode, False))

    used = flatten_dict(needs(logits, variables, inputs)[0].get("params", {}))
    return frozenset(
        call.path
        for call in calls
        if call.path  # not the network itself
        and call.params
        and not any(used.get((*call.path, name), True) for name in call.params)
    )


class _Needed(NamedTuple):
    """What is needed once z is known.

    Attributes:
      head: paths of the variables that the logits need, with their collection first.
      follows: whether x, of a second layer, needs z.
    """

    head: frozenset[Path]
    follows: bool


def _needed(
    own: OwnNetwork, variables: Mapping[str, Any], inputs: jax.Array
) -> _Needed:
    """What is needed once what the first layer receives is known."""

    def above(variables: Any, inputs: jax.Array, z: jax.Array) -> list[jax.Array]:
        z, split = z.reshape(len(z), -1), own.split(variables)
        logits, sites = own.apply(split, inputs, NO_DROPOUT, False, z=z)
        return [logits] if sites.x is None else [logits, sites.x]

    z = jax.ShapeDtypeStruct((len(inputs), *own.layers[0].shape), jnp.float32)
    (used, _, _), *x = needs_each(above, variables, inputs, z)
    head = frozenset(path for path, need in flatten_dict(used).items() if need)
    return _Needed(head, any(from_z for _, _, from_z in x))


def _beside(
    own: OwnNetwork, needed: _Needed, variables: Mapping[str, Any], inputs: jax.Array
) -> tuple[str, ...]:
    """Names of other layers with weights that the logits need, past the last one.

    Args:
      own: the network with its layers.
      needed: once what the first of them receives is known.
      variables, inputs: of `adapt`.
    """
    last, shapes = own.layers[-1], flatten_dict(variables)
    if len(own.layers) > 1:
        needed = _needed(replace(own, layers=(last,)), variables, inputs)
    others = sorted(
        path[1:-1] or path[1:]  # of the network itself
        for path in needed.head
        if path[0] == "params"
        and path[1 : len(last.path) + 1] != last.path
        and len(shapes[path].shape) > 1
    )
    return tuple(dict.fromkeys(".".join(path) for path in others))


def _streams(rngs: Mapping[str, jax.Array] | None) -> dict[str, jax.Array] | None:
    """With one on which Flax falls back for a stream that it does not know."""
    if rngs is None:
        return None
    return {"params": jax.random.fold_in(rngs["dropout"], len(SITES)), **rngs}


SITES = ("z, V", "x, W")
"""Pairs of sites, of a layer each; their masks take the first keys."""


OWN_DRAWS = 16
"""From the keys of masks to those of what a tuned layer draws by itself."""


class _Interceptor:
    """Drops what the layers receive and their weights, and notes both.

    Args:
      layers: of `OwnNetwork`.
      ratio: dropout ratios at the sites.
      key: for the masks; None: nothing is dropped.
      z: `[B, n_z]`, what the first layer is to receive instead.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        ratio: Sites,
        key: jax.Array | None,
        z: jax.Array | None,
    ) -> None:
        self._tuned = layers
        self._layers = {layer.path: i for i, layer in enumerate(layers)}
        self._ratios = ((ratio.z, ratio.V), (ratio.x, ratio.W))
        self._key, self._z, self._inside = key, z, False
        self._found: dict[int, tuple[jax.Array, jax.Array]] = {}

    def __call__(
        self,
        call: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        module = context.module
        index = self._layers.get(module.path)
        if index is None or context.method_name != "__call__" or self._inside:
            return call(*arguments, **options)
        value, *others = arguments
        params = dict(module.variables["params"])
        name = self._tuned[index].weights
        weights = params[name]
        if index == 0 and self._z is not None:
            value = self._z.reshape(value.shape).astype(value.dtype)
        self._found[index] = value, weights
        if self._key is not None:
            levels = levels_at(
                jax.random.fold_in(self._key, index), [value.shape, weights.shape]
            )
            pairs = zip(levels, self._ratios[index], (value, weights), strict=True)
            value, params[name] = (dropout(*pair) for pair in pairs)
        self._inside = True
        try:
            own = module.clone(parent=None)
            streams = None
            if self._key is not None:  # of a layer that draws by itself
                key = jax.random.fold_in(self._key, OWN_DRAWS + index)
                streams = _streams({"dropout": key})
            return own.apply(
                {"params": params}, value, *others, rngs=streams, **options
            )
        finally:
            self._inside = False

    def sites(self) -> Sites:
        """What was noted: features `[B, n]`, weights `[inputs, outputs]`, float32.

        Raises:
          InputError: a layer was not seen, as what nn.jit has compiled before.
        """
        if len(self._found) < len(self._tuned):
            raise _unreached(self._tuned)
        flat: list[jax.Array] = []
        for index in sorted(self._found):
            value, weights = self._found[index]
            flat.append(value.reshape(len(value), -1).astype(jnp.float32))
            flat.append(weights.reshape(-1, weights.shape[-1]).astype(jnp.float32))
        return Sites(*flat, *[None] * (4 - len(flat)))
