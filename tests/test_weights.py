"""Weights: names, files, what fits into a network, and what PyTorch made."""

import json
import pickle
import re
import runpy
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
from numpy.lib.stride_tricks import sliding_window_view

from surrojax.errors import InputError
from surrojax.fields import some_of
from surrojax.networks import blank, init, make_pair
from surrojax.networks.mresnet import FaceNet
from surrojax.weights import (
    fit_into,
    flatten,
    from_torch,
    hash_of,
    load,
    save,
    unflatten,
)
from surrojax.weights.__main__ import main
from surrojax.weights.files import layers_of, unwhole, whole

RNG = np.random.default_rng(0)
DOCS = Path(__file__).parents[1] / "docs" / "weights.md"


def noise(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def small():
    """A tree with every kind of layer name."""
    return {
        "CoPr2": {
            "conv": {"kernel": noise(3, 3, 2, 4), "bias": noise(4)},
            "slope": noise(4),
        },
        "ResBl1_1": {
            "CoPr1": {"conv": {"kernel": noise(3, 3, 4, 4)}, "slope": noise(4)}
        },
        "Conv_0": {"kernel": noise(5, 5, 1, 2), "bias": noise(2)},
        "head": {
            "V": noise(6, 5),
            "bias_V": noise(5),
            "W": noise(5, 3),
            "bias_W": noise(3),
        },
    }


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# Names.


def test_names_are_paths_joined_by_dots():
    tree = small()
    weights = flatten(tree)
    assert set(weights) == {
        "CoPr2.conv.kernel",
        "CoPr2.conv.bias",
        "CoPr2.slope",
        "ResBl1_1.CoPr1.conv.kernel",
        "ResBl1_1.CoPr1.slope",
        "Conv_0.kernel",
        "Conv_0.bias",
        "head.V",
        "head.bias_V",
        "head.W",
        "head.bias_W",
    }
    np.testing.assert_array_equal(
        weights["ResBl1_1.CoPr1.slope"], tree["ResBl1_1"]["CoPr1"]["slope"]
    )
    assert_equal(flatten(unflatten(weights)), weights)
    assert jax.tree.structure(unflatten(weights)) == jax.tree.structure(tree)


def test_a_dot_of_a_name_parts_nothing():
    tree = {"block.1": {"kernel": 1}, "block": {"1": {"kernel": 2}}, "a%2Eb": {"": 3}}
    weights = flatten(tree)
    assert set(weights) == {"block%2E1.kernel", "block.1.kernel", "a%252Eb."}
    assert unflatten(weights) == tree
    assert layers_of(weights).keys() == {"block%2E1", "block.1", "a%252Eb"}


def test_collections_beside_the_parameters_come_back():
    variables = {"params": {"a": 1}, "cache": {"b": 2}, "batch_stats": {"c": 3}}
    assert unwhole(whole(variables), ["cache", "batch_stats"]) == variables


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["a.conv.kernel", "a.slope", "b.V", "b.bias_V"], ["a", "b.V"]),
        (["scale", "bias"], ["scale", "bias"]),
        (["V", "bias_V"], ["V"]),
    ],
)
def test_arrays_are_told_by_layers(names, layers):
    assert list(layers_of(names)) == layers


