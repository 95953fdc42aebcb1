"""A run's folder: what it holds, how it goes on, and what it refuses."""

import csv
import json
import shutil
import struct
from dataclasses import replace
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_same, draw_nothing, of_two_classes, tiny_method
from flax import serialization
from tensorboardX.proto.event_pb2 import Event

import surrojax
from configs import common
from surrojax import experiment, fidelity, settings
from surrojax.algorithm import DivergedError
from surrojax.data import Dataset, Split
from surrojax.errors import InputError
from surrojax.evaluate import predict
from surrojax.experiment import train
from surrojax.networks import Pair
from surrojax.networks.head import Head
from surrojax.run import restoring, rounds, setup
from surrojax.run.checkpoint import Checkpoints
from surrojax.run.keeper import Keeper
from surrojax.run.outcome import Voted
from surrojax.run.outcome import result as outcome_of
from surrojax.run.records import RunFolder
from surrojax.run.setup import Setup, read_weights
from surrojax.sites import HYPER_NAMES
from surrojax.weights import load as weights_in
from surrojax.weights import save

pytestmark = pytest.mark.usefixtures("undrawn")

NAMES = [name for group in HYPER_NAMES for name in group]


class Small(nn.Module):
    """Fast to compile; on FER's seven classes."""

    @nn.compact
    def __call__(self, images, ratio, train):
        z = nn.Dense(4)(images.reshape(images.shape[0], -1))
        return Head(7, hidden=5, name="head")(z, ratio, train)


def split(n, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 6, 6, 1), dtype=np.uint8)
    return Split(images, rng.integers(0, 7, n).astype(np.int32))


@pytest.fixture
def small(monkeypatch):
    return put_small(monkeypatch)


PAIR = Pair(Small(), Small(), shape=(6, 6, 1))
METHODS = {}
NO_METHOD = ("seed", "max_iterations", "time_budget", "early_stop", "fidelity")


def put_small(patch):
    """Small networks and random images in place of LeNet and the drawn faces."""
    parts = (split(50, 0), split(30, 1), split(20, 2))
    dataset = Dataset("faces", tuple("abcdefg"), *parts, manifest={"source": "random"})
    patch.setattr(settings, "make_pair", lambda config, classes: PAIR)
    patch.setattr(settings.data, "load", lambda *_: dataset)
    patch.setattr(setup, "method_of", method_of_once)
    patch.setattr(restoring, "make_method", make_method_once)
    return dataset


def make_method_once(config, *of_data):
    """Runs with the same settings share a method, and with it what is compiled."""
    return once(settings.make_method, config, of_data, of_data)


def method_of_once(config, data):
    labels = [part.labels.tolist() for part in (data.train, data.validation)]
    of_data = data.classes, data.allowed, labels
    return once(settings.method_of, config, (data,), of_data)


def once(make, config, given, of_data):
    settled = [v for k, v in config.to_dict().items() if k not in NO_METHOD]
    key = json.dumps(settled) + repr(of_data)
    if key not in METHODS:
        METHODS[key] = make(config, *given)
    return METHODS[key]


def config_of(**changes):
    config = common.get_config()
    config.batch_size, config.iterations_per_round, config.max_iterations = 4, 3, 9
    config.search.population = 2
    config.execution.devices = 1  # a mesh of eight takes longer to compile for
    config.execution.settings = "vmap"  # to time both ways is to compile both
    config.update_from_flattened_dict(changes)
    return config


