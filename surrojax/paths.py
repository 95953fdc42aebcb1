"""A path as a user gives it."""

import os
from pathlib import Path

from surrojax.errors import InputError


def path_of(given: str | os.PathLike[str]) -> Path:
    """The path that a user means, `~` and `~name` with it.

    Raises:
      InputError: nobody of that name has a home.
    """
    path = Path(given)
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{path}: {path.parts[0]} is nobody's home on this machine; write out the "
            "whole path"
        ) from error
