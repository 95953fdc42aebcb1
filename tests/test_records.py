"""A run's files by themselves: whole or not there, and whose folder it is."""

import json
import math

import pytest

from configs import common
from surrojax.errors import InputError
from surrojax.run import files, records
from surrojax.run.files import write_json
from surrojax.run.records import RunFolder, refuse_owned


def description(**config):
    return {"config": {"seed": 0, "kappa": 0.5} | config, "data": {"fingerprint": "f"}}


def record(number, p_z=0.5):
    return {"round": number, "step": 10 * number, "hyper": {"p_z": p_z}}


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        yield folder


def test_a_folder_is_claimed_once_and_found_again(folder):
    folder.claim(description())
    written = (folder.path / "config.json").read_bytes()
    folder.claim(description())
    assert json.loads(written) == description()
    assert (folder.path / "config.json").read_bytes() == written


def test_what_cannot_be_written_is_told_with_its_reason(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for name, told in (
        ("absent/x.json", f"there is no folder {tmp_path}/absent; make it"),
        ("file/x.json", r"could not be written \(Not a directory\); make room"),
    ):
        with pytest.raises(InputError, match=told):
            write_json(tmp_path / name, {})


def test_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far/x.json", tmp_path / "link.json"
    link.symlink_to(file)
    for value in ({"a": 1}, {"a": 2}):
        write_json(link, value)
        assert link.is_symlink() and json.loads(file.read_text()) == value
    assert [f.name for f in (tmp_path / "far").iterdir()] == ["x.json"]
    lost, loop = tmp_path / "lost.json", tmp_path / "loop.json"
    lost.symlink_to(tmp_path / "none/x.json")
    with pytest.raises(InputError, match="none/x.json: there is no folder"):
        write_json(lost, {})
    loop.symlink_to(loop)
    write_json(loop, {"a": 3})
    assert json.loads(loop.read_text()) == {"a": 3}


def test_only_what_runs_have_is_theirs(folder, tmp_path):
    refuse_owned(folder.path / "schedule.csv")
    folder.claim(description())
    for name in ("schedule.csv", "config.json", "plots/a.png", ".lock"):
        with pytest.raises(
            InputError, match="is a file of the run in .*; name another"
        ):
            refuse_owned(folder.path / name)
    refuse_owned(folder.path / "found.csv")
    (tmp_path / "checkpoints").mkdir()  # of another program
    for other in ("// no JSON", '{"model": "bert"}'):
        (tmp_path / "config.json").write_text(other)
        refuse_owned(tmp_path / "plots/x.csv")
    (tmp_path / "sweep.csv").write_text("")
    with pytest.raises(InputError, match="is a file of the run in"):
        refuse_owned(tmp_path / "sweep.csv")


def test_another_run_is_refused_with_every_field_that_differs(folder):
    folder.claim(description(extra=(1, 2)))
    other = description(kappa=1.0, extra=(1, 3))
    with pytest.raises(InputError) as caught:
        folder.claim(other | {"data": {"fingerprint": "g"}})
    assert str(caught.value) == (
        f"{folder.path}: holds a run of another configuration; choose another workdir. "
        "Different: extra ([1, 2] there, [1, 3] here), kappa (0.5 there, 1.0 here), "
        "the data themselves (data.fingerprint)"
    )


def test_limits_may_differ_unless_they_decide_something(folder):
    folder.claim(description(max_iterations=10))
    folder.claim(description(max_iterations=20))
    with pytest.raises(InputError, match=r"max_iterations \(10 there, 20 here\)"):
        folder.claim(description(max_iterations=20), may_differ=())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 1),
        ("stage1_settings", 1),
        ("stage2_share", 0.5),
        ("shared_layers", 2),
        ("class_weights", ("balanced",)),
    ],
)
def test_a_run_does_not_go_on_as_another_one(folder, field, value):
    here = common.get_config().to_dict()
    folder.claim({"config": here | {field: value}, "data": {}})
    with pytest.raises(InputError, match=f"Different: {field} "):
        folder.claim({"config": here, "data": {}})


def test_config_json_follows_the_limits_of_further_rounds(folder):
    folder.claim(description(max_iterations=10))
    folder.renew(description(max_iterations=20))
    there = json.loads((folder.path / "config.json").read_text())
    assert there["config"]["max_iterations"] == 20


