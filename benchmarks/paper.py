"""Runs rows of the paper's tables, one after the other, and keeps their records.

    python -m benchmarks.paper --table=4 --schedule=printed
    python -m benchmarks.paper --list

A row is a sweep of `launch.py` over seeds in runs/paper/..., or, where it takes many
trainings, a method of `surrojax.baselines`; the same command goes on where it was
stopped. The small files of every finished run are copied to results/.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import records
from benchmarks.rows import RESULTS, ROWS, SCHEDULES
from surrojax.run.progress import duration


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=int, action="append", choices=(3, 4, 5, 6))
    parser.add_argument("--row", action="append", help="else all rows of the tables")
    parser.add_argument("--schedule", choices=SCHEDULES, default="printed")
    parser.add_argument("--workdir", type=Path, default=Path("runs"))
    parser.add_argument("--list", action="store_true", help="say the rows, run nothing")
    given, rest = parser.parse_known_args()
    rows = [
        row
        for row in ROWS
        if (not given.table or row.table in given.table)
        and (not given.row or row.name in given.row)
    ]
    if not rows:
        parser.error(f"no such row; choose from {', '.join(r.name for r in ROWS)}")
    failed = 0
    for row in rows:
        arguments = row.arguments(given.schedule, given.workdir)
        if given.list:
            lasts = duration(3600 * row.hours())
            print(f"# Table {row.table}: {row.title}, about {lasts}")
            print(records.command(arguments, row.program))
            continue
        succeeded = records.launch(arguments, rest, row.program)
        failed += not succeeded
        if succeeded and not rest:  # other flags make another row
            count = row.keep(given.workdir, RESULTS, given.schedule)
            print(f"== Table {row.table}, {row.title}: {count} of {row.seeds} kept")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
