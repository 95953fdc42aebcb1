"""Writes the report of a folder.

    python -m surrojax.report runs/fer2013_lenet

The folder is that of a run, finished or not, or one that holds several: a sweep, the
folds of a protocol, seeds.
"""

import argparse
import sys
from pathlib import Path

from surrojax import report
from surrojax.errors import InputError
from surrojax.run.progress import say


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m surrojax.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="+", type=Path, help="of a run, or of several")
    try:
        for folder in parser.parse_args().folder:
            say(str(report.write(folder, anew=True)))
    except InputError as error:
        print(f"surrojax.report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
