"""The method itself, as one row among the others."""

import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from surrojax import experiment, filenames
from surrojax.algorithm import DivergedError
from surrojax.baselines.attempt import Attempt, Bill, Kept
from surrojax.baselines.trainer import Trial
from surrojax.errors import InputError
from surrojax.fields import flatten
from surrojax.run.files import read_json
from surrojax.run.progress import say
from surrojax.run.sweep import at
from surrojax.settings import resolve

SHARED = (
    "network",
    "dataset",
    "batch_size",
    "init_from",
)
"""Fields without which two rows of a table could not be compared."""

CARRIED = (*SHARED, "execution")
"""Fields, and groups, that another config takes over where they are given as flags.

How long it trains, and at what rates, is its own: the budget of the others follows it.
"""


def alike(config: ConfigDict, main: ConfigDict, overrides: Mapping[str, Any]) -> Any:
    """Another config of the method, on the data of the main one.

    Args:
      config: of its file.
      main: of the comparison.
      overrides: fields of the main one that were given as flags; those that say what
        is trained, and not how it is tuned, are taken over.

    Raises:
      InputError: it cannot be run, or not be compared.
    """
    taken = {f: v for f, v in overrides.items() if f.split(".")[0] in CARRIED}
    changed = resolve(at(config, taken))
    here, there = (dict(flatten(c.to_dict())) for c in (changed, main))
    for field in here:
        if field.split(".")[0] in SHARED and here[field] != there.get(field):
            raise InputError(
                f"{field}: {here[field]!r} in one config, {there.get(field)!r} in the "
                "other; rows of a table share it"
            )
    return changed


def play(config: ConfigDict, attempt: Attempt) -> Kept:
    """One run of the method, or the rest of one that was stopped.

    Of a run that diverges, the network of the round before is kept, as a user would
    keep it, for what it cost up to there.

    Args:
      config: of the method, for all seeds.
      attempt: of this run.

    Raises:
      InputError: it cannot be run.
    """
    if not config.tune:
        raise InputError(
            "config.tune: () leaves the method nothing to search; untuned trains the "
            "network alone"
        )
    seeded = at(config, {"seed": attempt.seed, "replicas": 1})
    options, folder = attempt.options, attempt.folder.own(attempt.run)
    try:
        result = experiment.train(seeded, folder, options.command, options.quiet)
    except InputError as error:
        diverged = isinstance(error.__cause__, DivergedError)
        if not diverged or not (folder / filenames.RESULT).exists():
            raise
        say(str(error), options.quiet)
        result = read_json(folder / filenames.RESULT)
    macs = read_json(folder / filenames.CONFIG)["multiply_accumulates"]
    attempt.bill = Bill(
        original_steps=result["original_steps"],
        surrogate_steps=result["surrogate_steps"],
        seconds=result["seconds"],
        trainings=1,
        ratio=macs["surrogate"] / macs["original"],
    )
    trial = Trial(result["validation_accuracy"], math.nan)
    return Kept(result["hyper"], trial, lambda: result["test_accuracy"])
