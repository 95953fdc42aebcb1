"""A config that cannot be run is refused, and the message names the field."""

import pytest

from configs import common, demo, fer2013_lenet, fer2013_resnet20
from surrojax.errors import InputError
from surrojax.settings import make_method, resolve


def changed(**changes):
    config = common.get_config()
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in changes.items()}
    )
    return config


@pytest.mark.parametrize("module", [common, demo, fer2013_lenet, fer2013_resnet20])
def test_the_configs_that_come_along_are_sound(module):
    method = make_method(module.get_config(), 7)
    assert method.space.dimensions == (4 if module is fer2013_resnet20 else 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune": None}, "config.tune: None is no value"),
        ({"tune": ("pz",)}, "config.tune: 'pz' .*mean 'p_z'.*coefficients, ratios"),
        ({"search__optimizer": "psoo"}, "config.search.optimizer: .*mean 'pso'"),
        ({"network": "resnet"}, "config.network: .*mean 'resnet20'"),
        ({"dataset__name": "fer"}, "config.dataset.name: 'fer' is unknown"),
        ({"norm": "l3"}, "config.norm: 'l3' is unknown"),
        ({"objective": "loss"}, "config.objective: 'loss' is unknown"),
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
    ],
)
def test_a_bad_value_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        resolve(changed(**changes))


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
