"""The optimisers on the paper's toy problem, at the constants that a run recommends."""

import json

import numpy as np
import pytest

from benchmarks import toy

SEEDS = 20


@pytest.mark.parametrize("name", toy.OPTIMISERS)
@pytest.mark.parametrize("constants", [toy.PAPER, toy.TUNED], ids=["paper", "tuned"])
def test_one_variable_is_found_within_the_cube(name, constants):
    reached, stayed = toy.distances(name, 1, constants[name], SEEDS)
    assert reached.shape == (SEEDS,)
    assert np.median(reached) < toy.TARGET
    assert stayed


def test_tuned_pso_is_nearer_than_random_points_with_eight_variables():
    reached, stayed = toy.distances("pso", 8, toy.TUNED["pso"], SEEDS)
    assert np.median(reached) < 0.5 * np.median(toy.random_distances(8, SEEDS))
    assert stayed


def test_seeds_differ_and_repeat():
    first, _ = toy.distances("de", 1, toy.PAPER["de"], SEEDS)
    again, _ = toy.distances("de", 1, toy.PAPER["de"], SEEDS)
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) > SEEDS // 2


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(toy, "VARIABLES", (1,))
    path = tmp_path / "toy.json"
    toy.main([f"--seeds={SEEDS}", f"--json={path}"])
    assert "random points" in capsys.readouterr().out
    result = json.loads(path.read_text())
    assert result["seeds"] == SEEDS and "jax" in result["versions"]
    assert all(row["stayed_within_bounds"] for row in result["rows"][:-1])
    assert len(result["rows"]) == 2 * len(toy.OPTIMISERS) + 1
