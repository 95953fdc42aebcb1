"""Which of several ways to compute the same a run takes, and why.

    prepare(config)          before JAX starts: a CPU's devices, the compilation cache
    execution_of(config)     what the config asks for, or what suits the machine
    settle(execution, ...)   the rest, which has to be timed on the machine itself

All ways give the same numbers to float tolerance. `configs/common.py` names the fields
of `config.execution`, any of which forces a way.
"""

import ctypes
import gc
import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from surrojax.data.places import cache_folder
from surrojax.errors import InputError
from surrojax.keys import key_of
from surrojax.layout import Layout, Together, make_mesh, several
from surrojax.method import Method
from surrojax.networks.layers import ConvForm
from surrojax.run.memory import is_exhausted
from surrojax.sgd import Arrays
from surrojax.stage1 import Fusion, fit_settings

TRIAL_STEPS = 10
"""Steps for which a way is timed."""

LEFT_OVER = 100_000_000
"""Bytes on the device that are worth a look for what can be freed."""


@dataclass(frozen=True)
class Execution:
    """The ways that a run takes.

    Attributes:
      layout: where settings, candidates and images are worked on.
      fused: whether a round is one compiled program.
      convolution: the form of the originals' convolutions.
      open: whether `layout.settings` is still to be timed.
      reasons: a line for each choice.
    """

    layout: Layout
    fused: bool
    convolution: ConvForm
    open: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.reasons)


def prepare(config: ConfigDict) -> None:
    """Sets up JAX for a config; does nothing once JAX has begun to work.

    A CPU is split in two devices, one for each setting of stage 1, or one for each half
    of a batch: they take turns at nothing, where the threads of one device wait for
    each other at every operation.
    """
    of = config.execution
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    count = of.devices or (
        2 if cores > 1 and _is_split(config) and config.replicas == 1 else 1
    )
    if of.devices == 0 and config.replicas > 1:
        count = min(cores, config.replicas)
    _hold_memory()
    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        try:
            jax.config.update("jax_num_cpu_devices", count)
        except RuntimeError:  # a notebook has used JAX before
            return
    keep_programs()


def keep_programs() -> None:
    """Lets JAX keep compiled programs in the user's cache folder."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        folder = cache_folder() / "xla" / _processor()
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def forget_earlier_runs() -> None:
    """Frees the arrays that earlier runs of this process have left.

    Drawing their figures leaves cycles of objects that reach them, and Python looks for
    cycles when many objects have been made, not when a device is full.
    """
    if sum(array.nbytes for array in jax.live_arrays()) > LEFT_OVER:
        gc.collect()


def _is_split(config: ConfigDict) -> bool:
    """Whether a CPU trains faster as several devices (docs/speed.md).

    One setting of ResNet20 is many small convolutions, which threads share badly.
    """
    return tunes(config) or config.network == "resnet20"


def tunes(config: ConfigDict) -> bool:
    """Whether a config searches for anything."""
    return bool(config.tune) and not config.replay


def _hold_memory() -> None:
    """Lets the C library keep what is freed, where it is GNU's.

    Else buffers of megabytes go back to the kernel after every operation, and the next
    one waits for pages to be zeroed again: up to three times as long for a convolution.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library, threshold, trim = ctypes.CDLL(None), -3, -1  # of malloc.h
    library.mallopt(threshold, 2**30)
    library.mallopt(trim, 2**31 - 1)


