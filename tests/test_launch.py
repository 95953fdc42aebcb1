"""The command line: what is wrong becomes one line and exit code 2."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import AS_A_USER, as_user, as_user_at_once

from configs import ck_mresnet
from surrojax.fields import flatten

ROOT = Path(__file__).parent.parent


def launch(*arguments):
    return as_user("launch.py", *arguments)


def answer(*arguments):
    """Of a command of which no more than the answer matters."""
    return as_user_at_once("launch.py", *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/demo.py", "--config.search.optimzer=de", "--workdir=x"],
         "no field 'search.optimzer' (did you mean 'search.optimizer'?)"),
        (["--config=configs/demo.py", "--config.seed=abc", "--workdir=x"],
         "--config.seed=abc: wants a whole number"),
        (["--config=configs/demo.py", "--config.search.optimizer=sgd", "--workdir=x"],
         "config.search.optimizer: 'sgd' is unknown"),
        (["--config=configs/demo.py", "--config.kappa=nan", "--workdir=x"],
         "config.kappa: nan is not a finite number"),
        (["--config=configs/demo.py", "--config.search.optimizer=de",
          "--config.search.population=3", "--workdir=x"],
         "config.search.population: 3 is too few for de"),
        (["--config=configs/nothing.py", "--workdir=x"],
         "--config=configs/nothing.py: cannot be read"),
        (["--workdir=x"], "--config is missing; for example --config=configs/demo.py"),
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
        (["--config=configs/demo.py", "--wrkdir=x"],
         "--wrkdir: there is no such flag (did you mean --workdir?)"),
        (["--config=configs/demo.py", "--max_iteration=9", "--workdir=x"],
         "--max_iteration: there is no such flag (did you mean --config.max_it"),
        (["--config=configs/demo.py", "--workdir=x", "train"], "'train' is no flag"),
        (["configs/demo.py", "--workdir=x"], "did you mean --config=configs/demo.py?"),
        (["--config=configs/demo.py", "seed=3", "--workdir=x"],
         "'seed=3' is no flag (did you mean --config.seed=3?)"),
        (["--config=configs/fer2013_lent.py", "--workdir=x"],
         "cannot be read (did you mean configs/fer2013_lenet.py?); see configs/"),
        (["--config=demo", "--workdir=x"], "(did you mean configs/demo.py?)"),
        (["--config=configs/demo.py", "--config.search=de", "--workdir=x"],
         "--config.search: is a group of fields: search.bounds.coefficient, "),
        (["--config=configs/demo.py", "--config.search.bounds.ratio[0]=0.1",
          "--workdir=x"], "as '--config.search.bounds.ratio=(0.01, 0.95)'"),
        (["--config=configs/demo.py", "--config.tune[0]=p_z", "--workdir=x"],
         "give all entries of the field, as --config.tune=coefficients,ratios"),
        (["--config=configs/demo.py", "--config.init_from[0]=a", "--workdir=x"],
         "--config.init_from[0]=a: the field has no entries; give it without [ ]"),
        (["--config=configs/demo.py", "--config.eta[0]=1", "--workdir=x"],
         "--config.eta: is a group of fields: eta.V, "),
        (["--config=configs/demo.py", "--config.search.bonds.ratio[0]=0.1",
          "--workdir=x"], "no field 'search.bonds.ratio' (did you mean 'search.b"),
        (["--config=configs/demo.py", "--config.dataset.align=Flase", "--workdir=x"],
         "--config.dataset.align=Flase: wants True or False"),
        (["--config=configs/demo.py", "--config.network=LeNett", "--workdir=x"],
         "config.network: 'LeNett' is unknown (did you mean 'lenet'?)"),
        (["--config=configs/demo.py", "--sweep=sed=0,1", "--workdir=x"],
         "the config has no field 'sed' (did you mean 'seed'?)"),
        (["--config=configs/demo.py", "--sweep=search.de.F=0.1,0.2", "--workdir=x"],
         "--sweep=search.de.F=...: has no effect, because config.search.optimizer is"),
        (["--config=configs/demo.py", "--quiet", "--verbose", "--workdir=x"],
         "--quiet, --verbose: give one of them"),
        (["--config=configs/fer2013_lenet.py", "--config.dataset.dir=/nowhere",
          "--workdir=x"], "/nowhere"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    arguments = [a.replace("--workdir=x", f"--workdir={tmp_path}/x") for a in arguments]
    done = answer(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("launch.py: ")
    assert message in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_run_and_its_continuation(tmp_path):
    arguments = [
        "--config=configs/demo.py",
        "--config.dataset.image_size=16",
        "--config.iterations_per_round=2",
        "--config.max_iterations=4",
        "--config.tune=p_z,p_x",
        f"--workdir={tmp_path}/run",
    ]
    first = launch(*arguments)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    opening, first_round, *_, accuracy, page = first.stdout.splitlines()
    assert "tuned: p_z, p_x; 2 rounds of 2 steps" in opening
    assert first_round.startswith("round 1/2, step 2: validation ")
    assert "test accuracy" in accuracy
    assert page == f"report: {tmp_path}/run/report.html"
    assert (tmp_path / "run/report.html").exists()
    again = answer(*arguments).stdout
    assert "finished after 2 rounds" in again and page in again


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_one_line_and_exit_code_130(tmp_path):
    arguments = [
        "--config=configs/demo.py",
        "--config.dataset.image_size=16",
        "--config.iterations_per_round=50",
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


def test_output_that_nobody_reads_is_told(tmp_path):
    """As of `launch.py ... | head`."""
    process = subprocess.Popen(
        [sys.executable, "launch.py", "--config=configs/demo.py", "--dry_run"],
        cwd=ROOT,
        env=AS_A_USER,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    with process.stderr:
        error = process.stderr.read()
    assert error == (
        "launch.py: stopped, as nobody reads its output; the same command goes on from "
        "here\n"
    )
    assert process.wait() == 1


def test_a_config_that_is_looked_for_in_another_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "launch.py", "--config=configs/demo.py", "--workdir=x"],
        cwd=tmp_path,
        env=AS_A_USER,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"launch.py: --config=configs/demo.py: is not in {tmp_path}, from where paths "
        "are seen; go to the folder of launch.py, or give the whole path\n"
    )


def test_a_command_alone_says_what_to_do():
    done = answer()
    assert done.returncode == 2 and done.stdout == ""
    assert "python launch.py --config=configs/demo.py\n" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "launch.py: --config is missing; for example --config=configs/demo.py"
    )


def test_help_has_modes_flags_fields_and_configs_and_nothing_of_absls():
    done = answer("--help")
    assert done.returncode == 0 and done.stderr == ""
    assert "--config.FIELD=VALUE" in done.stdout
    for flag in ("--sweep=FIELD=A,B", "--workdir=DIR", "--dry_run", "--verbose"):
        assert f"\n  {flag}" in done.stdout
    for mode in ("sweep", "going on", "folds", "replicas", "pre-training", "processes"):
        assert f"\n  {mode} " in done.stdout
    for command in ("predict", "export", "report"):
        assert f"\n  {command} " in done.stdout
        assert f" python -m surrojax.{command} RUN" in done.stdout
    assert "  --config.max_iterations=80000" in done.stdout
    assert "configs/ck_mresnet.py" in done.stdout
    assert "helpfull" not in done.stdout and "stderrthreshold" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 88


def test_help_beside_a_config_has_its_defaults():
    done = answer("--config=configs/demo.py", "-h")
    assert "with their defaults in configs/demo.py" in done.stdout
    assert "  --config.max_iterations=2000 " in done.stdout


def test_every_field_is_listed_with_its_value_and_comment():
    given = ["--config=configs/ck_mresnet.py", "--config.seed=4", "--fields"]
    done = answer(*given)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    config = ck_mresnet.get_config()
    listed = [line.split("=")[0] for line in lines if line.startswith("  --config.")]
    fields = {f"  --config.{field}" for field, _ in flatten(config.to_dict())}
    assert fields <= set(listed) and len(listed) == len(set(listed))
    assert "  --config.seed=4 " in done.stdout
    at = lines.index(next(line for line in lines if ".dataset.crops=18" in line))
    assert "1: the whole image; 18: 3x3 windows and their mirror" in lines[at]


def test_helpfull_has_the_fields_as_well():
    done = answer("--helpfull", "--config=configs/pretrain_faces.py")
    assert "All fields" in done.stdout and "--config.center_loss.alpha=0.5" in (
        done.stdout
    )


def test_a_dry_run_prints_the_command_and_the_config(tmp_path):
    done = answer(
        *("--config", "configs/demo.py", "--config.seed=3", "--dry_run"),
        f"--workdir={tmp_path}/x",
    )
    command, *config = done.stdout.splitlines()
    assert command == (
        "python launch.py --config configs/demo.py --config.seed=3 "
        f"--workdir={tmp_path}/x"
    )
    assert "seed: 3" in config and not (tmp_path / "x").exists()


def test_what_a_terminal_cannot_show_ends_no_run(tmp_path):
    arguments = ("--config=configs/demo.py", f"--workdir={tmp_path}/é±", "--dry_run")
    done = as_user("launch.py", *arguments, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert f"'--workdir={tmp_path}/??'" in done.stdout


def test_of_the_flags_given_those_without_effect_are_told(tmp_path):
    """Not on the stdout of a dry run, whose lines are commands."""
    flags = (
        *("--config=configs/demo.py", "--config.search.de.F=0.2", "--config.seed=1"),
        *("--dry_run", f"--workdir={tmp_path}/x", "--sweep=kappa=1e-5,1e-4"),
    )
    done = answer(*flags)
    assert done.stderr == (
        "mind: --config.search.de.F has no effect, because config.search.optimizer is "
        "'pso', not 'de'\n"
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["python"] * 2
    assert answer(*flags, "--sweep=search.optimizer=pso,de").stderr == ""
    assert answer(*flags, "--quiet").stderr == ""


def test_flags_without_effect_are_told_before_a_run(tmp_path):
    done = answer(
        "--config=configs/demo.py",
        "--config.dataset.align=True",
        "--config.init_from=/nowhere/w.npz",
        f"--workdir={tmp_path}/x",
    )
    assert done.returncode == 2
    assert done.stdout == (
        "mind: --config.dataset.align has no effect, because the images of faces are "
        "cut-out faces already\n"
    )


def test_a_verbose_run_says_what_each_round_found(tmp_path):
    done = answer(
        "--config=configs/demo.py",
        "--config.dataset.image_size=16",
        "--config.iterations_per_round=2",
        "--config.max_iterations=4",
        "--config.tune=p_z,p_x",
        "--config.fidelity.rounds=3",
        f"--workdir={tmp_path}/run",
        "--verbose",
    )
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    lines = [line for line in lines if not line.startswith("mind: ")]
    assert first.startswith(f"{tmp_path}/run: metrics.jsonl, ")
    assert "config.fidelity.rounds: 3 never comes, as the run has 2 rounds" in lines
    [how] = (line for line in lines if line.startswith("how: "))
    assert "convolution matmul (measured" in how
    [cost] = (line for line in lines if line.startswith("cost: "))
    config = json.loads((tmp_path / "run/config.json").read_text())
    macs = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]+", cost)]
    assert macs == list(config["multiply_accumulates"].values())
    record = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[1])
    at = lines.index(next(line for line in lines if line.startswith("round 2/2")))
    setting = " ".join(f"{k} {record['hyper'][k]:.2g}," for k in ("p_z", "p_x"))
    assert lines[at + 1] == f"  trained with {setting.removesuffix(',')}"
    assert lines[at + 2].startswith(f"  of stage 1, the {record['chosen']} is kept")
    best = max(c["score"] for c in record["candidates"])
    assert lines[at + 3].startswith(f"  best of 6 candidates: score {best:.4f}, ")
    assert lines[at + 4].startswith("  next: ")
    parts = re.findall(r"(stage 1|stage 2|evaluation|search|other) ", lines[at + 5])
    assert sorted(parts) == ["evaluation", "other", "search", "stage 1", "stage 2"]
    seconds = sum(map(float, re.findall(r"\d+\.\d\d", lines[at + 5])))
    assert seconds == pytest.approx(record["seconds"], abs=0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n    pass\n", "line 1: invalid syntax; mend it"),
        ("import numppy\n", "No module named 'numppy'; install what it imports"),
        ("def get_config():\n    return {}\n", "returns dict, where a ConfigDict is"),
        ("def get_config():\n    pass\n", "returns NoneType, where a ConfigDict is"),
        ("def get_config():\n    import numppy\n", "No module named 'numppy'; install"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--help",)])
def test_a_slip_in_a_config_s_file_is_one_line(tmp_path, text, message, more):
    file = tmp_path / "mine.py"
    file.write_text(text)
    done = answer(f"--config={file}", f"--workdir={tmp_path}/run", *more)
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()  # before it, ml_collections may warn
    assert "Traceback" not in done.stderr
    assert f"{file}" in line and message in line
