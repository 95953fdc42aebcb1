"""One atomic checkpoint a round; the only module that knows Orbax."""

import shutil
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from surrojax.errors import InputError


class Checkpoints:
    """The checkpoints of a run, by round.

    A checkpoint is written beside the others and then renamed, so that a process
    killed at any moment leaves the last whole one. The latest two are kept.
    """

    def __init__(self, folder: Path) -> None:
        # Orbax takes a relative path without a word and fails later, in a thread.
        self._folder = folder.absolute()
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=2,
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
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
            self._manager.save(
                round_, args=ocp.args.StandardSave(_without_empty(state))
            )
        # Orbax raises whatever its storage driver does, a plain Exception included.
        except Exception as error:
            raise InputError(
                f"{self._folder}: the checkpoint of round {round_} could not be "
                f"written ({_one_line(error)}); {self._remedy()}"
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
                round_, args=ocp.args.StandardRestore(_without_empty(like))
            )
        except Exception as error:
            raise InputError(
                f"{self._folder}: the checkpoint of round {round_} cannot be read "
                f"({_one_line(error)}); delete the folder {self._folder / str(round_)} "
                "to continue from the checkpoint before it"
            ) from error
        return jax.tree.map(
            lambda there, new: there if new is None else new,
            like,
            restored,
            is_leaf=lambda leaf: leaf is None,
        )


def _without_empty(state: Any) -> Any:
    """None for arrays without elements, which Orbax does not save."""
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, state)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:200] + "..."
