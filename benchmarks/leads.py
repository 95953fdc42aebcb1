"""Leads in the comparison on LeNet: corrected for their number, and by seeds."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.compared import LENET
from benchmarks.variants import with_interval
from surrojax.baselines.folder import Folder
from surrojax.baselines.markdown import table_of
from surrojax.baselines.methods import OURS, baseline_of, start_row
from surrojax.baselines.rows import Mean, Row, holm, rows_of
from surrojax.baselines.table import interval, number
from surrojax.fields import Record

SEEDS = 5
"""From so many on, a comparison counts; so many were planned."""

AT_ONCE = {start_row("surrojax_wide")}
"""Rows with more seeds than that, all of which were planned at once."""


def corrected(rows: Sequence[Row]) -> str:
    """What is left of the differences where there are so many of them."""
    values = {row.method: row.gain.p_value for row in rows if _spends(row)}
    found = ", ".join(
        f"{name} {f'{p:.3f}' if p >= 0.0005 else '< 0.001'}"
        for name, p in holm(values).items()
    )
    return (
        f"{len(values)} methods may spend the whole budget and have {SEEDS} seeds or "
        "more. P-values of their differences (two-sided, Student's t), with Holm's "
        f"correction for that number: {found}."
    )


def against(row: str, results: Path) -> str:
    """LeNet's methods beside another row, over the seeds that both have."""
    rivals = _rivals(row, _runs(results))
    lines = [
        (
            r.method,
            number(r.gain.mean, "+.2f"),
            number(r.gain.error),
            interval(r.gain),
            str(r.gain.size),
        )
        for r in rivals
    ]
    head = ("method", f"gain over {row}", "se", "95 % interval", "seeds")
    return f"{table_of(head, lines)}\n\n{corrected(rivals)}"


def added(results: Path) -> str:
    """Where seeds were added to those that were planned: what each part of them says.

    An interval over all of them takes their number for given, which it was not; one
    over the added seeds alone does not depend on what the first ones had shown.
    """
    head = ("ahead", "behind", f"after {SEEDS} seeds, by", "after all")
    lines = []
    runs = _runs(results)
    first, later = (
        [run for run in runs if (run["seed"] < SEEDS) is planned]
        for planned in (True, False)
    )
    for row in _rivals(OURS, runs):
        if row.gain.size > SEEDS and row.method not in AT_ONCE:
            cells = [
                OURS,
                row.method,
                with_interval(_lead(row.method, first)),
                *(_counted(_lead(row.method, of)) for of in (runs, later)),
            ]
            lines.append(cells)
    return table_of((*head, "by those added"), lines, words=2)


def _runs(results: Path) -> list[Record]:
    return list(Folder(results / LENET.folder).runs())


def _rivals(of: str, runs: Sequence[Record]) -> list[Row]:
    """Rows that count beside another one, the nearest first."""
    rows = [row for row in rows_of(runs, of) if row.method != of and _spends(row)]
    return sorted(rows, key=lambda row: -row.gain.mean)


def _spends(row: Row) -> bool:
    """Whether a row is of a method that spends budget 1, on seeds enough."""
    baseline = baseline_of(row.method)
    known = baseline is not None and baseline.budgets == "any"
    return known and row.budget == 1 and row.gain.size >= SEEDS


def _lead(behind: str, runs: Sequence[Record]) -> Mean:
    [row] = [row for row in rows_of(runs, behind) if row.method == OURS]
    return row.gain


def _counted(lead: Mean) -> str:
    return f"{with_interval(lead)}, {lead.size} seeds"
