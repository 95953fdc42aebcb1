"""Is there one dropout that suits every problem?

    python -m benchmarks.one_setting --out=benchmarks/results/one_setting.json

Ten small problems, which over-fit by different amounts: each with p_z = p_x held at one
of six ratios, and tuned by `surrojax.tune` as it is by default. What is held trains as
much longer as tuning costs. Of a problem, the row that is best over its seeds is the
best in hindsight; how far each row is behind it, and how far at worst, is the table.

Digits are scikit-learn's; faces are LFW's and expressions FER2013's, as in
`benchmarks.own_network`, which also has the networks: they want `$SURROJAX_DATA`.
PrivateTest is not read. Each seed has a split, weights and minibatches of its own, the
same for all rows. Finished runs are kept in --workdir, and are not run again.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks import records
from benchmarks.own_network import (
    DIGITS,
    FACES,
    Case,
    Convolutional,
    Splits,
    digits,
    expressions,
    mirrored,
    people,
    run,
    untuned,
)
from benchmarks.variants import with_error
from surrojax.baselines.rows import Mean
from surrojax.data.augment import shift
from surrojax.plots.files import put
from surrojax.versions import PACKAGES

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
"""Of p_z and p_x, held."""

TUNED = "tuned"

Rows = Mapping[str, Sequence[Mapping[str, float]]]
"""Figures of the seeds, by row."""

Found = Mapping[str, Rows]
"""The same, by problem."""


class Dense(nn.Module):
    """Three dense layers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(nn.Dense(256)(x.reshape(len(x), -1)))
        x = nn.relu(nn.Dense(128)(x))
        return nn.Dense(10)(x)


def few(seed: int) -> Splits:
    """A hundred digits to train, a hundred to validate."""
    train, validation, test = digits(seed)
    return [*((x[:100], y[:100]) for x, y in (train, validation)), test]


def mislabelled(seed: int) -> Splits:
    """Digits of which three in ten have any label, but for those held out."""
    parts = digits(seed)
    random = np.random.default_rng(seed)

    def wrong(labels: np.ndarray) -> np.ndarray:
        drawn = random.integers(0, 10, len(labels))
        return np.where(random.random(len(labels)) < 0.3, drawn, labels)

    return [(images, wrong(labels)) for images, labels in parts[:2]] + parts[2:]


def shifted(pixels: int, key: jax.Array, images: jax.Array) -> jax.Array:
    """Each image shifted at random by up to so many pixels either way."""
    starts = jax.random.randint(key, (len(images), 2), 0, 2 * pixels + 1)
    return shift(starts, images, pixels)


def both(pixels: int, key: jax.Array, images: jax.Array) -> jax.Array:
    """Shifted, and mirrored or not."""
    return mirrored(jax.random.fold_in(key, 1), shifted(pixels, key, images))


def problem(
    network: nn.Module,
    splits: Callable[[int], Splits],
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    batch_size: int = 32,
) -> Case:
    """3,000 steps at a rate of 0.03 at first; `tuned` is its one row so far."""
    common: dict[str, Any] = {"learning_rate": 0.03, "batch_size": batch_size}
    if augment is not None:
        common["augment"] = augment
    return Case(network, splits, 3_000, common, {TUNED: {}})


EXPRESSIONS = Convolutional((16, 32, 64), 256, 7)

PROBLEMS = {
    "digits": problem(DIGITS, digits),
    "digits, 100 images": problem(DIGITS, few),
    "digits, wrong labels": problem(DIGITS, mislabelled),
    "digits, shifted": problem(DIGITS, digits, partial(shifted, 1)),
    "digits, dense layers alone": problem(Dense(), digits),
    "faces": problem(FACES, people, mirrored),
    "faces, shifted": problem(FACES, people, partial(both, 2)),
    "faces, a narrow layer": problem(
        Convolutional((16, 32, 64), 48, 100), people, mirrored
    ),
    "expressions": problem(EXPRESSIONS, expressions, mirrored, 64),
    "expressions, shifted": problem(EXPRESSIONS, expressions, partial(both, 1), 64),
}


def held(ratio: float) -> str:
    """What the row of a ratio is called."""
    return f"{ratio:g} held"


def figures(case: Case, seed: int, workdir: Path) -> dict[str, dict[str, float]]:
    """All rows of a problem, of one seed."""
    found = {TUNED: run(case, TUNED, seed, workdir)}
    steps = round(case.steps * found[TUNED]["cost"])
    rows: dict[str, Mapping[str, Any]] = {
        held(ratio): {"max_iterations": steps, **untuned(p_z=ratio, p_x=ratio)}
        for ratio in RATIOS
    }
    others = Case(case.network, case.splits, case.steps, case.common, rows)
    return found | {name: run(others, name, seed, workdir) for name in rows}


def best_by_validation(rows: Rows) -> list[float]:
    """Test accuracies of the ratio that validation chooses of all, seed by seed."""
    fixed = [rows[held(ratio)] for ratio in RATIOS]
    return [
        max(runs, key=lambda r: r["validation_accuracy"])["test_accuracy"]
        for runs in zip(*fixed, strict=True)
    ]


