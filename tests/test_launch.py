"""The command line: what is wrong becomes one line and exit code 2."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import AS_A_USER, as_user

ROOT = Path(__file__).parent.parent


def launch(*arguments):
    return as_user("launch.py", *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/demo.py", "--config.search.optimzer=de", "--workdir=x"],
         "no field 'search.optimzer' (did you mean 'search.optimizer'?)"),
        (["--config=configs/demo.py", "--config.seed=abc", "--workdir=x"],
         "--config.seed=abc: invalid literal"),
        (["--config=configs/demo.py", "--config.search.optimizer=sgd", "--workdir=x"],
         "config.search.optimizer: 'sgd' is unknown"),
        (["--config=configs/demo.py", "--config.kappa=nan", "--workdir=x"],
         "config.kappa: nan is not a finite number"),
        (["--config=configs/demo.py", "--config.search.optimizer=de",
          "--config.search.population=3", "--workdir=x"],
         "config.search.population: 3 is too few for de"),
        (["--config=configs/nothing.py", "--workdir=x"],
         "--config=configs/nothing.py: cannot be read"),
        (["--workdir=x"], "give --config=FILE"),
        (["--config=configs/ck_mresnet.py", "--config.dataset.dir=/nowhere",
          "--config.dataset.fold=0", "--workdir=x"], "/nowhere"),
        (["--config=configs/pretrain_faces.py", "--config.dataset.heigth=9",
          "--workdir=x"], "no field 'dataset.heigth' (did you mean 'dataset.height'?)"),
        (["--config=configs/pretrain_faces.py", "--workdir=x"],
         "config.dataset.dir: name the folder of photos"),
        (["--config=configs/pretrain_faces.py", "--config.dataset.dir=/nowhere",
          "--workdir=x"], "/nowhere: no such folder"),
        (["--config=configs/demo.py", "--config.init_from=/nowhere/w.safetensors",
          "--workdir=x"], "/nowhere/w.safetensors: cannot be read"),
        (["--config=configs/demo.py", "--wrkdir=x"], "Unknown command line flag"),
        (["--config=configs/demo.py", "--workdir=x", "train"], "'train' is no flag"),
        (["--config=configs/fer2013_lenet.py", "--config.dataset.dir=/nowhere",
          "--workdir=x"], "/nowhere"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    arguments = [a.replace("--workdir=x", f"--workdir={tmp_path}/x") for a in arguments]
    done = launch(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("launch.py: ")
    assert message in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_run_and_its_continuation(tmp_path):
    arguments = [
        "--config=configs/demo.py",
        "--config.iterations_per_round=2",
        "--config.max_iterations=4",
        "--config.tune=p_z,p_x",
        f"--workdir={tmp_path}/run",
    ]
    first = launch(*arguments)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    opening, how, first_round, *_ = first.stdout.splitlines()
    assert "tuned: p_z, p_x; 2 rounds of 2 steps" in opening
    assert how.startswith("how: ") and "convolution matmul (measured" in how
    assert first_round.startswith("round 1/2, step 2: validation ")
    assert "test accuracy" in first.stdout.splitlines()[-1]
    assert "finished after 2 rounds" in launch(*arguments).stdout


def test_ctrl_c_is_one_line_and_exit_code_130(tmp_path):
    arguments = [
        "--config=configs/demo.py",
        "--config.tune=p_x",
        f"--workdir={tmp_path}",
    ]
    process = subprocess.Popen(
        [sys.executable, "launch.py", *arguments],
        cwd=ROOT,
        env=AS_A_USER,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("round 1/"):
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert error == "stopped; the same command goes on from here\n"
    assert process.returncode == 130


def test_help_names_the_flags():
    done = launch("--help")
    assert "--config.FIELD=VALUE" in done.stdout
    for flag in ("--sweep", "--workdir", "dry_run"):
        assert flag in done.stdout
