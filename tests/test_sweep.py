"""Sweeps: the product of fields, a folder a point, a table, failures survived."""

import json
import re

import pytest

from configs import common
from surrojax.errors import InputError
from surrojax.run import pooling, sweep
from surrojax.run.sweep import name_of, points, run_sweep, table

RESULT = {
    "test_accuracy": 0.5,
    "validation_accuracy": 0.6,
    "train_accuracy": 0.7,
    "original_steps": 10,
    "surrogate_steps": 20,
    "seconds": 30.0,
}


def test_a_sweep_is_the_product_of_its_fields():
    found = points(
        common.get_config(), ["search.optimizer=pso,de", "seed=0,1,2", "kappa=1,2e-3"]
    )
    assert len(found) == 12
    assert found[0] == {"search.optimizer": "pso", "seed": 0, "kappa": 1.0}
    assert found[-1] == {"search.optimizer": "de", "seed": 2, "kappa": 2e-3}


def test_values_have_the_type_of_their_field():
    [point] = points(common.get_config(), ["common_random_numbers=False"])
    assert point == {"common_random_numbers": False}
    [point] = points(common.get_config(), ["init_from=/data/fer"])
    assert point == {"init_from": "/data/fer"}


def test_a_tuple_is_one_value():
    found = points(common.get_config(), ["tune=(),(p_z,p_x),('lambda_x',)"])
    assert [p["tune"] for p in found] == [(), ("p_z", "p_x"), ("lambda_x",)]
    found = points(common.get_config(), ["search.bounds.ratio=(0.1,0.5),(0.2,0.6)"])
    assert [p["search.bounds.ratio"] for p in found] == [(0.1, 0.5), (0.2, 0.6)]


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        (["seeed=1"], "no field 'seeed' .did you mean 'seed'"),
        (["seed"], "wants FIELD=A,B"),
        (["seed="], "wants FIELD=A,B"),
        (["seed=1", "seed=2"], "each field once"),
        (["seed=a"], "'a' is no int"),
        (["seed=1.5"], "'1.5' is no int"),
        (["search=1"], "no field 'search'"),
        (["tune=(p_q)"], "config.tune: 'p_q' is none of"),
        (["seed=0,00"], "two points would share the folder seed=0"),
        (["init_from=/a/b,_a_b"], "two points would share the folder"),
        (["search.optimizer=pso,sgd"], "config.search.optimizer: 'sgd' is unknown"),
        (
            ["seed=0,1", "search.de.F=0.1,0.2"],
            "--sweep=search.de.F=...: has no effect, because config.search.optimizer "
            "is 'pso', not 'de'",
        ),
    ],
)
def test_a_bad_specification_is_named_before_anything_runs(specification, message):
    with pytest.raises(InputError, match=message):
        points(common.get_config(), specification)


def test_folders_have_plain_names():
    assert (
        name_of({"search.optimizer": "de", "seed": 1}) == "search.optimizer=de,seed=1"
    )
    assert name_of({"tune": ()}) == "tune=none"
    assert name_of({"tune": ("p_z", "p_x")}) == "tune=p_z+p_x"
    assert "/" not in name_of({"dataset.dir": "/a/b"})


def test_a_failed_point_does_not_stop_the_others(monkeypatch, tmp_path, capsys):
    def train(config, folder, command, quiet):
        folder.mkdir(parents=True)
        if config.seed == 1:
            raise InputError("seed 1 is unlucky")
        return RESULT | {"test_accuracy": 0.5 + 0.1 * config.seed}

    monkeypatch.setattr(sweep, "train", train)
    outcomes = run_sweep(common.get_config(), str(tmp_path), ["seed=0,1,2"])
    assert [isinstance(result, dict) for _, result in outcomes] == [True, False, True]
    out = capsys.readouterr().out
    assert "failed: seed 1 is unlucky" in out
    assert "== 2/3 " in out
    # 30 seconds each of those that did not fail.
    assert "test 50.00 %, validation 60.00 %, training 70.00 %, 30 s; about 60 s" in out
    *_, last, mean, page = out.splitlines()
    assert last.split() == ["seed=2", "70.00", "60.00", "70.00", "0.5"]
    assert mean.startswith("mean of 2  60.00 ± 10.00")
    assert page == f"report: {tmp_path}/report.html"
    rows = (tmp_path / "sweep.csv").read_text().splitlines()
    assert rows[0].startswith("seed,test_accuracy,")
    assert rows[2] == "1,failed"
    assert rows[3] == "2,0.7,0.6,0.7,10,20,30.0"


