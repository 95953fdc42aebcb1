"""Weights as flat names, and in files."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.run.files import write_bytes

Weights = dict[str, np.ndarray]
"""Arrays by name: the path in the tree of parameters, joined by dots; a dot that is
part of a name is `%2E`, and a percent sign `%25`."""

SUFFIXES = (".safetensors", ".npz")

TORCH_SUFFIXES = (".pt", ".pth")

METADATA = "__metadata__"
"""Where safetensors keeps its metadata, as JSON; an .npz has an array of that name."""

NOT_IN_NPZ = ("file", "allow_pickle")
"""Names that `numpy.savez` has for parameters of its own."""

STATISTICS = "batch_stats"
"""The collection of batch normalisation's running means and variances, and what their
names begin with in a file."""


def named(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name, such as `CoPr2.conv.kernel` or `head.bias_V`."""
    return {
        ".".join(part.replace("%", "%25").replace(".", "%2E") for part in path): leaf
        for path, leaf in flatten_dict(params).items()
    }


def flatten(params: Mapping[str, Any]) -> Weights:
    """`named`, as NumPy's arrays."""
    return {name: np.asarray(leaf) for name, leaf in named(params).items()}


def unflatten(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of parameters of which `named` or `flatten` made `weights`."""
    return unflatten_dict(
        {
            tuple(
                part.replace("%2E", ".").replace("%25", "%") for part in name.split(".")
            ): leaf
            for name, leaf in weights.items()
        }
    )


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
      InputError: the file has another suffix, cannot hold an array of some name, or
        cannot be written.
    """
    check_suffix(file, SUFFIXES)
    # safetensors writes an array's memory as it lies, whatever its strides are.
    weights = {n: np.ascontiguousarray(a) for n, a in flatten(params).items()}
    if file.suffix == ".npz":
        if taken := [name for name in NOT_IN_NPZ if name in weights]:
            raise InputError(
                f"{file}: numpy.savez takes no array called {taken[0]!r}; write a "
                ".safetensors file"
            )
        stream = io.BytesIO()
        # NumPy knows no bfloat16 in a file.
        arrays: dict[str, Any] = {
            n: a.astype(np.float32) if a.dtype == jnp.bfloat16 else a
            for n, a in weights.items()
        }
        if metadata:
            arrays[METADATA] = np.array(json.dumps(dict(metadata)))
        np.savez(stream, **arrays)
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
        file = file / filenames.WEIGHTS
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
    arrays = read(file)
    return {name: exact(a, f"{file}: array {name!r}") for name, a in arrays.items()}


def read(file: Path) -> Weights:
    """Reads arrays of whatever they hold.

    Args:
      file: `.safetensors` or `.npz`.

    Returns:
      The arrays by the file's names, as they are.

    Raises:
      InputError: the file is missing, damaged or of another kind.
    """
    check_suffix(file, SUFFIXES, reads=True)
    try:
        arrays = _read_npz(file) if file.suffix == ".npz" else _read_safetensors(file)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read ({error.strerror or error}); name a file of "
            "weights"
        ) from error
    if not arrays:
        raise InputError(f"{file}: holds no arrays; make it again")
    return arrays


def hash_of(weights: Mapping[str, np.ndarray]) -> str:
    """A hash of names, shapes and float32 values, whatever the file's format was."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], np.float32)
        digest.update(repr((name, array.shape)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_suffix(file: Path, suffixes: Sequence[str], reads: bool = False) -> None:
    """Sees that a file has one of some suffixes.

    Args:
      file: to read, or to write.
      suffixes: that it may have.
      reads: whether it is there; PyTorch's can be converted.

    Raises:
      InputError: it has another one.
    """
    if file.suffix in suffixes:
        return
    known = ", ".join(suffixes)
    remedy = "give it one of these suffixes"
    if reads and file.suffix in TORCH_SUFFIXES:
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


def exact(array: np.ndarray, where: str) -> np.ndarray:
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


def layers_of(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of the arrays of each layer."""
    layers: dict[str, list[str]] = {}
    for name in names:
        path, _, leaf = name.rpartition(".")
        if leaf.removeprefix("bias_") in ("V", "W"):
            layer = inside(path, leaf.removeprefix("bias_"))
        else:
            layer = path.removesuffix(".conv") or name
        layers.setdefault(layer, []).append(name)
    return layers


def inside(path: str, name: str) -> str:
    """The name of a part of what has a path; an empty one is the network's."""
    return f"{path}.{name}" if path else name
