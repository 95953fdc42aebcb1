"""Flags that have no effect are told, and they have none indeed."""

import json

import pytest
import small_run
from drawn import label_folders

from configs import common
from surrojax import filenames
from surrojax.data import EXPRESSIONS
from surrojax.experiment import train
from surrojax.fields import flatten
from surrojax.run.idle import RULES, idle

SEARCH = {
    "search.optimizer": "de",
    "search.population": 5,
    "search.center.ratio": 0.3,
    "search.noise.ratio": 0.4,
    "objective": "cross_entropy",
    "selection": "cross_entropy",
    "kappa": 0.5,
    "eta.x": 0.5,
    "surrogate": "shared",
    "shared_layers": 1,
    "stage1_settings": 1,
    "stage2_share": 0.5,
    "first_setting": "center",
    "reevaluate_incumbent": True,
    "common_random_numbers": False,
    "undo_beyond": 0.1,
    "norm": "l2",
}
"""What a search alone takes notice of, each with another value than the default."""

BESIDE = [
    ({"tune": ()}, SEARCH),
    (
        {"tune": ("p_x",), "stage1_settings": 1, "dataset.crops": 1},
        {
            "search.de.F": 0.7,
            "search.start.p_z": 0.2,
            "selection": "cross_entropy",
            "fidelity.drawn": 3,
            "dataset.target_dir": "/nowhere",
            "dataset.mask_absent_classes": False,
            "dataset.validate_with_crops": True,
            "dataset.camera": "NI",
            "dataset.frames": "spread",
            "norm": "l2",
            "search.center.coefficient": 1e-4,
            "search.initial_width.coefficient": 0.2,
            "search.noise.coefficient": 0.4,
        },
    ),
    (
        {"tune": ("p_x",), "surrogate": "shared", "search.start.p_x": 0.2},
        {
            "eta.z": 0.5,
            "search.ga.sigma": 0.9,
            "undo_beyond": 0.1,
            "search.center.ratio": 0.4,
        },
    ),
]
"""Settings of a run, and what has no effect beside them."""


def config_of(**changes):
    config = common.get_config()
    config.update_from_flattened_dict(changes)
    return config


def test_every_rule_is_of_fields_that_there_are():
    fields = [f"{name}." for name, _ in flatten(common.get_config().to_dict())]
    for groups, _ in RULES:
        for group in groups:
            assert any(field.startswith(f"{group}.") for field in fields), group


@pytest.mark.parametrize(("given", "unused"), BESIDE)
def test_what_is_said_to_have_no_effect_has_none(given, unused, tmp_path, monkeypatch):
    small_run.use_small_networks(monkeypatch)
    small_run.draw_nothing(monkeypatch)
    monkeypatch.setenv("SURROJAX_CACHE", str(tmp_path / "cache"))
    images = label_folders(tmp_path / "images", EXPRESSIONS, images=10)

    def found(**changes):
        config = small_run.config_of(images, **changes)
        folder = tmp_path / f"run{len(changes)}"
        train(config, folder, quiet=True)
        lines = (folder / filenames.METRICS).read_text().splitlines()
        return [json.loads(line) | {"seconds": 0} for line in lines]

    other = given | unused
    assert idle([small_run.config_of(images, **other)], unused).keys() == unused.keys()
    assert found(**other) == found(**given)


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({}, "search.de.F", "config.search.optimizer is 'pso', not 'de'"),
        ({}, "undo_beyond", "config.stage1_settings is 2, not 1"),
        ({"tune": ()}, "kappa", "nothing is searched where config.tune is empty"),
        (
            {"tune": ("p_z",)},
            "search.start.lambda_x",
            "lambda_x is not searched",
        ),
        (
            {"surrogate": "shared"},
            "eta.z",
            "config.surrogate is 'shared', not 'fitted'",
        ),
        ({}, "fidelity.seeds", "config.fidelity.rounds is empty"),
        ({}, "dataset.target_dir", "there is no config.dataset.target"),
        ({}, "dataset.validate_with_crops", "config.dataset.crops is 1"),
        ({}, "dataset.dir", "config.dataset.name is 'faces', which are drawn by code"),
        ({}, "dataset.align", "the images of faces are cut-out faces already"),
        ({}, "dataset.light", "it is for oulu, not faces"),
        (
            {"dataset.name": "fer2013", "dataset.target": "ck"},
            "dataset.light",
            "it is for oulu, not fer2013 and ck",
        ),
        (
            {"dataset.name": "fer2013", "dataset.target": "ck", "dataset.fold": -1},
            "dataset.train_on_target_fold",
            "all folds are compared with and without it",
        ),
    ],
)
def test_why_is_told(given, field, why):
    assert idle([config_of(**given)], [field]) == {field: why}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"search.optimizer": "de"}, "search.de.F"),
        ({}, "search.pso.w"),
        ({}, "kappa"),
        ({}, "tune"),
        ({}, "eta.z"),
        ({"network": "resnet20"}, "eta.V"),
        ({"tune": ("p_z", "p_x"), "search.start.p_z": 0.2}, "search.center.ratio"),
        (
            {
                "tune": ("lambda_z",),
                "dataset.name": "fer2013",
                "dataset.target": "ck",
                "dataset.fold": -1,
            },
            "search.center.ratio",
        ),
        ({"tune": (), "fixed.lambda_x": 0.1}, "norm"),
        (
            {
                "tune": ("p_z",),
                "dataset.name": "fer2013",
                "dataset.target": "ck",
                "dataset.fold": -1,
            },
            "norm",
        ),
        ({"tune": ("lambda_x",)}, "norm"),
        (
            {"dataset.name": "fer2013", "dataset.target": "ck"},
            "dataset.train_on_target_fold",
        ),
        ({}, "selection"),
        ({"stage1_settings": 1}, "undo_beyond"),
        ({}, "search.start.lambda_x"),
        ({"fidelity.rounds": (1,)}, "fidelity.seeds"),
        ({"dataset.target": "ck"}, "dataset.mask_absent_classes"),
        ({"dataset.crops": 18}, "dataset.validate_with_crops"),
        ({"dataset.name": "fer2013"}, "dataset.dir"),
        ({"dataset.name": "fer2013", "dataset.target": "ck"}, "dataset.align"),
        ({"dataset.name": "fer2013", "dataset.target": "oulu"}, "dataset.light"),
        ({"dataset.name": "oulu"}, "dataset.camera"),
        ({}, "seed"),
    ],
)
def test_what_has_an_effect_is_not_told(given, field):
    assert idle([config_of(**given)], [field]) == {}


def test_what_has_an_effect_in_one_run_is_not_told():
    both = [config_of(), config_of(**{"search.optimizer": "de"})]
    assert idle(both, ["search.de.F", "undo_beyond"]).keys() == {"undo_beyond"}


def test_each_reason_is_told_once():
    configs = [config_of(**{"search.optimizer": of}) for of in ("pso", "ga", "pso")]
    assert idle(configs, ["search.de.F"]) == {
        "search.de.F": "config.search.optimizer is 'pso', not 'de', and "
        "config.search.optimizer is 'ga', not 'de'"
    }


def test_beside_a_schedule_nothing_is_searched(tmp_path):
    schedule = tmp_path / filenames.SCHEDULE
    columns = list(common.get_config().fixed)
    schedule.write_text(
        f"round,step,{','.join(columns)}\n1,1000,{','.join(['0.1'] * len(columns))}\n"
    )
    config = config_of(replay=str(schedule), max_iterations=1000)
    told = idle([config], ["tune", "search.population", "seed"])
    why = "the schedule of config.replay is followed"
    assert told == {"tune": why, "search.population": why}