def _processor() -> str:
    """A name for this kind of processor: its programs may not run on another."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kind = sorted({line for line in lines if line.startswith(("flags", "model name"))})
    return hashlib.sha256("\n".join(kind).encode()).hexdigest()[:12]


def execution_of(config: ConfigDict) -> Execution:
    """The ways that a config asks for, or that suit this machine.

    Raises:
      InputError: more devices are asked for than there are.
    """
    of, backend = config.execution, jax.default_backend()
    on_cpu, reasons = backend == "cpu", []

    def choose(name: str, asked: str, suits: str, why: str) -> str:
        chosen = suits if asked == "auto" else asked
        reasons.append(f"{name} {chosen} ({why if asked == 'auto' else 'as asked'})")
        return chosen

    devices = jax.devices()
    if of.devices > len(devices):
        raise InputError(
            f"config.execution.devices: {of.devices} are asked for, there are "
            f"{len(devices)}; a CPU is split in so many before JAX starts, by "
            "launch.py or with JAX_NUM_CPU_DEVICES"
        )
    if of.devices:
        devices = devices[: of.devices]
    elif on_cpu and not _is_split(config) and config.replicas == 1:
        devices = devices[:1]
    mesh = make_mesh(devices, config.batch_size, config.replicas)
    used = 1 if mesh is None else mesh.size
    reasons.append(f"{used} of {len(jax.devices())} devices ({devices[0].device_kind})")
    convolution: Any = choose(
        "convolution",
        config.convolution,
        conv_form("auto", config.network),
        f"measured for {config.network} on a CPU"
        if on_cpu
        else f"the library of a {backend}",
    )
    both = tunes(config) and config.stage1_settings == 2
    timed = both and of.settings == "auto" and convolution == "lax" and used == 1
    settings: Any = choose(
        "settings",
        of.settings,
        "vmap" if convolution == "matmul" else "loop",
        "to be timed" if timed else f"of convolutions in form {convolution}",
    )
    candidates: Any = choose(
        "candidates", of.candidates, "vmap", "their convolutions are matrix products"
    )
    alone = jax.process_count() == 1
    rounds = choose(
        "rounds",
        of.rounds if alone else "auto",
        "parts" if on_cpu and alone else "fused",
        "equal settings are trained once"
        if on_cpu and alone
        else "no word between steps",
    )
    layout = Layout(mesh, settings, candidates)
    return Execution(layout, rounds == "fused", convolution, timed, tuple(reasons))


def conv_form(asked: ConvForm | Literal["auto"], network: str = "") -> ConvForm:
    """The form of an original's convolutions; `auto`: what suits it and the machine."""
    if asked != "auto":
        return asked
    if jax.default_backend() != "cpu":
        return "lax"
    return "matmul" if network == "lenet" else "direct"


def settle(
    execution: Execution, method: Method, fusion: Fusion, train: Arrays
) -> Execution:
    """Times what is open: both settings of stage 1 at once, or one after the other.

    Args:
      execution: of the config.
      method: of the run.
      fusion: that both settings begin with.
      train: the training split.
    """
    if not execution.open:
        return execution
    vectors = several(jnp.asarray(method.space.center), 2)

    def trial(together: Together) -> float:
        layout = replace(execution.layout, settings=together)

        @jax.jit
        def program(fusion: Fusion, train: Arrays) -> Any:  # else a constant of it
            steps = jnp.arange(TRIAL_STEPS)
            there = replace(method, layout=layout)
            fusions, key = several(fusion, 2), key_of(0)
            return fit_settings(there, fusions, vectors, train, key, steps)[0]

        return seconds(lambda: program(fusion, train)) / TRIAL_STEPS

    ways: tuple[Together, ...] = ("vmap", "loop")
    try:
        times = {together: trial(together) for together in ways}
    except jax.errors.JaxRuntimeError as error:
        if not is_exhausted(error):
            raise
        best, why = execution.layout.settings, "both at once do not fit the memory"
    else:
        best = min(ways, key=lambda way: times[way])
        told = ", ".join(f"{name} {1e3 * time:.1f}" for name, time in times.items())
        why = f"timed, ms a step: {told}"
    rest = [r for r in execution.reasons if not r.startswith("settings ")]
    return replace(
        execution,
        layout=replace(execution.layout, settings=best),
        open=False,
        reasons=(*rest, f"settings {best} ({why})"),
    )


def seconds(program: Callable[[], Any], repeats: int = 3) -> float:
    """The shortest time of a call, after one that compiles."""
    jax.block_until_ready(program())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(program())
        times.append(time.perf_counter() - start)
    return min(times)