@pytest.mark.parametrize(
    ("count", "told"), [(5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more")]
)
def test_the_first_names_of_many_are_shown(count, told):
    assert some_of([str(i) for i in range(count)]) == told


# Files.


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize("metadata", [{}, {"made_by": "a test"}])
def test_what_is_saved_is_loaded(tmp_path, suffix, metadata):
    file = tmp_path / f"w{suffix}"
    tree = small()
    save(file, {"CoPr9": {"slope": noise(2)}})
    save(file, tree, metadata)
    assert_equal(load(file), flatten(tree))
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_transposed_array_is_saved_as_it_reads(tmp_path, suffix):
    turned = noise(4, 3).T
    save(tmp_path / f"w{suffix}", {"head": {"V": turned}})
    np.testing.assert_array_equal(load(tmp_path / f"w{suffix}")["head.V"], turned)


def test_a_runs_folder_stands_for_the_weights_in_it(tmp_path):
    tree = small()
    save(tmp_path / "weights.safetensors", tree)
    assert_equal(load(tmp_path), flatten(tree))


def test_a_run_that_is_not_finished_has_no_weights(tmp_path):
    with pytest.raises(InputError, match=r"weights\.safetensors: is not there; a run"):
        load(tmp_path)


def test_metadata_can_be_read_by_others(tmp_path):
    save(tmp_path / "w.safetensors", small(), {"made_by": "a test"})
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert file.metadata() == {"made_by": "a test"}
    save(tmp_path / "w.npz", small(), {"made_by": "a test"})
    with np.load(tmp_path / "w.npz") as file:
        assert json.loads(str(file["__metadata__"])) == {"made_by": "a test"}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_other_floating_point_types_are_read_as_float32(tmp_path, dtype):
    values = jnp.asarray([1.5, -0.25], dtype)
    safetensors.flax.save_file({"CoPr2.slope": values}, tmp_path / "w.safetensors")
    loaded = load(tmp_path / "w.safetensors")["CoPr2.slope"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, [1.5, -0.25])


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_half_precision_is_saved_for_all_readers(tmp_path, suffix):
    file = tmp_path / f"w.{suffix}"
    save(file, {"Dense_0": {"bias": jnp.asarray([1.5, -0.25], jnp.bfloat16)}})
    np.testing.assert_array_equal(load(file)["Dense_0.bias"], [1.5, -0.25])


def test_numbers_that_numpy_does_not_know(tmp_path):
    file = tmp_path / "w.safetensors"
    entry = {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}
    header = json.dumps({"CoPr2.slope": entry}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2))
    with pytest.raises(InputError, match=r"'CoPr2\.slope': .*float8.*as float32"):
        load(file)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_truncated_file(tmp_path, suffix, share):
    file = tmp_path / f"w{suffix}"
    save(file, small())
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=rf"w\{suffix}: is damaged .*; get it again"):
        load(file)


@pytest.mark.parametrize(
    ("write", "place", "message"),
    [
        (np.savez, 2000, "Bad CRC"),
        (np.savez_compressed, 100, "Error -3 while decompressing"),
        (np.savez, 6, "is encrypted"),  # the flags of the entry
    ],
)
def test_an_altered_npz_is_noticed(tmp_path, write, place, message):
    file = tmp_path / "w.npz"
    write(file, **{"CoPr2.slope": noise(999)})
    altered = bytearray(file.read_bytes())
    altered[place] ^= 1
    if place == 6:
        altered[altered.rindex(b"PK\1\2") + 8] ^= 1  # those of the index
    file.write_bytes(altered)
    with pytest.raises(InputError, match=rf"array 'CoPr2\.slope': .*{message}"):
        load(file)


@pytest.mark.parametrize("name", ["file", "allow_pickle"])
def test_a_name_that_savez_cannot_take(tmp_path, name):
    with pytest.raises(InputError, match=f"no array called '{name}'.*safetensors"):
        save(tmp_path / "w.npz", {name: noise(2)})
    save(tmp_path / "w.safetensors", {name: noise(2)})
    assert load(tmp_path / "w.safetensors").keys() == {name}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1.0, np.nan]), "not finite"),
        (np.array([1.0, np.inf], np.float32), "not finite"),
        (np.array([1e300]), "not finite in float32"),
        (np.array([1, 2]), "holds int64, not floating-point"),
        (np.array([True]), "holds bool"),
        (np.array([1j]), "holds complex128"),
        (np.array([{}], object), "Object arrays cannot be loaded"),
    ],
)
def test_an_array_that_is_no_weights(tmp_path, array, message):
    np.savez(tmp_path / "w.npz", **{"CoPr2.slope": array})
    with pytest.raises(InputError, match=rf"w\.npz: array 'CoPr2\.slope': .*{message}"):
        load(tmp_path / "w.npz")


