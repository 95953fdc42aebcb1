"""Several processes, on one machine or many, that are one run: JAX's own runtime.

Every process computes its share and holds the whole state; the first one alone reads
and writes the run's folder.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from surrojax.errors import InputError, StrandedError, one_line
from surrojax.keys import data_of, is_key, key_with


def join(coordinator: str | None, count: int | None, index: int | None) -> None:
    """Makes this process one of several; does nothing without arguments.

    Args:
      coordinator: `host:port` of the first process; `auto`: as a cluster's scheduler
        says, Slurm's or Open MPI's.
      count: how many processes there are.
      index: of this one, from 0.

    Raises:
      InputError: the others cannot be reached, JAX cannot begin here, or the arguments
        do not fit.
    """
    if coordinator is None:
        if count is not None or index is not None:
            raise InputError("--processes, --process: want a --coordinator as well")
        return
    named = coordinator != "auto"
    if named and not re.fullmatch(r"\S+:\d+", coordinator):
        raise InputError(f"--coordinator={coordinator}: is neither HOST:PORT nor auto")
    # It would catch SIGTERM and carry on; whoever sends one wants the process to end.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator if named else None, count, index)
    except (RuntimeError, ValueError) as error:
        told = one_line(error, 200).rstrip(".")
        remedy = (
            "start each of the --processes with its own --process, from 0"
            if named
            else "where no scheduler starts the processes, give HOST:PORT of the "
            "first, --processes and --process"
        )
        raise InputError(
            f"--coordinator={coordinator}: cannot join the run ({told}); {remedy}"
        ) from error
    try:
        jax.devices()  # with which the processes find each other
    except RuntimeError as error:
        raise StrandedError(
            f"--coordinator={coordinator}: JAX cannot begin here "
            f"({one_line(error, 200)}); see that this machine's own name can be looked "
            "up (hostname, /etc/hosts) and that its devices are free"
        ) from error


def is_first() -> bool:
    """Whether this process reads and writes the run's folder."""
    return jax.process_index() == 0


def want_one(what: str, instead: str) -> None:
    """Checks that this process is a run of its own.

    Raises:
      InputError: it is one of several.
    """
    if jax.process_count() > 1:
        raise InputError(f"{what} a single process, without --coordinator; {instead}")


def check(mesh: Mesh | None) -> None:
    """Checks that every process has a share of the work.

    Raises:
      InputError: one has none of the devices that are worked on.
    """
    working, count = 1, jax.process_count()
    if mesh is not None:
        working = len({device.process_index for device in mesh.devices.flat})
    if working < count:
        raise InputError(
            f"--processes: only {working} of {count} would have something to do; start "
            "so many, or choose another config.batch_size or config.execution.devices"
        )


@contextmanager
def together() -> Iterator[None]:
    """What one process cannot do stops them all, where the others would wait for it.

    Raises:
      InputError: this process's own, or, of another's, that there was one.
    """
    wrong: InputError | None = None
    try:
        yield
    except InputError as error:
        wrong = error
    if jax.process_count() > 1:
        failed = multihost_utils.process_allgather(np.array(wrong is not None))
        if wrong is None and failed.any():
            wrong = InputError(
                f"process {int(failed.argmax())} cannot go on and says why; all "
                "processes of the run stop"
            )
    if wrong is not None:
        raise wrong


def shared(tree: Any) -> Any:
    """What the first process has of a tree of arrays and numbers, on all processes."""
    if jax.process_count() == 1:
        return tree
    sent = multihost_utils.broadcast_one_to_all(jax.tree.map(data_of, tree))
    return jax.tree.map(
        lambda a, new: key_with(new) if is_key(a) else jnp.asarray(new),
        tree,
        sent,
    )


def here(tree: Any) -> Any:
    """This process's copy of arrays that every device has."""
    return jax.tree.map(lambda a: a.addressable_data(0), tree)
