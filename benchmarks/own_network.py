"""A network that is not of this package, untuned and tuned.

    python -m benchmarks.own_network --out=benchmarks/results/own_network.json

A small convolutional network in plain Flax on scikit-learn's digits (1,797 of 8x8
pixels): 300 to train, 300 to validate, the other 1,197 held out. Each seed has a split,
weights and minibatches of its own, the same for all rows. Finished runs are kept in
--workdir, and are not run again.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

import surrojax
from surrojax.versions import versions

STEPS = 3_000
LONG = 8_000
"""Steps that cost about what the tuned rows do."""

COMMON: dict[str, Any] = {"learning_rate": 0.03, "batch_size": 32}

ROWS: dict[str, dict[str, Any]] = {
    "untuned": {"max_iterations": STEPS, "tune": ()},
    "p_z = p_x = 0.5": {
        "max_iterations": STEPS,
        "tune": (),
        "fixed": {"p_z": 0.5, "p_x": 0.5},
    },
    "p_z = p_x = 0.5, longer": {
        "max_iterations": LONG,
        "tune": (),
        "fixed": {"p_z": 0.5, "p_x": 0.5},
    },
    "tuned, the paper's form": {
        "max_iterations": STEPS,
        "iterations_per_round": STEPS // 10,
        **surrojax.PAPER,
    },
    "tuned": {"max_iterations": STEPS},
}


class Digits(nn.Module):
    """Two convolutions with pooling, two dense layers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (16, 32):
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Dense(128)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


def splits(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training, validation and test examples."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8, 1) / 8 - 1).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(labels))
    return [
        (images[rows], labels[rows])
        for rows in (order[:300], order[300:600], order[600:])
    ]


def run(name: str, seed: int, workdir: Path) -> dict[str, float]:
    """One row's figures of one seed."""
    folder = workdir / name.replace(" ", "_") / f"seed={seed}"
    start = time.perf_counter()
    train, validation, test = splits(seed)
    result = surrojax.tune(
        Digits(),
        train,
        validation,
        test,
        seed=seed,
        workdir=folder,
        quiet=True,
        **COMMON | ROWS[name],
    )
    outcome: Any = result.outcome
    macs = json.loads((folder / "config.json").read_text())["multiply_accumulates"]
    ratio = macs["surrogate"] / macs["original"]
    steps = outcome["original_steps"] + ratio * outcome["surrogate_steps"]
    print(f"{name}, seed {seed}: {result}, {time.perf_counter() - start:.0f} s")
    return {
        "seed": seed,
        "test_accuracy": outcome["test_accuracy"],
        "validation_accuracy": outcome["validation_accuracy"],
        "train_accuracy": outcome["train_accuracy"],
        "cost": steps / STEPS,
    }


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """All rows as markdown: percent, and the standard error over seeds."""
    lines = [
        "| | cost | test % | gain over untuned | seeds |",
        "|---|---:|---:|---:|---:|",
    ]
    plain = found["untuned"]
    for name, runs in found.items():
        test = [100 * r["test_accuracy"] for r in runs]
        gains = [
            100 * (r["test_accuracy"] - p["test_accuracy"])
            for r, p in zip(runs, plain, strict=True)
        ]
        cost = statistics.mean(r["cost"] for r in runs)
        cells = [f"{cost:.2f}", _with_error(test), _with_error(gains), str(len(runs))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_error(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.2f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workdir", type=Path, default=Path("runs/own_network"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = {
        name: [run(name, seed, given.workdir) for seed in range(given.seeds)]
        for name in ROWS
    }
    print(table(found))
    if given.out:
        of = {
            "versions": versions(),
            "device": jax.devices()[0].device_kind,
            "rows": found,
        }
        given.out.write_text(json.dumps(of, indent=2) + "\n")


if __name__ == "__main__":
    main()
