"""Weights in files: those that a run leaves, and those made elsewhere.

    python -m surrojax.weights STATE OUT [--names NAMES.json]

makes a file that `init_from` takes out of a PyTorch state of the face-recognition
network; docs/weights.md has the names, the shapes and examples.
"""

import argparse
import hashlib
import importlib
import io
import json
import pickle
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open

from surrojax.errors import InputError
from surrojax.networks.mresnet import STAGES
from surrojax.run.records import write_bytes

Weights = dict[str, np.ndarray]
"""Arrays by name: the path in the tree of parameters, joined by dots."""

SUFFIXES = (".safetensors", ".npz")

TORCH_SUFFIXES = (".pt", ".pth")

OF_A_RUN = "weights.safetensors"
"""The file of a run's folder."""

METADATA = "__metadata__"
"""Where safetensors keeps its metadata, as JSON; an .npz has an array of that name."""

STATISTICS = "batch_stats"
"""The collection of batch normalisation's running means and variances, and what their
names begin with in a file."""

SHOWN = 5
"""Names in a message, of many."""


def _caffe_names() -> dict[str, str]:
    """Layers of caffe-face's `face_example`, convolutions and PReLUs, to ours."""
    convs = {"1a": "CoPr1"}
    for number, _, blocks in STAGES:
        convs["1b" if number == 2 else str(number - 1)] = f"CoPr{number}"
        for i in range(2 * blocks):
            block, part = i // 2 + 1, i % 2 + 1
            convs[f"{number}_{i + 1}"] = f"ResBl{number - 1}_{block}.CoPr{part}"
    return {
        f"{kind}{name}": layer
        for name, layer in convs.items()
        for kind in ("conv", "relu")
    } | {"fc5": "FC1"}


CAFFE_NAMES = _caffe_names()
"""The names that PyTorch ports of the parent keep, to those of `FaceNet`."""


# Names, files.


def flatten(params: Mapping[str, Any]) -> Weights:
    """Parameters by name, such as `CoPr2.conv.kernel` or `head.bias_V`."""
    return {
        name: np.asarray(leaf) for name, leaf in flatten_dict(params, sep=".").items()
    }


