"""The page of results is made from records, and says what was not run."""

import json
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from benchmarks import (
    ablation,
    figures,
    last,
    leads,
    paper,
    readme,
    records,
    results,
    rows,
    shifted,
)
from benchmarks.compared import LENET
from surrojax.fields import flatten
from surrojax.run.sweep import at, product
from surrojax.settings import resolve

BASELINE = next(r for r in rows.ROWS if (r.table, r.name) == (4, "baseline"))


def put(folder, test, iterations=20_000, seed=0, **more):
    folder = folder / f"seed={seed}"
    folder.mkdir(parents=True)
    outcome = {"test_accuracy": test, "validation_accuracy": 0.5, "seed": seed}
    outcome |= {"original_steps": 10, "surrogate_steps": 4, "seconds": 3.0}
    outcome |= {"train_accuracy": 0.9}
    macs = {"original": 4, "surrogate": 1}
    config = {"config": {"max_iterations": iterations}, "multiply_accumulates": macs}
    (folder / "result.json").write_text(json.dumps(outcome | more))
    (folder / "config.json").write_text(json.dumps(config))
    line = {"round": 1, "step": iterations}
    line |= {"original": {"validation_cross_entropy": 1.25}}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "schedule.csv").write_text("round\n")
    return folder


def keep(folder, accuracies, budget=1):
    """Records of a method of a comparison, seed after seed."""
    folder = folder / f"budget={budget}"
    folder.mkdir(parents=True)
    for seed, accuracy in enumerate(accuracies):
        record = {"method": folder.parent.name, "budget": float(budget), "seed": seed}
        record |= {"test_accuracy": accuracy, "validation_accuracy": 0.5}
        record |= {"cost_in_runs": 3.5 * budget, "seconds": 9.0}
        (folder / f"seed={seed}.json").write_text(json.dumps(record))


def paper_lines(monkeypatch, capsys, *flags):
    """What `benchmarks.paper` says."""
    monkeypatch.setattr("sys.argv", ["paper.py", *flags])
    assert paper.main() == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def there(tmp_path, monkeypatch):
    for module in (results, paper):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def test_a_row_is_the_mean_of_its_longest_runs(there):
    folder = there / BASELINE.folder("printed")
    put(folder, 0.10, iterations=10_000, seed=0)
    put(folder, 0.52, seed=1)
    put(folder, 0.54, seed=2)
    found = results.summary(BASELINE, "printed")
    assert found["seeds"] == [1, 2] and found["max_iterations"] == 20_000
    assert found["test_mean"] == pytest.approx(0.53)
    assert found["test_se"] == pytest.approx(0.01)
    assert found["original_steps"] == 20
    assert "--config.max_iterations=20000" in found["command"]
    assert "--config.tune=()" in found["command"]
    assert "--sweep=seed=1,2 " in found["command"]
    not_run = results.summary(BASELINE, "tall")
    assert "--sweep=seed=0,1,2 " in not_run["command"]


def test_what_was_not_run_says_so_with_its_time(there):
    put(there / BASELINE.folder("printed"), 0.5)
    found = [results.summary(BASELINE, schedule) for schedule in rows.SCHEDULES]
    line = results.table(found, 4).splitlines()[2]
    # 3 seeds of 25,000 steps of 21 ms.
    assert "50.00 (20k)" in line and "not run, about 26 min" in line
    assert line.endswith("| 1 / 0 |")
    assert found[1]["test_mean"] is None and found[1]["seeds"] == []


def test_every_row_of_the_tables_is_there():
    papers = {(r.table, r.title): r.paper for r in rows.ROWS}
    assert len(papers) == len(rows.ROWS)
    counts = [sum(r.table == table for r in rows.ROWS) for table in (3, 4, 5, 6)]
    assert counts == [18, 11, 5, 1]
    assert papers[4, "all eight by PSO"] == 60.24
    assert papers[3, "p_z=p_x=0.5"] == 56.24


def test_a_row_s_command_says_what_its_budget_is_of():
    ours = "--ours=surrojax=configs/fer2013_lenet_improved.py"
    assert ours in LENET.command(["random"], 1, [0])
    assert "surrojax_wide" not in LENET.command(["random", "surrojax"], 1, [0])
    both = LENET.command(["surrojax_wide"], 1, [0])
    assert f"{ours} --ours=surrojax_wide=configs/fer2013_lenet_improved_wide" in both
    held = LENET.command(["longer_start_surrojax_wide"], 1, [0])
    assert "--ours=surrojax_wide=configs/fer2013_lenet_improved_wide" in held


