"""Variants of the method on a tenth of Training that none of them sees.

    python -m benchmarks.ablation --seeds=0,1,2
    python -m benchmarks.ablation --list

Each is LeNet on FER2013, under a learning rate that begins at 0.03 and falls by 16; the
same command goes on where it was stopped, and keeps the small files of finished runs in
results/ablation.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records import copy_records, launch, read
from benchmarks.rows import RESULTS
from surrojax.outcome import cost_in_steps
from surrojax.pooling import mean_and_error

HELD_OUT = "--config.dataset.held_out=True"


def _steps(count: int) -> tuple[str, ...]:
    return (
        f"--config.max_iterations={count}",
        "--config.learning_rate.base=0.03",
        f"--config.learning_rate.halve_every={count // 4}",
    )


SHORT = _steps(10_000)
DROPOUT = ("--config.tune=()", "--config.fixed.p_z=0.5", "--config.fixed.p_x=0.5")

BY_LOSS = ("--config.objective=cross_entropy", "--config.reevaluate_incumbent=True")
START = ("--config.search.start.p_V=0.1", "--config.search.start.p_W=0.1")
NOISE = ("--config.search.noise.coefficient=0.3", "--config.search.noise.ratio=0.15")
SHARED = ("--config.surrogate=shared",)

PAPER, IMPROVED = "fer2013_lenet", "fer2013_lenet_improved"

VARIANTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: title, config, flags
    "dropout": (
        "p_z = p_x = 0.5, not tuned",
        PAPER,
        (*SHORT, *DROPOUT),
    ),
    "dropout_longer": (
        "the same for 35,000 steps",
        PAPER,
        (*_steps(35_000), *DROPOUT),
    ),
    "paper": ("the paper's form", PAPER, SHORT),
    "by_loss": (
        "scored by cross-entropy, leader re-scored, noise, p_V = p_W = 0.1 at first",
        PAPER,
        (*SHORT, *BY_LOSS, *START, *NOISE),
    ),
    "shared": (
        "and a shared trunk",
        PAPER,
        (*SHORT, *BY_LOSS, *START, *NOISE, *SHARED),
    ),
    "selected": (
        "and stage 1 by cross-entropy, twice the noise of ratios",
        PAPER,
        (
            *SHORT,
            *BY_LOSS,
            *START,
            *SHARED,
            "--config.selection=cross_entropy",
            "--config.search.noise.coefficient=0.3",
            "--config.search.noise.ratio=0.3",
        ),
    ),
    "short": (
        "and one setting in stage 1, a quarter of stage 2, 25,000 steps",
        IMPROVED,
        (*_steps(25_000), "--config.iterations_per_round=1000"),
    ),
    "improved": (
        "the improved form: the same, NI = 5,000",
        IMPROVED,
        _steps(25_000),
    ),
    "half": (
        "NI = 2,500, half of stage 2, 20,000 steps",
        IMPROVED,
        (
            *_steps(20_000),
            "--config.iterations_per_round=2500",
            "--config.stage2_share=0.5",
        ),
    ),
    "few": (
        "NI = 4,000, half of stage 2, three candidates, 24,000 steps",
        IMPROVED,
        (
            *_steps(24_000),
            "--config.iterations_per_round=4000",
            "--config.stage2_share=0.5",
            "--config.search.population=3",
        ),
    ),
    "horizon": (
        "NI = 2,500 and candidates trained as long, at twice the cost",
        IMPROVED,
        (
            *_steps(25_000),
            "--config.iterations_per_round=2500",
            "--config.stage2_share=1.0",
        ),
    ),
}


def arguments(name: str, seeds: str, workdir: Path) -> list[str]:
    """Of `launch.py`."""
    _, config, flags = VARIANTS[name]
    return [
        f"--config=configs/{config}.py",
        HELD_OUT,
        *flags,
        f"--sweep=seed={seeds}",
        f"--workdir={workdir / 'ablation' / name}",
    ]


def command(name: str, seeds: str, workdir: Path = Path("runs")) -> str:
    """As a user would type it."""
    return shlex.join(["python", "launch.py", *arguments(name, seeds, workdir)])


def table() -> str:
    """The variants that were run, as markdown."""
    lines = [
        "| variant | cost | held out | validation | 100 x loss | training | seeds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, (title, _, _) in VARIANTS.items():
        folders = sorted((RESULTS / "ablation" / name).glob("seed=*"))
        if not folders:
            lines.append(f"| {title} | not run | | | | | 0 |")
            continue
        columns = zip(*(_figures(folder) for folder in folders), strict=True)
        cells = " | ".join(_mean(values) for values in columns)
        lines.append(f"| {title} | {cells} | {len(folders)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    """With the standard error, where there are several."""
    mean, error = mean_and_error(values)
    return f"{mean:.2f}" + ("" if error is None else f" ± {error:.2f}")


def _figures(folder: Path) -> tuple[float, ...]:
    """Cost in trainings of 10,000 steps; percent, and 100 times the cross-entropy."""
    result = read(folder / "result.json")
    macs = read(folder / "config.json")["multiply_accumulates"]
    ratio = macs["surrogate"] / macs["original"]
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    return (
        cost_in_steps(result["original_steps"], result["surrogate_steps"], ratio)
        / 10_000,
        100 * result["test_accuracy"],
        100 * result["validation_accuracy"],
        100 * last["original"]["validation_cross_entropy"],
        100 * result["train_accuracy"],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--workdir", type=Path, default=Path("runs"))
    parser.add_argument("--list", action="store_true", help="say them, run nothing")
    given, rest = parser.parse_known_args()
    failed = 0
    for name in given.variant or VARIANTS:
        if given.list:
            print(f"# {VARIANTS[name][0]}\n{command(name, given.seeds, given.workdir)}")
            continue
        failed += not launch(arguments(name, given.seeds, given.workdir), rest)
        done = given.workdir / "ablation" / name
        if not rest:  # other flags make another variant
            copy_records(done, RESULTS / "ablation" / name)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
