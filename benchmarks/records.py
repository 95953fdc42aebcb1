"""Runs and their small files, as the benchmarks keep them."""

import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from surrojax import filenames

KEPT = (filenames.CONFIG, filenames.METRICS, filenames.SCHEDULE, filenames.RESULT)

LAUNCH, BASELINES = ("launch.py",), ("-m", "surrojax.baselines")
"""Programs, as Python is given them."""


def command(arguments: Sequence[str], program: Sequence[str] = LAUNCH) -> str:
    """As a user would type it."""
    return shlex.join(["python", *program, *arguments])


def launch(
    arguments: Sequence[str],
    more: Sequence[str] = (),
    program: Sequence[str] = LAUNCH,
) -> bool:
    """Runs a program, with further flags; whether it succeeded."""
    command = [sys.executable, *program, *arguments, *more]
    return not subprocess.run(command).returncode


def copy_records(source: Path, target: Path) -> int:
    """Copies the small files of a sweep's finished runs; returns how many there are."""
    done = sorted(source.glob(f"seed=*/{filenames.RESULT}"))
    for result in done:
        folder = target / result.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copy(result.parent / name, folder / name)
    return len(done)


def read(file: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(file.read_text())


def finished(folder: Path) -> list[dict[str, Any]]:
    """Of a sweep of seeds: what its finished runs found, and their MaxIter."""
    results = sorted(folder.glob(f"seed=*/{filenames.RESULT}"))
    configs = [read(file.with_name(filenames.CONFIG))["config"] for file in results]
    return [
        read(file) | {"max_iterations": config["max_iterations"]}
        for file, config in zip(results, configs, strict=True)
    ]


def longest(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with the most iterations."""
    most = max((run["max_iterations"] for run in runs), default=0)
    return [run for run in runs if run["max_iterations"] == most]


def measured_by(
    module: str, packages: Iterable[str], arguments: Sequence[str] | None = None
) -> dict[str, Any]:
    """How figures came about: the command, and what it ran on and with.

    Args:
      module: of benchmarks/.
      packages: those on which the figures depend.
      arguments: of the module; else this process's.
    """
    given = sys.argv[1:] if arguments is None else arguments
    return {
        "command": " ".join([f"python -m benchmarks.{module}", *given]),
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in packages},
    }
