"""How far a run has come: a bar on a terminal, one line a round elsewhere.

What a user asks for with --verbose is logged by the logger "surrojax" at level DEBUG.
"""

import logging
import os
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.run.learnt import Stalled

COLUMNS, LINES = 80, 24
"""Of a terminal that says its size is 0, as those of `script` and some containers."""

_log = logging.getLogger("surrojax")


class Progress:
    """Progress by round, with the time that is left.

    Args:
      plan: NI of each round of the whole run.
      done: rounds that an earlier process did.
      quiet: show nothing.
      budget: seconds that all rounds to come may take together.
      stalled: notices that nothing is learnt, which is said.
    """

    def __init__(
        self,
        plan: Sequence[int],
        done: int,
        quiet: bool,
        budget: float | None = None,
        stalled: Stalled | None = None,
    ) -> None:
        self._plan, self._quiet, self._budget = plan, quiet, budget
        self._stalled = stalled
        self._warm = False
        on_terminal = sys.stderr.isatty() and not quiet
        # Below the bar of a sweep, it goes away when the run ends.
        self._bar = (
            tqdm(
                total=len(plan),
                initial=done,
                unit="round",
                leave=None,
                **_size(),
            )
            if on_terminal
            else None
        )

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def update(self, record: Record) -> None:
        """Shows a round's record."""
        validation = 100 * record["original"]["validation_accuracy"]
        text = f"validation {validation:.2f} %"
        if "test" in record:
            text += f", test {100 * record['test']['original']['accuracy']:.2f} %"
        if self._budget is not None:
            self._budget = max(0.0, self._budget - record["seconds"])
        if self._bar is not None:
            self._bar.set_postfix_str(text)
            self._bar.update()
        elif not self._quiet:
            text += f", {record['seconds']:.1f} s"
            done = record["round"]
            pace = record["seconds"] / self._plan[done - 1]
            left = pace * sum(self._plan[done:])
            if self._budget is not None:
                left = min(left, self._budget)
            # The first round compiles, so it says nothing about the others.
            if self._warm and left:
                text += f", about {duration(left)} left"
            self._warm = True
            say(f"round {done}/{len(self._plan)}, step {record['step']}: {text}")
        if "undone" in record:
            say(f"mind: {undone(record)}", self._quiet)
        accuracy = record["original"]["validation_accuracy"]
        is_last = record["round"] == len(self._plan)
        if not is_last and self._stalled and (told := self._stalled.told(accuracy)):
            say(f"mind: {told}", self._quiet)

    def detail(
        self, record: Record, stages: Mapping[str, float], name: str = ""
    ) -> None:
        """Logs what a round tried and found, for those who want to know.

        Args:
          record: of the round.
          stages: the seconds of its parts, where they are known.
          name: of the run, where there are several.
        """
        if not self._quiet and _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s%s", f"  {name}\n" if name else "", details(record, stages))


class Runs:
    """Progress over several runs, one after the other. A context manager.

    Args:
      kinds: of each run, in their order; those of one kind take about equally long.
      quiet: show nothing.
    """

    def __init__(self, kinds: Sequence[Hashable], quiet: bool) -> None:
        self._kinds, self._quiet = kinds, quiet
        self._done = 0
        self._seconds: dict[Hashable, list[float]] = {}
        on_terminal = sys.stderr.isatty() and not quiet and len(kinds) > 1
        # The time that is left is told by the runs that have finished.
        form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} runs{postfix}"
        self._bar = (
            tqdm(total=len(kinds), desc="all", bar_format=form, **_size())
            if on_terminal
            else None
        )

    def __enter__(self) -> "Runs":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin(self, name: str) -> None:
        """Says which run begins."""
        say(f"== {self._done + 1}/{len(self._kinds)} {name}", self._quiet)

    def end(self, told: str, seconds: float | None) -> None:
        """Says how a run ended.

        Args:
          told: what it found.
          seconds: what all its rounds took; None: it failed.
        """
        if seconds is not None:
            self._seconds.setdefault(self._kinds[self._done], []).append(seconds)
        self._done += 1
        left = self._left()
        say(f"   {told}{f'; {left} for the others' if left else ''}", self._quiet)
        if self._bar is not None:
            self._bar.set_postfix_str(left)
            self._bar.update()

    def _left(self) -> str:
        """Nothing while a kind is to come of which no run has finished."""
        rest = self._kinds[self._done :]
        if not rest or not set(rest) <= self._seconds.keys():
            return ""
        means = {kind: sum(took) / len(took) for kind, took in self._seconds.items()}
        return f"about {duration(sum(means[kind] for kind in rest))} left"