def test_the_time_left_is_told_once_a_point_like_those_to_come_is_done(
    monkeypatch, tmp_path, capsys
):
    def train(config, folder, command, quiet):
        return RESULT | {"seconds": 80.0 if config.tune else 10.0}

    monkeypatch.setattr(sweep, "train", train)
    for number, (specification, told) in enumerate(
        [
            ("tune=(),(p_z,),(p_x,)", ["", "about 80 s", ""]),
            ("kappa=0.0,1e-5", ["about 80 s", ""]),
            ("max_iterations=1000,2000", ["", ""]),
        ]
    ):
        run_sweep(common.get_config(), str(tmp_path / str(number)), [specification])
        lines = capsys.readouterr().out.splitlines()
        ends = [line for line in lines if line.startswith("   test ")]
        assert [re.findall("about \\d+ s", line) for line in ends] == [
            [text] if text else [] for text in told
        ]


def test_a_failed_point_is_told_with_the_command_that_runs_it(
    monkeypatch, tmp_path, capsys
):
    def train(config, folder, command, quiet):
        if config.seed:
            raise InputError("unlucky")
        return RESULT

    monkeypatch.setattr(sweep, "train", train)
    command = [
        "launch.py",
        "--config=c.py",
        f"--workdir={tmp_path}",
        "--sweep=seed=0,1",
    ]
    outcomes = run_sweep(common.get_config(), str(tmp_path), ["seed=0,1"], command)
    capsys.readouterr()
    sweep.say_failed(outcomes)
    assert capsys.readouterr().out.splitlines() == [
        "failed: seed=1: unlucky",
        "  to run it again: python launch.py --config=c.py --config.seed=1 "
        f"--workdir={tmp_path}/seed=1",
    ]


def test_replicas_that_failed_are_run_again_together(monkeypatch, tmp_path, capsys):
    def train(config, folder, command, quiet):
        if config.kappa:
            raise InputError("no data")
        return {0: RESULT, 1: InputError("diverged"), 2: InputError("diverged")}

    monkeypatch.setattr(sweep.replicas, "train", train)
    config = common.get_config()
    config.replicas = 3
    outcomes = run_sweep(config, str(tmp_path), ["kappa=1.0,0.0"], ["launch.py"])
    assert (tmp_path / "sweep.csv").read_text().splitlines() == [
        "kappa,seed,test_accuracy,validation_accuracy,train_accuracy,"
        "original_steps,surrogate_steps,seconds",
        *("1.0,,failed", "0.0,0,0.5,0.6,0.7,10,20,30.0", "0.0,1,failed"),
        "0.0,2,failed",
    ]
    capsys.readouterr()
    sweep.say_failed(outcomes)
    out = capsys.readouterr().out
    assert out.count("to run it again:") == 2 and out.count("failed: ") == 3
    assert f"--config.kappa=0.0 --workdir={tmp_path}/kappa=0.0\n" in out


