"""The report of one run: its figures in numbers and in words."""

import base64
import re

import pytest
from reports import assert_sound, config_of, page_of, put, records_of, result_of

pytestmark = pytest.mark.usefixtures("sketched")


def test_the_report_of_a_run(tmp_path):
    command = ["launch.py", "--config=configs/demo.py", "--workdir=runs/a"]
    page = page_of(put(tmp_path / "a", command=command))
    assert_sound(page)
    assert page.headings[0] == ("h1", "lenet on faces")
    assert "unfinished" not in page.text
    assert "Test figures are reported and choose nothing" in page.text
    found = page.column("The network after the last round", "this run")
    # 70 % of 100 samples: sqrt(0.7 * 0.3 / 100) is 4.58 %.
    assert found["test accuracy [%]"] == "70.00 ± 4.58"
    assert found["validation accuracy [%]"] == "65.00"
    assert found["training accuracy [%]"] == "90.00"
    assert found["macro-F1 on test [%]"] == "69.00"
    assert page.tables["Recall by class"][1:] == [
        # 30 of 40 and 40 of 60 by Wilson's formula, worked out by hand.
        ["happy", "40", "75.00 [59.81, 85.81]"],
        ["sad", "60", "66.67 [54.06, 77.27]"],
    ]
    cost = page.column("What it took", "this run")
    assert cost["steps of the network"] == "300"
    assert cost["steps of surrogates"] == "800"
    # 300 steps and 800 of a quarter each, over a training of 200 steps.
    assert cost["cost in trainings of the network"] == "2.5"
    assert cost["time of all rounds"] == "2.0 min"
    faults = page.tables["Faults of the database, counted and never mended"]
    assert faults == [["constant images", "12"]]
    assert page.tables["What was read"] == [["Source", "drawn"]]
    assert ["jax", "0.10.2"] in page.tables["Versions and device"]
    assert ["search.population", "3"] in page.tables["The resolved config"]
    assert len(page.figures) == 5


def test_the_schedule_is_there_in_numbers_and_as_a_file(tmp_path):
    page = page_of(put(tmp_path / "a"))
    rows = page.tables["The schedule by round"]
    assert rows[0][:4] == ["round", "step", "lambda_z", "p_z"]
    assert rows[2] == ["2", "200", "2e-05", "0.247", "60.00", "70.00"]
    head, data = page.links["The schedule as CSV"].split(",")
    assert head == "data:text/csv;charset=utf-8;base64"
    lines = base64.b64decode(data).decode().splitlines()
    assert lines == [
        "round,step,lambda_z,p_z",
        "1,100,1e-05,0.123456789",
        "2,200,2e-05,0.246913578",
    ]


def test_importance_is_told_in_numbers(tmp_path):
    page = page_of(put(tmp_path / "a"))
    # In both rounds lambda_z falls as the score rises; p_z is in the order 3 1 2.
    # Of 6 candidates of 2 rounds, chance leaves 1.96 / sqrt(6 - 2).
    table = page.tables["Importance; chance alone: ± 0.98"]
    assert table[1:] == [["lambda_z", "-1.00"], ["p_z", "-0.50"]]


def test_an_unfinished_run_says_so(tmp_path):
    folder = put(tmp_path / "a", result=False, records=records_of()[:1])
    page = page_of(folder)
    assert_sound(page)
    assert "This run is unfinished: 100 of 200 steps are done." in page.text
    assert "The network after the last round" not in page.tables
    assert "The schedule by round" in page.tables


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_result_of_other_rounds_than_are_there_is_none(tmp_path, rounds):
    page = page_of(put(tmp_path / "a", result=result_of(rounds=rounds)))
    assert "This run is unfinished: 200 of 200 steps are done." in page.text


def test_the_recall_of_none_of_many_is_not_certain(tmp_path):
    none = result_of(
        recall={"happy": 0.0, "sad": None}, confusion_matrix=[[0, 55], [0, 0]]
    )
    page = page_of(put(tmp_path / "a", result=none))
    # Wilson: 1.96^2 / (55 + 1.96^2) = 6.53 %.
    assert page.tables["Recall by class"][1:] == [
        ["happy", "55", "0.00 [0.00, 6.53]"],
        ["sad", "0", "–"],
    ]


@pytest.mark.parametrize(
    ("objective", "told"),
    [
        ("accuracy", "more is better: validation accuracy, from 0 to 1, less kappa"),
        ("cross_entropy", "more is better: minus the validation cross-entropy, less"),
    ],
)
def test_the_score_is_explained_by_the_objective(tmp_path, objective, told):
    page = page_of(put(tmp_path / "a", config=config_of(objective=objective)))
    assert told in page.text and "(eq. 11" in page.text


def test_the_rounds_named_for_the_fidelity_are_of_the_run(tmp_path):
    for number, rounds in ((1, "1"), (3, "1,3"), (30, "1,10")):
        record = records_of()[0]
        records = [record | {"round": n} for n in range(1, number + 1)]
        folder = put(tmp_path / str(number), records=records, result=False)
        assert f"--config.fidelity.rounds={rounds} measures" in page_of(folder).text


