"""The README's table of results, from the records in results/."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import records, shifted
from benchmarks.compared import LENET, SHIFT_LONG, Comparison
from benchmarks.rows import LONG, ROWS
from benchmarks.variants import with_error, with_interval
from surrojax.baselines.folder import Folder
from surrojax.baselines.markdown import table_of
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Mean

FEWEST = 2
"""Seeds from which on there is an interval."""

PAPER = {
    (4, "baseline"): "no regularisation",
    (3, "p_z_p_x_pso"): "p_z and p_x tuned by PSO",
    (4, f"coefficients_ratios_pso{LONG}"): "all eight tuned by PSO",
}
"""Rows of the paper's tables, at its learning rates."""

COMPARED = {
    OURS: "**tuned in the improved form**",
    "surrojax_wide": "the same, no setting to begin with",
    "longer_start_surrojax_wide": "where that search begins, not tuned",
    "longer": "p_z = p_x = 0.5, not tuned",
    "longer_start": "where the improved form's search begins, not tuned",
    "longer_untuned": "no regularisation",
    "nevergrad_de": "Nevergrad's DE, then the best setting",
    "nevergrad_pso": "Nevergrad's PSO",
    "tpe": "Optuna's TPE",
    "random": "the best of three random settings",
}
"""Methods of the comparison on LeNet."""

SHIFTED = {
    "improved_long": "**tuned in the improved form**",
    "untuned_long": "no regularisation",
    "light_long": "p_z = p_x = 0.1, not tuned",
    "start_long": "where that search begins, not tuned",
}
"""Variants of the runs on shifted images; the first is ours."""

SHIFTED_RIVALS = {
    "surrojax_wide": "tuned, no setting to begin with",
    "longer_start_surrojax_wide": "where this search begins, not tuned",
    "tpe": COMPARED["tpe"],
    "random": COMPARED["random"],
}
"""Methods of the comparison at that length, as far as they were run."""

FEWEST_OF_A_RIVAL = 3
"""Seeds of such a method, without which its interval says next to nothing."""


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes:
      title: what was done.
      tests: test accuracy by seed, in percent.
      steps: of the network in all its trainings, as many as runs have had.
      paper: the paper's figure in percent, where it has one.
    """

    title: str
    tests: Mapping[int, float]
    steps: Collection[int]
    paper: float | None = None

    @classmethod
    def of(
        cls, title: str, runs: Sequence[Mapping[str, Any]], paper: float | None = None
    ) -> "Line":
        """Of what runs found, each of another seed."""
        tests = {run["seed"]: 100 * run["test_accuracy"] for run in runs}
        return cls(title, tests, {run["original_steps"] for run in runs}, paper)

    def cells(self, ours: Mapping[int, float]) -> list[str]:
        """Of the table.

        Args:
          ours: test accuracy by seed of what may be ahead of it; nothing: no such.
        """
        gains = [ours[s] - test for s, test in self.tests.items() if s in ours]
        return [
            self.title,
            "" if self.paper is None else f"{self.paper:.2f}",
            with_error(list(self.tests.values())),
            with_interval(Mean.of(gains)) if len(gains) >= FEWEST else "",
            " or ".join(f"{steps:,}" for steps in sorted(self.steps)),
            str(len(self.tests)),
        ]


def table(results: Path) -> str:
    """The table, with a heading before each group of rows.

    Args:
      results: the folder of records.
    """
    groups: dict[str, Sequence[Line]] = {
        "*the paper's learning rates*": _of_the_paper(results),
        "*higher rates, for 3.4 to 3.5 trainings of 10,000 steps*": compared(results),
        "*images shifted at random, for 11 such trainings*": _shifted(results),
    }
    head = ["", "paper", "here", "behind the tuned one by (below 0: ahead)"]
    head += ["steps, all trainings", "seeds"]
    lines = []
    for title, group in groups.items():
        lines.append([title] + [""] * (len(head) - 1))
        first, *others = group
        ours = first.tests if first.paper is None else {}
        lines.append(first.cells({}))
        lines += [line.cells(ours) for line in others]
    return table_of(head, lines)


def _of_the_paper(results: Path) -> list[Line]:
    rows = {(row.table, row.name): row for row in ROWS}
    return [
        Line.of(
            title,
            records.longest(rows[key].runs(results, "printed")),
            rows[key].paper,
        )
        for key, title in PAPER.items()
    ]


def compared(
    results: Path,
    comparison: Comparison = LENET,
    titles: Mapping[str, str] = COMPARED,
) -> list[Line]:
    """Rows of a comparison, in the order of their titles: ours first."""
    runs = list(Folder(results / comparison.folder).runs())
    return [
        Line.of(title, [r for r in runs if (r["method"], r["budget"]) == (method, 1)])
        for method, title in titles.items()
    ]


def _shifted(results: Path) -> list[Line]:
    variants = [
        Line.of(title, records.finished(results / shifted.STUDY.name / variant))
        for variant, title in SHIFTED.items()
    ]
    rivals = compared(results, SHIFT_LONG, SHIFTED_RIVALS)
    return variants + [line for line in rivals if len(line.tests) >= FEWEST_OF_A_RIVAL]
