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
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from benchmarks.records import measured_by

Row = dict[str, Any]

SIDES = ("jax", "pytorch")
PACKAGES = ("jax", "jaxlib", "flax")
IMAGES = 28709  # of FER2013, and an eighth of them to validate on


def config_of(given: argparse.Namespace) -> ConfigDict:
    """The config that is measured."""
    config: ConfigDict = import_module(f"configs.{given.config}").get_config()
    config.batch_size = given.batch or config.batch_size
    config.iterations_per_round = given.round_steps
    config.compute_dtype = given.dtype
    config.execution.devices = given.devices
    if given.side == "pytorch" and config.surrogate != "fitted":
        raise SystemExit(f"--side=pytorch: has no candidates as {given.config} has")
    return config


def median_seconds(program: Callable[[], Any], repeats: int) -> float:
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        program()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_memory_gib() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def jax_rows(given: argparse.Namespace) -> Iterator[Row]:
    """Our side: one row at a time."""
    started = time.perf_counter()
    from surrojax.run.execution import prepare

    config = config_of(given)
    prepare(config)
    import jax
    import jax.numpy as jnp
    import numpy as np

    from surrojax.algorithm import (
        compile_programs,
        compile_round,
        initial_state,
        play,
        several,
    )
    from surrojax.method import Data, candidate_macs
    from surrojax.networks import blank
    from surrojax.networks.macs import macs
    from surrojax.run.execution import execution_of, settle
    from surrojax.settings import make_look, make_method
    from surrojax.sgd import Arrays, Targets
    from surrojax.stage1 import fit_settings
    from surrojax.stage2 import copies, source, train_population

    method = make_method(config, 7)
    execution = execution_of(config)
    layout, side = method.layout, 48 if given.config.endswith("mresnet") else 28
    rng, look = np.random.default_rng(0), make_look(config, method.pair)

    def split(count: int) -> Arrays:
        images = rng.integers(
            0, 256, (count, min(side, look.side), min(side, look.side), 1)
        )
        labels = jnp.asarray(rng.integers(0, 7, count), jnp.int32)
        return Arrays(jnp.asarray(images, jnp.uint8), Targets(labels))

    parts = (split(given.images), split(given.images // 8))
    data: Data = layout.everywhere(Data(*parts))
    key = layout.everywhere(jax.random.key(1))
    state = layout.everywhere(initial_state(method, jax.random.key(0)))
    settled = settle(execution, method, state.fusion, data.train)
    yield {"row": "how", "how": str(settled), "device": jax.devices()[0].device_kind}
    square = jnp.ones((given.square, given.square), given.dtype)
    product = jax.jit(lambda a: a @ a)

    def peak() -> float:
        times = 3 if jax.default_backend() == "cpu" else 20
        best = min(
            median_seconds(lambda: jax.block_until_ready(product(square)), 1)
            for _ in range(4 + times)
        )
        return 2 * given.square**3 / best

    yield {"row": "peak", "flops": peak()}
    original = macs(method.pair.original, blank(method.pair))

    def candidate(n: int) -> int:
        """Of one of n, which may share their trunk."""
        return candidate_macs(replace(method, population=n, reevaluate_incumbent=False))

    yield {"row": "macs", "original": original, "surrogate": candidate(1)}
    steps = jnp.arange(given.steps)

    def timed(name: str, flops: float, f: Callable[..., Any], *arguments: Any) -> Row:
        begin = time.perf_counter()
        program = jax.jit(f).lower(*arguments).compile()
        compiling = time.perf_counter() - begin
        jax.block_until_ready(program(*arguments))
        seconds = median_seconds(
            lambda: jax.block_until_ready(program(*arguments)), given.repeats
        )
        return {
            "row": name,
            "ms": 1e3 * seconds / given.steps,
            "flops": flops * method.batch_size,
            "compile_seconds": compiling,
        }

    def fit(fusions: Any, vectors: Any, train: Any, key: Any) -> Any:
        return fit_settings(method, fusions, vectors, train, key, steps)[0]

    def population(held: Any, nets: Any, vectors: Any, train: Any, key: Any) -> Any:
        return train_population(method, held, nets, vectors, train, key, steps)

    together = original + (candidate(1) if method.fits else 0)
    vectors = jnp.stack([state.previous, state.population[0]])
    alone = state.fusion.replace(surrogate=None)
    rows = (
        ("original alone", 1, alone, original),
        ("stage 1, one setting", 1, state.fusion, together),
        ("stage 1, both settings", 2, state.fusion, 2 * together),
    )
    # A form that trains one setting in stage 1 has no third row.
    for name, count, fusion, of in rows[: 1 + method.stage1_settings]:
        given_ = layout.everywhere((several(fusion, count), vectors[:count]))
        yield timed(name, 6 * of, fit, *given_, data.train, key)
    for n in given.populations:
        copied = copies(method, source(method, state.fusion), n)
        candidates = method.space.latin_hypercube(jax.random.key(2), n)
        given_ = layout.everywhere((*copied, candidates))
        flops = 6 * n * candidate(n)
        yield timed(f"stage 2, N = {n}", flops, population, *given_, data.train, key)
    programs = compile_programs(method)
    one = layout.everywhere(several(state.fusion, 1))
    jax.block_until_ready(programs.evaluate(one, data.validation))
    seconds = median_seconds(
        lambda: jax.block_until_ready(programs.evaluate(one, data.validation)),
        given.repeats,
    )
    yield {"row": "evaluation", "ms": 1e3 * seconds}
    if given.rounds:
        round_ = (
            compile_round(method)
            if execution.fused
            else partial(play, method, programs)
        )
        begin = time.perf_counter()
        after, _ = jax.block_until_ready(round_(data, state))
        first = time.perf_counter() - begin
        # From the first state again: where there are two settings, they differ.
        seconds = median_seconds(
            lambda: jax.block_until_ready(round_(data, state)), given.rounds
        )
        del after
        yield {"row": "round", "ms": 1e3 * seconds, "first_seconds": first}
    yield {
        "row": "process",
        "peak_memory_gib": peak_memory_gib(),
        "seconds": time.perf_counter() - started,
    }


def pytorch_rows(given: argparse.Namespace) -> Iterator[Row]:
    """PyTorch's side: the same rows, the faster of its forms in each."""
    import numpy as np
    import torch

    from benchmarks import pytorch as other
    from surrojax.networks import NETWORKS
    from surrojax.sites import Hyper, Sites

    started, config = time.perf_counter(), config_of(given)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    entry = NETWORKS[config.network]
    size, channels = entry.image_size, entry.channels
    pair = other.make_pair(config.network, 7, size, channels, device)
    look = other.Look(size, channels)
    rng = np.random.default_rng(0)
    side = 48 if given.config.endswith("mresnet") else 28

    def split(count: int) -> Any:
        images = rng.integers(0, 256, (count, side, side, 1), dtype=np.uint8)
        labels = torch.from_numpy(rng.integers(0, 7, count)).to(device)
        return other.Split(torch.from_numpy(images).to(device), labels)

    def setting(n: int | None = None) -> Hyper:
        def of(value: float) -> Sites:
            full = value if n is None else np.full(n, value, np.float32)
            both = config.network != "resnet20"
            return Sites(full, full, *((full, full) if both else (None, None)))

        return Hyper(of(1e-5), of(0.5))

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def ms(program: Callable[[], Any]) -> float:
        for _ in range(3):
            program()

        def several() -> None:
            for _ in range(given.steps):
                program()
            wait()

        return 1e3 * median_seconds(several, given.repeats) / given.steps

    train, validation = split(given.images), split(given.images // 8)
    batch = config.batch_size
    square = torch.ones(given.square, given.square, device=device)

    def product() -> None:
        torch.mm(square, square)
        wait()

    best = min(median_seconds(product, 1) for _ in range(8))
    yield {"row": "peak", "flops": 2 * given.square**3 / best}
    forms = [False, True] if given.compiled else [False]
    stage1: dict[bool, Any] = {
        compiled: other.Stage1(*pair, setting(), compiled=compiled)
        for compiled in forms
    }

    def settings(count: int, compiled: bool) -> None:
        drawn = other.draw_batch(train, look, batch)
        levels = other.draw_levels(stage1[compiled].shapes(batch), device)
        for _ in range(count):
            stage1[compiled].step(0, drawn, levels)

    for name, count in (("one setting", 1), ("both settings", 2)):
        times = {c: ms(partial(settings, count, c)) for c in forms}
        yield best_of(
            f"stage 1, {name}", {f"compiled={c}": t for c, t in times.items()}
        )
    faster: tuple[other.Form, bool] = ("loop", False)
    for n in given.populations:
        times_of = {}
        for form in other.FORMS:
            for compiled in forms:
                if form == "batched" and n == 1:
                    continue
                stage2 = other.Stage2(pair[1], setting(n), form, compiled)

                def step(stage2: Any = stage2) -> None:
                    drawn = other.draw_batch(train, look, batch)
                    shapes = stage1[False].shapes(batch)[1:]
                    stage2.step(0, drawn, other.draw_levels(shapes, device)[0])

                times_of[form, compiled] = ms(step)
        if n == config.search.population:
            faster = min(times_of, key=lambda way: times_of[way])
        named = {f"{f}, compiled={c}": t for (f, c), t in times_of.items()}
        yield best_of(f"stage 2, N = {n}", named)

    def look_at_both() -> None:
        for network in pair:
            other.evaluate([network], validation, look)
        wait()

    look_at_both()
    yield {"row": "evaluation", "ms": 1e3 * median_seconds(look_at_both, given.repeats)}
    if given.rounds:
        n = config.search.population
        candidates = setting(n)

        def whole() -> None:
            other.train_round(
                stage1[faster[1]],
                [setting(), setting()],
                candidates,
                train,
                validation,
                look,
                range(given.round_steps),
                batch,
                *faster,
            )
            wait()

        if faster[1]:
            whole()
        yield {"row": "round", "ms": 1e3 * median_seconds(whole, given.rounds)}
    yield {
        "row": "process",
        "peak_memory_gib": peak_memory_gib(),
        "seconds": time.perf_counter() - started,
    }


def best_of(name: str, times: dict[str, float]) -> Row:
    """A row of the fastest way, with the times of all."""
    way = min(times, key=lambda name: times[name])
    return {"row": name, "ms": times[way], "way": way, "ways": times}


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
    lines = [
        "| | ms | of peak | PyTorch, ms | times as fast |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        share = f"{100 * row['share_of_peak']:.0f} %" if "share_of_peak" in row else ""
        theirs = f"{row['pytorch_ms']:.2f}" if "pytorch_ms" in row else ""
        ratio = f"{row['times_as_fast']:.2f}" if "times_as_fast" in row else ""
        lines.append(
            f"| {row['row']} | {row['ms']:.2f} | {share} | {theirs} | {ratio} |"
        )
    return "\n".join(lines)


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
    parser.add_argument("--square", type=int, default=1024, help="rows, for the peak")
    parser.add_argument("--turns", type=int, default=3, help="of both sides")
    parser.add_argument("--compiled", action="store_true", help="try torch.compile too")
    parser.add_argument("--side", choices=SIDES, help="only this, a line of JSON a row")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    if given.side:
        for row in jax_rows(given) if given.side == "jax" else pytorch_rows(given):
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
