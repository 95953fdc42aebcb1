"""The run that a folder holds before `tune` goes on with it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.fields import Record
from surrojax.own.settings import Settings
from surrojax.paths import path_of
from surrojax.run.files import read_json
from surrojax.run.records import config_in


def saved_in(folder: Path) -> Record:
    """What config.json says of the run in a folder; nothing where there is none."""
    file = folder / filenames.CONFIG
    saved = read_json(file) if file.exists() else None
    return {} if config_in(saved) is None else cast(Record, saved)


def earlier_run(
    workdir: str | os.PathLike[str], options: Settings
) -> tuple[Record, Settings]:
    """What config.json says of a run in the folder, and the settings with its lengths.

    So the same call with a larger `max_iterations` extends that run.

    Raises:
      InputError: no folder is named, it holds a run of a config, or the lengths of its
        run do not fit.
    """
    if not isinstance(workdir, str | os.PathLike):
        raise InputError(f"workdir: {workdir!r} is no path of a folder")
    if not os.fspath(workdir):
        raise InputError("workdir: is empty; name a folder, or leave it out")
    folder = path_of(workdir)
    there = saved_in(folder)
    had = config_in(there) or {}
    if "dataset" in had:
        kind = "a pre-training" if "task" in had else "a run of launch.py"
        raise InputError(f"{folder}: holds {kind}; choose another workdir")
    kept = {
        name: had[name]
        for name in ("iterations_per_round", "halve_every")
        if getattr(options, name) is None and name in had
    }
    try:
        return there, replace(options, **kept)
    except InputError as error:
        raise InputError(f"{folder}: {error}, which its run has") from error
