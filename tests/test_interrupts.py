"""Ctrl-C is heard, whatever it lands in."""

import gc
import signal
import sys
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
