"""benchmarks.one_setting: its problems, its rows, and what the page shows of them."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import one_setting as study
from benchmarks.own_network import digits

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "benchmarks/results/one_setting.json"


def seeds(*figures):
    return [
        {"test_accuracy": test, "validation_accuracy": validation, "cost": 1.25}
        for test, validation in figures
    ]


ROWS = {study.held(ratio): seeds((0.5, 0.5), (0.5, 0.5)) for ratio in study.RATIOS} | {
    "0.3 held": seeds((0.7, 0.6), (0.9, 0.4)),  # the best in hindsight: 80 %
    "0.7 held": seeds((0.6, 0.5), (0.4, 0.9)),
    "tuned": seeds((0.9, 0.1), (0.8, 0.1)),
}


def test_rows_are_held_against_the_best_ratio_in_hindsight():
    far = study.behind({"a problem": ROWS})["a problem"]
    assert far == pytest.approx(
        dict.fromkeys(map(study.held, study.RATIOS), 30)
        | {"0.3 held": 0, "0.7 held": 30, "tuned": -5, "grid": 25}
    )


def test_the_grid_chooses_by_validation_seed_by_seed():
    assert study.best_by_validation(ROWS) == [0.7, 0.4]


def test_the_table_ends_with_the_mean_and_the_worst_over_the_problems():
    worse = ROWS | {"tuned": seeds((0.7, 0.1), (0.7, 0.1))}
    *_, mean, worst, _, _ = study.table({"one": ROWS, "another": worse}).splitlines()
    tuned = -3  # before the grid, and the end of the line
    assert (mean.split("|")[tuned], worst.split("|")[tuned]) == (" 2.5 ", " 10.0 ")


def test_beyond_chance_is_told_by_paired_seeds():
    rows = ROWS | {
        "tuned": seeds((0.90, 0), (0.80, 0), (0.85, 0)),
        "0 held": seeds((0.80, 0), (0.70, 0), (0.74, 0)),  # 10, 10 and 11 points less
        "0.5 held": seeds((0.96, 0), (0.85, 0), (0.90, 0)),  # 6, 5 and 5 more
        "0.1 held": seeds((0.70, 0), (0.90, 0), (0.85, 0)),
    }
    rows = {
        name: runs if len(runs) == 3 else runs[:1] * 3 for name, runs in rows.items()
    }
    found = {"one": rows, "another": rows}
    assert study.beyond_chance(found, "0 held") == (2, 0)
    assert study.beyond_chance(found, "0.5 held") == (0, 2)
    assert study.beyond_chance(found, "0.1 held") == (0, 0)
    *_, ahead, behind = study.table(found).splitlines()
    first = 3
    assert (ahead.split("|")[first], behind.split("|")[first]) == (" 2 ", " 0 ")


def test_wrong_labels_are_of_train_and_validation_alone():
    right, wrong = digits(3), study.mislabelled(3)
    for (images, labels), (same, changed) in zip(right, wrong, strict=True):
        np.testing.assert_array_equal(images, same)
        share = np.mean(labels != changed)
        assert share == 0 if labels is right[2][1] else 0.2 < share < 0.35


def test_few_digits_are_a_hundred_to_train_and_to_validate():
    assert [len(labels) for _, labels in study.few(0)] == [100, 100, 1197]
