"""The table that comes of a comparison's runs."""

import math
from collections.abc import Sequence

from surrojax.baselines import figure, forest
from surrojax.baselines.folder import Folder
from surrojax.baselines.markdown import table_of
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Mean, Row, not_run, rows_of
from surrojax.errors import InputError
from surrojax.run.files import explained
from surrojax.run.progress import say

HEAD = (
    "method",
    "budget",
    "test %",
    "se",
    "validation %",
    "gain over",
    "se",
    "95 % interval",
    "cost [runs]",
    "seconds",
    "seeds",
)


def show(workdir: str, against: str = OURS) -> None:
    """Prints the table and draws `accuracy_cost.png` and `gains.png`.

    Args:
      workdir: the comparison's folder.
      against: the method over which gains are taken, at budget 1.

    Raises:
      InputError: no run has finished there, or none of `against`.
    """
    folder = Folder(workdir)
    records = list(folder.runs())
    if not records:
        raise InputError(f"{folder.path}: no run has finished here")
    there = sorted({record["method"] for record in records if record["budget"] == 1})
    if against not in (*there, OURS):
        raise InputError(
            f"--against: {against!r} has no run of budget 1 here; choose from "
            f"{', '.join(there)}"
        )
    rows = rows_of(records, against)
    say(markdown(rows, against, not_run(rows, records[0]["network"])))
    with explained(folder.path):
        figure.write(folder.path, rows)
        forest.write(folder.path, rows, against)


def markdown(
    rows: Sequence[Row], against: str = OURS, missing: Sequence[tuple[str, float]] = ()
) -> str:
    """The rows as a table.

    Args:
      rows: of `rows_of`.
      against: of `rows_of`.
      missing: of `not_run`: lines after them that say so.
    """
    head = [f"{cell} {against}" if cell == "gain over" else cell for cell in HEAD]
    lines = [
        [
            row.method,
            f"{row.budget:g}",
            number(row.test.mean),
            number(row.test.error),
            number(row.validation.mean),
            number(row.gain.mean, "+.2f"),
            number(row.gain.error),
            interval(row.gain),
            number(row.cost),
            number(row.seconds, ".0f"),
            str(row.seeds),
        ]
        for row in rows
    ]
    lines += [
        [name, f"{budget:g}", "not run"] + [""] * (len(HEAD) - 3)
        for name, budget in missing
    ]
    return table_of(head, lines)


def interval(gain: Mean) -> str:
    """`-1.05 to +0.20`, or a dash for a single seed."""
    low, high = gain.interval
    return "-" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"


def number(value: float, form: str = ".2f") -> str:
    """A figure, or a dash where there is none."""
    return "-" if math.isnan(value) else format(value, form)
