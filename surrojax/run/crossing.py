"""Cross-database evaluation beside the paper's rival (Tables 11 and 12)."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from surrojax import filenames, report
from surrojax.data import EXPRESSIONS
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.paths import path_of
from surrojax.run import pooling
from surrojax.run.files import write_json
from surrojax.run.progress import say
from surrojax.run.restoring import retest
from surrojax.run.sweep import FOLD, Outcome, Point, at, run_points, succeeded
from surrojax.settings import folds, make_method
from surrojax.sites import GROUPS

TUNED = "tuned on a fold of the target"
FIXED = "fixed setting"
FIXED_WITH_FOLD = "fixed setting, fold trained on"


def compare(
    config: ConfigDict,
    workdir: str,
    command: Sequence[str] = (),
    dry_run: bool = False,
    quiet: bool = False,
) -> list[Outcome]:
    """Trains on one database and tests on another, ten times, with and without tuning.

    Three rows make the table, which is printed and kept in `cross_database.json`: the
    method, tuned on one fold of the target; the rival, a fixed setting
    (`search.center`), which sees nothing of the target; and the rival with that fold
    in its training set. The rival without it is the same network for all folds, so it
    is trained once and tested ten times.

    Args:
      config: with `dataset.target`.
      workdir: holds a folder for each run.
      command: how it was called, for each config.json.
      dry_run: print the command of each run, and stop.
      quiet: no progress.

    Raises:
      InputError: the config cannot be run.
    """
    if config.replicas > 1:
        raise InputError(
            f"config.replicas: {config.replicas}; a comparison across databases takes "
            "1: give it, and call again with another --config.seed"
        )
    if config.replay or not config.tune:
        field = "replay" if config.replay else "tune"
        raise InputError(
            f"config.{field}: {config[field]!r} tunes nothing, and across databases "
            "tuning is compared with a fixed setting; leave it out"
        )
    root = path_of(workdir).absolute()
    rows = _rows(config)
    named = [
        (f"{_folder(row)}/fold={fold}", changes | {FOLD: fold})
        for row, changes in rows.items()
        for fold in (folds(config)[:1] if row == FIXED else folds(config))
    ]
    outcomes = run_points(config, root, named, command, dry_run, quiet)
    if dry_run or not succeeded(outcomes):
        return outcomes
    results: dict[str, list[Record]] = {row: [] for row in rows}
    for (name, point), (_, result) in zip(named, outcomes, strict=True):
        row = next(row for row in rows if name.startswith(f"{_folder(row)}/"))
        if isinstance(result, InputError):
            continue
        if row == FIXED:
            for fold in folds(config):
                changed = at(config, point | {FOLD: fold})
                results[row].append(retest(changed, root / name))
        else:
            results[row].append(result)
    pooled = {row: pooling.pool(found) for row, found in results.items() if found}
    say(pooling.table(pooled))
    write_json(root / filenames.CROSS, pooled)
    say(f"report: {report.shown(report.write(root))}", quiet)
    return outcomes


def _rows(config: ConfigDict) -> dict[str, Point]:
    """What each row of the table changes in the config."""
    center = config.search.center.to_dict()
    space = make_method(config, len(EXPRESSIONS)).space
    fixed: dict[str, Any] = {
        f"fixed.{name}": center[GROUPS[name]] for name in space.names
    }
    fixed["tune"] = ()
    trains = "dataset.train_on_target_fold"
    return {
        TUNED: {trains: False},
        # The one is tested on all of the target, the other is trained on the fold that
        # it is not tested on: nothing unseen is left to say when to stop.
        FIXED: fixed | {trains: False, "early_stop": 0},
        FIXED_WITH_FOLD: fixed | {trains: True, "early_stop": 0},
    }


def _folder(row: str) -> str:
    return row.replace(",", "").replace(" ", "_")
