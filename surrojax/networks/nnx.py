"""A network of flax.nnx as one of flax.linen, which is what the method acts on.

Its layers, which are its modules without modules inside that hold variables, become
modules of linen under their paths joined by underscores (`blocks.0.attention.query` is
`blocks_0_attention_query`), so that what they receive and hold can be seen and dropped
from outside. All else is done by the network itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from surrojax.errors import InputError
from surrojax.networks.calls import mode_argument, mode_of
from surrojax.networks.stand_in import Passed, StandIn

PARAMS = "params"

BETWEEN = (
    nnx.BatchNorm,
    nnx.LayerNorm,
    nnx.GroupNorm,
    nnx.RMSNorm,
    nnx.InstanceNorm,
    nnx.PReLU,
)
"""Layers that may stand between the last two dense ones."""

WHOLE = (nnx.RNN, nnx.Bidirectional)
"""Modules that are layers though they have others inside, which they scan."""


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

    @property
    def wants(self) -> str:
        """What must hold for it to be called, for a message."""
        return (
            "of flax.nnx, its layers are called and not looked into, outside of "
            "nnx.scan, nnx.vmap and nnx.remat"
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
        copy = _copy(self.of.value)
        copy.train() if train else copy.eval()
        layers = _layers(copy)
        within = {id(v) for layer in layers.values() for v in _own(layer).values()}
        own = {p: v for p, v in _own(copy).items() if id(v) not in within}
        stand_ins = {id(layer): _linen(layer, p) for p, layer in layers.items()}
        # Past nnx, which would look inside of what it is given.
        for holder in _holders(copy):
            vars(holder).update(
                {
                    n: stand_ins[id(v)]
                    for n, v in vars(holder).items()
                    if id(v) in stand_ins
                }
            )
        mode = mode_argument(mode_of(copy), train)
        return _called(self, copy, own, inputs, mode)

    def state(self, variables: Mapping[str, Any]) -> nnx.State:
        """What `nnx.update(network, ...)` takes, of variables as linen has them."""
        state = nnx.state(_copy(self.of.value))
        flat = dict(nnx.to_flat_state(state))
        layers = _layers(self.of.value)
        for path, variable in flat.items():
            layer = next((p for p in layers if path[: len(p)] == p), ())
            found: Any = variables.get(_collection(variable), {})
            for name in filter(None, (_name(layer), _name(path[len(layer) :]))):
                found = found.get(name) if isinstance(found, Mapping) else None
            if found is not None:
                variable.set_value(jnp.asarray(found))
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
    names = [_name(path) for path in _layers(network)]
    names += [_name(path) for path in _own(network)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"network: two of its parts are called {name}, joined by underscores; "
                "rename one of them"
            )
    return FromNnx(Held(network), within)


def _called(
    module: nn.Module,
    of: nnx.Module,
    variables: Mapping[tuple[Any, ...], nnx.Variable],
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


def _linen(layer: nnx.Module, path: tuple[Any, ...]) -> nn.Module:
    """A layer in linen: its own where it computes the same, which others know."""
    name, of = _name(path), layer
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
    kind = Between if isinstance(layer, BETWEEN) else Layer
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


def _copy(network: nnx.Module) -> nnx.Module:
    return nnx.clone(network)


def _layers(network: nnx.Module) -> dict[tuple[Any, ...], nnx.Module]:
    """By path, modules without modules inside that hold variables, and `WHOLE` ones."""
    found: dict[tuple[Any, ...], nnx.Module] = {}
    modules = dict(nnx.iter_modules(network))
    for path in sorted(modules, key=len):
        inside = any(path[: len(p)] == p for p in found)
        module = modules[path]
        alone = isinstance(module, WHOLE) or len(list(nnx.iter_modules(module))) == 1
        if alone and not inside and _own(module):
            found[path] = module
    return found


def _own(module: nnx.Module) -> dict[tuple[Any, ...], nnx.Variable]:
    """By path, all variables of a module and what is inside."""
    return {
        path: part
        for path, part in nnx.iter_graph(module)
        if isinstance(part, nnx.Variable)
    }


def _holders(network: nnx.Module) -> Iterator[Any]:
    for _, part in nnx.iter_graph(network):
        if isinstance(part, nnx.Pytree):
            yield part


def _collection(variable: nnx.Variable) -> str:
    """As linen calls it."""
    if isinstance(variable, nnx.Param):
        return PARAMS
    if isinstance(variable, nnx.BatchStat):
        return "batch_stats"
    return type(variable).__name__.lower()


def _name(path: tuple[Any, ...]) -> str:
    return "_".join(map(str, path))
