"""Runs surrojax from the command line.

    python launch.py --config=configs/ck_mresnet.py

runs in the folder runs/ck_mresnet; --workdir names another. A database of ten folds is
run on all of them, unless --config.dataset.fold says which.

Every field of the config (configs/common.py lists them) can be given as
--config.FIELD=VALUE. The same command on the same folder goes on with a run that was
stopped; a larger --config.max_iterations extends a finished one. A sweep is a product
of fields, each point in its own folder:

    python launch.py --config=configs/fer2013_lenet.py --workdir=runs/sweep \\
        --sweep=search.optimizer=pso,de --sweep=seed=0,1,2
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from surrojax import commandline
from surrojax.crossing import compare
from surrojax.errors import InputError
from surrojax.execution import prepare
from surrojax.experiment import train
from surrojax.processes import is_first, join, want_one
from surrojax.progress import say
from surrojax.settings import folds, resolve
from surrojax.sweep import Outcome, run_sweep

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="The experiment's file; see configs/."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The folder of the run or the sweep; else runs/CONFIG."
)
SWEEP = flags.DEFINE_multi_string(
    "sweep", [], "FIELD=A,B,...: runs each value; several make a product."
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Says what would be run, and stops.")
QUIET = flags.DEFINE_bool("quiet", False, "Shows no progress.")
COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "HOST:PORT of the first of several processes that are one run; auto: Slurm's.",
)
PROCESSES = flags.DEFINE_integer("processes", None, "How many processes there are.")
PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0.")


def main() -> None:
    if not QUIET.value:
        _show_log()
    if CONFIG.value is None:
        raise InputError("give --config=FILE; see configs/")
    config, quiet = CONFIG.value, QUIET.value
    if config.get("task") != "pretrain" and not DRY_RUN.value:
        prepare(config)
    join(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    file = config_flags.get_config_filename(flags.FLAGS["config"])
    workdir = WORKDIR.value or str(Path("runs") / Path(file.split(":")[0]).stem)
    if config.get("task") == "pretrain":
        _pretrain(config, workdir)
        return
    sweep, every = list(SWEEP.value), folds(config)
    if config.dataset.target and len(every) > 1 and not sweep:
        _check(compare(config, workdir, sys.argv, DRY_RUN.value, quiet))
        return
    _check_replicas(config, sweep)
    if len(every) > 1 and not any(_is_fold(field) for field in sweep):
        sweep.append(f"dataset.fold={','.join(map(str, every))}")
    if sweep or config.replicas > 1:
        _check(run_sweep(config, workdir, sweep, sys.argv, DRY_RUN.value, quiet))
    elif DRY_RUN.value:
        say(f"{workdir}: would run\n{resolve(config)}")
    else:
        result = train(config, workdir, sys.argv, quiet)
        if not is_first():
            return
        say(
            f"{workdir}: test accuracy {100 * result['test_accuracy']:.2f} %, "
            f"validation {100 * result['validation_accuracy']:.2f} %, "
            f"training {100 * result['train_accuracy']:.2f} % "
            f"after {result['rounds']} rounds",
            quiet,
        )


def _check(outcomes: Sequence[Outcome]) -> None:
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
    if SWEEP.value:
        raise InputError("--sweep: pre-training is one run; give it no sweep")
    if DRY_RUN.value:
        say(f"{workdir}: would run\n{config}")
        return
    want_one("pre-training wants", "its batches are not spread")
    from surrojax import pretrain

    result = pretrain.train(config, workdir, sys.argv, QUIET.value)
    say(
        f"{workdir}: verification accuracy "
        f"{100 * result['verification_accuracy']:.2f} % of pairs of people not trained "
        f"on; weights.safetensors is what --config.init_from={workdir} takes",
        QUIET.value,
    )


def _show_log() -> None:
    """The package's own messages, such as that a database is being prepared."""
    log = logging.getLogger("surrojax")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.StreamHandler(sys.stdout))


if __name__ == "__main__":
    commandline.run("launch.py", CONFIG, main)
