"""Ctrl-C while programs are compiled and run: it is heard, whatever it lands in.

    with heard():
        for state in rounds:
            keep(state)
            check()

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


class _Hearing:
    """What came within a block of `heard`."""

    def __init__(self) -> None:
        self.came = False
        self._again: threading.Timer | None = None

    def come_again(self) -> None:
        """A moment later, for where it was ignored it would be ignored once more."""
        where = threading.main_thread().ident, signal.SIGINT
        self._again = threading.Timer(AGAIN_AFTER, signal.pthread_kill, where)
        self._again.daemon = True
        self._again.start()

    def once(self) -> None:
        """What has been heard does not come again."""
        if self._again is not None:
            self._again.cancel()


_hearing: list[_Hearing] = []
"""The block of `heard` that the main thread is in, if it is in one."""


@contextmanager
def heard() -> Iterator[None]:
    """Remembers a Ctrl-C for `check`, and lets one that Python ignores come again.

    Only what would have raised is remembered, so a handler of the user's own that does
    not is left alone. In other threads, within another such block, and where SIGINT has
    no handler of Python's, it does nothing.

    Raises:
      KeyboardInterrupt: there was a Ctrl-C that has stopped nothing.
    """
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    if _hearing or not _in_main_thread() or not callable(handler):
        yield
        return
    hearing, own = _Hearing(), handler

    def remember(number: int, frame: Any) -> Any:
        try:
            return own(number, frame)
        except KeyboardInterrupt:
            hearing.came = True
            raise

    def ignored(what: Any) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            hearing.come_again()
        else:
            hook(what)

    try:
        _hearing.append(hearing)
        sys.unraisablehook = ignored
        signal.signal(signal.SIGINT, remember)
        yield
    finally:
        _hearing.clear()
        sys.unraisablehook = hook
        hearing.once()
        signal.signal(signal.SIGINT, handler)
    if hearing.came:
        raise KeyboardInterrupt


def check() -> None:
    """Stops what a Ctrl-C within `heard` has not stopped yet.

    Raises:
      KeyboardInterrupt: there was one.
    """
    if _in_main_thread() and _hearing and _hearing[0].came:
        _hearing[0].once()
        raise KeyboardInterrupt


def is_behind(error: BaseException | None, outer: BaseException | None = None) -> bool:
    """Whether Ctrl-C is behind an error; JAX and NumPy wrap it on its way out.

    Args:
      error: that was caught.
      outer: what was being handled before, which is not the reason.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
        if error is outer:
            return False
    return error is not None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
