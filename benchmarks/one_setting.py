"""Is there one dropout that suits every problem?

    python -m benchmarks.one_setting --out=benchmarks/results/one_setting.json

Ten small problems, which over-fit by different amounts: each with p_z = p_x held at one
of six ratios, with all four ratios held where tuning begins, and tuned by
`surrojax.tune` as it is by default, and with a candidate as its first setting; and
trained with what tuning has found on the next seed, its schedule, and the last setting
of it. All that is not tuned trains as much longer as tuning costs. How far each row is
behind the ratio that is best on other seeds, in the mean and at worst, ends the table
of accuracies; others are of cross-entropies.

Digits are scikit-learn's; faces are LFW's and expressions FER2013's, as in
`benchmarks.own_network`, which also has the networks: they want `$SURROJAX_DATA`.
PrivateTest is not read. Each seed has a split, weights and minibatches of its own, the
same for all rows. Finished runs are kept in --workdir, and are not run again.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from benchmarks.own_network import (
    DIGITS,
    FACES,
    Case,
    Convolutional,
    Splits,
    digits,
    expressions,
    folder_of,
    keep,
    mirrored,
    people,
    run,
    untuned,
)
from benchmarks.variants import with_error
from surrojax import Result
from surrojax.baselines.markdown import table_of
from surrojax.baselines.rows import Mean, holm
from surrojax.data.augment import shift
from surrojax.own.settings import CENTER
from surrojax.plots.files import put
from surrojax.run.replay import read_schedule
from surrojax.schedule import Schedule
from surrojax.sites import HYPER_NAMES

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
"""Of p_z and p_x, held."""

TUNED = "tuned"

LEAST = np.finfo(np.float32).tiny
"""Below which a probability is not told from 0."""

LOSSES = {
    "test_cross_entropy": "cross-entropy",
    "scaled_cross_entropy": "cross-entropy after temperature scaling",
}
"""Of a run's figures, those in nats, and what they are called."""

BEGINNING = "its beginning held"
"""All four ratios in the middle of where `tune` begins."""

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


HELD = tuple(map(held, RATIOS))

DRAWN = "tuned, first drawn"
"""With a candidate as round 1's setting: in the record, not in the tables."""

REPLAYED = "its schedule again"
"""Under the schedule that tuning found on the next seed, stretched to as long."""

LAST = "its last setting held"
"""The setting with which this schedule ends, from the first step on."""

ROWS = (*HELD, TUNED, BEGINNING, REPLAYED, LAST)

COLUMNS = {row: row for row in ROWS} | {"grid": "grid of six, six times the cost"}
"""Of the table: what each row is called, and its heading."""


def softmax_loss(
    log_probabilities: np.ndarray, labels: np.ndarray, temperature: float
) -> float:
    """Mean softmax loss in nats of logits that are divided by a temperature."""
    scaled = log_softmax(log_probabilities / temperature, axis=1)
    return -float(scaled[np.arange(len(labels)), labels].mean())


def calibrated(result: Result, splits: Splits) -> dict[str, Any]:
    """Cross-entropy of test data, as it is and at validation's best temperature.

    Temperature scaling (Guo et al., 2017, https://arxiv.org/abs/1706.04599) mends a
    network that is too sure of itself, which dropout makes less so, and changes no
    accuracy.
    """
    outcome: Any = result.outcome
    (valid, labels), (test, held_out) = (
        (np.log(np.maximum(result.predict(inputs), LEAST), dtype=np.float64), labels)
        for inputs, labels in splits[1:]
    )
    found = minimize_scalar(
        lambda log: softmax_loss(valid, labels, np.exp(log)),
        bounds=(-3, 4),
        method="bounded",
    )
    return {
        "test_cross_entropy": outcome["test_cross_entropy"],
        "scaled_cross_entropy": softmax_loss(test, held_out, np.exp(found.x)),
    }


def figures(case: Case, seeds: int, workdir: Path) -> dict[str, list[dict[str, float]]]:
    """All rows of a problem, each of so many seeds."""
    found = {TUNED: [run(case, TUNED, s, workdir, calibrated) for s in range(seeds)]}
    for seed, tuned in enumerate(found[TUNED]):
        other = folder_of(workdir, TUNED, (seed + 1) % seeds)
        rows = untuned_rows(round(case.steps * tuned["cost"]), read_schedule(other))
        rows[DRAWN] = {"first_setting": "candidate"}
        others = replace(case, rows=rows)
        for name in rows:
            one = run(others, name, seed, workdir, calibrated)
            found.setdefault(name, []).append(one)
    return found


