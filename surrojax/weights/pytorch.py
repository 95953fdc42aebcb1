"""The face-recognition network out of a PyTorch state."""

import importlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surrojax.errors import InputError
from surrojax.fields import some_of
from surrojax.networks.mresnet import STAGES
from surrojax.run.records import refuse_owned
from surrojax.weights.files import (
    SUFFIXES,
    TORCH_SUFFIXES,
    Weights,
    check_suffix,
    exact,
    inside,
    read,
    save,
    unflatten,
)


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

FLATTENED = ("FC1.kernel", "head.V")
"""Weights of what maps are flattened for."""


def from_torch(
    state_dict: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> Weights:
    """The weights of a PyTorch network, in our names, axes and order of units.

    Kernels become `[h, w, in, out]`; a PReLU with one slope gets one a map. Our
    networks flatten maps as `[h, w, C]` where PyTorch's do as `[C, h, w]`, so that the
    inputs of the layer after the flattening, `FC1` or `head.V`, change their order; C
    is the most that any convolution yields. `FC1` may be a convolution of whole maps.

    Args:
      state_dict: tensors or numpy arrays by name; a prefix `module.` is dropped.
      names: of their layers to ours, for those not in `CAFFE_NAMES` or meant
        otherwise; an empty name leaves a layer out.

    Raises:
      InputError: a layer is unknown, or an array is not what its layer needs.
    """
    names = names or {}
    _check_names(names)
    known = {**CAFFE_NAMES, **names}
    weights: Weights = {}
    origin: dict[str, str] = {}
    strange = []
    for key, value in state_dict.items():
        theirs, _, part = key.removeprefix("module.").rpartition(".")
        layer = known.get(theirs)
        if layer == "":
            continue
        array = _numpy(value)
        if array is None:
            strange.append(f"{key} (no array)")
            continue
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
        weights[name] = _turn(exact(array, key))
    if strange:
        raise InputError(
            f"{some_of(strange)}: not understood; map the names of these layers to "
            "ours with --names, or to an empty name to leave them out (docs/weights.md)"
        )
    if not weights:
        raise InputError("the state holds no weights of a layer; give another one")
    _check_places(origin)
    maps = max(
        (
            array.shape[-1]
            for name, array in weights.items()
            if array.ndim == 4 and name not in FLATTENED
        ),
        default=0,
    )
    for name, array in weights.items():
        if name in FLATTENED and array.ndim == 4:
            weights[name] = array.reshape(-1, array.shape[-1])
        elif name in FLATTENED:
            weights[name] = _reorder(array, maps, origin[name])
        elif name.endswith(".slope") and array.shape == (1,):
            kernel = weights.get(name.removesuffix("slope") + "conv.kernel", array)
            weights[name] = np.repeat(array, kernel.shape[-1])
    return weights


def _check_names(names: Mapping[str, str]) -> None:
    """Sees that the names of our layers have something between their dots."""
    for theirs, ours in names.items():
        if ours and "" in ours.split("."):
            raise InputError(
                f"{theirs}: {ours!r} is no name of a layer, for it has nothing before "
                "or after a dot; names of our layers are in docs/weights.md"
            )


def _check_places(origin: Mapping[str, str]) -> None:
    """Sees that no array stands where others are inside.

    Args:
      origin: their names of the arrays by ours.
    """
    for name, theirs in origin.items():
        parts = name.split(".")
        for above in (".".join(parts[:i]) for i in range(1, len(parts))):
            if above in origin:
                raise InputError(
                    f"{theirs} and {origin[above]}: {name} cannot be beside {above}; "
                    "map one of them to another layer"
                )


def _numpy(value: Any) -> np.ndarray | None:
    """A tensor as an array; nothing of what is none, as an entry beside the state."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # NumPy has none
            value = value.float()
        value = value.numpy()
    try:
        return np.asarray(value)
    except ValueError:  # lists of several lengths
        return None


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
        kinds = {("weight", 2): layer, ("bias", 1): inside(path, f"bias_{last}")}
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


def convert(state: Path, out: Path, names: Path | None = None) -> Weights:
    """Writes a PyTorch state as our weights.

    Args:
      state: `.safetensors` or `.npz`; `.pt` or `.pth` where PyTorch is installed.
      out: `.safetensors` or `.npz`.
      names: JSON, their names of layers to ours.

    Raises:
      InputError: a file cannot be used, `out` is one of a run's, or as `from_torch`.
    """
    check_suffix(out, SUFFIXES)
    refuse_owned(out)
    check_suffix(state, (*SUFFIXES, *TORCH_SUFFIXES))
    tensors = _read_torch(state) if state.suffix in TORCH_SUFFIXES else read(state)
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
        names = json.loads(file.read_text(encoding="utf-8"))
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
