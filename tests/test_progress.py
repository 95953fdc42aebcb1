"""What a user is told while runs go on."""

import fcntl
import logging
import os
import pty
import re
import struct
import sys
import termios
from contextlib import suppress

import pytest

from surrojax.run import progress
from surrojax.run.progress import Progress, Runs, details, duration

EVALUATION = {"validation_accuracy": 0.25, "validation_cross_entropy": 1.5}
RECORD = {
    "round": 2,
    "step": 20,
    "seconds": 4.0,
    "hyper": {"lambda_z": 1.234e-5, "p_z": 0.5},
    "chosen": "previous",
    "stage1": {
        "current": {"original": EVALUATION | {"validation_cross_entropy": None}},
        "previous": {"original": EVALUATION},
    },
    "original": EVALUATION,
    "test": {"original": {"accuracy": 0.5}},
    "candidates": [
        EVALUATION | {"score": None, "hyper": {"p_z": 0.1}},
        EVALUATION | {"score": 0.2, "hyper": {"p_z": 0.2}},
        EVALUATION | {"score": 0.3, "hyper": {"p_z": 0.3}},
    ],
    "current_best": {"p_z": 0.4},
}


@pytest.fixture
def log():
    """The package's logger, which is as it was after the test."""
    log = logging.getLogger("surrojax")
    before = (log.level, log.propagate, list(log.handlers))
    yield log
    log.level, log.propagate, log.handlers = before


@pytest.fixture
def verbose(log):
    progress.show_log(quiet=False, verbose=True)


def test_warnings_are_plain_lines_on_stderr(capsys, log):
    progress.show_warnings()
    log.info("a database is being prepared")
    log.warning("b.png: cannot be read")
    assert capsys.readouterr() == ("", "b.png: cannot be read\n")


def test_the_details_of_a_round():
    assert details(RECORD, {"stage 1": 2.5, "stage 2": 1.0}).splitlines() == [
        "  trained with lambda_z 1.2e-05, p_z 0.5",
        "  of stage 1, the previous is kept; current: validation 25.00 %, "
        "cross-entropy not finite; previous: validation 25.00 %, cross-entropy 1.500",
        "  best of 3 candidates: score 0.3000, validation 25.00 %, cross-entropy "
        "1.500, p_z 0.3",
        "  next: p_z 0.4",
        "  seconds: stage 1 2.50, stage 2 1.00, other 0.50",
    ]


def test_details_where_nothing_is_tuned_and_nothing_was_timed():
    plain = {k: v for k, v in RECORD.items() if k not in ("candidates", "current_best")}
    assert len(details(plain, {}).splitlines()) == 2


def test_what_is_off_in_a_setting_is_not_told():
    none = RECORD | {"hyper": {"lambda_z": 0.0, "p_z": 0.0}}
    assert details(none, {}).startswith("  trained with no regularisation\n")
    some = RECORD | {"hyper": {"lambda_z": 0.0, "p_z": 0.25}}
    assert details(some, {}).startswith("  trained with p_z 0.25\n")


def test_details_are_for_those_who_ask(capsys, verbose):
    Progress([10] * 5, 0, quiet=True).detail(RECORD, {})
    assert capsys.readouterr().out == ""
    Progress([10] * 5, 0, quiet=False).detail(RECORD, {}, "seed 3")
    assert capsys.readouterr().out.splitlines()[:2] == (
        ["  seed 3", "  trained with lambda_z 1.2e-05, p_z 0.5"]
    )


def test_longer_rounds_take_longer(capsys):
    shown = Progress([10, 10, 20, 20], 0, quiet=False)
    shown.update(RECORD | {"round": 1})
    shown.update(RECORD | {"round": 2})  # of 4 s
    assert capsys.readouterr().out.splitlines()[1].endswith("4.0 s, about 16 s left")


def test_no_more_time_is_left_than_the_budget_has(capsys):
    shown = Progress([10] * 1000, 0, quiet=False, budget=100.0)
    shown.update(RECORD | {"round": 1})
    shown.update(RECORD)
    assert capsys.readouterr().out.splitlines()[1] == (
        "round 2/1000, step 20: validation 25.00 %, test 50.00 %, 4.0 s, about 2 min "
        "left"
    )


def test_the_time_left_is_that_of_the_runs_that_have_finished(capsys):
    with Runs(["tuned"] * 4, quiet=False) as runs:
        for told, seconds in (("a", 10.0), ("failed", None), ("b", 30.0)):
            runs.begin("x")
            runs.end(told, seconds)
    assert capsys.readouterr().out.splitlines() == [
        "== 1/4 x",
        "   a; about 30 s left for the others",
        "== 2/4 x",
        "   failed; about 20 s left for the others",
        "== 3/4 x",
        "   b; about 20 s left for the others",
    ]


def test_runs_of_another_kind_say_nothing_of_the_time_left(capsys):
    kinds = ["untuned", "tuned", "untuned", "tuned"]
    with Runs(kinds, quiet=False) as runs:
        for seconds in (10.0, 40.0, 20.0, 40.0):
            runs.begin("x")
            runs.end("a", seconds)
    told = capsys.readouterr().out.splitlines()[1::2]
    # After the second, one of either kind is left: 10 s and 40 s.
    assert told == [
        *("   a", "   a; about 50 s left for the others"),
        *("   a; about 40 s left for the others", "   a"),
    ]


@pytest.mark.parametrize(
    ("lines", "columns", "shown"), [(0, 0, 79), (0, 60, 59), (24, 0, 79), (24, 60, 59)]
)
def test_a_terminal_of_size_0_has_its_bars(lines, columns, shown, monkeypatch):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = Progress([10] * 3, 0, quiet=False)
        bar.update(RECORD)
        bar.close()
        with Runs(["a", "b"], quiet=False):
            pass
    told = b""
    # Once nobody writes to it any more, a terminal has an error for its end.
    with suppress(OSError):
        while part := os.read(ours, 10_000):
            told += part
    os.close(ours)
    bars = [part for part in re.split(r"[\r\n]+", told.decode()) if "|" in part]
    assert any("1/3 " in bar for bar in bars) and any("0/2 runs" in bar for bar in bars)
    assert max(map(len, bars)) == shown


@pytest.mark.parametrize(
    ("seconds", "rounded", "exact"),
    [
        (60, "60 s", "60.0 s"),
        (89.9, "90 s", "89.9 s"),
        (90, "2 min", "1.5 min"),
        (5399, "90 min", "90.0 min"),
        (5400, "1.5 h", "1.5 h"),
        (7200, "2.0 h", "2.0 h"),
    ],
)
def test_a_time_is_in_the_unit_that_a_reader_would_use(seconds, rounded, exact):
    assert (duration(seconds), duration(seconds, 1)) == (rounded, exact)