def untuned_rows(steps: int, schedule: Schedule) -> dict[str, Mapping[str, Any]]:
    """Settings of the rows that search nothing, by name.

    Args:
      steps: that they train.
      schedule: that was found on the same problem.
    """
    held_settings = {held(ratio): {"p_z": ratio, "p_x": ratio} for ratio in RATIOS}
    held_settings[BEGINNING] = dict.fromkeys(HYPER_NAMES.ratio, CENTER["ratio"])
    held_settings[LAST] = schedule.setting(int(schedule.ends[-1]))
    rows: dict[str, Mapping[str, Any]] = {
        name: {"max_iterations": steps, **untuned(**setting)}
        for name, setting in held_settings.items()
    }
    longer = schedule.stretched(steps)
    length = {"max_iterations": int(longer.ends[-1])}
    return rows | {REPLAYED: {**length, "schedule": longer}}


def best_by_validation(rows: Rows) -> list[float]:
    """Test accuracies of the ratio that validation chooses of all, seed by seed."""
    fixed = [rows[name] for name in HELD]
    return [
        max(runs, key=lambda r: r["validation_accuracy"])["test_accuracy"]
        for runs in zip(*fixed, strict=True)
    ]


def accuracies(rows: Rows) -> dict[str, list[float]]:
    """Test accuracies in percent, seed by seed, of all rows and of a grid of them."""
    of = {name: [r["test_accuracy"] for r in runs] for name, runs in rows.items()}
    of["grid"] = best_by_validation(rows)
    return {name: [100 * a for a in values] for name, values in of.items()}


def losses(rows: Rows, loss: str) -> dict[str, list[float]]:
    """One of `LOSSES`, seed by seed, of all rows."""
    return {name: [r[loss] for r in rows[name]] for name in ROWS}


def in_hindsight(
    of: Mapping[str, Sequence[float]],
    best: Callable[[np.ndarray, int], np.ndarray] = np.argmax,
) -> list[float]:
    """Figures of the held ratio that is best on all other seeds, seed by seed.

    Chosen by the seed's own figures, the best of six would be better than it is.
    """
    fixed = np.array([of[name] for name in HELD])
    others = fixed.sum(axis=1, keepdims=True) - fixed
    return [fixed[row, seed] for seed, row in enumerate(best(others, 0))]


def paired(one: Sequence[float], other: Sequence[float]) -> Mean:
    """The difference over the same seeds."""
    return Mean.of([a - b for a, b in zip(one, other, strict=True)])


def behind(found: Found) -> dict[str, dict[str, Mean]]:
    """By row and problem: points behind the ratio that is best in hindsight."""
    far: dict[str, dict[str, Mean]] = {row: {} for row in (*COLUMNS, DRAWN)}
    for name, rows in found.items():
        of = accuracies(rows)
        best = in_hindsight(of)
        for row in far:
            far[row][name] = paired(best, of[row])
    return far


def times_the_best(found: Found, loss: str) -> dict[str, dict[str, float]]:
    """By row and problem: one of `LOSSES`, in that of the ratio best in hindsight.

    Both are geometric means over the seeds.
    """
    times: dict[str, dict[str, float]] = {row: {} for row in ROWS}
    for name, rows in found.items():
        of = losses(rows, loss)
        best = in_hindsight(of, np.argmin)
        for row in ROWS:
            times[row][name] = float(np.exp(np.mean(np.log(of[row]) - np.log(best))))
    return times


def beyond_chance(found: Found, row: str) -> tuple[int, int]:
    """On how many problems the tuned network is ahead of a row, and behind it.

    Where the difference over paired seeds has a p-value below 5 %, corrected after Holm
    for the number of problems.
    """
    gains = {}
    for name, rows in found.items():
        of = accuracies(rows)
        gains[name] = paired(of[TUNED], of[row])
    p_values = holm({name: gain.p_value for name, gain in gains.items()})
    told = [gains[name].mean for name, p in p_values.items() if p < 0.05]
    return sum(gain > 0 for gain in told), sum(gain < 0 for gain in told)


def marked(cells: Mapping[str, str], best: str) -> Iterable[str]:
    """Those of a line, the best in bold."""
    return {**cells, best: f"**{cells[best]}**"}.values()


def by_problem(far: Mapping[str, Mean]) -> list[float]:
    """A row of `behind`, as numbers."""
    return [points.mean for points in far.values()]