def test_the_last_training_gets_what_the_search_left():
    """Ten trainings of two rounds and one of ten, of a budget of 35."""
    record = {"max_iterations": 10_000, "original_steps": 30_000}
    assert last.rounds_left(record | {"budget_in_runs": 3.55}, 10) == 15
    assert last.rounds_left(record | {"budget_in_runs": 3.49}, 10) == 14


def test_tuners_before_and_after_their_longer_training(tmp_path):
    assert len(last.Longer.of(tmp_path).table().splitlines()) == 2
    keep(tmp_path / last.SOURCE / "surrojax", (0.57, 0.59, 0.6))
    keep(tmp_path / last.SOURCE / "tpe", (0.54, 0.56, 0.1))
    keep(tmp_path / last.SOURCE / "tpe", (0.9,), budget=10)  # is another row
    keep(tmp_path / last.TARGET / "tpe", (0.56, 0.57))
    # Paired: 0.56 - 0.57 and 0.57 - 0.59.
    [line] = last.Longer.of(tmp_path).table().splitlines()[2:]
    begin = "| tpe | 55.00 | 1.00 | 56.50 | 0.50 | -1.50 | 0.50 | "
    assert line.startswith(begin) and line.endswith(" | 3.50 | 2 |")


def test_a_larger_budget_has_a_row_and_a_command_of_its_own(there):
    folder = there / LENET.folder
    for method, budget, accuracies in (
        ("surrojax", 1, (0.57, 0.59, 0.57, 0.59, 0.58)),
        ("tpe", 1, (0.54, 0.56, 0.55, 0.54, 0.56)),
        ("tpe", 10, (0.58, 0.58, 0.58, 0.58, 0.58)),
    ):
        keep(folder / method, accuracies, budget)
    lines = results.compared(LENET).splitlines()
    assert any(line.startswith("| tpe | 10 | 58.00 | 0.00 |") for line in lines)
    assert any(line.startswith("| tpe | 1 | 55.00 | 0.45 |") for line in lines)
    [left] = [line for line in lines if line.startswith("Not run: ")]
    once, tenfold = left.removeprefix("Not run: ").split("; with 10 times the budget: ")
    assert "tpe" not in tenfold and "random" in tenfold and "random" in once
    assert "untuned" in once and ", untuned" not in tenfold
    # That of the larger budget is no rival at equal cost.
    [counted] = [line for line in lines if "may spend the whole budget" in line]
    assert counted.startswith("1 methods ") and counted.count("tpe") == 1
    assert leads.against("surrojax", there).count("| tpe |") == 1
    first, second = [line for line in lines if line.startswith("python ")]
    assert "--methods=surrojax,tpe --budgets=1 --seeds=0,1,2,3,4" in first
    assert second.endswith("--methods=tpe --budgets=10 --seeds=0,1,2,3,4")


def test_seeds_that_were_added_speak_by_themselves(tmp_path):
    folder = tmp_path / LENET.folder
    ours = (0.57, 0.59, 0.57, 0.59, 0.58)
    keep(folder / "surrojax", (*ours, 0.60, 0.60))
    keep(folder / "tpe", (*(one - 0.01 for one in ours), 0.56, 0.58))
    keep(folder / "random", ours)
    _, _, *lines = leads.added(tmp_path).splitlines()
    assert lines == [
        "| surrojax | tpe | 1.00 (1.00 to 1.00) | 1.57 (0.52 to 2.62), 7 seeds | "
        "3.00 (-9.71 to 15.71), 2 seeds |"
    ]


def test_text_goes_between_its_marks_alone():
    page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n\n<!-- end -->\n"
    page = results.replace(page, "one", "new")
    page = results.replace(page, "two", "more")
    assert page == (
        "a\n<!-- one -->\nnew\n<!-- end -->\nb\n<!-- two -->\nmore\n<!-- end -->\n"
    )
    with pytest.raises(SystemExit, match="no place <!-- three -->"):
        results.replace(page, "three", "x")


