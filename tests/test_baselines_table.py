"""The table and the figures, from files that are written by hand."""

import json
import math

import numpy as np
import pytest
from matplotlib.text import Text

from surrojax.baselines import figure, forest, rows, table
from surrojax.baselines.folder import Folder
from surrojax.errors import InputError


def write(folder, method, accuracies, budget=1, cost=1.0, validation=0.5, first=0):
    for seed, accuracy in enumerate(accuracies, first):
        file = folder / method / f"budget={budget}" / f"seed={seed}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        record = {"method": method, "budget": budget, "seed": seed, "network": "lenet"}
        record |= {"test_accuracy": accuracy, "validation_accuracy": validation}
        record |= {"cost_in_runs": cost, "seconds": 60 * cost}
        file.write_text(json.dumps(record))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "surrojax", [0.60, 0.62, 0.61], cost=3.0)
    write(tmp_path, "twice", [0.59, 0.58], cost=3.0, first=1)
    write(tmp_path, "twice", [0.63], budget=10, cost=35.0)
    write(tmp_path, "untuned", [0.5, 0.5, 0.53, 0.47], validation=None)
    return tmp_path


def test_means_and_standard_errors(folder, capsys):
    table.show(str(folder))
    head, _, *lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert "gain over surrojax" in head
    assert rows[0] == ["twice", "10", "63.00", "-", "50.00", "+3.00", "-", "-", "35.00",
                       "2100", "1"]  # fmt: skip
    # The standard error of 60, 62 and 61 is 1 / sqrt(3).
    assert rows[1] == ["surrojax", "1", "61.00", "0.58", "50.00", "+0.00", "0.00",
                       "+0.00 to +0.00", "3.00", "180", "3"]  # fmt: skip
    # Of seeds 1 and 2: 59 - 62 = -3 and 58 - 61 = -3.
    assert rows[2] == ["twice", "1", "58.50", "0.50", "50.00", "-3.00", "0.00",
                       "-3.00 to -3.00", "3.00", "180", "2"]  # fmt: skip
    # Gains of seeds 0 to 2: -10, -12 and -8; a seed of its own counts in the mean. The
    # interval is 4.303 standard errors of 2 / sqrt(3) each way.
    assert rows[3] == ["untuned", "1", "50.00", "1.22", "-", "-10.00", "1.15",
                       "-14.97 to -5.03", "1.00", "60", "4"]  # fmt: skip


def test_what_has_not_been_run_is_listed(folder, capsys):
    table.show(str(folder))
    lines = capsys.readouterr().out.splitlines()
    missing = [line.split("|")[1:4] for line in lines if "not run" in line]
    named = {(name.strip(), budget.strip()) for name, budget, _ in missing}
    assert {("dropout", "1"), ("tpe", "1"), ("tpe", "10"), ("pbt", "10")} <= named
    assert ("dropout", "10") not in named and ("twice", "1") not in named


@pytest.mark.parametrize(("network", "listed"), [("resnet20", True), ("lenet", False)])
def test_the_paper_s_grid_is_not_missed_on_another_network(folder, network, listed):
    found = rows.rows_of(Folder(folder).runs())
    assert (("grid_paper", 10) in rows.not_run(found, network)) == listed


def test_gains_are_over_budget_1_whatever_comes_first(tmp_path):
    write(tmp_path, "twice", [0.9], budget=1.5)
    write(tmp_path, "twice", [0.6])
    write(tmp_path, "random", [0.7])
    records = list(Folder(tmp_path).runs())
    for order in (records, records[::-1]):
        gains = {
            (row.method, row.budget): row.gain.mean
            for row in rows.rows_of(order, against="twice")
        }
        assert gains == pytest.approx(
            {("twice", 1): 0.0, ("twice", 1.5): 30.0, ("random", 1): 10.0}
        )


