"""The speed benchmark: medians, ratios of neighbours, shares of the peak."""

import argparse
import json
import subprocess
import sys

import pytest

from benchmarks import growth
from benchmarks.cost import account
from benchmarks.speed import plot, summary, table
from benchmarks.timing import best_of


def turn(ours, theirs, peak):
    return {
        "jax": {
            "peak": {"row": "peak", "flops": peak},
            "step": {"row": "step", "ms": ours, "flops": 4e9, "compile_seconds": 2.0},
            "evaluation": {"row": "evaluation", "ms": ours},
        },
        "pytorch": {"step": best_of("step", {"loop": 2 * theirs, "batched": theirs})},
    }


def test_ratios_are_of_neighbours_in_time_and_shares_of_the_same_processs_peak():
    """A machine that halves its speed between the turns changes no ratio."""
    rows = summary([turn(10.0, 30.0, 8e11), turn(20.0, 60.0, 4e11)])
    step, evaluation = rows
    assert step["times_as_fast"] == pytest.approx(3)
    assert step["share_of_peak"] == pytest.approx(0.5)
    assert step["ms"] == pytest.approx(15) and step["pytorch_ms"] == pytest.approx(45)
    assert step["pytorch_way"] == "batched"
    assert "times_as_fast" not in evaluation


def test_table_and_plot(tmp_path):
    rows = summary([turn(10.0, 30.0, 8e11)])
    assert "| step | 10.00 | 50 % | 30.00 | 3.00 |" in table(rows).splitlines()
    plot(rows, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "rows"), [("fer2013_lenet", 3), ("fer2013_lenet_improved", 2)]
)
def test_every_row_of_a_form_is_timed(config, rows):
    command = [sys.executable, "-m", "benchmarks.speed", f"--config={config}"]
    small = ["--steps=1", "--repeats=1", "--images=256", "--round_steps=4"]
    done = subprocess.run(
        [*command, *small, "--side=jax", "--populations", "1", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {row["row"]: row for row in map(json.loads, done.stdout.splitlines())}
    steps = [name for name in found if name.startswith(("original", "stage 1"))]
    assert len(steps) == rows
    assert {"stage 2, N = 1", "stage 2, N = 2", "round"} <= set(found)
    assert all(row["ms"] > 0 for row in found.values() if "ms" in row)
    # Two candidates on one trunk cost less than twice one.
    work = [found[f"stage 2, N = {n}"]["flops"] for n in (1, 2)]
    assert work[1] == 2 * work[0] if rows == 3 else work[1] < 2 * work[0]


@pytest.mark.slow
def test_every_row_of_pytorch_s_side_is_timed():
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "benchmarks.speed", "--side=pytorch"]
    small = ["--steps=1", "--repeats=1", "--images=256", "--round_steps=2"]
    done = subprocess.run(
        [*command, *small, "--populations", "1", "6"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {row["row"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert list(found) == [
        "peak",
        "stage 1, one setting",
        "stage 1, both settings",
        "stage 2, N = 1",
        "stage 2, N = 6",
        "evaluation",
        "round",
        "process",
    ]
    assert all(row["ms"] > 0 for row in found.values() if "ms" in row)
    assert len(found["stage 2, N = 6"]["ways"]) == 2


def test_the_account_of_a_round_leaves_out_the_first_and_equal_settings():
    tuned = {
        "seconds": [99.0, 10.0, 7.0, 10.0],
        "settings": [2, 2, 1, 2],
        "spent": {"fit": [90.0, 6.0, 3.5, 6.0], "compete": [5.0, 3.0, 3.0, 3.0]},
        "macs": {"original": 100, "surrogate": 10},
        "population": 6,
    }
    alone = {"spent": {"fit": [50.0, 2.0, 2.0, 2.0]}}
    found = account(json.loads(json.dumps(tuned)), alone, steps=1000)
    assert found["t_ori_ms"] == pytest.approx(2)
    assert found["stage1_ms_both_settings"] == pytest.approx(6)
    assert found["round_over_t_ori"] == pytest.approx(5)
    assert found["paper_2_plus_n_ratio"] == pytest.approx(2.6)
    assert found["share_of_a_round_that_is_neither"] == pytest.approx(0.1)


def test_growth_takes_medians_of_turns_and_lists_each_axis(tmp_path):
    def turn(factor):
        return [
            growth.Point(axis, value, row, factor * ms)
            for axis, row in (
                ("batch", "stage 2"),
                ("candidates", "stage 2"),
                ("images", "evaluation"),
            )
            for value, ms in ((16, 1.0), (64, 3.0))
        ]

    points = growth.medians([turn(1.0), turn(9.0), turn(2.0)])
    assert [point.ms for point in points] == [2, 6] * 3
    lines = growth.table(points).splitlines()
    assert "| candidates, N | 16 | 64 |" in lines
    assert lines.count("| stage 2 | 2.00 | 6.00 |") == 2
    growth.plot(points, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_growth_changes_one_thing_at_a_time(monkeypatch):
    called = []

    def turn(side, flags):
        called.append(flags)
        at = flags.index("--populations")
        rows = [f"stage 2, N = {n}" for n in flags[at + 1 :]]
        return {name: {"ms": 1.0} for name in (*growth.STEPS, "evaluation", *rows)}

    monkeypatch.setattr(growth, "turn", turn)
    given = argparse.Namespace(
        config="demo", batch=4, population=6, steps=5,
        batches=[2, 8], candidates=[1, 16], images=[100],
    )  # fmt: skip
    points = list(growth.measured(given))
    assert len(called) == 4
    assert {(p.value, p.row) for p in points if p.axis == "candidates"} == {
        (1, "stage 2"),
        (16, "stage 2"),
    }
    assert ["--batch=2" in flags for flags in called] == [True, False, False, False]
    assert all("--batch=4" in flags for flags in called[2:])
    assert "--images=100" in called[2] and "--images=100" not in called[3]
