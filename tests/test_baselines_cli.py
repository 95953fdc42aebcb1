"""The command line of the baselines: what is wrong is one line and exit code 2."""

import pytest
from conftest import as_user_at_once

from configs import common
from surrojax.baselines import methods, ours
from surrojax.baselines.attempt import Options
from surrojax.baselines.runner import Asked
from surrojax.cli import commandline
from surrojax.errors import InputError


def call(*arguments):
    return as_user_at_once("-m", "surrojax.baselines", *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/demo.py", "--methods=untuned,drpout"],
         "--methods: 'drpout' is unknown (did you mean 'dropout'?)"),
        (["--config=configs/demo.py", "--config.momentun=0.5", "--methods=untuned"],
         "no field 'momentun' (did you mean 'momentum'?)"),
        (["--config=configs/dem.py", "--methods=untuned"],
         "--config=configs/dem.py: cannot be read (did you mean configs/demo.py?)"),
        (["--config=configs/demo.py", "--method=untuned"],
         "--method: there is no such flag (did you mean --methods?)"),
        (["--config=configs/demo.py", "--methods=untuned", "--config.early_stop=3"],
         "config.early_stop: the runs of a comparison share a budget of steps"),
        (["--config=configs/demo.py", "--methods=untuned",
          "--config.class_weights=balanced"],
         "config.class_weights: tuners are told plain accuracies"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, tmp_path):
    done = call(*arguments, f"--workdir={tmp_path}/x")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("surrojax.baselines: ") and message in line
    assert not (tmp_path / "x").exists()


def test_a_config_that_lacks_a_field_is_named(tmp_path):
    file = tmp_path / "part.py"
    file.write_text(
        "from configs import demo\n\n\n"
        "def get_config():\n"
        "    config = demo.get_config().unlock()\n"
        "    del config.search.center\n"
        "    return config\n"
    )
    given = ["--methods=untuned", f"--workdir={tmp_path}/x"]
    done = call(f"--config={file}", *given)
    told = "config.search.center.coefficient: is missing; see configs/common.py\n"
    assert done.returncode == 2 and done.stderr == f"surrojax.baselines: {told}"
    done = call("--config=configs/demo.py", f"--ours=mine={file}", *given)
    assert done.returncode == 2
    assert done.stderr == f"surrojax.baselines: --ours=mine={file}: {told}"


def test_help_has_the_methods():
    done = call("--help")
    assert done.returncode == 0 and done.stderr == ""
    assert "--methods=A,B,...             Of surrojax, untuned" in done.stdout


def test_two_methods_and_their_table(tmp_path):
    arguments = [
        "--config=configs/demo.py",
        "--config.max_iterations=2",
        "--config.iterations_per_round=1",
        f"--workdir={tmp_path}",
        "--methods=untuned,replay",
    ]
    done = call(*arguments)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first == "== untuned/budget=1/seed=0"
    assert last.startswith("missing: replay/budget=1/seed=0: the schedule of surrojax/")
    shown = call(f"--workdir={tmp_path}", "--table")
    assert "| untuned | 1 | " in shown.stdout and shown.returncode == 0
    assert (tmp_path / "accuracy_cost.png").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(("tpee",)), "did you mean 'tpe'"),
        (Asked(("untuned",), budgets=(0.5,)), "--budgets: 0.5"),
        (Asked(("untuned",), budgets=(2, 10)), "--budgets: untuned is run at 1 alone"),
        (Asked(("grid_paper",)), "--budgets: grid_paper is run at 10 alone; add 10"),
        (Asked(("untuned",), budgets=(float("nan"),)), "--budgets: nan"),
        (Asked(("untuned",), seeds=(-1,)), "--seeds: -1"),
        (Asked(("untuned",), options=Options(pbt_every=0)), "--pbt_every: 0"),
        (Asked(("untuned",), others={"random": None}), "random is the name of a base"),
        (
            Asked(("untuned",), others={"longer_start_x": None}),
            "--ours: longer_start_x is the name of a baseline; give another",
        ),
        (Asked(("longer_start_x",)), "longer_start_x wants .* --ours=x=FILE"),
        (
            Asked(("longer_start_surrojax",), others={"surrojax": None}),
            "wants another config",
        ),
        (
            Asked(("untuned",), options=Options(ranges={"ratio": (0.5, 0.1)})),
            "--box_ratio=0.5,0.1",
        ),
    ],
)
def test_what_cannot_be_run_is_said_at_once(asked, message):
    with pytest.raises(InputError, match=message):
        asked.check()


def test_another_config_is_a_row_of_its_own():
    Asked(("other",), others={"other": common.get_config()}).check()
    entries = methods.methods_of(common.get_config(), {"other": None})
    assert entries["other"].takes(1) and not entries["other"].takes(10)
    assert "surrojax" in entries


def test_where_another_config_begins_is_held_at_any_budget():
    others = {"other": common.get_config(), "surrojax": common.get_config()}
    Asked(("longer_start_other",), budgets=(2,), others=others).check()
    entries = methods.methods_of(common.get_config(), others)
    starts = [name for name in entries if name.startswith("longer_start")]
    assert starts == ["longer_start", "longer_start_other"]


def test_another_config_takes_over_the_data_and_has_its_own_length():
    config, main = common.get_config(), common.get_config()
    config.search.optimizer, config.search.population = "de", 8
    given = {"max_iterations": 40_000, "search.population": 4, "batch_size": 32}
    main.update_from_flattened_dict(given)
    changed = ours.alike(config, main, given)
    assert (changed.max_iterations, changed.batch_size) == (80_000, 32)
    assert (changed.search.optimizer, changed.search.population) == ("de", 8)


def test_another_config_has_the_same_data_and_network():
    config, main = common.get_config(), common.get_config()
    config.network = "resnet20"
    with pytest.raises(InputError, match="network: 'resnet20' in one .* 'lenet' in"):
        ours.alike(config, main, {})


@pytest.mark.parametrize("text", [None, "x = 1\n"])
def test_a_file_that_is_no_config(tmp_path, text):
    file = tmp_path / "other.py"
    if text:
        file.write_text(text)
    with pytest.raises(InputError, match=r"other\.py: .*see configs/"):
        commandline.load(str(file))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("config.max_iteration = 9", "no field 'max_iteration' .*'max_iterations'"),
        ("config.search.pso.c3 = 0.1", "no field 'c3'"),
        ("config.batch_size = '64'", "field 'batch_size'.*'str'.* 'int'"),
        ("config.learning_rate.bas *= 2", "no field 'bas' .*'base'"),
        ("config.update({'sed': 1})", "no field 'sed' .*'seed'"),
        ("del config.tune", "locked"),
    ],
)
def test_a_file_that_sets_what_no_config_has(tmp_path, line, message):
    file = tmp_path / "mine.py"
    file.write_text(
        "from configs import common\n\n\ndef get_config():\n"
        f"    config = common.get_config()\n    {line}\n    return config\n"
    )
    with pytest.raises(InputError, match=rf"mine\.py: .*{message}"):
        commandline.load(str(file))


def test_a_fault_of_a_files_own_code_stays_one(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def get_config():\n    return {}['absent']\n")
    with pytest.raises(KeyError, match="absent"):
        commandline.load(str(file))
