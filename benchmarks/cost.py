"""What a round costs: milliseconds a step of both stages, and what is neither.

    python -m benchmarks.cost --config=configs/fer2013_lenet.py --json=FILE

Stage 1 is one step of 'original + surrogate' with both settings; stage 2 one step of
the whole population. Whole rounds are those of `surrojax.experiment.train`, with
evaluation, test figures, checkpoints and files, in a folder that is thrown away.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from surrojax.algorithm import compile_programs, initial_state
from surrojax.experiment import place, train
from surrojax.networks import blank
from surrojax.networks.macs import macs
from surrojax.settings import load_data, make_method
from surrojax.stage2 import copies, train_population


def seconds(program: Callable[[], Any], repeats: int = 3) -> float:
    """The median time of a call, after one that compiles."""
    jax.block_until_ready(program())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(program())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(config: ConfigDict, rounds: int) -> dict[str, Any]:
    """All figures for one config, as numbers ready for JSON."""
    dataset = load_data(config)
    method = make_method(config, len(dataset.classes))
    split = place(config, dataset)["train"]
    state = initial_state(method, jax.random.key(config.seed))
    steps = method.iterations_per_round

    fit = compile_programs(method).fit
    one_setting = seconds(
        lambda: fit(state.fusion, state.previous, split, state.key, state.step)
    )
    population = jax.jit(partial(train_population, method))
    assert state.fusion.surrogate is not None  # the config tunes something
    nets = copies(state.fusion.surrogate, method.population)
    now = jnp.arange(steps)
    stage2 = seconds(lambda: population(nets, state.population, split, state.key, now))
    config.max_iterations = rounds * steps
    with tempfile.TemporaryDirectory() as folder:
        train(config, folder, quiet=True)
        lines = Path(folder, "metrics.jsonl").read_text().splitlines()
    # The first round compiles; a round with equal settings trains one of them.
    records = [json.loads(line) for line in lines][1:]
    whole = sum(record["seconds"] for record in records)
    spent = sum(len(r["stage1"]) * one_setting + stage2 for r in records)
    image = blank(method.pair)
    return {
        "network": config.network,
        "database": config.dataset.name,
        "batch_size": method.batch_size,
        "population": method.population,
        "macs": {
            "original": macs(method.pair.original, image),
            "surrogate": macs(method.pair.surrogate, image),
        },
        "stage1_step_ms_both_settings": 2e3 * one_setting / steps,
        "stage2_step_ms": 1e3 * stage2 / steps,
        "round_seconds": [record["seconds"] for record in records],
        "share_of_a_round_that_is_neither": 1 - spent / whole,
        "cores": len(os.sched_getaffinity(0)),
        "device": jax.devices()[0].device_kind,
        "versions": {
            name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax")
        },
        "command": " ".join(["python -m benchmarks.cost", *sys.argv[1:]]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/fer2013_lenet.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    spec = importlib.util.spec_from_file_location("config", arguments.config)
    if spec is None or spec.loader is None:
        parser.error(f"{arguments.config} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = measure(module.get_config(), arguments.rounds)
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
