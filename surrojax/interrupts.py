"""Ctrl-C while compiled programs run: it is heard, whatever it lands in."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_AFTER = 0.1
"""Seconds after which a Ctrl-C that was ignored comes again."""


@contextmanager
def heard() -> Iterator[None]:
    """Lets a Ctrl-C come again where Python ignores what is raised.

    It lands in the first Python that runs once a compiled program is done, and that is
    often JAX's callback of the garbage collector, out of which no exception comes: the
    run would go on.
    """
    before = sys.unraisablehook

    def hook(ignored: Any) -> None:
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            before(ignored)
            return
        # A moment later, for within the hook it would be ignored as well.
        where = threading.main_thread().ident, signal.SIGINT
        again = threading.Timer(AGAIN_AFTER, signal.pthread_kill, where)
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def is_behind(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error; JAX and NumPy wrap it on its way out."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
