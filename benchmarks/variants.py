"""Variants of the method on LeNet and FER2013 in a table: what they share.

A study is a module with a command of its own, which goes on where it was stopped, and
keeps the small files of finished runs in results/.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import records
from benchmarks.records import copy_records, launch, read
from benchmarks.rows import RESULTS
from surrojax import filenames
from surrojax.baselines.markdown import table_of
from surrojax.baselines.rows import Mean
from surrojax.run.outcome import cost_in_steps
from surrojax.run.pooling import mean_and_error
from surrojax.run.records import metrics_of


class Variant(NamedTuple):
    """A row.

    Attributes:
      title: in the table.
      config: of configs/, without its ending.
      flags: what is different from it.
      macs: multiply-accumulates of a candidate, where its records count another's.
    """

    title: str
    config: str
    flags: Sequence[str] = ()
    macs: int | None = None


def falling(steps: int) -> tuple[str, ...]:
    """So many steps, at a rate that begins at 0.03 and has fallen by 16 at the end."""
    return (
        f"--config.max_iterations={steps}",
        "--config.learning_rate.base=0.03",
        f"--config.learning_rate.halve_every={steps // 4}",
    )


@dataclass(frozen=True)
class Study:
    """Variants that share flags.

    Attributes:
      name: of its folder.
      about: for the command line.
      shared: flags of all.
      variants: by name.
      judged: heading of the column of `test_accuracy`.
    """

    name: str
    about: str
    shared: Sequence[str]
    variants: Mapping[str, Variant]
    judged: str

    def arguments(self, name: str, seeds: str, workdir: Path) -> list[str]:
        """Of `launch.py`."""
        variant = self.variants[name]
        return [
            f"--config=configs/{variant.config}.py",
            *self.shared,
            *variant.flags,
            f"--sweep=seed={seeds}",
            f"--workdir={workdir / self.name / name}",
        ]

    def command(self, name: str, seeds: str, workdir: Path = Path("runs")) -> str:
        """As a user would type it."""
        return records.command(self.arguments(name, seeds, workdir))

    def table(self, results: Path = RESULTS) -> str:
        """The variants that were run, as markdown."""
        head = ("variant", "cost", self.judged, "validation", "100 x loss", "training")
        lines = []
        for name, variant in self.variants.items():
            folders = sorted((results / self.name / name).glob("seed=*"))
            if not folders:
                lines.append([variant.title, "not run", *[""] * (len(head) - 2), "0"])
                continue
            found = [_figures(folder, variant.macs) for folder in folders]
            cells = map(with_error, zip(*found, strict=True))
            lines.append([variant.title, *cells, str(len(folders))])
        return table_of((*head, "seeds"), lines)

    def main(self) -> int:
        """Runs what is asked for; the exit code."""
        parser = argparse.ArgumentParser(description=self.about)
        parser.add_argument("--variant", action="append", choices=self.variants)
        parser.add_argument("--seeds", default="0")
        parser.add_argument("--workdir", type=Path, default=Path("runs"))
        parser.add_argument("--list", action="store_true", help="say them, run nothing")
        given, rest = parser.parse_known_args()
        failed = 0
        for name in given.variant or self.variants:
            if given.list:
                print(f"# {self.variants[name].title}")
                print(self.command(name, given.seeds, given.workdir))
                continue
            arguments = self.arguments(name, given.seeds, given.workdir)
            succeeded = launch(arguments, rest)
            failed += not succeeded
            if succeeded and not rest:  # other flags make another variant
                done = given.workdir / self.name / name
                copy_records(done, RESULTS / self.name / name)
        return 2 if failed else 0


def with_error(values: Sequence[float], digits: int = 2) -> str:
    """Their mean, with its standard error where there are several."""
    mean, error = mean_and_error(values)
    return f"{mean:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def with_interval(mean: Mean) -> str:
    """A mean with its interval of 95 %."""
    low, high = mean.interval
    return f"{mean.mean:.2f} ({low:.2f} to {high:.2f})"


def _figures(folder: Path, of_candidate: int | None = None) -> tuple[float, ...]:
    """Cost in trainings of 10,000 steps; percent, and 100 times the cross-entropy."""
    result = read(folder / filenames.RESULT)
    macs = read(folder / filenames.CONFIG)["multiply_accumulates"]
    ratio = (of_candidate or macs["surrogate"]) / macs["original"]
    last = metrics_of(folder / filenames.METRICS)[-1]
    return (
        cost_in_steps(result["original_steps"], result["surrogate_steps"], ratio)
        / 10_000,
        100 * result["test_accuracy"],
        100 * result["validation_accuracy"],
        100 * last["original"]["validation_cross_entropy"],
        100 * result["train_accuracy"],
    )
