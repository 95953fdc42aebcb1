"""`python -m surrojax`: the package's commands."""

import importlib.util

import pytest
from conftest import as_user, as_user_at_once

import surrojax
from surrojax.__main__ import COMMANDS


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_commands_are_listed(arguments):
    done = as_user_at_once("-m", "surrojax", *arguments)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    named = [line.split()[0] for line in lines if line[:2] == "  " != line[2:4]]
    assert [name for name in named if name != "python"] == list(COMMANDS)
    assert "python launch.py --help" in done.stdout
    assert max(map(len, lines)) <= 88


@pytest.mark.parametrize("name", COMMANDS)
def test_each_is_a_module_that_can_be_called(name):
    assert importlib.util.find_spec(f"surrojax.{name}") is not None
    done = as_user("-m", "surrojax", name, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == as_user_at_once("-m", f"surrojax.{name}", "--help").stdout
    assert f"python -m surrojax.{name}" in done.stdout


def test_a_command_has_its_own_exit_code_and_message(tmp_path):
    done = as_user_at_once("-m", "surrojax", "report", str(tmp_path))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"surrojax.report: {tmp_path}: holds neither a run")


def test_a_word_that_is_no_command():
    done = as_user_at_once("-m", "surrojax", "predcit")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "surrojax: there is no command 'predcit' (did you mean 'predict'?); they are "
        "predict, export, report, baselines, weights; python launch.py trains\n"
    )


def test_the_version():
    done = as_user_at_once("-m", "surrojax", "--version")
    assert (done.returncode, done.stdout) == (0, f"{surrojax.__version__}\n")
