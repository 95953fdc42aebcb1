"""TensorBoard events of a run, by tensorboardX, which needs no TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX import SummaryWriter


class Board:
    """The event files of a run. A context manager.

    Args:
      folder: where the event files go.
      done: rounds of earlier processes; what they wrote beyond that is discarded by
        TensorBoard.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def add(self, record: dict[str, Any]) -> None:
        """Adds the numbers of a round's record."""
        for name, value in _scalars(record):
            self._writer.add_scalar(name, value, record["round"])


def _scalars(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value
