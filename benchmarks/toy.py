"""The toy problem of the paper's Appendix: maximise `-sum_i (v_i - c_i)^2`.

    python -m benchmarks.toy [--seeds=100] [--json=FILE]
    python -m benchmarks.toy --tune

The optimum c is uniform in the inner 80 % of the unit cube, the bounds are the cube,
and the first population is a Latin hypercube of all of it. The measure is the median
over the seeds of the Euclidean distance from the leader to c, beside that of the best
of as many random points. `--tune` searches for the constants in `TUNED`, with seeds
that no report uses.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.records import measured_by
from surrojax import search
from surrojax.sites import Hyper, Sites
from surrojax.space import Space

POPULATION, ROUNDS = 6, 60
VARIABLES = (1, 4, 8)
TARGET = 0.05  # median distance for one variable

OPTIMISERS: dict[str, Callable[..., search.Search]] = {
    "pso": search.pso,
    "de": search.de,
    "ga": search.ga,
}
PAPER = {
    "pso": {"w": 0.6, "c1": 0.2, "c2": 0.9},
    "de": {"F": 0.1, "CR": 0.6},
    "ga": {"crossover": 0.9, "sigma": 0.2},
}
# Found by `python -m benchmarks.toy --tune`.
TUNED = {
    "pso": {"w": 0.65, "c1": 1.875, "c2": 1.21},
    "de": {"F": 0.436, "CR": 0.012},
    "ga": {"crossover": 0.955, "sigma": 0.078},
}

RANGES = {
    "pso": {"w": (0.0, 1.0), "c1": (0.0, 3.0), "c2": (0.0, 3.0)},
    "de": {"F": (0.05, 1.5), "CR": (0.0, 1.0)},
    "ga": {"crossover": (0.0, 1.0), "sigma": (0.002, 0.4)},
}
# Compiling takes a hundred times as long as running, and most of it is optimisation.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})

TUNING_SETTINGS, TUNING_SEEDS, FIRST_TUNING_SEED = 400, 100, 1_000_000


def unit_cube(n: int) -> Space:
    """The unit cube of n variables, all of it the initial box."""
    nothing = Sites(None, None, None, None)
    names = tuple(f"v{i}" for i in range(n))
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    return Space(
        names=names,
        tune=names,
        fixed=Hyper(nothing, nothing),
        center=0.5 * ones,
        width=0.5 * ones,
        lower=zeros,
        upper=ones,
    )


def optimum(key: jax.Array, n: int) -> jax.Array:
    """c, `[n]`."""
    return jax.random.uniform(key, (n,), minval=0.1, maxval=0.9)


def optimise(
    name: str, n: int, constants: dict[str, jax.Array], seed: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The leader's distance after all rounds, and whether no candidate left the cube.

    Args:
      name: of the optimiser.
      n: number of variables.
      constants: the optimiser's.
      seed: sets the optimum, the first population and the optimiser's random numbers.
    """
    where, start, moves = jax.random.split(jax.random.key(seed), 3)
    c, space = optimum(where, n), unit_cube(n)
    method = OPTIMISERS[name](space.lower, space.upper, **constants)

    def one(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        candidates, state = carry
        scores = -jnp.sum(jnp.square(candidates - c), axis=-1)
        state = method.tell(state, candidates, scores)
        inside = jnp.all((candidates >= 0) & (candidates <= 1))
        return method.ask(key, state), inside

    population = space.latin_hypercube(start, POPULATION)
    carry = (population, method.init(population))
    (_, state), inside = jax.lax.scan(one, carry, jax.random.split(moves, ROUNDS))
    return jnp.linalg.norm(state.leader - c), jnp.all(inside)


def random_points(n: int, seed: jax.Array) -> jax.Array:
    """Distance from c to the nearest of as many random points as candidates."""
    where, points, _ = jax.random.split(jax.random.key(seed), 3)
    drawn = jax.random.uniform(points, (POPULATION * ROUNDS, n))
    return jnp.min(jnp.linalg.norm(drawn - optimum(where, n), axis=-1))


@cache
def all_seeds(name: str, n: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """`(constants, seeds [S])` to what `optimise` returns for each seed."""
    return quick_jit(jax.vmap(partial(optimise, name, n), in_axes=(None, 0)))


def distances(
    name: str, n: int, constants: dict[str, float], seeds: int
) -> tuple[np.ndarray, bool]:
    """Distances of all seeds `[seeds]`, and whether no candidate left the cube."""
    reached, inside = all_seeds(name, n)(
        jax.tree.map(jnp.float32, constants), jnp.arange(seeds, dtype=jnp.uint32)
    )
    return np.asarray(reached), bool(inside.all())


def random_distances(n: int, seeds: int) -> np.ndarray:
    """Distances of the nearest random points, `[seeds]`."""
    run = quick_jit(jax.vmap(partial(random_points, n)))
    return np.asarray(run(jnp.arange(seeds, dtype=jnp.uint32)))


def tune(name: str) -> dict[str, float]:
    """The best of many random constants for one optimiser.

    Best is the lowest mean over the numbers of variables of the median distance as a
    share of the cube's diagonal.
    """
    rng = np.random.default_rng(0)
    settings = {
        constant: jnp.asarray(rng.uniform(low, high, TUNING_SETTINGS), jnp.float32)
        for constant, (low, high) in RANGES[name].items()
    }
    seeds = FIRST_TUNING_SEED + jnp.arange(TUNING_SEEDS, dtype=jnp.uint32)
    loss = np.zeros(TUNING_SETTINGS)
    for n in VARIABLES:
        of_seeds = jax.vmap(partial(optimise, name, n), in_axes=(None, 0))
        of_settings = quick_jit(jax.vmap(of_seeds, in_axes=(0, None)))
        reached, _ = of_settings(settings, seeds)
        loss += np.median(reached, axis=1) / np.sqrt(n) / len(VARIABLES)
    best = int(np.argmin(loss))
    return {
        constant: round(float(values[best]), 3) for constant, values in settings.items()
    }


def report(seeds: int) -> list[dict[str, Any]]:
    """One row for each optimiser and set of constants, and one for random points."""
    rows: list[dict[str, Any]] = []
    for name in OPTIMISERS:
        for kind, constants in (("paper", PAPER[name]), ("tuned", TUNED[name])):
            results = {n: distances(name, n, constants, seeds) for n in VARIABLES}
            rows.append(
                {
                    "optimiser": name,
                    "constants": kind,
                    "values": constants,
                    "median_distance": {
                        n: float(np.median(reached))
                        for n, (reached, _) in results.items()
                    },
                    "stayed_within_bounds": all(ok for _, ok in results.values()),
                }
            )
    medians = {n: float(np.median(random_distances(n, seeds))) for n in VARIABLES}
    return [*rows, {"optimiser": "random points", "median_distance": medians}]


def print_table(rows: list[dict[str, Any]]) -> None:
    """The rows as a table."""
    numbers = "".join(f"{f'n = {n}':>10}" for n in VARIABLES)
    print(f"{'optimiser':<14} {'constants':<38}{numbers}  in bounds")
    for row in rows:
        values = " ".join(f"{k}={v:g}" for k, v in row.get("values", {}).items())
        constants = f"{row.get('constants', '')} {values}".strip()
        medians = "".join(f"{row['median_distance'][n]:>10.2g}" for n in VARIABLES)
        inside = {True: "yes", False: "NO", None: ""}[row.get("stayed_within_bounds")]
        print(f"{row['optimiser']:<14} {constants:<38}{medians}  {inside}".rstrip())


def main(arguments: list[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.toy",
        description="Median distance to the optimum of the paper's toy problem.",
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers")
    parser.add_argument("--tune", action="store_true", help="search for constants")
    options = parser.parse_args(arguments)
    if options.tune:
        for name in OPTIMISERS:
            print(f"{name}: {tune(name)}", flush=True)
        return
    rows = report(options.seeds)
    print(
        f"Median distance to the optimum of {options.seeds} seeds, "
        f"{ROUNDS} rounds of {POPULATION} candidates\n"
    )
    print_table(rows)
    for row in rows:
        if row["median_distance"][1] > TARGET:
            label = f"{row['optimiser']} at the {row['constants']} constants"
            print(f"\n{label} misses {TARGET} for one variable.")
    if options.json:
        result = {
            **measured_by("toy", ("surrojax", "jax", "numpy"), arguments),
            "seeds": options.seeds,
            "rounds": ROUNDS,
            "population": POPULATION,
            "rows": rows,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
