"""Networks that are not of this package, untuned and tuned.

    python -m benchmarks.own_network --out=benchmarks/results/own_network.json
    python -m benchmarks.own_network --case=digits_adam \\
        --out=benchmarks/results/own_adam.json
    python -m benchmarks.own_network --case=faces \\
        --out=benchmarks/results/own_faces.json
    python -m benchmarks.own_network --case=residual --seeds=3 \\
        --out=benchmarks/results/own_residual.json

`digits`: a small convolutional network in plain Flax on scikit-learn's digits (1,797 of
8x8 pixels): 300 to train, 300 to validate, the other 1,197 held out; `digits_adam`: the
same by Adam.

`faces`: a larger such network tells the 100 people of LFW with the most photos apart,
at 24x24 pixels: of each at most 24 photos, half of them to train, a quarter to
validate, a quarter held out. Wants `$SURROJAX_DATA/lfw_faces.tar`, of LFW's
name/photo.jpg.

`residual`: a residual network with one dense layer on FER2013 at 16x16 pixels: 7,000
images of Training to train, 7,000 others held out, PublicTest to validate. PrivateTest
is not read. Wants `$SURROJAX_DATA`.

Each seed has a split, weights and minibatches of its own, the same for all rows.
Finished runs are kept in --workdir, and are not run again.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import surrojax
from benchmarks import records
from benchmarks.variants import with_error
from surrojax import filenames
from surrojax.baselines.markdown import table_of
from surrojax.data.identities import read
from surrojax.data.places import data_folder
from surrojax.run.outcome import cost_in_steps
from surrojax.versions import PACKAGES

Splits = list[tuple[np.ndarray, np.ndarray]]
"""Inputs and labels of each."""


class Convolutional(nn.Module):
    """Convolutions with pooling, two dense layers."""

    maps: tuple[int, ...]
    hidden: int
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in self.maps:
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.relu(nn.Dense(self.hidden)(x.reshape(len(x), -1)))
        return nn.Dense(self.classes)(x)


DIGITS = Convolutional((16, 32), 128, 10)
FACES = Convolutional((16, 32, 64), 256, 100)


class Residual(nn.Module):
    """Three residual blocks of 16, 32 and 64 maps; an average; one dense layer."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        def conv(y: jax.Array, features: int, size: int, stride: int) -> jax.Array:
            y = nn.Conv(features, (size, size), (stride, stride), use_bias=False)(y)
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(y)

        y = nn.relu(conv(x, 16, 3, 1))
        for features in (16, 32, 64):
            stride = 1 if features == 16 else 2
            block = conv(nn.relu(conv(y, features, 3, stride)), features, 3, 1)
            around = y if stride == 1 else conv(y, features, 1, stride)
            y = nn.relu(block + around)
        return nn.Dense(7)(y.mean(axis=(1, 2)))


def digits(seed: int) -> Splits:
    """Scikit-learn's, dealt out by a seed."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8, 1) / 8 - 1).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(labels))
    return [
        (images[rows], labels[rows])
        for rows in (order[:300], order[300:600], order[600:])
    ]


@cache
def photos() -> tuple[np.ndarray, np.ndarray]:
    """Those of the people with the most at 24x24 pixels, and who they show."""
    found = read(data_folder() / "lfw_faces.tar", 24, 24, window=0.7)
    most = np.argsort(-np.bincount(found.people), kind="stable")[: FACES.classes]
    rows = found.rows_of(most)
    return found.photos[rows], np.unique(found.people[rows], return_inverse=True)[1]


def people(seed: int) -> Splits:
    """Each person's photos, at most 24, dealt out by a seed."""
    images, labels = photos()
    random = np.random.default_rng(seed)
    parts: list[list[np.ndarray]] = []
    for person in range(FACES.classes):
        rows = random.permutation(np.flatnonzero(labels == person))[:24]
        quarter = len(rows) // 4
        parts.append(np.split(rows, [len(rows) - 2 * quarter, len(rows) - quarter]))
    joined = [np.concatenate(rows) for rows in zip(*parts, strict=True)]
    return [(images[rows], labels[rows]) for rows in joined]


@cache
def fer2013() -> Splits:
    """Training and PublicTest at 16x16 pixels."""
    from configs import fer2013_lenet
    from surrojax.settings import load_data

    config = fer2013_lenet.get_config()
    config.dataset.image_size = 16
    data = load_data(config)
    return [
        (np.asarray(part.images), np.asarray(part.labels))
        for part in (data.train, data.validation)
    ]


def expressions(seed: int) -> Splits:
    """Two parts of Training, dealt out by a seed, with PublicTest between them."""
    (images, labels), validation = fer2013()
    order = np.random.default_rng(seed).permutation(len(labels))
    train, test = order[:7_000], order[7_000:14_000]
    return [(images[train], labels[train]), validation, (images[test], labels[test])]


def mirrored(key: jax.Array, images: jax.Array) -> jax.Array:
    """Each image or its mirror image."""
    turned = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(turned, images[:, :, ::-1], images)


def untuned(**fixed: float) -> dict[str, Any]:
    """Settings that are not searched; those not named are 0."""
    return {"tune": (), "fixed": fixed}


@dataclass(frozen=True)
class Case:
    """A network, its data, and the rows that are compared.

    Attributes:
      network: of a user.
      splits: of a seed: to train, to validate, held out.
      steps: of a row that does not say.
      common: settings of all rows.
      rows: settings by name; the gain is over `untuned`.
    """

    network: nn.Module
    splits: Callable[[int], Splits]
    steps: int
    common: dict[str, Any]
    rows: dict[str, Mapping[str, Any]]