def test_ctrl_c_leaves_the_finished_points_with_a_table(monkeypatch, tmp_path, capsys):
    def train(config, folder, command, quiet):
        if config.seed == stops_at:
            raise KeyboardInterrupt
        return RESULT | {"test_accuracy": 0.5 + 0.1 * config.seed}

    monkeypatch.setattr(sweep, "train", train)
    stops_at = 2
    with pytest.raises(KeyboardInterrupt):
        run_sweep(common.get_config(), str(tmp_path), ["seed=0,1,2"])
    _, table_ = capsys.readouterr().out.split("2 runs had ended:\n")
    _, *runs, mean = table_.splitlines()
    assert [line.split()[1] for line in runs] == ["50.00", "60.00"]
    assert mean.startswith("mean of 2  55.00")
    before = (tmp_path / "sweep.csv").read_text()
    assert [line.split(",")[0] for line in before.splitlines()] == ["seed", "0", "1"]
    # A call that came less far leaves the longer table alone.
    stops_at = 1
    with pytest.raises(KeyboardInterrupt):
        run_sweep(common.get_config(), str(tmp_path), ["seed=0,1,2"])
    assert (tmp_path / "sweep.csv").read_text() == before


def test_a_dry_run_prints_the_command_of_each_point(tmp_path, capsys):
    command = [
        "launch.py",
        "--config=configs/demo.py",
        "--sweep=tune=(),(p_z,p_x)",
        "--workdir=runs",
        "--dry_run",
    ]
    run_sweep(
        common.get_config(), str(tmp_path), ["tune=(),(p_z,p_x)"], command, dry_run=True
    )
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "python launch.py --config=configs/demo.py '--config.tune=()' "
        f"--workdir={tmp_path}/tune=none"
    )
    assert " --config.tune=p_z,p_x " in second
    assert not list(tmp_path.iterdir())


def test_a_dry_run_understands_flags_whose_value_is_a_word_of_its_own(tmp_path, capsys):
    command = ["launch.py", "--config", "c.py", "--workdir", "w", "-sweep", "seed=1"]
    run_sweep(common.get_config(), str(tmp_path), ["seed=1"], command, dry_run=True)
    assert capsys.readouterr().out.strip() == (
        f"python launch.py --config c.py --config.seed=1 --workdir={tmp_path}/seed=1"
    )


def test_a_sweep_that_fails_at_every_point_still_has_its_table(
    monkeypatch, tmp_path, capsys
):
    def train(config, folder, command, quiet):
        raise InputError("no data")

    monkeypatch.setattr(sweep, "train", train)
    run_sweep(common.get_config(), str(tmp_path / "new"), ["seed=0,1"])
    assert "seed=1  failed" in capsys.readouterr().out
    assert (tmp_path / "new/sweep.csv").exists()


def test_the_gain_is_over_the_first_point():
    worse = RESULT | {"test_accuracy": 0.4}
    text = table([({"kappa": 0.0}, RESULT), ({"kappa": 1.0}, worse)])
    gains = [line.split()[4] for line in text.splitlines()[1:]]
    assert gains == ["+0.00", "-10.00"]


def test_seeds_have_a_mean_and_no_gain_over_each_other():
    def of(*accuracies, **rest):
        return [
            (rest | {"seed": seed}, RESULT | {"test_accuracy": accuracy})
            for seed, accuracy in enumerate(accuracies)
        ]

    def lines(outcomes):
        return [re.split(r"\s{2,}", line) for line in table(outcomes).splitlines()]

    _, first, second, mean = lines(of(0.5, 0.6))
    assert first == ["seed=0", "50.00", "60.00", "70.00", "0.5"]
    assert second[:2] == ["seed=1", "60.00"] and len(second) == 5
    assert mean[:2] == ["mean of 2", "55.00 ± 5.00"] and mean[-1] == "1.0"
    other = of(0.5, 0.7, kappa=1.0)
    failed = ({"kappa": 1.0, "seed": 2}, InputError("no"))
    *_, base, better = lines([*of(0.5, 0.6, kappa=0.0), *other, failed])
    assert base[:2] == ["kappa=0.0, mean of 2", "55.00 ± 5.00"] and len(base) == 5
    # Paired by seed: 0.00 and 10.00.
    assert better[:2] == ["kappa=1.0, mean of 2", "60.00 ± 10.00"]
    assert better[4] == "+5.00 ± 5.00"


