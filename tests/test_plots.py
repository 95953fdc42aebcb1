"""Figures from records, in the paper's form."""

import io

import numpy as np
import pytest
from PIL import Image

from surrojax.errors import InputError
from surrojax.plots import (
    plot_comparison,
    plot_confusion_matrix,
    plot_fidelity,
    plot_history,
    plot_importance,
    plot_parallel_coordinate,
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


def test_lines_of_the_schedule_that_lie_on_one_another_are_all_seen():
    names = ("p_z", "p_V", "p_x", "p_W")
    same = [r | {"hyper": dict.fromkeys(names, 0.5)} for r in records()]
    ratios = plot_schedule(same).axes[0]
    patterns = {str(line._dash_pattern) for line in ratios.lines}
    assert len(ratios.lines) == len(patterns) == 4


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


def candidates(*scores):
    """A candidate for each score; p_V stands still, lambda_W is 0."""
    return [
        {
            "score": score,
            "hyper": {
                "lambda_z": 10.0 ** -(1 + i),
                "lambda_W": 0.0,
                "p_z": 0.2 + 0.1 * i,
                "p_V": 0.5,
            },
        }
        for i, score in enumerate(scores)
    ]


def searching(*rounds):
    return [
        record | {"candidates": candidates(*scores)}
        for record, scores in zip(records(), rounds, strict=False)
    ]


def test_a_candidate_is_a_line_over_what_was_searched():
    figure = plot_parallel_coordinate(searching((1.0, 3.0, 2.0), (None, 5.0)))
    [axes] = figure.axes
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == [r"$\lambda_z$", "$p_z$", "score"]
    lines, _ = axes.collections
    # By score; coefficients by their logarithm: 0.1, 0.01, 0.001 are evenly spaced.
    heights = np.array(lines.get_segments())[:, :, 1]
    np.testing.assert_allclose(heights[:, 0], [1, 0, 0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(heights[:, 1], [0, 1, 0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(heights[:, 2], [0, 0.25, 0.5, 1])
    np.testing.assert_allclose(lines.get_array(), [0, 0.25, 0.5, 1])
    assert axes.get_title() == "4 candidates, 1 without a finite score"


def test_a_score_far_below_all_others_does_not_flatten_them():
    figure = plot_parallel_coordinate(searching((1.0, 1.1, 1.2, 1.3, -1e9)))
    found = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(found, [0, 0, 1 / 3, 2 / 3, 1], atol=1e-9)


def test_importance_is_a_bar_with_its_sign():
    figure = plot_importance(searching((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    [axes] = figure.axes
    bars = {
        label.get_text(): bar.get_width()
        for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)
    }
    assert bars == {
        "$p_z$": pytest.approx(1),
        r"$\lambda_z$": pytest.approx(-1),
    }
    assert axes.get_title() == "6 candidates of 2 rounds"
    assert {text.get_text() for text in axes.texts} == {"+1.00", "-1.00"}


@pytest.mark.parametrize("plot", [plot_parallel_coordinate, plot_importance])
def test_what_was_not_tuned_has_no_figure_of_its_candidates(plot):
    for without in ([], records(), searching((None, None))):
        with pytest.raises(InputError, match="nothing was tuned"):
            plot(without)


def test_the_figures_of_candidates_are_written_at_the_end_alone(tmp_path):
    result = {"confusion_matrix": [[1, 0], [1, 2]], "recall": {"a": 1.0, "b": 0.5}}
    several = searching((1.0, 2.0), (1.0, 3.0))
    write(tmp_path / "going", several)
    write(tmp_path / "done", several, result)
    going, done = (
        {file.stem for file in (tmp_path / name).iterdir()}
        for name in ("going", "done")
    )
    assert done - going == {"parallel_coordinate", "importance", "confusion_matrix"}


def test_settings_are_compared_by_the_mean_over_their_runs():
    def run(*accuracies):
        return [
            {
                "step": 10 * (i + 1),
                "original": {"validation_accuracy": accuracy},
                "test": {"original": {"accuracy": accuracy / 2}},
            }
            for i, accuracy in enumerate(accuracies)
        ]

    figure = plot_comparison(
        {"$_a": [run(0.2, 0.4), run(0.4, 0.6, 0.9)], "b": [run(0.1)]}
    )
    validation, test = figure.axes
    np.testing.assert_allclose(validation.lines[2].get_ydata(), [30, 50])
    np.testing.assert_allclose(test.lines[2].get_ydata(), [15, 25])
    assert [len(axes.lines) for axes in figure.axes] == [4, 4]
    names = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert names == ["$_a", "b"]


def test_a_class_may_be_called_anything():
    """A named bug: a name with dollars was read as a formula."""
    figure = plot_confusion_matrix(np.eye(2), [r"$\no$", "_b"])
    figure.savefig(io.BytesIO(), format="png")
    assert figure.axes[0].get_xticklabels()[0].get_text() == r"$\no$"
