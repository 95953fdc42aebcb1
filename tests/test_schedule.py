"""Schedules by step and in files, and runs that replay one."""

import csv
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
from conftest import assert_same
from flax.traverse_util import flatten_dict

from surrojax import InputError, Schedule, read_schedule, write_schedule
from surrojax.experiment import restore, train
from surrojax.run.setup import Setup

pytestmark = pytest.mark.usefixtures("undrawn")

ENDS = np.array([10, 25])
VALUES = np.array([[0.1, 1e-5], [1 / 3, 0.0]])
NAMES = ("p_z", "lambda_V")
SCHEDULE = Schedule(NAMES, ENDS, VALUES)


@pytest.mark.parametrize(
    ("step", "row"), [(0, 0), (9, 0), (10, 1), (24, 1), (25, 1), (10_000, 1)]
)
def test_a_round_ends_after_its_last_step(step, row):
    np.testing.assert_allclose(SCHEDULE.at(step), VALUES[row], rtol=1e-6)
    expected = dict(zip(NAMES, VALUES[row].tolist(), strict=True))
    assert SCHEDULE.setting(step) == pytest.approx(expected)


def test_callables_under_jit():
    functions = SCHEDULE.callables()
    assert list(functions) == list(NAMES)
    steps = jnp.array([0, 9, 10, 99])
    for column, name in enumerate(NAMES):
        expected = VALUES[[0, 0, 1, 1], column]
        np.testing.assert_allclose(jax.jit(functions[name])(steps), expected, 1e-6)
        assert functions[name](10).shape == ()


@pytest.mark.parametrize(
    ("steps", "ends"), [(50, [20, 50]), (54, [20, 50]), (14, [4, 10]), (5, [2, 5])]
)
def test_stretched_its_rounds_keep_their_shares(steps, ends):
    """Of 10 and 15 steps, they are two and three fifths: whole steps each."""
    longer = SCHEDULE.stretched(steps)
    assert longer.ends.tolist() == ends
    assert longer.names == NAMES and longer.values is VALUES


@pytest.mark.parametrize("steps", [4, 0, -10, 7.5, math.nan, "50", None])
def test_what_no_schedule_can_be_stretched_to_is_said(steps):
    with pytest.raises(InputError, match="^schedule: .* a whole number, 5 or more$"):
        SCHEDULE.stretched(steps)


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_files_hold_every_bit(tmp_path, suffix):
    rng = np.random.default_rng(0)
    values = rng.random((7, 2)) * [1, 1e-12]
    schedule = Schedule(NAMES, np.arange(1, 8) * 3, values)
    file = tmp_path / f"s{suffix}"
    write_schedule(schedule, file)
    again = read_schedule(file)
    assert again.names == NAMES and again.ends.tolist() == [3, 6, 9, 12, 15, 18, 21]
    assert again.values.tobytes() == values.tobytes()
    assert list(again.frame.columns) == ["step", *NAMES]


def test_a_network_s_own_order_with_0_for_what_is_not_there():
    own = SCHEDULE.ordered(("lambda_z", "lambda_V", "p_z", "p_V"))
    zero = [0.0, 0.0]
    expected = np.array([zero, VALUES[:, 1], VALUES[:, 0], zero]).T
    np.testing.assert_array_equal(own.values, expected)
    idle = Schedule(("p_z", "p_x"), ENDS, VALUES * [1, 0])
    assert idle.ordered(("p_z",)).values.tolist() == [[0.1], [1 / 3]]
    with pytest.raises(InputError, match="schedule: lambda_V is none of this network"):
        SCHEDULE.ordered(("p_z",))


@pytest.mark.parametrize(
    ("names", "ends", "values", "message"),
    [
        (NAMES, [10], VALUES, r"\(2, 2\) values for 1 rounds"),
        (NAMES, [], np.zeros((0, 2)), "a row of values for each round"),
        (
            ("p_z", "p_y"),
            ENDS,
            VALUES,
            r"schedule: p_y \(did .*: only hyper-parameters",
        ),
        (("p_z", "p_z"), ENDS, VALUES, "each once"),
        (NAMES, [10, 10], VALUES, "steps must grow"),
        (NAMES, [0, 10], VALUES, "steps must grow"),
        (NAMES, ENDS, VALUES + [[0, 0], [0.7, 0]], "round 2: p_z = 1.03"),
        (NAMES, ENDS, VALUES - [[0, 1], [0, 0]], "round 1: lambda_V = -0.99"),
        (NAMES, ENDS, VALUES * np.nan, "round 1: p_z = nan"),
    ],
)
def test_an_impossible_schedule_is_refused(names, ends, values, message):
    with pytest.raises(InputError, match=message):
        Schedule(names, np.array(ends, int), np.array(values))