def table(found: Found) -> str:
    """Test accuracies in percent with their standard errors, as markdown."""
    head = ("problem", "cost", *COLUMNS.values())
    lines: list[Iterable[str]] = []
    for name, rows in found.items():
        of = accuracies(rows)
        cells = {row: with_error(of[row]) for row in COLUMNS}
        best = max(HELD, key=lambda row: float(np.mean(of[row])))
        cost = np.mean([r["cost"] for r in rows[TUNED]])
        lines.append((name, f"{cost:.2f}", *marked(cells, best)))
    all_ = behind(found)
    far = [all_[row] for row in COLUMNS]
    worst = [max(row.values(), key=lambda m: m.mean) for row in far]
    counts = [("", "") if r == TUNED else beyond_chance(found, r) for r in COLUMNS]
    ends: dict[str, Iterable[str]] = {
        "behind the best, mean": (with_error(by_problem(row)) for row in far),
        "at worst": (f"{m.mean:.2f} ± {m.error:.2f}" for m in worst),
        "problems on which tuned is ahead": (str(ahead) for ahead, _ in counts),
        "behind": (str(less) for _, less in counts),
    }
    lines += [(f"*{title}*", "", *cells) for title, cells in ends.items()]
    return table_of(head, lines)


def mean_and_worst(
    times: Mapping[str, Mapping[str, float]],
) -> dict[str, tuple[float, float]]:
    """By row, of `times_the_best`: the geometric mean over the problems; the most."""
    of = {row: list(problems.values()) for row, problems in times.items()}
    return {row: (float(np.exp(np.mean(np.log(t)))), max(t)) for row, t in of.items()}


def loss_ends(found: Found, loss: str) -> list[list[str]]:
    """Two lines of a table: the means of `mean_and_worst`, and the worst."""
    ends = mean_and_worst(times_the_best(found, loss)).values()
    return [[f"{end:.2f}" for end in row] for row in zip(*ends, strict=True)]


def loss_table(found: Found, loss: str) -> str:
    """One of `LOSSES` with its standard errors, as markdown."""
    lines: list[Iterable[str]] = []
    for name, rows in found.items():
        of = losses(rows, loss)
        cells = {row: with_error(values, 3) for row, values in of.items()}
        best = min(HELD, key=lambda row: float(np.mean(of[row])))
        lines.append((name, *marked(cells, best)))
    mean, worst = loss_ends(found, loss)
    lines += [("*times the best, mean*", *mean), ("*at worst*", *worst)]
    return table_of(("problem", *ROWS), lines)


def summary(found: Found) -> str:
    """How far rows are from the best, over all problems, as markdown."""
    head = ["", "accuracy: points behind the best (at worst)"]
    head += [f"{title}: times the best's (at worst)" for title in LOSSES.values()]
    far = behind(found)
    points = [by_problem(far[row]) for row in ROWS]
    columns = [[f"{with_error(row, 1)} ({max(row):.1f})" for row in points]]
    for loss in LOSSES:
        ends = zip(*loss_ends(found, loss), strict=True)
        columns.append([f"{mean} ({worst})" for mean, worst in ends])
    return table_of(head, zip(ROWS, *columns, strict=True))


def plot(found: Found) -> Figure:
    """A panel a problem: accuracy by the ratio that is held, tuned, and begun with."""
    columns = 5
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(13, 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
    for axes, (name, runs) in zip(panels, found.items(), strict=False):
        of = {row: Mean.of(values) for row, values in accuracies(runs).items()}
        line = [of[row] for row in HELD]
        means, errors = [m.mean for m in line], [m.error for m in line]
        axes.errorbar(RATIOS, means, errors, fmt="o-", color="C0", capsize=2)
        mean, error = of[TUNED].mean, of[TUNED].error
        axes.axhspan(mean - error, mean + error, color="C1", alpha=0.25, lw=0)
        axes.axhline(mean, color="C1")
        axes.axhline(of[BEGINNING].mean, color="C2", linestyle="--")
        axes.set_title(name, fontsize="medium")
    for axes in figure.axes[len(found) :]:
        axes.remove()
    figure.legend(
        [
            Line2D([], [], color="C0", marker="o"),
            Line2D([], [], color="C1"),
            Line2D([], [], color="C2", linestyle="--"),
        ],
        ["p_z = p_x held", "tuned in one run of the same cost", BEGINNING],
        loc="outside upper center",
        ncols=3,
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
    if given.seeds < 2:
        parser.error(
            "--seeds: a schedule is used again on the next seed; give 2 or more"
        )
    names = given.problem or list(PROBLEMS)
    found = {
        name: figures(PROBLEMS[name], given.seeds, given.workdir / name)
        for name in names
    }
    print(table(found))
    for loss, title in LOSSES.items():
        print(f"\n{title}\n{loss_table(found, loss)}")
    if given.out:
        keep(given.out, "one_setting", problems=found)
        put(plot(found), given.out.with_suffix(".png"))


if __name__ == "__main__":
    # Under the name by which others import it, which goes into the runs' records.
    from benchmarks.one_setting import main as run_it

    run_it()
