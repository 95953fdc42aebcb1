"""Memory that a round takes, by XLA's own account of the compiled programs.

    python -m benchmarks.memory --config=ck_mresnet --batch 4 64 \
        --out=benchmarks/results/memory_mresnet.json

Nothing is trained: stage 1, the population of stage 2 and the evaluation are compiled
for data of a given size, and asked what they need. The convolutions' form decides most
of it: `lax` is what a GPU takes, `matmul` copies the windows under the kernels.
"""

import argparse
import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from benchmarks.records import measured_by
from surrojax.algorithm import RunState, initial_state
from surrojax.layout import several
from surrojax.method import Data, Method
from surrojax.programs import compile_programs
from surrojax.run.execution import execution_of
from surrojax.run.files import write_json
from surrojax.settings import make_look, make_method
from surrojax.sgd import Arrays, Targets
from surrojax.stage1 import fit_settings

GIB = 2**30


def size(tree: Any) -> int:
    """Bytes of all leaves."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def split_of(config: ConfigDict, method: Method, images: int) -> Arrays:
    """The shapes of a split of so many images."""
    look = make_look(config, method.pair)
    shape = (images, look.side, look.side, look.channels)

    def blank() -> Arrays:
        targets = Targets(jnp.zeros(images, jnp.int32))
        return Arrays(jnp.zeros(shape, jnp.uint8), targets)

    return jax.eval_shape(blank)


def state_of(method: Method) -> RunState:
    """The shapes of a run's state."""
    return jax.eval_shape(lambda: initial_state(method, jax.random.key(0)))


def needed(program: Any, *arguments: Any) -> dict[str, float]:
    """GiB of a compiled program: what it is given, returns, and works with."""
    account = program.lower(*arguments).compile().memory_analysis()
    parts = {
        "arguments": account.argument_size_in_bytes,
        "outputs": account.output_size_in_bytes,
        "work": account.temp_size_in_bytes,
    }
    return {name: round(count / GIB, 3) for name, count in parts.items()} | {
        "together": round(sum(parts.values()) / GIB, 3)
    }


def measure(config: ConfigDict, images: int) -> dict[str, Any]:
    """The account of one config."""
    method = make_method(config, 7)
    programs, state = compile_programs(method), state_of(method)
    train, validation = (split_of(config, method, n) for n in (images, images // 8))
    fusions = jax.eval_shape(
        lambda: several(initial_state(method, jax.random.key(0)).fusion, 1)
    )

    def both(fusion: Any, train: Arrays, key: jax.Array) -> Any:
        """Stage 1 as the config's execution works on its two settings."""
        vectors = several(jnp.asarray(method.space.center), 2)
        steps = jnp.arange(method.iterations_per_round)
        return fit_settings(method, several(fusion, 2), vectors, train, key, steps)

    stage1 = jax.jit(both)
    key, step = jax.eval_shape(lambda: jax.random.key(0)), state.step
    return {
        "network": config.network,
        "batch_size": method.batch_size,
        "population": method.population,
        "convolution": config.convolution,
        "compute_dtype": config.compute_dtype,
        "execution": str(execution_of(config)),
        "images": images,
        "gib": {
            "images": round(size((train.images, validation.images)) / GIB, 3),
            "checkpoint": round(size(state) / GIB, 3),
            "stage1": needed(stage1, state.fusion, train, key),
            "stage2": needed(
                inspect.unwrap(programs.compete),
                state.fusion.surrogate,
                state.population,
                Data(train, validation),
                key,
                step,
            ),
            "evaluation": needed(
                inspect.unwrap(programs.evaluate), fusions, validation
            ),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="ck_mresnet", help="a file of configs/")
    parser.add_argument("--batch", type=int, nargs="+", default=[64])
    parser.add_argument("--images", type=int, default=996, help="to train on")
    parser.add_argument("--convolution", nargs="+", default=["lax", "matmul"])
    parser.add_argument("--dtype", nargs="+", default=["float32"])
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    rows = []
    for dtype in given.dtype:
        for form in given.convolution:
            for batch in given.batch:
                config = import_module(f"configs.{given.config}").get_config()
                config.batch_size, config.convolution = batch, form
                config.compute_dtype = dtype
                rows.append(measure(config, given.images))
                print(json.dumps(rows[-1]), flush=True)
    if given.out:
        result = {
            **measured_by("memory", ("jax",)),
            "device": jax.devices()[0].device_kind,
            "rows": rows,
        }
        write_json(given.out, result)


if __name__ == "__main__":
    main()