def test_the_untuned_neighbour_stands_beside_it(tmp_path):
    other = result_of(test_accuracy=0.6, original_steps=200, surrogate_steps=0)
    put(tmp_path / "untuned", result=other, config=config_of(tune=[]))
    page = page_of(put(tmp_path / "tuned"))
    [row] = [
        row
        for row in page.tables["The network after the last round"]
        if row[0] == "test accuracy [%]"
    ]
    assert row == ["test accuracy [%]", "70.00 ± 4.58", "60.00 ± 4.90", "+10.00"]
    assert "+10.00 points" in page.text
    cost = page.column("What it took", "untuned")
    assert cost["cost in trainings of the network"] == "1"


def test_a_run_that_ended_early_says_why(tmp_path):
    ended = put(tmp_path / "a", result=result_of(stopped="time_budget"))
    assert "The run ended early: time budget." in page_of(ended).text
    whole = put(tmp_path / "b", result=result_of(stopped="max_iterations"))
    assert "ended early" not in page_of(whole).text


def test_the_test_error_stands_beside_the_test_accuracy_alone(tmp_path):
    page = page_of(put(tmp_path / "a"))
    assert "70.00 ± 4.58 % test accuracy 65.00 % validation accuracy" in page.text


def test_a_cost_is_in_trainings_of_as_many_steps_as_were_done(tmp_path):
    page = page_of(put(tmp_path / "a", config=config_of(max_iterations=400)))
    cost = page.column("What it took", "this run")
    assert cost["cost in trainings of the network"] == "2.5"
    assert "after 200 steps (max_iterations is 400)." in page.text


@pytest.mark.parametrize(
    ("best", "rounds"), [({"round": 1}, ["1"]), ({}, []), (None, [])]
)
def test_the_best_round_is_named_where_it_is_known(tmp_path, best, rounds):
    page = page_of(put(tmp_path / "a", result=result_of(best_round=best)))
    assert re.findall(r"Validation was best after round (.*?)\.", page.text) == rounds


def test_what_one_of_two_results_lacks_is_not_compared(tmp_path):
    """Older versions knew no mean recall."""
    put(tmp_path / "untuned", config=config_of(tune=[]))
    page = page_of(put(tmp_path / "tuned", result=result_of(balanced_accuracy=0.71)))
    names = [row[0] for row in page.tables["The network after the last round"][1:]]
    assert names == [
        *("test accuracy [%]", "validation accuracy [%]", "training accuracy [%]"),
        "macro-F1 on test [%]",
    ]


def following(*hypers):
    """Records of an untuned run's rounds with these hyper-parameters."""
    both = zip(records_of(tuned=False), hypers, strict=True)
    return [record | {"hyper": hyper} for record, hyper in both]


@pytest.mark.parametrize(
    ("hypers", "told"),
    [
        (
            [{"lambda_z": 0.0, "p_z": 0.5}, {"lambda_z": 2e-5, "p_z": 0.25}],
            "lambda_z from 0 to 2e-05; p_z from 0.5 to 0.25",
        ),
        (
            [{"lambda_z": 0.0, "p_z": 0.5}, {"lambda_z": 0.0, "p_z": 0.0}],
            "p_z from 0.5 to 0",
        ),
        ([{"lambda_z": 0.0, "p_z": 0.0}] * 2, "all hyper-parameters are 0"),
    ],
)
def test_the_schedule_is_told_in_words(tmp_path, hypers, told):
    folder = put(tmp_path / "a", records=following(*hypers))
    assert f"Hyper-parameters over 2 rounds: {told}" in page_of(folder).figures


def test_the_accuracy_by_round_is_told_in_words(tmp_path):
    page = page_of(put(tmp_path / "a"))
    assert (
        "Validation accuracy over 2 rounds: 55.00 % after the first, 60.00 % after the "
        "last; test accuracy 70.00 %"
    ) in page.figures


def test_the_fidelity_is_there_in_numbers(tmp_path):
    tau = {
        "cross_entropy": {"value": 0.5, "low": 0.25, "high": 0.75},
        "ceiling_cross_entropy": {"value": 0.9, "low": 0.8, "high": 0.95},
        "score": {"value": 0.4, "low": None, "high": None},
        "ceiling_accuracy": {"value": None, "low": None, "high": None},
    }
    regret = {"accuracy": {"surrogate": 0.01, "random": 0.03}}
    first, second = records_of()
    second["fidelity"] = {"tau": tau, "regret": regret}
    page = page_of(put(tmp_path / "a", records=[first, second]))
    head, *rows = page.tables["Fidelity of the surrogate, with 95 % intervals"]
    assert head == [
        *("round", "tau, cross-entropy", "the network with itself"),
        *("tau, score to accuracy", "the network with itself"),
        "regret of the surrogate's choice [points]",
        "of a random choice [points]",
    ]
    assert rows == [
        ["2", "0.50 [0.25, 0.75]", "0.90 [0.80, 0.95]", "0.40", "–", "1.00", "3.00"]
    ]
    assert "was not measured" not in page.text
