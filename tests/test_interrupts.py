"""Ctrl-C is heard, whatever it lands in."""

import contextlib
import gc
import signal
import sys
import threading
import time

import pytest

from surrojax import interrupts


@pytest.mark.usefixtures("ctrl_c")
def test_what_the_garbage_collectors_callback_swallows_comes_again():
    def swallow(phase, info):
        if calls.pop():
            signal.raise_signal(signal.SIGINT)

    calls = [False, False, True]  # of the next collection, when it begins
    gc.disable()
    gc.callbacks.append(swallow)
    before = sys.unraisablehook
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.heard():
            gc.collect()
            survived = True
            time.sleep(30)
    finally:
        gc.callbacks.remove(swallow)
        gc.enable()
    assert survived and sys.unraisablehook is before


@pytest.mark.usefixtures("ctrl_c")
def test_what_code_below_swallows_stops_the_next_round():
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        interrupts.check()
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        survived = True
        interrupts.check()
    assert survived
    interrupts.check()  # what came before the end is forgotten
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.heard():
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_leaves_the_signal_alone():
    def look():
        with interrupts.heard():
            found.append(signal.getsignal(signal.SIGINT))

    before, found = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]


def test_what_else_is_ignored_is_told_as_ever(monkeypatch):
    class Broken:
        def __del__(self):
            raise OSError("on its way out")

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda of: told.append(of.exc_value))
    with interrupts.heard():
        Broken()
    assert [str(error) for error in told] == ["on its way out"]


def test_ctrl_c_is_found_behind_an_error():
    wrapped = RuntimeError("INTERNAL: a callback failed")
    wrapped.__cause__ = KeyboardInterrupt()
    around = ValueError("while compiling")
    around.__context__ = wrapped
    assert interrupts.is_behind(around)
    assert not interrupts.is_behind(ValueError("of its own"))
    assert not interrupts.is_behind(None)
