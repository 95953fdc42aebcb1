"""A network of flax.nnx as one of flax.linen, which is what the method acts on.

Its layers, which are its modules without modules inside that hold variables, become
modules of linen under their paths joined by underscores (`blocks.0.attention.query` is
`blocks_0_attention_query`), so that what they receive and hold can be seen and dropped
from outside. All else is done by the network itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from surrojax.errors import InputError
from surrojax.networks.calls import mode_argument, mode_of
from surrojax.networks.stand_in import Passed, StandIn

PARAMS = "params"

Path = tuple[Any, ...]
"""Of nnx: names of attributes, and places in lists."""

BETWEEN = (
    nnx.BatchNorm,
    nnx.LayerNorm,
    nnx.GroupNorm,
    nnx.RMSNorm,
    nnx.InstanceNorm,
    nnx.PReLU,
)
"""Layers that may stand between the last two dense ones."""

WHOLE = (nnx.RNN, nnx.Bidirectional, nnx.SpectralNorm, nnx.WeightNorm)
"""Modules that are layers though they have others inside, which they scan or change."""


@dataclass(frozen=True, eq=False)
class Held:
    """Something that linen is to carry about without a look inside.

    Attributes:
      value: a network or a layer of nnx.
    """

    value: Any

    def __repr__(self) -> str:
        return f"{type(self.value).__module__}.{type(self.value).__qualname__}"


@dataclass(frozen=True, eq=False)
class Given:
    """An initialiser that yields a value which is there already."""

    value: Any

    def __call__(
        self, key: Any, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> jax.Array:
        del key, shape, dtype
        return jnp.asarray(self.value)


class Layer(nn.Module):
    """A layer of nnx.

    Attributes:
      of: the layer, in the copy of the network that is being called.
    """

    of: Held

    @nn.compact
    def __call__(self, *inputs: Any, **options: Any) -> Any:
        return _called(self, self.of.value, _own(self.of.value), inputs, options)


class Between(Layer, Passed):
    """The same of one of `BETWEEN`."""


class FromNnx(StandIn):
    """A network of nnx.

    Attributes:
      of: the network, which stays as it is: it is copied for each call.
      within: where in it that lies which was given.
    """

    of: Held
    within: tuple[str | int, ...] = ()

    def __repr__(self) -> str:
        return repr(self.of)

    def weights(self) -> dict[str, np.ndarray]:
        """Those that it begins with, by name."""
        return {
            _name(path): np.asarray(variable.get_value())
            for path, variable in _own(self.of.value).items()
            if not isinstance(variable, nnx.RngState)
        }

    @property
    def wants(self) -> str:
        """What must hold for it to be called, for a message."""
        return (
            "of flax.nnx, its layers are called and not looked into, outside of "
            "nnx.jit, nnx.scan, nnx.vmap and nnx.remat"
        )

    @property
    def class_name(self) -> str:
        """That of the network."""
        given = self.of.value
        for part in self.within:
            given = given[part] if isinstance(part, int) else getattr(given, part)
        return type(given).__name__

    def named(self, layers: Sequence[str]) -> list[str]:
        """Names of layers here, of their paths in the network joined by dots."""
        return [name.replace(".", "_") for name in layers]

    @nn.compact
    def __call__(self, *inputs: Any, train: bool = False) -> Any:
        copy = nnx.clone(self.of.value)
        copy.train() if train else copy.eval()
        layers = _layers(copy)
        own = _own(copy, besides=layers.values())
        stand_ins = {id(layer): _linen(layer, p) for p, layer in layers.items()}
        placed = set[int]()
        for holder in _holders(copy, layers.values()):
            # Past nnx, which would look inside of what it is given.
            for name, value in list(vars(holder).items()):
                vars(holder)[name] = _with(stand_ins, value, placed)
        for path, layer in layers.items():
            if id(layer) not in placed:
                raise InputError(
                    f"network: its layer {_name(path)} lies in a container that is "
                    "not known; keep it in an attribute, an nnx.List or an nnx.Dict"
                )
        mode = mode_argument(mode_of(copy), train)
        return _called(self, copy, own, inputs, mode)

    def state(self, variables: Mapping[str, Any]) -> nnx.State:
        """What `nnx.update(network, ...)` takes, of variables as linen has them."""
        copy = nnx.clone(self.of.value)
        layers = _layers(copy)
        places: list[tuple[tuple[str, ...], nnx.Variable]] = [
            ((_name(path), _name(inside)), variable)
            for path, layer in layers.items()
            for inside, variable in _own(layer).items()
        ]
        for path, variable in _own(copy, besides=layers.values()).items():
            places.append(((_name(path),), variable))
        for place, variable in places:
            found: Any = variables.get(_collection(variable), {})
            for name in place:
                found = found.get(name) if isinstance(found, Mapping) else None
            if found is not None:
                variable.set_value(jnp.asarray(found))
        state = nnx.state(copy)
        for part in self.within:
            state = state[part]
        return state


def from_nnx(network: nnx.Module) -> FromNnx:
    """A network of nnx as the rest of the package takes it.

    Raises:
      InputError: two of its layers would have one name.
    """
    within: tuple[str | int, ...] = ()
    if () in _layers(network):
        network, within = nnx.Sequential(network), ("layers", 0)
    # The user's goes on living, and may change.
    network = nnx.clone(network)
    layers = _layers(network)
    names = [_name(path) for path in (*layers, *_own(network))]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"network: two of its parts are called {name}, joined by underscores; "
                "rename one of them"
            )
    _check_sharing(network, layers)
    return FromNnx(Held(network), within)


def _check_sharing(network: nnx.Module, layers: Mapping[Path, nnx.Module]) -> None:
    """Sees that each variable belongs to one layer, or to none.

    Raises:
      InputError: one is in two places, of which linen would make two variables.
    """
    seen: dict[int, str] = {}
    held = [(_name(path), list(_own(layer).values())) for path, layer in layers.items()]
    for holder in _holders(network, layers.values()):
        parts = [v for v in vars(holder).values() if isinstance(v, nnx.Variable)]
        held.append(("the network itself", parts))
    for name, variables in held:
        for variable in variables:
            other = seen.setdefault(id(variable), name)
            if other != name and not isinstance(variable, nnx.RngState):
                raise InputError(
                    f"network: {other} and {name} share a variable; of flax.nnx, share "
                    "the whole layer, or use surrojax.Tuner"
                )


def _called(
    module: nn.Module,
    of: nnx.Module,
    variables: Mapping[Path, nnx.Variable],
    inputs: tuple[Any, ...],
    options: Mapping[str, Any],
) -> Any:
    """What a network or layer of nnx yields with the variables that linen has."""
    kept = []
    for path, variable in variables.items():
        name, given = _name(path), Given(variable.get_value())
        if isinstance(variable, nnx.RngState):
            # Without masks to be drawn, its own state does.
            if isinstance(variable, nnx.RngKey) and module.has_rng("dropout"):
                variable.set_value(module.make_rng("dropout"))
        elif (collection := _collection(variable)) == PARAMS:
            variable.set_value(module.param(name, given))
        else:
            there = module.variable(collection, name, given, None)
            variable.set_value(there.value)
            kept.append((collection, there, variable))
    output = of(*inputs, **options)
    for collection, there, variable in kept:
        if module.is_mutable_collection(collection) and not module.is_initializing():
            there.value = variable.get_value()
    return output


def _linen(layer: nnx.Module, path: Path) -> nn.Module:
    """A layer in linen: its own where it computes the same, which others know."""
    name, of = _name(path), layer
    kind = Between if isinstance(layer, BETWEEN) else Layer
    if not all(isinstance(v, nnx.Param) for v in _own(layer).values()):
        return kind(Held(layer), name=name)
    if type(of) is nnx.Linear and _usual(of, jax.lax.dot_general, of.dot_general):
        return nn.Dense(
            of.out_features,
            use_bias=of.use_bias,
            dtype=of.dtype,
            param_dtype=of.param_dtype,
            precision=of.precision,
            name=name,
            **_initialisers(of),
        )
    if (
        type(of) is nnx.Conv
        and _usual(of, jax.lax.conv_general_dilated, of.conv_general_dilated)
        and of.mask is None
    ):
        return nn.Conv(
            of.out_features,
            of.kernel_size,
            strides=of.strides,
            padding=of.padding,
            input_dilation=of.input_dilation,
            kernel_dilation=of.kernel_dilation,
            feature_group_count=of.feature_group_count,
            use_bias=of.use_bias,
            dtype=of.dtype,
            param_dtype=of.param_dtype,
            precision=of.precision,
            name=name,
            **_initialisers(of),
        )
    if type(of) is nnx.Embed and of.promote_dtype is nnx.nn.dtypes.promote_dtype:
        return nn.Embed(
            of.num_embeddings,
            of.features,
            dtype=of.dtype,
            param_dtype=of.param_dtype,
            embedding_init=Given(of.embedding.get_value()),
            name=name,
        )
    return kind(Held(layer), name=name)


def _usual(layer: Any, usual: Any, has: Any) -> bool:
    return (
        has is usual
        and layer.preferred_element_type is None
        and layer.promote_dtype is nnx.nn.dtypes.promote_dtype
    )


def _initialisers(layer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"kernel_init": Given(layer.kernel.get_value())}
    if layer.bias is not None:
        found["bias_init"] = Given(layer.bias.get_value())
    return found


def _layers(network: nnx.Module) -> dict[Path, nnx.Module]:
    """By path, modules without modules inside that hold variables, and `WHOLE` ones."""
    modules = dict(nnx.iter_modules(network))
    whole = [m for m in modules.values() if isinstance(m, WHOLE)]
    inside = {
        id(part)
        for module in whole
        for _, part in nnx.iter_modules(module)
        if part is not module
    }
    return {
        path: module
        for path, module in modules.items()
        if id(module) not in inside
        and (isinstance(module, WHOLE) or len(list(nnx.iter_modules(module))) == 1)
        and _own(module)
    }


def _own(
    module: nnx.Module, besides: Iterable[nnx.Module] = ()
) -> dict[Path, nnx.Variable]:
    """By path, all variables of a module and what is inside, but for some modules'."""
    within = {id(v) for other in besides for v in _own(other).values()}
    return {
        path: part
        for path, part in nnx.iter_graph(module)
        if isinstance(part, nnx.Variable) and id(part) not in within
    }


def _holders(network: nnx.Module, layers: Iterable[nnx.Module]) -> Iterator[Any]:
    """All that has attributes, outside of the layers."""
    within = {id(part) for layer in layers for _, part in nnx.iter_graph(layer)}
    for _, part in list(nnx.iter_graph(network)):
        if isinstance(part, nnx.Pytree) and id(part) not in within:
            yield part


def _with(stand_ins: Mapping[int, Any], value: Any, placed: set[int]) -> Any:
    """A value, or a list, tuple or dict of some, with layers replaced."""
    if id(value) in stand_ins:
        placed.add(id(value))
        return stand_ins[id(value)]
    if type(value) in (list, tuple):
        return type(value)(_with(stand_ins, v, placed) for v in value)
    if type(value) is dict:
        return {k: _with(stand_ins, v, placed) for k, v in value.items()}
    return value


def _collection(variable: nnx.Variable) -> str:
    """As linen calls it."""
    if isinstance(variable, nnx.Param):
        return PARAMS
    if isinstance(variable, nnx.BatchStat):
        return "batch_stats"
    return type(variable).__name__.lower()


def _name(path: Path) -> str:
    """Of linen, in which a dot would part it from what is inside."""
    return "_".join(map(str, path)).replace(".", "_")
