"""What a round costs, stage by stage, and how soon a run's first step begins.

    python -m benchmarks.cost --config=fer2013_lenet --out=benchmarks/results/NAME.json

Rounds are those of `surrojax.experiment.train`, with evaluation, test figures,
checkpoints and files, in a folder that is thrown away; the time in each part is taken
where the host calls it (`--config.execution.rounds=parts`). They run in a process of
their own, twice: with an empty compilation cache, and with a full one.

The paper's account of a round is 2 T_ori + N T_sur (Section 2.4); a third process
trains the original alone, whose step is T_ori.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import measured_by, read

PARTS = ("fit", "evaluate", "compete", "tell", "ask")


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Some rounds in this process, with the seconds spent in each part."""
    from surrojax.run.execution import prepare

    config = import_module(f"configs.{given.config}").get_config()
    config.max_iterations = given.rounds * given.steps
    config.iterations_per_round = given.steps
    config.dataset.name = given.dataset or config.dataset.name
    config.batch_size = given.batch or config.batch_size
    config.search.population = given.population or config.search.population
    config.execution.rounds = "parts"
    config.learning_rate.base = 1e-4  # a batch of four must not diverge
    config.evaluation_batch = min(config.evaluation_batch, given.images or 2**30)
    if given.alone:
        config.tune = ()
    prepare(config)
    import jax

    from surrojax import experiment, filenames
    from surrojax.run import rounds, setup
    from surrojax.run.records import metrics_of

    spent: dict[str, list[float]] = defaultdict(list)
    inner, begun = rounds.compile_programs, given.began

    def timed(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = time.time()
            result = jax.block_until_ready(part(*arguments))
            spent[name].append(time.time() - start)
            if name == "fit":
                spent["fit ends"].append(time.time() - begun)
            return result

        return call

    def programs(method: Any) -> Any:
        made = inner(method)
        return type(made)(*(timed(n, getattr(made, n)) for n in PARTS))

    def load(config: Any) -> Any:
        dataset = whole(config)
        cut: dict[str, Any] = {
            name: split.take(np.arange(min(len(split), given.images or len(split))))
            for name, split in dataset.splits.items()
        }
        return replace(dataset, **cut)

    whole = setup.load_data
    setup.load_data = load
    rounds.compile_programs = programs
    with tempfile.TemporaryDirectory() as folder:
        experiment.train(config, folder, quiet=True)
        records = metrics_of(Path(folder, filenames.METRICS))
        described = read(Path(folder, filenames.CONFIG))
    return {
        "seconds": [record["seconds"] for record in records],
        "settings": [len(record["stage1"]) for record in records],
        "spent": dict(spent),
        "macs": described["multiply_accumulates"],
        "population": config.search.population,
        "batch_size": config.batch_size,
    }


def elsewhere(arguments: list[str], cache: str) -> dict[str, Any]:
    """`run` in a process of its own, with a compilation cache of its own."""
    command = [sys.executable, "-m", "benchmarks.cost", "--inside", *arguments]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
    command += [f"--began={time.time()}"]
    found = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def account(tuned: dict[str, Any], alone: dict[str, Any], steps: int) -> dict[str, Any]:
    """The figures of a round from what two runs took, without their first rounds."""
    later = range(1, len(tuned["seconds"]))
    both = [i for i in later if tuned["settings"][i] == 2] or list(later)
    spent, per_step = tuned["spent"], 1e3 / steps
    fit = statistics.median(spent["fit"][i] for i in both)
    compete = statistics.median(spent["compete"][i] for i in later)
    whole = statistics.median(tuned["seconds"][i] for i in both)
    t_ori = statistics.median(alone["spent"]["fit"][1:])
    neither = [
        1 - (spent["fit"][i] + spent["compete"][i]) / tuned["seconds"][i] for i in later
    ]
    ratio = tuned["macs"]["surrogate"] / tuned["macs"]["original"]
    n = tuned["population"]
    return {
        "t_ori_ms": t_ori * per_step,
        "stage1_ms_both_settings": fit * per_step,
        "stage2_ms": compete * per_step,
        "round_ms_a_step": whole * per_step,
        "round_over_t_ori": whole / t_ori,
        "paper_2_plus_n_ratio": 2 + n * ratio,
        "share_of_a_round_that_is_neither": statistics.median(neither),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="fer2013_lenet", help="a file of configs/")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="NI")
    parser.add_argument("--batch", type=int, default=0, help="0: the config's")
    parser.add_argument("--dataset", default="", help="else the config's")
    parser.add_argument(
        "--images", type=int, default=0, help="of each split, the first so many; 0: all"
    )
    parser.add_argument("--population", type=int, default=0, help="0: the config's")
    parser.add_argument("--alone", action="store_true", help="train the original alone")
    parser.add_argument("--inside", action="store_true", help="run, in this process")
    parser.add_argument("--began", type=float, default=0.0, help="when it was called")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(run(given)))
        return
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as cache:
        cold = elsewhere(arguments, cache)
        warm = elsewhere(arguments, cache)
        alone = elsewhere([*arguments, "--alone"], cache)

    def first_step(result: dict[str, Any]) -> float:
        """Seconds from the process's start to the first step of stage 1."""
        spent = result["spent"]
        return spent["fit ends"][0] - statistics.median(spent["fit"][1:])

    result = account(warm, alone, given.steps) | {
        "seconds_to_first_step": {"cold": first_step(cold), "warm": first_step(warm)},
        "runs": {"cold": cold, "warm": warm, "original alone": alone},
        "steps": given.steps,
    }
    result |= measured_by("cost", ("jax", "jaxlib", "flax"))
    shown = {k: v for k, v in result.items() if k != "runs"}
    print(json.dumps(shown, indent=2))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
