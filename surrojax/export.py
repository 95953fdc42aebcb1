"""Writes what a run found as files for other programs.

    python -m surrojax.export runs/fer2013_lenet schedule.json weights.npz
    python -m surrojax.export runs/fer2013_lenet longer.json --steps=50000

The ending of each OUT says what goes into it: the schedule as .csv or .json, the
network's weights as .safetensors or .npz. A schedule is stretched to a training of
another length with --steps.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surrojax.errors import InputError
from surrojax.paths import path_of
from surrojax.run.progress import say

if TYPE_CHECKING:
    from surrojax.schedule import Schedule


def export(
    run: str | os.PathLike[str],
    outs: Sequence[str | os.PathLike[str]],
    best: bool = False,
    steps: int | None = None,
) -> "Schedule":
    """Writes a run's schedule and weights.

    Args:
      run: its folder, of launch.py or of `surrojax.tune`.
      outs: files; their endings say what goes into each. Nothing is written unless all
        of them can be made.
      best: whether the weights are those of the round of the highest validation
        accuracy; else of the last round.
      steps: of a training to which the schedule is stretched, as
        `Schedule.stretched` does; None: it stays as it is.

    Returns:
      The schedule.

    Raises:
      InputError: the folder holds no such run, an ending is unknown, or the schedule
        cannot be stretched to so few steps.
    """
    from surrojax import weights
    from surrojax.run import replay
    from surrojax.run.loading import load
    from surrojax.run.records import refuse_owned

    known = (*replay.SUFFIXES, *weights.SUFFIXES)
    files = [path_of(out) for out in outs]
    for file in files:
        if file.suffix not in known:
            raise InputError(f"{file}: give it one of the endings {', '.join(known)}")
        if not file.parent.is_dir():
            raise InputError(f"{file}: there is no folder {file.parent}; make it")
        refuse_owned(file)  # before any is written
    if steps is not None and not any(file.suffix in replay.SUFFIXES for file in files):
        raise InputError(
            f"steps: {steps} are given for a schedule, and no file is to hold one; "
            f"name one with {' or '.join(replay.SUFFIXES)}"
        )
    path = path_of(run)
    result = load(path)
    schedule, tree = result.schedule, dict[str, Any]()
    if steps is not None:
        schedule = schedule.stretched(steps)
    if any(file.suffix in weights.SUFFIXES for file in files):
        tree = weights.whole((result.best if best else result).variables)
    for file in files:
        if file.suffix in replay.SUFFIXES:
            replay.write_schedule(schedule, file)
        else:
            weights.save(file, tree)
    return schedule


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m surrojax.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="the folder of a run")
    parser.add_argument(
        "out", nargs="+", type=Path, help=".csv, .json, .safetensors or .npz"
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="the weights of the highest validation accuracy, not of the last round",
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="the schedule is stretched to a training of N steps",
    )
    given = parser.parse_args(arguments)
    try:
        schedule = export(given.run, given.out, given.best, given.steps)
    except InputError as error:
        print(f"surrojax.export: {error}", file=sys.stderr)
        return 2
    for file in given.out:
        say(str(file))
    if given.steps is not None:
        say(
            f"the schedule is for max_iterations={schedule.ends[-1]} and "
            f"iterations_per_round={schedule.unit} now; stretch "
            "learning_rate.halve_every as well"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
