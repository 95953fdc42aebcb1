"""What a report says was run, and the commands that run it again."""

import shlex

import pytest
from reports import config_of, page_of, put, put_own

pytestmark = pytest.mark.usefixtures("sketched")


def test_one_run_of_several_has_a_command_of_its_own(tmp_path):
    command = ["launch.py", "--config=c.py", "--sweep", "tune=p_z,()", "--workdir=runs"]
    folder = tmp_path / "dataset.fold=3,tune=p_z"
    fold = {"name": "faces", "fold": 3}
    page = page_of(
        put(folder, command=command, config=config_of(dataset=fold, tune=["p_z"]))
    )
    assert page.commands[2].split() == [
        *(
            "python",
            "launch.py",
            "\\",
            "--config=c.py",
            "\\",
            "--config.tune=p_z",
            "\\",
        ),
        *("--config.dataset.fold=3", "\\", f"--workdir={folder}"),
    ]
    alone = put(tmp_path / "alone", command=["launch.py", "--config=c.py"])
    assert "This one alone" not in page_of(alone).text


def words_of(command):
    return shlex.split(command.replace("\\\n", ""))


@pytest.mark.parametrize(
    ("flags", "config", "overrides"),
    [
        (["--sweep=seed=0,1"], {}, ["--config.seed=0"]),
        (["--sweep=config.seed=0,1"], {}, ["--config.seed=0"]),
        (["--sweep", "seed=0,1", "--dry_run"], {}, ["--config.seed=0"]),
        (["--sweep=tune=p_z,()"], {"tune": []}, ["--config.tune=()"]),
        (
            ["--config.replicas=3"],
            {"replicas": 3, "seed": 2},
            ["--config.replicas=1", "--config.seed=2"],
        ),
    ],
)
def test_one_run_of_several_has_its_own_fields(tmp_path, flags, config, overrides):
    command = ["launch.py", "--config=c.py", *flags, "--workdir=runs"]
    folder = put(tmp_path / "point", command=command, config=config_of(**config))
    page = page_of(folder)
    assert "This one alone" in page.text
    assert words_of(page.commands[-1]) == [
        *("python", "launch.py", "--config=c.py", *overrides, f"--workdir={folder}")
    ]


@pytest.mark.parametrize(
    ("name", "untuned"),
    [
        ("tune=p_z,seed=0", "tune=none,seed=0"),
        ("seed=0,tune=lambda_z+p_z", "seed=0,tune=none"),
        ("fine_tune=1", "fine_tune=1,tune=none"),
    ],
)
def test_the_untuned_network_has_its_place_among_the_points(tmp_path, name, untuned):
    page = page_of(put(tmp_path / name, command=["launch.py", "--config=c.py"]))
    assert words_of(page.commands[0])[-1] == f"--workdir={tmp_path / untuned}"


def test_the_command_of_the_untuned_network_trains(tmp_path):
    command = ["launch.py", "--config=c.py", "--dry_run", "--workdir=runs/a"]
    page = page_of(put(tmp_path / "a", command=command))
    assert words_of(page.commands[0]) == [
        *("python", "launch.py", "--config=c.py", "--config.tune=()"),
        f"--workdir={tmp_path}/a,tune=none",
    ]


def test_what_was_run_is_told_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = {"protocol": "ten folds", "held_out": ["S1", "S2"]}
    assert page_of(put(tmp_path / "a", manifest=manifest)).facts == [
        *(("folder", "a"), ("network", "lenet"), ("database", "faces")),
        *(("protocol", "ten folds"), ("seed", "0"), ("done", "2 rounds, 200 steps")),
        *(("tuned", "lambda_z, p_z"), ("search", "pso, 3 candidates a round")),
        ("test split", "S1, S2"),
    ]


def test_what_was_run_of_one_s_own_is_told_first(tmp_path):
    folder = put_own(tmp_path / "a", network="Table(width=8)", population=4)
    assert page_of(folder).facts == [
        *(("folder", str(folder)), ("network", "Table"), ("database", "own data")),
        *(("protocol", "as they were given"), ("seed", "0")),
        *(("done", "2 rounds, 200 steps"), ("tuned", "lambda_z, p_z")),
        ("search", "pso, 4 candidates a round"),
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"fingerprint": "f"}, "nothing: untuned"),
        ({"fingerprint": "f", "schedule": "s"}, "nothing: a schedule was replayed"),
    ],
)
def test_what_stands_for_a_search_is_told(tmp_path, data, told):
    page = page_of(put(tmp_path / "untuned", config=config_of(tune=[]), data=data))
    facts = dict(page.facts)
    assert facts["tuned"] == told and "search" not in facts
    assert facts["protocol"] == "the database's own splits"


def test_the_title_names_the_database_that_is_tested(tmp_path):
    dataset = {"name": "faces", "fold": 0, "target": "ck"}
    page = page_of(put(tmp_path / "a", config=config_of(dataset=dataset)))
    assert page.headings[0] == ("h1", "lenet on faces, for ck")
