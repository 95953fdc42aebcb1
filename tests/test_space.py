"""The search space: scale, bounds, initial population, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.errors import InputError
from surrojax.sites import HYPER_NAMES, Hyper, Sites
from surrojax.space import latin_hypercube, make_space, present_names

ALL = tuple(jax.tree.leaves(HYPER_NAMES))
FULL = Sites(0, 0, 0, 0)
NO_FC2 = Sites(0, 0, None, None)
FIXED = dict.fromkeys(ALL, 0.0)


def space_of(sites=FULL, **changes):
    settings = {
        "tune": ALL,
        "fixed": FIXED,
        "center": {"coefficient": 1e-5, "ratio": 0.5},
        "width": {"coefficient": 1.0, "ratio": 0.5},
        "bounds": {"coefficient": (1e-16, 1e-2), "ratio": (0.01, 0.95)},
    }
    return make_space(sites, **(settings | changes))


def test_vectors_are_natural_logarithms_in_the_order_of_eq_8():
    values = [1e-3, 1e-4, 1e-5, 1e-6, 0.1, 0.2, 0.3, 0.4]
    hyper = space_of().to_hyper(jnp.log(jnp.array(values)))
    expected = Hyper(Sites(*values[:4]), Sites(*values[4:]))
    for group, wanted in zip(hyper, expected, strict=True):
        np.testing.assert_allclose(group, wanted, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_round_trip_through_the_log_scale(wrap):
    space = space_of()
    vectors = space.latin_hypercube(jax.random.key(0), 20)
    to_hyper = wrap(space.to_hyper)
    for vector in vectors:
        back = np.log(jax.tree.leaves(to_hyper(vector)))
        np.testing.assert_allclose(back, vector, rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_values_lie_within_the_bounds_at_and_beyond_them(wrap):
    space = space_of()
    low, high = np.exp(space.lower), np.exp(space.upper)
    to_hyper = wrap(lambda v: jnp.stack(jax.tree.leaves(space.to_hyper(v))))
    for offset in (-100.0, -1e-6, 0.0, 1e-6, 100.0):
        for edge in (space.lower, space.upper):
            values = np.asarray(to_hyper(jnp.asarray(edge + offset)))
            assert (low <= values).all() and (values <= high).all()
    np.testing.assert_allclose(to_hyper(jnp.asarray(space.lower)), low, rtol=1e-6)
    np.testing.assert_allclose(to_hyper(jnp.asarray(space.upper)), high, rtol=1e-6)
    np.testing.assert_allclose(low, [1e-16] * 4 + [0.01] * 4, rtol=1e-5)
    np.testing.assert_allclose(high, [1e-2] * 4 + [0.95] * 4, rtol=1e-5)


def test_to_hyper_is_vmapped_over_a_population():
    space = space_of(tune=("p_x",), fixed=FIXED | {"p_z": 0.5})
    hyper = jax.vmap(space.to_hyper)(jnp.log(jnp.array([[0.2], [0.3]])))
    np.testing.assert_allclose(hyper.ratio.x, [0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(hyper.ratio.z, [0.5, 0.5])
    np.testing.assert_array_equal(hyper.coefficient.z, [0.0, 0.0])


def test_initial_box_is_one_decade_and_e_to_a_half_around_the_defaults():
    space = space_of()
    np.testing.assert_allclose(np.exp(space.center), [1e-5] * 4 + [0.5] * 4, rtol=1e-5)
    np.testing.assert_allclose(
        np.exp(space.center + space.width),
        [1e-4] * 4 + [0.5 * np.exp(0.5)] * 4,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("n", "wrap"), [(1, jax.jit), (6, jax.jit), (6, lambda f: f), (17, jax.jit)]
)
def test_latin_hypercube_has_one_point_in_each_stratum(n, wrap):
    space = space_of()
    points = wrap(lambda key: space.latin_hypercube(key, n))(jax.random.key(n))
    assert points.shape == (n, 8) and points.dtype == jnp.float32
    unit = (np.asarray(points) - (space.center - space.width)) / (2 * space.width)
    for column in unit.T:
        strata = [int(np.floor(u * n - 1e-4)) for u in np.sort(column) + 1e-4 / n]
        assert strata == list(range(n))


def test_latin_hypercube_mixes_the_strata_of_different_dimensions():
    points = np.asarray(space_of().latin_hypercube(jax.random.key(3), 6))
    orders = {tuple(np.argsort(column)) for column in points.T}
    assert len(orders) > 4
    # Within its stratum, each point lies where no other dimension's does.
    unit = 3 * np.asarray(latin_hypercube(jax.random.key(3), 6, 2)) + 3
    assert not np.allclose(np.sort(unit[:, 0]), np.sort(unit[:, 1]), atol=1e-3)


def test_latin_hypercube_is_clipped_to_the_bounds():
    space = space_of(
        width={"coefficient": 30.0, "ratio": 9.0},
        bounds={"coefficient": (1e-6, 1e-4), "ratio": (0.4, 0.6)},
    )
    points = np.asarray(space.latin_hypercube(jax.random.key(0), 50))
    assert (space.lower <= points).all() and (points <= space.upper).all()
    assert (points == space.lower).any() and (points == space.upper).any()


def test_width_0_puts_everyone_at_the_center():
    space = space_of(width={"coefficient": 0.0, "ratio": 0.0})
    points = space.latin_hypercube(jax.random.key(0), 4)
    np.testing.assert_allclose(points, np.tile(space.center, (4, 1)))


def test_a_subset_is_searched_in_the_order_of_eq_8_and_the_rest_is_fixed():
    fixed = FIXED | {"p_z": 0.3, "lambda_V": 1e-4}
    space = space_of(tune=("p_W", "lambda_z"), fixed=fixed)
    assert space.tune == ("lambda_z", "p_W") and space.dimensions == 2
    hyper = space.to_hyper(jnp.log(jnp.array([1e-3, 0.7])))
    np.testing.assert_allclose(hyper.coefficient, [1e-3, 1e-4, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(hyper.ratio, [0.3, 0, 0, 0.7], rtol=1e-6)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(hyper))


def test_a_fixed_value_outside_the_bounds_of_the_search_is_kept():
    space = space_of(tune=("p_x",), fixed=FIXED | {"lambda_W": 5.0, "p_z": 0.0})
    hyper = space.to_hyper(jnp.log(jnp.array([0.5])))
    assert hyper.coefficient.W == 5.0 and hyper.ratio.z == 0.0


def test_a_network_without_fc2_has_4_dimensions():
    names = ("lambda_z", "lambda_V", "p_z", "p_V")
    assert present_names(NO_FC2) == names
    space = space_of(NO_FC2, tune=names)
    assert space.names == space.tune == names
    hyper = space.to_hyper(jnp.log(jnp.array([1e-3, 1e-4, 0.2, 0.3])))
    assert hyper.coefficient.x is hyper.ratio.x is None
    assert hyper.coefficient.W is hyper.ratio.W is None
    np.testing.assert_allclose(
        jax.tree.leaves(hyper), [1e-3, 1e-4, 0.2, 0.3], rtol=1e-5
    )
    assert space.latin_hypercube(jax.random.key(0), 6).shape == (6, 4)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_nothing_may_be_searched(wrap):
    space = space_of(tune=(), fixed=FIXED | {"p_x": 0.5})
    assert space.dimensions == 0
    hyper = wrap(space.to_hyper)(jnp.zeros(0))
    np.testing.assert_array_equal(jax.tree.leaves(hyper), [0, 0, 0, 0, 0, 0, 0.5, 0])
    assert space.latin_hypercube(jax.random.key(0), 6).shape == (6, 0)


def bounds(coefficient=(1e-16, 1e-2), ratio=(0.01, 0.95)):
    return {"bounds": {"coefficient": coefficient, "ratio": ratio}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune": ("lambda_y",)}, "tune: 'lambda_y'"),
        ({"tune": ("p_x", "p_z", "p_x")}, "tune: .* twice"),
        ({"fixed": FIXED | {"lambda_z": -1e-9}}, "fixed.lambda_z: -1e-09"),
        ({"fixed": FIXED | {"lambda_z": np.inf}}, "fixed.lambda_z"),
        ({"fixed": FIXED | {"lambda_z": np.nan}}, "fixed.lambda_z"),
        ({"fixed": FIXED | {"p_W": 1.0}}, "fixed.p_W: 1.0"),
        ({"fixed": FIXED | {"p_W": -0.1}}, "fixed.p_W"),
        ({"fixed": FIXED | {"p_W": 0.99999999}}, "fixed.p_W"),  # 1 in 32 bits
        ({"fixed": FIXED | {"p_W": np.nan}}, "fixed.p_W"),
        (bounds(coefficient=(0.0, 1e-2)), "bounds.coefficient"),
        (bounds(coefficient=(1e-2, 1e-16)), "bounds.coefficient"),
        (bounds(coefficient=(1e-6, 1e-6)), "bounds.coefficient"),
        (bounds(coefficient=(1e-16, np.inf)), "bounds.coefficient"),
        (bounds(coefficient=(np.nan, 1e-2)), "bounds.coefficient"),
        (bounds(ratio=(0.01, 1.0)), "bounds.ratio"),
        (bounds(ratio=(-0.1, 0.9)), "bounds.ratio"),
        (bounds(ratio=(0.01, 0.99999999)), "bounds.ratio"),
        (bounds(ratio=(0.6, 0.9)), "center.ratio: 0.5"),
        (bounds(coefficient=(1e-16, 1e-6)), "center.coefficient: 1e-05"),
        ({"width": {"coefficient": -1.0, "ratio": 0.5}}, "width.coefficient"),
        ({"width": {"coefficient": 1.0, "ratio": np.inf}}, "width.ratio"),
        ({"width": {"coefficient": 1.0, "ratio": np.nan}}, "width.ratio"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(InputError, match=message):
        space_of(**changes)


def test_refuses_a_name_that_this_network_lacks():
    with pytest.raises(InputError, match="'p_x'.*lambda_z, lambda_V, p_z, p_V"):
        space_of(NO_FC2, tune=("p_x",))


def test_a_start_of_its_own_moves_one_center():
    space = space_of(start=dict.fromkeys(ALL, 0.0) | {"p_V": 0.1, "lambda_x": 1e-7})
    centers = dict(zip(space.tune, np.exp(space.center), strict=True))
    assert centers["p_V"] == pytest.approx(0.1)
    assert centers["p_z"] == pytest.approx(0.5)
    assert centers["lambda_x"] == pytest.approx(1e-7)
    assert centers["lambda_z"] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("start", "wrong"),
    [
        ({"p_z": 0.96}, "p_z: 0.96 lies outside the bounds"),
        ({"p_z": float("inf")}, "lies outside the bounds"),
    ],
)
def test_a_start_that_cannot_be_is_refused(start, wrong):
    with pytest.raises(InputError, match=wrong):
        space_of(tune=("p_z",), start=start)


def test_a_start_of_what_is_not_searched_is_left_alone():
    assert space_of(tune=("p_z",), start={"p_x": 0.1}).tune == ("p_z",)


def test_deviations_are_in_decades_and_natural_logarithm():
    space = space_of(tune=("lambda_V", "p_z"))
    deviation = space.deviation({"coefficient": 2.0, "ratio": 0.5})
    np.testing.assert_allclose(deviation, [2 * np.log(10), 0.5], rtol=1e-6)
