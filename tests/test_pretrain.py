"""Pre-training on identities: center loss, learning, resuming, bad input."""

import json

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import pretrain_faces
from surrojax import pretrain
from surrojax.errors import InputError
from surrojax.pretrain import center_loss, check, move_centers, train
from surrojax.versions import versions
from surrojax.weights import load

RNG = np.random.default_rng(0)


class Tiny(nn.Module):
    """In place of FaceNet: fast to compile."""

    features: int = 16
    form: str = "matmul"

    @nn.compact
    def __call__(self, images):
        return nn.Dense(self.features)(images.reshape(images.shape[0], -1))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Sixty people of four photos: a colour each, and noise."""
    monkeypatch.setattr(pretrain, "FaceNet", Tiny)
    root = tmp_path / "photos"
    colours = RNG.integers(30, 225, (60, 2, 2, 3))
    for person, colour in enumerate(colours):
        for number in range(4):
            half = np.kron(colour, np.ones((4, 4, 1)))
            noisy = np.clip(half + RNG.normal(0, 12, half.shape), 0, 255)
            file = root / f"p{person:02}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy.astype(np.uint8)).save(file)
    return root


def config_of(folder, **changes):
    config = pretrain_faces.get_config()
    config.update_from_flattened_dict(
        {
            "dataset.dir": str(folder),
            "dataset.height": 48,
            "dataset.width": 48,
            "dataset.shift": 1,
            "dataset.held_out": 20,
            "dataset.validation": 20,
            "dataset.pairs": 100,
            "batch_size": 16,
            "max_iterations": 60,
            "log_every": 20,
            "learning_rate.base": 0.002,
        }
        | changes
    )
    return config


def test_center_loss_is_half_the_mean_squared_distance():
    features = RNG.normal(size=(5, 3)).astype(np.float32)
    centers = RNG.normal(size=(5, 3)).astype(np.float32)
    expected = np.mean(
        [sum((f - c) ** 2) / 2 for f, c in zip(features, centers, strict=True)]
    )
    assert center_loss(features, centers) == pytest.approx(expected, rel=1e-5)


def test_centers_follow_their_own_features_alone():
    centers = RNG.normal(size=(4, 3)).astype(np.float32)
    features = RNG.normal(size=(5, 3)).astype(np.float32)
    people = np.array([2, 0, 2, 2, 0])
    expected = centers.copy()
    for person in range(4):
        mine = features[people == person]
        step = sum((centers[person] - f for f in mine), np.zeros(3)) / (1 + len(mine))
        expected[person] -= 0.5 * step
    actual = move_centers(jnp.asarray(centers), features, people, 0.5)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    np.testing.assert_array_equal(actual[1], centers[1])


def lines(folder):
    return [json.loads(s) for s in (folder / "metrics.jsonl").read_text().splitlines()]


def test_training_learns_to_tell_people_apart(photos, tmp_path):
    result = train(config_of(photos, max_iterations=200), tmp_path / "run", quiet=True)
    first, *_, last = lines(tmp_path / "run")
    assert last["training_softmax"] < 0.7 * first["training_softmax"]
    assert result["verification_accuracy"] > 0.8
    assert result["verification_people"] == 20 and result["steps"] == 200
    assert 0 < result["pixels"]["accuracy"] <= 1
    assert json.loads((tmp_path / "run/result.json").read_text()) == result
    assert set(load(tmp_path / "run")) == {"Dense_0.kernel", "Dense_0.bias"}


def test_a_continued_run_is_the_uninterrupted_one(photos, tmp_path):
    whole = train(config_of(photos), tmp_path / "a", quiet=True)
    steps = pretrain.make_step
    done = []

    def stopping(*arguments):
        inner = steps(*arguments)

        def step(state, batch):
            if len(done) == 30:
                raise KeyboardInterrupt
            done.append(1)
            return inner(state, batch)

        return step

    pretrain.make_step = stopping
    try:
        with pytest.raises(KeyboardInterrupt):
            train(config_of(photos), tmp_path / "b", quiet=True)
    finally:
        pretrain.make_step = steps
    assert len(lines(tmp_path / "b")) == 1
    again = train(config_of(photos), tmp_path / "b", quiet=True)
    assert again | {"seconds": 0} == whole | {"seconds": 0}
    for a, b in zip(lines(tmp_path / "a"), lines(tmp_path / "b"), strict=True):
        assert a | {"seconds": 0} == b | {"seconds": 0}
    one, other = load(tmp_path / "a"), load(tmp_path / "b")
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    assert train(config_of(photos), tmp_path / "a", quiet=True) == whole


def test_another_length_is_another_run(photos, tmp_path, monkeypatch):
    """Its learning rate follows from its length, finished or not."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(photos, max_iterations=20), tmp_path / "run", quiet=True)
    written = (tmp_path / "run" / "config.json").read_text()
    for _ in range(2):
        with pytest.raises(InputError, match=r"max_iterations \(20 there, 40 here\)"):
            train(config_of(photos, max_iterations=40), tmp_path / "run", quiet=True)
        assert (tmp_path / "run" / "config.json").read_text() == written
        train(config_of(photos, max_iterations=20), tmp_path / "run", quiet=True)
    assert json.loads(written)["versions"] == versions()


def test_held_out_people_decide_nothing(photos, tmp_path, monkeypatch):
    """The reported verification is asked once, after the last step."""
    seen = []
    inner = pretrain._verify

    def verify(config, module, state, identities, people):
        seen.append((int(state.step), len(people)))
        return inner(config, module, state, identities, people)

    monkeypatch.setattr(pretrain, "_verify", verify)
    train(config_of(photos, **{"dataset.validation": 21}), tmp_path / "run", quiet=True)
    assert seen == [(20, 21), (40, 21), (60, 21), (60, 20)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset.height": 47},
            "config.dataset.height: 47 is too small; the least is 48",
        ),
        ({"dataset.window": 1.5}, "config.dataset.window: 1.5 is too large"),
        ({"learning_rate.base": float("nan")}, "config.learning_rate.base: nan is not"),
        ({"learning_rate.drops": (0.5, float("inf"))}, "learning_rate.drops: .* not a"),
        ({"learning_rate.drops": (0.5, 2.0)}, "config.learning_rate.drops: .* shares"),
        ({"convolution": "fft"}, "config.convolution: 'fft' is unknown"),
        ({"batch_size": 0}, "config.batch_size: 0 is too small"),
        ({"dataset.held_out": 5}, "config.dataset.held_out: 5 is too small"),
    ],
)
def test_a_bad_value_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        check(config_of("x", **changes))


def test_the_config_that_comes_along_is_sound():
    check(pretrain_faces.get_config())


def test_an_unreadable_photo_shows_before_anything_is_trained(photos, tmp_path):
    """A named bug: a held-out photo was first opened after the last step."""
    damaged = photos / "p07" / "2.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:60])
    with pytest.raises(InputError, match="p07/2.png: cannot be read as a photo"):
        train(config_of(photos), tmp_path / "run", quiet=True)
    damaged.write_bytes(whole)
    assert train(config_of(photos), tmp_path / "run", quiet=True)["steps"] == 60


def test_training_that_diverges_says_what_to_change(photos, tmp_path):
    config = config_of(photos, **{"learning_rate.base": 1e30, "clip": 1e30})
    with pytest.raises(InputError, match="not finite .* lower config.learning_rate"):
        train(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run/weights.safetensors").exists()
