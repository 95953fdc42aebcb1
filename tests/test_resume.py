"""A run that is killed again and again ends as one that was left alone, bit for bit."""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import jax
import pytest
from conftest import AS_A_USER, assert_same

from surrojax.algorithm import initial_state
from surrojax.run.checkpoint import Checkpoints
from surrojax.settings import make_method

ROOT = Path(__file__).parent.parent
SIDE = 16  # pixels; the least, so that a round is short
KILLS = 10
ROUNDS_PER_KILL = 14  # more than a kill can let pass, on a fast machine too


def command(workdir, rounds):
    return [
        sys.executable,
        "launch.py",
        "--config=configs/demo.py",
        "--config.iterations_per_round=2",
        f"--config.dataset.image_size={SIDE}",
        f"--config.max_iterations={2 * rounds}",
        f"--workdir={workdir}",
        "--quiet",
    ]


def start(workdir, cache, rounds):
    # The compilation cache saves the restarted processes their compilation.
    environment = AS_A_USER | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return subprocess.Popen(command(workdir, rounds), cwd=ROOT, env=environment)


def rounds_done(workdir):
    file = workdir / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_until(happens, process):
    while not happens():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.001)


def kill_at_random(process, workdir, rng, inside_save):
    """Kills the run some rounds from now: at any moment, or while it saves."""
    target = rounds_done(workdir) + rng.randint(1, 3)
    wait_until(lambda: rounds_done(workdir) >= target, process)
    if inside_save:
        saving = workdir / "checkpoints"
        wait_until(lambda: any(saving.glob("*.orbax-checkpoint-tmp")), process)
        time.sleep(rng.uniform(0, 0.03))
    else:
        time.sleep(rng.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()


def without_times(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(s).items() if k != "seconds"} for s in lines]


def final_state(workdir, rounds):
    from configs import demo

    config = demo.get_config()
    config.dataset.image_size = SIDE
    method = make_method(config, 7)
    with closing(Checkpoints(workdir / "checkpoints")) as checkpoints:
        assert checkpoints.latest == rounds
        return checkpoints.restore(rounds, initial_state(method, jax.random.key(0)))


@pytest.mark.slow
def test_a_killed_run_ends_like_one_left_alone(tmp_path):
    rng, rounds = random.Random(KILLS), ROUNDS_PER_KILL * KILLS
    alone, killed, cache = (tmp_path / name for name in ("alone", "killed", "cache"))
    assert start(alone, cache, rounds).wait() == 0
    for number in range(KILLS):
        process = start(killed, cache, rounds)
        kill_at_random(process, killed, rng, inside_save=number % 2 == 0)
        assert not (killed / "result.json").exists()
    assert start(killed, cache, rounds).wait() == 0

    assert without_times(alone) == without_times(killed)
    assert len(without_times(alone)) == rounds
    schedules = [(w / "schedule.csv").read_bytes() for w in (alone, killed)]
    assert schedules[0] == schedules[1]
    assert_same(final_state(alone, rounds), final_state(killed, rounds))
    results = [json.loads((w / "result.json").read_text()) for w in (alone, killed)]
    for result in results:
        result.pop("seconds")
    assert results[0] == results[1]
