"""One atomic checkpoint a round; the only module that knows Orbax."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from surrojax.errors import InputError, one_line
from surrojax.keys import data_of, is_key, key_with
from surrojax.run.files import explained


class Checkpoints:
    """The checkpoints of a run, by round.

    A checkpoint is written beside the others and then renamed, so that a process
    killed at any moment leaves the last whole one. The latest two are kept. Of several
    processes, one alone may open them: none of its calls waits for the others.

    Args:
      folder: made if it is missing, unless `reading`.
      reading: only to read, while another process may be writing.
    """

    def __init__(self, folder: Path, reading: bool = False) -> None:
        # Orbax takes a relative path without a word and fails later, in a thread.
        self._folder, this = folder.absolute(), jax.process_index()
        if not reading:
            with explained(self._folder):  # with active_processes, Orbax wants it made
                self._folder.mkdir(parents=True, exist_ok=True)
        elif not self._folder.is_dir():
            raise InputError(
                f"{self._folder}: is not there; restore it, or name the folder of a "
                "run that has its checkpoints"
            )
        # Of a reader, these are what Orbax would set, and say that it does.
        kept = (
            {"max_to_keep": None, "save_interval_steps": 0}
            if reading
            else {"max_to_keep": 2}
        )
        with _quiet() if reading else nullcontext():
            self._manager = ocp.CheckpointManager(
                self._folder,
                options=ocp.CheckpointManagerOptions(
                    **kept,
                    enable_async_checkpointing=False,
                    cleanup_tmp_directories=not reading,
                    read_only=reading,
                    create=False,
                    multiprocessing_options=ocp.options.MultiprocessingOptions(
                        primary_host=this,
                        active_processes={this},
                        barrier_sync_key_prefix="first",
                    ),
                ),
            )

    def close(self) -> None:
        """Lets go of the folder."""
        self._manager.close()

    @property
    def latest(self) -> int:
        """The round of the latest whole checkpoint; 0 where there is none."""
        return self._manager.latest_step() or 0

    def save(self, round_: int, state: Any) -> None:
        """Writes the state after a round.

        Raises:
          InputError: it could not be written; earlier checkpoints stand.
        """
        # Asked ahead, because Orbax prints a screenful when a disk is full.
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(self._folder).free
        if free < 1.5 * needed:
            raise InputError(
                f"{self._folder}: no room for the checkpoint of round {round_}, of "
                f"{needed / 1e6:.1f} MB; {self._remedy()}"
            )
        try:
            self._manager.save(round_, args=ocp.args.StandardSave(_plain(state)))
        # Orbax raises whatever its storage driver does, a plain Exception included.
        except Exception as error:
            raise InputError(
                f"{self._folder}: the checkpoint of round {round_} could not be "
                f"written ({one_line(error, 200)}); {self._remedy()}"
            ) from error
        if self._manager.latest_step() != round_:
            raise InputError(
                f"{self._folder}: Orbax did not keep the checkpoint of round {round_}; "
                "move the folder away and begin anew"
            )

    def _remedy(self) -> str:
        return (
            "make room or mend the folder's rights, then run the same command again: "
            f"it continues from round {self.latest}"
        )

    def go_back(self, round_: int) -> None:
        """Deletes the checkpoints of later rounds, which are going to be done again.

        Raises:
          InputError: they cannot be deleted.
        """
        with explained(self._folder):
            for later in self._manager.all_steps():
                if later > round_:
                    self._manager.delete(later)

    def restore(self, round_: int, like: Any) -> Any:
        """The state after a round.

        Args:
          round_: one that was saved.
          like: a state of the same shapes.

        Raises:
          InputError: the checkpoint is damaged or of another shape.
        """
        try:
            restored = self._manager.restore(
                round_, args=ocp.args.StandardRestore(_plain(like))
            )
        except Exception as error:
            raise InputError(
                f"{self._folder}: the checkpoint of round {round_} cannot be read "
                f"({one_line(error, 200)}); to continue from the checkpoint before it, "
                f"delete the folder {self._folder / str(round_)}"
            ) from error
        return jax.tree.map(
            _as_it_was, like, restored, is_leaf=lambda leaf: leaf is None
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Orbax's warning that a folder which is only read is read only."""
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _plain(state: Any) -> Any:
    """NumPy's arrays, which Orbax takes from one of several processes as well.

    None for those without elements, which it does not save.
    """

    def plain(leaf: jax.Array) -> np.ndarray | None:
        if not leaf.size:
            return None
        return np.asarray(data_of(leaf))

    return jax.tree.map(plain, state)


def _as_it_was(like: Any, new: np.ndarray | None) -> Any:
    if new is None:
        return like
    return key_with(jnp.asarray(new)) if is_key(like) else jnp.asarray(new)
