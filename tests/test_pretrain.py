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


@pytest.fixture
def begun():
    """A config, a module and its state, and a minibatch of three people."""
    config, module = config_of("x"), Tiny()
    photos = RNG.integers(0, 256, (16, 48, 48, 3), dtype=np.uint8)
    batch = pretrain.Batch(jnp.asarray(photos), jnp.asarray(RNG.integers(0, 3, 16)))
    return config, module, pretrain.initial_state(config, module, 3), batch


def test_features_are_those_of_a_photo_and_its_mirror_image(begun):
    _, module, state, batch = begun
    look = pretrain.make_features(module)
    found, mirrored, upside_down = (
        np.asarray(look(state.params["face"], photos))
        for photos in (
            batch.photos,
            batch.photos[:, :, ::-1],
            batch.photos[:, ::-1],
        )
    )
    np.testing.assert_allclose(found, mirrored, atol=1e-4)
    assert np.abs(found - upside_down).max() > 0.1


def test_photos_are_changed_anew_in_each_step(begun):
    config, module, state, batch = begun
    step = pretrain.make_step(config, module)
    losses = [
        float(step(state.replace(step=jnp.int32(number)), batch)[1]["softmax"])
        for number in (0, 0, 1, 2)
    ]
    assert losses[0] == losses[1] and len(set(losses)) == 3


def test_features_are_drawn_to_the_center_of_their_own_person(begun):
    config, module, state, batch = begun
    config.dataset.shift = 0
    half = batch.photos[:, :, :24]
    photos = jnp.concatenate([half, half[:, :, ::-1]], axis=2)  # their own mirror image
    centers = jnp.asarray(RNG.normal(size=state.centers.shape), jnp.float32)
    _, losses = pretrain.make_step(config, module)(
        state.replace(centers=centers), pretrain.Batch(photos, batch.people)
    )
    seen = (photos.astype(jnp.float32) - 127.5) / 128
    features = pretrain.apply(module, state.params["face"], seen)
    expected = center_loss(features, centers[batch.people])
    assert float(losses["center"]) == pytest.approx(float(expected), rel=1e-4)


def test_the_rate_warms_up_and_drops():
    config = config_of("x", max_iterations=10, momentum=0.0, weight_decay=0.0)
    config.clip, config.learning_rate.base = 1e9, 1.0
    config.learning_rate.warm_up, config.learning_rate.drops = 0.2, (0.5, 0.8)
    assert rates_of(config) == pytest.approx([0.5, *[1.0] * 4, *[0.1] * 3, 0.01, 0.01])
    config.learning_rate.drops = (0.7, 0.7)  # two at once
    assert rates_of(config) == pytest.approx([0.5, *[1.0] * 6, *[0.01] * 3])


def rates_of(config):
    """What a gradient of 1 moves a parameter by, step by step."""
    rule, one = pretrain.optimizer(config), jnp.ones(1)
    state, rates = rule.init(one), []
    for _ in range(config.max_iterations):
        update, state = rule.update(one, state, one)
        rates.append(-float(update[0]))
    return rates


def test_every_step_has_a_minibatch_of_its_own(photos, tmp_path, monkeypatch):
    seen = []

    def make_step(config, module):
        def step(state, batch):
            seen.append(np.asarray(batch.photos))
            losses = dict.fromkeys(("softmax", "center", "accuracy"), jnp.zeros(()))
            return state.replace(step=state.step + 1), losses

        return step

    monkeypatch.setattr(pretrain, "make_step", make_step)
    train(config_of(photos), tmp_path / "run", quiet=True)
    assert len({batch.tobytes() for batch in seen}) == len(seen) == 60


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


@pytest.mark.usefixtures("lost_ctrl_c")
def test_a_ctrl_c_that_was_swallowed_ends_it(photos, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(config_of(photos), tmp_path, quiet=True)


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


def test_pixels_are_asked_of_the_same_people(photos, tmp_path, monkeypatch):
    """Who are verified: the people that are held out, by features and by pixels."""
    seen = []
    inner = pretrain._pairs

    def pairs(config, identities, people):
        seen.append(people.tolist())
        return inner(config, identities, people)

    monkeypatch.setattr(pretrain, "_pairs", pairs)
    train(config_of(photos, max_iterations=20), tmp_path / "run", quiet=True)
    chosen, held_out, of_pixels = seen
    assert held_out == of_pixels and not set(held_out) & set(chosen)


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
