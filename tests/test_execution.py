"""What a run chooses by itself, what can be forced, and replicas side by side."""

import gc
import itertools
import json
import weakref
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_close, tiny_arrays, tiny_method
from test_experiment import config_of, lines, lines_of, small, timeless  # noqa: F401

import surrojax
from configs import common, fer2013_resnet20
from surrojax import settings
from surrojax.algorithm import DivergedError, initial_state
from surrojax.errors import InputError
from surrojax.experiment import train
from surrojax.layout import Layout
from surrojax.run import execution, replicas, setup
from surrojax.run.checkpoint import Checkpoints
from surrojax.run.execution import execution_of, settle
from surrojax.run.keeper import Keeper
from surrojax.run.sweep import run_sweep

pytestmark = pytest.mark.usefixtures("undrawn")

KEY = jax.random.key(2)


def test_every_choice_is_told_with_its_reason():
    told = str(execution_of(common.get_config()))
    assert "8 of 8 devices (cpu)" in told
    assert "convolution matmul (measured for lenet on a CPU)" in told
    assert "rounds parts (equal settings are trained once)" in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"convolution": "lax"}, "convolution lax (as asked)"),
        ({"execution.rounds": "fused"}, "rounds fused (as asked)"),
        ({"execution.candidates": "loop"}, "candidates loop (as asked)"),
        ({"execution.settings": "loop"}, "settings loop (as asked)"),
        ({"execution.devices": 3}, "2 of 8 devices"),
        ({"tune": ()}, "1 of 8 devices"),
        ({"tune": (), "network": "resnet20"}, "8 of 8 devices"),
    ],
)
def test_every_choice_can_be_forced(changes, told):
    everywhere = {"execution.devices": 0}
    assert told in str(execution_of(config_of(**everywhere | changes)))


def test_resnet20_takes_direct_convolutions_one_setting_after_the_other():
    chosen = execution_of(fer2013_resnet20.get_config())
    assert chosen.convolution == "direct" and chosen.layout.settings == "loop"


def test_more_devices_than_there_are_is_an_error():
    with pytest.raises(
        InputError, match=r"^config\.execution\.devices: 9 are asked for, there"
    ):
        settings.make_pair(config_of(**{"execution.devices": 9}), 7)


def settled_on(train):
    """What is open until it is timed on these samples."""
    method = tiny_method()
    chosen = execution_of(
        config_of(convolution="lax", **{"execution.settings": "auto"})
    )
    assert chosen.open
    fusion = initial_state(method, KEY).fusion
    return settle(chosen, replace(method, layout=Layout()), fusion, train)


def test_open_choices_are_timed_on_the_machine():
    settled = settled_on(tiny_arrays(30, 0))
    assert not settled.open and "(timed, ms a step: vmap " in str(settled)
    assert settled.layout.settings in ("vmap", "loop")


@pytest.mark.parametrize(
    "said", ["RESOURCE_EXHAUSTED: 9 GiB", "INTERNAL: CUDA_ERROR_OUT_OF_MEMORY"]
)
def test_settings_that_do_not_fit_together_take_turns(monkeypatch, said):
    fails_to_time(monkeypatch, said)
    settled = settled_on(tiny_arrays(30, 0))
    assert not settled.open and settled.layout.settings == "loop"
    assert "settings loop (both at once do not fit the memory)" in settled.reasons


def test_what_else_fails_is_not_taken_for_a_lack_of_memory(monkeypatch):
    fails_to_time(monkeypatch, "INTERNAL: no algorithm worked")
    with pytest.raises(jax.errors.JaxRuntimeError, match="no algorithm worked"):
        settled_on(tiny_arrays(30, 0))


def fails_to_time(monkeypatch, said):
    def fail(_):
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(execution, "seconds", fail)


def test_what_is_timed_is_not_compiled_with_the_images_in_it():
    train = tiny_arrays(1000, 0)
    before = jax.config.values["jax_captured_constants_warn_bytes"]
    jax.config.update("jax_captured_constants_warn_bytes", train.images.nbytes)
    try:
        settled_on(train)
    finally:
        jax.config.update("jax_captured_constants_warn_bytes", before)