def test_folds_are_pooled_beside_the_table(monkeypatch, tmp_path, capsys):
    """Two folds of three samples, by hand."""
    confusions = {0: [[2, 0], [1, 0]], 1: [[1, 1], [0, 1]]}

    def train(config, folder, command, quiet):
        confusion = confusions[config.dataset.fold]
        return RESULT | {
            "test_accuracy": sum(confusion[i][i] for i in range(2)) / 3,
            "test_frame_accuracy": 0.5 + 0.1 * config.dataset.fold,
            "confusion_matrix": confusion,
            "recall": {"happy": 0, "sad": 0},
        }

    monkeypatch.setattr(sweep, "train", train)
    run_sweep(common.get_config(), str(tmp_path), ["seed=3", "dataset.fold=0,1"])
    [(name, pooled)] = json.loads((tmp_path / "folds.json").read_text()).items()
    assert name == "seed=3" and pooled["runs"] == 2
    assert pooled["confusion_matrix"] == [[3, 1], [1, 1]]
    assert pooled["pooled_accuracy"] == pytest.approx(4 / 6)
    assert pooled["mean"] == pytest.approx(2 / 3) and pooled["sd"] == 0
    assert pooled["frame_accuracy"] == pytest.approx(0.55)
    assert pooled["recall"] == {"happy": 0.75, "sad": 0.5}
    # Precision 3/4 and 1/2 are the recalls, so F1 is as well.
    assert pooled["macro_f1"] == pytest.approx(0.625)
    out = capsys.readouterr().out
    assert "66.67  0.00     66.67     55.00       62.50" in out
    assert "rows are labels, columns predictions" in out


def test_folds_of_several_sizes_count_by_their_samples():
    """The deviation is that of a sample, with n - 1."""
    results = [
        {
            "test_accuracy": accuracy,
            "test_frame_accuracy": accuracy,
            "confusion_matrix": confusion,
            "recall": {"happy": 0, "sad": 0},
        }
        for accuracy, confusion in (
            (2 / 3, [[2, 0], [1, 0]]),
            (1 / 4, [[0, 3], [0, 1]]),
        )
    ]
    pooled = pooling.pool(results)
    assert pooled["pooled_accuracy"] == pytest.approx(3 / 7)
    assert pooled["mean"] == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert pooled["sd"] == pytest.approx((2 / 3 - 1 / 4) / 2**0.5)


def test_a_failed_fold_is_not_pooled(monkeypatch, tmp_path):
    def train(config, folder, command, quiet):
        if config.dataset.fold:
            raise InputError("no")
        return RESULT | {
            "test_frame_accuracy": 0.5,
            "confusion_matrix": [[1, 0], [1, 0]],
            "recall": {"happy": 0, "sad": 0},
        }

    monkeypatch.setattr(sweep, "train", train)
    run_sweep(common.get_config(), str(tmp_path), ["dataset.fold=0,1"])
    pooled = json.loads((tmp_path / "folds.json").read_text())["all"]
    assert pooled["runs"] == 1 and pooled["sd"] is None


def test_a_point_does_not_change_what_the_points_have_in_common():
    """A named bug: nested fields were shared, so a later point kept an earlier's."""
    config = common.get_config()
    changed = sweep.at(config, {"dataset.fold": 3, "dataset.dir": "/a", "seed": 1})
    assert (changed.dataset.fold, changed.dataset.dir, changed.seed) == (3, "/a", 1)
    assert (config.dataset.fold, config.dataset.dir, config.seed) == (0, None, 0)


def test_a_sweep_that_fails_altogether_keeps_the_earlier_table(monkeypatch, tmp_path):
    """A named bug: another configuration in the same folder emptied its tables."""

    def train(config, folder, command, quiet):
        if config.kappa:
            raise InputError("holds a run of another configuration")
        return RESULT

    monkeypatch.setattr(sweep, "train", train)
    config = common.get_config()
    config.kappa = 0.0
    run_sweep(config, str(tmp_path), ["seed=0,1"])
    before = (tmp_path / "sweep.csv").read_text()
    config.kappa = 1.0
    run_sweep(config, str(tmp_path), ["seed=0,1"])
    assert (tmp_path / "sweep.csv").read_text() == before