def test_files_of_another_kind(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InputError, match=r"w\.npz: is damaged or no"):
        load(tmp_path / "w.npz")
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, noise(3))
    with pytest.raises(InputError, match=r"w\.npz: is a single array"):
        load(tmp_path / "w.npz")
    with (tmp_path / "w.npz").open("wb") as file:
        np.savez(file)
    with pytest.raises(InputError, match=r"w\.npz: holds no arrays"):
        load(tmp_path / "w.npz")
    with pytest.raises(InputError, match=r"face\.pth: .*python -m surrojax\.weights"):
        load(tmp_path / "face.pth")
    with pytest.raises(InputError, match=r"w\.h5: is none of \.safetensors, \.npz"):
        load(tmp_path / "w.h5")
    (tmp_path / "w").write_bytes(b"")
    with pytest.raises(InputError, match=r"w: is none of \.safetensors, \.npz"):
        load(tmp_path / "w")
    for name in ("w.h5", "w.pt"):
        with pytest.raises(InputError, match="is none of .*one of these suffixes"):
            save(tmp_path / name, small())


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_file_or_folder_that_is_missing(tmp_path, suffix):
    file = tmp_path / "absent" / f"w{suffix}"
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        load(file)
    with pytest.raises(InputError, match=r"there is no folder .*absent; make it"):
        save(file, small())


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "w.npz"
    tree = small()
    save(file, tree)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"w\.npz: .*No space left.*make room"):
        save(file, small())
    assert_equal(load(file), flatten(tree))


def test_hash_is_of_names_shapes_and_values():
    weights = {"a": noise(2, 3), "b": noise(4)}
    hashes = {
        hash_of(w)
        for w in (
            weights,
            weights | {"b": -weights["b"]},
            weights | {"a": weights["a"].reshape(3, 2)},
            {"a": weights["a"], "c": weights["b"]},
        )
    }
    assert len(hashes) == 4
    same = {"b": weights["b"].astype(np.float64), "a": weights["a"].T.copy().T}
    assert hash_of(same) == hash_of(weights)


# What fits.


@cache
def shapes(name):
    if name == "parent":
        images = jnp.zeros((1, 112, 96, 3))
        return jax.eval_shape(FaceNet().init, jax.random.key(0), images)["params"]
    pair = make_pair(name, 7)
    return jax.eval_shape(
        lambda: init(pair.original, jax.random.key(0), blank(pair))["params"]
    )


