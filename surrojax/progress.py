"""How far a run has come: a bar on a terminal, one line a round elsewhere."""

import sys
from typing import Any

from tqdm import tqdm


class Progress:
    """Progress by round, with the time that is left.

    Args:
      rounds: rounds of the whole run.
      done: rounds that an earlier process did.
      quiet: show nothing.
    """

    def __init__(self, rounds: int, done: int, quiet: bool) -> None:
        self._rounds, self._quiet = rounds, quiet
        self._warm = False
        on_terminal = sys.stderr.isatty() and not quiet
        self._bar = (
            tqdm(total=rounds, initial=done, unit="round", dynamic_ncols=True)
            if on_terminal
            else None
        )

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def update(self, record: dict[str, Any]) -> None:
        """Shows a round's record."""
        validation = 100 * record["original"]["validation_accuracy"]
        test = 100 * record["test"]["original"]["accuracy"]
        text = f"validation {validation:.2f} %, test {test:.2f} %"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
            self._bar.update()
        elif not self._quiet:
            text += f", {record['seconds']:.1f} s"
            left = (self._rounds - record["round"]) * record["seconds"]
            # The first round compiles, so it says nothing about the others.
            if self._warm and left:
                text += f", about {_minutes(left)} left"
            self._warm = True
            say(
                f"round {record['round']}/{self._rounds}, step {record['step']}: {text}"
            )


def say(text: str, quiet: bool = False) -> None:
    """A line of its own."""
    if not quiet:
        print(text, flush=True)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
