"""Folders that a report is made of: neighbours, those below, damaged ones."""

import json
import os
import runpy
import sys

import pytest
from reports import (
    assert_sound,
    config_of,
    page_of,
    put,
    records_of,
    result_of,
)

from surrojax import report
from surrojax.errors import InputError

pytestmark = pytest.mark.usefixtures("sketched")


def test_a_run_without_a_round_has_no_page_yet(tmp_path):
    folder = put(tmp_path / "a", result=False, records=[])
    with pytest.raises(InputError, match="a: the run has finished no round yet; let"):
        report.write(folder)
    assert not (folder / "report.html").exists()
    page = page_of(tmp_path)
    assert_sound(page)
    assert page.column("Each run, with its own report", "test [%]") == {
        "a": "unfinished: 0 of 200 steps"
    }
    assert not page.links and not (folder / "report.html").exists()


def test_a_line_that_is_being_written_is_no_record(tmp_path):
    folder = put(tmp_path / "a", result=False, records=records_of()[:1])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"round": 2, "st')
    assert "100 of 200 steps" in page_of(folder).text


def test_a_seed_is_compared_with_the_same_seed_of_the_untuned(tmp_path):
    for seed, accuracy in ((0, 0.1), (1, 0.6)):
        put(
            tmp_path / f"tune=none/seed={seed}",
            result=result_of(test_accuracy=accuracy),
            config=config_of(tune=[], seed=seed),
        )
    page = page_of(put(tmp_path / "tune=p_z/seed=1", config=config_of(seed=1)))
    assert "60.00 ± 4.90" in page.text


@pytest.mark.parametrize(
    "different",
    [{"max_iterations": 300}, {"seed": 1}, {"dataset": {"name": "faces", "fold": 1}}],
)
def test_another_network_is_not_compared_with(tmp_path, different):
    put(tmp_path / "b", config=config_of(tune=[], **different))
    command = ["launch.py", "--config=c.py", "--workdir", "runs/a", "--sweep=seed=0,1"]
    page = page_of(put(tmp_path / "a", command=command))
    assert "No untuned network is there to compare with" in page.text
    assert page.commands[0].split() == [
        *("python", "launch.py", "\\", "--config=c.py", "\\", "--config.seed=0", "\\"),
        *("'--config.tune=()'", "\\", f"--workdir={tmp_path}/a,tune=none"),
    ]


def test_reports_of_points_are_made_anew_where_they_are_old(tmp_path):
    folder = put(tmp_path / "tune=p_z")
    report.write(tmp_path)
    page = folder / "report.html"
    page.write_text("mine")
    report.write(tmp_path)
    assert page.read_text() == "mine"
    result = put(tmp_path / "tune=none", config=config_of(tune=[])) / "result.json"
    later = page.stat().st_mtime + 10
    os.utime(result, (later, later))
    report.write(tmp_path)
    assert "untuned" in page.read_text() and "gain [points]" in page.read_text()
    page.write_text("mine")
    os.utime(page, (later + 10, later + 10))
    report.write(tmp_path, anew=True)
    assert page.read_text() != "mine"


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "result.json"])
def test_a_report_is_older_than_what_was_written_since(tmp_path, name):
    folder = put(tmp_path / "seed=0")
    page = folder / "report.html"
    page.write_text("mine")
    later = page.stat().st_mtime + 10
    os.utime(folder / name, (later, later))
    report.write(tmp_path)
    assert page.read_text() != "mine"


def break_line(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join(["{", *lines[1:]]) + "\n")


TAU = {"value": 0.5, "low": "-", "high": 0.7}


def fidelity(tau=(), **regret):
    return {"tau": dict(tau), "regret": {"accuracy": regret}}


