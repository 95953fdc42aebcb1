"""TensorBoard's events by themselves: a full disk, and events made anew."""

from contextlib import closing

import pytest
from tensorboardX import RecordWriter

from surrojax.errors import InputError
from surrojax.run.board import Board


def record(number):
    known = {"hyper": {"p_z": 0.25}, "learning_rate": 0.1, "stage1": {}}
    return known | {"round": number, "step": 10 * number, "seconds": 1.0}


def test_what_lay_there_is_made_anew(tmp_path):
    folder = tmp_path / "run" / "tensorboard"
    for _ in range(2):
        with closing(Board(folder, [record(1)])) as board:
            board.add(record(2))
    (file,) = folder.iterdir()
    assert file.read_bytes().count(b"hyper/p_z") == 2


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    """At closing as well, where it would hide the line that is told first."""

    def full(*_):
        raise OSError(28, "No space left on device")

    close = RecordWriter.close
    with monkeypatch.context() as patch:
        patch.setattr(RecordWriter, "close", lambda self: full(close(self)))
        board = Board(tmp_path / "board", [])
        patch.setattr(RecordWriter, "flush", full)
        told = r"board: could not .*No space left on device"
        with pytest.raises(InputError, match=told), closing(board):
            board.add(record(1))
        with pytest.raises(InputError, match="No space left on device"):
            Board(tmp_path / "other", [record(1)])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/board: could not be written"):
        Board(tmp_path / "file" / "board", [])
