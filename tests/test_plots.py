"""Figures from records, in the paper's form."""

import numpy as np
from PIL import Image

from surrojax.plots import (
    plot_confusion_matrix,
    plot_fidelity,
    plot_history,
    plot_schedule,
    write,
)


def records(tuned=True):
    one = {"validation_accuracy": 0.5}
    return [
        {
            "round": n,
            "hyper": {"lambda_z": 10.0**-n if tuned else 0.0, "p_z": 0.1 * n},
            "original": one,
            "test": {
                "original": {"accuracy": 0.1 * n},
                **({"surrogate": {"accuracy": 0.05 * n}} if tuned else {}),
            },
            **({"surrogate": one} if tuned else {}),
        }
        for n in (1, 2, 3)
    ]


def test_the_schedule_draws_every_hyper_parameter_and_the_test_accuracy():
    coefficients, ratios, accuracy = plot_schedule(records()).axes
    np.testing.assert_allclose(coefficients.lines[0].get_ydata(), [0.1, 0.01, 0.001])
    np.testing.assert_allclose(ratios.lines[0].get_ydata(), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [10, 20, 30])
    assert coefficients.get_yscale() == "log"


def test_what_is_off_has_no_panel():
    ratios, accuracy = plot_schedule(records(tuned=False)).axes
    assert ratios.get_ylabel() == "dropout ratio"
    assert len(ratios.lines) == len(accuracy.lines) == 1


def test_the_history_draws_both_networks_on_both_splits():
    assert len(plot_history(records()).axes[0].lines) == 4
    assert len(plot_history(records(tuned=False)).axes[0].lines) == 2


def test_the_confusion_matrix_is_in_percent_of_each_label():
    confusion = np.array([[3, 1], [0, 0]])
    axes = plot_confusion_matrix(confusion, ["a", "b"]).axes[0]
    assert [t.get_text() for t in axes.texts] == ["75.0", "25.0", "0.0", "0.0"]


def test_the_files_are_pictures(tmp_path):
    result = {"confusion_matrix": [[1, 0], [1, 2]], "recall": {"a": 1.0, "b": 0.5}}
    write(tmp_path / "plots", records(), result)
    for file in (tmp_path / "plots").iterdir():
        with Image.open(file) as picture:
            assert picture.size[0] > 500
    assert len(list((tmp_path / "plots").iterdir())) == 3


def test_the_fidelity_draws_fitting_errors_tau_and_regret():
    tau = {"value": 0.5, "low": 0.2, "high": 0.7}
    found = {
        "tau": {
            "cross_entropy": tau,
            "score": {"value": None, "low": None, "high": None},
        },
        "regret": {"accuracy": {"surrogate": 0.01, "random": 0.02}},
    }
    several = records()
    for record in several:
        record["euclidean"] = {"z": 3.0, "V": None}
    assert len(plot_fidelity(several).axes) == 1
    several[1]["fidelity"] = found
    errors, taus, regret = plot_fidelity(several).axes
    np.testing.assert_allclose(errors.lines[0].get_ydata(), 3.0)
    (bars,) = taus.containers
    np.testing.assert_allclose(bars[0].get_ydata(), 0.5)
    low, high = bars[2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose([low, high], [0.2, 0.7])
    assert [line.get_ydata()[0] for line in regret.lines] == [1.0, 2.0]
