"""The four sites, where a network lacks some of them included."""

import jax
import jax.numpy as jnp
import numpy as np

from surrojax.sites import HYPER_NAMES, Hyper, Sites, last, total, where_present

FULL = Sites(1.0, 2.0, 3.0, 4.0)
PART = Sites(10.0, 20.0, None, None)  # as ResNet20 has them


def test_names_are_in_the_order_of_eq_8_of_the_tree():
    assert jax.tree.leaves(HYPER_NAMES) == [
        *("lambda_z", "lambda_V", "lambda_x", "lambda_W"),
        *("p_z", "p_V", "p_x", "p_W"),
    ]


def test_last_is_x_or_z_where_x_is_missing():
    assert last(FULL) == 3.0
    assert last(PART) == 10.0


def test_where_present_keeps_only_what_the_other_has():
    assert where_present(FULL, PART) == Sites(1.0, 2.0, None, None)
    assert where_present(FULL, FULL) == FULL


def test_tree_maps_pass_over_a_missing_site():
    doubled = jax.tree.map(lambda a: 2 * a, PART)
    assert doubled == Sites(20.0, 40.0, None, None)


def test_total_sums_the_leaves():
    assert total(FULL) == 10.0
    assert total(PART) == 30.0
    assert total(Hyper(FULL, PART)) == 40.0
    assert jax.jit(total)(PART) == 30.0


def test_total_of_a_tree_without_leaves_is_an_array_of_0():
    empty = total(Sites(None, None, None, None))
    assert isinstance(empty, jax.Array) and empty.shape == () and empty == 0


def test_total_has_a_gradient_of_ones():
    gradient = jax.grad(total)(Sites(jnp.float32(1.0), jnp.float32(2.0), None, None))
    np.testing.assert_array_equal(jax.tree.leaves(gradient), [1.0, 1.0])
    assert gradient.x is None and gradient.W is None
