"""How the stages grow with the batch, with the candidates and with the data.

    python -m benchmarks.growth --config=fer2013_lenet --out=FILE.json

One of the three is changed at a time, the others stay the config's. Each measurement is
a process of its own (`python -m benchmarks.speed --side=jax`); all are made in turns,
and the medians over the turns are reported, for a machine's speed wanders.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.records import measured_by
from benchmarks.speed import PACKAGES, turn
from benchmarks.timing import IMAGES
from surrojax.baselines.markdown import table_of

AXES = {
    "batch": "images of a step",
    "candidates": "candidates, N",
    "images": "training images, and an eighth of them to evaluate",
}
STEPS = ("original alone", "stage 1, both settings")
EVALUATION = "evaluation"


class Point(NamedTuple):
    """One measured time.

    Attributes:
      axis: what was changed.
      value: to what.
      row: of `benchmarks.speed`; stage 2 without its N.
      ms: of a step, or of an evaluation.
    """

    axis: str
    value: int
    row: str
    ms: float


def measured(given: argparse.Namespace) -> Iterator[Point]:
    """One turn: every point once."""
    kept = [f"--config={given.config}", "--rounds=0", f"--steps={given.steps}"]
    alone = ["--populations", str(given.population)]
    stage2 = f"stage 2, N = {given.population}"

    def rows(*flags: str) -> dict[str, float]:
        found = turn("jax", [*kept, *flags])
        return {name: row["ms"] for name, row in found.items() if "ms" in row}

    for batch in given.batches:
        found = rows(f"--batch={batch}", *alone)
        for name in (*STEPS, stage2):
            yield Point("batch", batch, name.partition(", N")[0], found[name])
    kept += [f"--batch={given.batch}"]
    for images in given.images:
        found = rows(f"--images={images}", *alone)
        for name in (*STEPS, stage2, EVALUATION):
            yield Point("images", images, name.partition(", N")[0], found[name])
    found = rows("--populations", *map(str, given.candidates))
    for n in given.candidates:
        yield Point("candidates", n, "stage 2", found[f"stage 2, N = {n}"])


def medians(turns: Sequence[Sequence[Point]]) -> list[Point]:
    """The median of each point over the turns."""
    return [
        same[0]._replace(ms=statistics.median(point.ms for point in same))
        for same in zip(*turns, strict=True)
    ]


def table(points: Sequence[Point]) -> str:
    """A table an axis, in Markdown: rows of milliseconds, a column a value."""
    tables = []
    for axis, title in AXES.items():
        of = [point for point in points if point.axis == axis]
        values = sorted({point.value for point in of})
        lines = []
        for row in dict.fromkeys(point.row for point in of):
            ms = {point.value: point.ms for point in of if point.row == row}
            lines.append([row, *(f"{ms[value]:.2f}" for value in values)])
        tables.append(table_of([title, *map(str, values)], lines))
    return "\n\n".join(tables)


def plot(points: Sequence[Point], file: Path) -> None:
    """A panel an axis, both scales logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(AXES), figsize=(12, 3.5))
    for axes, (axis, title) in zip(panels, AXES.items(), strict=True):
        of = [point for point in points if point.axis == axis]
        for row in dict.fromkeys(point.row for point in of):
            same = [point for point in of if point.row == row]
            axes.plot(
                *zip(*((p.value, p.ms) for p in same), strict=True), "o-", label=row
            )
        axes.set(
            xlabel=title.partition(",")[0], ylabel="ms", xscale="log", yscale="log"
        )
        values = sorted({point.value for point in of})
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.set_xticks([], minor=True)
        axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(file, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="fer2013_lenet", help="a file of configs/")
    parser.add_argument("--batch", type=int, default=0, help="else; 0: the config's")
    parser.add_argument("--population", type=int, default=6, help="N, else")
    numbers: dict[str, Any] = {"type": int, "nargs": "+"}
    parser.add_argument("--batches", default=[16, 32, 64, 128, 256], **numbers)
    parser.add_argument("--candidates", default=[1, 2, 4, 8, 16, 32, 64], **numbers)
    parser.add_argument(
        "--images", default=[IMAGES // 4, IMAGES, 4 * IMAGES], **numbers
    )
    parser.add_argument("--steps", type=int, default=50, help="of a timed call")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    turns = []
    for number in range(given.turns):
        turns.append(list(measured(given)))
        print(f"turn {number + 1} of {given.turns}", file=sys.stderr, flush=True)
    points = medians(turns)
    print(table(points))
    if given.out:
        result = measured_by("growth", PACKAGES) | {
            "points": [point._asdict() for point in points],
            "turns": [[point.ms for point in points] for points in turns],
        }
        given.out.write_text(json.dumps(result, indent=2) + "\n")
        plot(points, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
