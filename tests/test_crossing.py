"""Cross-database evaluation: three rows, the fixed one trained once."""

import json

import pytest

from configs import cross_database
from surrojax.errors import InputError
from surrojax.run import crossing, sweep
from surrojax.run.crossing import FIXED, FIXED_WITH_FOLD, TUNED, compare

TRAINED = {"validation_accuracy": 0.0, "train_accuracy": 0.0, "seconds": 1.0}


def a_result(right):
    return TRAINED | {
        "test_accuracy": right / 10,
        "test_frame_accuracy": right / 10,
        "confusion_matrix": [[right, 10 - right], [0, 0]],
        "recall": {"happy": right / 10, "sad": None},
    }


@pytest.fixture
def called(monkeypatch):
    trained, tested = [], []

    def train(config, folder, command, quiet):
        trained.append((config.copy_and_resolve_references(), folder))
        if config.tune:
            return a_result(8)
        if config.dataset.train_on_target_fold:
            if config.dataset.fold == 4:
                raise InputError("unlucky")
            return a_result(7)
        return a_result(0)  # its own fold's figure, which the table takes from tests

    def retest(config, folder):
        tested.append((config.dataset.fold, folder))
        return a_result(5)

    monkeypatch.setattr(sweep, "train", train)
    monkeypatch.setattr(crossing, "retest", retest)
    return trained, tested


def test_replicas_are_refused_before_anything_is_trained(called, tmp_path):
    config = cross_database.get_config()
    config.replicas = 2
    with pytest.raises(InputError, match=r"config\.replicas: 2; .* takes 1"):
        compare(config, str(tmp_path))
    assert not called[0]


@pytest.mark.parametrize(("field", "value"), [("replay", "runs/a"), ("tune", ())])
def test_what_tunes_nothing_is_refused_before_anything_is_trained(
    called, tmp_path, field, value
):
    config = cross_database.get_config()
    config[field] = value
    with pytest.raises(InputError, match=rf"config\.{field}: .* tunes nothing"):
        compare(config, str(tmp_path))
    assert not called[0]


def test_only_a_fold_that_is_neither_trained_nor_tested_on_stops(called, tmp_path):
    config = cross_database.get_config()
    config.early_stop = 5
    compare(config, str(tmp_path))
    stops = [config.early_stop for config, _ in called[0]]
    assert stops == [5] * 10 + [0] * 11


def test_three_rows_of_ten_tests_each(called, tmp_path, capsys):
    trained, tested = called
    outcomes = compare(cross_database.get_config(), str(tmp_path))
    assert len(outcomes) == len(trained) == 10 + 1 + 10
    tuned, fixed, with_fold = trained[:10], trained[10], trained[11:]
    assert [config.dataset.fold for config, _ in tuned] == list(range(10))
    assert [config.dataset.fold for config, _ in with_fold] == list(range(10))
    for config, _ in tuned:
        assert config.tune and not config.dataset.train_on_target_fold
    for config, _ in (fixed, *with_fold):
        assert config.tune == ()
        assert config.fixed.p_z == config.fixed.p_W == 0.5
        assert config.fixed.lambda_z == config.fixed.lambda_W == 1e-5
    assert not fixed[0].dataset.train_on_target_fold
    # The network that sees nothing of the target is trained once, tested ten times.
    assert [fold for fold, _ in tested] == list(range(10))
    assert {folder for _, folder in tested} == {fixed[1]}
    pooled = json.loads((tmp_path / "cross_database.json").read_text())
    means = {row: (of["mean"], of["runs"]) for row, of in pooled.items()}
    assert means == {
        TUNED: (pytest.approx(0.8), 10),
        FIXED: (pytest.approx(0.5), 10),
        FIXED_WITH_FOLD: (pytest.approx(0.7), 9),
    }
    out = capsys.readouterr().out
    assert "failed: unlucky" in out
    for row, percent in (
        (TUNED, "80.00"),
        (FIXED, "50.00"),
        (FIXED_WITH_FOLD, "70.00"),
    ):
        [line] = [
            x for x in out.splitlines() if x.startswith(f"{row} ") and "%" not in x
        ]
        assert percent in line


def test_a_network_with_one_fc_layer_has_its_own_fixed_setting(called, tmp_path):
    config = cross_database.get_config()
    config.network = "resnet20"
    compare(config, str(tmp_path))
    fixed = called[0][10][0].fixed
    assert (fixed.p_z, fixed.p_V, fixed.p_x, fixed.lambda_W) == (0.5, 0.5, 0.0, 0.0)


def test_a_dry_run_prints_every_command_and_runs_nothing(called, tmp_path, capsys):
    command = ["launch.py", "--config=configs/cross_database.py", "--dry_run"]
    compare(cross_database.get_config(), str(tmp_path), command, dry_run=True)
    assert called == ([], [])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert all("--config.dataset.fold=" in line for line in lines)
    assert sum("--config.dataset.train_on_target_fold=True" in x for x in lines) == 10
