"""TensorBoard events of a run, by tensorboardX, which needs no TensorFlow."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter


class Board:
    """The event files of a run, made anew from its records.

    A killed process loses the events that it had not flushed, so those of earlier
    processes are not built upon.

    Args:
      folder: where the event files go; what is in it is deleted.
      records: of the rounds done so far.
    """

    def __init__(self, folder: Path, records: Iterable[dict[str, Any]]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = SummaryWriter(str(folder))
        for record in records:
            self.add(record)

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()

    def add(self, record: dict[str, Any]) -> None:
        """Adds the numbers of a round's record."""
        for name, value in _scalars(record):
            self._writer.add_scalar(name, value, record["round"])
        self._writer.flush()


def _scalars(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value
