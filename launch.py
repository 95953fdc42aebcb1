"""Trains a network and tunes its sparseness and dropout during that one training.

    python launch.py --config=FILE [--config.FIELD=VALUE ...] [--workdir=DIR] [FLAGS]

To see it work, without any data: python launch.py --config=configs/demo.py

What a command does
  one run       Trains and tunes in --workdir, else in runs/ and the config's name.
  going on      The same command in the same folder goes on with a run that was
                stopped or killed, as if it had never been; a larger
                --config.max_iterations extends a finished one (no pre-training).
  sweep         --sweep=FIELD=A,B runs each value in a folder of its own, several make
                a product; a table at the end. --dry_run prints each command.
  folds         A database of ten folds (configs/ck_mresnet.py) is run on all of them;
                --config.dataset.fold=0 runs one.
  databases     --config.dataset.target=NAME trains on one database and tests on
                another (configs/cross_database.py).
  replicas      --config.replicas=5 trains five seeds side by side in one program.
  pre-training  configs/pretrain_faces.py makes the face-recognition network that
                --config.init_from begins with.
  processes     --coordinator, --processes and --process make several processes, on
                one machine or many, one run (docs/clusters.md).

What is done with a run; python -m surrojax lists all
  predict       python -m surrojax.predict RUN IMAGES: puts images through its network.
  export        python -m surrojax.export RUN FILES: its schedule and weights as files.
  report        python -m surrojax.report RUN: writes its page, report.html, anew.

Examples
  python launch.py --config=configs/fer2013_lenet.py --config.search.optimizer=de
  python launch.py --config=configs/demo.py --config.tune=p_z,p_x --verbose
  python launch.py --config=configs/demo.py "--config.tune=()"
  python launch.py --config=configs/demo.py --config.time_budget=60
  python launch.py --config=configs/fer2013_lenet.py --workdir=runs/sweep \\
      --sweep=search.optimizer=pso,de --sweep=seed=0,1,2
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from surrojax.cli import commandline
from surrojax.errors import InputError
from surrojax.paths import path_of
from surrojax.run.progress import say, show_log

# What trains is imported where it is used: JAX takes seconds, of which --help and a
# mistyped flag need none.

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="FILE: The experiment; see Configs below."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "DIR: Of the run or the sweep; else runs/ and the config's name."
)
SWEEP = flags.DEFINE_multi_string(
    "sweep", [], "FIELD=A,B,...: Runs each value; several make a product."
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Says what would be run, and stops.")
QUIET = flags.DEFINE_bool("quiet", False, "Shows no progress.")
VERBOSE = flags.DEFINE_bool(
    "verbose",
    False,
    "Shows of each round its setting, what both settings of stage 1 and the best "
    "candidate reached, and where the time went.",
)
COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT: Of the first of several processes that are one run; auto: as Slurm or "
    "Open MPI says.",
)
PROCESSES = flags.DEFINE_integer("processes", None, "N: How many processes there are.")
PROCESS = flags.DEFINE_integer("process", None, "I: Which one this is, from 0.")

ABOUT = commandline.About(
    text=__doc__,
    flags=(
        *("config", "workdir", "sweep", "dry_run", "quiet", "verbose", "fields"),
        *("coordinator", "processes", "process"),
    ),
    fields=(
        *("seed", "network", "dataset.name", "dataset.dir", "dataset.fold"),
        *("init_from", "batch_size", "max_iterations", "iterations_per_round"),
        *("learning_rate.base", "learning_rate.halve_every", "time_budget"),
        *("early_stop", "tune", "search.optimizer", "search.population", "objective"),
        *("fidelity.rounds", "replicas"),
    ),
)


def main() -> None:
    show_log(QUIET.value, VERBOSE.value)
    if CONFIG.value is None:
        raise InputError(commandline.MISSING)
    from surrojax.run.crossing import compare
    from surrojax.run.execution import prepare
    from surrojax.run.processes import join
    from surrojax.run.sweep import run_sweep
    from surrojax.settings import folds
    from surrojax.values import check_complete

    config, quiet = CONFIG.value, QUIET.value
    if config.get("task") != "pretrain":
        check_complete(config)
        if not DRY_RUN.value:
            prepare(config)
    join(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    file = config_flags.get_config_filename(flags.FLAGS["config"])
    workdir = WORKDIR.value or str(Path("runs") / Path(file.split(":")[0]).stem)
    if config.get("task") == "pretrain":
        _pretrain(config, workdir)
        return
    sweep, every = list(SWEEP.value), folds(config)
    compared = config.dataset.target and len(every) > 1 and not sweep
    if not compared:
        _check_replicas(config, sweep)
        if len(every) > 1 and not any(_is_fold(field) for field in sweep):
            sweep.append(f"dataset.fold={','.join(map(str, every))}")
    _mind(config, sweep)
    if compared:
        _check(compare(config, workdir, sys.argv, DRY_RUN.value, quiet))
    elif sweep or config.replicas > 1:
        _check(run_sweep(config, workdir, sweep, sys.argv, DRY_RUN.value, quiet))
    else:
        _run(config, workdir)


def _mind(config: ConfigDict, sweep: Sequence[str]) -> None:
    """Says which of the config's flags have no effect.

    What cannot be run is told where it is run, by all processes together.
    """
    from surrojax.run.idle import idle
    from surrojax.run.processes import is_first
    from surrojax.run.sweep import at, product

    given = config_flags.get_override_values(flags.FLAGS["config"])
    if not given or QUIET.value or not is_first():
        return
    # What a dry run prints on stdout is commands alone.
    file = sys.stderr if DRY_RUN.value else sys.stdout
    with suppress(InputError):
        configs = [at(config, point) for point in product(config, sweep)]
        for field, why in idle(configs, given).items():
            told = f"mind: --config.{field} has no effect, because {why}"
            print(told, file=file, flush=True)


def _run(config: ConfigDict, workdir: str) -> None:
    from surrojax import filenames, report
    from surrojax.experiment import train
    from surrojax.run.processes import is_first
    from surrojax.settings import resolve

    if DRY_RUN.value:
        _would_run(workdir, resolve(config))
        return
    result = train(config, workdir, sys.argv, QUIET.value)
    if not is_first():
        return
    say(
        f"{workdir}: test accuracy {100 * result['test_accuracy']:.2f} %, "
        f"validation {100 * result['validation_accuracy']:.2f} %, "
        f"training {100 * result['train_accuracy']:.2f} % "
        f"after {result['rounds']} rounds",
        QUIET.value,
    )
    page = path_of(workdir).absolute() / filenames.REPORT
    if page.exists():  # a run that had finished before there were reports has none
        say(f"report: {report.shown(page)}", QUIET.value)


def _would_run(workdir: str, config: ConfigDict) -> None:
    """The command of one run, and the config that it resolves to."""
    from surrojax.run.sweep import command_of

    say(f"{command_of(sys.argv, {}, Path(workdir))}\n{config}")


def _check(outcomes: Sequence[Any]) -> None:
    from surrojax.run.sweep import say_failed

    say_failed(outcomes)
    failed = sum(isinstance(result, InputError) for _, result in outcomes)
    if failed:
        raise InputError(f"{failed} of {len(outcomes)} runs failed, see above")


def _check_replicas(config: ConfigDict, sweep: Sequence[str]) -> None:
    seeds = any(s.removeprefix("config.").startswith("seed=") for s in sweep)
    if seeds and config.replicas > 1:
        raise InputError("--sweep=seed=...: the seeds are config.replicas already")


def _is_fold(specification: str) -> bool:
    return specification.removeprefix("config.").startswith("dataset.fold=")


def _pretrain(config: ConfigDict, workdir: str) -> None:
    from surrojax import pretrain
    from surrojax.run.processes import want_one

    if SWEEP.value:
        raise InputError("--sweep: pre-training is one run; give it no sweep")
    if DRY_RUN.value:
        pretrain.check(config)
        _would_run(workdir, config)
        return
    want_one("pre-training wants", "its batches are not spread")
    result = pretrain.train(config, workdir, sys.argv, QUIET.value)
    say(
        f"{workdir}: verification accuracy "
        f"{100 * result['verification_accuracy']:.2f} % of pairs of people not trained "
        f"on; weights.safetensors is what --config.init_from={workdir} takes",
        QUIET.value,
    )


if __name__ == "__main__":
    commandline.run("launch.py", CONFIG, main, ABOUT)
