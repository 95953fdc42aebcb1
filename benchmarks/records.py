"""Runs of `launch.py` and their small files, as the benchmarks keep them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KEPT = ("config.json", "metrics.jsonl", "schedule.csv", "result.json")


def launch(arguments: Sequence[str], more: Sequence[str] = ()) -> bool:
    """Runs `launch.py`, with further flags; whether it succeeded."""
    command = [sys.executable, "launch.py", *arguments, *more]
    return not subprocess.run(command).returncode


def copy_records(source: Path, target: Path) -> int:
    """Copies the small files of a sweep's finished runs; returns how many there are."""
    done = sorted(source.glob("seed=*/result.json"))
    for result in done:
        folder = target / result.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copy(result.parent / name, folder / name)
    return len(done)


def read(file: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(file.read_text())