def _size() -> dict[str, Any]:
    """What tqdm is told of the terminal's size; it shows nothing on one of size 0."""
    try:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # a notebook's, or another's
        columns = lines = 0
    if columns and lines:
        return {"dynamic_ncols": True}
    return {"ncols": (columns or COLUMNS) - 1, "nrows": (lines or LINES) - 1}


def details(record: Record, stages: Mapping[str, float]) -> str:
    """What a round tried and found, in some lines.

    Args:
      record: of the round.
      stages: the seconds of its parts, where they are known.
    """
    tried = [
        f"{name}: {_figures(of['original'])}" for name, of in record["stage1"].items()
    ]
    lines = [
        f"trained with {_setting(record.get('undone') or record['hyper'])}",
        f"of stage 1, the {_kept(record)} is kept; {'; '.join(tried)}",
    ]
    candidates = [c for c in record.get("candidates", ()) if c["score"] is not None]
    if candidates:
        best = max(candidates, key=lambda c: c["score"])
        lines.append(
            f"best of {len(record['candidates'])} candidates: score "
            f"{best['score']:.4f}, {_figures(best)}, {_setting(best['hyper'])}"
        )
    if "current_best" in record:
        lines.append(f"next: {_setting(record['current_best'])}")
    if stages:
        rest = max(0.0, record["seconds"] - sum(stages.values()))
        parts = (f"{n} {s:.2f}" for n, s in {**stages, "other": rest}.items())
        lines.append(f"seconds: {', '.join(parts)}")
    return "\n".join(f"  {line}" for line in lines)


def undone(record: Record) -> str:
    """A line on a round that was undone."""
    tried = record["stage1"]["current"]
    accuracy = 100 * tried["original"]["validation_accuracy"]
    why = f"validation accuracy fell to {accuracy:.2f} %"
    if any(of and of["validation_cross_entropy"] is None for of in tried.values()):
        why = "the losses are not finite"
    return (
        f"round {record['round']} is undone: {why} with {_setting(record['undone'])}; "
        "the network is kept as it was"
    )


def _kept(record: Record) -> str:
    return "network as it was" if "undone" in record else str(record["chosen"])


def _setting(hyper: Mapping[str, float]) -> str:
    """A setting without what is off in it."""
    on = (f"{name} {value:.2g}" for name, value in hyper.items() if value)
    return ", ".join(on) or "no regularisation"


def _figures(of: Record) -> str:
    loss = of["validation_cross_entropy"]
    return f"validation {100 * of['validation_accuracy']:.2f} %, cross-entropy " + (
        "not finite" if loss is None else f"{loss:.3f}"
    )


def say(text: str, quiet: bool = False) -> None:
    """A line of its own, above the bars where there are some."""
    if not quiet:
        with tqdm.external_write_mode():
            print(text, flush=True)


def show_log(quiet: bool, verbose: bool) -> None:
    """Says the package's messages, such as that a database is being prepared.

    Args:
      quiet: none of them.
      verbose: those, too, that say what each round tried and found.

    Raises:
      InputError: both are asked for.
    """
    if quiet and verbose:
        raise InputError("--quiet, --verbose: give one of them")
    if not quiet:
        _log.setLevel(logging.DEBUG if verbose else logging.INFO)
        _log.propagate = False
        _log.addHandler(_Say())


def show_warnings() -> None:
    """Says the package's warnings on stderr, each as a plain line."""
    _log.propagate = False
    _log.addHandler(logging.StreamHandler())


class _Say(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def duration(seconds: float, digits: int = 0) -> str:
    """A time in words: `40 s`, `12 min`, `3.4 h`.

    Args:
      seconds: how long.
      digits: after the point, of seconds and minutes.
    """
    if seconds < 90:
        return f"{seconds:.{digits}f} s"
    if seconds < 5400:
        return f"{seconds / 60:.{digits}f} min"
    return f"{seconds / 3600:.1f} h"
