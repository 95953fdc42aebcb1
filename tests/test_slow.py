"""What takes minutes: `make test-slow`."""

import pytest

from configs import demo
from surrojax.experiment import train


@pytest.mark.slow
def test_lenet_over_fits_the_drawn_faces_and_tuning_helps(tmp_path):
    config = demo.get_config()
    tuned = train(config, tmp_path / "tuned", quiet=True)
    config.tune = ()
    untuned = train(config, tmp_path / "untuned", quiet=True)
    assert untuned["train_accuracy"] - untuned["test_accuracy"] > 0.1
    assert tuned["test_accuracy"] > untuned["test_accuracy"]


@pytest.mark.slow
def test_resnet20_is_tuned_extended_and_resumed(tmp_path):
    """Four hyper-parameters, no x and W, and batch statistics in the checkpoint."""
    config = demo.get_config()
    config.network, config.batch_size, config.iterations_per_round = "resnet20", 8, 2
    config.max_iterations = 2
    train(config, tmp_path, quiet=True)
    config.max_iterations = 4
    result = train(config, tmp_path, quiet=True)
    assert set(result["hyper"]) == {"lambda_z", "lambda_V", "p_z", "p_V"}
    assert result["rounds"] == 2
