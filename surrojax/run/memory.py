"""What a user can do where a device's memory does not suffice."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from surrojax.errors import InputError, one_line

EXHAUSTED = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "ALLOC_FAILED")
"""What XLA's words hold then, or those of the libraries that it calls."""


def is_exhausted(error: BaseException) -> bool:
    """Whether a device's memory did not suffice."""
    return any(word in str(error) for word in EXHAUSTED)


@contextmanager
def enough(remedy: str) -> Iterator[None]:
    """Says in a line that what is done in here wants more memory than there is.

    Args:
      remedy: what to do then.

    Raises:
      InputError: it does.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not is_exhausted(error):
            raise
        raise InputError(
            f"memory: {one_line(error, 120).rstrip('.')}; {remedy}"
        ) from error
