"""Puts images through the network of a run.

    python -m surrojax.predict runs/fer2013_lenet photos --out=predictions.csv

IMAGES are files, and folders that are searched for images with all that is below them.
The CSV file has a line an image, in natural order of the paths: file, prediction, and
the probability of each class.

Images are read as the run read its own: made square, of its size, in its colours,
averaged over its crops. Where it aligned faces, they are found and aligned; an image in
which none is found is named and has an empty prediction, and so has a file that cannot
be read. Each image stands for itself, in a run of sequences too.

The exit code is 2 where no image has a prediction.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surrojax import filenames
from surrojax.errors import InputError
from surrojax.paths import path_of
from surrojax.run.progress import say, show_warnings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m surrojax.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="the folder of a run of launch.py")
    parser.add_argument("images", nargs="+", type=Path, help="images or folders")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(filenames.PREDICTIONS),
        help="the file to write, or to replace; predictions.csv unless said",
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="the network of the highest validation accuracy, not of the last round",
    )
    parser.add_argument(
        "--align",
        action=argparse.BooleanOptionalAction,
        help="find and align faces, or do not; as the run did unless said",
    )
    given = parser.parse_args(arguments)
    # JAX takes a second to import, which --help need not wait for.
    from surrojax.run.files import is_stream
    from surrojax.run.loading import load

    try:
        out = path_of(given.out)
        replaced, streamed = out.is_file(), is_stream(out)
        table = load(given.run).predict_folder(
            given.images, given.out, best=given.best, align=given.align
        )
    except InputError as error:
        print(f"surrojax.predict: {error}", file=sys.stderr)
        return 2
    told = f"{given.out}: {_counts(table)}"
    if replaced:
        told += "; it replaced an earlier file"
    if table["prediction"].isna().all():
        print(f"surrojax.predict: {told}", file=sys.stderr)
        return 2
    if streamed:  # perhaps into what is said
        print(told, file=sys.stderr)
    else:
        say(told)
    return 0


def _counts(table: Any) -> str:
    """How many images got which class, the most frequent first, and how many none.

    Args:
      table: of `Result.predict_folder`.
    """
    counts = table["prediction"].value_counts().to_dict()
    each = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    found, unreadable = sum(counts.values()), len(table.attrs["unreadable"])
    told = f"{found} image{'' if found == 1 else 's'}"
    if each:
        told += f": {', '.join(f'{name} {count}' for name, count in each)}"
    if faceless := len(table) - found - unreadable:
        told += f"; no face found in {faceless}"
    if unreadable:
        told += f"; {unreadable} could not be read"
    return told


if __name__ == "__main__":
    show_warnings()
    sys.exit(main())