def lines(folder):
    return [json.loads(s) for s in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.drawn
def test_the_folder_of_a_run(small, tmp_path):
    result = train(config_of(), tmp_path, ["launch.py", "--workdir=here"], quiet=True)
    assert json.loads((tmp_path / "result.json").read_text()) == result
    description = json.loads((tmp_path / "config.json").read_text())
    assert description["config"]["search"]["pso"] == {"w": 0.6, "c1": 0.2, "c2": 0.9}
    assert description["command"] == ["launch.py", "--workdir=here"]
    assert description["manifest"] == {"source": "random"}
    assert description["multiply_accumulates"] == {"original": 199, "surrogate": 199}
    assert {"jax", "flax", "python", "surrojax"} <= set(description["versions"])
    assert [record["round"] for record in lines(tmp_path)] == [1, 2, 3]
    text = (tmp_path / "schedule.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == ["round", "step", *NAMES]
    for row, record in zip(rows, lines(tmp_path), strict=True):
        assert {name: float(row[name]) for name in NAMES} == record["hyper"]
    figures = {file.name for file in (tmp_path / "plots").iterdir()}
    names = ("schedule", "history", "fidelity", "confusion_matrix")
    names += ("parallel_coordinate", "importance")
    assert figures == {f"{name}.png" for name in names}
    page = (tmp_path / "report.html").read_text()
    assert f"{100 * result['test_accuracy']:.2f} ±" in page
    assert not list(tmp_path.rglob("*.part"))


def events(folder):
    """`{(tag, step): value}` of all event files."""
    found = {}
    for file in (folder / "tensorboard").iterdir():
        data, place = file.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack("<Q", data[place : place + 8])
            event = Event.FromString(data[place + 12 : place + 12 + length])
            for value in event.summary.value:
                found[value.tag, event.step] = value.simple_value
            place += 16 + length
    return found


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_schedule_has_the_rounds_that_were_kept(small, tmp_path, monkeypatch, rounds):
    """A named bug: a round that was killed before its checkpoint was replayed."""
    if rounds:
        train(config_of(max_iterations=6), tmp_path, quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(max_iterations=9), tmp_path, quiet=True)
    file = tmp_path / "schedule.csv"
    assert len(file.read_text().splitlines()) == rounds + 2
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "reported", interrupted)
        if rounds:
            train(config_of(max_iterations=6), tmp_path, quiet=True)
        else:
            with pytest.raises(KeyboardInterrupt):
                train(config_of(max_iterations=6), tmp_path, quiet=True)
    found = file.read_text().splitlines() if file.exists() else [""]
    assert len(found) == rounds + 1


@pytest.mark.usefixtures("lost_ctrl_c")
def test_a_ctrl_c_that_was_swallowed_ends_the_run_after_the_round(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(config_of(), tmp_path, quiet=True)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_nothing_is_lost_where_a_checkpoint_is_not_there(small, tmp_path):
    """A replica that is asked to go back a round, and has one checkpoint alone."""
    of_run = Setup.of(config_of())
    train(config_of(), tmp_path, quiet=True)
    shutil.rmtree(tmp_path / "checkpoints" / "2")
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir() if f.is_file()}
    with (
        Keeper(of_run, tmp_path, of_run.begin(0), []) as keeper,
        pytest.raises(InputError, match="the checkpoint of round 2 cannot be read"),
    ):
        keeper.restored(2)
    assert (tmp_path / "checkpoints" / "3").exists()
    after = {f.name: f.read_bytes() for f in tmp_path.iterdir() if f.is_file()}
    assert after == before


def test_a_schedule_that_was_saved_by_another_program_is_mended(small, tmp_path):
    train(config_of(max_iterations=6), tmp_path, quiet=True)
    file = tmp_path / "schedule.csv"
    before = file.read_bytes()
    file.write_bytes(before.decode().encode("utf-16"))
    train(config_of(max_iterations=6), tmp_path, quiet=True)
    assert file.read_bytes() == before


def interrupted(*_):
    raise KeyboardInterrupt


def test_tensorboard_has_every_round_after_a_kill(small, tmp_path, monkeypatch):
    """A named bug: events that were not flushed were gone for good."""
    train(config_of(max_iterations=6), tmp_path, quiet=True)
    for file in (tmp_path / "tensorboard").iterdir():
        file.write_bytes(b"")
    train(config_of(max_iterations=9), tmp_path, quiet=True)
    found = events(tmp_path)
    for record in lines(tmp_path):
        accuracy = record["test"]["original"]["accuracy"]
        assert found["accuracy/test", record["step"]] == pytest.approx(accuracy)
    assert {step for _, step in found} == {3, 6, 9}


def test_tensorboard_has_what_the_record_says_of_the_last_round(small, tmp_path):
    train(config_of(**{"fidelity.rounds": (3,)}), tmp_path, quiet=True)
    found, record = events(tmp_path), lines(tmp_path)[-1]
    scores = [candidate["score"] for candidate in record["candidates"]]
    expected = {
        "hyper/p_z": record["hyper"]["p_z"],
        "hyper/lambda_W": record["hyper"]["lambda_W"],
        "accuracy/validation": record["original"]["validation_accuracy"],
        "accuracy/surrogate_test": record["test"]["surrogate"]["accuracy"],
        "loss/training": record["training_loss"],
        "loss/surrogate_training": record["surrogate_training_loss"],
        "loss/validation": record["original"]["validation_cross_entropy"],
        "schedule/learning_rate": record["learning_rate"],
        "search/best_score": max(scores),
        "search/mean_score": sum(scores) / 2,
        "fitting/z": record["euclidean"]["z"],
    }
    for tag, value in expected.items():
        assert found[tag, 9] == pytest.approx(value), tag


@pytest.mark.drawn
def test_a_run_that_diverges_keeps_its_last_round(small, tmp_path, monkeypatch):
    def until_then(*arguments, inner=rounds.run):
        state, record = next(inner(*arguments))
        yield state, record
        raise DivergedError(2, state, arguments[0])

    monkeypatch.setattr(rounds, "run", until_then)
    with pytest.raises(InputError, match="round 2: the losses are not finite"):
        train(config_of(), tmp_path, quiet=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["rounds"], result["stopped"]) == (1, "diverged")
    assert (tmp_path / "plots/history.png").exists()


def test_the_result_counts_what_was_trained_and_tested(small, tmp_path):
    result = train(config_of(), tmp_path, quiet=True)
    records = lines(tmp_path)
    settings_tried = sum(len(record["stage1"]) for record in records)
    assert result["original_steps"] == 3 * settings_tried
    # Two candidates a round, and the surrogate fitted beside each setting.
    assert result["surrogate_steps"] == 3 * (2 * 3 + settings_tried)
    confusion = np.array(result["confusion_matrix"])
    np.testing.assert_array_equal(
        confusion.sum(axis=1), np.bincount(small.test.labels, minlength=7)
    )
    assert result["test_accuracy"] == pytest.approx(confusion.trace() / 20)
    tested = records[-1]["test"]["original"]["accuracy"]
    assert result["test_accuracy"] == pytest.approx(tested)
    best = max(r["original"]["validation_accuracy"] for r in records)
    assert result["best_round"]["validation_accuracy"] == best


@pytest.mark.parametrize(
    ("changes", "surrogate_steps"),
    [
        # Candidates train all of a round's steps, and beside each setting fits one.
        ({}, 2 * 5 + 3 * 10 + 2 * 5 + 10),
        ({"stage2_share": 0.4}, 2 * 2 + 3 * 4 + 2 * 5 + 10),
        ({"surrogate": "shared"}, 2 * 5 + 3 * 10),
    ],
)
def test_steps_are_counted_by_round(small, changes, surrogate_steps):
    """Of two settings in a round of 5 steps, and one in a round of 10."""
    rounds_ = [
        {
            "round": number,
            "iterations": steps,
            "stage1": dict.fromkeys(stage1),
            "candidates": [{}] * candidates,
            "original": {"validation_accuracy": accuracy},
            "test": {"original": {"accuracy": accuracy / 2}},
            "hyper": {"p_z": accuracy},
            "seconds": 1.26,
        }
        for number, steps, stage1, candidates, accuracy in (
            (1, 5, ("current", "previous"), 2, 0.8),
            (2, 10, ("current",), 3, 0.6),
        )
    ]
    labels, said = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    found = {"train": Voted(labels, said, np.zeros((4, 7)), 0.5, 1.5)}
    state, method = SimpleNamespace(best_round=1), tiny_method(**changes)
    assert outcome_of(method, small, found, state, rounds_) == {
        "validation_accuracy": 0.6,
        "train_accuracy": 0.75,
        "hyper": {"p_z": 0.6},
        "best_round": {"round": 1, "validation_accuracy": 0.8, "test_accuracy": 0.4},
        "rounds": 2,
        "original_steps": 2 * 5 + 10,
        "surrogate_steps": surrogate_steps,
        "seconds": 2.5,
    }


def test_test_data_choose_nothing(small, tmp_path, monkeypatch):
    """Another test split changes the test figures and not one other number."""

    def chosen(folder):
        return [
            {k: v for k, v in record.items() if k not in ("test", "seconds")}
            for record in lines(folder)
        ]

    train(config_of(), tmp_path / "a", quiet=True)
    other = replace(small, test=split(25, 9))
    monkeypatch.setattr(settings.data, "load", lambda *_: other)
    train(config_of(), tmp_path / "b", quiet=True)
    assert chosen(tmp_path / "a") == chosen(tmp_path / "b")


def test_a_larger_max_iterations_extends_a_finished_run(small, tmp_path):
    train(config_of(max_iterations=6), tmp_path / "a", quiet=True)
    train(config_of(max_iterations=12), tmp_path / "a", quiet=True)
    train(config_of(max_iterations=12), tmp_path / "b", quiet=True)
    for a, b in zip(lines(tmp_path / "a"), lines(tmp_path / "b"), strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert (tmp_path / "a/schedule.csv").read_text() == (
        tmp_path / "b/schedule.csv"
    ).read_text()


def test_a_finished_run_says_so_and_is_left_alone(small, tmp_path, capsys):
    first = train(config_of(), tmp_path, quiet=True)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    again = train(config_of(), tmp_path)
    assert again == first
    assert "finished after 3 rounds" in capsys.readouterr().out
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def test_a_run_that_stops_early_goes_on_as_if_it_had_not(small, tmp_path, capsys):
    plain = train(config_of(max_iterations=24), tmp_path / "plain", quiet=True)
    assert plain["stopped"] == "max_iterations"
    # By hand: the first round that is no better than all before it.
    found = [r["original"]["validation_accuracy"] for r in lines(tmp_path / "plain")]
    ends = next(n for n in range(2, 9) if found[n - 1] <= max(found[: n - 1]))
    assert ends < 8
    stopping = config_of(max_iterations=24, early_stop=1)
    early = train(stopping, tmp_path / "early")
    assert (early["stopped"], early["rounds"]) == ("early_stop", ends)
    assert result_of(tmp_path / "early") == early
    assert (tmp_path / "early/weights.safetensors").exists()
    assert f"stopped after round {ends}: validation was best" in capsys.readouterr().out
    # The same command leaves it alone; without the limit it goes on.
    assert train(stopping, tmp_path / "early") == early
    assert f"finished after {ends} rounds" in capsys.readouterr().out
    described = json.loads((tmp_path / "early/config.json").read_text())
    assert described["config"]["early_stop"] == 1
    whole = train(config_of(max_iterations=24), tmp_path / "early", quiet=True)
    assert whole | {"seconds": 0} == plain | {"seconds": 0}
    assert timeless(tmp_path / "early") == timeless(tmp_path / "plain")
    described = json.loads((tmp_path / "early/config.json").read_text())
    assert described["config"]["early_stop"] == 0


def test_a_run_killed_before_its_early_result_trains_no_further(small, tmp_path):
    stopping = config_of(max_iterations=24, early_stop=1)
    early = train(stopping, tmp_path, quiet=True)
    (tmp_path / "result.json").unlink()
    before = lines(tmp_path)
    assert train(stopping, tmp_path, quiet=True) == early
    assert lines(tmp_path) == before


def test_a_time_budget_counts_the_rounds_of_all_calls(small, tmp_path):
    short = train(config_of(time_budget=1e-3), tmp_path / "a", quiet=True)
    assert (short["stopped"], short["rounds"]) == ("time_budget", 1)
    spent = lines(tmp_path / "a")[0]["seconds"]
    # What was spent before is spent, although this call has begun anew.
    again = train(config_of(time_budget=spent), tmp_path / "a", quiet=True)
    assert again == short
    whole = train(config_of(time_budget=spent + 1e6), tmp_path / "a", quiet=True)
    assert (whole["stopped"], whole["rounds"]) == ("max_iterations", 3)
    assert whole["seconds"] >= round(spent, 1)
    train(config_of(), tmp_path / "b", quiet=True)
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b")


def test_fidelity_rounds_that_never_come_are_said(small, tmp_path, capsys):
    asked = {"fidelity.rounds": (1, 7), "fidelity.drawn": 0, "fidelity.seeds": 1}
    train(config_of(max_iterations=6, **asked), tmp_path)
    assert "config.fidelity.rounds: 7 never comes, as the run has 2 rounds\n" in (
        capsys.readouterr().out
    )
    train(config_of(max_iterations=9, **asked), tmp_path)
    assert "1 is over already, as round 2 is done; 7 never comes" in (
        capsys.readouterr().out
    )
    assert fidelity.never((1,), 0, 3, tunes=True) is None
    assert "nothing is tuned" in fidelity.never((1,), 0, 3, tunes=False)


def test_a_shorter_call_does_not_take_a_longer_run_back(small, tmp_path):
    train(config_of(max_iterations=9), tmp_path, quiet=True)
    result = train(config_of(max_iterations=6), tmp_path, quiet=True)
    assert result["rounds"] == 3
    description = json.loads((tmp_path / "config.json").read_text())
    assert description["config"]["max_iterations"] == 9


def test_one_line_a_round_where_there_is_no_terminal(small, tmp_path, capsys):
    train(config_of(), tmp_path)
    opening, *rest = capsys.readouterr().out.splitlines()
    out = [line for line in rest if not line.startswith("mind: ")]
    assert opening.startswith("lenet on faces, 6x6 grey, mirrored at random, 50 / 30 ")
    assert "3 rounds of 3 steps" in opening
    assert [line.split(",")[0] for line in out] == [f"round {n}/3" for n in (1, 2, 3)]
    assert all(" test " in line for line in out)
    # The first round compiles, and after the last there is nothing left.
    assert [" left" in line for line in out] == [False, True, False]


def test_a_network_that_learns_nothing_is_said_once(small, tmp_path, capsys):
    config = config_of(max_iterations=12)
    config.learning_rate.base = 0.0
    train(config, tmp_path)
    out = capsys.readouterr().out.splitlines()
    said = [i for i, line in enumerate(out) if line.startswith("mind: for 2 rounds")]
    assert len(said) == 1 and out[said[0] - 1].startswith("round 2/4")
    config.max_iterations = 24
    train(config, tmp_path)
    assert "mind: " not in capsys.readouterr().out


def test_steps_that_make_no_round_are_said(small, tmp_path, capsys):
    train(config_of(max_iterations=8), tmp_path)
    assert "2 rounds of 3 steps, 2 steps of max_iterations left over" in (
        capsys.readouterr().out
    )


def test_the_trained_network_can_be_taken_up_again(small, tmp_path):
    result = train(config_of(), tmp_path, quiet=True)
    method, state = restoring.restore(tmp_path)
    found = predict(
        method.pair.original,
        method.views,
        state.fusion.original.variables,
        jnp.asarray(small.test.images),
        batch=16,
    ).log_probabilities
    accuracy = (np.asarray(found).argmax(axis=-1) == small.test.labels).mean()
    assert accuracy == pytest.approx(result["test_accuracy"])


def test_a_finished_run_is_tested_on_other_data(small, tmp_path, monkeypatch):
    result = train(config_of(), tmp_path, quiet=True)
    again = restoring.retest(config_of(), tmp_path)
    assert again == {name: result[name] for name in again}
    other = replace(small, test=split(40, 9))
    monkeypatch.setattr(settings.data, "load", lambda *_: other)
    elsewhere = restoring.retest(config_of(), tmp_path)
    assert np.sum(elsewhere["confusion_matrix"]) == 40
    renamed = replace(small, classes=tuple("gfedcba"))
    monkeypatch.setattr(settings.data, "load", lambda *_: renamed)
    with pytest.raises(InputError, match="its network knows a, b, .* same classes"):
        restoring.retest(config_of(), tmp_path)


def test_all_that_is_tested_is_tested_alike(small, tmp_path, monkeypatch):
    """Over the crops of an image, and without classes that must not be predicted."""
    masked = of_two_classes(small)
    monkeypatch.setattr(settings.data, "load", lambda *_: masked)
    config = config_of(max_iterations=3, **{"dataset.crops": 4})
    result = train(config, tmp_path, quiet=True)
    assert not np.array(result["confusion_matrix"])[:, 2:].any()
    again = restoring.retest(config, tmp_path)
    assert again == {name: result[name] for name in again}


def in_sequences(part):
    names = np.array([f"clip{i // 2}" for i in range(len(part))])
    labels = np.repeat(part.labels[::2], 2)
    return replace(part, sequences=names, labels=labels)


@pytest.fixture
def clips(small, monkeypatch):
    """The same images as frames of sequences of two."""
    parts = {name: in_sequences(part) for name, part in small.splits.items()}
    dataset = replace(small, **parts)
    monkeypatch.setattr(settings.data, "load", lambda *_: dataset)
    return dataset


def test_sequences_are_the_units_of_every_figure(clips, tmp_path, capsys):
    result = train(config_of(), tmp_path)
    assert "images of 25 / 15 / 10 sequences" in capsys.readouterr().out
    confusion = np.array(result["confusion_matrix"])
    assert confusion.sum() == 10
    assert result["test_accuracy"] == confusion.trace() / 10
    for record in lines(tmp_path):
        assert record["original"]["validation_accuracy"] * 15 == pytest.approx(
            round(record["original"]["validation_accuracy"] * 15), abs=1e-4
        )
    text = (tmp_path / "predictions.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["split"] for row in rows] == ["validation"] * 15 + ["test"] * 10
    tested = rows[15:]
    assert [row["sample"] for row in tested] == [f"clip{i}" for i in range(10)]
    right = sum(row["label"] == row["prediction"] for row in tested)
    assert right == confusion.trace()
    for row in tested:
        odds = [float(row[f"probability_{name}"]) for name in clips.classes]
        assert sum(odds) == pytest.approx(1, abs=1e-3)


def test_streamed_data_give_the_same_run(clips, tmp_path):
    """And a run may go on with its data in the other place."""
    train(config_of(), tmp_path / "a", quiet=True)
    train(config_of(**{"dataset.stream": "always"}), tmp_path / "b", quiet=True)
    results = [json.loads((tmp_path / x / "result.json").read_text()) for x in "ab"]
    for name in ("test_accuracy", "train_accuracy", "confusion_matrix"):
        assert results[0][name] == results[1][name]
    for a, b in zip(lines(tmp_path / "a"), lines(tmp_path / "b"), strict=True):
        assert a["training_loss"] == pytest.approx(b["training_loss"], rel=1e-4)
        assert a["chosen"] == b["chosen"]
    longer = {"dataset.stream": "never", "max_iterations": 12}
    assert train(config_of(**longer), tmp_path / "b", quiet=True)["rounds"] == 4


def test_a_run_begins_with_the_layers_that_fit(small, tmp_path, capsys):
    first = tmp_path / "first"
    train(config_of(), first, quiet=True)
    weights = first / "weights.safetensors"
    config = config_of(init_from=str(weights))
    begin = read_weights(config)
    assert set(begin) == {
        *("Dense_0.kernel", "Dense_0.bias", "head.V", "head.bias_V"),
        *("head.W", "head.bias_W"),
    }
    train(config, tmp_path / "second")
    assert "3 layers begin with the weights of init_from" in capsys.readouterr().out
    data = json.loads((tmp_path / "second/config.json").read_text())["data"]
    assert data["init_from"]["loaded"] == ["Dense_0", "head.V", "head.W"]
    # The same weights may lie elsewhere; other weights are another run.
    moved = tmp_path / "moved.safetensors"
    weights.rename(moved)
    train(config_of(init_from=str(moved)), tmp_path / "second", quiet=True)
    other = weights_in(moved) | {"head.bias_W": np.ones(7, np.float32)}
    save(
        moved,
        {"head": {"bias_W": other["head.bias_W"]}}
        | {
            "Dense_0": {
                "kernel": other["Dense_0.kernel"],
                "bias": other["Dense_0.bias"],
            }
        },
    )
    with pytest.raises(InputError, match="another configuration.*init_from.hash"):
        train(config_of(init_from=str(moved)), tmp_path / "second", quiet=True)


def test_a_run_from_scratch_does_not_go_on_with_weights(small, tmp_path):
    """A named bug: `init_from` may differ in the config, not in what was loaded."""
    train(config_of(), tmp_path / "a", quiet=True)
    begun = config_of(init_from=str(tmp_path / "a"))
    with pytest.raises(InputError, match="another configuration.*data.init_from"):
        train(begun, tmp_path / "a", quiet=True)
    train(begun, tmp_path / "b", quiet=True)
    with pytest.raises(InputError, match="another configuration.*data.init_from"):
        train(config_of(max_iterations=12), tmp_path / "b", quiet=True)


def test_the_weights_of_a_run_are_those_of_its_last_round(small, tmp_path):
    train(config_of(), tmp_path, quiet=True)
    _, state = restoring.restore(tmp_path)
    saved = weights_in(tmp_path)
    head = state.fusion.original.params["head"]
    np.testing.assert_array_equal(saved["head.V"], head["V"])
    np.testing.assert_array_equal(saved["head.bias_W"], head["bias_W"])


def test_a_sweep_and_a_run_do_not_share_a_folder(small, tmp_path):
    (tmp_path / "sweep.csv").write_text("")
    with pytest.raises(InputError, match="holds a sweep or a comparison"):
        train(config_of(), tmp_path, quiet=True)


def test_a_half_written_line_of_a_killed_run_is_cut_off(small, tmp_path):
    train(config_of(max_iterations=6), tmp_path, quiet=True)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"round": 3, "step"')
    train(config_of(max_iterations=9), tmp_path, quiet=True)
    assert [record["round"] for record in lines(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("saved", [False, True])
def test_the_best_network_is_that_of_the_checkpoint_after_a_kill(
    small, tmp_path, monkeypatch, saved
):
    """Killed before a checkpoint, or between it and the file's renaming."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    best_round = train(config_of(), whole, quiet=True)["best_round"]["round"]
    best, keep = (whole / "best.msgpack").read_bytes(), Checkpoints.save

    def killed(checkpoints, round_, state):
        if saved or round_ < best_round:
            keep(checkpoints, round_, state)
        if round_ == best_round:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", killed)
        train(config_of(), parts, quiet=True)
    file = parts / "best.msgpack"
    assert not file.exists() or file.read_bytes() != best
    assert (parts / f".best-{best_round}.msgpack").exists()
    train(config_of(), parts, quiet=True)
    assert file.read_bytes() == best
    waiting, expected = ({f.name for f in at.glob(".best-*")} for at in (parts, whole))
    assert waiting == expected


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("accuracies", [(0.5, 0.25, 0.75), (0.25, 0.5, 0.75)])
def test_the_best_network_is_that_of_the_checkpoint_that_is_gone_back_to(
    small, tmp_path, monkeypatch, accuracies, killed
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def scripted(*arguments, inner=rounds.run):
        for state, record in inner(*arguments):
            so_far = accuracies[: record["round"]]
            record["original"]["validation_accuracy"] = so_far[-1]
            best = jnp.int32(1 + np.argmax(so_far))
            yield replace(state, best_round=best), record

    def dies(*arguments, inner=Checkpoints.save):
        inner(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "run", scripted)
    train(config_of(), whole, quiet=True)
    train(config_of(max_iterations=6), parts, quiet=True)
    before = (parts / "best.msgpack").read_bytes()
    if killed:  # between the third round's checkpoint and the file's renaming
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Checkpoints, "save", dies)
            train(config_of(), parts, quiet=True)
    for _ in range(2):  # the second time, nothing is left to do
        train(config_of(), parts, quiet=True)
    assert (parts / "best.msgpack").read_bytes() != before
    shutil.rmtree(parts / "checkpoints/3")
    (parts / "result.json").unlink()
    there, former = surrojax.load(parts), 1 + int(np.argmax(accuracies[:2]))
    assert there.best_round["round"] == former
    expected = serialization.from_bytes(there.variables, before)
    assert_same(there.best.variables, expected)
    # Where it goes on, the third round is the best again.
    train(config_of(), parts, quiet=True)
    for folder in (whole, parts):
        names = {file.name for file in folder.glob("*best*")}
        assert names == {"best.msgpack", f".best-{former}.msgpack"}
    for name in names:
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


def test_a_device_whose_memory_does_not_suffice_is_one_line(
    small, tmp_path, monkeypatch
):
    def exhausted(*_):
        raise jax.errors.JaxRuntimeError(said)
        yield

    monkeypatch.setattr(rounds, "run", exhausted)
    said = "RESOURCE_EXHAUSTED: Out of memory"
    with pytest.raises(
        InputError, match="of memory; give --config.exec.*stream=always"
    ):
        train(config_of(), tmp_path, quiet=True)
    said = "INTERNAL: a fault"
    with pytest.raises(jax.errors.JaxRuntimeError, match="a fault"):
        train(config_of(), tmp_path, quiet=True)


def test_another_configuration_is_refused_with_the_fields_that_differ(small, tmp_path):
    train(config_of(), tmp_path, quiet=True)
    before = (tmp_path / "config.json").read_bytes()
    other = config_of(**{"kappa": 0.5, "search.population": 3})
    with pytest.raises(InputError) as error:
        train(other, tmp_path, quiet=True)
    assert "kappa (1e-05 there, 0.5 here)" in str(error.value)
    assert "search.population (2 there, 3 here)" in str(error.value)
    assert (tmp_path / "config.json").read_bytes() == before


def test_other_data_are_refused(small, tmp_path, monkeypatch):
    train(config_of(), tmp_path, quiet=True)
    other = replace(small, train=split(50, 5))
    monkeypatch.setattr(settings.data, "load", lambda *_: other)
    with pytest.raises(InputError, match="fingerprint"):
        train(config_of(), tmp_path, quiet=True)


def test_moved_data_are_the_same_data(small, tmp_path):
    train(config_of(), tmp_path, quiet=True)
    train(config_of(**{"dataset.dir": "/elsewhere"}), tmp_path, quiet=True)


def test_two_processes_cannot_use_one_folder(small, tmp_path):
    with RunFolder(tmp_path), pytest.raises(InputError, match="another process"):
        train(config_of(), tmp_path, quiet=True)


def test_a_folder_with_a_run_of_unknown_origin_is_refused(small, tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match=r"without a config\.json"):
        train(config_of(), tmp_path, quiet=True)


def test_a_workdir_that_is_a_file_is_refused(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another workdir"):
        train(config_of(), tmp_path / "file", quiet=True)


def test_a_damaged_checkpoint_is_named(small, tmp_path):
    train(config_of(max_iterations=6), tmp_path, quiet=True)
    # Damaged arrays are found too, but by threads of Orbax that outlive the test.
    (tmp_path / "checkpoints/2/default/_METADATA").write_bytes(b"garbage")
    with pytest.raises(InputError, match=r"checkpoint of round 2 .*delete the folder"):
        train(config_of(max_iterations=9), tmp_path, quiet=True)


def test_damaged_metrics_and_results_are_named(small, tmp_path):
    train(config_of(max_iterations=6), tmp_path, quiet=True)
    sound = (tmp_path / "metrics.jsonl").read_text()
    unclear = sound.replace('"step": 6', '"step": "6"')
    assert unclear != sound
    for damaged in ("", "not json\n", '{"round": 2}\n', unclear):
        (tmp_path / "metrics.jsonl").write_text(damaged)
        with pytest.raises(InputError, match=r"metrics\.jsonl"):
            train(config_of(max_iterations=9), tmp_path, quiet=True)
    (tmp_path / "metrics.jsonl").write_text(sound)
    for damaged in ("3", "{}", '{"rounds": "2"}'):
        (tmp_path / "result.json").write_text(damaged)
        with pytest.raises(InputError, match=r"is no run's result\.json"):
            train(config_of(max_iterations=6), tmp_path, quiet=True)


def test_a_full_disk_loses_nothing(small, tmp_path, monkeypatch):
    """The disk fills up in round 2; with room again the run ends as if it had not."""
    from surrojax.run import checkpoint

    train(config_of(), tmp_path / "alone", quiet=True)
    real = checkpoint.shutil.disk_usage
    calls = iter(range(100))

    def full(path):
        return real(path) if next(calls) < 1 else real(path)._replace(free=10)

    monkeypatch.setattr(checkpoint.shutil, "disk_usage", full)
    with pytest.raises(InputError, match="no room for the checkpoint of round 2"):
        train(config_of(), tmp_path / "full", quiet=True)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", real)
    train(config_of(), tmp_path / "full", quiet=True)
    for a, b in zip(lines(tmp_path / "alone"), lines(tmp_path / "full"), strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_a_file_that_cannot_be_written_is_named(small, tmp_path, monkeypatch):
    from surrojax.run import files

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(InputError, match=r"config\.json: .*No space left on device"):
        train(config_of(), tmp_path, quiet=True)


@pytest.mark.parametrize("tune", [(), ("p_x",), ("coefficients",)])
def test_rows_of_the_papers_tables_are_a_flag(small, tmp_path, tune):
    result = train(config_of(tune=tune), tmp_path, quiet=True)
    searched = {
        (): set(),
        ("p_x",): {"p_x"},
        ("coefficients",): {"lambda_z", "lambda_V", "lambda_x", "lambda_W"},
    }[tune]
    assert {name for name, value in result["hyper"].items() if value} == searched
    assert (result["surrogate_steps"] == 0) == (tune == ())


SEARCHED = {
    "search.population": 4,
    "search.center.coefficient": 1e-3,
    "fixed.p_V": 0.2,
    "tune": ("lambda_z", "p_x"),
}


@pytest.fixture(scope="module")
def plain_lines(tmp_path_factory):
    """What a run without further options leaves."""
    return lines_of(config_of(**SEARCHED), tmp_path_factory.mktemp("plain"))


def lines_of(config, folder):
    """What a run of the small networks leaves, for fixtures of a whole module."""
    with pytest.MonkeyPatch.context() as patch:
        put_small(patch)
        draw_nothing(patch)
        train(config, folder, quiet=True)
    return timeless(folder)


def timeless(folder):
    return [{**record, "seconds": 0} for record in lines(folder)]


@pytest.mark.parametrize(
    "changes",
    [
        {"search.optimizer": "de"},
        {"search.optimizer": "ga"},
        {"norm": "l2"},
        {"norm": "l21"},
        {"objective": "cross_entropy"},
        {"reevaluate_incumbent": True},
        {"common_random_numbers": False},
        {"dataset.shift": 1},
        {"surrogate": "shared"},
        {"selection": "cross_entropy"},
        {"stage1_settings": 1},
        {"stage2_share": 0.4},
        {"search.noise.coefficient": 0.5},
        {"search.start.p_x": 0.2},
    ],
    ids=str,
)
def test_every_option_reaches_the_run(plain_lines, small, tmp_path, changes):
    """It runs to its end, and other than without the option."""
    train(config_of(**SEARCHED, **changes), tmp_path, quiet=True)
    other = timeless(tmp_path)
    assert len(plain_lines) == len(other) == 3
    assert plain_lines != other


def test_rounds_that_grow_go_on_as_if_they_had_not_stopped(small, tmp_path):
    grown = {"double_every": 1, "max_iterations": 3 + 6 + 12}
    whole = train(config_of(**grown), tmp_path / "whole", quiet=True)
    assert whole["rounds"] == 3
    assert [r["iterations"] for r in lines(tmp_path / "whole")] == [3, 6, 12]
    shorter = grown | {"max_iterations": 3 + 6}
    train(config_of(**shorter), tmp_path / "parts", quiet=True)
    parts = train(config_of(**grown), tmp_path / "parts", quiet=True)
    assert parts | {"seconds": 0} == whole | {"seconds": 0}


def test_a_run_of_another_version_is_named(small, tmp_path):
    train(config_of(), tmp_path, quiet=True)
    file = tmp_path / "config.json"
    described = json.loads(file.read_text())
    del described["config"]["surrogate"]
    file.write_text(json.dumps(described))
    with pytest.raises(InputError, match="no field 'surrogate'.*another version"):
        restoring.restore(tmp_path)


@pytest.mark.drawn
def test_fidelity_is_measured_after_the_rounds_that_are_asked_for(small, tmp_path):
    plain = train(config_of(), tmp_path / "plain", quiet=True)
    asked = config_of(**{"fidelity.rounds": (2,), "fidelity.drawn": 1})
    measured = train(asked, tmp_path / "measured", quiet=True)
    records = lines(tmp_path / "measured")
    assert ["fidelity" in record for record in records] == [False, True, False]
    assert len(records[1]["fidelity"]["settings"]) == 2 + 1
    assert (tmp_path / "measured/plots/fidelity.png").exists()
    # The run itself is the same, and what it is said to have cost.
    for record in records:
        record.pop("fidelity", None)
    timeless = [
        [r | {"seconds": 0} for r in of] for of in (records, lines(tmp_path / "plain"))
    ]
    assert timeless[0] == timeless[1]
    assert plain | {"seconds": 0} == measured | {"seconds": 0}