def unflatten(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of parameters of which `flatten` made `weights`."""
    return unflatten_dict(dict(weights), sep=".")


def whole(variables: Mapping[str, Any]) -> dict[str, Any]:
    """What it takes to use a network elsewhere: parameters, and running statistics.

    Args:
      variables: the network's collections, `params` among them.

    Returns:
      A tree for `save`: the parameters, and other collections beside them, such as
      `batch_stats`.
    """
    others = {n: v for n, v in variables.items() if n != "params" and v}
    return {**variables["params"], **others}


def unwhole(
    tree: Mapping[str, Any], collections: Collection[str] = (STATISTICS,)
) -> dict[str, Any]:
    """The collections of which `whole` made a tree.

    Args:
      tree: that it made.
      collections: those that may be there beside `params`.
    """
    params = dict(tree)
    others = {name: params.pop(name) for name in collections if name in params}
    return {"params": params} | others


def save(
    file: Path, params: Mapping[str, Any], metadata: Mapping[str, str] = {}
) -> None:
    """Writes parameters, replacing the file as a whole.

    Args:
      file: ends in `.safetensors` or `.npz`.
      params: a tree of parameters.
      metadata: what a reader of the file may want to know.

    Raises:
      InputError: the file has another suffix or cannot be written.
    """
    _check_suffix(file, SUFFIXES)
    # safetensors writes an array's memory as it lies, whatever its strides are.
    weights = {n: np.ascontiguousarray(a) for n, a in flatten(params).items()}
    if file.suffix == ".npz":
        stream = io.BytesIO()
        # NumPy knows no bfloat16 in a file.
        weights = {
            n: a.astype(np.float32) if a.dtype == jnp.bfloat16 else a
            for n, a in weights.items()
        }
        if metadata:
            weights[METADATA] = np.array(json.dumps(dict(metadata)))
        np.savez(stream, allow_pickle=False, **weights)
        content = stream.getvalue()
    else:
        content = safetensors.numpy.save(weights, dict(metadata))
    write_bytes(file, content)


def load(file: Path) -> Weights:
    """Reads weights, as float32.

    Args:
      file: `.safetensors` or `.npz`; or the folder of a finished run.

    Raises:
      InputError: the file is missing, damaged or of another kind, or an array in it is
        not of finite floating-point numbers.
    """
    if file.is_dir():
        file = file / OF_A_RUN
        if not file.exists():
            raise InputError(
                f"{file}: is not there; a run writes it when it has finished: finish "
                "that run or name a file of weights"
            )
    elif not file.suffix and not file.exists():
        raise InputError(
            f"{file}: no such folder of a run; finish that run or name a file of "
            "weights"
        )
    _check_suffix(file, SUFFIXES)
    try:
        arrays = _read_npz(file) if file.suffix == ".npz" else _read_safetensors(file)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror or error}); name a file of "
            "weights or a finished run's folder"
        ) from error
    if not arrays:
        raise InputError(f"{file}: holds no arrays; make it again")
    return {name: _exact(a, f"{file}: array {name!r}") for name, a in arrays.items()}


def hash_of(weights: Mapping[str, np.ndarray]) -> str:
    """A hash of names, shapes and float32 values, whatever the file's format was."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], np.float32)
        digest.update(repr((name, array.shape)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_suffix(file: Path, suffixes: Sequence[str]) -> None:
    if file.suffix in suffixes:
        return
    known = ", ".join(suffixes)
    remedy = "give it one of these suffixes"
    if file.suffix in TORCH_SUFFIXES:
        remedy = "convert it: python -m surrojax.weights STATE OUT"
    raise InputError(f"{file}: is none of {known}; {remedy}")


def _read_safetensors(file: Path) -> Weights:
    arrays = {}
    try:
        with safe_open(file, "numpy") as content:
            for name in content.keys():  # noqa: SIM118, it is no mapping
                try:
                    arrays[name] = content.get_tensor(name)
                # What numpy knows no type for, such as numbers of 8 bits.
                except (AttributeError, TypeError) as error:
                    raise InputError(
                        f"{file}: array {name!r}: {error}; save it as float32"
                    ) from error
    except SafetensorError as error:
        raise InputError(
            f"{file}: is damaged or no safetensors file ({error}); get it again"
        ) from error
    return arrays


def _read_npz(file: Path) -> Weights:
    arrays = {}
    # zipfile and numpy raise these for what is cut off, altered, or pickled.
    damage = (ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
    with file.open("rb") as stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except damage as error:
            raise InputError(
                f"{file}: is damaged or no .npz archive; get it again"
            ) from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{file}: is a single array; save it with numpy.savez")
        for name in archive.files:
            try:
                array = archive[name]
            except damage as error:
                raise InputError(
                    f"{file}: array {name!r}: {error}; make the file again"
                ) from error
            if name != METADATA:
                arrays[name] = np.asarray(array)
    return arrays


def _exact(array: np.ndarray, where: str) -> np.ndarray:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise InputError(
            f"{where}: holds {array.dtype}, not floating-point numbers; leave it out "
            "of the file"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.array(array, np.float32)
    if not np.isfinite(exact).all():
        raise InputError(
            f"{where}: holds values that are not finite in float32; take weights from "
            "before the training diverged"
        )
    return exact


# Into a network.


@dataclass(frozen=True)
class Fitted:
    """What became of a network's layers and of a file's.

    Attributes:
      loaded: the network's layers that have the file's weights.
      fresh: those that keep the weights they had, each with the reason.
      unused: the file's layers that the network does not have.
    """

    loaded: tuple[str, ...]
    fresh: tuple[tuple[str, str], ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """One line."""
        fresh = ", ".join(f"{layer} ({reason})" for layer, reason in self.fresh)
        return (
            f"{len(self.loaded)} layers begin with the weights of init_from; fresh: "
            f"{fresh or 'none'}; unused: {', '.join(self.unused) or 'none'}"
        )


def fit_into(
    params: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], Fitted]:
    """Puts every layer of `weights` that fits into a network's parameters.

    A layer is loaded as a whole or not at all: its kernel, its bias and its slopes.
    Running statistics begin afresh.

    Args:
      params: the network's tree of parameters.
      weights: as `load` returns them.

    Returns:
      The tree, the loaded layers in float32; and what became of each layer.

    Raises:
      InputError: no layer fits.
    """
    here = flatten_dict(params, sep=".")
    ours = _layers(here)
    theirs = _layers([n for n in weights if not n.startswith(f"{STATISTICS}.")])
    loaded, fresh = [], []
    for layer, names in ours.items():
        reason = _misfit(here, names, weights, theirs.get(layer, []))
        if reason:
            fresh.append((layer, reason))
            continue
        loaded.append(layer)
        here |= {name: jnp.asarray(weights[name], jnp.float32) for name in names}
    if not loaded:
        raise InputError(
            "init_from: no layer fits: the network has "
            f"{_some([f'{layer} ({reason})' for layer, reason in fresh])}, the file "
            f"{_some(list(theirs))}; name weights of this network or of its parent, "
            "under the names of docs/weights.md"
        )
    unused = tuple(layer for layer in theirs if layer not in ours)
    return unflatten(here), Fitted(tuple(loaded), tuple(fresh), unused)


def _layers(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of the arrays of each layer."""
    layers: dict[str, list[str]] = {}
    for name in names:
        path, _, leaf = name.rpartition(".")
        if leaf.removeprefix("bias_") in ("V", "W"):
            layer = f"{path}.{leaf.removeprefix('bias_')}"
        else:
            layer = path.removesuffix(".conv") or name
        layers.setdefault(layer, []).append(name)
    return layers


def _misfit(
    here: Mapping[str, Any],
    ours: Sequence[str],
    there: Mapping[str, np.ndarray],
    theirs: Sequence[str],
) -> str:
    """Why a layer cannot be loaded; empty if it can."""
    if not theirs:
        return "not in the file"
    # The kernel first: its shape says more than that of the bias.
    for name in sorted(ours, key=lambda name: -len(here[name].shape)):
        if name not in there:
            return f"{name} is not in the file"
        if there[name].shape != here[name].shape:
            return f"shape {there[name].shape} there, {here[name].shape} here"
    surplus = [name for name in theirs if name not in ours]
    return f"{surplus[0]} is in the file only" if surplus else ""


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


# From PyTorch.


def from_torch(
    state_dict: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> Weights:
    """The weights of a PyTorch network, in our names, axes and order of units.

    Kernels become `[h, w, in, out]`; a PReLU with one slope gets one a map. Our
    networks flatten maps as `[h, w, C]` where PyTorch's do as `[C, h, w]`, so that the
    inputs of the layer after the flattening, `FC1` or `head.V`, change their order; C
    is the most that any convolution yields.

    Args:
      state_dict: tensors or numpy arrays by name; a prefix `module.` is dropped.
      names: of their layers to ours, for those not in `CAFFE_NAMES` or meant
        otherwise; an empty name leaves a layer out.

    Raises:
      InputError: a layer is unknown, or an array is not what its layer needs.
    """
    known = CAFFE_NAMES | dict(names or {})
    weights: Weights = {}
    origin: dict[str, str] = {}
    strange = []
    for key, value in state_dict.items():
        theirs, _, part = key.removeprefix("module.").rpartition(".")
        layer = known.get(theirs)
        if layer == "":
            continue
        array = _numpy(value)
        name = layer and _name(layer, part, array.ndim)
        if not name:
            strange.append(f"{key} {array.shape}")
            continue
        if name in origin:
            raise InputError(
                f"{key} and {origin[name]}: both become {name}; map one of them to "
                "another layer, or to an empty name to leave it out"
            )
        origin[name] = key
        weights[name] = _turn(_exact(array, key))
    if strange:
        raise InputError(
            f"{_some(strange)}: not understood; map the names of these layers to ours "
            "with --names, or to an empty name to leave them out (docs/weights.md)"
        )
    if not weights:
        raise InputError("the state holds no weights of a layer; give another one")
    kernels = [array for array in weights.values() if array.ndim == 4]
    maps = max((kernel.shape[-1] for kernel in kernels), default=0)
    for name, array in weights.items():
        if name in ("FC1.kernel", "head.V"):
            weights[name] = _reorder(array, maps, origin[name])
        elif name.endswith(".slope") and array.shape == (1,):
            kernel = weights.get(name.removesuffix("slope") + "conv.kernel", array)
            weights[name] = np.repeat(array, kernel.shape[-1])
    return weights


def _numpy(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # NumPy has none
            value = value.float()
        value = value.numpy()
    return np.asarray(value)


def _name(layer: str, part: str, axes: int) -> str | None:
    """What our array is called that a layer's `weight` or `bias` becomes.

    Args:
      layer: our name.
      part: PyTorch's name of the array.
      axes: of the array.
    """
    path, _, last = layer.rpartition(".")
    if last.startswith("CoPr"):
        kinds = {
            ("weight", 4): f"{layer}.conv.kernel",
            ("bias", 1): f"{layer}.conv.bias",
            ("weight", 1): f"{layer}.slope",
        }
    elif last in ("V", "W"):
        kinds = {("weight", 2): layer, ("bias", 1): f"{path}.bias_{last}"}
    else:
        kinds = {
            ("weight", 4): f"{layer}.kernel",
            ("weight", 2): f"{layer}.kernel",
            ("bias", 1): f"{layer}.bias",
        }
    return kinds.get((part, axes))


def _turn(array: np.ndarray) -> np.ndarray:
    """Axes `[out, in, h, w]` to `[h, w, in, out]`, `[out, in]` to `[in, out]`."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _reorder(array: np.ndarray, maps: int, key: str) -> np.ndarray:
    """Inputs of `[C h w, out]` from the order of `[C, h, w]` to that of `[h, w, C]`."""
    inputs, outputs = array.shape
    if not maps or inputs % maps:
        raise InputError(
            f"{key}: takes {inputs} inputs, which are no maps of the last convolution "
            f"({maps} of them); give the state of the whole network"
        )
    return array.reshape(maps, -1, outputs).swapaxes(0, 1).reshape(inputs, outputs)


# The command line.


def convert(state: Path, out: Path, names: Path | None = None) -> Weights:
    """Writes a PyTorch state as our weights.

    Args:
      state: `.safetensors` or `.npz`; `.pt` or `.pth` where PyTorch is installed.
      out: `.safetensors` or `.npz`.
      names: JSON, their names of layers to ours.

    Raises:
      InputError: a file cannot be used, or as `from_torch`.
    """
    _check_suffix(out, SUFFIXES)
    tensors = _read_torch(state) if state.suffix in TORCH_SUFFIXES else load(state)
    table = _read_names(names) if names else {}
    try:
        weights = from_torch(tensors, table)
    except InputError as error:
        raise InputError(f"{state}: {error}") from error
    save(out, unflatten(weights), {"made_from": state.name})
    return weights


def _read_torch(file: Path) -> Mapping[str, Any]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        raise InputError(
            f"{file}: only PyTorch can read it, and it is not installed; where it is, "
            "make a .safetensors file with safetensors.torch.save_file(state_dict, OUT)"
        ) from None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise InputError(
            f"{file}: cannot be read ({reason}); save the model's state_dict() again"
        ) from error
    if isinstance(state, Mapping):
        # Training scripts keep the state beside an epoch and an optimiser.
        state = state.get("state_dict", state)
    if not isinstance(state, Mapping):
        raise InputError(
            f"{file}: holds a {type(state).__name__}; save the model's state_dict()"
        )
    for key in state:
        if not isinstance(key, str):
            raise InputError(
                f"{file}: {key!r} is no name of a layer's weights; save the model's "
                "state_dict()"
            )
    return state


def _read_names(file: Path) -> dict[str, str]:
    try:
        names = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: cannot be read as JSON ({error}); write it as "
            '{"their layer": "our layer"}'
        ) from error
    if not isinstance(names, dict) or not all(
        isinstance(name, str) for name in names.values()
    ):
        raise InputError(
            f'{file}: is no table of names; write it as {{"their layer": "our layer"}}'
        )
    return names


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m surrojax.weights",
        description="Makes weights for --config.init_from out of a PyTorch state.",
    )
    parser.add_argument(
        "state", type=Path, help="state_dict as .safetensors, .npz, .pt or .pth"
    )
    parser.add_argument("out", type=Path, help="file to write, .safetensors or .npz")
    parser.add_argument(
        "--names",
        type=Path,
        help='JSON, {"their layer": "our layer"}; "" leaves a layer out',
    )
    given = parser.parse_args(arguments)
    try:
        weights = convert(given.state, given.out, given.names)
    except InputError as error:
        print(f"surrojax.weights: {error}", file=sys.stderr)
        sys.exit(2)
    layers = _layers(weights)
    for layer, names in layers.items():
        print(layer, *(f"{name} {weights[name].shape}" for name in names), sep="  ")
    print(f"{given.out}: {len(layers)} layers")


if __name__ == "__main__":
    main()
