"""Makes results/summary.json, the tables and figures of docs/results.md, and README's.

    python -m benchmarks.results

Tables come from the records in results/, and nothing in them is written by hand: text
between `<!-- NAME -->` and `<!-- end -->` of the pages is replaced.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    ablation,
    figures,
    last,
    leads,
    readme,
    records,
    shifted,
    single,
)
from benchmarks.compared import COMPARISONS, LENET, Comparison
from benchmarks.records import read
from benchmarks.rows import RESULTS, ROWS, SCHEDULES, Row
from surrojax import filenames
from surrojax.baselines import figure, forest
from surrojax.baselines.folder import Folder
from surrojax.baselines.markdown import table_of
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Row as ComparedRow
from surrojax.baselines.rows import not_run, rows_of
from surrojax.baselines.table import markdown
from surrojax.fields import Record
from surrojax.run.pooling import mean_and_error
from surrojax.run.progress import duration
from surrojax.run.records import metrics_of

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "results.md", ROOT / "README.md"

Summary = dict[str, Any]


def summary(row: Row, schedule: str) -> Summary:
    """A row of `results/summary.json`; figures are None where it was not run."""
    results = records.longest(row.runs(RESULTS, schedule))
    iterations = results[0]["max_iterations"] if results else row.iterations
    seeds = sorted(r["seed"] for r in results)
    test, error = mean_and_error([r["test_accuracy"] for r in results])
    validation, _ = mean_and_error([r["validation_accuracy"] for r in results])

    def total(name: str) -> float | None:
        return round(sum(r[name] for r in results), 1) if results else None

    return {
        "table": row.table,
        "row": row.title,
        "network": row.network,
        "method": "tuned" if row.tuned else "fixed setting",
        "optimizer": row.optimizer,
        "schedule": schedule,
        "max_iterations": iterations,
        "seeds": seeds,
        "test_mean": test,
        "test_se": error,
        "validation_mean": validation,
        "paper": row.paper / 100,
        "original_steps": total("original_steps"),
        "surrogate_steps": total("surrogate_steps"),
        "seconds": total("seconds"),
        "command": records.command(
            row.arguments(schedule, Path("runs"), iterations, seeds), row.program
        ),
        "hours_estimated": round(row.hours(), 2),
    }


def percent(value: float | None, error: float | None = None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.2f}" + ("" if error is None else f" ± {100 * error:.2f}")


def table(found: list[Summary], number: int) -> str:
    """A table of the page: a line a row, the paper's figure and ours by schedule."""
    head = ["row", "paper"]
    for schedule in SCHEDULES:
        head += [f"test, {schedule} (steps)", "validation"]
    lines = []
    for row in dict.fromkeys(r["row"] for r in found if r["table"] == number):
        by = {
            r["schedule"]: r for r in found if r["row"] == row and r["table"] == number
        }
        cells = []
        for schedule in SCHEDULES:
            of = by[schedule]
            if of["seeds"]:
                thousands = f"{of['max_iterations'] / 1000:g}k"
                accuracy = percent(of["test_mean"], of["test_se"])
                cells.append(f"{accuracy} ({thousands})")
                cells.append(percent(of["validation_mean"]))
            else:
                cells.append(f"not run, about {duration(3600 * of['hours_estimated'])}")
                cells.append("")
        paper = f"{100 * by['printed']['paper']:.2f}"
        counts = " / ".join(str(len(by[s]["seeds"])) for s in SCHEDULES)
        lines.append([row, paper, *cells, counts])
    return table_of([*head, "seeds"], lines)


def commands(found: list[Summary]) -> str:
    """Every row's command, as a list."""
    lines = ["```"]
    for row in found:
        lines.append(f"# Table {row['table']}, {row['schedule']}: {row['row']}")
        lines.append(row["command"])
    return "\n".join([*lines, "```"])


def replace(page: str, name: str, text: str) -> str:
    """A page with other text in a marked place."""
    pattern = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
    changed, count = re.subn(
        pattern, lambda m: m[1] + text + m[2], page, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"{page[:40]!r}: no place <!-- {name} --> ... <!-- end -->")
    return changed


def compared_rows(comparison: Comparison) -> list[Summary]:
    """What `results/summary.json` says of the methods of a comparison."""
    found = []
    folder = RESULTS / comparison.folder
    records = list(Folder(folder).runs())
    if not records:
        return []
    rate = read(folder / filenames.BASELINES)["config"]["learning_rate"]
    schedule = f"{rate['base']:g}, halved every {rate['halve_every']:g} steps"
    for method, budget in dict.fromkeys((r["method"], r["budget"]) for r in records):
        of = [r for r in records if (r["method"], r["budget"]) == (method, budget)]
        test, error = mean_and_error([r["test_accuracy"] for r in of])
        validation, _ = mean_and_error([r["validation_accuracy"] for r in of])
        found.append(
            {
                "table": "comparison",
                "row": f"{method}, budget {budget:g}",
                "network": comparison.network,
                "method": method,
                "optimizer": None,
                "schedule": schedule,
                "max_iterations": of[0]["max_iterations"],
                "seeds": [r["seed"] for r in of],
                "test_mean": test,
                "test_se": error,
                "validation_mean": validation,
                "paper": None,
                "original_steps": sum(r["original_steps"] for r in of),
                "surrogate_steps": sum(r["surrogate_steps"] for r in of),
                "seconds": round(sum(r["seconds"] for r in of), 1),
                "command": comparison.command(
                    [method], budget, [r["seed"] for r in of]
                ),
            }
        )
    return found