def test_an_interval_of_ties_is_a_dash():
    assert results.interval({"value": None, "low": None, "high": None}) == "-"
    assert results.interval(None) == "-"
    tau = {"value": 0.5, "low": 0.25, "high": 0.75}
    assert results.interval(tau) == "0.50 [0.25, 0.75]"


def test_variants_with_their_cost(there):
    put(there / "ablation" / "dropout", 0.53)
    put(there / "ablation" / "dropout", 0.55, seed=1)
    lines = ablation.STUDY.table(there).splitlines()
    # 10 steps, and 4 of a quarter, over 10,000.
    expected = "| 0.00 ± 0.00 | 54.00 ± 1.00 | 50.00 ± 0.00 | 125.00 ± 0.00 |"
    assert expected in lines[2] and lines[2].endswith("| 2 |")
    assert all("not run" in line for line in lines[3:])


def test_a_cost_that_was_counted_wrongly_is_put_right(there):
    more = {"original_steps": 10_000, "surrogate_steps": 20_000}
    put(there / "ablation" / "short", 0.53, **more)
    study = ablation.STUDY
    # 1 + 2 * 1/4; with the 2 multiply-accumulates that a candidate has, 1 + 2 * 2/4.
    for macs, cost in ((None, "1.50"), (2, "2.00")):
        variants = {"short": study.variants["short"]._replace(macs=macs)}
        table = replace(study, variants=variants).table(there)
        assert f" | {cost} | 53.00 | " in table


@pytest.mark.parametrize("study", [ablation.STUDY, shifted.STUDY])
def test_records_of_variants_are_of_their_commands(study):
    """What their configs say is what the command would run today.

    A field that a record does not know is younger than it; where stage 1 trains one
    setting, `selection` decides nothing.
    """
    for name, variant in study.variants.items():
        for file in (results.RESULTS / study.name / name).glob("seed=*/config.json"):
            today = import_module(f"configs.{variant.config}").get_config()
            flags = [*study.shared, *variant.flags]
            [point] = product(today, [f.removeprefix("--config.") for f in flags])
            done = dict(flatten(json.loads(file.read_text())["config"]))
            free = ["seed", "execution."]
            free += ["selection"] if today.stage1_settings == 1 else []
            for field, value in flatten(resolve(at(today, point)).to_dict()):
                value = list(value) if isinstance(value, tuple) else value
                same = done.get(field, value) == value
                assert same or field.startswith(tuple(free)), (file, field)


def test_records_are_copied_of_finished_runs_alone(there, tmp_path):
    source = tmp_path / "runs"
    put(source, 0.5)
    put(source, 0.5, seed=1).joinpath("result.json").unlink()
    assert records.copy_records(source, there / "kept") == 1
    files = sorted(f.name for f in (there / "kept/seed=0").iterdir())
    assert files == sorted(records.KEPT)
    assert not (there / "kept/seed=1").exists()


def test_the_page_and_the_summary_are_up_to_date(tmp_path, monkeypatch):
    """`python -m benchmarks.results` would change nothing."""
    monkeypatch.setattr(results, "draw", lambda *_: None)
    monkeypatch.setattr(figures, "draw", lambda *_: None)
    written = {}
    monkeypatch.setattr(
        type(results.PAGE),
        "write_text",
        lambda file, text: written.update({file: text}),
    )
    results.main()
    made = {results.PAGE, results.README, results.RESULTS / "summary.json"}
    assert set(written) == made
    for file, text in written.items():
        assert file.read_text() == text


@pytest.mark.parametrize(
    ("tool", "method"),
    [
        ("surrojax, improved form", "surrojax"),
        ("Optuna 5", "tpe"),
        ("Ray Tune 2.60, PBT", "pbt"),
        ("HORD (pySOT 0.3.3), the paper's RBF rival", "hord"),
    ],
)
def test_figures_beside_other_tools_are_of_the_records(tool, method):
    [line] = [
        line
        for line in results.README.read_text().splitlines()
        if line.startswith(f"| {tool} |")
    ]
    records = [
        json.loads(file.read_text())
        for file in (results.RESULTS / LENET.folder / method).glob("budget=1/*.json")
    ]
    found = 100 * np.array([record["test_accuracy"] for record in records])
    error = found.std(ddof=1) / np.sqrt(len(found))
    said = f"{found.mean():.2f} ± {error:.2f} ({len(found)} seeds) |"
    assert line.endswith(said)