def accuracies(rows: Rows) -> dict[str, list[float]]:
    """Test accuracies in percent, seed by seed, of all rows and of a grid of them."""
    of = {
        name: [r["test_accuracy"] for r in rows[name]]
        for name in (*map(held, RATIOS), TUNED)
    } | {"grid": best_by_validation(rows)}
    return {name: [100 * a for a in values] for name, values in of.items()}


def behind(found: Found) -> dict[str, dict[str, float]]:
    """By problem and row: points behind the ratio that is best there in hindsight.

    The best of six means is above what that ratio would have on other seeds.
    """
    far: dict[str, dict[str, float]] = {}
    for name, rows in found.items():
        means = {row: float(np.mean(a)) for row, a in accuracies(rows).items()}
        best = max(means[held(ratio)] for ratio in RATIOS)
        far[name] = {row: best - mean for row, mean in means.items()}
    return far


def beyond_chance(found: Found, row: str) -> tuple[int, int]:
    """On how many problems the tuned network is ahead of a row, and behind it.

    Where the 95 % interval of the difference over paired seeds leaves out 0.
    """
    intervals = []
    for rows in found.values():
        of = accuracies(rows)
        pairs = zip(of[TUNED], of[row], strict=True)
        intervals.append(Mean.of([tuned - other for tuned, other in pairs]).interval)
    return sum(low > 0 for low, _ in intervals), sum(high < 0 for _, high in intervals)


def table(found: Found) -> str:
    """Test accuracies in percent with their standard errors, as markdown."""
    columns = [*map(held, RATIOS), TUNED, "grid"]
    lines = [
        "| problem | cost | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * (1 + len(columns)),
    ]
    for name, rows in found.items():
        of = accuracies(rows)
        cells = {row: with_error(of[row]) for row in columns}
        best = max(map(held, RATIOS), key=lambda row: float(np.mean(of[row])))
        cells[best] = f"**{cells[best]}**"
        cost = np.mean([r["cost"] for r in rows[TUNED]])
        lines.append(f"| {name} | {cost:.2f} | " + " | ".join(cells.values()) + " |")
    far = behind(found)
    for title, of_all in (("mean", np.mean), ("worst", np.max)):
        told = [f"{of_all([f[row] for f in far.values()]):.1f}" for row in columns]
        lines.append(
            f"| *behind the best held, {title}* | | " + " | ".join(told) + " |"
        )
    counts = {row: beyond_chance(found, row) for row in columns}
    for title, index in (("ahead of it", 0), ("behind it", 1)):
        told = ["" if row == TUNED else f"{counts[row][index]}" for row in columns]
        lines.append(f"| *tuned is {title} beyond chance* | | {' | '.join(told)} |")
    return "\n".join(lines)


def plot(found: Found) -> Figure:
    """A panel a problem: accuracy by the ratio that is held, and when it is tuned."""
    columns = 5
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(13, 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
    for axes, (name, runs) in zip(panels, found.items(), strict=False):
        of = {row: Mean.of(values) for row, values in accuracies(runs).items()}
        line = [of[held(ratio)] for ratio in RATIOS]
        means, errors = [m.mean for m in line], [m.error for m in line]
        axes.errorbar(RATIOS, means, errors, fmt="o-", color="C0", capsize=2)
        mean, error = of[TUNED].mean, of[TUNED].error
        axes.axhspan(mean - error, mean + error, color="C1", alpha=0.25, lw=0)
        axes.axhline(mean, color="C1")
        axes.set_title(name, fontsize="medium")
    for axes in figure.axes[len(found) :]:
        axes.remove()
    figure.legend(
        [Line2D([], [], color="C0", marker="o"), Line2D([], [], color="C1")],
        ["p_z = p_x held", "tuned in one run of the same cost"],
        loc="outside upper center",
        ncols=2,
    )
    figure.supxlabel("dropout ratio that is held")
    figure.supylabel("test accuracy [%]")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", action="append", choices=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workdir", type=Path, default=Path("runs/one_setting"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    names = given.problem or list(PROBLEMS)
    runs = {
        (name, seed): figures(PROBLEMS[name], seed, given.workdir / name)
        for seed in range(given.seeds)
        for name in names
    }
    found = {
        name: {
            row: [runs[name, seed][row] for seed in range(given.seeds)]
            for row in (TUNED, *map(held, RATIOS))
        }
        for name in names
    }
    print(table(found))
    if given.out:
        of = records.measured_by("one_setting", PACKAGES) | {
            "device": jax.devices()[0].device_kind,
            "problems": found,
        }
        given.out.write_text(json.dumps(of, indent=2) + "\n")
        put(plot(found), given.out.with_suffix(".png"))


if __name__ == "__main__":
    # Under the name by which others import it, which goes into the runs' records.
    from benchmarks.one_setting import main as run_it

    run_it()
