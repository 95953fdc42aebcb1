"""How fast a step and a round are, beside PyTorch and the machine's own peak.

    python -m benchmarks.speed --config=fer2013_lenet --out=benchmarks/results/NAME.json

Both sides are run in turns, each in a process of its own on the same cores, and the
medians over the turns are reported: ratios are of neighbours in time, for a machine's
speed wanders. Data are random numbers of FER2013's size; shapes, batch, dropout and
losses are those of the config. That both sides compute the same is what
tests/test_pytorch.py checks. PyTorch's side is the paper's form: of a config whose
candidates share the original's trunk, ours alone is timed.

A row's share of the peak counts 6 x MACs x batch operations a step, for each setting or
candidate, against the fastest float32 (or bfloat16) matrix product of the same process.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.records import measured_by
from benchmarks.timing import IMAGES, Row, config_of, rows_of
from surrojax.baselines.markdown import table_of

SIDES = ("jax", "pytorch")
PACKAGES = ("jax", "jaxlib", "flax")


def turn(side: str, arguments: list[str]) -> dict[str, Row]:
    """One side's rows by name, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed", f"--side={side}", *arguments]
    # Freed memory is kept on both sides, else the kernel takes it back every step.
    kept = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31)}
    found = subprocess.run(
        command,
        env=os.environ | kept,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    rows = [json.loads(line) for line in found.splitlines() if line.startswith("{")]
    return {row["row"]: row for row in rows}


def summary(turns: list[dict[str, dict[str, Row]]]) -> list[Row]:
    """A row a name: medians over the turns, and medians of their ratios."""
    rows = []
    for name, first in turns[0]["jax"].items():
        if "ms" not in first:
            continue
        ours = [t["jax"][name]["ms"] for t in turns]
        row: Row = {"row": name, "ms": statistics.median(ours)}
        if "flops" in first:
            shares = [
                t["jax"][name]["flops"] / (ms / 1e3) / t["jax"]["peak"]["flops"]
                for t, ms in zip(turns, ours, strict=True)
            ]
            row["share_of_peak"] = statistics.median(shares)
            row["compile_seconds"] = statistics.median(
                t["jax"][name]["compile_seconds"] for t in turns
            )
        if all(name in t.get("pytorch", {}) for t in turns):
            theirs = [t["pytorch"][name]["ms"] for t in turns]
            row["pytorch_ms"] = statistics.median(theirs)
            row["pytorch_way"] = turns[0]["pytorch"][name].get("way", "")
            row["times_as_fast"] = statistics.median(
                b / a for a, b in zip(ours, theirs, strict=True)
            )
        rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """The summary in Markdown."""
    head = ("", "ms", "of peak", "PyTorch, ms", "times as fast")
    lines = []
    for row in rows:
        share = f"{100 * row['share_of_peak']:.0f} %" if "share_of_peak" in row else ""
        theirs = f"{row['pytorch_ms']:.2f}" if "pytorch_ms" in row else ""
        ratio = f"{row['times_as_fast']:.2f}" if "times_as_fast" in row else ""
        lines.append((row["row"], f"{row['ms']:.2f}", share, theirs, ratio))
    return table_of(head, lines)


def plot(rows: list[Row], file: Path) -> None:
    """Bars: how many times as fast as PyTorch each row is."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    compared = [row for row in rows if "times_as_fast" in row]
    figure, axes = pyplot.subplots(figsize=(7, 0.45 * len(compared) + 1))
    names = [row["row"] for row in compared][::-1]
    axes.barh(names, [row["times_as_fast"] for row in compared][::-1], color="#4477aa")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times as fast as PyTorch")
    figure.tight_layout()
    figure.savefig(file, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="fer2013_lenet", help="a file of configs/")
    parser.add_argument("--batch", type=int, default=0, help="0: the config's")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--devices", type=int, default=0, help="0: what a run takes")
    parser.add_argument("--populations", type=int, nargs="+", default=[1, 6, 16, 64])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--steps", type=int, default=50, help="of a timed call")
    parser.add_argument("--repeats", type=int, default=3, help="of a timed call")
    parser.add_argument("--rounds", type=int, default=1, help="to time; 0: none")
    parser.add_argument("--round_steps", type=int, default=1000, help="NI")
    parser.add_argument(
        "--square", type=int, default=0, help="rows, for the peak; 0: what suits"
    )
    parser.add_argument("--turns", type=int, default=3, help="of both sides")
    parser.add_argument("--compiled", action="store_true", help="try torch.compile too")
    parser.add_argument("--side", choices=SIDES, help="only this, a line of JSON a row")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    if given.side:
        started = time.perf_counter()  # imports of a side count; PyTorch's has JAX, too
        side = import_module(f"benchmarks.speed_{given.side}").Side(given)
        for row in rows_of(side, given.rounds, started):
            print(json.dumps(row), flush=True)
        return
    paper = config_of(given).surrogate == "fitted"
    sides = SIDES if paper and _has_torch() else SIDES[:1]
    arguments, turns = sys.argv[1:], []
    for number in range(given.turns):
        turns.append({side: turn(side, arguments) for side in sides})
        print(f"turn {number + 1} of {given.turns}", file=sys.stderr, flush=True)
    rows = summary(turns)
    print(table(rows))
    if given.out:
        packages = (*PACKAGES, *(("torch",) if len(sides) > 1 else ()))
        result = measured_by("speed", packages) | {
            "rows": rows,
            "turns": turns,
        }
        given.out.write_text(json.dumps(result, indent=2) + "\n")
        if len(sides) > 1:
            plot(rows, given.out.with_suffix(".png"))


def _has_torch() -> bool:
    try:
        importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
