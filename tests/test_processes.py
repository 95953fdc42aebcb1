"""Several processes that are one run, started by hand on one host."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import chex
import jax
import pytest
from conftest import as_user_at_once

from configs import demo
from surrojax.errors import InputError, StrandedError
from surrojax.experiment import train
from surrojax.run import processes
from surrojax.sites import HYPER_NAMES

ROOT = Path(__file__).parent.parent
LIMIT = 240  # seconds of a process, after which it is killed
FIELDS = {
    "dataset.image_size": 16,
    "iterations_per_round": 2,
    "batch_size": 8,
    "tune": "p_z",
    "search.population": 2,
}


def start_two(workdir, rounds, *more):
    """Both processes of a run, each with one device."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "cache"),
    }
    return [
        subprocess.Popen(
            [
                sys.executable,
                "launch.py",
                "--config=configs/demo.py",
                f"--workdir={workdir}",
                f"--coordinator={address}",
                "--processes=2",
                f"--process={index}",
                *(f"--config.{name}={value}" for name, value in FIELDS.items()),
                f"--config.max_iterations={2 * rounds}",
                *(flag.replace("{process}", str(index)) for flag in more),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(2)
    ]


def finish(started):
    """Exit codes and outputs; a process that hangs is killed."""
    try:
        said = [process.communicate(timeout=LIMIT)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [process.returncode for process in started], said


def train_alone(workdir, rounds):
    config = demo.get_config()
    config.update_from_flattened_dict(FIELDS | {"tune": ("p_z",)})
    config.max_iterations, config.execution.devices = 2 * rounds, 1
    return train(config, workdir, quiet=True)


def records(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(s).items() if k != "seconds"} for s in lines]


def assert_close(workdir, other):
    chex.assert_trees_all_equal_structs(records(workdir), records(other))
    for one, two in zip(records(workdir), records(other), strict=True):
        assert one.pop("chosen") == two.pop("chosen")
        chex.assert_trees_all_close(one, two, rtol=1e-4)


@pytest.mark.slow
def test_two_processes_go_on_with_the_run_of_one(tmp_path):
    train_alone(tmp_path / "one", 1)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    result = train_alone(tmp_path / "one", 2)
    codes, said = finish(start_two(tmp_path / "two", 2))
    assert codes == [0, 0], said
    assert "goes on after round 1" in said[0]
    assert "round" not in said[1], "the first process alone speaks"
    assert_close(tmp_path / "one", tmp_path / "two")
    written = json.loads((tmp_path / "two" / "result.json").read_text())
    assert written["confusion_matrix"] == result["confusion_matrix"]


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_the_same_commands_go_on_after_a_process_was_killed(tmp_path, killed):
    started = start_two(tmp_path / "two", 100)
    metrics, end = tmp_path / "two" / "metrics.jsonl", time.monotonic() + LIMIT
    while not (metrics.exists() and metrics.read_text()):
        assert time.monotonic() < end
        time.sleep(0.1)
    started[killed].send_signal(signal.SIGKILL)
    codes, _ = finish(started)
    assert 0 not in codes, "the other one ends as well"
    rounds = len(records(tmp_path / "two")) + 1
    codes, said = finish(start_two(tmp_path / "two", rounds))
    assert codes == [0, 0], said
    train_alone(tmp_path / "one", rounds)
    assert_close(tmp_path / "one", tmp_path / "two")


def test_what_the_first_process_cannot_use_ends_both(tmp_path):
    (tmp_path / "two").write_text("a file")
    codes, said = finish(start_two(tmp_path / "two", 1))
    assert codes == [2, 2], said
    assert "cannot make this folder" in said[0]
    assert "process 0 cannot go on" in said[1]


def test_what_another_process_cannot_use_ends_both(tmp_path):
    names = [name for names in HYPER_NAMES for name in names]
    (tmp_path / "0.csv").write_text(
        f"round,step,{','.join(names)}\n1,2,{','.join(['0'] * len(names))}\n"
    )
    replayed = f"--config.replay={tmp_path}/{{process}}.csv"
    codes, said = finish(start_two(tmp_path / "two", 1, replayed))
    assert codes == [2, 2], said
    assert f"{tmp_path}/1.csv: " in said[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, None), "want a --coordinator as well"),
        ((None, None, 0), "want a --coordinator as well"),
        (("localhost", 2, 0), "--coordinator=localhost: is neither HOST:PORT nor auto"),
    ],
)
def test_join_refuses_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(InputError, match=message):
        processes.join(*arguments)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--coordinator=auto"], "where no scheduler starts the processes"),
        (["--coordinator=localhost:1", "--processes=2", "--process=2"], "process_id=2"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(flags, message):
    done = as_user_at_once("launch.py", "--config=configs/demo.py", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("launch.py: --") and done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_machine_that_cannot_look_itself_up_is_told(monkeypatch):
    def fails():
        raise RuntimeError("Unable to initialize backend 'cpu':\nrv == 0. -2 vs 0")

    monkeypatch.setattr(jax.distributed, "initialize", lambda *given: None)
    monkeypatch.setattr(jax, "devices", fails)
    with pytest.raises(
        StrandedError, match=r"JAX cannot begin here \(Unable .*-2 vs 0\); .*/etc/hosts"
    ):
        processes.join("here:1", 2, 0)


def test_one_process_alone_shares_with_none():
    with pytest.raises(InputError, match="mine"), processes.together():
        raise InputError("mine")
    processes.want_one("nothing wants", "nothing")
    processes.check(None)
    assert processes.is_first() and processes.shared(3) == 3