CASES = {
    "digits": Case(
        DIGITS,
        digits,
        3_000,
        {"learning_rate": 0.03, "batch_size": 32},
        {
            "untuned": untuned(),
            "untuned, longer": {"max_iterations": 8_000, **untuned()},
            "p_z = p_x = 0.5": untuned(p_z=0.5, p_x=0.5),
            "p_z = p_x = 0.5, longer": {
                "max_iterations": 8_000,
                **untuned(p_z=0.5, p_x=0.5),
            },
            "tuned, the paper's form": {
                "iterations_per_round": 300,
                **surrojax.PAPER,
            },
            "tuned": {},
            "tuned, longer": {"max_iterations": 5_800},
            "tuned, from 0.5 and 0.1": surrojax.FER2013,
        },
    ),
    "digits_adam": Case(
        DIGITS,
        digits,
        3_000,
        {"learning_rate": 1e-3, "batch_size": 32, "optimizer": optax.adam},
        {
            "untuned": untuned(),
            "p_z = p_x = 0.5": untuned(p_z=0.5, p_x=0.5),
            "tuned": {},
            "tuned, from 0.5 and 0.1": surrojax.FER2013,
        },
    ),
    "faces": Case(
        FACES,
        people,
        3_000,
        {"learning_rate": 0.03, "batch_size": 32, "augment": mirrored},
        {
            "untuned": untuned(),
            "p_z = p_x = 0.5": untuned(p_z=0.5, p_x=0.5),
            "p_z = p_x = 0.5, longer": {
                "max_iterations": 4_200,
                **untuned(p_z=0.5, p_x=0.5),
            },
            "tuned": {},
            "tuned, longer": {"max_iterations": 3_360},
            "tuned, from 0.5 and 0.1": surrojax.FER2013,
        },
    ),
    "residual": Case(
        Residual(),
        expressions,
        4_000,
        {"learning_rate": 0.03, "augment": mirrored},
        {
            "untuned": untuned(),
            "p_z = 0.5": untuned(p_z=0.5),
            "p_z = 0.5, longer": {"max_iterations": 5_500, **untuned(p_z=0.5)},
            "tuned": {},
            "tuned, from 0.5 and 0.1": surrojax.FER2013,
            "the same, shared_layers = 2": {"shared_layers": 2, **surrojax.FER2013},
        },
    ),
}


def folder_of(workdir: Path, name: str, seed: int) -> Path:
    """Where a row's run of a seed is kept."""
    return workdir / name.replace(" ", "_") / f"seed={seed}"


def run(
    case: Case,
    name: str,
    seed: int,
    workdir: Path,
    also: Callable[[surrojax.Result, Splits], dict[str, Any]] | None = None,
) -> dict[str, float]:
    """One row's figures of one seed, and others that are taken of its result."""
    folder = folder_of(workdir, name, seed)
    start = time.perf_counter()
    settings = {"max_iterations": case.steps, **case.common, **case.rows[name]}
    splits = case.splits(seed)
    result = surrojax.tune(
        case.network,
        *splits,
        seed=seed,
        workdir=folder,
        quiet=True,
        **settings,
    )
    outcome: Any = result.outcome
    macs = records.read(folder / filenames.CONFIG)["multiply_accumulates"]
    ratio = macs["surrogate"] / macs["original"]
    steps = cost_in_steps(outcome["original_steps"], outcome["surrogate_steps"], ratio)
    print(f"{name}, seed {seed}: {result}, {time.perf_counter() - start:.0f} s")
    return {
        "seed": seed,
        "test_accuracy": outcome["test_accuracy"],
        "validation_accuracy": outcome["validation_accuracy"],
        "train_accuracy": outcome["train_accuracy"],
        "cost": steps / case.steps,
        **(also(result, splits) if also else {}),
    }


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """All rows as markdown: percent, and the standard error over seeds."""
    head = ("", "cost", "validation %", "test %", "gain over untuned", "seeds")
    lines = []
    plain = found["untuned"]
    for name, runs in found.items():
        validation, test = (
            [100 * r[f"{split}_accuracy"] for r in runs]
            for split in ("validation", "test")
        )
        gains = [
            100 * (r["test_accuracy"] - p["test_accuracy"])
            for r, p in zip(runs, plain, strict=True)
        ]
        cost = statistics.mean(r["cost"] for r in runs)
        means = map(with_error, (validation, test, gains))
        lines.append([name, f"{cost:.2f}", *means, str(len(runs))])
    return table_of(head, lines)


def keep(file: Path, module: str, **found: Any) -> None:
    """Writes what was found, and how it came about.

    Args:
      file: that is written.
      module: of benchmarks/.
      found: by name.
    """
    how = records.measured_by(module, PACKAGES)
    of = how | {"device": jax.devices()[0].device_kind} | found
    file.write_text(json.dumps(of, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, default="digits")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workdir", type=Path, default=Path("runs/own_network"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    case = CASES[given.case]
    runs = {
        (name, seed): run(case, name, seed, given.workdir / given.case)
        for seed in range(given.seeds)
        for name in case.rows
    }
    found = {
        name: [runs[name, seed] for seed in range(given.seeds)] for name in case.rows
    }
    print(table(found))
    if given.out:
        keep(given.out, "own_network", rows=found)


if __name__ == "__main__":
    # Under the name by which others import it, which goes into the runs' records.
    from benchmarks.own_network import main as run_it

    run_it()