@pytest.mark.parametrize(
    ("field", "value", "refused"),
    [
        ("shared_layers", None, None),
        ("class_weights", None, None),
        ("first_setting", None, None),
        ("first_setting", "center", "first_setting .'candidate' there, 'center' here"),
        ("stage2_share", 0.5, "stage2_share .1.0 there, 0.5 here"),
        ("kappa", None, "kappa .absent there, 1e-05 here"),
    ],
)
def test_a_folder_of_an_earlier_version_lacks_fields(folder, field, value, refused):
    """Those that came later stand for what that version did."""
    config = common.get_config().to_dict()
    here = json.loads(json.dumps({"config": config, "data": {}}))
    there = json.loads(json.dumps(here))
    del there["config"][field]
    (folder.path / "config.json").write_text(json.dumps(there))
    if value is not None:
        here["config"][field] = value
    if refused is None:
        folder.claim(here)
    else:
        with pytest.raises(InputError, match=refused):
            folder.claim(here)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sweep.csv", "", "holds a sweep or a comparison"),
        ("metrics.jsonl", "", r"holds a run without a config\.json"),
        ("weights.safetensors", "", r"weights\.safetensors: is of something else"),
        ("schedule.csv", "", r"schedule\.csv: is of something else, and a run would"),
        ("result.json", "{", r"result\.json: is of something else"),
        ("config.json", "{", r"config\.json: cannot be read"),
        ("config.json", "[]", r"config\.json: is no run's config\.json"),
    ],
)
def test_a_folder_that_holds_something_else_is_left_alone(
    folder, name, content, message
):
    (folder.path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        folder.claim(description())
    assert (folder.path / name).read_text() == content


@pytest.mark.parametrize("name", ["schedule.csv", "config.json"])
def test_nothing_is_left_in_a_folder_that_is_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    (tmp_path / "plots").mkdir()  # which holds nothing
    with pytest.raises(InputError, match=name):
        RunFolder(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {name, "plots"}


def test_one_process_at_a_time(folder):
    with pytest.raises(InputError, match="another process is running in this folder"):
        RunFolder(folder.path)


def test_rounds_come_back_as_they_were_written(folder):
    rounds = [record(1), record(2, p_z=1 / 3)]
    for one in rounds:
        folder.append_metrics(one)
    assert folder.read_metrics(2) == rounds
    folder.write_schedule(rounds)
    assert (folder.path / "schedule.csv").read_text() == (
        f"round,step,p_z\n1,10,0.5\n2,20,{1 / 3}\n"
    )


@pytest.mark.parametrize("tail", ['{"round": 3, "st', '{"round": 3, "step": 30}\n'])
def test_what_has_no_checkpoint_is_cut_off(folder, tail):
    """A line is written before its checkpoint, and a kill may come between."""
    for number in (1, 2):
        folder.append_metrics(record(number))
    whole = folder.metrics.read_text()
    folder.metrics.write_text(whole + tail)
    records = folder.read_metrics(2)
    assert [r["round"] for r in records] == [1, 2]
    assert folder.metrics.read_text() == whole + tail
    folder.cut_metrics(records)
    assert folder.metrics.read_text() == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "ends after round 0, but the checkpoint is of round 1"),
        ("no json\n", "line 1: not the record of round 1"),
        ('{"round": 2, "step": 1}\n', "line 1: not the record of round 1"),
        ('{"round": 1, "step": "1"}\n', "line 1: not the record of round 1"),
    ],
)
def test_damaged_metrics_are_named_with_their_line(folder, content, message):
    folder.metrics.write_text(content)
    with pytest.raises(InputError, match=message):
        folder.read_metrics(1)
    assert folder.metrics.read_text() == content


def test_metrics_of_a_run_that_goes_on_are_read_to_the_last_whole_line(folder):
    folder.append_metrics(record(1))
    with folder.metrics.open("a") as file:
        file.write('{"round": 2')
    assert records.metrics_of(folder.metrics) == [record(1)]


def test_no_file_is_ever_half_there(folder, monkeypatch):
    folder.write_result({"rounds": 1})

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(InputError, match=r"result\.json: .*No space left on device"):
        folder.write_result({"rounds": 2})
    assert folder.read_result() == {"rounds": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_lacks_are_not_written(folder, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(folder.path / "result.json", {"test_accuracy": value})
    assert list(folder.path.glob("result*")) == []


@pytest.mark.parametrize(
    "content", ["3", "{}", '{"rounds": "2"}', '{"rounds": 2, "test_accuracy": "a"}']
)
def test_a_damaged_result_is_named(folder, content):
    assert folder.read_result() is None
    (folder.path / "result.json").write_text(content)
    with pytest.raises(InputError, match=r"is no run's result\.json"):
        folder.read_result()
