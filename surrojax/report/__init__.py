"""One static HTML page on a run, or on a folder of several: a sweep, folds, seeds.

    python -m surrojax.report FOLDER

writes FOLDER/report.html, as a run and a sweep do by themselves at their end. The page
is one file: it opens offline, without JavaScript and without another file. It is made
of the small files of a run's folder alone (config.json, metrics.jsonl, result.json), so
records that were kept without their checkpoints have their page as well. A folder that
`surrojax.tune` left has one too; what it lacks, such as test data, is left out.
"""

import os
from pathlib import Path

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.paths import path_of
from surrojax.report.folder import Several, is_old, read, untuned_of
from surrojax.report.origin import shown
from surrojax.run.files import write_text

__all__ = ["shown", "write"]


def write(
    folder: str | os.PathLike[str],
    anew: bool = False,
    file: str | os.PathLike[str] | None = None,
) -> Path:
    """Writes the report of a folder.

    Args:
      folder: of a run, finished or not, or of several runs; each of those has a report
        in its own folder, which is written where it is missing or out of date.
      anew: write those of the single runs anew in any case.
      file: where the page goes; None: report.html in the folder.

    Returns:
      The page's file.

    Raises:
      InputError: the folder holds no run, or one that has finished no round, a file is
        damaged, or the page cannot be written.
    """
    # Figures take seconds to import, which --help and predict do without.
    from surrojax.report import run, several

    found = read(path_of(folder).absolute())
    out = found.path / filenames.REPORT if file is None else path_of(file).absolute()
    if not isinstance(found, Several):
        if not found.records:
            raise InputError(
                f"{found.path}: the run has finished no round yet; let it go on"
            )
        return _put(out, run.page(found, untuned_of(found)))
    for one in found.runs.values():
        if not one.records:
            continue
        untuned = untuned_of(one)
        if anew or is_old(one, untuned):
            _put(one.path / filenames.REPORT, run.page(one, untuned))
    return _put(out, several.page(found))


def _put(file: Path, page: str) -> Path:
    write_text(file, page)
    return file