def numbered(tree):
    """Arrays of a tree's shapes, each of one number, and the numbers by name."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = [".".join(key.key for key in path) for path, _ in leaves]
    return {
        name: np.full(leaf.shape, number, np.float32)
        for number, (name, (_, leaf)) in enumerate(
            zip(names, leaves, strict=True), start=1
        )
    }


TRUNK = {f"CoPr{n}" for n in (2, 3, 4, 5)} | {
    f"ResBl{stage}_{block}.CoPr{part}"
    for stage, blocks in ((1, 1), (2, 2), (3, 5), (4, 3))
    for block in range(1, blocks + 1)
    for part in (1, 2)
}


def test_mresnet_takes_the_trunk_of_its_parent():
    weights = numbered(shapes("parent"))
    params, fitted = fit_into(shapes("mresnet"), weights)
    assert len(fitted.loaded) == len(TRUNK) == 26
    assert set(fitted.loaded) == TRUNK
    assert dict(fitted.fresh) == {
        "CoPr1": "shape (3, 3, 3, 32) there, (9, 9, 3, 32) here",
        "head.V": "not in the file",
        "head.W": "not in the file",
    }
    assert fitted.unused == ("FC1",)
    assert jax.tree.structure(params) == jax.tree.structure(shapes("mresnet"))
    loaded = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = ".".join(key.key for key in path)
        if name.startswith(("CoPr1.", "head.")):
            assert isinstance(leaf, jax.ShapeDtypeStruct)
        else:
            loaded += 1
            assert leaf.dtype == jnp.float32
            assert leaf.shape == weights[name].shape
            assert (np.asarray(leaf[..., 0]) == weights[name].flat[0]).all()
    # Four openings of kernel, bias, slope; 22 residual ones without bias.
    assert loaded == 4 * 3 + 22 * 2


def test_line_that_tells_what_was_loaded():
    _, fitted = fit_into(shapes("mresnet"), numbered(shapes("parent")))
    assert str(fitted) == (
        "26 layers begin with the weights of init_from; fresh: CoPr1 (shape (3, 3, 3, "
        "32) there, (9, 9, 3, 32) here), head.V (not in the file), head.W (not in the "
        "file); unused: FC1"
    )


def test_a_network_takes_all_of_its_own_weights():
    tree = small()
    params, fitted = fit_into(jax.tree.map(jnp.zeros_like, tree), flatten(tree))
    assert_equal(flatten(params), flatten(tree))
    layers = {"CoPr2", "ResBl1_1.CoPr1", "Conv_0", "head.V", "head.W"}
    assert set(fitted.loaded) == layers
    assert fitted.fresh == fitted.unused == ()
    assert str(fitted).endswith("fresh: none; unused: none")


@pytest.mark.parametrize(
    ("name", "array", "layer", "reason"),
    [
        ("CoPr2.slope", None, "CoPr2", "CoPr2.slope is not in the file"),
        ("CoPr2.slope", noise(1), "CoPr2", "shape (1,) there, (4,) here"),
        ("head.bias_V", None, "head.V", "head.bias_V is not in the file"),
        ("head.W", noise(5, 6), "head.W", "shape (5, 6) there, (5, 3) here"),
        (
            "ResBl1_1.CoPr1.conv.bias",
            noise(4),
            "ResBl1_1.CoPr1",
            "ResBl1_1.CoPr1.conv.bias is in the file only",
        ),
    ],
)
def test_a_layer_is_loaded_whole_or_not_at_all(name, array, layer, reason):
    here, there = small(), flatten(small())
    if array is None:
        del there[name]
    else:
        there[name] = array
    params, fitted = fit_into(here, there)
    assert fitted.fresh == ((layer, reason),)
    assert layer not in fitted.loaded and len(fitted.loaded) == 4
    site = layer.removeprefix("head.")
    for name, leaf in flatten(params).items():
        part_of_it = (
            name in (layer, f"head.bias_{site}")
            if layer.startswith("head.")
            else name.startswith(layer)
        )
        expected = flatten(here)[name] if part_of_it else there[name]
        np.testing.assert_array_equal(leaf, expected, err_msg=name)


def test_weights_of_which_nothing_fits():
    with pytest.raises(InputError) as caught:
        fit_into(small(), {"conv1.weight": noise(3), "head.V": noise(6, 4)})
    message = str(caught.value)
    assert message.startswith("init_from: no layer fits: the network has CoPr2 (not in")
    assert "head.V (head.bias_V is not in the file)" not in message
    assert "head.V (shape (6, 4) there, (6, 5) here)" in message
    assert "the file conv1, head.V; name weights" in message
    assert "\n" not in message


def test_running_statistics_are_neither_loaded_nor_unused():
    weights = {"Conv_0.kernel": noise(5, 5, 1, 2), "Conv_0.bias": noise(2)}
    weights["batch_stats.BatchNorm_0.mean"] = noise(2)
    assert fit_into(small(), weights)[1].unused == ()


def test_double_precision_is_loaded_as_float32():
    weights = {"Conv_0.kernel": np.ones((5, 5, 1, 2)), "Conv_0.bias": np.ones(2)}
    params, _ = fit_into(small(), weights)
    assert params["Conv_0"]["kernel"].dtype == jnp.float32


# From PyTorch. The parent once more, as it is written there: [B, C, H, W].

STAGES = (("1b", 64, 2, 2), ("2", 128, 3, 4), ("3", 256, 4, 10), ("4", 512, 5, 6))
"""The convolution that opens a stage, its maps, the stage's number, its others."""


