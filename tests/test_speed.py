"""The speed benchmark: medians, ratios of neighbours, shares of the peak."""

import json

import pytest

from benchmarks.cost import account
from benchmarks.speed import best_of, plot, summary, table


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
