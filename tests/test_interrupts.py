"""Ctrl-C is heard, whatever it lands in."""

import contextlib
import gc
import signal
import sys
import threading
import time

import pytest

from surrojax import interrupts


@pytest.fixture
def swallowing(ctrl_c):
    """A callback of the garbage collector into which the next Ctrl-C falls."""

    def swallow(phase, info):
        if phase == "start" and calls.pop():
            signal.raise_signal(signal.SIGINT)

    calls = [False, True]  # of the second collection and of the first
    gc.disable()
    gc.callbacks.append(swallow)
    yield
    gc.callbacks.remove(swallow)
    gc.enable()


@pytest.mark.usefixtures("swallowing")
def test_what_the_garbage_collectors_callback_swallows_comes_again():
    before, survived = sys.unraisablehook, False
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        gc.collect()
        survived = True
        time.sleep(30)
        survived = False
    assert survived and sys.unraisablehook is before


@pytest.mark.usefixtures("swallowing")
def test_it_comes_once():
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        gc.collect()
        interrupts.check()
    time.sleep(3 * interrupts.AGAIN_AFTER)


def raised():
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
def test_what_code_below_swallows_stops_the_next_round():
    survived = False
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        interrupts.check()
        raised()
        survived = True
        interrupts.check()
        survived = False
    assert survived
    interrupts.check()  # what came before the end is forgotten
    with interrupts.heard():
        interrupts.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("inner", [contextlib.nullcontext, interrupts.heard])
def test_what_comes_after_the_last_round_is_heard_at_the_end(inner):
    survived = False
    with pytest.raises(KeyboardInterrupt), interrupts.heard():
        with inner():
            raised()
        survived = True
    assert survived


def test_a_handler_of_the_user_s_own_that_goes_on_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with interrupts.heard():
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


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
    assert not interrupts.is_behind(around, wrapped)
    assert not interrupts.is_behind(None)
