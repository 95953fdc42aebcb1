"""The report of several runs: a sweep, folds, seeds."""

import json

import pytest
from reports import (
    POOLED,
    TUNE,
    Page,
    assert_sound,
    config_of,
    page_of,
    put,
    put_own,
    records_of,
    result_of,
)

from configs import common
from surrojax.run import sweep

pytestmark = pytest.mark.usefixtures("sketched")


def test_the_report_of_a_sweep(tmp_path):
    for seed, tests in ((0, (0.50, 0.60)), (1, (0.52, 0.64))):
        for tune, test in zip(([], TUNE), tests, strict=True):
            name = f"tune={'+'.join(tune) or 'none'},seed={seed}"
            result = result_of(test_accuracy=test)
            put(tmp_path / name, result=result, config=config_of(tune=tune, seed=seed))
    page = page_of(tmp_path)
    assert_sound(page)
    table = page.tables["Means over the runs of each setting"]
    gain = "gain over tune=none [points]"
    assert gain in table[0]
    rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    assert [row["setting"] for row in rows] == ["tune=none", "tune=lambda_z+p_z"]
    # Half the difference of two is the standard error of their mean.
    assert [row["test [%]"] for row in rows] == ["51.00 ± 1.00", "62.00 ± 2.00"]
    assert rows[1][gain] == "+11.00 ± 1.00"
    assert [row["runs"] for row in rows] == ["2", "2"]
    took = page.column("What all runs of a setting took", "in trainings of the network")
    assert took == {"tune=none": "5", "tune=lambda_z+p_z": "5"}
    link = page.links["tune=lambda_z+p_z,seed=1"]
    assert link == "tune%3Dlambda_z%2Bp_z%2Cseed%3D1/report.html"
    of_point = Page(tmp_path / "tune=lambda_z+p_z,seed=1" / "report.html")
    assert "+12.00 points" in of_point.text
    assert page.figures == [
        "Accuracy by step; validation after the last round: tune=none 60.00 %, "
        "tune=lambda_z+p_z 60.00 %"
    ]
    assert "Test figures are reported and choose nothing" in page.text


def sweep_of(folder, *optimizers):
    """A sweep of PSO and DE, whose sweep.csv is in the order of its command."""
    rows = ["search.optimizer,tune,test_accuracy"]
    for optimizer in optimizers:
        for tune in (TUNE, []):
            name = f"search.optimizer={optimizer},tune={'+'.join(tune) or 'none'}"
            put(folder / name, config=config_of(tune=tune))
            rows.append(f'{optimizer},"{tuple(tune)}",0.7')
    (folder / "sweep.csv").write_text("\n".join(rows))
    return page_of(folder).tables["Means over the runs of each setting"]


def test_settings_are_in_the_order_of_the_sweeps_command(tmp_path):
    head, *rows = sweep_of(tmp_path / "pso", "pso", "de")
    names = [
        f"search.optimizer={optimizer},tune={tune}"
        for optimizer in ("pso", "de")
        for tune in ("lambda_z+p_z", "none")
    ]
    assert [row[0] for row in rows] == names
    assert f"gain over {names[0]} [points]" in head
    head, *rows = sweep_of(tmp_path / "de", "de", "pso")
    assert [row[0] for row in rows] == [*names[2:], *names[:2]]
    assert f"gain over {names[2]} [points]" in head


def test_gains_are_over_the_first_setting_that_has_finished(tmp_path):
    put(tmp_path / "seed=0,kappa=1", result=False)
    put(tmp_path / "seed=0,kappa=2")
    put(tmp_path / "seed=0,kappa=3", result=result_of(test_accuracy=0.8))
    rows = [f"0,{kappa},0.7" for kappa in (1, 2, 3)]
    (tmp_path / "sweep.csv").write_text("\n".join(["seed,kappa,test_accuracy", *rows]))
    head, *rows = page_of(tmp_path).tables["Means over the runs of each setting"]
    at = head.index("gain over kappa=2 [points]")
    assert [row[at] for row in rows] == ["–", "", "+10.00"]


def test_folds_are_shown_pooled(tmp_path):
    for fold in (0, 1):
        dataset = {"name": "faces", "fold": fold}
        put(tmp_path / f"dataset.fold={fold}", config=config_of(dataset=dataset))
    (tmp_path / "folds.json").write_text(json.dumps({"all": POOLED}))
    page = page_of(tmp_path)
    assert_sound(page)
    assert page.tables["Folds as one result"][1] == [
        *("all", "2", "61.00", "2.00", "62.00", "60.00")
    ]
    rows = page.tables["Recall by class, all folds"]
    assert rows[1:] == [["happy", "4", "75.00"], ["sad", "0", "–"]]
    assert ("h3", "all") in page.headings
    assert "Confusion matrix of all folds; recall: happy 75.00 %, sad – %" in (
        page.figures
    )


def test_failed_damaged_and_unfinished_points_are_named(tmp_path):
    put(tmp_path / "seed=0")
    put(tmp_path / "seed=1", result=False)
    (put(tmp_path / "seed=2") / "result.json").write_text("{")
    table = "seed,test_accuracy,validation_accuracy\n0,0.7,0.6\n3,failed\n"
    (tmp_path / "sweep.csv").write_text(table)
    page = page_of(tmp_path)
    assert "1 of the last sweep's runs failed: seed=3" in page.text
    assert "seed=2/result.json: cannot be read" in page.text
    found = page.column("Each run, with its own report", "test [%]")
    assert found == {
        "seed=0": "70.00 ± 4.58",
        "seed=1": "unfinished: 200 of 200 steps",
    }


