"""A config that cannot be run is refused, and the message names the field."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import (
    afew_mresnet,
    affectnet_mresnet,
    ck_mresnet,
    common,
    cross_database,
    demo,
    fer2013_lenet,
    fer2013_lenet_improved,
    fer2013_lenet_improved_long,
    fer2013_lenet_improved_shift,
    fer2013_lenet_improved_shift_long,
    fer2013_lenet_improved_wide,
    fer2013_lenet_improved_wide_long,
    fer2013_mresnet,
    fer2013_resnet20,
    fer2013_resnet20_improved,
    mmi_mresnet,
    oulu_mresnet,
)
from surrojax.errors import InputError
from surrojax.fields import flatten
from surrojax.method import macs_of
from surrojax.search import OPTIMIZERS
from surrojax.settings import folds, load_data, make_look, make_method, resolve
from surrojax.values import FIELDS, check_complete, expand

MRESNETS = (
    afew_mresnet,
    affectnet_mresnet,
    ck_mresnet,
    cross_database,
    fer2013_mresnet,
    mmi_mresnet,
    oulu_mresnet,
)


def changed(**changes):
    config = common.get_config()
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in changes.items()}
    )
    return config


def test_the_improved_form_differs_from_the_papers():
    method = make_method(fer2013_lenet_improved.get_config(), 7)
    assert method.space.dimensions == 7 and "lambda_z" not in method.space.tune
    assert (method.surrogate, method.objective) == ("shared", "cross_entropy")
    ratios = dict(zip(method.space.tune, np.exp(method.space.center), strict=True))
    assert ratios["p_V"] == pytest.approx(0.1) and ratios["p_z"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (fer2013_lenet_improved, fer2013_lenet_improved_long),
        (fer2013_lenet_improved_shift, fer2013_lenet_improved_shift_long),
        (fer2013_lenet_improved_wide, fer2013_lenet_improved_wide_long),
    ],
)
def test_the_long_form_is_the_same_but_longer(short, long):
    short, long = short.get_config(), long.get_config()
    assert long.max_iterations == 80_000 == 5 * long.iterations_per_round
    ends = [c.max_iterations / c.learning_rate.halve_every for c in (short, long)]
    assert ends == [4, 4]
    for config in (short, long):
        config.max_iterations = config.iterations_per_round = 1
        config.learning_rate.halve_every = 1.0
    assert short.to_dict() == long.to_dict()


def test_all_leaves_out_what_no_candidate_can_tell_apart():
    for surrogate, layers, there in (("fitted", 0, True), ("shared", 0, False)):
        config = changed(tune=("all",), surrogate=surrogate, shared_layers=layers)
        assert ("lambda_z" in make_method(config, 7).space.tune) == there
    config = changed(tune=("all",), surrogate="shared", shared_layers=1)
    assert "lambda_z" in make_method(config, 7).space.tune


def test_the_form_for_shifted_images_begins_with_less_dropout():
    config = fer2013_lenet_improved_shift.get_config()
    assert config.dataset.shift == 2
    method = make_method(config, 7)
    ratios = dict(zip(method.space.tune, np.exp(method.space.center), strict=True))
    assert all(ratios[name] == pytest.approx(0.1) for name in ratios if name[0] == "p")


def test_resnet20_in_the_improved_form_costs_two_trainings():
    config = fer2013_resnet20_improved.get_config()
    method = make_method(config, 7)
    assert method.space.tune == ("lambda_z", "lambda_V", "p_z", "p_V")
    cost = macs_of(method)
    share = cost["surrogate"] / cost["original"]
    candidates = (method.population + 1) * method.stage2_share
    cost = config.max_iterations / 10_000 * (1 + candidates * share)
    assert cost == pytest.approx(2.0, abs=0.03)
    rounds = config.max_iterations / config.iterations_per_round
    assert (rounds, config.max_iterations / config.learning_rate.halve_every) == (5, 4)


@pytest.mark.parametrize(
    "module", [common, demo, fer2013_lenet, fer2013_resnet20, *MRESNETS]
)
def test_the_configs_that_come_along_are_sound(module):
    method = make_method(module.get_config(), 7)
    assert method.space.dimensions == (4 if module is fer2013_resnet20 else 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune": None}, "config.tune: None is no value"),
        ({"tune": ("pz",)}, "config.tune: 'pz' .*mean 'p_z'.*coefficients, ratios"),
        ({"search__optimizer": "psoo"}, "config.search.optimizer: .*mean 'pso'"),
        ({"network": "resnet2"}, "config.network: .*mean 'resnet20'"),
        ({"dataset__name": "fer"}, "config.dataset.name: 'fer' is unknown"),
        ({"norm": "l3"}, "config.norm: 'l3' is unknown"),
        ({"objective": "loss"}, "config.objective: 'loss' is unknown"),
        ({"selection": "loss"}, "config.selection: 'loss' is unknown"),
        ({"surrogate": "share"}, "config.surrogate: .*mean 'shared'"),
        ({"shared_layers": 1}, "config.shared_layers: 1 wants surrogate=shared"),
        ({"shared_layers": -1}, "config.shared_layers: -1 is too small"),
        (
            {"surrogate": "shared", "shared_layers": 3},
            "config.shared_layers: 3 is more than the 2 layers",
        ),
        ({"network": "LeNett"}, "config.network: .*mean 'lenet'"),
        ({"dataset__camera": "vl"}, "config.dataset.camera: .*mean 'VL'"),
        ({"time_budget": -1.0}, "config.time_budget: -1.0 is too small; the least is"),
        ({"time_budget": float("inf")}, "config.time_budget: inf is not a finite"),
        ({"early_stop": -1}, "config.early_stop: -1 is too small; the least is 0"),
        ({"double_every": -1}, "config.double_every: -1 is too small"),
        ({"search__noise__ratio": -0.1}, "config.search.noise.ratio: -0.1 is too"),
        ({"fidelity__rounds": (0,)}, "config.fidelity.rounds: 0 is no round"),
        ({"fidelity__rounds": ("a",)}, "config.fidelity.rounds: 'a' is no round"),
        ({"convolution": "fft"}, "config.convolution: 'fft' is unknown"),
        ({"kappa": float("nan")}, "config.kappa: nan is not a finite number"),
        ({"eta__z": float("inf")}, "config.eta.z: inf is not a finite number"),
        (
            {"search__bounds__ratio": (0.1, float("nan"))},
            "config.search.bounds.ratio: .* not a finite",
        ),
        ({"batch_size": 0}, "config.batch_size: 0 is too small"),
        ({"momentum": 1.0}, "config.momentum: 1.0 is too large"),
        ({"learning_rate__base": -0.1}, "config.learning_rate.base: -0.1 is too small"),
        ({"max_iterations": 10}, "config.max_iterations: 10 is less than one round"),
        ({"dataset__shift": -1}, "config.dataset.shift: -1 is too small"),
        ({"dataset__fold": 10}, "config.dataset.fold: 10 is too large"),
        ({"dataset__fold": -2}, "config.dataset.fold: -2 is too small"),
        ({"dataset__crops": 17}, "config.dataset.crops: 17 is neither"),
        ({"dataset__channels": 2}, "config.dataset.channels: 2 must be one of 0, 1, 3"),
        ({"dataset__classes": 8}, "config.dataset.classes: 8 must be one of 0, 6, 7"),
        ({"dataset__camera": "IR"}, "config.dataset.camera: 'IR' is unknown"),
        ({"dataset__target": "ckk"}, "config.dataset.target: 'ckk' .*mean 'ck'"),
        (
            {"dataset__train_on_target_fold": True},
            "config.dataset.train_on_target_fold: .* needs a dataset.target",
        ),
        (
            {"dataset__target": "ck", "dataset__train_on_target_fold": True},
            "train_on_target_fold: True trains on all that config.tune could go by",
        ),
        (
            {
                "dataset__target": "ck",
                "dataset__train_on_target_fold": True,
                "tune": (),
                "early_stop": 2,
            },
            "train_on_target_fold: True trains on all that config.early_stop could",
        ),
        ({"search__pso__w": -0.1}, "config.search.pso.w: -0.1 is out of range; the l"),
        (
            {"search__optimizer": "de", "search__de__CR": 6.0},
            "config.search.de.CR: 6.0 is out of range; 0 to 1",
        ),
        (
            {"search__optimizer": "ga", "search__ga__crossover": 1.1},
            "config.search.ga.crossover: 1.1 is out of range; 0 to 1",
        ),
        ({"compute_dtype": "float16"}, "config.compute_dtype: 'float16' is unknown"),
        (
            {"network": "mresnet", "dataset__image_size": 98},
            "config.dataset.image_size: 98 is too small for mresnet; the least is 99",
        ),
        ({"dataset__image_size": 15}, "config.dataset.image_size: 15 is too small"),
    ],
)
def test_a_bad_value_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        resolve(changed(**changes))


@pytest.mark.parametrize("module", MRESNETS)
def test_every_database_runs_with_lenet_too(module):
    config = module.get_config()
    config.network = "lenet"
    method = make_method(config, 6)
    assert (method.pair.image_size, method.pair.channels) == (28, 1)


def test_the_network_decides_the_images_unless_the_config_does():
    config = ck_mresnet.get_config()
    pair = make_method(config, 7).pair
    assert (pair.image_size, pair.channels) == (227, 3)
    assert make_look(config, pair).side == 252  # 227 is 0.9 of it
    config.dataset.image_size, config.dataset.channels = 99, 1
    pair = make_method(config, 7).pair
    assert (pair.image_size, pair.channels) == (99, 1)


def test_all_folds_are_for_databases_that_have_them():
    assert folds(ck_mresnet.get_config()) == tuple(range(10))
    assert folds(cross_database.get_config()) == tuple(range(10))
    assert folds(fer2013_mresnet.get_config()) == (0,)
    assert folds(changed(dataset__name="fer2013", dataset__fold=-1)) == (0,)
    assert folds(changed(dataset__name="oulu", dataset__fold=3)) == (3,)


def test_a_folder_with_splits_has_no_folds(tmp_path):
    """A named bug: ten runs were begun, of which nine had no fold."""
    config = ck_mresnet.get_config()
    config.dataset.name, config.dataset.dir = "folder", str(tmp_path)
    (tmp_path / "happy").mkdir()
    assert folds(config) == tuple(range(10))
    (tmp_path / "train" / "happy").mkdir(parents=True)
    assert folds(config) == (0,)


@pytest.mark.parametrize(
    ("source", "target"), [("ck", "ck"), ("fer2013", "ferplus"), ("folder", "folder")]
)
def test_a_target_with_the_sources_images_is_refused(source, target):
    config = changed(dataset__name=source, dataset__target=target)
    with pytest.raises(InputError, match=f"target: {target} has the images of"):
        resolve(config)
    config.dataset.target_dir = "/elsewhere"
    if source == "folder":
        resolve(config)


def test_a_constant_that_an_optimizer_lacks_is_named():
    config = common.get_config()
    config.search.pso = ConfigDict({"w": 0.6, "ww": 0.7})
    why = "config.search.pso: .ww. is unknown .*; choose from w, c1"
    with pytest.raises(InputError, match=why):
        make_method(config, classes=7)


def test_one_run_does_not_take_all_folds():
    with pytest.raises(InputError, match="config.dataset.fold: a run takes one fold"):
        load_data(ck_mresnet.get_config())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune": ("p_q",)}, "config.tune: 'p_q' is none of this network's"),
        ({"tune": ("p_z", "ratios")}, "config.tune: .* twice"),
        ({"network": "resnet20", "tune": ("p_x",)}, "config.tune: 'p_x' is none of"),
        ({"fixed__p_z": 1.0}, "config.fixed.p_z: 1.0 is out of range"),
        ({"fixed__lambda_z": -1.0}, "config.fixed.lambda_z: -1.0 is out of range"),
        ({"search__bounds__ratio": (0.5, 0.2)}, "config.search.bounds.ratio"),
        ({"search__bounds__coefficient": (0.0, 1.0)}, "config.search.bounds.coeff"),
        ({"search__center__ratio": 0.99}, "config.search.center.ratio: 0.99 lies out"),
        ({"search__bounds__ratio": (0.5,)}, "config.search.bounds.ratio: .* no pair"),
        ({"seed": 2**32}, "config.seed: 4294967296 is too large"),
        ({"fixed__p_z": 0.5}, "config.fixed.p_z: 0.5 has no effect, .* is searched"),
        (
            {"network": "resnet20", "fixed__p_x": 0.5},
            "config.fixed.p_x: 0.5 has no effect, .* not in this network",
        ),
        (
            {"search__start__p_z": 0.99},
            "config.search.start.p_z: 0.99 .* of a ratio, 0.01 to 0.95;",
        ),
        ({"search__initial_width__ratio": -1.0}, "config.search.initial_width.ratio"),
    ],
)
def test_a_search_space_that_cannot_be_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        make_method(changed(**changes), 7)


def test_a_population_of_3_is_too_few_for_de():
    config = changed(search__optimizer="de", search__population=3)
    with pytest.raises(InputError, match=r"config\.search\.population: 3 is too few"):
        make_method(config, 7)


@pytest.mark.parametrize("words", [(0,), (1, 2)])
def test_a_number_is_no_hyper_parameter(words):
    with pytest.raises(InputError, match=rf"tune: '{words[0]}' is none.*or \(\)"):
        expand(words, ("p_z",), held=False)


def test_the_seed_of_the_last_replica_has_a_limit():
    config = changed(seed=2**32 - 2, replicas=2)
    make_method(config, 7)
    config.replicas = 3
    with pytest.raises(InputError, match="replicas: the last of 3 has the seed 42949"):
        make_method(config, 7)


def test_names_and_groups_of_hyper_parameters_may_be_mixed():
    method = make_method(changed(tune=("ratios", "lambda_x")), 7)
    assert method.space.tune == ("lambda_x", "p_z", "p_V", "p_x", "p_W")


def test_a_command_lines_comma_list_is_understood():
    """ml_collections hands `--config.tune=p_z,p_x` over as one word."""
    for words in (("p_z,p_x",), ("(p_z", " p_x)"), ("'p_z', 'p_x'",)):
        assert make_method(changed(tune=words), 7).space.tune == ("p_z", "p_x")


def test_two_spellings_of_a_setting_are_the_same_run():
    spellings = (("p_z,p_x",), ("p_x", "p_z"))
    resolved = [resolve(changed(tune=tune)).to_dict() for tune in spellings]
    assert resolved[0] == resolved[1]
    assert resolve(changed(tune=("ratios",))).tune == ("p_z", "p_V", "p_x", "p_W")


def test_the_defaults_are_the_papers():
    method = make_method(common.get_config(), 7)
    assert (method.population, method.batch_size) == (6, 64)
    assert method.iterations_per_round == 1000
    assert method.eta == (1e-2,) * 4
    assert method.kappa == 1e-5
    assert method.objective == "accuracy"


def test_a_group_of_fields_that_lacks_one_is_named():
    config = common.get_config()
    config.search.noise = {"coefficent": 1.0}
    with pytest.raises(InputError, match=r"search\.noise\.coefficient: is missing"):
        check_complete(config)


def test_fields_are_those_of_common():
    fields = dict(flatten(common.get_config().to_dict()))
    constants = tuple(f"search.{name}." for name in OPTIMIZERS)
    assert sorted(FIELDS) == sorted(f for f in fields if not f.startswith(constants))


def test_an_optimiser_s_constants_may_be_left_to_it_but_not_its_group():
    config = common.get_config().unlock()
    config.search.pso = ConfigDict({"w": 0.7})
    del config.search.de
    check_complete(config)
    assert make_method(config, 7).search.name == "pso"
    config.search.optimizer = "de"
    with pytest.raises(InputError, match=r"config\.search\.de: is missing"):
        check_complete(config)