@pytest.mark.parametrize("changes", [{"stage1_settings": 1}, {"tune": ()}])
def test_nothing_is_timed_where_stage_1_trains_one_setting(changes):
    automatic = {"execution.settings": "auto", "execution.devices": 1}
    config = config_of(convolution="lax", **automatic)
    assert execution_of(config).open
    assert not execution_of(config_of(convolution="lax", **automatic | changes)).open


def test_memory_is_held_and_programs_are_cached(monkeypatch, tmp_path):
    """On what `prepare` sets, in a process of its own; JAX has begun in this one."""
    import os
    import subprocess
    import sys

    code = (
        "from configs import demo; from surrojax.run.execution import prepare\n"
        "config = demo.get_config(); prepare(config)\n"
        "import jax; print(jax.config.values['jax_compilation_cache_dir'])\n"
        "print(len(jax.devices()) == (2 if len(__import__('os').sched_getaffinity(0)) "
        "> 1 else 1))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment["SURROJAX_CACHE"] = str(tmp_path)
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    folder, right_count = found.stdout.split()
    assert folder.startswith(str(tmp_path / "xla")) and right_count == "True"
    assert execution._processor() in folder


@pytest.fixture(scope="module")
def one_way(tmp_path_factory):
    """What a run on one device leaves."""
    return lines_of(config_of(), tmp_path_factory.mktemp("one_way"))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"execution.devices": 2}, marks=pytest.mark.slow),
        {"execution.devices": 8},
        {"execution.devices": 1, "execution.rounds": "fused"},
        {"execution.devices": 4, "execution.rounds": "fused"},
        {"execution.devices": 1, "execution.settings": "loop"},
    ],
)
def test_all_ways_give_the_same_run(one_way, small, tmp_path, changes):  # noqa: F811
    """And each goes on where another has stopped."""
    train(config_of(max_iterations=6, **changes), tmp_path, quiet=True)
    train(config_of(), tmp_path, quiet=True)
    for a, b in zip(one_way, timeless(tmp_path), strict=True):
        assert_close(a, b, 1e-4)


# Replicas.


def test_replicas_are_runs_of_their_seeds(small, tmp_path):  # noqa: F811
    several = config_of(replicas=3, seed=5)
    several.execution.devices = 3
    assert execution_of(several).layout.devices == 3  # a replica each
    alone = config_of(replicas=3, tune=())
    alone.execution.devices = 0
    assert execution_of(alone).layout.devices == 3
    together = replicas.train(several, tmp_path / "all", quiet=True)
    assert list(together) == [5, 6, 7]
    for seed, result in together.items():
        config = config_of(seed=seed)
        expected = train(config, tmp_path / str(seed), quiet=True)
        folder = tmp_path / "all" / f"seed={seed}"
        for a, b in zip(lines(folder), lines(tmp_path / str(seed)), strict=True):
            del a["seconds"], b["seconds"]
            assert_close(a, b, 1e-4)
        del result["seconds"], expected["seconds"]
        assert_close(result, expected, 1e-4)
        assert json.loads((folder / "config.json").read_text())["seed"] == seed