def test_a_sweep_writes_its_report_by_itself(monkeypatch, tmp_path):
    def train(config, folder, command, quiet):
        put(folder, config=config_of(seed=config.seed), command=command)
        return result_of()

    monkeypatch.setattr(sweep, "train", train)
    sweep.run_sweep(
        common.get_config(),
        str(tmp_path),
        ["seed=0,1"],
        ["launch.py", "--sweep=seed=0,1"],
    )
    page = Page(tmp_path / "report.html")
    assert list(page.links) == ["seed=0", "seed=1"]
    assert page.commands == ["python launch.py \\\n    --sweep=seed=0,1"]
    for seed in (0, 1):
        assert (tmp_path / f"seed={seed}/report.html").exists()


def test_a_sweep_that_fails_at_every_point_has_its_page(tmp_path):
    (tmp_path / "sweep.csv").write_text("seed,test_accuracy\n0,failed\n1,failed\n")
    page = page_of(tmp_path)
    assert_sound(page)
    assert "2 of the last sweep's runs failed: seed=0 seed=1" in page.text
    assert not page.tables


def test_a_table_of_folds_alone_has_its_page(tmp_path):
    (tmp_path / "cross_database.json").write_text("{}")
    page = page_of(tmp_path)
    assert_sound(page)
    assert ["0 finished" in page.text, page.tables] == [True, {}]


def test_replicas_that_failed_together_are_named_without_a_seed(tmp_path):
    """They were trained as one, so sweep.csv has no seed of theirs."""
    (tmp_path / "sweep.csv").write_text("seed,tune,test_accuracy\n,p_z,failed\n")
    assert "1 of the last sweep's runs failed: tune=p_z" in page_of(tmp_path).text


@pytest.fixture
def seeds(tmp_path):
    """The page of two finished runs of a setting, and of one that is half done."""
    put(tmp_path / "seed=0")
    other = result_of(validation_accuracy=0.67, train_accuracy=0.8)
    put(tmp_path / "seed=1", result=other)
    put(tmp_path / "seed=2", result=False, records=records_of()[:1])
    return page_of(tmp_path)


def test_means_are_over_the_finished_runs_of_a_setting(seeds):
    head, row = seeds.tables["Means over the runs of each setting"]
    assert dict(zip(head, row, strict=True)) == {
        "setting": "all",
        "test [%]": "70.00 ± 0.00",
        "validation [%]": "66.00 ± 1.00",
        "training [%]": "85.00 ± 5.00",
        "gain over all [points]": "",
        "runs": "2",
        "steps": "200",
        "cost [trainings]": "2.5",
        "time of a run": "2.0 min",
    }


def test_each_run_has_its_row(seeds):
    head, first, _, last = seeds.tables["Each run, with its own report"]
    assert dict(zip(head, first, strict=True)) == {
        "run": "seed=0",
        "test [%]": "70.00 ± 4.58",
        "validation [%]": "65.00",
        "training [%]": "90.00",
        "macro-F1 [%]": "69.00",
        "cost [trainings]": "2.5",
        "time": "2.0 min",
    }
    assert last == ["seed=2", "unfinished: 100 of 200 steps", *["–"] * 5]


def test_costs_are_of_all_finished_runs_together(seeds):
    head, row = seeds.tables["What all runs of a setting took"]
    assert dict(zip(head, row, strict=True)) == {
        "setting": "all",
        "steps of the network": "600",
        "steps of surrogates": "1,600",
        "in trainings of the network": "5",
        "time": "4.0 min",
    }


def test_finished_and_unfinished_runs_are_counted(seeds, tmp_path):
    assert seeds.facts == [
        *(("folder", str(tmp_path)), ("runs", "2 finished"), ("unfinished", "1")),
        *(("network", "lenet"), ("database", "faces")),
    ]


def test_steps_of_an_unfinished_run_are_told_by_thousands(tmp_path):
    records = [record | {"step": 1200 * record["round"]} for record in records_of()]
    config = config_of(max_iterations=36_000)
    put(tmp_path / "a", result=False, records=records, config=config)
    page = page_of(tmp_path)
    assert page.column("Each run, with its own report", "test [%]") == {
        "a": "unfinished: 2,400 of 36,000 steps"
    }


def test_the_error_of_a_single_run_is_marked(tmp_path):
    for name in ("kappa=1,seed=0", "kappa=2,seed=0", "kappa=2,seed=1"):
        put(tmp_path / name)
    page = page_of(tmp_path)
    assert page.column("Means over the runs of each setting", "test [%]") == {
        "kappa=1": "70.00 ± 4.58 †",
        "kappa=2": "70.00 ± 0.00",
    }
    assert "†: one run, with the standard error" in page.text


@pytest.mark.parametrize(
    ("databases", "title"),
    [(("faces", "faces"), "Runs of lenet on faces"), (("faces", "ck"), "both")],
)
def test_the_title_says_what_all_runs_have_in_common(tmp_path, databases, title):
    for number, name in enumerate(databases):
        config = config_of(dataset={"name": name, "fold": 0})
        put(tmp_path / f"both/{number}", result=False, config=config)
    assert page_of(tmp_path / "both").headings[0] == ("h1", title)


def test_settings_are_compared_by_validation_where_one_run_has_no_test(tmp_path):
    put(tmp_path / "a")
    put_own(tmp_path / "b", result=result_of(validation_accuracy=0.7))
    page = page_of(tmp_path)
    gains = page.column(
        "Means over the runs of each setting", "validation gain over a [points]"
    )
    assert gains == {"a": "", "b": "+5.00"}
