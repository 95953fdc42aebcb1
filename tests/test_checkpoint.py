"""Checkpoints by themselves: what comes back, what is kept, every fault."""

from collections import namedtuple
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.errors import InputError
from surrojax.run import checkpoint
from surrojax.run.checkpoint import Checkpoints


def state(seed=0):
    """Arrays of all kinds that a run's state has: a key, and one without elements."""
    key = jax.random.key(seed)
    return {
        "key": key,
        "weights": jax.random.normal(key, (3, 2)),
        "half": jax.random.normal(key, (4,), jnp.bfloat16),
        "step": jnp.array(7 + seed, jnp.int32),
        "score": jnp.array(-jnp.inf),
        "nothing": jnp.zeros((2, 0)),
    }


def plain(tree):
    """With a key as its numbers."""
    return tree | {"key": jax.random.key_data(tree["key"])}


def assert_same(found, expected):
    for name, array in plain(expected).items():
        assert plain(found)[name].dtype == array.dtype, name
        np.testing.assert_array_equal(plain(found)[name], array, err_msg=name)


def test_a_state_comes_back_bit_for_bit(tmp_path):
    with closing(Checkpoints(tmp_path / "run")) as checkpoints:
        assert checkpoints.latest == 0
        checkpoints.save(1, state(1))
    with closing(Checkpoints(tmp_path / "run")) as checkpoints:
        assert checkpoints.latest == 1
        found = checkpoints.restore(1, state(2))
    assert_same(found, state(1))
    assert jax.random.uniform(found["key"]) == jax.random.uniform(state(1)["key"])


def test_the_latest_two_are_kept(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        for round_ in (1, 2, 3):
            checkpoints.save(round_, state(round_))
        assert checkpoints.latest == 3
        assert_same(checkpoints.restore(2, state()), state(2))
        with pytest.raises(InputError, match="checkpoint of round 1 cannot be read"):
            checkpoints.restore(1, state())


def test_a_relative_folder_is_the_one_of_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with closing(Checkpoints((tmp_path / "run").relative_to(tmp_path))) as checkpoints:
        checkpoints.save(1, state())
    assert (tmp_path / "run" / "1").is_dir()


def test_a_reader_takes_nothing_from_a_writer(tmp_path, caplog):
    with closing(Checkpoints(tmp_path)) as writer:
        writer.save(1, state(1))
        with closing(Checkpoints(tmp_path, reading=True)) as reader:
            assert_same(reader.restore(reader.latest, state()), state(1))
        writer.save(2, state(2))
    assert sorted(f.name for f in tmp_path.iterdir() if f.is_dir()) == ["1", "2"]
    assert not caplog.records


def test_a_reader_makes_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"gone: is not there; restore it"):
        Checkpoints(tmp_path / "gone", reading=True)
    assert not (tmp_path / "gone").exists()


def test_what_a_kill_left_of_a_checkpoint_is_none(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(1, state(1))
    (tmp_path / "2.orbax-checkpoint-tmp").mkdir()
    with closing(Checkpoints(tmp_path)) as checkpoints:
        assert checkpoints.latest == 1
        checkpoints.save(2, state(2))
        assert_same(checkpoints.restore(2, state()), state(2))


def test_no_room_is_one_line_and_earlier_ones_stand(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(1, state(1))
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage(9, 9, 0))
            with pytest.raises(InputError) as caught:
                checkpoints.save(2, state(2))
        assert "no room for the checkpoint of round 2" in str(caught.value)
        assert "it continues from round 1" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert_same(checkpoints.restore(1, state()), state(1))
        checkpoints.save(2, state(2))
        assert checkpoints.latest == 2


def test_what_the_storage_raises_is_one_line(tmp_path, monkeypatch):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(1, state(1))

        def refuse(*_, **__):
            raise ValueError("no\nlonger " + 300 * "x")

        monkeypatch.setattr(checkpoints._manager, "save", refuse)
        with pytest.raises(
            InputError, match=r"could not be written \(no longer x+\.\.\."
        ):
            checkpoints.save(2, state(2))


def test_a_state_of_another_shape_is_named(tmp_path):
    with closing(Checkpoints(tmp_path)) as checkpoints:
        checkpoints.save(1, state())
        other = state() | {"weights": jnp.zeros((5, 2))}
        other.pop("half")
        with pytest.raises(
            InputError, match=r"round 1 cannot be read .*delete the fold"
        ):
            checkpoints.restore(1, other)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/run: could not be written"):
        Checkpoints(tmp_path / "file" / "run")
