"""All methods by the names that the command line takes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from ml_collections import ConfigDict

from surrojax.baselines import ours, pbt, plain
from surrojax.baselines.attempt import Attempt, Kept
from surrojax.baselines.black_box import TUNERS, tuned_by
from surrojax.baselines.external import load
from surrojax.baselines.replay import SOURCE, replay, replay_last
from surrojax.errors import InputError
from surrojax.fields import check_known

OURS = SOURCE
"""The method itself; what the others are compared with."""

LONGER_START = "longer_start"
"""A row's name; with `_NAME` after it, that of the same for the config NAME."""

HYPERBAND = ("hyperband", "play")
"""Of `external.load`."""


Kind = Literal["ours", "replay", "tuner", "fixed"]
"""What a method does: ours, follow a schedule of ours, search, or train one setting."""

Budgets = Literal["any", 1, 10]

OF_OURS: Budgets = 1
"""A config of the method is what budget 1 is."""


def _takes(budgets: Budgets, budget: float) -> bool:
    return budgets in ("any", budget)


@dataclass(frozen=True)
class Entry:
    """A method.

    Attributes:
      play: one run of it.
      kind: what it does.
      budgets: `any`; or it has a cost of its own, and is run at budget 1 alone, or at
        budget 10 alone.
      network: for which it is; None: for any.
    """

    play: Callable[[Attempt], Kept]
    kind: Kind
    budgets: Budgets = "any"
    network: str | None = None

    def takes(self, budget: float) -> bool:
        """Whether there is a run of this budget."""
        return _takes(self.budgets, budget)


def _hyperband(attempt: Attempt) -> Kept:
    return load(*HYPERBAND)(attempt)


Methods = Mapping[str, Entry]

METHODS: Methods = {
    "untuned": Entry(plain.once(plain.untuned), "fixed", 1),
    "defaults": Entry(plain.once(plain.defaults), "fixed", 1),
    "dropout": Entry(plain.once(plain.dropout), "fixed", 1),
    "start": Entry(plain.once(plain.start_of(OURS)), "fixed", 1),
    "twice": Entry(plain.repeated(plain.dropout), "fixed"),
    "twice_untuned": Entry(plain.repeated(plain.untuned), "fixed"),
    "longer": Entry(plain.longer(plain.dropout), "fixed"),
    "longer_untuned": Entry(plain.longer(plain.untuned), "fixed"),
    LONGER_START: Entry(plain.longer(plain.start_of(OURS)), "fixed"),
    "random": Entry(plain.random, "tuner"),
    "grid": Entry(plain.grid, "tuner"),
    "grid_paper": Entry(plain.grid_paper, "tuner", 10, "resnet20"),
    **{name: Entry(tuned_by(name), "tuner") for name in TUNERS},
    "hyperband": Entry(_hyperband, "tuner"),
    "pbt": Entry(pbt.play, "tuner"),
    "replay": Entry(replay, "replay", 1),
    "replay_last": Entry(replay_last, "replay", 1),
}

NAMES = (OURS, *METHODS)


def methods_of(config: ConfigDict, others: Mapping[str, ConfigDict]) -> Methods:
    """All methods of a comparison.

    Args:
      config: of the method.
      others: further configs of it, by the names of their rows; one may be called
        `OURS`.
    """
    configs = {OURS: config} | dict(others)
    rows = {
        name: Entry(partial(ours.play, of), "ours", OF_OURS)
        for name, of in configs.items()
    }
    held = METHODS[LONGER_START]
    starts = {
        row: replace(held, play=plain.longer(plain.start_of(name)))
        for row, name in _starts(others).items()
    }
    return {**METHODS, **rows, **starts}


def start_row(name: str) -> str:
    """The row of where the search of a further config begins, held."""
    return f"{LONGER_START}_{name}"


def _starts(others: Iterable[str]) -> dict[str, str]:
    """These rows of all further configs, and whose search it is that begins there."""
    # That of `OURS` is `LONGER_START` itself.
    return {start_row(name): name for name in others if name != OURS}


def baseline_of(row: str) -> Entry | None:
    """What a row is, by its name alone; None: a config of the method."""
    held = row.startswith(start_row(""))
    return METHODS.get(LONGER_START if held else row)


def check(
    names: Sequence[str], others: Sequence[str], budgets: Sequence[float]
) -> None:
    """Checks that all methods can be run here.

    Args:
      names: asked for.
      others: names of further configs.
      budgets: asked for.

    Raises:
      InputError: one is unknown, has no run of any of the budgets, or wants a package
        that is missing, or another config has the name of a baseline.
    """
    _check_names(names, others)
    _check_budgets(names, budgets)
    external = TUNERS | {"hyperband": HYPERBAND}
    for name in names:
        if name in external:
            load(*external[name])


def _check_budgets(names: Sequence[str], budgets: Sequence[float]) -> None:
    for name in names:
        baseline = baseline_of(name)
        only = OF_OURS if baseline is None else baseline.budgets
        if not any(_takes(only, budget) for budget in budgets):
            raise InputError(
                f"--budgets: {name} is run at {only} alone; add {only}, or leave "
                f"{name} out"
            )


def _check_names(names: Sequence[str], others: Sequence[str]) -> None:
    for name in others:
        if baseline_of(name) is not None:
            raise InputError(
                f"--ours: {name} is the name of a baseline; give another, as NAME=FILE"
            )
    starts = _starts(others)
    for name in names:
        if name.startswith(start_row("")) and name not in starts:
            other = name.removeprefix(start_row(""))
            raise InputError(
                f"--methods: {name} wants another config, --ours={other or 'NAME'}=FILE"
            )
        check_known("--methods", name, [*NAMES, *others, *starts])
