"""Ctrl-C while programs are compiled and run: it is heard, whatever it lands in.

    with heard():
        for state in rounds:
            check()
            ...

It lands in the first Python that runs once a compiled program is done, often in JAX's
callback of the garbage collector, out of which no exception comes; or in what JAX tries
and gives up quietly while it traces. The run would go on.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_AFTER = 0.1
"""Seconds after which a Ctrl-C that a callback ignored comes again."""

_came = threading.Event()


@contextmanager
def heard() -> Iterator[None]:
    """Remembers a Ctrl-C for `check`, and lets one that Python ignores come again.

    Where SIGINT has no handler of Python's, and in threads, nothing is remembered.
    """
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    remembers = in_main and callable(handler)

    def remember(number: int, frame: Any) -> Any:
        _came.set()
        return handler(number, frame) if callable(handler) else None

    sys.unraisablehook = _again_or(hook)
    if remembers:
        signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        if remembers:
            signal.signal(signal.SIGINT, handler)
            _came.clear()
        sys.unraisablehook = hook


def check() -> None:
    """Stops what a Ctrl-C within `heard` has not stopped yet.

    Raises:
      KeyboardInterrupt: there was one.
    """
    if _came.is_set():
        raise KeyboardInterrupt


def is_behind(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error; JAX and NumPy wrap it on its way out."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _again_or(before: Any) -> Any:
    """A hook for what Python ignores: Ctrl-C comes again, all else goes to another."""

    def hook(ignored: Any) -> None:
        if not issubclass(ignored.exc_type, KeyboardInterrupt):
            before(ignored)
            return
        # A moment later, for within the hook it would be ignored as well.
        where = threading.main_thread().ident, signal.SIGINT
        again = threading.Timer(AGAIN_AFTER, signal.pthread_kill, where)
        again.daemon = True
        again.start()

    return hook
