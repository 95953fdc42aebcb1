"""Trainings on the disk: each is done once, whichever methods and processes ask."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.run.files import explained, read_json, write_json


class Store:
    """The trainings of a folder.

    Args:
      folder: made if it is missing.
      identity: of the data and of whatever else all its trainings share.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder, self._identity = folder, identity

    def find(self, plan: Any, train: Callable[[], Record]) -> Record:
        """What a training found, from the disk or else by training.

        Another process that is at the same training is waited for.

        Args:
          plan: a dataclass that says all that the training depends on.
          train: does it.
        """
        text = json.dumps([self._identity, asdict(plan)])
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        file = self._folder / f"{name}.json"
        if not file.exists():
            with locked(self._folder / f".{name}.lock", wait=True):
                if not file.exists():
                    write_json(file, {"plan": asdict(plan)} | train())
        return read_json(file)


@contextmanager
def locked(file: Path, wait: bool = False) -> Iterator[bool]:
    """Keeps other processes out; false where one of them has the lock.

    Args:
      file: of the lock; its folder is made if it is missing.
      wait: until the lock is free.

    Raises:
      InputError: there can be no lock here.
    """
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=-1 if wait else 0, poll_interval=0.5)
    except Timeout:
        yield False
        return
    # filelock raises the second where a file system knows no locks.
    except (OSError, NotImplementedError) as error:
        raise InputError(
            f"{file}: cannot lock here ({error}); choose another --workdir"
        ) from error
    try:
        yield True
    finally:
        lock.release()