def compared(comparison: Comparison) -> str:
    """The table of a comparison, and its figure."""
    path = RESULTS / comparison.folder
    records = list(Folder(path).runs())
    if not records:
        return "Not run."
    rows = rows_of(records)
    draw(path, rows)
    titles = {figure.NAME: "accuracy and cost"}
    if forest.with_interval(rows):
        titles = {forest.NAME: "paired differences", **titles}
    parts = [
        markdown(rows),
        *_left(rows, comparison.network),
        *([leads.corrected(rows)] if comparison is LENET else ()),
        *(
            f"![{title}](../results/{path.name}/{name})"
            for name, title in titles.items()
        ),
        "\n".join(["```", *_commands(comparison, records), "```"]),
    ]
    return "\n\n".join(parts)


def draw(folder: Path, rows: Sequence[ComparedRow]) -> None:
    """The figures of a comparison."""
    figure.write(folder, rows)
    forest.write(folder, rows)


def _left(rows: Sequence[ComparedRow], network: str) -> list[str]:
    """A sentence of what was not run of a network, at each of the budgets."""
    names: dict[float, list[str]] = {}
    for method, budget in not_run(rows, network):
        names.setdefault(budget, []).append(method)
    told = "; ".join(
        ("" if budget == 1 else f"with {budget:g} times the budget: ") + ", ".join(left)
        for budget, left in names.items()
    )
    return [f"Not run: {told}."] if told else []


def _commands(comparison: Comparison, records: Sequence[Record]) -> Iterator[str]:
    """Of all rows, one for each budget, with the most seeds that a row has."""
    for budget in sorted({record["budget"] for record in records}):
        of = [record for record in records if record["budget"] == budget]
        methods = dict.fromkeys([OURS] if budget == 1 else [])
        methods |= dict.fromkeys(record["method"] for record in of)
        seeds = sorted({record["seed"] for record in of})
        yield comparison.command(list(methods), budget, seeds)


def fidelity_table() -> str:
    """Tau and regret of every round that was measured."""
    itself = "the network with itself"
    head = ["form", "round", "tau, cross-entropy", itself, "tau, score to accuracy"]
    head += [itself, "regret of its choice", "of a random one"]
    lines = []
    for file in sorted((RESULTS / "fidelity").glob(f"*/{filenames.METRICS}")):
        for record in metrics_of(file):
            if "fidelity" not in record:
                continue
            tau, lost = (record["fidelity"][name] for name in ("tau", "regret"))
            names = ("cross_entropy", "ceiling_cross_entropy", "score")
            cells = [interval(tau.get(n)) for n in (*names, "ceiling_accuracy")]
            cells += [percent(lost["accuracy"][n]) for n in ("surrogate", "random")]
            lines.append([file.parent.name, str(record["round"]), *cells])
    return table_of(head, lines)


def interval(tau: dict[str, float | None] | None) -> str:
    """`0.80 [0.62, 0.93]`, or a dash for a ranking of ties alone."""
    if tau is None or tau["value"] is None:
        return "-"
    return f"{tau['value']:.2f} [{tau['low']:.2f}, {tau['high']:.2f}]"


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args(arguments)  # there are none but --help
    found = [summary(row, schedule) for schedule in SCHEDULES for row in ROWS]
    several = [row for of in COMPARISONS for row in compared_rows(of)]
    text = json.dumps(found + several, indent=1)
    (RESULTS / "summary.json").write_text(text + "\n")
    page = PAGE.read_text()
    for number in sorted({row.table for row in ROWS}):
        page = replace(page, f"table {number}", table(found, number))
    page = replace(page, "commands", commands(found))
    for study in (ablation.STUDY, shifted.STUDY):
        page = replace(page, study.name, study.table(RESULTS))
    page = replace(page, "dropout", leads.against("longer", RESULTS))
    page = replace(page, "wide", leads.against("surrojax_wide", RESULTS))
    page = replace(page, "added", leads.added(RESULTS))
    longer = last.Longer.of(RESULTS)
    text = f"{longer.table()}\n\n{leads.corrected(longer.rows())}"
    page = replace(page, "last", text)
    page = replace(page, "fidelity", fidelity_table())
    page = replace(page, "class weights", single.class_weights(RESULTS))
    page = replace(page, "fine-tuning", single.fine_tuning(RESULTS))
    page = replace(page, "toy", single.toy())
    page = replace(page, "figures", figures.text(RESULTS))
    figures.draw(RESULTS)
    for of in COMPARISONS:
        page = replace(page, f"compared {of.name}", compared(of))
    PAGE.write_text(page)
    text = replace(README.read_text(), "results", readme.table(RESULTS))
    README.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