def test_readme_s_demo_is_that_of_the_records():
    text = results.README.read_text()
    found = {
        name: records.read(results.RESULTS / "demo" / name / "result.json")
        for name in ("tune=none", "tune=coefficients+ratios", "dropout")
    }
    shown = [f"{100 * run['test_accuracy']:.2f}" for run in found.values()]
    assert f"held for as many steps, without tuning, has {shown[2]}" in " ".join(
        text.split()
    )
    for (name, run), test in zip(list(found.items())[:2], shown, strict=False):
        gain = run["test_accuracy"] - found["tune=none"]["test_accuracy"]
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        others = [100 * run[f"{split}_accuracy"] for split in ("validation", "train")]
        figures = [test, *(f"{other:.2f}" for other in others), f"{100 * gain:+.2f}"]
        assert line.split()[1:5] == figures


def test_readme_has_how_far_others_are_behind_on_the_seeds_that_both_have(tmp_path):
    folder = tmp_path / LENET.folder
    for method, tests in (("surrojax", (0.57, 0.58, 0.6)), ("tpe", (0.55, 0.57))):
        (folder / method / "budget=1").mkdir(parents=True)
        for seed, test in enumerate(tests):
            record = {"method": method, "budget": 1.0, "seed": seed}
            record |= {"test_accuracy": test, "original_steps": 30_000 + 1_000 * seed}
            file = folder / method / "budget=1" / f"seed={seed}.json"
            file.write_text(json.dumps(record))
    runs = [readme.Line("x", {0: 55.0}, {10})]
    assert runs[0].cells({0: 57.0}) == ["x", "", "55.00", "", "10", "1"]
    [ours, tpe] = [line for line in readme.compared(tmp_path) if line.tests]
    of_ours = ["58.33 ± 0.88", "", "30,000 or 31,000 or 32,000", "3"]
    assert ours.cells({})[2:] == of_ours
    # Paired: 2 and 1; Student's t with one degree of freedom is 12.7.
    assert tpe.cells(ours.tests)[2:4] == ["56.00 ± 1.00", "1.50 (-4.85 to 7.85)"]


def test_figures_are_drawn_of_the_rows_that_were_run(tmp_path):
    assert figures.text(tmp_path).count("not run.") == 8
    for record in (results.RESULTS / "paper").glob("*/*/seed=0/metrics.jsonl"):
        target = tmp_path / record.relative_to(results.RESULTS)
        target.parent.mkdir(parents=True)
        target.write_text(record.read_text())
    figures.draw(tmp_path)
    drawn = {file.name for file in (tmp_path / figures.FOLDER).iterdir()}
    said = re.findall(r"results/figures/(.*?)\)", figures.text(tmp_path))
    assert drawn == set(said) and "figure_5_p_z_p_x_pso_printed.png" in drawn
    assert drawn == {f.name for f in (results.RESULTS / figures.FOLDER).iterdir()}


def test_a_row_of_many_trainings_is_of_a_comparison(
    there, tmp_path, monkeypatch, capsys
):
    [row] = [r for r in rows.ROWS if r.name == "grid_paper"]
    # 49 trainings of 10,000 steps of 230 ms.
    assert row.hours() == pytest.approx(49 * 10_000 * 0.23 / 3600)
    line = paper_lines(monkeypatch, capsys, "--list", "--row=grid_paper")
    assert "about 31.3 h" in line[0] and "--methods=grid_paper --budgets=10" in line[1]
    found = results.summary(row, "printed")
    assert found["seeds"] == [] and found["paper"] == 0.5868
    record = {"seed": 0, "max_iterations": 10_000, "test_accuracy": 0.57}
    record |= {"method": "grid_paper", "budget": 10.0}
    record |= {"validation_accuracy": 0.56, "seconds": 9.0}
    record |= {"original_steps": 490_000, "surrogate_steps": 0}
    done = tmp_path / "runs" / row.folder("printed") / "grid_paper/budget=10"
    done.mkdir(parents=True)
    (done / "seed=0.json").write_text(json.dumps(record))
    assert row.keep(tmp_path / "runs", there, "printed") == 1
    found = results.summary(row, "printed")
    assert (found["seeds"], found["test_mean"]) == ([0], pytest.approx(0.57))
    assert found["original_steps"] == 490_000