def test_p_values_and_their_correction(folder):
    [untuned] = [
        r for r in rows.rows_of(Folder(folder).runs()) if r.method == "untuned"
    ]
    # Of two degrees of freedom it has a closed form; t is 10 / (2 / sqrt(3)).
    ratio = 10 / (2 / math.sqrt(3))
    expected = 1 - ratio / math.sqrt(2 + ratio**2)
    assert untuned.gain.p_value == pytest.approx(expected)
    assert math.isnan(rows.Mean.of([1.0]).p_value)
    found = rows.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.9})
    # 4 x 0.01; 3 x 0.03; no less than that; 1 x 0.9.
    assert found == pytest.approx({"a": 0.04, "c": 0.09, "b": 0.09, "d": 0.9})
    assert list(found) == ["a", "c", "b", "d"]
    assert rows.holm({"a": 0.7, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_what_no_p_value_is_known_of_is_no_part_of_a_correction():
    for values in (
        {"a": math.nan, "b": 0.001, "c": 0.02},
        {"b": 0.001, "a": math.nan, "c": 0.02},
    ):
        assert rows.holm(values) == pytest.approx({"b": 0.002, "c": 0.02})


def test_gains_that_are_all_alike_are_no_chance():
    assert rows.Mean.of([1.0, 1.0, 1.0]).p_value == 0
    assert rows.Mean.of([0.0, 0.0, 0.0]).p_value == 1


def test_another_row_may_be_the_reference(folder):
    found = rows.rows_of(Folder(folder).runs(), against="untuned")
    gains = {(row.method, row.budget): row.gain.mean for row in found}
    assert gains["surrojax", 1] == pytest.approx(10)
    assert gains["untuned", 1] == 0


def test_an_unknown_reference_is_named(folder):
    with pytest.raises(InputError, match="'tpe' has no run of budget 1 here; choose"):
        table.show(str(folder), "tpe")


def test_without_a_reference_there_is_no_gain(tmp_path):
    write(tmp_path, "untuned", [0.5])
    [row] = rows.rows_of(Folder(tmp_path).runs())
    assert math.isnan(row.gain.mean) and math.isnan(row.test.error)


def test_the_figure(folder):
    table.show(str(folder))
    assert (folder / "accuracy_cost.png").read_bytes().startswith(b"\x89PNG")
    [axes] = figure.plot(rows.rows_of(Folder(folder).runs())).axes
    assert axes.get_xscale() == "log"
    names = {text.get_text() for text in axes.texts}
    assert names == {"surrojax", "twice", "twice (10)", "untuned"}
    marks = {text.get_text() for text in axes.get_legend().get_texts()}
    assert marks == {"surrojax", "one fixed setting"}


def test_the_figure_of_gains_has_an_interval_a_row(folder):
    write(folder, "dropout", [0.61, 0.62, 0.63])
    write(folder, "surrojax", [0.62, 0.64, 0.63], budget=10)
    shown = forest.with_interval(rows.rows_of(Folder(folder).runs()))
    [axes] = forest.plot(shown).axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    names = "untuned", "dropout", "surrojax (10)"
    assert labels == [f"{name}, 3 seeds" for name in names]
    low, high = axes.get_xlim()
    for mean, row, mark in zip((-10, 1, 2), shown, axes.containers, strict=True):
        points, _, (bar,) = mark
        assert points.get_xdata() == pytest.approx([mean]) and low < mean < high
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], row.gain.interval)


def test_a_figure_of_gains_wants_three_seeds(tmp_path):
    write(tmp_path, "surrojax", [0.6, 0.62, 0.61])
    write(tmp_path, "untuned", [0.6, 0.62, 0.61])  # and does not mind equal ones
    write(tmp_path, "twice", [0.6, 0.62])
    table.show(str(tmp_path))
    assert (tmp_path / "gains.png").read_bytes().startswith(b"\x89PNG")
    table.show(str(tmp_path), "twice")
    assert not (tmp_path / "gains.png").exists()


def test_names_in_the_figure_are_not_over_each_other(folder):
    for index in range(8):
        write(folder, f"form_{index}", [0.55 + 0.001 * index], cost=3.0 + 0.05 * index)
    drawn = figure.plot(rows.rows_of(Folder(folder).runs()))
    drawn.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in drawn.axes[0].texts]
    assert len(boxes) == 12
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_heights_are_moved_no_more_than_they_must():
    heights = np.array([0.05, 0.2, 0.21, 0.22, 0.9])
    moved = figure.spread(heights, 0.05)
    np.testing.assert_allclose(moved, [0.05, 0.16, 0.21, 0.26, 0.9])


def test_names_stay_within_the_axes():
    moved = figure.spread(np.array([0.97, 0.98, 0.99]), 0.1)
    np.testing.assert_allclose(moved, [0.7, 0.8, 0.9])
    np.testing.assert_allclose(figure.spread(np.array([-0.2]), 0.1), [0.1])


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no run has finished here"):
        table.show(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()