def change(name, *path, to):
    """Puts a value at a place of a JSON file; of metrics.jsonl, into its line 2."""

    def do(folder):
        text = (folder / name).read_text()
        *others, last = text.splitlines() if name == "metrics.jsonl" else [text]
        tree = json.loads(last)
        place = tree
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        (folder / name).write_text("\n".join([*others, json.dumps(tree)]))

    return do


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").write_text("["), "config.json: cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "config.network is missing"),
        (change("config.json", "config", "tune", to="p_z"), "config.tune .* no list"),
        (change("config.json", "config", "task", to="pretrain"), "a pre-training"),
        (change("config.json", "config", to=None), "config.network is missing"),
        (change("config.json", "config", "objective", to="f1"), "'f1' is none of"),
        (change("config.json", "config", "search", to="pso"), "search .* no dict"),
        (
            change("config.json", "multiply_accumulates", "surrogate", to="100"),
            "multiply_accumulates.surrogate is missing or no float",
        ),
        (
            change("config.json", "multiply_accumulates", "original", to=0),
            "multiply_accumulates.original is not above 0",
        ),
        (change("config.json", "manifest", "splits", to=[1]), "splits .* no dict"),
        (change("config.json", "manifest", "counts", to=3), "counts .* no dict"),
        (change("config.json", "versions", to="new"), "versions .* no dict"),
        (break_line, "metrics.jsonl: line 1: is no JSON"),
        (change("metrics.jsonl", "round", to=3), "line 2: not of round 2"),
        (change("metrics.jsonl", "seconds", to="1"), "line 2: seconds .* no float"),
        (
            change("metrics.jsonl", "hyper", to={"p": 1}),
            "line 2: a candidate has other",
        ),
        (change("metrics.jsonl", "hyper", "p_z", to=None), "line 2: p_z is missing"),
        (change("metrics.jsonl", "candidates", 0, "score", to="a"), "line 2: score"),
        (change("metrics.jsonl", "candidates", to=3), "candidates .* no list"),
        (change("metrics.jsonl", "surrogate", to={}), "surrogate.validation_accuracy"),
        (
            change("metrics.jsonl", "surrogate", to={"validation_accuracy": 0.5}),
            "line 2: test.surrogate.accuracy is missing",
        ),
        (change("metrics.jsonl", "fidelity", to={}), "line 2: fidelity.tau is missing"),
        (
            change("metrics.jsonl", "fidelity", to={"tau": {}}),
            "line 2: fidelity.regret.accuracy is missing",
        ),
        (
            change("metrics.jsonl", "fidelity", to=fidelity(tau={"score": 3})),
            "line 2: fidelity.tau.score .* no dict",
        ),
        (
            change("metrics.jsonl", "fidelity", to=fidelity(tau={"score": TAU})),
            "line 2: fidelity.tau.score.low .* no float",
        ),
        (
            change("metrics.jsonl", "fidelity", to=fidelity(random="all")),
            "line 2: fidelity.regret.accuracy.random .* no float",
        ),
        (change("metrics.jsonl", "step", to=1), "line 2: of step 1, where a round"),
        (change("result.json", "test_accuracy", to=None), "test_accuracy is missing"),
        (change("result.json", "balanced_accuracy", to="all"), "balanced.* no float"),
        (change("result.json", "macro_f1", to=None), "macro_f1 is missing"),
        (change("result.json", "seconds", to=True), "seconds is missing or no float"),
        (change("result.json", "confusion_matrix", to=[[1]]), "not 2 by 2"),
        (change("result.json", "confusion_matrix", 0, to=["1", 2]), "not 2 by 2"),
        (change("result.json", "confusion_matrix", 0, to=[-1, 2]), "not 2 by 2"),
        (change("result.json", "confusion_matrix", 0, to=[True, 2]), "not 2 by 2"),
        (change("result.json", "recall", "sad", to="all"), "recall .* no float"),
        (change("result.json", "best_round", to=3), "best_round .* no dict"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage, message):
    folder = put(tmp_path / "a")
    damage(folder)
    with pytest.raises(InputError, match=message):
        report.write(folder)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        report.write(tmp_path / "none")
    with pytest.raises(InputError, match="neither a run nor a sweep"):
        report.write(tmp_path)
    (tmp_path / "sweep.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="sweep.csv: is no table of a sweep"):
        report.write(tmp_path)
    (tmp_path / "baselines.json").write_text("{}")
    with pytest.raises(InputError, match="surrojax.baselines --workdir"):
        report.write(tmp_path)


def test_rounds_of_other_hyper_parameters_than_the_first_are_named(tmp_path):
    folder = put(tmp_path / "untuned", config=config_of(tune=[]))
    change("metrics.jsonl", "hyper", to={"p": 1})(folder)
    with pytest.raises(InputError, match="line 2: has other hyper-parameters than"):
        report.write(folder)


POOLED = {
    "runs": 2,
    "mean": 0.61,
    "pooled_accuracy": 0.62,
    "recall": {"happy": 0.75},
    "confusion_matrix": [[3]],
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is no table of folds"),
        ({"all": POOLED}, "all: macro_f1 is missing or no float"),
        (
            {"all": POOLED | {"macro_f1": 0.6, "confusion_matrix": [[3, 1]]}},
            "not 1 by 1",
        ),
    ],
)
def test_a_damaged_table_of_folds_is_named(tmp_path, content, message):
    (tmp_path / "folds.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"folds.json: .*{message}"):
        report.write(tmp_path)


@pytest.mark.parametrize(
    "more",
    [{"data": {"fingerprint": "g"}}, {"result": result_of(rounds=1)}],
)
def test_another_s_data_and_half_a_run_are_not_compared_with(tmp_path, more):
    put(tmp_path / "b", config=config_of(tune=[]), **more)
    assert "No untuned network is there" in page_of(put(tmp_path / "a")).text


def test_the_name_of_a_seed_s_folder_is_no_pattern(tmp_path):
    put(tmp_path / "tune=none/seed=[1]", config=config_of(tune=[]))
    page = page_of(put(tmp_path / "tune=p_z/seed=[1]"))
    assert "The untuned network is that of" in page.text


@pytest.mark.parametrize(
    "names", [["seed=2", "seed=10"], ["tune=none/seed=0", "tune=none/seed=1"]]
)
def test_runs_below_a_folder_are_in_natural_order(tmp_path, names):
    for name in names:
        put(tmp_path / name, result=False)
    page = page_of(tmp_path)
    assert list(page.column("Each run, with its own report", "test [%]")) == names


@pytest.mark.parametrize("place", ["fold", "dataset.fold", "seed"])
def test_folds_and_seeds_are_of_one_setting(tmp_path, place):
    for number in (0, 1):
        put(tmp_path / f"{place}={number}", result=False)
    rows = page_of(tmp_path).tables["Means over the runs of each setting"][1:]
    assert [row[0] for row in rows] == ["all"]


def test_folders_begin_at_home_where_they_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    put(tmp_path / "a")
    assert report.write("~/a") == tmp_path / "a/report.html"
    assert report.write("~/a", file="~/page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").exists()


def called(monkeypatch, *folders):
    """The exit code of `python -m surrojax.report`."""
    monkeypatch.setattr(sys, "argv", ["report", *map(str, folders)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("surrojax.report", run_name="__main__")
    return ended.value.code


def test_the_command(tmp_path, monkeypatch, capsys):
    folders = [put(tmp_path / name) for name in "ab"]
    assert called(monkeypatch, *folders) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{folder}/report.html" for folder in folders]


@pytest.mark.parametrize(
    ("name", "told"),
    [("config.json", "holds neither a run"), ("metrics.jsonl", "the run has finished")],
)
def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path, monkeypatch, capsys, name, told
):
    folder = put(tmp_path / "a")
    (folder / name).unlink()
    assert called(monkeypatch, folder) == 2
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert said.out == "" and line.startswith(f"surrojax.report: {folder}: {told}")


def test_the_command_makes_the_points_of_a_sweep_anew(tmp_path, monkeypatch):
    page = put(tmp_path / "seed=0") / "report.html"
    page.write_text("mine")
    assert called(monkeypatch, tmp_path) == 0
    assert page.read_text() != "mine"