def random_state(height, width, one_slope=False):
    """A state_dict of the parent whose last map has `height` x `width` pixels."""
    state = {}

    def layer(name, outputs, inputs, bias):
        scale = np.float32(1 / np.sqrt(9 * inputs))
        state[f"conv{name}.weight"] = scale * noise(outputs, inputs, 3, 3)
        if bias:
            state[f"conv{name}.bias"] = 0.1 * noise(outputs)
        slopes = RNG.uniform(-0.5, 0.9, 1 if one_slope else outputs)
        state[f"relu{name}.weight"] = slopes.astype(np.float32)

    layer("1a", 32, 3, True)
    maps = 32
    for name, outputs, number, others in STAGES:
        layer(name, outputs, maps, True)
        maps = outputs
        for i in range(1, others + 1):
            layer(f"{number}_{i}", maps, maps, False)
    state["fc5.weight"] = noise(512, 512 * height * width) / 100
    state["fc5.bias"] = noise(512)
    return state


def torch_forward(state, y):
    """What PyTorch computes from images `[B, 3, H, W]`; also the last maps' shape."""

    def conv_prelu(y, name, pad=0):
        y = np.pad(y, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = sliding_window_view(y, (3, 3), axis=(2, 3))  # [B, C, h, w, 3, 3]
        kernel = state[f"conv{name}.weight"]  # [out, C, 3, 3]
        y = np.tensordot(windows, kernel, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
        if f"conv{name}.bias" in state:
            y = y + state[f"conv{name}.bias"][:, None, None]
        return np.where(y > 0, y, state[f"relu{name}.weight"][:, None, None] * y)

    y = conv_prelu(y, "1a")
    for name, _, number, others in STAGES:
        y = conv_prelu(y, name)
        h, w = y.shape[2] // 2 * 2, y.shape[3] // 2 * 2
        corners = [y[:, :, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)]
        y = np.maximum.reduce(corners)
        for i in range(1, others, 2):
            inner = conv_prelu(y, f"{number}_{i}", pad=1)
            y = y + conv_prelu(inner, f"{number}_{i + 1}", pad=1)
    flat = y.reshape(len(y), -1)  # [B, C h w]
    return flat @ state["fc5.weight"].T + state["fc5.bias"], y.shape


@pytest.mark.parametrize("one_slope", [False, True])
def test_a_converted_parent_computes_what_pytorch_does(one_slope):
    # 64 x 80 pixels leave maps of 2 x 3: the least at which h, w and C could be mixed.
    state = random_state(2, 3, one_slope)
    images = noise(2, 3, 64, 80)
    expected, shape = torch_forward(state, images)
    assert shape == (2, 512, 2, 3)
    params = unflatten(from_torch({f"module.{k}": v for k, v in state.items()}))
    apply, images = jax.jit(FaceNet().apply), images.transpose(0, 2, 3, 1)
    actual = apply({"params": params}, images)
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    # Without the new order of its inputs, FC1 would yield something else.
    params["FC1"]["kernel"] = state["fc5.weight"].T
    other = apply({"params": params}, images)
    assert np.abs(other - expected).max() > 0.1


def test_the_last_layer_may_be_a_convolution_of_whole_maps():
    """A named bug: a port that is convolutional throughout ended in a traceback."""
    state = random_state(2, 3)
    whole_maps = {"fc5.weight": state["fc5.weight"].reshape(512, 512, 2, 3)}
    assert_equal(from_torch(state | whole_maps), from_torch(state))


def test_a_smaller_last_convolution_counts_no_maps():
    names = {"c": "Conv_0", "d": "Conv_1", "f": "head.V"}
    state = {"c.weight": noise(6, 1, 3, 3), "d.weight": noise(2, 6, 1, 1)}
    state["f.weight"] = noise(5, 24)
    there = from_torch(dict(reversed(state.items())), names)
    assert_equal(from_torch(state, names), there)


def test_every_layer_of_a_converted_parent_has_its_place():
    weights = from_torch({k: v[:1] * 0 for k, v in random_state(5, 4).items()})
    assert set(weights) == set(numbered(shapes("parent")))


class Tensor:
    """As much of a PyTorch tensor as is asked of one."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return SimpleNamespace(cpu=lambda: SimpleNamespace(numpy=lambda: self.array))


def test_tensors_become_numpy_arrays():
    kernel, slopes = noise(4, 3, 5, 6), noise(4)
    weights = from_torch(
        {"conv1a.weight": Tensor(kernel), "relu1a.weight": Tensor(slopes)}
    )
    assert weights.keys() == {"CoPr1.conv.kernel", "CoPr1.slope"}
    assert weights["CoPr1.conv.kernel"].shape == (5, 6, 3, 4)
    assert weights["CoPr1.conv.kernel"][4, 1, 2, 3] == kernel[3, 2, 4, 1]
    np.testing.assert_array_equal(weights["CoPr1.slope"], slopes)


def test_a_tensor_of_bfloat16_becomes_float32():
    """NumPy knows no such type, so PyTorch refuses to make an array of it."""

    class Brain:
        dtype = "torch.bfloat16"

        def detach(self):
            return self

        cpu = detach

        def numpy(self):
            raise TypeError("Got unsupported ScalarType BFloat16")

        def float(self):
            return SimpleNamespace(numpy=lambda: np.ones(4, np.float32))

    np.testing.assert_array_equal(
        from_torch({"relu1a.weight": Brain()})["CoPr1.slope"], np.ones(4)
    )


def lenet_state():
    return {
        "c1.weight": noise(20, 1, 5, 5),
        "c1.bias": noise(20),
        "c2.weight": noise(50, 20, 5, 5),
        "c2.bias": noise(50),
        "f1.weight": noise(500, 800),
        "f1.bias": noise(500),
        "f2.weight": noise(7, 500),
        "f2.bias": noise(7),
    }


LENET_NAMES = {"c1": "Conv_0", "c2": "Conv_1", "f1": "head.V", "f2": "head.W"}


def test_names_of_another_network():
    state = lenet_state()
    weights = from_torch(state, LENET_NAMES)
    _, fitted = fit_into(shapes("lenet"), weights)
    assert fitted.fresh == fitted.unused == ()
    # Pixel (2, 1) of the fifth of 50 maps of 4 x 4.
    np.testing.assert_array_equal(
        weights["head.V"][(2 * 4 + 1) * 50 + 4],
        state["f1.weight"][:, 4 * 16 + 2 * 4 + 1],
    )
    np.testing.assert_array_equal(weights["head.W"], state["f2.weight"].T)
    np.testing.assert_array_equal(weights["head.bias_V"], state["f1.bias"])


def test_an_empty_name_leaves_a_layer_out():
    state = {"conv1a.weight": noise(4, 3, 3, 3), "fc6.weight": noise(9, 512)}
    assert from_torch(state, {"fc6": ""}).keys() == {"CoPr1.conv.kernel"}


@pytest.mark.parametrize(
    ("state", "names", "message"),
    [
        (
            {f"features.{i}.weight": noise(2, 2, 3, 3) for i in range(7)},
            {},
            r"features\.0\.weight \(2, 2, 3, 3\), .* and 2 more: not und.*--names",
        ),
        ({"bn.num_batches_tracked": np.array(3)}, {}, r"bn\.num_batches_tracked \(\)"),
        ({"epoch": 3}, {}, r"epoch \(\): not understood"),
        ({"f.bias": noise(2)}, {"f": "head."}, r"f: 'head\.' is no name of a layer"),
        ({"history": [[1], [1, 2]]}, {}, r"history \(no array\): not understood"),
        (
            {"a.weight": noise(4, 3), "b.weight": noise(3, 2)},
            {"a": "head", "b": "head.kernel"},
            r"b\.weight and a\.weight: head\.kernel\.kernel cannot be beside head\.ker",
        ),
        ({"conv1a.running_mean": noise(4)}, {}, r"conv1a\.running_mean \(4,\): not un"),
        ({"conv1a.weight": noise(4, 3)}, {}, r"conv1a\.weight \(4, 3\): not underst"),
        ({"f.weight": noise(1, 2, 3, 3)}, {"f": "head.W"}, r"f\.weight \(1, 2, 3, 3\)"),
        ({"conv1a.bias": np.array([1])}, {}, r"conv1a\.bias: holds int64"),
        ({"conv1a.bias": np.array([np.nan])}, {}, r"conv1a\.bias: .*not finite"),
        (
            {"conv1a.bias": noise(3), "c.bias": noise(3)},
            {"c": "CoPr1"},
            r"c\.bias and conv1a\.bias: both become CoPr1\.conv\.bias",
        ),
        ({}, {}, "holds no weights"),
        ({"conv1a.bias": noise(3)}, {"conv1a": ""}, "holds no weights"),
        ({"fc5.weight": noise(4, 10)}, {}, r"fc5\.weight: .*\(0 of them\)"),
        (
            {"fc5.weight": noise(4, 10), "conv5_6.weight": noise(4, 4, 3, 3)},
            {},
            r"fc5\.weight: takes 10 inputs, .*\(4 of them\)",
        ),
    ],
)
def test_a_state_that_cannot_be_converted(state, names, message):
    with pytest.raises(InputError, match=message) as caught:
        from_torch(state, names)
    assert "\n" not in str(caught.value)


# The command line.


@pytest.fixture
def state_file(tmp_path):
    np.savez(tmp_path / "state.npz", **lenet_state())
    (tmp_path / "names.json").write_text(json.dumps(LENET_NAMES))
    return tmp_path / "state.npz"


@pytest.mark.parametrize("out", ["out.safetensors", "out.npz"])
def test_command_line_converts_and_lists_the_layers(state_file, capsys, out):
    folder = state_file.parent
    out = folder / out
    main([str(state_file), str(out), "--names", str(folder / "names.json")])
    with np.load(state_file) as state:
        assert_equal(load(out), from_torch(state, LENET_NAMES))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(LENET_NAMES.values())
    assert "head.V (800, 500)" in lines[2] and "head.bias_V (500,)" in lines[2]
    assert lines[-1] == f"{out}: 4 layers"


def test_a_converted_file_says_what_it_was_made_from(state_file):
    out, names = state_file.with_name("out.safetensors"), "names.json"
    main([str(state_file), str(out), "--names", str(state_file.with_name(names))])
    with safetensors.safe_open(out, "numpy") as file:
        assert file.metadata() == {"made_from": "state.npz"}


def test_integers_of_a_layer_that_is_left_out_are_let_be(state_file):
    """A named bug: batch normalisation's counter was refused before it was left out."""
    counter = {"bn.num_batches_tracked": np.array(3), "bn.weight": noise(20)}
    np.savez(state_file, **lenet_state(), **counter)
    names = state_file.with_name("names.json")
    names.write_text(json.dumps(LENET_NAMES | {"bn": ""}))
    out = state_file.with_name("out.npz")
    main([str(state_file), str(out), "--names", str(names)])
    assert len(load(out)) == len(lenet_state())


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_command_line_says_in_one_line_what_is_wrong(state_file, capsys):
    folder = state_file.parent
    out = folder / "out.npz"
    assert re.search(
        r"state\.npz: c1\.weight .*not understood", fails(capsys, state_file, out)
    )
    assert "out.pth: is none of" in fails(capsys, state_file, folder / "out.pth")
    run = folder / "run"
    run.mkdir()
    (run / "config.json").write_text('{"config": {"seed": 0}}')
    own = run / "weights.safetensors"
    assert f"is a file of the run in {run}" in fails(capsys, state_file, own)
    suffixes = r"run: is none of \.safetensors, \.npz, \.pt, \.pth; give"
    assert re.search(suffixes, fails(capsys, folder / "run", out))
    assert "none.npz: cannot be read" in fails(capsys, folder / "none.npz", out)
    names = folder / "names.json"
    for text, message in (
        ("{", "cannot be read as JSON"),
        ('["c1"]', "is no table of names"),
        ('{"c1": 1}', "is no table of names"),
    ):
        names.write_text(text)
        error = fails(capsys, state_file, out, "--names", names)
        assert f"names.json: {message}" in error
    error = fails(capsys, state_file, out, "--names", folder / "none.json")
    assert "none.json: cannot be read as JSON" in error
    assert not out.exists()


def test_a_pickled_state_needs_pytorch(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    error = fails(capsys, tmp_path / "face.pth", tmp_path / "out.npz")
    assert "face.pth: only PyTorch can read it" in error
    assert "safetensors.torch.save_file" in error


@pytest.fixture
def torch(monkeypatch):
    """Stands in for PyTorch; returns what its `load` is to return."""
    answer = SimpleNamespace(value=None)

    def torch_load(file, map_location, weights_only):
        assert map_location == "cpu" and weights_only
        if isinstance(answer.value, Exception):
            raise answer.value
        return answer.value

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(load=torch_load))
    return answer


@pytest.mark.parametrize("nested", [False, True])
def test_a_pickled_state_is_read_by_pytorch(tmp_path, torch, nested):
    slopes = noise(32)
    state = {"relu1a.weight": Tensor(slopes)}
    torch.value = {"epoch": 3, "state_dict": state} if nested else state
    main([str(tmp_path / "face.pt"), str(tmp_path / "out.npz")])
    assert_equal(load(tmp_path / "out.npz"), {"CoPr1.slope": slopes})


def test_a_pickle_that_is_no_state(tmp_path, capsys, torch):
    files = tmp_path / "face.pt", tmp_path / "out.npz"
    torch.value = [1, 2]
    assert "face.pt: holds a list; save the model's state_dict()" in fails(
        capsys, *files
    )
    torch.value = {"state_dict": {3: Tensor(noise(2))}}
    assert "face.pt: 3 is no name of a layer's weights; save" in fails(capsys, *files)
    for error, told in (
        (RuntimeError("not a zip\nsecond line"), "not a zip"),
        (pickle.UnpicklingError("weights only"), "weights only"),
        (FileNotFoundError("no such file"), "no such file"),
        (EOFError(), "damaged"),
    ):
        torch.value = error
        assert f"face.pt: cannot be read ({told}); save" in fails(capsys, *files)


# The page.


def test_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```\n", DOCS.read_text(), re.DOTALL)
    (printed,) = re.findall(r"prints\n\n```\n(.*?)```\n", DOCS.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(example)
    runpy.run_path("example.py")
    assert " ".join(capsys.readouterr().out.split()) == " ".join(printed.split())


def test_the_folder_of_a_run_that_was_not_made_yet_is_named(tmp_path):
    """A named bug: it was asked to have a suffix."""
    with pytest.raises(InputError, match="pretrain_faces: no such folder of a run"):
        load(tmp_path / "pretrain_faces")