def test_a_schedule_is_printed_in_a_line():
    changing = Schedule(
        ("p_z", "lambda_z", "p_x"), [2, 4], [[0.5, 0, 0.1], [0.3, 0, 0.1]]
    )
    nothing = Schedule(("p_z",), [2], [[0.0]])
    assert repr(changing) == "Schedule(2 rounds, 4 steps; p_z=0.3 to 0.5, p_x=0.1)"
    assert repr(nothing) == "Schedule(1 round, 2 steps; no regularisation)"


def test_lists_make_a_schedule():
    made = Schedule(NAMES, [10, 20], VALUES.tolist())
    np.testing.assert_array_equal(made.values, VALUES)
    for ends in ([10.5, 20], [math.nan, 20], [[10, 20]]):
        with pytest.raises(InputError, match="wanted are the whole numbers"):
            Schedule(NAMES, ends, VALUES)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.csv", None, "s.csv: there is no such folder or file; name a run's"),
        ("s.csv", "", "s.csv: holds no rows"),
        ("s.json", "{}", "s.json: holds no rows"),
        ("s.json", "[", "s.json: cannot be read"),
        ("s.csv", "step,p_z\n10,0.1\n20,\n", "s.csv, row 2: p_z is missing"),
        ("s.csv", "step,p_z\n10,abc\n", "row 1: p_z is 'abc', which is no number"),
        ("s.csv", "step;p_z\n10;0,1\n", "with commas between its columns"),
        ("s.csv", "step,lamda_z\n10,0\n", "lamda_z .did you mean 'lambda_z'[?].: only"),
        ("s.json", '[{"step": 1e300, "p_z": 0.1}]', "s.json: schedule: ends of type"),
        ("s.csv", "step,p_z,p_x\n10,0.1\n", "row 1: p_x is missing"),
        ("s.csv", "step,p_z\n10,0.1,7\n", "s.csv, row 1: has a cell too many"),
        ("s.csv", "round,step\n1,10\n", "s.csv: has no hyper-parameter"),
        ("s.json", '[{"step": 1e400, "p_z": 0.1}]', "s.json, row 1: "),
        ("s.csv", "round,p_z\n1,0.1\n", "row 1: step is missing"),
        ("s.csv", "step,p_z\n10.5,0.1\n", "row 1: step is '10.5', no whole number"),
        ("s.csv", "step\tp_z\n10\t0.1\n", "with commas between its columns"),
        ("s.csv", "step,p_z,p_z\n10,0.1,0.2\n", "column p_z is there twice"),
        ("s.csv", "step,p_z\n10,0.1\n10,0.2\n", "schedule, round 2: ends with step 10"),
        (
            "s.json",
            '[{"step": 10, "p_z": 0.1}, {"step": 20, "p_z": 0.1, "p_x": 0.2}]',
            "row 2: has p_x, which the first row lacks",
        ),
        ("s.csv", "step,p_z\n10,1.5\n", r"s.csv: schedule, round 1: p_z = 1.5"),
        ("s.txt", "", "s.txt: a schedule is a run's folder, a .csv or a .json"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_schedule(tmp_path / name)


def test_a_file_of_a_spreadsheet(tmp_path):
    """Which marks its encoding and writes whole numbers with a point."""
    file = tmp_path / "s.csv"
    file.write_bytes(b"\xef\xbb\xbfstep,p_z,,\r\n10.0,0.25,,\r\n20.0,0.5,,\r\n")
    found = read_schedule(file)
    assert found.ends.tolist() == [10, 20]
    assert found.values.tolist() == [[0.25], [0.5]]


def test_a_run_without_a_round_has_none(tmp_path):
    with pytest.raises(InputError, match="has done no round yet"):
        Schedule.of([])
    with pytest.raises(InputError, match="schedule.csv: there is no such"):
        read_schedule(tmp_path)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield small_run.make(monkeypatch, tmp_path_factory.mktemp("replay"))


def replayed(root, folder, **changes):
    given = {"replay": str(root / "run")} | changes
    train(small_run.config_of(root / "images", **given), folder, quiet=True)
    return restore(folder)[1]


def params_of(state):
    return flatten_dict(state.fusion.original.params, sep=".")


def test_a_replay_trains_the_same_network(root, tmp_path):
    searched = params_of(restore(root / "run")[1])
    again = params_of(replayed(root, tmp_path / "again"))
    assert set(again) == set(searched)
    for name, array in searched.items():
        np.testing.assert_allclose(again[name], array, rtol=1e-3, atol=1e-5)
    with (
        (tmp_path / "again/schedule.csv").open() as a,
        (root / "run/schedule.csv").open() as b,
    ):
        for mine, theirs in zip(csv.DictReader(a), csv.DictReader(b), strict=True):
            for name in theirs:
                assert float(mine[name]) == pytest.approx(float(theirs[name]))
    other = params_of(replayed(root, tmp_path / "other", seed=1))
    assert np.abs(other["head.V"] - searched["head.V"]).max() > 1e-2


def test_a_replay_goes_on_with_its_own_schedule_alone(root, tmp_path):
    short = replayed(root, tmp_path / "a", max_iterations=6)
    assert int(short.round) == 2
    copy = tmp_path / "moved.json"
    write_schedule(read_schedule(root / "run"), copy)
    whole = replayed(root, tmp_path / "a", replay=str(copy))
    assert_same(params_of(whole), params_of(replayed(root, tmp_path / "b")))
    schedule = read_schedule(copy)
    write_schedule(Schedule(schedule.names, schedule.ends, schedule.values / 2), copy)
    with pytest.raises(InputError, match="another configuration.*schedule"):
        replayed(root, tmp_path / "a", replay=str(copy))


def test_a_replay_of_another_length_says_what_would_stretch_it(root, tmp_path, capsys):
    told = {}
    for steps in (6, 9):
        config = small_run.config_of(
            root / "images", replay=str(root / "run"), max_iterations=steps
        )
        train(config, tmp_path / str(steps))
        lines = capsys.readouterr().out.splitlines()
        told[steps] = [line for line in lines if "the schedule is of" in line]
    assert told[9] == []
    [line] = told[6]
    assert line.startswith("mind: the schedule is of 9 steps, and 6 are trained here; ")
    assert "surrojax.export RUN schedule.json --steps=6 writes" in line


def test_what_is_fixed_otherwise_than_a_replay_has_it_is_told(root, tmp_path, capsys):
    schedule = read_schedule(root / "run")
    changing = Schedule(schedule.names, schedule.ends, 0 * schedule.values + 0.3)
    changing.values[1:] = 0.5
    changing.values[:, 0] = 1e-9
    write_schedule(changing, tmp_path / "held.json")
    told = {}
    for fixed in ({"lambda_z": 1e-9}, {"lambda_z": 9e-9}, {"p_V": 0.3}, {"p_V": 0.4}):
        changes = {f"fixed.{name}": value for name, value in fixed.items()}
        config = small_run.config_of(
            root / "images", replay=str(tmp_path / "held.json"), **changes
        )
        Setup.of(config).say_opening(False)
        out = capsys.readouterr().out
        told[str(fixed)] = [line for line in out.splitlines() if "no effect" in line]
    told = list(told.values())
    assert told[0] == []
    assert told[1] == [
        "mind: config.fixed.lambda_z: 9e-09 has no effect, because the schedule of "
        "config.replay has lambda_z = 1e-09"
    ]
    assert told[2][0].endswith("p_V = 0.5") and told[3][0].endswith("p_V = 0.3")


@pytest.mark.parametrize(
    ("values", "plan", "within"),
    [
        ([[0.1], [0.2]], [1000, 1500], None),  # the last values go on
        ([[0.1], [0.1]], [1500, 1500], None),  # and those that stay the same
        ([[0.1], [0.2]], [500, 500, 1000], None),
        ([[0.1], [0.2]], [1500, 500], 1000),
    ],
)
def test_values_must_not_change_within_a_round(values, plan, within):
    schedule = Schedule(("p_z",), [1000, 2000], values)
    if within is None:
        schedule.check(plan)
        return
    with pytest.raises(InputError, match=f"its values change after step {within}"):
        schedule.check(plan)


def test_a_schedule_of_other_rounds_is_refused(root, tmp_path):
    with pytest.raises(InputError, match="config.replay: its values change after"):
        replayed(root, tmp_path / "a", iterations_per_round=4, max_iterations=8)


def test_a_schedule_of_another_network_is_refused(root, tmp_path):
    """ResNet20 has one fully connected layer: neither x nor W."""
    config = small_run.config_of(root / "images", replay=str(root / "run"))
    config.network = "resnet20"
    with pytest.MonkeyPatch.context() as monkeypatch:
        from surrojax import networks, settings

        pair = networks.make_pair("resnet20", 7, "matmul", 0, 0)
        monkeypatch.setattr(settings, "make_pair", lambda config, classes: pair)
        with pytest.raises(InputError, match="config.replay: lambda_x is none of this"):
            train(config, tmp_path / "r", quiet=True)
