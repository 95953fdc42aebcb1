"""What result.json says of a split, by hand."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from surrojax.data import Split
from surrojax.run.outcome import voted

LABELS = np.array([0, 0, 0, 1], np.int32)
SEQUENCES = Split(
    np.zeros((4, 1, 1, 1), np.uint8), LABELS, sequences=np.array(["a", "a", "a", "b"])
)


def test_units_vote_and_the_cross_entropy_is_of_frames():
    shares = jnp.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7]])
    found = voted(jnp.log(shares), SEQUENCES)
    assert (found.accuracy, found.frame_accuracy) == (1.0, 0.75)
    loss = -np.mean(np.log([0.9, 0.2, 0.8, 0.7]))
    assert found.cross_entropy == pytest.approx(loss, rel=1e-6)
    figures = found.figures(["calm", "glad"])
    assert figures["test_cross_entropy"] == found.cross_entropy


def test_a_cross_entropy_beyond_all_numbers_is_none():
    shares = jnp.array([[0.0, 1.0], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7]])
    figures = voted(jnp.log(shares), SEQUENCES).figures(["calm", "glad"])
    assert figures["test_cross_entropy"] is None
    json.dumps(figures, allow_nan=False)