def test_a_replica_that_goes_back_a_round_has_the_best_network_of_before(
    small,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    def better_and_better(*arguments, inner=replicas.run_replicas):
        for states, records in inner(*arguments):
            for record in records:
                record["original"]["validation_accuracy"] = record["round"] / 4
            yield replace(states, best_round=states.round), records

    def dies(*arguments, inner=Checkpoints.save):
        inner(*arguments)
        raise KeyboardInterrupt

    def dies_at_once(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(replicas, "run_replicas", better_and_better)
    replicas.train(config_of(replicas=2, max_iterations=3), tmp_path, quiet=True)
    first = (tmp_path / "seed=0/best.msgpack").read_bytes()
    for place, name, kill in (
        (Checkpoints, "save", dies),  # of the first replica alone
        (replicas, "run_replicas", dies_at_once),
    ):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(place, name, kill)
            replicas.train(config_of(replicas=2), tmp_path, quiet=True)
    assert len(lines(tmp_path / "seed=0")) == 1
    assert (tmp_path / "seed=0/best.msgpack").read_bytes() == first


def test_memory_that_does_not_suffice_for_replicas_is_one_line(
    small,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    def exhausted(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        yield

    monkeypatch.setattr(replicas, "run_replicas", exhausted)
    with pytest.raises(InputError, match="of memory; give --config.exec.*ion$"):
        replicas.train(config_of(replicas=2), tmp_path, quiet=True)


@pytest.mark.usefixtures("lost_ctrl_c")
def test_a_ctrl_c_that_was_swallowed_ends_replicas(small, tmp_path):  # noqa: F811
    with pytest.raises(KeyboardInterrupt):
        replicas.train(config_of(replicas=2), tmp_path, quiet=True)


def test_replicas_go_on_even_if_killed_between_two_checkpoints(
    small,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    kept, keep = [], Keeper.keep

    def dies(self, state, record):
        if record["round"] == 2 and kept.count(2) == 1:
            raise KeyboardInterrupt
        kept.append(record["round"])
        keep(self, state, record)

    def dies_at_once(self, state, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "keep", dies)
        with pytest.raises(KeyboardInterrupt):
            replicas.train(config_of(replicas=2), tmp_path / "a", quiet=True)
    # A second time, before the later one has done its round again.
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "keep", dies_at_once)
        with pytest.raises(KeyboardInterrupt):
            replicas.train(config_of(replicas=2), tmp_path / "a", quiet=True)
    replicas.train(config_of(replicas=2), tmp_path / "a", quiet=True)
    replicas.train(config_of(replicas=2), tmp_path / "b", quiet=True)
    for seed in (0, 1):
        pairs = zip(
            lines(tmp_path / f"a/seed={seed}"),
            lines(tmp_path / f"b/seed={seed}"),
            strict=True,
        )
        for a, b in pairs:
            del a["seconds"], b["seconds"]
            assert_close(a, b, 1e-5)


@pytest.mark.slow
def test_a_replica_that_stops_early_does_not_stop_its_sisters(small, tmp_path):  # noqa: F811
    several, stopping = {"replicas": 3, "max_iterations": 18}, {"early_stop": 1}
    found = replicas.train(config_of(**several, **stopping), tmp_path, quiet=True)
    rounds = {seed: result["rounds"] for seed, result in found.items()}
    assert len(set(rounds.values())) > 1, "seeds that all end together show nothing"
    ends = {}
    for seed in found:
        alone, folder = config_of(seed=seed, max_iterations=18), tmp_path / f"{seed}"
        ends[seed] = train(alone, folder, quiet=True)
        accuracies = [r["original"]["validation_accuracy"] for r in lines(folder)]
        worse = (n for n in range(1, 6) if accuracies[n] <= max(accuracies[:n]))
        assert rounds[seed] == next(worse, 5) + 1
        assert found[seed]["stopped"] == (
            "early_stop" if rounds[seed] < 6 else "max_iterations"
        )
    # And all go on, each from where it ended.
    whole = replicas.train(config_of(**several), tmp_path, quiet=True)
    for seed, result in whole.items():
        pairs = zip(
            lines(tmp_path / f"seed={seed}"), lines(tmp_path / f"{seed}"), strict=True
        )
        for a, b in pairs:
            del a["seconds"], b["seconds"]
            assert_close(a, b, 1e-4)
        del result["seconds"], ends[seed]["seconds"]
        assert_close(result, ends[seed], 1e-4)


def test_replicas_have_a_time_budget_each(small, tmp_path, capsys):  # noqa: F811
    config = config_of(replicas=2, time_budget=1e-3)
    found = replicas.train(config, tmp_path)
    assert [(r["rounds"], r["stopped"]) for r in found.values()] == (
        [(1, "time_budget")] * 2
    )
    assert capsys.readouterr().out.count("stopped after round 1: ") == 2
    assert replicas.train(config, tmp_path, quiet=True) == found


def test_replicas_share_the_seconds_that_a_round_takes(small, tmp_path, monkeypatch):  # noqa: F811
    clock = itertools.count()
    ticks = SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr(replicas, "time", ticks)
    replicas.train(config_of(replicas=2, max_iterations=6), tmp_path, quiet=True)
    for seed in (0, 1):
        seconds = [record["seconds"] for record in lines(tmp_path / f"seed={seed}")]
        assert seconds == [0.5, 0.5]


def test_a_replica_that_diverges_stops_config_of(small, tmp_path, monkeypatch):  # noqa: F811
    def poisoned(method, key, inner=setup.initial_state):
        state = inner(method, key)
        is_bad = jax.random.key_data(key)[-1] == 1
        broken = jax.tree.map(
            lambda a: jax.numpy.where(is_bad, np.nan, a), state.fusion
        )
        return replace(state, fusion=broken)

    monkeypatch.setattr(setup, "initial_state", poisoned)
    found = replicas.train(config_of(replicas=2), tmp_path, quiet=True)
    assert found[0]["rounds"] == 3
    assert isinstance(found[1], InputError) and "not finite" in str(found[1])


def test_a_replica_that_diverges_later_keeps_its_last_round(
    small,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    def one_diverges(*arguments, inner=replicas.run_replicas):
        for states, records in inner(*arguments):
            if records[0]["round"] == 1:
                before = jax.tree.map(lambda a: a[1], states)
            else:
                records[1] = DivergedError(records[0]["round"], before, arguments[0])
            yield states, records

    monkeypatch.setattr(replicas, "run_replicas", one_diverges)
    found = replicas.train(config_of(replicas=2), tmp_path, quiet=True)
    assert found[0]["rounds"] == 3 and isinstance(found[1], InputError)
    kept = json.loads((tmp_path / "seed=1/result.json").read_text())
    assert (kept["rounds"], kept["stopped"]) == (1, "diverged")


def test_a_sweep_of_replicas_has_a_row_a_seed(small, tmp_path, capsys):  # noqa: F811
    config = config_of(replicas=2)
    found = run_sweep(config, str(tmp_path), ["search.optimizer=pso,ga"])
    assert [point for point, _ in found] == [
        {"search.optimizer": optimizer, "seed": seed}
        for optimizer in ("pso", "ga")
        for seed in (0, 1)
    ]
    assert (tmp_path / "search.optimizer=ga/seed=1/result.json").exists()
    rows = (tmp_path / "sweep.csv").read_text().splitlines()
    assert rows[0].startswith("search.optimizer,seed,") and len(rows) == 5


def test_one_run_is_not_several(small, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="config.replicas"):
        train(config_of(replicas=2), tmp_path, quiet=True)


def test_replicas_want_their_images_on_the_device(small, tmp_path):  # noqa: F811
    config = config_of(replicas=2, **{"dataset.stream": "always"})
    with pytest.raises(InputError, match="want their images on the device"):
        replicas.train(config, tmp_path, quiet=True)


@pytest.mark.parametrize("begin", ["a run", "tune"])
def test_a_run_begins_without_what_earlier_ones_left(monkeypatch, begin):
    """Arrays that only a cycle of objects reaches, as drawn figures leave them."""
    monkeypatch.setattr(execution, "LEFT_OVER", 1000)
    left = [jnp.zeros(1000)]
    left.append(left)
    reference = weakref.ref(left[0])
    gc.disable()  # by itself, Python may look at any time
    try:
        del left
        assert reference() is not None
        if begin == "tune":
            with pytest.raises(InputError, match="train: inputs"):
                surrojax.tune(None, ([], []), ([], []))
        else:
            with pytest.raises(InputError, match="seed"):
                setup.Setup.of(config_of(seed=-1))
        assert reference() is None
    finally:
        gc.enable()
