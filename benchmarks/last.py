"""Tuners' settings, trained once more with all that their budget leaves.

    python -m benchmarks.last --methods=tpe,nevergrad_de --seeds=0,1

The rule of a comparison gives the setting that a tuner decided for one training of full
length (`Budget.trials`), and leaves half a training of the budget unspent. Here that
setting is read off the records in results/compare_lenet and trained longer, by all of
the rest, learning rates stretched. The same command goes on where it was stopped; the
records are kept in results/compare_lenet_last, with the versions and device of the
search.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.compared import LENET
from benchmarks.rows import RESULTS
from configs import fer2013_lenet
from surrojax.baselines.black_box import TUNERS
from surrojax.baselines.folder import Folder, Run
from surrojax.baselines.markdown import table_of
from surrojax.baselines.methods import OURS
from surrojax.baselines.rows import Mean, Row, rows_of
from surrojax.baselines.runner import Asked, Bench
from surrojax.baselines.table import interval, number
from surrojax.baselines.trainer import figures_of
from surrojax.fields import Record
from surrojax.run.execution import prepare
from surrojax.run.sweep import at

SOURCE, TARGET = LENET.folder, f"{LENET.folder}_last"


def rounds_left(record: Record, rounds: int) -> int:
    """How long the last training may be: what the search left of the budget.

    Args:
      record: of a tuner's run, whose last training was of full length.
      rounds: of a training of full length.
    """
    steps = record["max_iterations"] / rounds
    searched = round(record["original_steps"] / steps) - rounds
    return int(record["budget_in_runs"] * rounds) - searched


def train(bench: Bench, record: Record) -> Record:
    """The record of a run whose last training was that long."""
    run = Run(record["method"], record["budget"], record["seed"])
    attempt = bench.attempt(run)
    full = attempt.trainer.rounds
    last = rounds_left(record, full)
    trained = attempt.train(record["hyper"], rounds=last)
    more = (last - full) * attempt.trainer.steps_per_round
    steps = record["original_steps"] + more
    return (
        record
        | {
            "last_rounds": last,
            **figures_of(trained.trial),
            "test_accuracy": attempt.keep(trained).test(),
            "original_steps": steps,
            "cost_in_runs": steps / record["max_iterations"],
            "seconds": None,  # the search was on another day
            "command": ["python", "-m", "benchmarks.last", *sys.argv[1:]],
        }
    )


class Longer(NamedTuple):
    """Tuners before and after their longer training.

    Attributes:
      before: records of the comparison, at the method's own cost.
      after: of the longer trainings.
    """

    before: list[Record]
    after: list[Record]

    @classmethod
    def of(cls, results: Path) -> "Longer":
        """Read from the folder of all results."""
        before = [r for r in Folder(results / SOURCE).runs() if r["budget"] == 1]
        return cls(before, list(Folder(results / TARGET).runs()))

    def rows(self) -> list[Row]:
        """The tuners afterwards, beside the method."""
        ours = [record for record in self.before if record["method"] == OURS]
        return [row for row in rows_of([*ours, *self.after]) if row.method != OURS]

    def table(self) -> str:
        """A line a tuner: before and after, and what is left of the method's lead."""
        head = ["tuner", "test %", "se", "with all of the rest", "se"]
        head += ["gain over surrojax", "se", "95 % interval", "cost [runs]", "seeds"]
        lines = []
        for row in self.rows():
            seeds = {r["seed"] for r in self.after if r["method"] == row.method}
            was = Mean.of(
                [
                    100 * r["test_accuracy"]
                    for r in self.before
                    if r["method"] == row.method and r["seed"] in seeds
                ]
            )
            cells = [
                row.method,
                *(number(value) for value in (was.mean, was.error, *row.test[:2])),
                number(row.gain.mean, "+.2f"),
                number(row.gain.error),
                interval(row.gain),
                number(row.cost),
                str(row.seeds),
            ]
            lines.append(cells)
        return table_of(head, lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(TUNERS))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--workdir", type=Path, default=Path("runs") / TARGET)
    given = parser.parse_args(arguments)
    config = at(fer2013_lenet.get_config(), {**LENET.fields, "execution.devices": 1})
    prepare(config)
    methods = given.methods.split(",")
    bench = Bench(config, Folder(given.workdir), Asked(methods=methods))
    source, target = Folder(RESULTS / SOURCE), Folder(RESULTS / TARGET)
    for seed in map(int, given.seeds.split(",")):
        for method in methods:
            run = Run(method, 1, seed)
            if target.read(run) is not None:
                continue
            searched = source.read(run)
            if searched is None:
                raise SystemExit(f"{run}: is not in {source.path}; run the comparison")
            done = train(bench, searched)
            target.own(run).parent.mkdir(parents=True, exist_ok=True)
            target.write(run, done)
            print(f"{run}: {100 * done['test_accuracy']:.2f} %")
    print(Longer.of(RESULTS).table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
