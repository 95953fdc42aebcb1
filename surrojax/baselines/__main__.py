"""Compares the method with others, from the command line.

    python -m surrojax.baselines --config=configs/fer2013_lenet.py --workdir=DIR \\
        --methods=untuned,dropout,twice,random,surrojax --seeds=0,1,2 --budgets=1,10

A run that has finished is not run again, so the same command goes on with what was
stopped, and several processes may share a folder. The table is made without training:

    python -m surrojax.baselines --workdir=DIR --table
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from absl import flags
from ml_collections import config_flags

from surrojax.baselines import ours
from surrojax.baselines.attempt import Options
from surrojax.baselines.box import RANGES
from surrojax.baselines.methods import NAMES, OURS, start_row
from surrojax.baselines.runner import Asked, Done, run_all
from surrojax.cli import commandline
from surrojax.errors import InputError
from surrojax.run.execution import prepare
from surrojax.run.progress import say, show_log
from surrojax.values import check_complete

T = TypeVar("T")


def _pair(group: str) -> str:
    return ",".join(f"{bound:g}" for bound in RANGES[group])


CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="FILE: The experiment; see Configs below."
)
WORKDIR = flags.DEFINE_string("workdir", None, "DIR: The comparison's folder.")
METHODS = flags.DEFINE_list(
    "methods",
    [],
    f"A,B,...: Of {', '.join(NAMES)}, {start_row('NAME')} of --ours=NAME=FILE.",
)
SEEDS = flags.DEFINE_list("seeds", ["0"], "I,J,...: Of the runs.")
BUDGETS = flags.DEFINE_list(
    "budgets", ["1"], "B,C,...: Multiples of what one run of the method costs."
)
OTHERS = flags.DEFINE_multi_string(
    "ours", [], "[NAME=]FILE: Another config of the method, as a row of its own."
)
BOX_COEFFICIENT = flags.DEFINE_string(
    "box_coefficient",
    _pair("coefficient"),
    "LOW,HIGH: Where all tuners search coefficients.",
)
BOX_RATIO = flags.DEFINE_string(
    "box_ratio", _pair("ratio"), "LOW,HIGH: Where all tuners search dropout ratios."
)
PBT_EVERY = flags.DEFINE_integer(
    "pbt_every", 5, "ROUNDS: Between two exchanges of population-based training."
)
TABLE = flags.DEFINE_bool("table", False, "Shows what has been run, and stops.")
AGAINST = flags.DEFINE_string("against", OURS, "ROW: Over which the table has gains.")
QUIET = flags.DEFINE_bool("quiet", False, "Shows no progress.")
VERBOSE = flags.DEFINE_bool(
    "verbose", False, "Shows what each round of the method tried and found."
)

ABOUT = commandline.About(
    text=__doc__ or "",
    flags=(
        *("config", "workdir", "methods", "seeds", "budgets", "ours", "table"),
        *("against", "box_coefficient", "box_ratio", "pbt_every", "quiet", "verbose"),
        "fields",
    ),
    fields=(
        *("network", "dataset.name", "dataset.dir", "dataset.fold", "init_from"),
        *("batch_size", "max_iterations", "iterations_per_round", "tune"),
    ),
)


def main() -> None:
    show_log(QUIET.value, VERBOSE.value)
    if WORKDIR.value is None:
        raise InputError("give --workdir=DIR")
    if TABLE.value:
        from surrojax.baselines import table  # what it draws with takes seconds

        table.show(WORKDIR.value, AGAINST.value)
        return
    if CONFIG.value is None:
        raise InputError(commandline.MISSING)
    if not METHODS.value:
        raise InputError(f"give --methods, of {', '.join(NAMES)}")
    if CONFIG.value.get("task") == "pretrain":
        raise InputError("--config: pre-training has no baselines; see configs/")
    check_complete(CONFIG.value)
    prepare(CONFIG.value)
    _report(run_all(CONFIG.value, WORKDIR.value, _asked()))


def _asked() -> Asked:
    return Asked(
        methods=METHODS.value,
        seeds=_numbers("seeds", SEEDS.value, int),
        budgets=_numbers("budgets", BUDGETS.value, float),
        others=dict(map(_other, OTHERS.value)),
        options=Options(
            ranges={
                "coefficient": _range("box_coefficient", BOX_COEFFICIENT.value),
                "ratio": _range("box_ratio", BOX_RATIO.value),
            },
            pbt_every=PBT_EVERY.value,
            command=sys.argv,
            quiet=QUIET.value,
        ),
    )


def _numbers(flag: str, words: Sequence[str], kind: Callable[[str], T]) -> list[T]:
    try:
        found = [kind(word) for word in words]
    except ValueError:
        found = []
    if not found:
        raise InputError(f"--{flag}={','.join(words)}: wants numbers like 0,1,2")
    return found


def _range(flag: str, text: str) -> tuple[float, float]:
    numbers = _numbers(flag, text.split(","), float)
    if len(numbers) != 2:
        raise InputError(f"--{flag}={text}: wants a lowest and a highest value")
    return numbers[0], numbers[1]


def _other(text: str) -> tuple[str, object]:
    name, file = text.split("=", 1) if "=" in text else (Path(text).stem, text)
    overrides = config_flags.get_override_values(flags.FLAGS["config"])
    config = commandline.load(file)
    check_complete(config, f"--ours={text}: ")
    return name, ours.alike(config, CONFIG.value, overrides)


def _report(done: Done) -> None:
    """Says what is missing still."""
    for run, reason in done.missing.items():
        say(f"missing: {run}: {reason}")
    if done.failed:
        asked = len(done.records) + len(done.missing)
        raise InputError(f"{len(done.failed)} of {asked} runs failed, see above")


if __name__ == "__main__":
    commandline.run("surrojax.baselines", CONFIG, main, ABOUT)
